"""Our own versions, under Keras's names, of layers that Keras 3 dropped or computes differently on torch."""

from collections.abc import Mapping
from typing import Any

import keras
from torch import Tensor, nn

from genolift.models.keras.batch_norm import BatchNormalizationOverAxes, BatchRenormalization
from genolift.models.keras.convolutions import Conv1DTranspose, Conv2DTranspose, SeparableConv1D
from genolift.models.keras.each_position import TimeDistributed
from genolift.models.keras.layer_norm import LayerNormalization
from genolift.models.keras.legacy import OVER_AXES, RENORMALIZED
from genolift.models.keras.locally_connected import LocallyConnected1D, LocallyConnected2D


class ThresholdedReLU(keras.layers.Layer):
    """Keeps values above a threshold and sets the others to 0."""

    def __init__(self, threshold: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    def call(self, inputs: Tensor) -> Tensor:
        """Return the values above the threshold, and 0 elsewhere."""
        made: Tensor = Thresholded(self)(inputs)
        return made


class Thresholded(nn.Module):
    """`ThresholdedReLU` in plain torch."""

    def __init__(self, layer: ThresholdedReLU) -> None:
        super().__init__()
        self.threshold = layer.threshold

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the values above the threshold, and 0 elsewhere."""
        return inputs * (inputs > self.threshold)


ABSENT: Mapping[str, type[keras.layers.Layer]] = {
    "Conv1DTranspose": Conv1DTranspose,
    "Conv2DTranspose": Conv2DTranspose,
    "LayerNormalization": LayerNormalization,
    "LocallyConnected1D": LocallyConnected1D,
    "LocallyConnected2D": LocallyConnected2D,
    "SeparableConv1D": SeparableConv1D,
    "ThresholdedReLU": ThresholdedReLU,
    "TimeDistributed": TimeDistributed,
    OVER_AXES: BatchNormalizationOverAxes,
    RENORMALIZED: BatchRenormalization,
}
