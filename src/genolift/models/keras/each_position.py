"""Keras's TimeDistributed: a layer or model applied to each position separately."""

from typing import Any

import keras
from torch import Tensor, nn


class EachPosition(nn.Module):
    """Applies a module to each position of (row, position, ...), as if each position were a row."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, inputs: Tensor) -> Any:
        """Return the module's output, (row, position, ...), or a list if it has several outputs."""
        made = self.inside(inputs.flatten(0, 1))
        if isinstance(made, Tensor):
            return made.unflatten(0, inputs.shape[:2])
        outputs = made.values() if isinstance(made, dict) else made
        return [each.unflatten(0, inputs.shape[:2]) for each in outputs]


class TimeDistributed(keras.layers.TimeDistributed):
    """Keras's layer without its vectorized map, which on torch does not work for every layer."""

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Any:
        """Return the layer's output at each position."""
        return EachPosition(self.layer)(inputs)
