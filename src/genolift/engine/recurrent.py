"""Programs for recurrent layers: every time step in the layer's own order, on input and reference at once.

A 200-step layer would be thousands of operations if it were traced; kept whole it is one. Knows nothing of
graphs or batches. Gates and equations are those of `torch.nn.LSTM`, `torch.nn.GRU` and `torch.nn.RNN`, and of
`genolift.engine.stepping`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genolift.engine.composed import Compared, Program, activated, weighted
from genolift.engine.rules import Function, Rule
from genolift.engine.stepping import ACTIVATIONS, STATES


def _sigmoid_slope(z: Tensor) -> Tensor:
    y = torch.sigmoid(z)
    return y * (1 - y)


_SIGMOID = Function(torch.sigmoid, _sigmoid_slope, "absolute")
_TANH = Function(torch.tanh, lambda z: 1 - torch.tanh(z) ** 2, "absolute")
_RELU = Function(torch.relu, lambda z: (z > 0).to(z.dtype), None)

_FUNCTIONS: Mapping[str, Function] = {
    "tanh": _TANH,
    "sigmoid": _SIGMOID,
    "relu": _RELU,
    "linear": Function(ACTIVATIONS["linear"], torch.ones_like, None),
    "hard_sigmoid": Function(
        ACTIVATIONS["hard_sigmoid"], lambda z: (z.abs() < 3).to(z.dtype) / 6, "absolute", (-3.0, 3.0)
    ),
    "hard_sigmoid_before_keras_3": Function(
        ACTIVATIONS["hard_sigmoid_before_keras_3"],
        lambda z: (z.abs() < 2.5).to(z.dtype) / 5,
        "absolute",
        (-2.5, 2.5),
    ),
}

State = tuple[Compared, ...]
Cell = Callable[[Compared, State, Tensor, "Tensor | None", Rule], State]
"""``cell(inputs, state, weight, bias, rule)``: the step's inputs, already weighted and with their bias."""


def _lstm_cell(activation: Function, gate: Function) -> Cell:
    def cell(inputs: Compared, state: State, weight: Tensor, bias: Tensor | None, rule: Rule) -> State:
        hidden, memory = state
        gates = inputs + _biased(weighted(hidden, weight, rule), bias)
        size = memory.x.shape[-1]
        entered, kept, candidate, shown = (gates[..., k * size : (k + 1) * size] for k in range(4))
        memory = activated(kept, gate, rule) * memory + activated(entered, gate, rule) * activated(
            candidate, activation, rule
        )
        return activated(shown, gate, rule) * activated(memory, activation, rule), memory

    return cell


def _gru_cell(activation: Function, gate: Function) -> Cell:
    def cell(inputs: Compared, state: State, weight: Tensor, bias: Tensor | None, rule: Rule) -> State:
        (hidden,) = state
        size = hidden.x.shape[-1]
        before = _biased(weighted(hidden, weight, rule), bias)
        reset = activated(inputs[..., :size] + before[..., :size], gate, rule)
        update = activated(inputs[..., size : 2 * size] + before[..., size : 2 * size], gate, rule)
        # The reset gate multiplies what is weighted, so the sum has no parts of its own to tell apart.
        candidate = activated(
            _net(inputs[..., 2 * size :]) + reset * before[..., 2 * size :], activation, rule
        )
        return (_between(hidden, candidate, update),)

    return cell


def _gru_reset_first_cell(activation: Function, gate: Function) -> Cell:
    def cell(inputs: Compared, state: State, weight: Tensor, bias: Tensor | None, rule: Rule) -> State:
        (hidden,) = state
        size = hidden.x.shape[-1]
        of_gates, of_candidate = (None, None) if bias is None else (bias[: 2 * size], bias[2 * size :])
        before = _biased(weighted(hidden, weight[: 2 * size], rule), of_gates)
        gates = activated(inputs[..., : 2 * size] + before, gate, rule)
        back = _biased(weighted(gates[..., :size] * hidden, weight[2 * size :], rule), of_candidate)
        candidate = activated(inputs[..., 2 * size :] + back, activation, rule)
        return (_between(hidden, candidate, gates[..., size:]),)

    return cell


def _between(hidden: Compared, candidate: Compared, update: Compared) -> Compared:
    return candidate + update * (hidden + candidate.linear(torch.neg))


def _plain_cell(activation: Function, gate: Function | None = None) -> Cell:
    def cell(inputs: Compared, state: State, weight: Tensor, bias: Tensor | None, rule: Rule) -> State:
        before = _biased(weighted(state[0], weight, rule), bias)
        return (activated(inputs + before, activation, rule),)

    return cell


def _biased(value: Compared, bias: Tensor | None) -> Compared:
    return value if bias is None else value + bias


def _net(value: Compared) -> Compared:
    return Compared(value.x, value.x0, value.change)


def _recurrent(cell: Cell, index: int) -> Program:
    """Return the program of a layer's result: 0 the outputs, 1 the last hidden state, 2 the last memory."""

    def program(arguments: Sequence[Any], axis: int, shift: int, rule: Rule) -> Compared:
        inputs, start, parameters, has_biases, layers, _, _, bidirectional, batch_first = arguments
        starts: list[Compared] = list(start) if isinstance(start, (list, tuple)) else [start]
        if batch_first:  # time goes first
            inputs = inputs.linear(lambda z: z.movedim(1 + shift, 0))
        directions = 2 if bidirectional else 1
        each = len(parameters) // (layers * directions)
        ends: list[State] = []
        for layer in range(layers):
            outputs = []
            for direction in range(directions):
                number = layer * directions + direction
                weights = parameters[number * each : (number + 1) * each]
                state = tuple(value[number] for value in starts)
                steps, end = _one_direction(cell, inputs, state, weights, has_biases, direction == 1, rule)
                outputs.append(steps)
                ends.append(end)
            inputs = _joined(outputs, partial(torch.cat, dim=-1))
        if index == 0:
            return inputs.linear(lambda z: z.movedim(0, 1 + shift)) if batch_first else inputs
        return _stacked([end[index - 1] for end in ends])

    return program


def _one_direction(
    cell: Cell,
    inputs: Compared,
    state: State,
    parameters: Sequence[Tensor],
    has_biases: bool,
    backwards: bool,
    rule: Rule,
) -> tuple[Compared, State]:
    weight_in, weight_on = parameters[:2]
    bias_in, bias_on = parameters[2:4] if has_biases else (None, None)
    projection = parameters[-1] if len(parameters) % 2 else None
    entering = _biased(weighted(inputs, weight_in, rule), bias_in)
    steps: list[Compared] = []
    times = range(inputs.x.shape[0])
    for time in reversed(times) if backwards else times:
        state = cell(entering[time], state, weight_on, bias_on, rule)
        if projection is not None:
            state = (_net(weighted(state[0], projection, rule)), *state[1:])
        steps.append(state[0])
    return _stacked(steps[::-1] if backwards else steps), state


def _stacked(values: Sequence[Compared]) -> Compared:
    return _joined(values, torch.stack)


def _joined(values: Sequence[Compared], join: Callable[[list[Tensor]], Tensor]) -> Compared:
    x, x0, change = (join([getattr(value, field) for value in values]) for field in ("x", "x0", "change"))
    return Compared(x, x0, change)


def lstm(index: int) -> Program:
    """Long short-term memory: results are the outputs, the last hidden state, and the last memory."""
    return _recurrent(_lstm_cell(_TANH, _SIGMOID), index)


def gru(index: int) -> Program:
    """Gated recurrent unit: results are the outputs and the last hidden state."""
    return _recurrent(_gru_cell(_TANH, _SIGMOID), index)


def rnn_tanh(index: int) -> Program:
    """A plain recurrent layer with tanh."""
    return _recurrent(_plain_cell(_TANH), index)


def rnn_relu(index: int) -> Program:
    """A plain recurrent layer with relu."""
    return _recurrent(_plain_cell(_RELU), index)


_CELLS: Mapping[str, Callable[[Function, Function], Cell]] = {
    "lstm": _lstm_cell,
    "gru": _gru_cell,
    "gru_reset_first": _gru_reset_first_cell,
    "rnn": _plain_cell,
}


def stepped(index: int) -> Program:
    """`stepping.stepped`: results are the outputs, the last output and the last memory."""

    def program(arguments: Sequence[Any], axis: int, shift: int, rule: Rule) -> Compared:
        inputs, start, parameters, mask, kind, activation, gate = arguments
        weight_in, weight_on, bias_in, bias_on = parameters
        cell = _CELLS[kind](_FUNCTIONS[activation], _FUNCTIONS[gate])
        entering = weighted(inputs.linear(lambda z: z.movedim(1 + shift, 0)), weight_in, rule) + bias_in
        counts = None if mask is None else mask.linear(lambda z: z.movedim(1 + shift, 0)[..., None])
        zeros = _net(entering[0][..., : weight_on.shape[1]]).linear(torch.zeros_like)
        state: State = tuple(start) or (zeros,) * STATES[kind]
        output, outputs = zeros, []
        for time in range(entering.x.shape[0]):
            new = cell(entering[time], state, weight_on, bias_on, rule)
            if counts is None:
                output, state = new[0], new
            else:
                state = tuple(_chosen(counts[time], *pair) for pair in zip(new, state, strict=True))
                # where zeros are started from, what is put out is the state
                output = _chosen(counts[time], new[0], output) if start else state[0]
            outputs.append(output)
        if index == 0:
            return _stacked(outputs).linear(lambda z: z.movedim(0, 1 + shift))
        return state[0] if index == 1 else state[-1]

    return program


def _chosen(counts: Compared, one: Compared, other: Compared) -> Compared:
    """Return one where ``counts``, 0 or 1, is 1, else the other: each is credited with its Shapley value."""
    often = (counts.x + counts.x0) / 2
    apart = (one.x + one.x0) / 2 - (other.x + other.x0) / 2
    change = often * one.change + (1 - often) * other.change + apart * counts.change
    x, x0 = torch.where(counts.x > 0, one.x, other.x), torch.where(counts.x0 > 0, one.x0, other.x0)
    return Compared(x, x0, change)
