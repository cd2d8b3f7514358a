"""The compact network: a residual network for 48-pixel faces, small and exactly explainable.

Designed for a processor: the stem halves the side at once (at full side every layer would cost
four times as much), three stages of dense 3x3 residual blocks follow at 24, 12 and 6 pixels. Most
of the work is at 12 and 6 pixels, where the layers are wide enough for convolutions to run near a
processor's peak (at 24 pixels and 48 channels they reach about two thirds of it).
Squeeze-excitation stands in the last stage only. The logits are one linear layer over the mean of
the last map, which makes the class activation map exact: the mean of a class's map plus its bias
is its logit. 137 million multiply-adds for a crop of 48 pixels, 2.2 million parameters.

Residual blocks: He et al. 2016, arXiv:1512.03385. Squeeze-excitation: Hu et al. 2018,
arXiv:1709.01507. Average pooling in the shortcut: He et al. 2019, arXiv:1812.01187. Class
activation maps: Zhou et al. 2016, arXiv:1512.04150.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import keras
from keras import layers

from facial_expressions.architectures.direct_layers import DirectConv2D, FusedBatchNormalization
from facial_expressions.architectures.registry import register_architecture

_STEM_FILTERS: Final = 16
_STAGES: Final = ((48, 1, 1, False), (96, 2, 2, False), (192, 3, 2, True))
"""For each stage filters, blocks, stride of its first block, squeeze-excitation."""

_WIDE_STAGES: Final = ((64, 1, 1, False), (128, 3, 2, False), (256, 4, 2, True))
"""The same for the wide network, of which the compact one is a part: channels and blocks more."""

_SQUEEZE: Final = 8


def _conv_norm(
    x: keras.KerasTensor, filters: int, name: str, *, size: int = 3, strides: int = 1, last: int = 0
) -> keras.KerasTensor:
    """Convolve and normalise; ``last`` closes a block, whose scale then starts from zero."""
    x = DirectConv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    gamma = "zeros" if last else "ones"
    return FusedBatchNormalization(momentum=0.97, gamma_initializer=gamma, name=f"{name}_norm")(x)


def _excite(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Weigh each channel by what the whole map holds."""
    weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    weights = layers.Conv2D(filters // _SQUEEZE, 1, activation="relu", name=f"{name}_reduce")(
        weights
    )
    weights = layers.Conv2D(filters, 1, activation="sigmoid", name=f"{name}_excite")(weights)
    return layers.Multiply(name=f"{name}_scale")([x, weights])


def _block(
    x: keras.KerasTensor, filters: int, name: str, *, strides: int, excite: bool
) -> keras.KerasTensor:
    """Add one residual block: two 3x3 convolutions beside a shortcut."""
    y = _conv_norm(x, filters, f"{name}_1", strides=strides)
    y = layers.ReLU(name=f"{name}_1_relu")(y)
    y = _conv_norm(y, filters, f"{name}_2", last=1)
    if excite:
        y = _excite(y, filters, name)
    if strides > 1:
        x = layers.AveragePooling2D(strides, name=f"{name}_pool")(x)
    if x.shape[-1] != filters:
        x = _conv_norm(x, filters, f"{name}_shortcut", size=1)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


@register_architecture("compact_resnet", channels=1)
def compact_resnet(
    input_shape: tuple[int | None, int | None, int],
    n_classes: int,
    *,
    dropout: float = 0.2,
    wide: bool = False,
) -> keras.Model:
    """Build the compact network, untrained; it maps scaled grey crops to logits.

    Args:
        input_shape: ``(48, 48, 1)`` as shipped; any sides that 8 divides, or None for sides that
            differ from call to call.
        n_classes: Length of the label set, K.
        dropout: Fraction of the pooled features dropped, 0 to 1.
        wide: A third more channels and two blocks more: 327 million multiply-adds for a crop of 48
            pixels, 5.4 million parameters. Trained weights of the compact one can start it: what it
            has more then changes nothing at first.

    Returns:
        A functional model ``(N, H, W, 1) float32 -> (N, K) float32``.

    Examples:
        >>> compact_resnet((48, 48, 1), 7).count_params() < 2_500_000
        True
        >>> compact_resnet((48, 48, 1), 7, wide=True).count_params() < 5_500_000
        True
    """
    stages = _WIDE_STAGES if wide else _STAGES
    inputs = layers.Input(input_shape, name="input_layer")
    x = layers.ReLU(name="stem_1_relu")(_conv_norm(inputs, _STEM_FILTERS, "stem_1"))
    x = layers.ReLU(name="stem_2_relu")(_conv_norm(x, stages[0][0], "stem_2", strides=2))
    for stage, (filters, blocks, strides, excite) in enumerate(stages, start=1):
        for block in range(blocks):
            name, step = f"stage{stage}_{block + 1}", strides if block == 0 else 1
            x = _block(x, filters, name, strides=step, excite=excite)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(n_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="compact_resnet_wide" if wide else "compact_resnet")


register_architecture("compact_resnet_wide", channels=1)(partial(compact_resnet, wide=True))
