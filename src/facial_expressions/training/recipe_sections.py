"""The sections of a recipe: every field, its default and its range.

A new field's default leaves training as it was, so that recipes and run folders keep their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from facial_expressions.errors import RecipeError


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
        average_duplicates: Whether byte-identical training images share the mean of their
            targets, so that copies with two labels do not contradict each other.
        votes_in_labels: Share of each image's label that is replaced by what its FER+ votes say
            about labels (``data.ferplus.labels_from_votes``), 0 to 1; needs a ``ferplus_weight``.
    """

    protocol: str = "competition"
    average_duplicates: bool = False
    votes_in_labels: float = 0.0

    def __post_init__(self) -> None:
        names = ("competition", "kaggle", "folder")
        _check("data.protocol", self.protocol, ok=self.protocol in names, allowed=f"one of {names}")
        share = self.votes_in_labels
        _check("data.votes_in_labels", share, ok=0 <= share <= 1, allowed="0 to 1")


@dataclass(frozen=True, slots=True)
class NetworkRecipe:
    """Section ``[network]``.

    Attributes:
        architecture: A registered architecture.
        size: Side of a crop in pixels, 16 to 512.
        dropout: Fraction dropped before dense layers, 0 to below 1.
    """

    architecture: str = "standardized_cnn"
    size: int = 48
    dropout: float = 0.4

    def __post_init__(self) -> None:
        _check("network.size", self.size, ok=16 <= self.size <= 512, allowed="16 to 512")
        _check("network.dropout", self.dropout, ok=0 <= self.dropout < 1, allowed="0 to below 1")


@dataclass(frozen=True, slots=True)
class AugmentationRecipe:
    """Section ``[augmentation]``: ranges of the random changes to a training image.

    Attributes:
        flip: Probability of a mirror image, 0 to 1.
        rotation_degrees: Largest turn either way.
        shift_fraction: Largest shift either way, as a fraction of the side.
        scale_fraction: Largest change of size either way; 0.1 is 0.9 to 1.1.
        brightness: Largest change of brightness either way, as a fraction of full white.
        contrast: Largest change of contrast either way; 0.3 is 0.7 to 1.3.
        erase: Probability that a rectangle is overwritten with grey, 0 to 1.
        mixup: Parameter of the Beta distribution that two images and their targets are mixed by;
            0 is off (Zhang et al. 2018, arXiv:1710.09412).
        sizes: Sides in pixels that images are shrunk to at first, each for an equal share of the
            epochs; the last share is at ``network.size``. Empty: that size throughout. For networks
            that pool over the whole map (Tan and Le 2021, arXiv:2104.00298).
        blur: Probability of a Gaussian blur, 0 to 1.
        low_resolution: Probability that an image is shrunk and enlarged again, 0 to 1.
        low_light: Probability of a dark image, 0 to 1.
        noise: Probability of Gaussian noise, 0 to 1.
    """

    flip: float = 0.5
    rotation_degrees: float = 12.0
    shift_fraction: float = 0.1
    scale_fraction: float = 0.1
    brightness: float = 0.3
    contrast: float = 0.3
    erase: float = 0.0
    mixup: float = 0.0
    sizes: tuple[int, ...] = ()
    blur: float = 0.0
    low_resolution: float = 0.0
    low_light: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        ok = all(16 <= size <= 512 for size in self.sizes)
        _check("augmentation.sizes", self.sizes, ok=ok, allowed="sides of 16 to 512")
        for name in self.__slots__:
            if name != "sizes":
                high = 180 if name == "rotation_degrees" else 1
                value = getattr(self, name)
                _check(f"augmentation.{name}", value, ok=0 <= value <= high, allowed=f"0 to {high}")


@dataclass(frozen=True, slots=True)
class OptimizationRecipe:
    """Section ``[optimization]``.

    Attributes:
        epochs: Passes over the training images; the schedule always ends at 0.
        batch_size: Images a step.
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
    the very images that the network sees (Beyer et al. 2022, arXiv:2106.05237), or once for each.
    The teachers themselves are given to ``train``.

    Attributes:
        weight: Share of the teachers in the loss, 0 to 1; 0 is off.
        temperature: What the logits of both are divided by, 0.1 to 20.
        per_image: Whether the teachers answer once for each image, with the mean over the
            test-time views, rather than on the very images that the network sees.
    """

    weight: float = 0.0
    temperature: float = 2.0
    per_image: bool = False

    def __post_init__(self) -> None:
        _check("distillation.weight", self.weight, ok=0 <= self.weight <= 1, allowed="0 to 1")
        ok = 0.1 <= self.temperature <= 20
        _check("distillation.temperature", self.temperature, ok=ok, allowed="0.1 to 20")
