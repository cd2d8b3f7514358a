"""AdamW in the backend's own kernel on PyTorch and TensorFlow: one pass over the weights a step.

Keras updates each weight tensor by a dozen separate operations, each a pass over memory: on
PyTorch half of a training step of the 6-million-parameter network on a processor, on TensorFlow a
sixth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

__all__ = ["FusedAdamW"]


@keras.saving.register_keras_serializable(package="facial_expressions")
class FusedAdamW(keras.optimizers.AdamW):
    """``keras.optimizers.AdamW`` with the same variables and the same result, in one pass.

    Loshchilov and Hutter 2019, arXiv:1711.05101. On JAX, which fuses by itself, it is Keras'
    optimiser unchanged; so it is for ``amsgrad``.

    Examples:
        >>> FusedAdamW(1e-3, weight_decay=0.05).get_config()["weight_decay"]
        0.05
    """

    def _fused_by(self, backend: str) -> bool:
        return keras.backend.backend() == backend and not self.amsgrad

    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        if self._fused_by("torch") or not self.weight_decay:
            return  # PyTorch's kernel does it in its pass
        if not self._fused_by("tensorflow"):
            super()._apply_weight_decay(variables)
            return
        import tensorflow as tf

        share = self.weight_decay * self.learning_rate
        for variable in variables:
            if self._use_weight_decay(variable):
                value = variable.value
                tf.raw_ops.ResourceApplyGradientDescent(
                    var=value.handle, alpha=tf.cast(share, value.dtype), delta=value
                )

    def _backend_update_step(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[keras.Variable],
        learning_rate: keras.KerasTensor | float,
    ) -> None:
        pairs = list(zip(trainable_variables, grads, strict=True))
        if self._fused_by("tensorflow"):
            self._update_in_tensorflow(pairs, learning_rate)
            return
        if not self._fused_by("torch"):
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        decayed = [pair for pair in pairs if self.weight_decay and self._use_weight_decay(pair[0])]
        known = {id(variable) for variable, _ in decayed}
        others = [pair for pair in pairs if id(pair[0]) not in known]
        for group, decay in ((decayed, self.weight_decay or 0.0), (others, 0.0)):
            if group:
                self._update_in_torch(group, float(learning_rate), decay)

    def _update_in_tensorflow(
        self, pairs: Sequence[tuple[keras.Variable, Any]], learning_rate: keras.KerasTensor | float
    ) -> None:
        """Add the step to TensorFlow's graph: Keras' formula, epsilon included, in one kernel."""
        import tensorflow as tf

        step = tf.cast(self.iterations.value + 1, tf.float32)
        for variable, gradient in pairs:
            index, dtype = self._get_variable_index(variable), variable.value.dtype
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=self._momentums[index].value.handle,
                v=self._velocities[index].value.handle,
                beta1_power=tf.cast(self.beta_1**step, dtype),
                beta2_power=tf.cast(self.beta_2**step, dtype),
                lr=tf.cast(learning_rate, dtype),
                beta1=tf.cast(self.beta_1, dtype),
                beta2=tf.cast(self.beta_2, dtype),
                epsilon=tf.cast(self.epsilon, dtype),
                grad=tf.convert_to_tensor(gradient),
            )

    def _update_in_torch(
        self, pairs: Sequence[tuple[keras.Variable, Any]], learning_rate: float, decay: float
    ) -> None:
        """Take one step with variables and their gradients."""
        import torch

        indices = [self._get_variable_index(variable) for variable, _ in pairs]
        step = float(self.iterations) + 1
        with torch.no_grad():
            torch._fused_adamw_(
                [variable.value for variable, _ in pairs],
                [gradient for _, gradient in pairs],
                [self._momentums[index].value for index in indices],
                [self._velocities[index].value for index in indices],
                [],
                [torch.tensor(step) for _ in pairs],
                lr=learning_rate,
                beta1=self.beta_1,
                beta2=self.beta_2,
                weight_decay=decay,
                # Keras adds epsilon before it corrects the bias, PyTorch after.
                eps=self.epsilon / (1 - self.beta_2**step) ** 0.5,
                amsgrad=False,
                maximize=False,
            )

    def _update_model_variables_moving_average(
        self, trainable_variables: Sequence[keras.Variable]
    ) -> None:
        if not self._fused_by("torch") or not self.use_ema:
            super()._update_model_variables_moving_average(trainable_variables)
            return
        import torch

        averages = self._model_variables_moving_average
        pairs = [
            (average.value, variable.value)
            for variable, average in zip(trainable_variables, averages, strict=True)
            if average is not None
        ]
        weight = 1.0 - (self.ema_momentum if int(self.iterations) else 0.0)
        with torch.no_grad():
            for average, value in pairs:
                average.lerp_(value, weight)
