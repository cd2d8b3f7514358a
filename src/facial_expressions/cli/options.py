"""Options that several verbs have, word for word."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["MaxPixels", "MinConfidence", "SmallFaces"]

MinConfidence = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Answers less confident than this count as uncertain."),
]
MaxPixels = Annotated[
    int, typer.Option(min=1, help="Larger pictures are rejected before they are decoded.")
]
SmallFaces = Annotated[
    bool,
    typer.Option(
        "--small-faces",
        help="Search in full size: finds faces half as wide, in about four times the time.",
    ),
]
