"""Keras's average pooling with padding "same", where each window is divided by its number of real positions.

This is what TensorFlow does; on torch, Keras also counts repeated positions if the padding is asymmetric.
"""

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
    """Average pooling in one, two or three dimensions with padding "same"."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.pool: Any = AVERAGES[type(layer)]
        self.size = tuple(layer.pool_size)
        self.geometry = Geometry(
            "same", tuple(layer.strides), (1,) * len(self.size), layer.data_format == "channels_last"
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the mean of each window, with the channel axis where the inputs have it."""
        last, strides = self.geometry.channels_last, self.geometry.strides
        x = inputs.movedim(-1, 1) if last else inputs
        sizes = zip(x.shape[2:], self.size, strict=True)
        around = [self.geometry.around(axis, places, size) for axis, (places, size) in enumerate(sizes)]
        padding = [each for before_after in reversed(around) for each in before_after]
        y = self.pool(functional.pad(x, padding), self.size, strides)
        ones = functional.pad(x.new_ones(1, 1, *x.shape[2:]), padding)
        y = y / self.pool(ones, self.size, strides)
        return y.movedim(1, -1) if last else y
