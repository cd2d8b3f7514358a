"""The original network: a weight-standardised stem and four two-path stages, 6.19 M parameters.

The published table (layer names, order, output shapes, parameters) is reproduced row for row. Its
rows add up to 6,151,207 parameters while its stated total is 6,188,135; the difference of 36,928 is
exactly one 3x3 convolution 64 -> 64 at 8x8, and the numbering skips ``conv2d_8``. That row is put
back here, and with it every total agrees: 6,188,135 parameters, 6,185,831 trainable, 2,304 not.

Keras prints a functional model by depth and numbers layers by creation, which gives the wiring
away:

* stem: standardised 3x3 convolution of stride 3, batch normalisation: 48x48 -> 16x16;
* four stages, each a *main path* of 3x3 convolutions closed by 2x2 max pooling, a *branch* of one
  3x3 convolution and one 3x3 convolution of stride 2, and a *shortcut*, a 1x1 convolution of
  stride 4 that arrives one stage later;
* ``Final_Layer`` (3x3, 512), batch normalisation, dense 1024, dense K.

Two edges are open in the table. The rule chosen, and kept: a branch forks off before the main
path's last convolution; a shortcut forks off after it, before the pooling.

Weight standardisation: Qiao et al. 2019, https://arxiv.org/abs/1903.10520.
"""

from __future__ import annotations

from typing import Final

import keras
import numpy as np
from keras import layers, ops

from facial_expressions.architectures.direct_layers import DirectConv2D, FusedBatchNormalization
from facial_expressions.architectures.registry import register_architecture


@keras.saving.register_keras_serializable(package="facial_expressions")
class StandardizedConv2D(layers.Conv2D):
    """2D convolution whose kernel is standardised before use.

    Each output channel's kernel is shifted to mean 0 and scaled to variance 1 over its height,
    width and input channels: ``w = (v - mean(v)) / sqrt(var(v) + epsilon)``. Differences from the
    paper: no learned gain, and the small constant stands under the root. Other arguments are those
    of ``keras.layers.Conv2D``.

    Input shape: ``(N, H, W, C)``. Output shape: ``(N, H', W', filters)``.

    Examples:
        >>> layer = StandardizedConv2D(32, 3, strides=3, padding="same")
        >>> tuple(layer(keras.ops.ones((2, 48, 48, 3))).shape)
        (2, 16, 16, 32)
    """

    def __init__(self, *arguments: object, epsilon: float = 1e-5, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.epsilon = epsilon

    def standardized_kernel(self) -> keras.KerasTensor:
        """Return the kernel in use, ``(kh, kw, C, filters)``: mean 0, variance 1 per filter."""
        kernel = self.kernel
        mean = ops.mean(kernel, axis=(0, 1, 2), keepdims=True)
        variance = ops.mean(ops.square(kernel - mean), axis=(0, 1, 2), keepdims=True)
        return (kernel - mean) * ops.rsqrt(variance + self.epsilon)

    def convolution_op(
        self, inputs: keras.KerasTensor, kernel: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Convolve ``inputs`` with the standardised kernel."""
        return super().convolution_op(inputs, self.standardized_kernel())

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments, so that a saved network can be rebuilt."""
        return {**super().get_config(), "epsilon": self.epsilon}


_SUMS: Final = (
    [[1, 1], [0, 1], [1, 0]],  # of pixels
    [[0, 1, 0], [0, -1, 1], [1, -1, 0]],  # of taps
    [[1, 1, 0], [1, 0, 1]],  # of their products
)
"""Along each side ``k1 x0 + k2 x1`` and ``k0 x0 + k1 x1`` are ``k1 (x0 + x1)`` and either
``(k2 - k1) x1`` or ``(k0 - k1) x0``: three products, not four (Winograd 1980)."""


@keras.saving.register_keras_serializable(package="facial_expressions")
class SmallMapConv2D(DirectConv2D):
    """``keras.layers.Conv2D`` that multiplies less where the map is at most 2x2.

    Same variables, same result. On so small a map a padded 3x3 convolution mostly multiplies
    padding: 16 of its 36 products touch a 2x2 map, and 9 do; one of nine touches a 1x1 map.

    Input shape: ``(N, H, W, C)``. Output shape: ``(N, H', W', filters)``.

    Examples:
        >>> tuple(SmallMapConv2D(8, 3, padding="same")(keras.ops.ones((5, 2, 2, 4))).shape)
        (5, 2, 2, 8)
    """

    def convolution_op(
        self, inputs: keras.KerasTensor, kernel: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Convolve ``inputs`` with ``kernel``."""
        if self.kernel_size == (1, 1):  # a pooling of one pixel leaves what the stride leaves
            return ops.conv(ops.max_pool(inputs, 1, self.strides), kernel)
        (height, width, channels), (down, across) = inputs.shape[1:], self.strides
        one, four = height <= down and width <= across, height == width == 2 > max(self.strides)
        fits = self.kernel_size == (3, 3) and self.padding == "same" and max(height, width) <= 2
        if not fits or not (one or four):
            return super().convolution_op(inputs, kernel)
        taps = ops.reshape(kernel, (9, channels * self.filters))
        if one:
            rows = [3 * y + x for y in range(2 - height, 2) for x in range(2 - width, 2)]
            matrix = ops.reshape(ops.take(taps, rows, axis=0), (-1, self.filters))
            outputs = ops.matmul(ops.reshape(inputs, (-1, matrix.shape[0])), matrix)
            return ops.reshape(outputs, (-1, 1, 1, self.filters))
        of_pixels, of_taps, of_products = (ops.cast(np.kron(s, s), taps.dtype) for s in _SUMS)
        pixels = ops.reshape(ops.transpose(inputs, (1, 2, 0, 3)), (4, -1))
        pixels = ops.reshape(ops.matmul(of_pixels, pixels), (9, -1, channels))
        taps = ops.reshape(ops.matmul(of_taps, taps), (9, channels, self.filters))
        products = ops.reshape(ops.matmul(pixels, taps), (9, -1))
        outputs = ops.reshape(ops.matmul(of_products, products), (2, 2, -1, self.filters))
        return ops.transpose(outputs, (2, 0, 1, 3))


def _small_uniform() -> keras.initializers.Initializer:
    """Return the initialiser of every kernel: uniform, variance 1 / (3 * fan in).

    The network has few normalisation layers: from He's six times larger variance the first logits
    are so far off that epochs are lost (measured: 29 against 21% right after 120 steps).
    """
    return keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")


def _conv(
    x: keras.KerasTensor, filters: int, name: str, *, size: int = 3, strides: int = 1
) -> keras.KerasTensor:
    return SmallMapConv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        activation="relu",
        kernel_initializer=_small_uniform(),
        name=name,
    )(x)


_STAGES: Final = (
    (32, 32, ("conv2d", "conv2d_1"), "conv2d_2", ("conv2d_3", "conv2d_4")),
    (64, 64, ("conv2d_5", "conv2d_6", "BeforeFinal_Layer"), "conv2d_7", ("conv2d_8", "conv2d_9")),
    (128, 128, ("conv2d_10", "conv2d_11", "conv2d_12"), "conv2d_13", ("conv2d_14", "conv2d_15")),
    (256, 64, ("conv2d_16", "conv2d_17", "conv2d_18"), "", ("conv2d_19", "conv2d_20")),
)
"""For each stage filters, those of the branch, and names: main path, shortcut, branch."""


def _stage(
    x: keras.KerasTensor, arriving: keras.KerasTensor | None, index: int
) -> tuple[keras.KerasTensor, keras.KerasTensor | None]:
    """Add a stage to ``x``; return its output and the shortcut it sends one stage further."""
    filters, branch_filters, main, shortcut, (first, second) = _STAGES[index]
    suffix, fork = f"_{index}" if index else "", x
    for name in main:
        fork, x = x, _conv(x, filters, name)
    leaving = _conv(x, 32, shortcut, size=1, strides=4) if shortcut else None
    side = _conv(fork, branch_filters, first)
    side = _conv(side, filters, second, strides=2)
    if index >= 2:
        side = FusedBatchNormalization(name=f"batch_normalization_{index + 1}")(side)
    x = layers.MaxPooling2D(2, name=f"max_pooling2d{suffix}")(x)
    paths = [x, side] if arriving is None else [x, side, arriving]
    return layers.Concatenate(name=f"concatenate{suffix}")(paths), leaving


@register_architecture("standardized_cnn", channels=3)
def standardized_cnn(
    input_shape: tuple[int, int, int], n_classes: int, *, dropout: float = 0.5
) -> keras.Model:
    """Build the original network, untrained; it maps scaled crops to logits.

    Args:
        input_shape: ``(48, 48, 3)`` for the published totals; any ``(H, W, C)`` of at least 48
            pixels builds.
        n_classes: Length of the label set, K.
        dropout: Fraction dropped before each of the two dense layers, 0 to 1.

    Returns:
        A functional model ``(N, H, W, C) float32 -> (N, K) float32``.

    Examples:
        >>> standardized_cnn((48, 48, 3), 7).count_params()
        6188135
    """
    inputs = layers.Input(input_shape, name="input_layer")
    x = StandardizedConv2D(
        32,
        3,
        strides=3,
        padding="same",
        activation="relu",
        kernel_initializer=_small_uniform(),
        name="standardized_conv2d",
    )(inputs)
    x = FusedBatchNormalization(name="batch_normalization")(x)
    shortcut = None
    for index in range(len(_STAGES)):
        if index in (1, 2):
            x = FusedBatchNormalization(name=f"batch_normalization_{index}")(x)
        x, shortcut = _stage(x, shortcut, index)
    x = _conv(x, 512, "Final_Layer")
    x = FusedBatchNormalization(name="batch_normalization_5")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(1024, activation="relu", kernel_initializer=_small_uniform(), name="dense")(x)
    x = layers.Dropout(dropout, name="dropout_1")(x)
    logits = layers.Dense(
        n_classes, dtype="float32", kernel_initializer=_small_uniform(), name="dense_1"
    )(x)
    return keras.Model(inputs, logits, name="standardized_cnn")
