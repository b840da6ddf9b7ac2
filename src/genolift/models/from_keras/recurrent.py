"""Keras's recurrent layers as torch modules, torch's own where they compute the same.

Keras on torch fixes the number of rows, and goes through a sequence in Python, a step at a time, which a
captured model would hold as thousands of operations; torch's own layers stay one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import torch
from torch import Tensor, nn

from genolift.models.from_keras.conv_lstm import CONVOLUTIONAL, ConvolutionalLSTM

_RECURRENT = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)


class Recurrent(nn.Module):
    """An LSTM or GRU of Keras, in one direction, with the weights that it has now."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        kernel, recurrent, *bias = [variable.value.detach() for variable in layer.weights]
        made = nn.LSTM if isinstance(layer, keras.layers.LSTM) else nn.GRU
        self.own = made(kernel.shape[0], layer.units, batch_first=True, bias=bool(bias))
        self.sequences, self.backwards = layer.return_sequences, layer.go_backwards
        values = [kernel, recurrent]
        if bias:
            values += list(bias[0]) if bias[0].dim() == 2 else [bias[0], torch.zeros_like(bias[0])]
        if made is nn.GRU:  # Keras has the update gate first, torch the reset gate
            values = [_reset_first(value, layer.units) for value in values]
        with torch.no_grad():
            for own, value in zip(self.own.parameters(), values, strict=True):
                own.copy_(value.T if value.dim() == 2 else value)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (row, position, unit), or (row, unit) where only the last is asked for."""
        outputs, _ = self.own(inputs.flip(1) if self.backwards else inputs)
        return outputs if self.sequences else outputs[:, -1]


class Stepped(nn.Module):
    """A recurrent layer of Keras that torch has not, such as a GRU that resets before its product.

    It goes through the sequence a step at a time.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.kind, self.units = type(layer).__name__, layer.units
        self.sequences, self.backwards = layer.return_sequences, layer.go_backwards
        self.activation = layer.activation
        self.gate: Callable[[Tensor], Tensor] = getattr(layer, "recurrent_activation", layer.activation)
        self.reset_after = getattr(layer, "reset_after", False)
        kernel, recurrent, *bias = [variable.value.detach().clone() for variable in layer.weights]
        zero = kernel.new_zeros(kernel.shape[1])
        self.kernel, self.recurrent = nn.Parameter(kernel), nn.Parameter(recurrent)
        inside, back = (bias[0] if bias[0].dim() == 2 else (bias[0], zero)) if bias else (zero, zero)
        self.bias, self.recurrent_bias = nn.Parameter(inside), nn.Parameter(back)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (row, position, unit), or (row, unit) where only the last is asked for."""
        x = (inputs.flip(1) if self.backwards else inputs) @ self.kernel + self.bias
        h = c = x.new_zeros(x.shape[0], self.units)
        states = []
        for position in range(x.shape[1]):
            h, c = self._step(x[:, position], h, c)
            states.append(h)
        return torch.stack(states, 1) if self.sequences else states[-1]

    def _step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        if self.kind == "SimpleRNN":
            return self.activation(x + h @ self.recurrent), c
        if self.kind == "LSTM":
            i, f, new, o = (x + h @ self.recurrent).split(self.units, 1)
            c = self.gate(f) * c + self.gate(i) * self.activation(new)
            return self.gate(o) * self.activation(c), c
        gates = 2 * self.units
        u, r = self.gate(x[:, :gates] + h @ self.recurrent[:, :gates] + self.recurrent_bias[:gates]).split(
            self.units, 1
        )
        weight, bias = self.recurrent[:, gates:], self.recurrent_bias[gates:]
        back = r * (h @ weight + bias) if self.reset_after else (r * h) @ weight
        return u * h + (1 - u) * self.activation(x[:, gates:] + back), c


class BothWays(nn.Module):
    """A Bidirectional layer of Keras around an LSTM or GRU."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.forwards, self.backwards = as_torch(layer.forward_layer), as_torch(layer.backward_layer)
        self.sequences, self.merge_mode = layer.return_sequences, layer.merge_mode

    def forward(self, inputs: Tensor) -> Any:
        """Return what both directions give, in the order of the sequence, merged."""
        one, other = self.forwards(inputs), self.backwards(inputs)
        if self.sequences:
            other = other.flip(1)
        match self.merge_mode:
            case "concat":
                return torch.cat([one, other], -1)
            case "sum":
                return one + other
            case "ave":
                return (one + other) / 2
            case "mul":
                return one * other
        return [one, other]


def as_torch(layer: Any) -> nn.Module:
    """Return a torch module in the place of a built recurrent layer; another layer as it is."""
    if isinstance(layer, keras.layers.Bidirectional):
        return BothWays(layer) if isinstance(layer.forward_layer, (*_RECURRENT, *CONVOLUTIONAL)) else layer
    if isinstance(layer, CONVOLUTIONAL):
        return ConvolutionalLSTM(layer)
    if not isinstance(layer, _RECURRENT):
        return layer
    return Recurrent(layer) if _is_torchs(layer) else Stepped(layer)


def _is_torchs(layer: Any) -> bool:
    """Whether torch has the same: gates of sigmoid and tanh, and a GRU that resets after its product."""
    return (
        not isinstance(layer, keras.layers.SimpleRNN)
        and layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
        and getattr(layer, "reset_after", True)
    )


def _reset_first(value: Tensor, units: int) -> Tensor:
    update, reset, new = value.split(units, -1)
    return torch.cat([reset, update, new], -1)
