"""Recurrent layers as operations of their own, so that a model with one is traced in seconds.

While it traces, torch takes a recurrent layer apart into every time step to learn the shapes of its results:
minutes for 200 steps. Under `kept_whole` a call of one becomes an operation of the same arguments that knows
its shapes. `stepped` has the layers that torch lacks, a step at a time: with other activations, a GRU that
resets before its product, steps that a mask leaves out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function

from genolift.engine.graph.cells import CELLS, STATES, Activate, State, gone_through
from genolift.engine.graph.tracing import Replacing
from genolift.engine.rules.activations import ACTIVATIONS
from genolift.engine.torch_internals import recurrent_function


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

    Without a memory the last output stands for that. Under a mode of torch's functions, such as `kept_whole`,
    a call is one function to the mode.

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


_OPTIONS = (
    "Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional, "
    "bool batch_first"
)
_LIBRARY = torch.library.Library("genolift", "DEF")
_LIBRARY.define(f"lstm(Tensor input, Tensor[] hx, {_OPTIONS}) -> (Tensor, Tensor, Tensor)")
for _name in ("gru", "rnn_tanh", "rnn_relu"):
    _LIBRARY.define(f"{_name}(Tensor input, Tensor hx, {_OPTIONS}) -> (Tensor, Tensor)")
_LIBRARY.define(
    "stepped(Tensor input, Tensor[] hx, Tensor[] params, Tensor? mask, str cell, str activation, str gate) "
    "-> (Tensor, Tensor, Tensor)"
)


def _shapes(
    inputs: Tensor, start: Tensor | Sequence[Tensor], parameters: Sequence[Tensor], *options: Any
) -> tuple[Tensor, ...]:
    starts = [start] if isinstance(start, Tensor) else start
    width = starts[0].shape[2] * (2 if options[4] else 1)
    return inputs.new_empty(*inputs.shape[:2], width), *map(torch.empty_like, starts)


def _stepped(*arguments: Any) -> tuple[Tensor, ...]:
    inputs, start, parameters, mask, cell, *names = arguments
    functions = (ACTIVATIONS[name].value for name in names)
    results = stepped(inputs, start, parameters, mask, cell, *functions)
    return tuple(result.clone() for result in results)  # an operation's results may not be its arguments


def _stepped_shapes(
    inputs: Tensor, start: Sequence[Tensor], parameters: Sequence[Tensor], *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    rows, positions, units = *inputs.shape[:2], parameters[1].shape[1]
    outputs = inputs.new_empty(rows, positions, units)
    return outputs, inputs.new_empty(rows, units), inputs.new_empty(rows, units)


_LIBRARY.impl("stepped", _stepped, "CompositeExplicitAutograd")
_LIBRARY.impl("stepped", _stepped_shapes, "Meta")
for _name in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
    _LIBRARY.impl(_name, recurrent_function(_name), "CompositeExplicitAutograd")
    _LIBRARY.impl(_name, _shapes, "Meta")

genolift = torch.ops.genolift
"""The namespace of these operations."""
_OF_TORCH = {name: getattr(genolift, name).default for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")}
_WHOLE = {recurrent_function(name): operation for name, operation in _OF_TORCH.items()}
AS_TORCH_HAS_IT = {operation: getattr(torch.ops.aten, name).input for name, operation in _OF_TORCH.items()}
"""Torch's own operation, of the same arguments, for a program that is read without genolift."""
WHOLE_LAYERS = {name: (AS_TORCH_HAS_IT[operation], operation) for name, operation in _OF_TORCH.items()} | {
    "stepped": (genolift.stepped.default,)
}
"""The operations that are a whole recurrent layer, by what it is."""
RECURRENT = frozenset(operation for operations in WHOLE_LAYERS.values() for operation in operations)


_NAMES: Mapping[Any, str] = {function.value: name for name, function in ACTIVATIONS.items()}


class kept_whole(Replacing):  # noqa: N801 - a context manager, read as a phrase
    """``with kept_whole():`` a recurrent layer is traced as one operation of the namespace genolift.

    Parameters
    ----------
    torchs_alone
        Leave the layers that torch has not to be taken apart into their steps.
    """

    def __init__(self, *, torchs_alone: bool = False) -> None:
        super().__init__()
        self.torchs_alone = torchs_alone

    def called(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Put the operation kept whole in the place of a recurrent layer of a padded batch."""
        # A packed sequence's third argument is the initial state, not the weights.
        if function in _WHOLE and len(args) == 9 and not isinstance(args[3], (list, tuple)):
            function = _WHOLE[function]
        # One with an activation that has no name is taken apart.
        if function is stepped and not self.torchs_alone and _NAMES.keys() >= set(args[5:]):
            inputs, start, parameters, mask, cell, *activations = args
            mask = mask if mask is None else mask.to(inputs.dtype)  # credit comes to numbers alone
            args = inputs, start, parameters, mask, cell, *map(_NAMES.__getitem__, activations)
            function = genolift.stepped.default
        return function(*args, **kwargs)
