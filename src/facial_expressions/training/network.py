"""The network of a recipe: its architecture, its input, and its heads.

``heads_of`` is the one place where a head is added: network, targets, losses, validation and the
run's files go through its list. The first head is the architecture's own output; a further one
learns from the same features. Losses are of ``(targets, logits)``, one for each head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import keras
import numpy as np
from keras import layers, ops

from facial_expressions.architectures.registry import build_architecture, get_architecture
from facial_expressions.data.dataset import Floats, Images, Ints, Split
from facial_expressions.data.ferplus import Votes, labels_from_votes, strict_majority, vote_shares
from facial_expressions.errors import RecipeError
from facial_expressions.labels import FERPLUS, LabelSet
from facial_expressions.preprocessing import Preprocessing, to_batch
from facial_expressions.training.recipe import OptimizationRecipe, Recipe

_AT_ONCE: Final = 256


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """Return how the recipe's network wants its input."""
    channels = get_architecture(recipe.network.architecture).channels
    return Preprocessing(size=recipe.network.size, channels=channels)


def build_network(
    recipe: Recipe, heads: Mapping[str, LabelSet], *, any_size: bool = False
) -> keras.Model:
    """Return the recipe's network, untrained, with its initial weights drawn from the seed.

    Each further head is one linear layer over the features that the first one has. With
    ``any_size`` the sides of the input are open, for images of ``augmentation.sizes``, which only
    networks that pool over the map can take.

    Raises:
        RecipeError: The architecture cannot take images of the sizes asked for.
    """
    keras.utils.set_random_seed(recipe.run.seed)
    preprocessing = preprocessing_of(recipe)
    side = None if any_size else preprocessing.size
    network, (first, *further) = recipe.network, heads
    shape = (side, side, preprocessing.channels)
    try:
        n_classes, dropout = len(heads[first]), network.dropout
        model = build_architecture(network.architecture, shape, n_classes, dropout=dropout)
        for size in recipe.augmentation.sizes if any_size else ():
            model.compute_output_spec(keras.KerasTensor((1, size, size, preprocessing.channels)))
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"architecture {network.architecture!r}: cannot take images of size {network.size} "
            f"and sizes {list(recipe.augmentation.sizes)}: {error}. Leave augmentation.sizes "
            "empty, or give sizes that suit the network"
        ) from error
    if not further:
        return model
    features = model.layers[-1].input
    logits = [
        layers.Dense(len(heads[name]), dtype="float32", name=f"{name}_logits")(features)
        for name in further
    ]
    return keras.Model(model.inputs[0], [model.outputs[0], *logits], name=model.name)


def predict_logits(
    model: keras.Model, crops: Images | Floats, preprocessing: Preprocessing
) -> list[Floats]:
    """Return each head's logits, ``float32 (N, K)``, for grey crops of 0 to 255, ``(N, S, S)``."""
    chunks = []
    for start in range(0, len(crops), _AT_ONCE):
        inputs = to_batch(crops[start : start + _AT_ONCE], preprocessing)
        outputs = model.predict_on_batch(inputs)
        chunks.append(outputs if isinstance(outputs, list) else [outputs])
    return [
        np.concatenate([keras.ops.convert_to_numpy(one) for one in head]).astype(np.float32)
        for head in zip(*chunks, strict=True)
    ]


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
    targets: Callable[[Split, Votes], Floats]
    truth: Callable[[Split, Votes], Ints]
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

    def label_targets(split: Split, votes: Votes) -> Floats:
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


class SoftmaxBinaryCrossEntropy(keras.losses.Loss):
    """Binary cross-entropy over the softmax outputs, mean over classes.

    The original loss of 0.30 at 45% accuracy is of the size that this gives with seven outputs.
    Written out, because on TensorFlow Keras' own function takes the logits behind a softmax for
    those of a sigmoid.
    """

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each image, ``(N,)``, from distributions and logits ``(N, K)``."""
        p = ops.clip(ops.softmax(y_pred), 1e-7, 1 - 1e-7)
        return -ops.mean(y_true * ops.log(p) + (1 - y_true) * ops.log(1 - p), axis=-1)


class VotesCrossEntropy(keras.losses.Loss):
    """Cross-entropy with targets that need not sum to 1: a row of zeros has no say at all.

    Written out, because TensorFlow's own kernel takes every target for a distribution: for a row of
    zeros its loss is 0, as it should be, but its gradient pulls the logits together.
    """

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each image, ``(N,)``, from targets and logits ``(N, K)``."""
        return -ops.sum(y_true * ops.log_softmax(y_pred), axis=-1)


class Distillation(keras.losses.Loss):
    """``(1 - weight) * hard + weight * T**2 * KL(teacher || student)`` at temperature T.

    Hinton et al. 2015, arXiv:1503.02531. The targets are ``(N, 2 K)``: K columns for the loss
    ``hard``, then the teacher's K probabilities, already at temperature T.

    Args:
        hard: Loss of targets and logits ``(N, K)``.
        weight: Share of the teacher, 0 to 1.
        temperature: T, by which the student's logits are divided here.

    Examples:
        >>> loss = Distillation(VotesCrossEntropy(), weight=1.0, temperature=1.0)
        >>> logits = ops.zeros((1, 2))
        >>> float(loss(ops.convert_to_tensor([[1.0, 0.0, 0.5, 0.5]]), logits))  # they agree
        0.0
    """

    def __init__(self, hard: keras.losses.Loss, *, weight: float, temperature: float) -> None:
        super().__init__(name="distillation")
        self.hard, self.weight, self.temperature = hard, weight, temperature

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each image, ``(N,)``, from targets ``(N, 2 K)`` and logits."""
        n_classes = y_pred.shape[-1]
        teacher = y_true[..., n_classes:]
        student = ops.log_softmax(y_pred / self.temperature)
        apart = teacher * (ops.log(ops.maximum(teacher, 1e-12)) - student)
        soft = self.temperature**2 * ops.sum(apart, axis=-1)
        hard = self.hard.call(y_true[..., :n_classes], y_pred)
        return (1 - self.weight) * hard + self.weight * soft


def first_columns_accuracy() -> keras.metrics.Metric:
    """Return categorical accuracy where the targets' first columns are the labels."""

    def right(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        labels = y_true[..., : y_pred.shape[-1]]
        return keras.metrics.categorical_accuracy(labels, y_pred)

    return keras.metrics.MeanMetricWrapper(right, name="accuracy")
