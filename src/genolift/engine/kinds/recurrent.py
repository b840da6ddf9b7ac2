"""Recurrent layers: a program of every time step in the layer's own order, on input and reference at once.

A 200-step layer would be thousands of operations if it were traced; kept whole it is one. Gates and
equations are those of `torch.nn.LSTM`, `torch.nn.GRU` and `torch.nn.RNN`, and of `graph.cells`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.cells import CELLS, STATES, State, gone_through
from genolift.engine.graph.graph import Operation
from genolift.engine.kinds.composed import Compared, Composed, Program, activated, weighted
from genolift.engine.kinds.kind import FedBy, Step
from genolift.engine.kinds.pairs import Layout
from genolift.engine.kinds.reach import Reach
from genolift.engine.rules.activations import ACTIVATIONS, SIGMOID
from genolift.engine.rules.composites import Composite
from genolift.engine.rules.rules import Function, Rule

_GATES = 12
"""Numbers for one of a recurrent layer's gates at one position, by autograd's graph of all positions."""


@dataclass(frozen=True)
class Recurrent(Composed):
    """A recurrent layer, with activations that weighted layers feed within."""

    def rule(self, composite: Composite, fed_by: FedBy) -> tuple[Rule | None, str]:
        """Return the rule that is asked for."""
        return composite.within(), self.pieces

    def numbers_at_once(self, step: Step, numel: Mapping[str, int], layout: Layout) -> int:
        """Return the numbers of all gates of all layers at all positions, which autograd keeps."""
        source, _, parameters, *_ = step.operation.args
        shapes = [layout.constants[name].shape for name in parameters]
        weights = [shape for shape in shapes if len(shape) == 2]
        return _GATES * numel[source] // weights[0][1] * sum(shape[0] for shape in weights)

    def reached(self, operation: Operation, reach: Reach) -> Tensor:
        """Every step is reached by what reaches one."""
        return reach.everywhere(operation)


@dataclass(frozen=True)
class _Layer:
    """A recurrent layer in one direction: its kind, activations and weights."""

    kind: str
    activation: Function
    gate: Function
    weights: Sequence[Tensor]
    """Of the inputs, and of the last output."""
    biases: Sequence[Tensor | None]
    projection: Tensor | None = None

    def through(
        self,
        inputs: Compared,
        state: State,
        rule: Rule,
        *,
        counts: Compared | None = None,
        backwards: bool = False,
    ) -> tuple[Compared, State]:
        """Return the outputs of all steps, in the inputs' order, and the last state.

        Time comes first in ``inputs``, and in ``counts``, 1 at the steps that count. No ``state`` is zeros.
        """
        entering = _biased(weighted(inputs, self.weights[0], rule), self.biases[0])
        zeros = entering[0][..., : self.weights[1].shape[1]].linear(torch.zeros_like)

        def weigh(value: Compared, rows: slice | None = None) -> Compared:
            weight, bias = self.weights[1], self.biases[1]
            if rows is not None:
                weight, bias = weight[rows], None if bias is None else bias[rows]
            return _biased(weighted(value, weight, rule), bias)

        def step(time: int, before: State) -> State:
            activate, gate = (partial(activated, function=f, rule=rule) for f in (self.activation, self.gate))
            output, *memory = CELLS[self.kind](entering[time], before, weigh, activate, gate)
            if self.projection is not None:
                output = weighted(output, self.projection, rule).net()
            return output, *memory

        def choose(time: int, new: Compared, old: Compared) -> Compared:
            assert counts is not None
            return _chosen(counts[time][..., None], new, old)

        times = range(inputs.shape[0])
        outputs, end = gone_through(
            reversed(times) if backwards else times,
            step,
            state or (zeros,) * STATES[self.kind],
            zeros if state else None,
            None if counts is None else choose,
        )
        return _stacked(outputs[::-1] if backwards else outputs), end


def recurrent(kind: str, activation: Function, index: int) -> Program:
    """Return the program of a result of torch's: 0 the outputs, 1 the last hidden state, 2 the memory."""

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
                own = parameters[number * each : (number + 1) * each]
                biases = own[2:4] if has_biases else (None, None)
                projection = own[-1] if len(own) % 2 else None
                made = _Layer(kind, activation, SIGMOID, own[:2], biases, projection)
                state = tuple(value[number] for value in starts)
                steps, end = made.through(inputs, state, rule, backwards=direction == 1)
                outputs.append(steps)
                ends.append(end)
            inputs = outputs[0].linear(lambda *each: torch.cat(each, -1), *outputs[1:])
        if index == 0:
            return inputs.linear(lambda z: z.movedim(0, 1 + shift)) if batch_first else inputs
        return _stacked([end[index - 1] for end in ends])

    return program


def stepped(index: int) -> Program:
    """`recurrent_operations.stepped`: results are the outputs, the last output and the last memory."""

    def program(arguments: Sequence[Any], axis: int, shift: int, rule: Rule) -> Compared:
        inputs, start, parameters, mask, kind, activation, gate = arguments
        inputs = inputs.linear(lambda z: z.movedim(1 + shift, 0))
        counts = None if mask is None else mask.linear(lambda z: z.movedim(1 + shift, 0))
        made = _Layer(kind, ACTIVATIONS[activation], ACTIVATIONS[gate], parameters[:2], parameters[2:])
        outputs, end = made.through(inputs, tuple(start), rule, counts=counts)
        if index == 0:
            return outputs.linear(lambda z: z.movedim(0, 1 + shift))
        return end[0] if index == 1 else end[-1]

    return program


def _biased(value: Compared, bias: Tensor | None) -> Compared:
    return value if bias is None else value + bias


def _chosen(counts: Compared, one: Compared, other: Compared) -> Compared:
    """Return one where ``counts``, 0 or 1, is 1, else the other: each is credited with its Shapley value."""
    often = (counts.x + counts.x0) / 2
    apart = (one.x + one.x0) / 2 - (other.x + other.x0) / 2
    change = often * one.change + (1 - often) * other.change + apart * counts.change
    x, x0 = torch.where(counts.x > 0, one.x, other.x), torch.where(counts.x0 > 0, one.x0, other.x0)
    return Compared(x, x0, change)


def _stacked(values: Sequence[Compared]) -> Compared:
    return values[0].linear(lambda *each: torch.stack(each), *values[1:])
