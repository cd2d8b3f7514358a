"""The color of each expression and of heat: the same in images, videos, pages and charts."""

from __future__ import annotations

from typing import Final

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

EXPRESSION_COLORS: Final[dict[str, Color]] = {
    "angry": (235, 80, 62),
    "contempt": (188, 96, 140),
    "disgust": (94, 151, 48),
    "fear": (139, 99, 217),
    "happy": (197, 134, 0),
    "neutral": (125, 135, 148),
    "sad": (56, 138, 220),
    "surprise": (26, 165, 154),
}
"""Each stands out 3 to 1 from white and from the dark ground of pages and labels."""

_OTHER: Final[Color] = (141, 122, 86)

HEAT_COLORS: Final = ((255, 214, 70), (250, 150, 40), (226, 60, 38), (150, 20, 60))
"""From a little to most: yellow, orange, red, dark red; distinct also without color vision."""


def expression_color(expression: str) -> Color:
    """Return the color in which an expression is drawn everywhere; unknown ones share one."""
    return EXPRESSION_COLORS.get(expression, _OTHER)


def css_variables() -> str:
    """Return a style sheet of one variable for each color, ``--happy`` and ``--heat-0`` onward."""
    named = EXPRESSION_COLORS | {"other": _OTHER}
    named |= {f"heat-{i}": color for i, color in enumerate(HEAT_COLORS)}
    lines = "".join(f"  --{name}: rgb{color};\n" for name, color in named.items())
    return f":root {{\n{lines}}}\n"
