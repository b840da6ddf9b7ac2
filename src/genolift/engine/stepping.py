"""Recurrent layers that torch has not, a step at a time: with other activations, a GRU that resets before its
product, steps that a mask leaves out. Knows nothing of rules or graphs.

Called under a mode of torch's functions, such as capture has, `stepped` shows itself to that as one function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function

Activation = Callable[[Tensor], Tensor]
State = tuple[Tensor, ...]
"""What a step hands on, (row, unit) each: its output, and an LSTM's memory."""


def linear(x: Tensor) -> Tensor:
    """Return x."""
    return x


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return x / 6 + 0.5 cut to 0 and 1. The slope of torch's is off by rounding in float64."""
    return (x / 6 + 0.5).clamp(0, 1)


def hard_sigmoid_before_keras_3(x: Tensor) -> Tensor:
    """Return Keras 1's and 2's hard sigmoid, (0.2 x + 0.5) cut to 0 and 1; Keras 3 and torch have x / 6."""
    return (0.2 * x + 0.5).clamp(0, 1)


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "linear": linear,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_before_keras_3": hard_sigmoid_before_keras_3,
}
"""The activations that a layer may have and be kept whole, by the names that its operation is given."""

STATES: Mapping[str, int] = {"lstm": 2, "gru": 1, "gru_reset_first": 1, "rnn": 1}
"""How many values each kind of layer hands on from step to step."""


def stepped(
    inputs: Tensor,
    start: Sequence[Tensor],
    parameters: Sequence[Tensor],
    mask: Tensor | None,
    cell: str,
    activation: Activation,
    gate: Activation,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a recurrent layer's outputs, (row, position, unit), and its last output and memory, (row, unit).

    Without a memory the last output stands for that.

    Parameters
    ----------
    inputs
        (row, position, channel), of a floating type as all tensors but the mask.
    start
        The output and, of "lstm", the memory to start from, (row, unit) each; empty for zeros.
    parameters
        Weights of the inputs, (gate and unit, channel), and of the last output, (gate and unit, unit), and a
        bias for each. The gates' order is torch's.
    mask
        (row, position), not 0 at the steps that count: another changes no state, and its output is that of
        the step before, zeros at first. None where all count.
    cell
        "lstm", "gru", "gru_reset_first" (the reset gate multiplies what is then weighted) or "rnn".
    activation, gate
        Elementwise functions; "rnn" has no gate.
    """
    if has_torch_function((inputs, *parameters)):
        arguments = inputs, start, parameters, mask, cell, activation, gate
        return handle_torch_function(stepped, (inputs, *parameters), *arguments)
    weight_in, weight_on, bias_in, bias_on = parameters
    step = _CELLS[cell]
    entering = functional.linear(inputs, weight_in, bias_in)
    y = inputs.new_zeros(inputs.shape[0], weight_on.shape[1])
    state: State = tuple(start) or (y,) * STATES[cell]
    counts = None if mask is None else mask != 0
    outputs = []
    for position in range(inputs.shape[1]):
        new = step(entering[:, position], state, weight_on, bias_on, activation, gate)
        if counts is None:
            y, state = new[0], new
        else:
            here = counts[:, position, None]
            y = torch.where(here, new[0], y)
            state = tuple(torch.where(here, *pair) for pair in zip(new, state, strict=True))
        outputs.append(y)
    return torch.stack(outputs, 1), state[0], state[-1]


def _lstm(x: Tensor, state: State, weight: Tensor, bias: Tensor, act: Activation, gate: Activation) -> State:
    entered, kept, candidate, shown = (x + functional.linear(state[0], weight, bias)).chunk(4, 1)
    memory = gate(kept) * state[1] + gate(entered) * act(candidate)
    return gate(shown) * act(memory), memory


def _gru(x: Tensor, state: State, weight: Tensor, bias: Tensor, act: Activation, gate: Activation) -> State:
    (h,) = state
    (reset_in, update_in, new), (reset_on, update_on, back) = (
        each.chunk(3, 1) for each in (x, functional.linear(h, weight, bias))
    )
    update = gate(update_in + update_on)
    candidate = act(new + gate(reset_in + reset_on) * back)
    return (candidate + update * (h - candidate),)


def _gru_reset_first(
    x: Tensor, state: State, weight: Tensor, bias: Tensor, act: Activation, gate: Activation
) -> State:
    (h,) = state
    units = h.shape[1]
    gates = x[:, : 2 * units] + functional.linear(h, weight[: 2 * units], bias[: 2 * units])
    reset, update = gate(gates).chunk(2, 1)
    back = functional.linear(reset * h, weight[2 * units :], bias[2 * units :])
    candidate = act(x[:, 2 * units :] + back)
    return (candidate + update * (h - candidate),)


def _rnn(x: Tensor, state: State, weight: Tensor, bias: Tensor, act: Activation, gate: Activation) -> State:
    return (act(x + functional.linear(state[0], weight, bias)),)


_CELLS: Mapping[str, Callable[..., State]] = {
    "lstm": _lstm,
    "gru": _gru,
    "gru_reset_first": _gru_reset_first,
    "rnn": _rnn,
}


def named(*activations: Activation) -> list[str] | None:
    """Return the names of activations; None where one has none, and a layer with it is no one operation."""
    names: dict[Any, str] = {function: name for name, function in ACTIVATIONS.items()}
    found = [names[each] for each in activations if each in names]
    return found if len(found) == len(activations) else None
