"""The heads of a network that is trained: what each learns, and what it is measured against.

``heads_of`` is the one place where a head is added: network, targets, losses, validation and the
run's files go through its list. The first head is the architecture's own output; a further one
learns from the same features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.data.ferplus import labels_from_votes, strict_majority, vote_shares
from facial_expressions.labels import FERPLUS, LabelSet
from facial_expressions.training.losses import SoftmaxBinaryCrossEntropy, VotesCrossEntropy
from facial_expressions.training.recipe import OptimizationRecipe, Recipe

Votes = Mapping[str, NDArray[np.uint8]]
"""For each split the FER+ votes on its images, as ``data.ferplus_votes`` returns them."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingHead:
    """One head.

    Attributes:
        name: Its name in histories, run folders and model files.
        labels: Its label set.
        loss: Loss of ``(targets, logits)``, without teachers.
        weight: Of that loss in the sum over heads, above 0.
        targets: Returns what it learns from the images of a split, given the votes: a distribution
            over the label set each, ``float32 (N, K)``; a row of zeros has no say.
        truth: Returns the label ids that its answers are measured against, ``int64 (N,)``; -1 where
            there is none.
        needs_votes: Whether it learns from FER+ votes.
    """

    name: str
    labels: LabelSet
    loss: keras.losses.Loss
    weight: float
    targets: Callable[[Split, Votes], NDArray[np.float32]]
    truth: Callable[[Split, Votes], NDArray[np.int64]]
    needs_votes: bool = False


def heads_of(recipe: Recipe, labels: LabelSet) -> tuple[TrainingHead, ...]:
    """Return the heads of a recipe's network, the architecture's own first.

    The FER+ head learns the votes as they are: they are soft already, so nothing smooths them, and
    an image without votes has an all-zero target, which has no say. The data set's label set gives
    the first head its name.

    Examples:
        >>> from facial_expressions.labels import FER2013
        >>> recipe = Recipe.from_dict({"optimization": {"ferplus_weight": 0.5}})
        >>> [head.name for head in heads_of(recipe, FER2013)]
        ['fer2013', 'ferplus']
    """
    share = recipe.data.votes_in_labels

    def label_targets(split: Split, votes: Votes) -> NDArray[np.float32]:
        plain = np.eye(len(labels), dtype=np.float32)[split.labels]
        if share == 0:
            return plain
        said = labels_from_votes(vote_shares(votes[split.name], FERPLUS), plain)
        return np.asarray((1 - share) * plain + share * said)

    loss = _label_loss(recipe.optimization)
    heads = [
        TrainingHead(
            labels.name,
            labels,
            loss,
            1.0,
            targets=label_targets,
            truth=lambda split, votes: split.labels,
        )
    ]
    if recipe.optimization.ferplus_weight > 0:
        heads.append(
            TrainingHead(
                FERPLUS.name,
                FERPLUS,
                VotesCrossEntropy(),
                recipe.optimization.ferplus_weight,
                targets=lambda split, votes: vote_shares(votes[split.name], FERPLUS),
                truth=lambda split, votes: strict_majority(votes[split.name], FERPLUS),
                needs_votes=True,
            )
        )
    return tuple(heads)


def label_sets_of(recipe: Recipe, labels: LabelSet) -> dict[str, LabelSet]:
    """Return the label set of each head of a recipe's network by the head's name, in order."""
    return {head.name: head.labels for head in heads_of(recipe, labels)}


def _label_loss(recipe: OptimizationRecipe) -> keras.losses.Loss:
    if recipe.loss == "binary_cross_entropy":
        return SoftmaxBinaryCrossEntropy()
    return keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=recipe.label_smoothing
    )
