"""Figures as PNG for a file and as SVG for a page."""

from __future__ import annotations

import io

import pytest
from matplotlib.figure import Figure  # noqa: TID253 - what charts are made of
from PIL import Image

from facial_expressions.pages.drawing import ACCENT, new_figure, png_of, style_axes, svg_of


def chart(label: str = "Loss") -> Figure:
    figure = new_figure(4, 3, label)
    axes = figure.subplots()
    style_axes(axes, title="Loss <of> $nothing$", xlabel="Epoch")
    axes.plot([1, 2, 3], [3, 1, 2], color=ACCENT)
    return figure


def test_a_png_has_the_size_that_was_asked_for() -> None:
    with Image.open(io.BytesIO(png_of(chart()))) as image:
        assert image.size == (600, 450)
        assert not {"Software", "Creation Time"} & set(image.info)


def test_the_same_figure_gives_the_same_text_and_bytes() -> None:
    assert svg_of(chart()) == svg_of(chart())
    assert png_of(chart()) == png_of(chart())


def test_an_svg_is_one_that_stands_in_a_page() -> None:
    svg = svg_of(chart('Loss "of" a run'))
    assert svg.startswith('<svg class="chart" viewBox="0 0 288 216" role="img" ')
    assert 'aria-label="Loss &quot;of&quot; a run"' in svg
    assert svg.endswith("</svg>")
    assert "<style" not in svg
    assert "http" not in svg
    assert 'id="loss-of-a-run-figure_1"' in svg


def test_texts_of_an_svg_are_texts_and_no_markup() -> None:
    svg = svg_of(chart())
    assert ">Epoch</text>" in svg
    assert ">Loss &lt;of&gt; $nothing$</text>" in svg


def test_colors_of_an_svg_are_those_of_the_page() -> None:
    svg = svg_of(chart())
    assert "stroke: var(--accent)" in svg
    assert "fill: var(--muted)" in svg
    assert "#" not in svg.replace("url(#", "").replace('href="#', "")


def test_a_letter_that_the_font_has_not_is_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    """Classes of your own have names in any script."""
    figure = new_figure(2, 1)
    figure.text(0.5, 0.5, "\u5199\u4f5c")
    png_of(figure)
    svg_of(figure)
    assert not recwarn.list
