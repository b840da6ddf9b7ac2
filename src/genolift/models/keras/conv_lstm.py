"""Keras's convolutional LSTM as a torch module that runs through the sequence one step at a time."""

from dataclasses import replace
from typing import Any

import keras
import torch
from torch import Tensor, nn

from genolift.models.keras.convolutions import Geometry, convolved, values_of

CONVOLUTIONAL = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D)


class ConvolutionalLSTM(nn.Module):
    """A Keras ConvLSTM1D or ConvLSTM2D, with a copy of its weights."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        cell = layer.cell
        kernel, recurrent, *bias = (value.movedim((-1, -2), (0, 1)) for value in _with_axes(layer))
        self.kernel, self.recurrent = nn.Parameter(kernel.contiguous()), nn.Parameter(recurrent.contiguous())
        self.bias = nn.Parameter(bias[0].flatten()) if bias else None
        self.activation, self.gate = cell.activation, cell.recurrent_activation
        self.geometry = Geometry.of(cell)
        steps = len(self.geometry.strides)
        self.back = replace(self.geometry, padding="same", strides=(1,) * steps, dilation=(1,) * steps)
        self.sequences, self.states = layer.return_sequences, layer.return_state
        self.backwards = layer.go_backwards

    def forward(self, inputs: Tensor) -> Any:
        """Return (row, step, *position, filter), without the step axis if only the last step is returned; the
        channel axis is where the inputs have it.
        """
        last = self.geometry.channels_last
        x = inputs.movedim(-1, 2) if last else inputs
        x = x.flip(1) if self.backwards else x
        rows, steps = x.shape[:2]
        x = convolved(x.flatten(0, 1), self.kernel, self.bias, self.geometry).unflatten(0, (rows, steps))
        h = c = torch.zeros_like(x[:, 0].chunk(4, 1)[0])
        made = []
        for step in range(steps):
            i, f, new, o = (x[:, step] + convolved(h, self.recurrent, None, self.back)).chunk(4, 1)
            c = self.gate(f) * c + self.gate(i) * self.activation(new)
            h = self.gate(o) * self.activation(c)
            made.append(h)
        y = torch.stack(made, 1) if self.sequences else h
        channel = 2 if self.sequences else 1
        y = y.movedim(channel, -1) if last else y
        if not self.states:
            return y
        return [y, *(each.movedim(1, -1) if last else each for each in (h, c))]


def _with_axes(layer: Any) -> list[Tensor]:
    """Return a layer's weights, with a leading axis added to the bias, so that all have at least two."""
    return [value if value.dim() > 1 else value[None] for value in values_of(layer)]
