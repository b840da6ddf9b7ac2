"""Carrying out a plan: one forward for each distinct row, one backward for each sequence-reference pair.

Knows nothing of bases, files or where references come from.

Values of n sequences and of their references are kept apart, (n, ...) and (n r, ...), and meet only in the
rules, by broadcasting; the sequences' forward is never repeated for a reference. A linear operation's
transpose comes from autograd, from a graph of that one operation on the rows that carry the backward pass:
the references' rows, or the sequences' own where all share their references.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from genolift.engine import channels_last
from genolift.engine.folding import fold_batch_norm
from genolift.engine.graph import (
    Name,
    Operation,
    Result,
    UnsupportedOperation,
    apply,
    aten,
    default_dtype,
    execute,
    fill_in,
    names_in,
)
from genolift.engine.kinds import Composed, Elementwise, Linear, Selection
from genolift.engine.plan import Plan, Step

_COMPOSED_VALUES = 20
FACING_AXES = 3
"""How many more axes a value has that faces another."""


@dataclass
class Activations:
    """What one forward pass leaves behind."""

    rows: int
    values: dict[str, Tensor]
    transposes: dict[str, tuple[dict[str, Tensor], Tensor]] = field(default_factory=dict)
    """For each linear operation of a carrying pass: its arguments as leaves, and its result above them."""
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
    spread_transposes: dict[str, tuple[dict[str, Tensor], Tensor]] = field(default_factory=dict)

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
        self.half_precision = half_precision
        self.compiles = False
        """Whether the job is so long that compiling for it pays, on a GPU."""
        self.constants: dict[str, Any] = {**plan.graph.constants}
        self._fold_constants(plan)
        # What is read between a layer and its batch norm needs the two apart.
        self.plan = plan if keep_everything else fold_batch_norm(plan, self.constants)
        self.graph = self.plan.graph
        self.axis: dict[str, int] = dict.fromkeys(self.graph.inputs, 0)
        self.outer: dict[str, int] = {}
        self._operations = [
            operation for operation in self.graph.operations if operation.name not in self.constants
        ]
        for operation in self._operations:
            if operation.batch_axis is not None:
                self.axis[operation.name] = operation.batch_axis
                self.outer[operation.name] = operation.outer
        self._steps = {step.operation.name: step for step in self.plan.steps}
        everything = self.graph.dependent - {self.graph.input} if keep_everything else frozenset()
        self._kept = self._values_rules_need() | everything
        self._last_use = self._find_last_uses()
        self._absolute: dict[str, tuple[Any, ...]] = {}
        self._dependent: dict[str, list[Name]] = {}
        self._prepare_weights()
        self._sums: set[str] = set()
        self._written_over: dict[str, Name] = {}
        self._find_sums()

    def _fold_constants(self, plan: Plan) -> None:
        """Compute what depends on no input, once."""
        varying: set[str] = set(plan.graph.inputs)
        with default_dtype(self.dtype):
            for operation in plan.graph.operations:
                if varying.intersection(operation.inputs):
                    varying.add(operation.name)
                else:
                    self.constants[operation.name] = execute(operation, self.constants)

    def _values_rules_need(self) -> frozenset[str]:
        """Return the values that a backward pass compares between sequence and reference, or takes again."""
        kept: set[str] = {self.graph.output, self.graph.read}
        for step in self.plan.steps:
            operation = step.operation
            if isinstance(step.entry, (Elementwise, Selection)):
                kept |= set(operation.inputs)
                if not self.computes_again(step):
                    kept.add(operation.name)
            elif not isinstance(step.entry, Linear) or operation.name in self.plan.carries_spread:
                kept |= set(operation.inputs)
        return frozenset(kept - self.constants.keys())

    def computes_again(self, step: Step) -> bool:
        """Whether an operation's result is not kept but, where a rule needs it, computed from its input."""
        operation = step.operation
        return operation.target is aten.relu.default or is_pool(step)

    def _find_last_uses(self) -> dict[str, list[str]]:
        last: dict[str, str] = {}
        for operation in self._operations:
            last.update(dict.fromkeys(operation.inputs, operation.name))
        freed: dict[str, list[str]] = {}
        for name, user in last.items():
            if name not in self._kept and name not in self.constants:
                freed.setdefault(user, []).append(name)
        return freed

    def placed(self, tensor: Tensor) -> Tensor:
        """Return ``tensor`` where and in what the plan is computed."""
        dtype = self.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to(device=self.device, dtype=dtype, non_blocking=True).contiguous()

    def bytes_per_pair(self) -> int:
        """Return about how many bytes one sequence-reference pair takes."""
        # A composed operation keeps the values of its steps: a recurrent layer's gates and their products.
        numel = sum(
            step.operation.row_numel * (_COMPOSED_VALUES if isinstance(step.entry, Composed) else 1)
            for step in self.plan.steps
        )
        carriers = self.plan.carries_spread
        spread = sum(step.operation.row_numel for step in self.plan.steps if step.operation.name in carriers)
        return max(1, (2 * numel + 3 * spread) * torch.finfo(self.dtype).bits // 8)

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
        values: dict[str, Any] = dict(self.constants)
        values.update(zip(self.graph.inputs, inputs, strict=True))
        activations = Activations(inputs[0].shape[0], {})
        for operation in self._operations:
            step = self._steps.get(operation.name)
            if carry and operation.name in self._sums and _alike(terms := self._terms(operation, values)):
                # Its multipliers are those of each term; what nothing else takes is written over.
                into = self._written_over.get(operation.name)
                values[operation.name] = torch.add(*terms, out=None if into is None else values[into])
            elif carry and step is not None and isinstance(step.entry, Linear):
                leaves: dict[str, Tensor] = {
                    name: as_leaf(self.number(values[name])) for name in self.dependent(operation)
                }
                with torch.enable_grad():
                    result = self.value(operation, values | leaves)
                activations.transposes[operation.name] = leaves, result
                result = result.detach()
                values[operation.name] = result.bool() if operation.dtype == torch.bool else result
            elif step is not None and is_pool(step):
                values[operation.name], chosen = _pooled(operation, values)
                activations.chosen[operation.name] = chosen
            else:
                values[operation.name] = self.value(operation, values)
            for name in self._last_use.get(operation.name, ()):
                del values[name]
        activations.values = {name: values[name] for name in self._kept}
        return activations

    def _find_sums(self) -> None:
        """Find the additions of two values, and which of them can be written over one of those."""
        users: dict[str, int] = {}
        for operation in self._operations:
            for name in operation.inputs:
                users[name] = users.get(name, 0) + 1
        for name, step in self._steps.items():
            operation = step.operation
            if (
                operation.target is not aten.add.Tensor
                or operation.kwargs
                or len(self.dependent(operation)) < 2
            ):
                continue
            self._sums.add(name)
            for term in operation.inputs:
                before = self._steps.get(term)
                # An elementwise function's result is memory of its own.
                made_anew = before is not None and isinstance(before.entry, Elementwise)
                if made_anew and users[term] == 1 and term not in self._kept:
                    self._written_over[name] = term

    def _terms(self, operation: Operation, values: Mapping[str, Any]) -> list[Tensor]:
        return [values[name] for name in operation.inputs]

    def value(self, operation: Operation, values: Mapping[str, Any]) -> Any:
        """Compute an operation from the values of its arguments."""
        return self._computed(operation, fill_in(operation.args, values), fill_in(operation.kwargs, values))

    def _computed(self, operation: Operation, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Compute an operation in the layout and the precision that it is computed in here."""
        step = self._steps.get(operation.name)
        if self.half_precision and step and isinstance(step.entry, Linear) and step.entry.weighted:
            return self._laid_out(operation, tuple(_halved(argument) for argument in args), kwargs).float()
        return self._laid_out(operation, args, kwargs)

    def _laid_out(self, operation: Operation, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if operation.target is aten.convolution.default and channels_last.fits(self.device, args):
            return channels_last.convolution(*args)
        return apply(operation, args, kwargs)

    def _prepare_weights(self) -> None:
        """Bring the weights of convolutions, once, to the layout and precision that they are used in."""
        for operation in self._operations:
            if operation.target is not aten.convolution.default:
                continue
            name = operation.args[1]
            users = [each for each in self._operations if name in each.inputs]
            if name not in self.constants or any(each.target is not operation.target for each in users):
                continue
            if channels_last.fits(self.device, (None, self.constants[name], *operation.args[2:])):
                self.constants[name] = channels_last.laid_out(self.constants[name])
            if self.half_precision:
                self.constants[name] = _halved(self.constants[name])

    def absolute(self, step: Step, leaves: Mapping[str, Tensor], values: Mapping[str, Any]) -> Tensor:
        """Compute a linear step with its coefficients' absolute values and no constant term.

        ``leaves`` are the spreads of its dependent arguments, ``values`` the others.
        """
        operation, entry = step.operation, step.entry
        assert isinstance(entry, Linear)
        assert entry.absolute is not None
        depends = tuple(any(name in leaves for name in names_in([argument])) for argument in operation.args)
        if entry.weighted is None:
            args = entry.absolute(fill_in(operation.args, {**values, **leaves}), depends)
        else:
            # The weights are the larger part of the work where rows are few: their sizes are taken once.
            if operation.name not in self._absolute:
                self._absolute[operation.name] = entry.absolute(
                    fill_in(operation.args, {**values, **leaves}), depends
                )
            known = self._absolute[operation.name]
            args = tuple(
                fill_in(argument, leaves) if depended else kept
                for argument, depended, kept in zip(operation.args, depends, known, strict=True)
            )
        return self._computed(operation, args, fill_in(operation.kwargs, {**values, **leaves}))

    def number(self, tensor: Tensor) -> Tensor:
        """Return truth values as 0 and 1, other values as they are."""
        return tensor.to(self.dtype) if tensor.dtype == torch.bool else tensor

    def dependent(self, operation: Operation) -> list[Name]:
        """Return the arguments of an operation that depend on the input."""
        found = self._dependent.get(operation.name)
        if found is None:
            found = [name for name in operation.inputs if name in self.graph.dependent]
            self._dependent[operation.name] = found
        return found

    def output(self, activations: Activations) -> Tensor:
        """Return the model's output, (rows, ...)."""
        return activations.values[self.graph.output]

    # Pairs --------------------------------------------------------------------------------------------

    def facing(self, tensor: Tensor, name: str, n: int, r: int) -> Tensor:
        """View (..., n r k, ...) rows as (..., outer, n, r, k, ...): sequence and reference then broadcast.

        ``outer`` is 1 but for values whose rows are not the slowest index of their batch axis.
        """
        axis, outer, shape = self.axis[name], self.outer.get(name, 1), tensor.shape
        more = shape[axis] // (outer * n * r)
        return tensor.reshape(*shape[:axis], outer, n, r, more, *shape[axis + 1 :])

    def rows(self, tensor: Tensor, name: str, n: int, r: int) -> Tensor:
        """Undo `facing`, repeating what broadcasts."""
        axis, shape = self.axis[name], tensor.shape
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
        return every.narrow(self.axis[name] + 2, pairs.shared, 1)

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


def _halved(argument: Any) -> Any:
    if isinstance(argument, Tensor) and argument.dtype == torch.float32:
        return argument.bfloat16()
    return argument


def is_pool(step: Step) -> bool:
    """Whether a step is a pool that gives with its maxima where they were."""
    return isinstance(step.entry, Selection) and step.entry.pool


def _pooled(operation: Operation, values: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    target = operation.target
    assert isinstance(target, Result)
    largest, where = target.operation(*fill_in(operation.args, values), **fill_in(operation.kwargs, values))
    return largest, where


def as_leaf(tensor: Tensor) -> Tensor:
    """Return ``tensor`` as the start of an autograd graph of its own."""
    return tensor.detach().requires_grad_(True)


def check_rows_are_independent(runner: Runner, example: tuple[Tensor, ...]) -> None:
    """Run two made-up rows, changing one at a time; no value of the other may change.

    Raises
    ------
    UnsupportedOperation
        If a row's value depends on another row, naming the operation.
    """
    runs = [_probe(runner, example, seeds) for seeds in ((0, 1), (0, 2), (2, 1))]
    for operation in runner._operations:
        with default_dtype(runner.dtype):
            for run in runs:
                run[operation.name] = runner.value(operation, run)
        if operation.name not in runner.graph.dependent:
            continue
        axis = runner.axis[operation.name] + 1
        both, first, second = (
            runner.facing(runner.number(run[operation.name]), operation.name, 2, 1) for run in runs
        )
        scale = float(both.abs().max()) if both.numel() and bool(torch.isfinite(both).all()) else 1.0
        near: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-4 * max(scale, 1e-30), "equal_nan": True}
        kept = torch.allclose(both.select(axis, 0), first.select(axis, 0), **near)
        if not kept or not torch.allclose(both.select(axis, 1), second.select(axis, 1), **near):
            raise UnsupportedOperation(
                f"{operation.title} mixes the rows of a batch with each other",
                where=operation.source or f"model, value {operation.name}",
                remedy="a row's output may depend on that row alone",
            )


def _probe(runner: Runner, example: tuple[Tensor, ...], seeds: tuple[int, ...]) -> dict[str, Any]:
    """Return the values to start from, for a row of random frequencies for each seed."""
    event = example[0].shape[1:]
    rows = [torch.rand(event, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    values: dict[str, Any] = dict(runner.constants)
    held = (torch.cat([tensor[:1]] * len(seeds)) for tensor in example[1:])
    first = torch.stack([row / row.sum(0, keepdim=True) if row.dim() > 1 else row for row in rows])
    values.update(zip(runner.graph.inputs, (first.to(example[0]), *held), strict=True))
    return values


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
