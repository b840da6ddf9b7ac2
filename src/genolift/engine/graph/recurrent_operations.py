"""Recurrent layers as operations of their own, so that a model with one is traced in seconds.

While it traces, torch takes a recurrent layer apart into every time step to learn the shapes of its results:
minutes for 200 steps. Under `kept_whole` a call of one becomes an operation of the same arguments that knows
its shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from genolift.engine.graph.stepping import named, stepped
from genolift.engine.rules.activations import ACTIVATIONS
from genolift.engine.torch_internals import recurrent_function

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


def _results_like(inputs: Tensor, start: Tensor, bidirectional: bool) -> Tensor:
    width = start.shape[2] * (2 if bidirectional else 1)
    return inputs.new_empty(inputs.shape[0], inputs.shape[1], width)


def _lstm_shapes(
    inputs: Tensor, start: Sequence[Tensor], parameters: Sequence[Tensor], *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    hidden, memory = (torch.empty_like(value) for value in start)
    return _results_like(inputs, start[0], options[4]), hidden, memory


def _shapes(
    inputs: Tensor, start: Tensor, parameters: Sequence[Tensor], *options: Any
) -> tuple[Tensor, Tensor]:
    return _results_like(inputs, start, options[4]), torch.empty_like(start)


def _stepped(
    inputs: Tensor,
    start: Sequence[Tensor],
    parameters: Sequence[Tensor],
    mask: Tensor | None,
    cell: str,
    activation: str,
    gate: str,
) -> tuple[Tensor, ...]:
    functions = ACTIVATIONS[activation].value, ACTIVATIONS[gate].value
    results = stepped(inputs, start, parameters, mask, cell, *functions)
    return tuple(result.clone() for result in results)  # an operation's results may not be its arguments


def _stepped_shapes(
    inputs: Tensor, start: Sequence[Tensor], parameters: Sequence[Tensor], *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    rows, positions, units = inputs.shape[0], inputs.shape[1], parameters[1].shape[1]
    outputs = inputs.new_empty(rows, positions, units)
    return outputs, inputs.new_empty(rows, units), inputs.new_empty(rows, units)


_LIBRARY.impl("stepped", _stepped, "CompositeExplicitAutograd")
_LIBRARY.impl("stepped", _stepped_shapes, "Meta")
for _name in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
    _LIBRARY.impl(_name, recurrent_function(_name), "CompositeExplicitAutograd")
    _LIBRARY.impl(_name, _lstm_shapes if _name == "lstm" else _shapes, "Meta")

genolift = torch.ops.genolift
"""The namespace of these operations."""
_WHOLE: Mapping[Callable[..., Any], Callable[..., Any]] = {
    recurrent_function(name): getattr(genolift, name).default
    for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")
}

AS_TORCH_HAS_IT: Mapping[Callable[..., Any], Callable[..., Any]] = {
    getattr(genolift, name).default: getattr(torch.ops.aten, name).input
    for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")
}
"""Torch's own operation, of the same arguments, for a program that is read without genolift."""
RECURRENT = frozenset({*AS_TORCH_HAS_IT, *AS_TORCH_HAS_IT.values(), genolift.stepped.default})
"""Every operation that is a whole recurrent layer."""


class kept_whole(TorchFunctionMode):  # noqa: N801 - a context manager, read as a phrase
    """``with kept_whole():`` a recurrent layer is traced as one operation of the namespace genolift.

    Parameters
    ----------
    torchs_alone
        Leave the layers that torch has not to be taken apart into their steps.
    """

    def __init__(self, *, torchs_alone: bool = False) -> None:
        super().__init__()
        self.torchs_alone = torchs_alone

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Put the operation kept whole in the place of a recurrent layer of a padded batch."""
        # A packed sequence's third argument is the initial state, not the weights.
        if function in _WHOLE and len(args) == 9 and not isinstance(args[3], (list, tuple)):
            function = _WHOLE[function]
        if function is stepped and not self.torchs_alone:
            inputs, start, parameters, mask, cell, *activations = args
            names = named(*activations)
            if names is not None:
                mask = mask if mask is None else mask.to(inputs.dtype)  # credit comes to numbers alone
                args = inputs, start, parameters, mask, cell, *names
                function = genolift.stepped.default
        return function(*args, **(kwargs or {}))
