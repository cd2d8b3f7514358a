"""What a recipe learns from, for the verbs that train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facial_expressions.data.dataset import Dataset
    from facial_expressions.training.recipe import Recipe


def load_training_data(
    recipe: Recipe,
    data: Path,
    *,
    ferplus: Path | None,
    competition: Path | None,
    allow_partial: bool,
) -> tuple[Dataset, dict[str, NDArray[np.uint8]] | None]:
    """Load what a recipe learns from: the data set, and the FER+ votes if it has such a head.

    Args:
        recipe: The recipe.
        data: The data set's file or folder.
        ferplus: The FER+ file.
        competition: The competition file, which gives images of the Kaggle layout their votes.
        allow_partial: Whether images of FER-2013 may be missing.
    """
    from facial_expressions.data import load_dataset
    from facial_expressions.data.ferplus import ferplus_votes

    dataset = load_dataset(
        data, protocol=recipe.data.protocol, seed=recipe.run.seed, allow_partial=allow_partial
    )
    if ferplus is None or recipe.optimization.ferplus_weight == 0:
        return dataset, None
    return dataset, ferplus_votes(dataset, ferplus, competition=competition)
