"""Keras's LayerNormalization over any axes: on torch, Keras always normalizes over the last ones."""

from typing import Any

import keras
import torch
from torch import Tensor, nn
from torch.nn import functional


class LayerNorm(nn.Module):
    """A Keras LayerNormalization layer, with a copy of its weights."""

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
        """Return the inputs normalized by mean and standard deviation over the axes, scaled and shifted.

        With ``rms_scaling`` no mean is subtracted and no shift added, but the inputs are still divided by
        their standard deviation: Keras does so, despite the name.
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
    """Keras's layer, computed by `LayerNorm`."""

    def __init__(self, *, rms_scaling: bool = False, **kwargs: Any) -> None:
        super().__init__(rms_scaling=rms_scaling, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the normalized inputs."""
        made: Tensor = LayerNorm(self)(inputs)
        return made
