"""Locally connected layers, which Keras 3 lacks: convolutions with separate weights at each position.

Keras 2 keeps the weights in one of three forms, chosen by "implementation", and saves them in that form.
"""

from math import prod
from typing import Any

import keras
import torch
from torch import Tensor, nn

from genolift.models.keras.convolutions import activation_of, values_of


class LocallyConnected(keras.layers.Layer):
    """Holds the weights in the file's form; `ByPlace` computes the output."""

    rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        implementation: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.padding, self.use_bias = filters, padding, use_bias
        self.kernel_size, self.strides = self._sizes(kernel_size), self._sizes(strides)
        self.channels_first = data_format == "channels_first"
        self.activation = keras.activations.get(activation)
        self.implementation = implementation
        if implementation not in (1, 2, 3):
            raise ValueError(f"its implementation is {implementation!r}, not 1, 2 or 3")

    def _sizes(self, given: int | tuple[int, ...]) -> tuple[int, ...]:
        return (given,) * self.rank if isinstance(given, int) else tuple(given)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights, in the shapes of Keras 2."""
        shape = input_shape[2:] if self.channels_first else input_shape[1:-1]
        self.places = tuple(int(size or 0) for size in shape)
        self.channels = int(input_shape[1 if self.channels_first else -1] or 0)
        self.places_after = tuple(
            -(-size // stride) if self.padding == "same" else (size - kernel) // stride + 1
            for size, stride, kernel in zip(self.places, self.strides, self.kernel_size, strict=True)
        )
        before, after = prod(self.places), prod(self.places_after)
        if self.implementation == 1:
            kernel: tuple[int, ...] = (after, prod(self.kernel_size) * self.channels, self.filters)
        elif self.implementation == 3:
            kernel = (int(self.taken()[1].sum()) * self.channels * self.filters,)
        elif self.channels_first:
            kernel = (self.channels, *self.places, self.filters, *self.places_after)
        else:
            kernel = (*self.places, self.channels, *self.places_after, self.filters)
        if max(before, after) * self.channels * self.filters <= 0:
            raise ValueError("its input is shorter than its kernel")
        self.kernel = self.add_weight(shape=kernel, initializer="zeros", name="kernel")
        if self.use_bias:
            shape_of_bias = (*self.places_after, self.filters)
            self.bias = self.add_weight(shape=shape_of_bias, initializer="zeros", name="bias")

    def taken(self) -> tuple[Tensor, Tensor]:
        """Return the input place under each kernel element of each output place, and whether it exists.

        Both are (output place, kernel element), with all axes flattened, the last one fastest. Outside the
        input the place is 0. Padding "same" differs from TensorFlow's: each window is centred on a stride.
        """
        index, there = torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, dtype=torch.bool)
        for axis, size in enumerate(self.places):
            kernel, stride = self.kernel_size[axis], self.strides[axis]
            start = torch.arange(self.places_after[axis]) * stride
            start = start - (kernel // 2 if self.padding == "same" else 0)
            place = start[:, None] + torch.arange(kernel)
            inside = (place >= 0) & (place < size)
            place = place * inside
            index = _all_pairs(index * size, place, torch.add)
            there = _all_pairs(there, inside, torch.logical_and)
        return index * there, there

    def kernel_by_place(self) -> Tensor:
        """Return the kernel as (output place, kernel element, channel, filter)."""
        kernel = self.kernel.value.detach()
        index, there = self.taken()
        places, positions = there.shape
        channels, filters = self.channels, self.filters
        if self.implementation == 1:
            if self.channels_first:
                return kernel.reshape(places, channels, positions, filters).transpose(1, 2)
            return kernel.reshape(places, positions, channels, filters)
        if self.implementation == 2:
            before = prod(self.places)
            if self.channels_first:
                all_pairs = kernel.reshape(channels, before, filters, places).permute(3, 1, 0, 2)
            else:
                all_pairs = kernel.reshape(before, channels, places, filters).permute(2, 0, 1, 3)
            return all_pairs[torch.arange(places)[:, None], index] * there[:, :, None, None]
        if self.channels_first:  # connections are sorted by output, then by input
            listed = kernel.new_zeros(filters, places, channels, positions)
            listed[there[None, :, None].expand_as(listed)] = kernel
            return listed.permute(1, 3, 2, 0)
        listed = kernel.new_zeros(places, filters, positions, channels)
        listed[there[:, None, :, None].expand_as(listed)] = kernel
        return listed.permute(0, 2, 3, 1)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the weighted sums after the activation."""
        made: Tensor = ByPlace(self)(inputs)
        return made


class LocallyConnected1D(LocallyConnected):
    """A locally connected layer in one dimension."""

    rank = 1


class LocallyConnected2D(LocallyConnected):
    """A locally connected layer in two dimensions."""

    rank = 2


class ByPlace(nn.Module):
    """A locally connected layer, with a copy of its weights."""

    taken: Tensor

    def __init__(self, layer: LocallyConnected) -> None:
        super().__init__()
        index, _ = layer.taken()
        self.register_buffer("taken", index)
        self.weight = nn.Parameter(layer.kernel_by_place().flatten(1, 2).contiguous())
        self.bias = None
        self.channels_first, self.places_after = layer.channels_first, layer.places_after
        self.activation = activation_of(layer)
        if layer.use_bias:
            bias = values_of(layer)[1]
            if self.channels_first:  # Keras reshapes instead of transposing, also in training
                bias = bias.reshape(layer.filters, *self.places_after).movedim(0, -1)
            self.bias = nn.Parameter(bias.contiguous())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the weighted sums after the activation, with the channel axis where the inputs have it."""
        x = inputs.movedim(1, -1) if self.channels_first else inputs
        x = x.flatten(1, -2).index_select(1, self.taken.flatten())
        rows = x.reshape(x.shape[0], len(self.taken), -1)
        y = torch.einsum("npk,pko->npo", rows, self.weight).unflatten(1, self.places_after)
        y = self.activation(y if self.bias is None else y + self.bias)
        return y.movedim(-1, 1) if self.channels_first else y


def _all_pairs(one: Tensor, other: Tensor, join: Any) -> Tensor:
    """Return ``join`` of all pairs of rows and of columns, those of ``other`` varying fastest."""
    made: Tensor = join(one[:, None, :, None], other[None, :, None, :])
    return made.flatten(2).flatten(0, 1)
