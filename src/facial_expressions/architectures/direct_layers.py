"""Keras layers that reach TensorFlow's own kernels without detours.

Keras composes ``BatchNormalization`` from elementwise operations, which on a processor took a third
of a training step of the compact network; TensorFlow has one kernel for it. Its weight gradient of
a convolution in bfloat16 is slow on small maps, where another convolution gives the same. On JAX
and PyTorch both layers are Keras' own.
"""

from __future__ import annotations

from typing import Any, Final

import keras
from keras import layers

_SMALL_MAP: Final = 8
"""Side up to which TensorFlow's own weight gradient in bfloat16 is the slower one."""


@keras.saving.register_keras_serializable(package="facial_expressions")
class FusedBatchNormalization(layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` over the last axis, in one kernel of TensorFlow.

    Same variables, same result (Ioffe and Szegedy 2015, arXiv:1502.03167); the moving variance is
    Keras' one, of the whole batch and without Bessel's correction. On another backend, and but for
    training with gain and offset, it is Keras' layer unchanged.

    Input shape and output shape: ``(N, H, W, C)``.

    Examples:
        >>> layer = FusedBatchNormalization()
        >>> tuple(layer(keras.ops.ones((2, 4, 4, 3)), training=True).shape)
        (2, 4, 4, 3)
    """

    def call(
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,
        mask: keras.KerasTensor | None = None,
    ) -> keras.KerasTensor:
        """Normalise ``inputs``; in training by the batch, which also moves the statistics."""
        known = self.compute_dtype in {"float32", "bfloat16"} and self.scale and self.center
        fusable = known and keras.backend.backend() == "tensorflow" and mask is None
        if not (training and self.trainable and fusable) or isinstance(inputs, keras.KerasTensor):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        n = tf.cast(tf.size(inputs), tf.float32) / inputs.shape[-1]
        variance = variance * (n - 1) / n  # TensorFlow divides by n - 1
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving.value * self.momentum + now * (1 - self.momentum))
        return outputs


@keras.saving.register_keras_serializable(package="facial_expressions")
class DirectConv2D(layers.Conv2D):
    """``keras.layers.Conv2D``, faster in bfloat16 on small maps.

    Same variables, same result. On TensorFlow in bfloat16 its weight gradient on maps of at most
    8x8 is a convolution forwards. On another backend, and for groups, dilation or a padding other
    than ``same``, it is Keras' layer unchanged.

    Input shape: ``(N, H, W, C)``. Output shape: ``(N, ceil(H / stride), ceil(W / stride), F)``.

    Examples:
        >>> tuple(DirectConv2D(8, 3, padding="same")(keras.ops.ones((2, 4, 4, 3))).shape)
        (2, 4, 4, 8)
    """

    def convolution_op(
        self, inputs: keras.KerasTensor, kernel: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Convolve ``inputs`` with ``kernel``."""
        in_bfloat16 = self.compute_dtype == "bfloat16" and keras.backend.backend() == "tensorflow"
        plain = self.padding == "same" and self.groups == 1 and max(self.dilation_rate) == 1
        small = all(side is not None and side <= _SMALL_MAP for side in inputs.shape[1:3])
        slow = in_bfloat16 and plain and small and max(self.kernel_size) > 1
        if not slow or isinstance(inputs, keras.KerasTensor):
            return super().convolution_op(inputs, kernel)
        return _convolve_in_tensorflow(inputs, kernel, self.strides)


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many pixels the padding ``same`` puts before and after one side.

    Examples:
        >>> same_padding(48, 5, 4)
        (0, 1)
    """
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def _convolve_in_tensorflow(
    inputs: keras.KerasTensor, kernel: keras.KerasTensor, strides: tuple[int, int]
) -> keras.KerasTensor:
    """Convolve, with a weight gradient that is itself a convolution forwards.

    Pixels of the batch's images are summed over as channels are: the gradient is the padded input
    convolved with the gradient of the output, whose pixels lie a stride apart.
    """
    import tensorflow as tf

    steps = [1, *strides, 1]

    def convolve(x: Any, weight: Any) -> tuple[Any, Any]:  # noqa: ANN401 - TensorFlow has no types
        def gradients(upstream: Any) -> tuple[Any, Any]:  # noqa: ANN401
            to_input = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x),
                filter=weight,
                out_backprop=upstream,
                strides=steps,
                padding="SAME",
            )
            turned = tf.transpose(x, (3, 1, 2, 0))  # here, so that convolutions of one map share it
            # Without a way from the weights to their gradient, TensorFlow's optimiser of graphs may
            # let a step change them before the line above has read them.
            with tf.control_dependencies([weight]):
                to_weight = tf.nn.conv2d(
                    turned,
                    tf.transpose(upstream, (1, 2, 0, 3)),
                    strides=1,
                    padding=[
                        [0, 0],
                        *map(same_padding, x.shape[1:3], weight.shape[:2], strides),
                        [0, 0],
                    ],
                    dilations=strides,
                )
            return to_input, tf.transpose(to_weight, (1, 2, 0, 3))

        return tf.nn.conv2d(x, weight, steps, "SAME"), gradients

    return tf.custom_gradient(convolve)(inputs, tf.convert_to_tensor(kernel))
