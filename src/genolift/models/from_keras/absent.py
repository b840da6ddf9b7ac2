"""What Keras 3 has no longer, or has otherwise on torch: layers of ours by the names of Keras's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import torch
from torch import Tensor, nn

from genolift.models.from_keras.convolutions import (
    Conv1DTranspose,
    Conv2DTranspose,
    SeparableConv1D,
)
from genolift.models.from_keras.each_position import TimeDistributed
from genolift.models.from_keras.layer_norm import LayerNormalization
from genolift.models.from_keras.legacy import OVER_AXES, RENORMALIZED
from genolift.models.from_keras.locally_connected import LocallyConnected1D, LocallyConnected2D


class ThresholdedReLU(keras.layers.Layer):
    """What is above a threshold, and 0 elsewhere."""

    def __init__(self, threshold: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    def call(self, inputs: Tensor) -> Tensor:
        """Return what is above the threshold, and 0 elsewhere."""
        made: Tensor = Thresholded(self)(inputs)
        return made


class Thresholded(nn.Module):
    """As `ThresholdedReLU`, of torch alone."""

    def __init__(self, layer: ThresholdedReLU) -> None:
        super().__init__()
        self.threshold = layer.threshold

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what is above the threshold, and 0 elsewhere."""
        return inputs * (inputs > self.threshold)


class BatchRenormalization(keras.layers.BatchNormalization):
    """Keras 2's BatchNormalization with renorm=True: in evaluation a plain one, with further weights."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights, in the order of Keras 2."""
        super().build(input_shape)
        for name in ("moving_stddev", "renorm_mean", "renorm_stddev"):
            shape = self.moving_mean.shape
            setattr(self, name, self.add_weight(shape=shape, initializer="zeros", name=name, trainable=False))


class BatchNormalizationOverAxes(keras.layers.Layer):
    """Keras 2's BatchNormalization with a mean and variance for each place along several axes."""

    def __init__(
        self,
        axis: tuple[int, ...],
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis, self.epsilon, self.center, self.scale = axis, epsilon, center, scale

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights, in the order of Keras 2, with a size of 1 along the inputs' other axes."""
        axes = {axis % len(input_shape) for axis in self.axis}
        shape = tuple(size if axis in axes else 1 for axis, size in enumerate(input_shape))
        self.gamma = self.add_weight(shape=shape, name="gamma") if self.scale else None
        self.beta = self.add_weight(shape=shape, name="beta") if self.center else None
        self.moving_mean = self.add_weight(shape=shape, name="moving_mean", trainable=False)
        self.moving_variance = self.add_weight(shape=shape, name="moving_variance", trainable=False)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs less the mean, over the standard deviation, scaled and shifted."""
        scale = torch.rsqrt(self.moving_variance.value + self.epsilon)
        made: Tensor = (inputs - self.moving_mean.value) * scale
        made = made if self.gamma is None else made * self.gamma.value
        return made if self.beta is None else made + self.beta.value


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
