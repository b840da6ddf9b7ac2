"""Keras's LayerNormalization over any axes: on torch Keras takes those for the last, whatever they are."""

from __future__ import annotations

from typing import Any

import keras
from torch import Tensor, nn
from torch.nn import functional


class LayerNorm(nn.Module):
    """A LayerNormalization layer of Keras, with the weights that it has now."""

    gamma: Tensor | None
    beta: Tensor | None

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.axes: list[int] = list(layer.axis)
        self.epsilon = layer.epsilon
        for name in ("gamma", "beta"):
            variable = getattr(layer, name)
            self.register_buffer(name, None if variable is None else variable.value.detach().clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs less their mean over the axes, over their deviation, scaled and shifted."""
        axes = [axis % inputs.dim() for axis in self.axes]
        last = list(range(inputs.dim() - len(axes), inputs.dim()))
        x = inputs.movedim(axes, last)
        sizes = [inputs.shape[axis] for axis in axes]
        return functional.layer_norm(x, sizes, self.gamma, self.beta, self.epsilon).movedim(last, axes)


class LayerNormalization(keras.layers.LayerNormalization):
    """Keras's layer, but for its computation."""

    def call(self, inputs: Tensor) -> Tensor:
        """Return the normalized inputs."""
        made: Tensor = LayerNorm(self)(inputs)
        return made
