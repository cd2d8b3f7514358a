"""High dynamic range: values of BT.2100 and BT.2408 worked out by hand, and files of both kinds."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from facial_expressions.media.upright import HLG, PQ, standard_colors, to_standard_range
from facial_expressions.media.video_file import VideoFile

GREY, WHITE = 0.18, 1.0


def shown(light: float) -> float:
    """Display value of a share of white: gamma 2.4; over 0.75 an exponential shoulder."""
    bright = light if light <= 0.75 else 0.75 + 0.25 * (1 - np.exp(-(light - 0.75) / 0.25))
    return float(bright ** (1 / 2.4))


@pytest.mark.parametrize(
    ("transfer", "signal", "light"),
    [
        (PQ, 0.5806888, WHITE),  # 203 nits, BT.2408 table 1: 58%
        (PQ, 0.5080784, 100 / 203),  # 100 nits, SMPTE ST 2084: 50.8%
        (PQ, 0.7518271, 1000 / 203),  # 1,000 nits: 75.2%
        (PQ, 0.0, 0.0),
        (HLG, 0.75, 203.2 / 203),  # BT.2408 table 1: 75%
        (HLG, 0.5, 1000 * (1 / 12) ** 1.2 / 203),  # the knee: 1/12 of the scene's light
        (HLG, 1.0, 1000 / 203),
        (HLG, 0.0, 0.0),
    ],
)
def test_grey_values_are_those_of_the_recommendations(
    transfer: int, signal: float, light: float
) -> None:
    colors = standard_colors(np.full((1, 3), signal), transfer)
    assert colors[0] == pytest.approx([shown(light)] * 3, abs=0.002)


def test_a_red_of_bt709_stays_that_red() -> None:
    """BT.2087: red of BT.709 is (0.6274, 0.0691, 0.0164) in BT.2020's primaries."""
    nits = 203 * 0.2 * np.array([0.6274, 0.0691, 0.0164])
    power = (nits / 10_000) ** (2610 / 16_384)
    signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    colors = standard_colors(signal[None], PQ)
    assert colors[0] == pytest.approx([shown(0.2), 0, 0], abs=0.05)
    assert colors[0, 0] == pytest.approx(shown(0.2), abs=0.005)


def test_the_table_gives_the_formulas_values_within_a_step() -> None:
    colors = np.random.default_rng(0).integers(0, 256, (40, 25, 3), np.uint8)
    for transfer in (PQ, HLG):
        exact = standard_colors(colors.reshape(-1, 3) / 255, transfer) * 255
        got = to_standard_range(colors, transfer).reshape(-1, 3)
        assert np.median(np.abs(got - exact)) < 1
        assert np.percentile(np.abs(got - exact), 95) < 2


@pytest.mark.parametrize(("transfer", "signal"), [(PQ, 0.5080784), (HLG, 0.5)])
def test_a_file_of_high_dynamic_range_is_shown_as_on_a_usual_screen(
    transfer: int, signal: float, tmp_path: Path
) -> None:
    """Grey in 10 bits of the limited range: 64 + 876 x signal."""
    path = tmp_path / "hdr.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx265", rate=25, options={"x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, transfer, 9
        context.color_range = 1
        for index in range(3):
            frame = av.VideoFrame(64, 64, "yuv420p10le")
            for plane, value in zip(frame.planes, (64 + 876 * signal, 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, round(value), np.uint16).tobytes())
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    with VideoFile(path) as video:
        image = next(iter(video)).image
    expected = standard_colors(np.full((1, 3), signal), transfer)[0] * 255
    assert image.reshape(-1, 3).mean(0) == pytest.approx(expected, abs=3), "a step of 8 bits"
