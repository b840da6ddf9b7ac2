"""Carrying out a plan: one forward for each distinct row, one backward for each sequence-reference pair.


Values of n sequences and of their references are kept apart, (n, ...) and (n r, ...), and meet only in the
rules, by broadcasting; the sequences' forward is never repeated for a reference. A linear operation's
transpose comes from autograd, from a graph of that one operation on the rows that carry the backward pass:
the references' rows, or the sequences' own where all share their references.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from genolift.engine.backends import channels_last, loops
from genolift.engine.backends.folding import fold_batch_norm
from genolift.engine.graph.graph import Name, Operation, Result, apply, aten, fill_in, names_in
from genolift.engine.graph.own_state import default_dtype
from genolift.engine.graph.tracing import in_precision
from genolift.engine.kinds.kinds import Linear
from genolift.engine.operations import SUMS_BUT
from genolift.engine.plan import Plan, Step
from genolift.engine.run.footprint import bytes_per_pair
from genolift.engine.run.preparation import constants_of, halved, is_pool, lay_out_weights, prepare

Transpose = channels_last.Transpose | tuple[dict[str, Tensor], Tensor]
"""A convolution's, or for autograd an operation's arguments as leaves and its result above them."""
FACING_AXES = 3
"""How many more axes a value has that faces another."""


@dataclass
class Activations:
    """What one forward pass leaves behind."""

    rows: int
    values: dict[str, Tensor]
    transposes: dict[str, Transpose] = field(default_factory=dict)
    """For each linear operation of a carrying pass, the way back through it."""
    chosen: dict[str, Tensor] = field(default_factory=dict)
    """For each pool that takes a maximum: where on the window's axis, as `kinds.Selection` gives it."""


@dataclass(frozen=True)
class Pairs:
    """Sequences and references whose values are compared, every sequence with r references.

    ``shared`` is the number of the one reference that all sequences are compared with, else None.
    """

    sequences: Activations
    references: Activations
    carrier: Activations
    r: int
    shared: int | None = None
    frees: bool = False
    """Whether a backward pass may drop the references' values as it goes."""
    spread: dict[str, Tensor] = field(default_factory=dict)
    """Of values whose parts are told apart, dx+ - dx- of every pair; made by the first backward pass."""
    spread_transposes: dict[str, Transpose] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of pairs."""
        return self.sequences.rows * self.r


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
    """

    def __init__(
        self,
        plan: Plan,
        device: torch.device,
        dtype: torch.dtype,
        *,
        half_precision: bool = False,
        keep_everything: bool = False,
    ) -> None:
        self.device, self.dtype = device, dtype
        self.compiles = False
        """Whether the job is so long that compiling for it pays, on a GPU."""
        self.constants = constants_of(plan.graph, dtype)
        # What is read between a layer and its batch norm needs the two apart.
        self.plan = plan if keep_everything else fold_batch_norm(plan, self.constants)
        self.graph = self.plan.graph
        self.known = prepare(
            self.plan,
            self.constants,
            device,
            half_precision=half_precision,
            keep_everything=keep_everything,
        )
        lay_out_weights(self.known, self.constants, device)
        self._absolute: dict[str, tuple[Any, ...]] = {}

    def placed(self, tensor: Tensor, *, numbers: bool = False) -> Tensor:
        """Return ``tensor`` where and in what the plan is computed; with ``numbers`` whole numbers too.

        Whole numbers, a quarter of the bytes of float32 where they are uint8, are brought there as they are.
        """
        if not (tensor.is_floating_point() or tensor.is_complex()):
            there = tensor.to(device=self.device, non_blocking=True)
            return (there.to(self.dtype) if numbers else there).contiguous()
        dtype = in_precision(tensor.dtype, self.dtype)
        return tensor.to(device=self.device, dtype=dtype, non_blocking=True).contiguous()

    def bytes_per_pair(self, event: int = 0) -> int:
        """Return at most how many bytes one sequence-reference pair, of ``event`` numbers each, takes."""
        return bytes_per_pair(self, event)

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
        with default_dtype(self.dtype):
            return self._forward(inputs, carry=carry)

    def _forward(self, inputs: tuple[Tensor, ...], *, carry: bool) -> Activations:
        known = self.known
        values: dict[str, Any] = dict(self.constants)
        values.update(zip(self.graph.inputs, inputs, strict=True))
        activations = Activations(inputs[0].shape[0], {})
        for operation in known.operations:
            name = operation.name
            step = known.steps.get(name)
            if carry and name in known.sums and _alike(terms := [values[each] for each in operation.inputs]):
                # Its multipliers are those of each term; what nothing else takes is written over.
                into = known.written_over.get(name)
                values[name] = torch.add(*terms, out=None if into is None else values[into])
            elif carry and step is not None and isinstance(step.entry, Linear):
                values[name] = self._carried(operation, values, activations)
            elif is_pool(step):
                values[name], activations.chosen[name] = _pooled(operation, values)
            else:
                values[name] = self.value(operation, values)
            for each in known.freed.get(name, ()):
                del values[each]
        activations.values = {name: values[name] for name in known.kept}
        return activations

    def _carried(self, operation: Operation, values: Mapping[str, Any], activations: Activations) -> Tensor:
        """Compute a linear operation, and keep its transpose: of half precision, if it is."""
        leaves = self._leaves(operation, {name: values[name] for name in self.dependent(operation)})
        every = {**values, **leaves}
        result, activations.transposes[operation.name] = self._with_transpose(
            operation, leaves, lambda: self._filled(operation, every), fill_in(operation.kwargs, every)
        )
        if result.dtype == torch.bfloat16 and operation.name not in self.known.stays_half:
            return result.to(self.dtype)
        return result.bool() if operation.dtype == torch.bool else result

    def _filled(self, operation: Operation, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return an operation's arguments; where it moves truth values, those are numbers, but for a mask."""
        args: tuple[Any, ...] = fill_in(operation.args, values)
        if operation.dtype != torch.bool or operation.target not in SUMS_BUT:
            return args
        mask = SUMS_BUT[operation.target][0]
        return tuple(
            self.number(arg) if isinstance(arg, Tensor) and place != mask else arg
            for place, arg in enumerate(args)
        )

    def _leaves(self, operation: Operation, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        halves = operation.name in self.known.halved
        numbers = {name: self.number(value) for name, value in values.items()}
        return {name: as_leaf(halved(value) if halves else value) for name, value in numbers.items()}

    def _with_transpose(
        self,
        operation: Operation,
        leaves: dict[str, Tensor],
        arguments: Callable[[], tuple[Any, ...]],
        kwargs: Mapping[str, Any],
    ) -> tuple[Tensor, Transpose]:
        """Return a linear operation's result, in the precision that it is computed in, and its transpose."""
        with torch.enable_grad():
            args = arguments()
            if operation.name in self.known.halved:
                args = tuple(halved(argument) for argument in args)
            if self._is_laid_out(operation, args) and list(leaves) == [operation.args[0]]:
                x = args[0].detach()
                transpose = channels_last.Transpose(x.shape, x.dtype, args[1:])
                return channels_last.convolution(x, *args[1:]), transpose
            result = self._laid_out(operation, args, kwargs)
        return result.detach(), (leaves, result)

    def value(self, operation: Operation, values: Mapping[str, Any]) -> Any:
        """Compute an operation from the values of its arguments."""
        return self._computed(operation, fill_in(operation.args, values), fill_in(operation.kwargs, values))

    def _computed(self, operation: Operation, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Compute an operation in the layout and the precision that it is computed in here."""
        if operation.name not in self.known.halved:
            return self._laid_out(operation, args, kwargs)
        half = self._laid_out(operation, tuple(halved(argument) for argument in args), kwargs)
        return half if operation.name in self.known.stays_half else half.to(self.dtype)

    def _laid_out(self, operation: Operation, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if self._is_laid_out(operation, args):
            return channels_last.convolution(*args)
        if operation.target is aten.relu.default and args[0].dtype == torch.bfloat16:
            return loops.relu_of_half(args[0])
        return apply(operation, args, kwargs)

    def _is_laid_out(self, operation: Operation, args: tuple[Any, ...]) -> bool:
        return operation.target is aten.convolution.default and channels_last.fits(self.device, args)

    def absolute(
        self, step: Step, spreads: Mapping[str, Tensor], values: Mapping[str, Any]
    ) -> tuple[Tensor, Transpose]:
        """Compute a linear step with its coefficients' absolute values and no constant term.

        ``spreads`` are those of its dependent arguments, ``values`` the others. Returns its transpose too.
        """
        operation, entry = step.operation, step.entry
        assert isinstance(entry, Linear)
        leaves = self._leaves(operation, spreads)
        every = {**values, **leaves}
        depends = tuple(any(name in leaves for name in names_in([argument])) for argument in operation.args)

        def arguments() -> tuple[Any, ...]:
            if entry.weighted is not None:
                return self._absolute_arguments(operation, entry, depends, every)
            assert entry.absolute is not None
            return entry.absolute(self._filled(operation, every), depends)

        result, transpose = self._with_transpose(
            operation, leaves, arguments, fill_in(operation.kwargs, every)
        )
        return result.to(self.dtype) if result.dtype == torch.bfloat16 else result, transpose

    def _absolute_arguments(
        self, operation: Operation, entry: Linear, depends: tuple[bool, ...], values: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        """Return a weighted layer's arguments with absolute weights, which are taken once."""
        assert entry.absolute is not None
        filled = fill_in(operation.args, values)
        kept = self._absolute.get(operation.name)
        if kept is None:
            taken = entry.absolute(filled, depends)
            others = [each for each, depended in zip(operation.args, depends, strict=True) if not depended]
            if any(name not in self.constants for name in names_in(others)):
                return taken  # its shape may depend on the rows
            kept = tuple(None if depended else each for each, depended in zip(taken, depends, strict=True))
            self._absolute[operation.name] = kept
        return tuple(
            each if depended else known for each, known, depended in zip(filled, kept, depends, strict=True)
        )

    def number(self, tensor: Tensor) -> Tensor:
        """Return truth values as 0 and 1, other values as they are."""
        return tensor.to(self.dtype) if tensor.dtype == torch.bool else tensor

    def dependent(self, operation: Operation) -> list[Name]:
        """Return the arguments of an operation that depend on the input."""
        return self.known.dependent[operation.name]

    def output(self, activations: Activations) -> Tensor:
        """Return the model's output, (rows, ...)."""
        return activations.values[self.graph.output]

    # Pairs --------------------------------------------------------------------------------------------

    def facing(self, tensor: Tensor, name: str, n: int, r: int) -> Tensor:
        """View (..., n r k, ...) rows as (..., outer, n, r, k, ...): sequence and reference then broadcast.

        ``outer`` is 1 but for values whose rows are not the slowest index of their batch axis.
        """
        axis, outer, shape = self.known.axis[name], self.known.outer.get(name, 1), tensor.shape
        more = shape[axis] // (outer * n * r)
        return tensor.reshape(*shape[:axis], outer, n, r, more, *shape[axis + 1 :])

    def rows(self, tensor: Tensor, name: str, n: int, r: int) -> Tensor:
        """Undo `facing`, repeating what broadcasts."""
        axis, shape = self.known.axis[name], tensor.shape
        full = tensor.expand(*shape[: axis + 1], n, r, *shape[axis + 3 :])
        return full.reshape(*shape[:axis], shape[axis] * n * r * shape[axis + 3], *shape[axis + 4 :])

    def sequence(self, pairs: Pairs, name: str) -> Tensor:
        """Return a value of the sequences, to face their references'."""
        return self.of_sequences(pairs, self.number(pairs.sequences.values[name]), name)

    def reference(self, pairs: Pairs, name: str) -> Tensor:
        """Return a value of the references, to face the sequences'."""
        return self.of_references(pairs, self.number(pairs.references.values[name]), name)

    def of_sequences(self, pairs: Pairs, value: Tensor, name: str) -> Tensor:
        """View what the sequences have in the shape of ``name``, to face their references'."""
        return self.facing(value, name, pairs.sequences.rows, 1)

    def of_references(self, pairs: Pairs, value: Tensor, name: str) -> Tensor:
        """View what the references have in the shape of ``name``, to face the sequences'."""
        if pairs.shared is None:
            return self.facing(value, name, pairs.sequences.rows, pairs.r)
        every = self.facing(value, name, 1, pairs.references.rows)
        return every.narrow(self.known.axis[name] + 2, pairs.shared, 1)

    def difference(self, pairs: Pairs, name: str) -> Tensor:
        """Return dx of every pair as rows."""
        dx = self.sequence(pairs, name) - self.reference(pairs, name)
        return self.rows(dx, name, pairs.sequences.rows, pairs.r)


def _alike(tensors: list[Tensor]) -> bool:
    """Whether tensors are of one shape and of one floating type."""
    first = tensors[0]
    return first.is_floating_point() and all(
        each.shape == first.shape and each.dtype == first.dtype for each in tensors
    )


def _pooled(operation: Operation, values: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    target = operation.target
    assert isinstance(target, Result)
    largest, where = target.operation(*fill_in(operation.args, values), **fill_in(operation.kwargs, values))
    return largest, where


def passed_back(transpose: Transpose, a: Tensor, *, again: bool) -> tuple[Tensor, ...]:
    """Return the multipliers of a linear operation's arguments from those of its result, a.

    With ``again`` the transpose can be used again.
    """
    if isinstance(transpose, channels_last.Transpose):
        return (transpose(a),)
    leaves, result = transpose
    return torch.autograd.grad(result, list(leaves.values()), a.to(result.dtype), retain_graph=again)


def as_leaf(tensor: Tensor) -> Tensor:
    """Return ``tensor`` as the start of an autograd graph of its own."""
    return tensor.detach().requires_grad_(True)


def batches(n: int, r: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Yield (sequences, references) slices of at most ``size`` pairs: whole sequences where they fit."""
    if r <= size:
        step = max(1, size // r)
        for start in range(0, n, step):
            yield slice(start, min(n, start + step)), slice(0, r)
    else:
        step = -(-r // -(-r // size))  # of 20 references with 19 at a time, 10 and 10
        for row in range(n):
            for start in range(0, r, step):
                yield slice(row, row + 1), slice(start, min(r, start + step))
