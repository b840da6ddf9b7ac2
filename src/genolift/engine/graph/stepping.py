"""Recurrent layers that torch has not, a step at a time: with other activations, a GRU that resets before its
product, steps that a mask leaves out.

Called under a mode of torch's functions, such as capture has, `stepped` shows itself to that as one function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function

from genolift.engine.graph.cells import CELLS, STATES, Activate, State, gone_through
from genolift.engine.rules.activations import ACTIVATIONS


def stepped(
    inputs: Tensor,
    start: Sequence[Tensor],
    parameters: Sequence[Tensor],
    mask: Tensor | None,
    cell: str,
    activation: Activate,
    gate: Activate,
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
        One of `CELLS`.
    activation, gate
        Elementwise functions.
    """
    if has_torch_function((inputs, *parameters)):
        arguments = inputs, start, parameters, mask, cell, activation, gate
        return handle_torch_function(stepped, (inputs, *parameters), *arguments)
    weight_in, weight_on, bias_in, bias_on = parameters
    entering = functional.linear(inputs, weight_in, bias_in)
    zeros = inputs.new_zeros(inputs.shape[0], weight_on.shape[1])
    counts = None if mask is None else mask != 0

    def weigh(value: Tensor, rows: slice | None = None) -> Tensor:
        weight, bias = (weight_on, bias_on) if rows is None else (weight_on[rows], bias_on[rows])
        return functional.linear(value, weight, bias)

    def step(time: int, state: State) -> State:
        return CELLS[cell](entering[:, time], state, weigh, activation, gate)

    def choose(time: int, new: Tensor, old: Tensor) -> Tensor:
        assert counts is not None
        return torch.where(counts[:, time, None], new, old)

    outputs, state = gone_through(
        range(inputs.shape[1]),
        step,
        tuple(start) or (zeros,) * STATES[cell],
        zeros if start else None,
        None if counts is None else choose,
    )
    return torch.stack(outputs, 1), state[0], state[-1]


def named(*activations: Activate) -> list[str] | None:
    """Return the names of activations; None where one has none, and a layer with it is no one operation."""
    names: dict[Any, str] = {function.value: name for name, function in ACTIVATIONS.items()}
    found = [names[each] for each in activations if each in names]
    return found if len(found) == len(activations) else None
