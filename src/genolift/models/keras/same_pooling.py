"""Average pooling of Keras with padding "same", whose windows are divided by the positions that are real.

So TensorFlow does; Keras on torch counts repeated positions where the padding differs on both sides.
"""

from __future__ import annotations

from typing import Any

import keras
from torch import Tensor, nn
from torch.nn import functional

from genolift.models.keras.convolutions import Geometry

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
        self.size = tuple(layer.pool_size)
        self.geometry = Geometry(
            "same", tuple(layer.strides), (1,) * len(self.size), layer.data_format == "channels_last"
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the mean of each window, the channels where the inputs' are."""
        last, strides = self.geometry.channels_last, self.geometry.strides
        x = inputs.movedim(-1, 1) if last else inputs
        sizes = zip(x.shape[2:], self.size, strict=True)
        around = [self.geometry.around(axis, places, size) for axis, (places, size) in enumerate(sizes)]
        padding = [each for before_after in reversed(around) for each in before_after]
        y = self.pool(functional.pad(x, padding), self.size, strides)
        ones = functional.pad(x.new_ones(1, 1, *x.shape[2:]), padding)
        y = y / self.pool(ones, self.size, strides)
        return y.movedim(1, -1) if last else y
