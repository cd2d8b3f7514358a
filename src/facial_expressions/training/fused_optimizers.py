"""AdamW in PyTorch's fused kernel when PyTorch is the backend: one pass over the weights a step.

Keras updates each weight tensor by a dozen separate operations, each a pass over memory: half of a
training step of the 6-million-parameter network on a processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

__all__ = ["FusedAdamW"]


@keras.saving.register_keras_serializable(package="facial_expressions")
class FusedAdamW(keras.optimizers.AdamW):
    """``keras.optimizers.AdamW`` with the same variables and the same result, in one pass.

    Loshchilov and Hutter 2019, arXiv:1711.05101. On TensorFlow and JAX it is Keras' optimiser
    unchanged; so it is for ``amsgrad``.

    Examples:
        >>> FusedAdamW(1e-3, weight_decay=0.05).get_config()["weight_decay"]
        0.05
    """

    @property
    def _is_fused(self) -> bool:
        return keras.backend.backend() == "torch" and not self.amsgrad

    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        if not self._is_fused:  # the kernel does it in its pass
            super()._apply_weight_decay(variables)

    def _backend_update_step(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[keras.Variable],
        learning_rate: keras.KerasTensor | float,
    ) -> None:
        if not self._is_fused:
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        pairs = list(zip(trainable_variables, grads, strict=True))
        decayed = [pair for pair in pairs if self.weight_decay and self._use_weight_decay(pair[0])]
        known = {id(variable) for variable, _ in decayed}
        others = [pair for pair in pairs if id(pair[0]) not in known]
        for group, decay in ((decayed, self.weight_decay or 0.0), (others, 0.0)):
            if group:
                self._update(group, float(learning_rate), decay)

    def _update(
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
        if not self._is_fused or not self.use_ema:
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
