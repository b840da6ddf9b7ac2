"""Carrying out a plan: one forward for each distinct row, one backward for each sequence-reference pair.

Values of n sequences and of their references are kept apart, (n, ...) and (n r, ...), and meet only in the
rules, by broadcasting; the sequences' forward is never repeated for a reference. A linear operation's
transpose comes from autograd, from a graph of that one operation on the rows that carry the backward pass:
the references' rows, or the sequences' own where all share their references.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genolift.engine.backends import channels_last, loops
from genolift.engine.backends.choice import Forms, forms_for
from genolift.engine.devices import place
from genolift.engine.graph.graph import Operation, apply, aten, fill_in
from genolift.engine.graph.own_state import default_dtype
from genolift.engine.graph.tracing import in_precision
from genolift.engine.kinds.kind import Taken, Values
from genolift.engine.kinds.pairs import Activations, Transpose
from genolift.engine.plan import Plan
from genolift.engine.run.folding import fold_batch_norm
from genolift.engine.run.preparation import Preparation, constants_of, halved, lay_out_weights


class Runner:
    """A plan with its constants folded, ready to be run on any number of rows.

    Parameters
    ----------
    plan
        The operations and their rules.
    device, dtype
        Where, and in what, the plan's graph was captured.
    half_precision
        Compute convolutions and matrix products in bfloat16, all else in the graph's own precision.
    keep_everything
        Keep every value that depends on the input, not only what the rules need.
    forms
        The fast forms that may be used; None for those that are worth it on the device.
    """

    def __init__(
        self,
        plan: Plan,
        device: torch.device,
        dtype: torch.dtype,
        *,
        half_precision: bool = False,
        keep_everything: bool = False,
        forms: Forms | None = None,
    ) -> None:
        self.device, self.dtype = device, dtype
        self.constants = constants_of(plan.graph, dtype)
        forms = forms_for(device) if forms is None else forms
        # What is read between a layer and its batch norm needs the two apart.
        folds = forms.folding and not keep_everything
        self.plan = fold_batch_norm(plan, self.constants) if folds else plan
        self.graph = self.plan.graph
        self.known = Preparation(
            self.plan,
            self.constants,
            forms,
            dtype,
            half_precision=half_precision,
            keep_everything=keep_everything,
        )
        self.layout = self.known.layout
        lay_out_weights(self.known, self.graph, self.constants)

    def placed(self, tensor: Tensor, *, numbers: bool = False) -> Tensor:
        """Return ``tensor`` where and in what the plan is computed; with ``numbers`` whole numbers too.

        Whole numbers, a quarter of the bytes of float32 where they are uint8, are brought there as they are.
        """
        whole = not (tensor.is_floating_point() or tensor.is_complex())
        dtype = self.dtype if whole and numbers else in_precision(tensor.dtype, self.dtype)
        return place(self.device).brought(tensor).to(dtype).contiguous()

    # Forward ------------------------------------------------------------------------------------------

    def forward(self, inputs: tuple[Tensor, ...], *, carry: bool) -> Activations:
        """Run rows through the model; with ``carry``, ready for a backward pass on these rows.

        Parameters
        ----------
        inputs
            The model's arguments, each (rows, ...).
        carry
            Keep each linear operation's transpose.
        """
        known = self.known
        values: dict[str, Any] = dict(self.constants)
        values.update(zip(self.graph.inputs, inputs, strict=True))
        activations = Activations(inputs[0].shape[0], {}, carry)
        with default_dtype(self.dtype):
            for operation in known.operations:
                name = operation.name
                step = known.steps.get(name)
                terms = [values[each] for each in operation.inputs] if carry and name in known.sums else []
                if terms and _alike(terms):
                    # Its multipliers are those of each term; what nothing else takes is written over.
                    into = known.written_over.get(name)
                    values[name] = torch.add(*terms, out=None if into is None else values[into])
                elif step is None:
                    values[name] = self.value(operation, values)
                else:
                    values[name] = step.kind.forward(step, self, values, activations)
                for each in known.freed.get(name, ()):
                    del values[each]
        activations.values = {name: values[name] for name in known.kept}
        return activations

    def with_transpose(
        self, operation: Operation, dependent: Mapping[str, Tensor], values: Values, arguments: Taken
    ) -> tuple[Tensor, Transpose]:
        """Return a linear operation's result, in the precision that it is computed in, and its transpose."""
        halves = operation.name in self.known.halved
        leaves: dict[str, Tensor] = {}
        for name, value in dependent.items():
            number = self.layout.number(value).detach()
            leaves[name] = (halved(number) if halves else number).requires_grad_(True)
        every = {**values, **leaves}
        with torch.enable_grad():
            args = arguments(every)
            if halves:
                args = tuple(halved(argument) for argument in args)
            if self._is_laid_out(operation, args) and list(leaves) == [operation.args[0]]:
                x = args[0].detach()
                transpose = channels_last.Transpose(x.shape, x.dtype, args[1:])
                return channels_last.convolution(x, *args[1:]), transpose
            result = self._laid_out(operation, args, fill_in(operation.kwargs, every))
        return result.detach(), (leaves, result)

    def value(self, operation: Operation, values: Values) -> Any:
        """Compute an operation, in the layout and precision of this run, from the values of its arguments."""
        args, kwargs = fill_in(operation.args, values), fill_in(operation.kwargs, values)
        if operation.name not in self.known.halved:
            return self._laid_out(operation, args, kwargs)
        half = self._laid_out(operation, tuple(halved(argument) for argument in args), kwargs)
        return half if operation.name in self.layout.stays_half else half.to(self.dtype)

    def _laid_out(self, operation: Operation, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if self._is_laid_out(operation, args):
            return channels_last.convolution(*args)
        if operation.target is aten.relu.default and args[0].dtype == torch.bfloat16:
            by_loop = self.layout.forms.loops and loops.worth_loading(args[0].numel())
            return loops.relu_of_half(args[0]) if by_loop else args[0].relu().to(self.dtype)
        return apply(operation, args, kwargs)

    def _is_laid_out(self, operation: Operation, args: tuple[Any, ...]) -> bool:
        wanted = self.layout.forms.channels_last and operation.target is aten.convolution.default
        return wanted and channels_last.fits(args)

    def output(self, activations: Activations) -> Tensor:
        """Return the model's output, (rows, ...)."""
        return activations.values[self.graph.output]


def _alike(tensors: list[Tensor]) -> bool:
    """Whether tensors are of one shape and of one floating type."""
    first = tensors[0]
    return first.is_floating_point() and all(
        each.shape == first.shape and each.dtype == first.dtype for each in tensors
    )


def batches(n: int, r: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Yield (sequences, references) slices of at most ``size`` pairs: whole sequences where they fit."""
    for rows in _alike_slices(n, max(1, size // r)):
        for references in _alike_slices(r, size):
            yield rows, references


def _alike_slices(number: int, most: int) -> Iterator[slice]:
    """Divide a number into slices of at most ``most``, as long as each other but for one."""
    parts = -(-number // most)
    for part in range(parts):
        yield slice(part * number // parts, (part + 1) * number // parts)
