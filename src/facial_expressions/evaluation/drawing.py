"""One look for every Matplotlib picture of this package: colors, fonts, and saving to PNG.

Figures are made without pyplot, so nothing global changes and no display is needed. The background
is white on purpose: the files stand in Markdown on light and on dark pages.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facial_expressions.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = [
    "ACCENT",
    "GRID",
    "INK",
    "LINES",
    "MARKERS",
    "MUTED",
    "RIGHT",
    "WARM",
    "WRONG",
    "accent_colormap",
    "new_figure",
    "save_png",
    "style_axes",
]

ACCENT: Final = "#0f766e"
WARM: Final = "#c2410c"
RIGHT: Final = "#15803d"
WRONG: Final = "#b91c1c"
INK: Final = "#1c1f24"
MUTED: Final = "#5b6470"
GRID: Final = "#e3e6ea"

LINES: Final = ("#0f766e", "#c2410c", "#4338ca", "#a16207", "#be185d", "#0369a1", "#4d7c0f")
"""Colors of several lines in one picture; each has a marker too, for those who see no colors."""

MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")

_DPI: Final = 150


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """Return an empty white figure that belongs to no window.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise MissingExtraError.of("evaluate", "matplotlib") from error
    return Figure(
        figsize=(width_inches, height_inches),
        dpi=_DPI,
        layout=ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.07),
        facecolor="white",
    )


def accent_colormap() -> Colormap:
    """Return the color map from white to the accent color."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("accent", ["#ffffff", "#99d5cf", ACCENT, "#0a4a45"])


def style_axes(axes: Axes, *, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Give axes a title, labels, a light grid and no box."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=10)
    axes.set_xlabel(xlabel, fontsize=9.5, color=MUTED)
    axes.set_ylabel(ylabel, fontsize=9.5, color=MUTED)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure: no date, no version inside."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    path.write_bytes(buffer.getvalue())
