"""Average pooling of Keras with padding "same", whose windows are divided by the positions that are real.

So TensorFlow does; Keras on torch counts repeated positions where the padding differs on both sides.
"""

from __future__ import annotations

from typing import Any

import keras
from torch import Tensor, nn
from torch.nn import functional

AVERAGES = {
    keras.layers.AveragePooling1D: functional.avg_pool1d,
    keras.layers.AveragePooling2D: functional.avg_pool2d,
    keras.layers.AveragePooling3D: functional.avg_pool3d,
}


class SameAveragePooling(nn.Module):
    """An average pooling in one, two or three dimensions with padding "same"."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.pool: Any = AVERAGES[type(layer)]
        self.size, self.strides = tuple(layer.pool_size), tuple(layer.strides)
        self.channels_last = layer.data_format == "channels_last"

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the mean of each window, the channels where the inputs' are."""
        x = inputs.movedim(-1, 1) if self.channels_last else inputs
        around = [self._around(axis, places) for axis, places in enumerate(x.shape[2:])]
        padding = [each for before_after in reversed(around) for each in before_after]
        y = self.pool(functional.pad(x, padding), self.size, self.strides)
        ones = functional.pad(x.new_ones(1, 1, *x.shape[2:]), padding)
        y = y / self.pool(ones, self.size, self.strides)
        return y.movedim(1, -1) if self.channels_last else y

    def _around(self, axis: int, places: int) -> tuple[int, int]:
        """Return how many positions stand before and after, as TensorFlow has it."""
        stride = self.strides[axis]
        missing = max((-(-places // stride) - 1) * stride + self.size[axis] - places, 0)
        return missing // 2, missing - missing // 2
