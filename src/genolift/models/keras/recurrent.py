"""Keras's recurrent layers as torch modules, torch's own where they compute the same.

Keras on torch fixes the number of rows and loops over the steps in Python, which would put thousands of
operations into a captured model. Torch's own layers are one operation, and so are the engine's recurrences,
used where torch has no equivalent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import torch
from torch import Tensor, nn

from genolift.engine.graph.recurrent_operations import stepped
from genolift.engine.rules.activations import ACTIVATIONS
from genolift.models.keras.conv_lstm import CONVOLUTIONAL, ConvolutionalLSTM

_CELLS: Mapping[type, str] = {
    keras.layers.LSTM: "lstm",
    keras.layers.GRU: "gru",
    keras.layers.SimpleRNN: "rnn",
}
_RECURRENT = tuple(_CELLS)

States = Tensor | Sequence[Tensor] | None
"""Initial states of a layer: one tensor (row, unit), or for an LSTM two, its hidden and its cell state."""


class Recurrent(nn.Module):
    """A Keras LSTM or GRU in one direction, with a copy of its weights."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        values = _as_torch_has_them(layer)
        made = nn.LSTM if isinstance(layer, keras.layers.LSTM) else nn.GRU
        self.own = made(values[0].shape[1], layer.units, batch_first=True)
        self.sequences, self.backwards = layer.return_sequences, layer.go_backwards
        self.states = layer.return_state
        with torch.no_grad():
            for own, value in zip(self.own.parameters(), values, strict=True):
                own.copy_(value)

    def forward(self, inputs: Tensor, initial_state: States = None) -> Any:
        """Return (row, position, unit), or (row, unit) if only the last step is returned.

        If asked for, the final states follow, (row, unit) each.
        """
        x = inputs.flip(1) if self.backwards else inputs
        if initial_state is None:
            outputs, ends = self.own(x)
        else:
            starts = tuple(each[None] for each in _listed(initial_state))
            outputs, ends = self.own(x, starts if len(starts) > 1 else starts[0])
        y = outputs if self.sequences else outputs[:, -1]
        return [y, *(end[0] for end in _listed(ends))] if self.states else y


class Stepped(nn.Module):
    """A Keras recurrent layer that torch lacks, such as a GRU that resets before its matrix product.

    It can skip masked steps.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.cell = next(cell for kind, cell in _CELLS.items() if isinstance(layer, kind))
        if self.cell == "gru" and not layer.reset_after:
            self.cell = "gru_reset_first"
        self.sequences, self.backwards = layer.return_sequences, layer.go_backwards
        self.states = layer.return_state
        self.zeroed, self.unrolled = layer.zero_output_for_mask, layer.unroll
        self.activation = _known(layer.activation)
        self.gate = _known(getattr(layer, "recurrent_activation", layer.activation))
        self.own = nn.ParameterList(_as_torch_has_them(layer))

    def forward(self, inputs: Tensor, initial_state: States = None, mask: Tensor | None = None) -> Any:
        """Return (row, position, unit), or (row, unit) if only the last step is returned.

        If asked for, the final states follow, (row, unit) each. A step where ``mask`` (row, position) is
        false leaves the states unchanged and repeats the output of the step before, initially zeros.
        """
        x = inputs.flip(1) if self.backwards else inputs
        steps = mask.flip(1) if mask is not None and self.backwards else mask
        start = [] if initial_state is None else _listed(initial_state)
        outputs, h, c = stepped(x, start, list(self.own), steps, self.cell, self.activation, self.gate)
        y = outputs if self.sequences else outputs[:, -1]
        if mask is not None and steps is not None and self.zeroed:
            # Keras forgets to reverse the mask of an unrolled backward layer
            shown = mask if self.sequences and self.unrolled else steps
            y = torch.where(shown[..., None] if self.sequences else shown[:, -1:], y, 0.0)
        ends = [h, c] if self.cell == "lstm" else [h]
        return [y, *ends] if self.states else y


class BothWays(nn.Module):
    """A Keras Bidirectional layer around an LSTM, GRU, SimpleRNN or ConvLSTM."""

    def __init__(self, layer: Any, *, masked: bool) -> None:
        super().__init__()
        self.forwards = as_torch(layer.forward_layer, masked=masked)
        self.backwards = as_torch(layer.backward_layer, masked=masked)
        self.sequences, self.merge_mode = layer.return_sequences, layer.merge_mode
        self.states = layer.return_state

    def forward(self, inputs: Tensor, initial_state: States = None, **mask: Tensor) -> Any:
        """Return the merged outputs of both directions, in the order of the sequence.

        If asked for, the final states of both follow. Each direction starts from its half of
        ``initial_state``.
        """
        one, other = (
            layer(inputs, **starts, **mask)
            for layer, starts in zip((self.forwards, self.backwards), _halves(initial_state), strict=True)
        )
        ends = []
        if self.states:
            ends, one, other = [*one[1:], *other[1:]], one[0], other[0]
        merged = self._merged(one, other.flip(1) if self.sequences else other)
        return [*_listed(merged), *ends] if self.states else merged

    def _merged(self, one: Tensor, other: Tensor) -> Any:
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


def as_torch(layer: Any, *, masked: bool) -> nn.Module:
    """Return a torch module equivalent to a built recurrent layer; other layers unchanged.

    ``masked`` says whether it is ever called with a mask.
    """
    if isinstance(layer, keras.layers.Bidirectional):
        return (
            BothWays(layer, masked=masked)
            if isinstance(layer.forward_layer, (*_RECURRENT, *CONVOLUTIONAL))
            else layer
        )
    if isinstance(layer, CONVOLUTIONAL):
        return ConvolutionalLSTM(layer)
    if not isinstance(layer, _RECURRENT):
        return layer
    return Recurrent(layer) if _is_torchs(layer) and not masked else Stepped(layer)


def _is_torchs(layer: Any) -> bool:
    """Whether torch has this layer: sigmoid gates, tanh, and in a GRU the reset after the matrix product."""
    return (
        not isinstance(layer, keras.layers.SimpleRNN)
        and layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
        and getattr(layer, "reset_after", True)
    )


def _halves(states: States) -> list[dict[str, Any]]:
    """Return each direction's initial states as keyword arguments, empty if none are given."""
    if states is None:
        return [{}, {}]
    half = len(states) // 2
    return [{"initial_state": states[:half]}, {"initial_state": states[half:]}]


def _listed(states: Any) -> list[Tensor]:
    return list(states) if isinstance(states, (list, tuple)) else [states]


def _as_torch_has_them(layer: Any) -> list[Tensor]:
    """Return the input weights, the recurrent weights, (gate and unit, ...), and their biases."""
    kernel, recurrent, *bias = [variable.value.detach() for variable in layer.weights]
    zero = kernel.new_zeros(kernel.shape[1])
    inside, back = (bias[0] if bias[0].dim() == 2 else (bias[0], zero)) if bias else (zero, zero)
    values = [kernel.T, recurrent.T, inside, back]
    if isinstance(layer, keras.layers.GRU):  # Keras has the update gate first, torch the reset gate
        parts = [value.split(layer.units) for value in values]
        values = [torch.cat([reset, update, new]) for update, reset, new in parts]
    return [value.clone(memory_format=torch.contiguous_format) for value in values]


def _known(activation: Any) -> Callable[[Tensor], Tensor]:
    """Return the engine's version of a Keras activation, or the activation itself if it has none."""
    for name, function in ACTIVATIONS.items():
        if activation is getattr(keras.activations, name, None):
            return function.value
    return activation or ACTIVATIONS["linear"].value
