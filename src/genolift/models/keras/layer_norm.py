"""Keras's LayerNormalization over any axes: on torch Keras takes those for the last, whatever they are."""

from __future__ import annotations

from typing import Any

import keras
import torch
from torch import Tensor, nn
from torch.nn import functional


class LayerNorm(nn.Module):
    """A LayerNormalization layer of Keras, with the weights that it has now."""

    gamma: Tensor | None
    beta: Tensor | None

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.axes: list[int] = list(layer.axis)
        self.epsilon, self.rms_scaling = layer.epsilon, layer.rms_scaling
        for name in ("gamma", "beta"):
            variable = getattr(layer, name)
            self.register_buffer(name, None if variable is None else variable.value.detach().clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs less their mean over the axes, over their deviation, scaled and shifted.

        With ``rms_scaling`` nothing is taken off or added: so Keras has it, whatever the name says.
        """
        axes = [axis % inputs.dim() for axis in self.axes]
        last = list(range(inputs.dim() - len(axes), inputs.dim()))
        x = inputs.movedim(axes, last)
        sizes = [inputs.shape[axis] for axis in axes]
        if self.rms_scaling:
            y = x * torch.rsqrt(x.var(last, correction=0, keepdim=True) + self.epsilon)
            y = y if self.gamma is None else y * self.gamma
        else:
            y = functional.layer_norm(x, sizes, self.gamma, self.beta, self.epsilon)
        return y.movedim(last, axes)


class LayerNormalization(keras.layers.LayerNormalization):
    """Keras's layer, but for its computation."""

    def __init__(self, *, rms_scaling: bool = False, **kwargs: Any) -> None:
        super().__init__(rms_scaling=rms_scaling, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the normalized inputs."""
        made: Tensor = LayerNorm(self)(inputs)
        return made
