"""The sections of a recipe: every field, its default and its range.

A new field's default leaves training as it was, so that recipes and run folders keep their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from facial_expressions.errors import RecipeError

__all__ = [
    "AugmentationRecipe",
    "DataRecipe",
    "DistillationRecipe",
    "NetworkRecipe",
    "OptimizationRecipe",
    "RunRecipe",
]


def _check(name: str, value: object, *, ok: bool, allowed: str) -> None:
    if not ok:
        raise RecipeError(f"recipe value {name} is out of range; received {value!r}; use {allowed}")


@dataclass(frozen=True, slots=True)
class RunRecipe:
    """Section ``[run]``.

    Attributes:
        name: Name of the model that the run makes; letters, digits and hyphens.
        seed: Seed of weights, order, augmentation and dropout, 0 to 2**31 - 1.
    """

    name: str = "standardized-cnn"
    seed: int = 1

    def __post_init__(self) -> None:
        ok = bool(self.name) and all(c.isascii() and (c.isalnum() or c == "-") for c in self.name)
        _check("run.name", self.name, ok=ok, allowed="letters, digits and hyphens")
        _check("run.seed", self.seed, ok=0 <= self.seed < 2**31, allowed="0 to 2147483647")


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """Section ``[data]``.

    Attributes:
        protocol: ``competition`` (28,709 / 3,589 / 3,589) or ``kaggle`` (22,968 / 5,741 / 7,178),
            or ``folder`` for class folders of one's own.
        average_duplicates: Whether byte-identical training pictures share the mean of their
            targets, so that copies with two labels do not contradict each other.
        folds: Parts that the training pictures are divided into, 1 to 20; copies of a picture are
            in one part. 1 divides nothing.
        fold: The part that this run does not learn from, from 0 to ``folds - 1``; a network trained
            without a part can teach it (``distillation.out_of_fold``). Ignored when ``folds`` is 1.
        balance: How far classes are sampled alike, 0 to 1: 0 shows every picture once an epoch; 1
            gives every class the same share of an epoch, which stays as long; between, shares go
            by the class's count to the power ``1 - balance`` (0.5 is square-root sampling).
        votes_in_labels: Share of each picture's label that is replaced by what its FER+ votes say
            about labels (``data.ferplus.labels_from_votes``), 0 to 1; needs a ``ferplus_weight``.
    """

    protocol: str = "competition"
    average_duplicates: bool = False
    folds: int = 1
    fold: int = 0
    balance: float = 0.0
    votes_in_labels: float = 0.0

    def __post_init__(self) -> None:
        names = ("competition", "kaggle", "folder")
        _check("data.protocol", self.protocol, ok=self.protocol in names, allowed=f"one of {names}")
        _check("data.folds", self.folds, ok=1 <= self.folds <= 20, allowed="1 to 20")
        ok = 0 <= self.fold < self.folds
        _check("data.fold", self.fold, ok=ok, allowed=f"0 to {self.folds - 1}, below data.folds")
        for name in ("balance", "votes_in_labels"):
            value = getattr(self, name)
            _check(f"data.{name}", value, ok=0 <= value <= 1, allowed="0 to 1")


@dataclass(frozen=True, slots=True)
class NetworkRecipe:
    """Section ``[network]``.

    Attributes:
        architecture: A registered architecture.
        size: Side of a crop in pixels, 16 to 512.
        mean: Subtracted from grey values scaled to 0..1.
        std: Divided by, after that; above 0.
        dropout: Fraction dropped before dense layers, 0 to below 1.
    """

    architecture: str = "standardized_cnn"
    size: int = 48
    mean: float = 0.5
    std: float = 0.25
    dropout: float = 0.4

    def __post_init__(self) -> None:
        _check("network.size", self.size, ok=16 <= self.size <= 512, allowed="16 to 512")
        _check("network.std", self.std, ok=self.std > 0, allowed="a number above 0")
        _check("network.dropout", self.dropout, ok=0 <= self.dropout < 1, allowed="0 to below 1")


@dataclass(frozen=True, slots=True)
class AugmentationRecipe:
    """Section ``[augmentation]``: ranges of the random changes to a training picture.

    Attributes:
        flip: Probability of a mirror image, 0 to 1.
        rotation_degrees: Largest turn either way.
        shift_fraction: Largest shift either way, as a fraction of the side.
        scale_fraction: Largest change of size either way; 0.1 is 0.9 to 1.1.
        brightness: Largest change of brightness either way, as a fraction of full white.
        contrast: Largest change of contrast either way; 0.3 is 0.7 to 1.3.
        erase: Probability that a rectangle is overwritten with grey, 0 to 1.
        erase_fraction: Longest side of that rectangle, as a fraction of the side.
        mixup: Parameter of the Beta distribution that two pictures and their targets are mixed by;
            0 is off (Zhang et al. 2018, arXiv:1710.09412).
        sizes: Sides in pixels that pictures are shrunk to at first, each for an equal share of the
            epochs; the last share is at ``network.size``. Empty: that size throughout. For networks
            that pool over the whole map (Tan and Le 2021, arXiv:2104.00298).
        blur: Probability of a Gaussian blur, 0 to 1.
        blur_sigma: Largest standard deviation of that blur, in forty-eighths of the side (pixels of
            a picture of 48), 0 to 8.
        low_resolution: Probability that a picture is shrunk and enlarged again, 0 to 1.
        low_resolution_factor: Largest reduction, 1 to 8; 2 is half the side.
        low_light: Probability of a dark picture, 0 to 1.
        low_light_gamma: Largest power that grey values in 0..1 are raised to in the dark, 1 to 5.
        low_light_darkening: Largest share of the light that is then lost, 0 to 0.95.
        noise: Probability of Gaussian noise, 0 to 1.
        noise_std: Largest standard deviation of the noise, as a fraction of full white, 0 to 1.
    """

    flip: float = 0.5
    rotation_degrees: float = 12.0
    shift_fraction: float = 0.1
    scale_fraction: float = 0.1
    brightness: float = 0.3
    contrast: float = 0.3
    erase: float = 0.0
    erase_fraction: float = 0.35
    mixup: float = 0.0
    sizes: tuple[int, ...] = ()
    blur: float = 0.0
    blur_sigma: float = 1.5
    low_resolution: float = 0.0
    low_resolution_factor: float = 3.0
    low_light: float = 0.0
    low_light_gamma: float = 2.0
    low_light_darkening: float = 0.5
    noise: float = 0.0
    noise_std: float = 0.08

    def __post_init__(self) -> None:
        ok = all(16 <= size <= 512 for size in self.sizes)
        _check("augmentation.sizes", self.sizes, ok=ok, allowed="sides of 16 to 512")
        for name in self.__slots__:
            if name == "sizes":
                continue
            low, high = _AUGMENTATION_RANGES.get(name, (0.0, 1.0))
            value = getattr(self, name)
            ok = low <= value <= high
            _check(f"augmentation.{name}", value, ok=ok, allowed=f"{low:g} to {high:g}")


_AUGMENTATION_RANGES: Final = {
    "rotation_degrees": (0.0, 180.0),
    "blur_sigma": (0.0, 8.0),
    "low_resolution_factor": (1.0, 8.0),
    "low_light_gamma": (1.0, 5.0),
    "low_light_darkening": (0.0, 0.95),
}
"""Ranges other than 0 to 1."""


@dataclass(frozen=True, slots=True)
class OptimizationRecipe:
    """Section ``[optimization]``.

    Attributes:
        epochs: Passes over the training pictures; the schedule always ends at 0.
        batch_size: Pictures a step.
        optimizer: ``adamw`` or ``sgd`` (Nesterov momentum 0.9).
        learning_rate: Peak of the schedule.
        warmup_epochs: Epochs of linear rise from 0 to the peak.
        weight_decay: Decoupled decay of kernels; not of biases or normalisation.
        loss: ``cross_entropy``, or ``binary_cross_entropy`` over the softmax outputs.
        label_smoothing: Share of each target spread over all classes, 0 to below 1.
        class_weights: ``none``, or ``balanced`` (weights of N / (K * count)).
        ferplus_weight: Weight of the loss of a second head that learns the FER+ votes; 0 is off.
        ema: Momentum of the averaged weights, which are what is validated and saved; 0 is off.
        precision: ``auto`` (bfloat16 where the hardware has it), ``float32`` or ``mixed_bfloat16``.
        views: Versions of each picture in a step, each changed in its own way, 1 to 16; the network
            then takes ``batch_size * views`` inputs a step (Hoffer et al. 2020, arXiv:1901.09335).
    """

    epochs: int = 50
    batch_size: int = 128
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    warmup_epochs: float = 1.0
    weight_decay: float = 0.05
    loss: str = "cross_entropy"
    label_smoothing: float = 0.1
    class_weights: str = "none"
    ferplus_weight: float = 0.0
    ema: float = 0.998
    precision: str = "auto"
    views: int = 1

    def __post_init__(self) -> None:
        choices = {
            "optimizer": ("adamw", "sgd"),
            "loss": ("cross_entropy", "binary_cross_entropy"),
            "class_weights": ("none", "balanced"),
            "precision": ("auto", "float32", "mixed_bfloat16"),
        }
        for name, allowed in choices.items():
            value = getattr(self, name)
            _check(f"optimization.{name}", value, ok=value in allowed, allowed=f"one of {allowed}")
        for name, low, high in (
            ("epochs", 1, 100_000),
            ("batch_size", 1, 65_536),
            ("views", 1, 16),
            ("learning_rate", 1e-12, 100),
            ("warmup_epochs", 0, self.epochs),
            ("weight_decay", 0, 10),
            ("label_smoothing", 0, 0.999),
            ("ferplus_weight", 0, 10),
            ("ema", 0, 0.999999),
        ):
            value = getattr(self, name)
            _check(
                f"optimization.{name}", value, ok=low <= value <= high, allowed=f"{low} to {high}"
            )


@dataclass(frozen=True, slots=True)
class DistillationRecipe:
    """Section ``[distillation]``: learning from the answers of other networks.

    The loss is ``(1 - weight) * hard + weight * temperature**2 * KL(teachers || network)``, both
    distributions at ``temperature`` (Hinton et al. 2015, arXiv:1503.02531); the teachers answer on
    the very pictures that the network sees (Beyer et al. 2022, arXiv:2106.05237), or once for each.
    The teachers themselves are given to ``train``.

    Attributes:
        weight: Share of the teachers in the loss, 0 to 1; 0 is off.
        temperature: What the logits of both are divided by, 0.1 to 20.
        out_of_fold: Whether a picture learns only from teachers that were trained without its part
            of the data (``data.folds``), so that nothing they memorised is passed on.
        per_picture: Whether the teachers answer once for each picture, with the mean over the
            test-time views, rather than on the very pictures that the network sees.
    """

    weight: float = 0.0
    temperature: float = 2.0
    out_of_fold: bool = False
    per_picture: bool = False

    def __post_init__(self) -> None:
        _check("distillation.weight", self.weight, ok=0 <= self.weight <= 1, allowed="0 to 1")
        ok = 0.1 <= self.temperature <= 20
        _check("distillation.temperature", self.temperature, ok=ok, allowed="0.1 to 20")
