"""Keras's convolutions as torch modules, padded as in TensorFlow; Keras's own pad differently on torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import torch
from torch import Tensor, nn
from torch.nn import functional

_CONVOLVE: dict[int, Callable[..., Tensor]] = {1: functional.conv1d, 2: functional.conv2d}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
}


@dataclass(frozen=True)
class Geometry:
    """The padding, strides and dilation of a convolution or pooling, with one number per spatial axis."""

    padding: str
    """valid, same or causal."""
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    channels_last: bool

    @classmethod
    def of(cls, layer: Any) -> Geometry:
        """Return the geometry of a Keras layer."""
        channels_last = layer.data_format == "channels_last"
        return cls(layer.padding, tuple(layer.strides), tuple(layer.dilation_rate), channels_last)

    def around(self, axis: int, places: int, kernel: int) -> tuple[int, int]:
        """Return how many zeros TensorFlow pads before and after an axis."""
        reach = (kernel - 1) * self.dilation[axis]
        if self.padding == "valid":
            return 0, 0
        if self.padding == "causal":
            return reach, 0
        stride = self.strides[axis]
        missing = max((-(-places // stride) - 1) * stride + reach + 1 - places, 0)
        return missing // 2, missing - missing // 2


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int = 1) -> Tensor:
    """Return the convolution of (row, channel, *position), with the weights in torch's layout."""
    sizes = zip(x.shape[2:], weight.shape[2:], strict=True)
    before_after = [geometry.around(axis, places, kernel) for axis, (places, kernel) in enumerate(sizes)]
    padding = [before for before, _ in before_after]
    if any(before != after for before, after in before_after):
        x = functional.pad(x, [each for both in reversed(before_after) for each in both])
        padding = [0] * len(padding)
    convolve = _CONVOLVE[len(padding)]
    return convolve(x, weight, bias, geometry.strides, padding, geometry.dilation, groups)


class Convolution(nn.Module):
    """A Keras convolution in one or two dimensions: plain, depthwise or separable."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        kernel, *further = values_of(layer)
        self.groups = getattr(layer, "groups", 1)
        pointwise = None
        if isinstance(layer, DEPTHWISE):
            self.groups = kernel.shape[-2]
            # each channel has its own filters, one after the other
            weight = kernel.movedim((-2, -1), (0, 1)).flatten(0, 1).unsqueeze(1)
            if isinstance(layer, SEPARABLE):
                pointwise, *further = further
        else:
            weight = kernel.movedim((-1, -2), (0, 1))
        self.weight = nn.Parameter(weight.contiguous())
        self.pointwise = None if pointwise is None else _parameter(pointwise.movedim((-1, -2), (0, 1)))
        self.bias = nn.Parameter(further[0]) if further else None
        self.activation = activation_of(layer)
        self.geometry = Geometry.of(layer)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the convolution and activation, with the channel axis where the inputs have it."""
        last = self.geometry.channels_last
        x = inputs.movedim(-1, 1) if last else inputs
        bias = self.bias if self.pointwise is None else None
        y = convolved(x, self.weight, bias, self.geometry, self.groups)
        if self.pointwise is not None:
            y = _CONVOLVE[y.dim() - 2](y, self.pointwise, self.bias)
        return self.activation(y.movedim(1, -1) if last else y)


class Transposed(nn.Module):
    """A Keras transposed convolution in one or two dimensions."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        kernel, *bias = values_of(layer)
        self.weight = _parameter(kernel.movedim((-1, -2), (0, 1)))
        self.bias = nn.Parameter(bias[0]) if bias else None
        self.activation = activation_of(layer)
        self.geometry = Geometry.of(layer)
        self.further: Sequence[int] | None = layer.output_padding

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the transposed convolution and activation, with the channel axis where the inputs have it.

        It is the gradient of a convolution over the output, padded as in TensorFlow.
        """
        last, strides = self.geometry.channels_last, self.geometry.strides
        x = inputs.movedim(-1, 1) if last else inputs
        y = _TRANSPOSED[x.dim() - 2](x, self.weight, None, strides, 0, 0, 1, self.geometry.dilation)
        for axis, places in enumerate(x.shape[2:]):
            whole, wanted = y.shape[2 + axis], self._wanted(axis, places)
            before = max(whole - wanted, 0) // 2 if self.geometry.padding == "same" else 0
            y = y.narrow(2 + axis, before, min(wanted, whole - before))
            if wanted > whole:
                y = functional.pad(y, [*[0, 0] * (x.dim() - 3 - axis), 0, wanted - whole])
        if self.bias is not None:
            y = y + self.bias.reshape(-1, *[1] * (x.dim() - 2))
        return self.activation(y.movedim(1, -1) if last else y)

    def _wanted(self, axis: int, places: int) -> int:
        """Return the length of an axis of the output, as Keras computes it."""
        stride = self.geometry.strides[axis]
        kernel = (self.weight.shape[2 + axis] - 1) * self.geometry.dilation[axis] + 1
        if self.further is not None:
            inside = kernel if self.geometry.padding == "valid" else kernel % 2
            return (places - 1) * stride + inside + self.further[axis]
        if self.geometry.padding == "same":
            return places * stride
        return (places - 1) * stride + max(kernel, stride)


class Conv1DTranspose(keras.layers.Conv1DTranspose):
    """Keras's layer as TensorFlow computes it: on torch its output has other lengths and values."""

    def call(self, inputs: Tensor) -> Tensor:
        """Return the transposed convolution."""
        made: Tensor = Transposed(self)(inputs)
        return made


class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """Like `Conv1DTranspose`, in two dimensions."""

    def call(self, inputs: Tensor) -> Tensor:
        """Return the transposed convolution."""
        made: Tensor = Transposed(self)(inputs)
        return made


class SeparableConv1D(keras.layers.SeparableConv1D):
    """Keras's layer with padding "causal" too, which Keras 3 dropped."""

    def __init__(self, *args: Any, padding: str = "valid", **kwargs: Any) -> None:
        super().__init__(*args, padding="valid" if padding == "causal" else padding, **kwargs)
        self.padding = padding

    def call(self, inputs: Tensor) -> Tensor:
        """Return the convolution."""
        made: Tensor = Convolution(self)(inputs)
        return made


SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D, *SEPARABLE)
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, SeparableConv1D, *DEPTHWISE)
TRANSPOSED = (Conv1DTranspose, Conv2DTranspose)


def values_of(layer: Any) -> list[Tensor]:
    """Return copies of a layer's weights."""
    return [variable.value.detach().clone() for variable in layer.weights]


def activation_of(layer: Any) -> Callable[[Tensor], Tensor]:
    """Return a layer's activation, or torch's equivalent where there is one."""
    if layer.activation is keras.activations.relu:
        return torch.relu
    return layer.activation or keras.activations.linear


def _parameter(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value.contiguous())
