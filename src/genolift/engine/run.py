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

from genolift.engine.graph import Name, Operation, UnsupportedOperation, default_dtype, execute
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
        self.plan, self.device, self.dtype = plan, device, dtype
        self.graph = plan.graph
        self.half_precision = half_precision
        self.constants: dict[str, Any] = {**self.graph.constants}
        self.axis: dict[str, int] = dict.fromkeys(self.graph.inputs, 0)
        self.outer: dict[str, int] = {}
        self._operations = self._fold_constants()
        self._steps = {step.operation.name: step for step in plan.steps}
        everything = self.graph.dependent - {self.graph.input} if keep_everything else frozenset()
        self._kept = self._values_rules_need() | everything
        self._last_use = self._find_last_uses()

    def _fold_constants(self) -> list[Operation]:
        """Compute what depends on no input once, and return the operations that are left."""
        varying: set[str] = set(self.graph.inputs)
        left = []
        for operation in self.graph.operations:
            if varying.intersection(operation.inputs):
                varying.add(operation.name)
                left.append(operation)
                if operation.batch_axis is not None:
                    self.axis[operation.name] = operation.batch_axis
                    self.outer[operation.name] = operation.outer
            else:
                with default_dtype(self.dtype):
                    self.constants[operation.name] = execute(operation, self.constants)
        return left

    def _values_rules_need(self) -> frozenset[str]:
        """Return the values that a backward pass compares between sequence and reference, or takes again."""
        kept: set[str] = {self.graph.output, self.graph.read}
        for step in self.plan.steps:
            operation = step.operation
            if isinstance(step.entry, (Elementwise, Selection)):
                kept |= {operation.name, *operation.inputs}
            elif not isinstance(step.entry, Linear) or operation.name in self.plan.carries_spread:
                kept |= set(operation.inputs)
        return frozenset(kept - self.constants.keys())

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
            if carry and step is not None and isinstance(step.entry, Linear):
                leaves: dict[str, Tensor] = {
                    name: as_leaf(self.number(values[name])) for name in self.dependent(operation)
                }
                with torch.enable_grad():
                    result = self._execute(step, values | leaves)
                activations.transposes[operation.name] = leaves, result
                result = result.detach()
                values[operation.name] = result.bool() if operation.dtype == torch.bool else result
            else:
                values[operation.name] = self._execute(step, values) if step else execute(operation, values)
            for name in self._last_use.get(operation.name, ()):
                del values[name]
        activations.values = {name: values[name] for name in self._kept}
        return activations

    def _execute(self, step: Step, values: Mapping[str, Any]) -> Tensor:
        if not self.half_precision or not isinstance(step.entry, Linear) or step.entry.weighted is None:
            return execute(step.operation, values)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            return execute(step.operation, values).float()

    def number(self, tensor: Tensor) -> Tensor:
        """Return truth values as 0 and 1, other values as they are."""
        return tensor.to(self.dtype) if tensor.dtype == torch.bool else tensor

    def dependent(self, operation: Operation) -> list[Name]:
        """Return the arguments of an operation that depend on the input."""
        return [name for name in operation.inputs if name in self.graph.dependent]

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
        return self.facing(self.number(pairs.sequences.values[name]), name, pairs.sequences.rows, 1)

    def reference(self, pairs: Pairs, name: str) -> Tensor:
        """Return a value of the references, to face the sequences'."""
        value = self.number(pairs.references.values[name])
        if pairs.shared is None:
            return self.facing(value, name, pairs.sequences.rows, pairs.r)
        every = self.facing(value, name, 1, pairs.references.rows)
        return every.narrow(self.axis[name] + 2, pairs.shared, 1)

    def difference(self, pairs: Pairs, name: str) -> Tensor:
        """Return dx of every pair as rows."""
        dx = self.sequence(pairs, name) - self.reference(pairs, name)
        return self.rows(dx, name, pairs.sequences.rows, pairs.r)


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
                run[operation.name] = execute(operation, run)
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
        for row in range(n):
            for start in range(0, r, size):
                yield slice(row, row + 1), slice(start, min(r, start + size))
