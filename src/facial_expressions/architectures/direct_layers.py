"""Keras layers that reach PyTorch's own kernels without detours when PyTorch is the backend.

Keras composes ``BatchNormalization`` from elementwise operations, which on a processor took a third
of a training step of the compact network, and in bfloat16 more than half of an answer's time;
PyTorch has one kernel for it. Keras copies the input of every convolution to channels-first order
and back, a tenth of a step.
"""

from __future__ import annotations

import keras
from keras import layers

__all__ = ["DirectConv2D", "FusedBatchNormalization"]


@keras.saving.register_keras_serializable(package="facial_expressions")
class FusedBatchNormalization(layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` over the last axis, by PyTorch's own kernel there.

    Same variables, same result (Ioffe and Szegedy 2015, arXiv:1502.03167); the moving variance is
    Keras' one, of the whole batch and without Bessel's correction. On TensorFlow and JAX it is
    Keras' layer unchanged.

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
        fused = keras.backend.backend() == "torch" and mask is None
        if not fused or isinstance(inputs, keras.KerasTensor):
            return super().call(inputs, training=training, mask=mask)
        import torch

        if not (training and self.trainable):
            outputs = torch.nn.functional.batch_norm(
                inputs.permute(0, 3, 1, 2),
                self.moving_mean.value,
                self.moving_variance.value,
                self.gamma.value if self.scale else None,
                self.beta.value if self.center else None,
                eps=self.epsilon,
            )
            return outputs.permute(0, 2, 3, 1)
        outputs, mean, inverse = torch.native_batch_norm(
            inputs.permute(0, 3, 1, 2),
            self.gamma.value if self.scale else None,
            self.beta.value if self.center else None,
            None,
            None,
            True,
            0.0,
            self.epsilon,
        )
        with torch.no_grad():
            variance = inverse.square().reciprocal() - self.epsilon
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving.value * self.momentum + now * (1 - self.momentum))
        return outputs.permute(0, 2, 3, 1)


@keras.saving.register_keras_serializable(package="facial_expressions")
class DirectConv2D(layers.Conv2D):
    """``keras.layers.Conv2D``, without copies on PyTorch where its padding is ``same``.

    Same variables, same result. On TensorFlow and JAX, and for groups, dilation or another padding,
    it is Keras' layer unchanged.

    Input shape: ``(N, H, W, C)``. Output shape: ``(N, ceil(H / stride), ceil(W / stride), F)``.

    Examples:
        >>> tuple(DirectConv2D(8, 3, padding="same")(keras.ops.ones((2, 4, 4, 3))).shape)
        (2, 4, 4, 8)
    """

    def convolution_op(
        self, inputs: keras.KerasTensor, kernel: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Convolve ``inputs`` with ``kernel``."""
        plain = self.padding == "same" and self.groups == 1 and max(self.dilation_rate) == 1
        direct = plain and keras.backend.backend() == "torch"
        if not direct or isinstance(inputs, keras.KerasTensor):
            return super().convolution_op(inputs, kernel)
        import torch

        x = inputs.permute(0, 3, 1, 2)
        weight = keras.ops.convert_to_tensor(kernel).permute(3, 2, 0, 1)
        weight = weight.contiguous(memory_format=torch.channels_last)
        around = [
            max((-(-side // step) - 1) * step + size - side, 0)
            for side, step, size in zip(x.shape[2:], self.strides, self.kernel_size, strict=True)
        ]
        before = [total // 2 for total in around]
        if any(total % 2 for total in around):
            sides = (before[1], around[1] - before[1], before[0], around[0] - before[0])
            x, before = torch.nn.functional.pad(x, sides), [0, 0]
        return torch.conv2d(x, weight, None, self.strides, before).permute(0, 2, 3, 1)
