"""One look for every chart: colors, axes, and a figure as PNG for a file or SVG for a page.

Figures are made without pyplot, so nothing global changes and no display is needed. A PNG has a
white background on purpose: it stands in Markdown on light and on dark pages. An SVG has none, and
its colors are those of the page's style sheet, light or dark.
"""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import TYPE_CHECKING, Any, Final

from facial_expressions.errors import needs_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT: Final = "#0f766e"
WARM: Final = "#c2410c"
RIGHT: Final = "#15803d"
WRONG: Final = "#b91c1c"
INK: Final = "#1c1f24"
MUTED: Final = "#5b6470"
GRID: Final = "#e3e6ea"

LINES: Final = (ACCENT, WARM, "#4338ca", "#a16207", "#be185d", "#0369a1", "#4d7c0f")
"""Colors of several lines in one chart; each has a marker too, for those who see no colors."""

DASHED: Final[dict[str, Any]] = {"color": MUTED, "linewidth": 1, "linestyle": (0, (4, 3))}
"""How a line looks that others are compared with."""

MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")

_VARIABLES: Final = {
    ACCENT: "accent", WARM: "warm", INK: "ink", MUTED: "muted", GRID: "rule",
    **{color: f"line-{i}" for i, color in enumerate(LINES) if i > 1},
}  # fmt: skip
"""Variable of the page's style sheet for each color of a chart."""

_RULES: Final[dict[Any, Any]] = {
    "font.sans-serif": ["DejaVu Sans"],
    "svg.fonttype": "none",
    "svg.hashsalt": "charts",
    "text.parse_math": False,
}
_DPI: Final = 150


def new_figure(width_inches: float, height_inches: float, label: str = "") -> Figure:
    """Return an empty white figure that belongs to no window.

    Args:
        width_inches: Width.
        height_inches: Height.
        label: What it shows, for those who do not see it; no two charts of a page share one.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    with needs_extra("evaluate"):
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    figure = Figure(
        figsize=(width_inches, height_inches),
        dpi=_DPI,
        layout=ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.07),
        facecolor="white",
    )
    figure.set_label(label)
    return figure


def style_axes(
    axes: Axes, *, title: str = "", xlabel: str = "", ylabel: str = "", has_grid: bool = True
) -> None:
    """Give axes a title, labels, a light grid and no box."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=10)
    axes.set_xlabel(xlabel, fontsize=9.5, color=MUTED)
    axes.set_ylabel(ylabel, fontsize=9.5, color=MUTED)
    axes.grid(visible=False)
    if has_grid:
        axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def add_legend(axes: Axes, **options: Any) -> None:  # noqa: ANN401 - those of Axes.legend
    """Say what the lines mean, without a box."""
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, **options)


def png_of(figure: Figure) -> bytes:
    """Return a figure as PNG, the same bytes for the same figure: no date, no version inside."""
    return _saved(figure, format="png", metadata={"Software": None})


def svg_of(figure: Figure) -> str:
    """Return a figure as an ``svg`` element to stand inside a page, with its label.

    It is the same text for the same figure, and refers to nothing outside itself.
    """
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    text = _saved(figure, format="svg", transparent=True, metadata=metadata).decode()
    width, height = 72 * figure.get_size_inches()
    drawn = text[text.index(">", text.index("<svg")) + 1 :]
    drawn = re.sub(r"<defs>\s*<style.*?</defs>", "", drawn, flags=re.DOTALL)  # the page has its own
    label = str(figure.get_label())
    name = re.sub(r"\W+", "-", label.lower())  # ids are those of one page
    drawn = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", drawn)
    for color, variable in _VARIABLES.items():
        drawn = drawn.replace(color, f"var(--{variable})")
    box = f'viewBox="0 0 {width:g} {height:g}"'
    return f'<svg class="chart" {box} role="img" aria-label="{escape(label)}">{drawn.strip()}'


def _saved(figure: Figure, **options: Any) -> bytes:  # noqa: ANN401 - those of savefig
    from matplotlib import rc_context
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a name may hold dollar signs
    buffer = io.BytesIO()
    with rc_context(_RULES), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a letter that the font has not is a box
        figure.savefig(buffer, **options)
    return buffer.getvalue()
