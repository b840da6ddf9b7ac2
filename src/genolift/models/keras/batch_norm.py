"""Keras's BatchNormalization as a torch module, with the variants of Keras 2 that Keras 3 dropped."""

from typing import Any

import keras
import torch
from torch import Tensor, nn


class BatchNorm(nn.Module):
    """A Keras BatchNormalization layer, with the mean and variance that it learnt."""

    gamma: Tensor | None
    beta: Tensor | None
    moving_mean: Tensor
    moving_variance: Tensor

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.axis, self.epsilon = layer.axis, layer.epsilon
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            variable = getattr(layer, name, None)
            self.register_buffer(name, None if variable is None else variable.value.detach().clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs normalized by the mean and standard deviation, scaled and shifted."""
        scale = torch.rsqrt(self.moving_variance + self.epsilon)
        if self.gamma is not None:
            scale = scale * self.gamma
        y = (inputs - self._along(self.moving_mean, inputs)) * self._along(scale, inputs)
        return y if self.beta is None else y + self._along(self.beta, inputs)

    def _along(self, value: Tensor, inputs: Tensor) -> Tensor:
        if isinstance(self.axis, tuple):
            return value  # it already has the inputs' axes
        axis = self.axis % inputs.dim()
        return value if axis == inputs.dim() - 1 else value.reshape(-1, *[1] * (inputs.dim() - 1 - axis))


class BatchRenormalization(keras.layers.BatchNormalization):
    """Keras 2's BatchNormalization with renorm=True: a plain one in evaluation, with additional weights."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights, in the order of Keras 2."""
        super().build(input_shape)
        for name in ("moving_stddev", "renorm_mean", "renorm_stddev"):
            shape = self.moving_mean.shape
            setattr(self, name, self.add_weight(shape=shape, initializer="zeros", name=name, trainable=False))


class BatchNormalizationOverAxes(keras.layers.Layer):
    """Keras 2's BatchNormalization over several axes: a mean and variance for each position along them."""

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
        """Return the inputs normalized by the mean and standard deviation, scaled and shifted."""
        made: Tensor = BatchNorm(self)(inputs)
        return made
