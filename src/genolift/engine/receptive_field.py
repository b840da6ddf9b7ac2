"""How many bases one unit of a model reads, before a layer that reads all of them.

Found from the captured graph by what can reach what: an operation is run on zeros but for some positions, and
what differs from zeros alone depends on those. Weights count as there or not, whatever their values, so that
neither a dead relu nor a small weight hides a base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.graph import Graph, Name, Operation, execute, freed_after, needed_for
from genolift.engine.kinds.kind import Kind
from genolift.engine.kinds.reach import Reach, by_row
from genolift.engine.registry import kind_or_any

_BASES = 4


@dataclass(frozen=True)
class ReceptiveField:
    """``bases`` that a unit reads, None for the whole input; ``of`` says which unit, or why it reads all."""

    bases: int | None
    of: str
    at_least: bool = False
    """Whether the ends of the input cut it off: it would be larger in a longer input."""


def receptive_field(graph: Graph, length: int, extra_inputs: Sequence[Tensor] = ()) -> ReceptiveField:
    """Return how many bases one unit reads before the first dense layer, global pooling or flattening.

    Parameters
    ----------
    graph
        A model of one-hot DNA, (row, 4, position).
    length
        Positions that it was captured with.
    extra_inputs
        One row of each of its further arguments.
    """
    reach = _Reach(graph, length, tuple(extra_inputs))
    edges = reach.edges()
    whole = reach.reads_both(edges)
    ends: list[Operation] = []
    for operation in graph.operations:
        read = [name for name in operation.inputs if name in graph.dependent]
        if operation.name not in graph.dependent or not read or not whole[operation.name]:
            continue
        local = [name for name in read if not whole[name]]
        if not local:
            continue
        kind = reach.kinds[operation.name]
        if len(local) < len(read) and not (kind.moves or kind.matrix):
            return ReceptiveField(
                None, f"{_called(operation, reach)} joins each position with what is read of all"
            )
        if not _collapses(operation, reach):
            large = kind.weighted == "convolution"
            return ReceptiveField(None, f"as of the {_called(operation, reach)}", at_least=large)
        ends.append(operation)
    if not ends:
        last = reach.by_name[graph.output]
        return reach.field(last.name, "of the output") or ReceptiveField(None, "of the output")
    found = [
        field
        for end in ends[:3]
        for name in end.inputs
        if name in graph.dependent and not whole[name]
        if (field := reach.field(name, f"before the {_called(end, reach)}")) is not None
    ]
    if not found:
        return ReceptiveField(None, f"the {_called(ends[0], reach)} reads the input itself")
    return max(found, key=lambda field: field.bases or 0)


def _called(operation: Operation, reach: _Reach) -> str:
    return f"{reach.kinds[operation.name].called(operation)} {operation.layer}".rstrip()


def _collapses(operation: Operation, reach: _Reach) -> bool:
    """Whether an operation leaves no positions: a dense layer, or pooling over all of them."""
    kind = reach.kinds[operation.name]
    if kind.matrix or kind.window is None:
        return kind.weighted is not None
    return kind.window.whole or reach.positions[operation.name] == 1


class _Reach:
    """What of a graph some positions of the input reach."""

    def __init__(self, graph: Graph, length: int, extra_inputs: tuple[Tensor, ...]) -> None:
        self.graph, self.length, self.extra_inputs = graph, length, extra_inputs
        self.by_name = graph.by_name
        self.kinds: dict[Name, Kind] = {}
        self.positions: dict[Name, int] = {}
        """Of the values of kinds that go over positions, how many are left."""
        self.random = torch.Generator().manual_seed(0)
        for operation in graph.operations:
            if operation.name in graph.dependent:
                self.kinds[operation.name] = kind_or_any(operation, graph.dependent)

    def edges(self) -> Tensor:
        """Return two rows of positions, one from each end, as few as something reads of."""
        output, width = self.graph.output, 1
        while True:
            rows = self._ends(width, width)
            if width >= self.length // 4:
                return rows
            reached = self.run(rows, {output})[output]
            if bool(by_row(self.by_name.get(output), reached, 2).any(1).all()):
                return rows
            width *= 2

    def reads_both(self, rows: Tensor) -> dict[Name, bool]:
        """Return for each value whether one of its units reads of both of two rows of positions."""
        return {
            name: bool(by_row(self.by_name.get(name), value, 2).all(0).any())
            for name, value in self.run(rows, set(self.graph.dependent)).items()
        }

    def field(self, name: Name, of: str) -> ReceptiveField | None:
        """Return how many bases a unit in the middle of a value reads; None for the input itself."""
        while name in self.by_name and self.kinds[name].moves:
            moved = [read for read in self.by_name[name].inputs if read in self.graph.dependent]
            if len(moved) > 1:
                break
            (name,) = moved
        if name not in self.by_name:
            return None
        rows = self.run(self._ends(self.length // 4, self.length // 4), {name})[name]
        shape, axis = rows.shape, self.by_name[name].batch_axis or 0
        along = _axis_of_positions(rows, axis)
        fields = []
        for part in (2, 1, 3):  # the middle first: one that the ends do not cut off is as large as any
            units = tuple(
                slice(None) if at == axis or (along is not None and at != along) else size * part // 4
                for at, size in enumerate(shape)
            )
            bounds = self._bounds(name, units)
            if bounds is None:
                continue
            start, stop = bounds
            cut = (start == 0 or stop == self.length) and self._is_padded(name)
            fields.append(ReceptiveField(stop - start, of, at_least=cut))
            if not cut:
                break
        return max(fields, key=lambda field: (field.bases or 0, not field.at_least), default=None)

    def _bounds(self, name: Name, units: tuple[Any, ...]) -> tuple[int, int] | None:
        """Return from where to where the unit reads that reads the most; None where none reads anything.

        ``units`` are those at one position: channels may have windows of their own, and dead ones have none.
        Bounds are narrowed, for the one that may read the most, by the ends of the input that they read.
        """
        reads = self._reached_units(name, units, self.length, self.length)[0]
        if not bool(reads.any()):
            return None
        # Of positions at each end that a unit does not read, (end, unit): at least so many, and fewer than.
        least = torch.zeros(2, len(reads), dtype=torch.long)
        below = torch.full_like(least, self.length)
        while True:
            most = int(torch.where(reads, -least.sum(0), -2 * self.length - 1).argmax())
            if bool((below[:, most] - least[:, most] <= 1).all()):
                return int(least[0, most]), self.length - int(least[1, most])
            middle = (least[:, most] + below[:, most]) // 2
            reached = self._reached_units(name, units, *middle.tolist())
            least = torch.where(reached, least, least.clamp(min=middle[:, None]))
            below = torch.where(reached, below.clamp(max=middle[:, None]), below)

    def _reached_units(self, name: Name, units: tuple[Any, ...], first: int, last: int) -> Tensor:
        """Return which units the ends of the input reach, (end, unit)."""
        value = self.run(self._ends(first, last), {name})[name]
        axis = self.by_name[name].batch_axis or 0
        kept = [at for at, chosen in enumerate(units) if isinstance(chosen, slice)]
        return (value[units] != 0).movedim(kept.index(axis), 0).reshape(2, -1)

    def _is_padded(self, name: Name) -> bool:
        """Whether any operation up to a value pads with something."""
        for operation in self.graph.before([name], lambda each: True):
            kind = self.kinds.get(operation.name)
            place = kind.window.padding if kind and kind.window else None
            if place is not None and len(operation.args) > place and any(operation.args[place]):
                return True
        return False

    def _ends(self, first: int, last: int) -> Tensor:
        """Return two rows: so many of the first positions, and of the last."""
        positions = torch.arange(self.length)
        rows = torch.stack([positions < first, positions >= self.length - last])
        return rows[:, None].repeat(1, _BASES, 1).float()

    def run(self, rows: Tensor, wanted: set[Name]) -> dict[Name, Tensor]:
        """Return wanted values: 0 where none of a row's positions reaches, else 1."""
        n = len(rows)
        values: dict[str, Any] = dict(self.graph.constants)
        values[self.graph.input] = rows
        for name, one in zip(self.graph.inputs[1:], self.extra_inputs, strict=True):
            values[name] = one[:1].expand(n, *one.shape[1:])
        operations = needed_for(wanted, self.graph.operations)
        freed = freed_after(operations, self.graph.constants.keys() | wanted)
        reach = Reach(self.graph, n, values, self.random)
        with torch.no_grad():
            for operation in operations:
                if operation.name in self.graph.dependent:
                    value = self.kinds[operation.name].reached(operation, reach)
                    self.positions[operation.name] = int(value.shape[2:].numel()) if value.dim() > 2 else 0
                else:
                    value = execute(operation, values)
                values[operation.name] = value
                for name in freed.get(operation.name, ()):
                    del values[name]
        return {name: values[name] for name in wanted}


def _axis_of_positions(rows: Tensor, batch: int) -> int | None:
    """Return the axis along which the two rows, of both ends of the input, differ; None if not one does."""
    one, other = (rows != 0).movedim(batch, 0).unflatten(0, (2, -1))[:, 0]
    axes = [at for at in range(rows.dim()) if at != batch]
    differ = []
    for place, axis in enumerate(axes):
        left, right = (end.movedim(place, 0).reshape(end.shape[place], -1).any(1) for end in (one, other))
        if not torch.equal(left, right):
            differ.append(axis)
    return differ[0] if len(differ) == 1 else None
