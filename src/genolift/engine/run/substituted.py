"""Rows of one sequence with single bases substituted, of which only what a base reaches is computed.

All else is what the unchanged sequence has there. An operation that is not known to be exact on a window, or
of which a window would be most, is computed whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genolift.engine.graph.graph import Name, Operation
from genolift.engine.graph.own_state import default_dtype
from genolift.engine.kinds.kind import Kind
from genolift.engine.registry import kind_or_any
from genolift.engine.run.over import written_over
from genolift.engine.run.run import Runner
from genolift.engine.run.scattered import Scattered, scattered
from genolift.engine.run.ways import Dense, OnWindow, Reshaped, Values, Way, overlaid, possible_ways
from genolift.engine.run.windows import Interval, Part, Place, Positions, Unchanged, for_rows

_TRIED = 3
"""Rows that a way is tried on, with windows at both ends and in the middle."""
_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-5}
"""How far results may differ, of the largest: three times the rounding seen; wrong ways were off by 0.1."""
_ROUNDING_OF_HALF = 0.03
_ONEHOT = Place(0, 2)


@dataclass(frozen=True)
class Work:
    """Operations of some substitutions, computed together: multiply-adds, or values where there are none."""

    plain: float = 0.0
    """Of whole rows."""
    computed: float = 0.0
    reached: float = 0.0
    """Of what each base reaches, alone."""


@dataclass(frozen=True)
class Kept:
    """What is kept of an unchanged sequence."""

    input: Unchanged
    values: Mapping[str, Any]
    """What does not depend on the sequence, of one row."""
    before: Mapping[str, Any]
    """What the way of each operation keeps."""


class _Reached:
    """What some substitutions reach of the result of each operation that has a way."""

    def __init__(self, every: Mapping[Name, tuple[Interval, int]], position: Positions) -> None:
        self._every, self._position, self.rows = every, position, len(position)
        self._found: dict[int, Interval] = {}
        """By the intervals of all positions, which many operations share."""

    def of(self, name: Name) -> Interval:
        """Return what each reaches."""
        every, _ = self._every[name]
        if id(every) not in self._found:
            self._found[id(every)] = every.of(self._position)
        return self._found[id(every)]

    def share(self, name: Name) -> float:
        """Return which share of positions the window is that each of them gets."""
        return min(1.0, self.of(name).width / self._every[name][1])

    def own_share(self, name: Name) -> float:
        """Return which share of positions is reached, on average."""
        return float(self.of(name).sizes.mean()) / self._every[name][1]


class Substituted:
    """How a graph is run on substitutions in one-hot sequences of a length.

    Parameters
    ----------
    runner
        The plan, of which multipliers are not passed back.
    row
        One row of each of the model's arguments, where the plan is computed; the first is (1, 4, length).
    """

    def __init__(self, runner: Runner, row: Sequence[Tensor]) -> None:
        self.runner, self.graph, self.dependent = runner, runner.graph, runner.graph.dependent
        operations = runner.known.operations
        self.kinds = {
            each.name: kind_or_any(each, self.dependent) for each in operations if each.name in self.dependent
        }
        trial = _Trial(self, row)
        self.ways, self._reached = trial.ways, trial.reached
        self._taken = {
            each.name: [name for name in each.inputs if name in self.dependent] for each in operations
        }
        own = [each.name for each in operations if each.name not in self.dependent]
        self._kept = frozenset({*self.ways, *own, *self.graph.inputs[1:]})

    @property
    def constants(self) -> dict[str, Tensor]:
        """What it holds beside the runner's constants."""
        return {name: way.weight for name, way in self.ways.items() if isinstance(way, (Dense, Scattered))}

    def keep(self, row: Sequence[Tensor]) -> Kept:
        """Run an unchanged sequence, and keep what its substitutions need of it; ``row`` as for the class."""
        values = self.of_one(row, self._kept)
        before = {name: way.kept(values) for name, way in self.ways.items()}
        others = {name: value for name, value in values.items() if name not in self.dependent}
        return Kept(Unchanged(row[0], _ONEHOT), others, before)

    def of_one(self, row: Sequence[Tensor], keep: frozenset[str] | None = None) -> dict[str, Any]:
        """Return the values of one row by name; only those to ``keep``, unless that is None."""
        values: dict[str, Any] = {**self.runner.constants, **dict(zip(self.graph.inputs, row, strict=True))}
        known = self.runner.known
        with default_dtype(self.runner.dtype):
            for operation in known.operations:
                values[operation.name] = self.runner.value(operation, values)
                for name in known.freed.get(operation.name, ()):
                    if keep is not None and name not in keep:
                        del values[name]
        return values

    def output(self, kept: Kept, base: Tensor, position: Tensor) -> Tensor:
        """Return the model's output on substitutions, (substitution, ...).

        Parameters
        ----------
        kept
            Of their sequence.
        base, position
            What is put where, (substitution,) each, on the host; fastest where those that are near each other
            are computed together.
        """
        rows, unchanged = len(base), kept.input.value
        window = unchanged.new_zeros(rows, 1, unchanged.shape[1])
        window[torch.arange(rows), 0, base.to(window.device)] = 1
        at = position.numpy()
        values: dict[str, Any] = {**self.runner.constants, self.graph.input: Part(kept.input, at, window)}
        values |= {name: for_rows(kept.values[name], 0, 1, rows) for name in self.graph.inputs[1:]}
        known, reached = self.runner.known, _Reached(self._reached, at)
        with default_dtype(self.runner.dtype):
            for operation in known.operations:
                values[operation.name] = self._value(operation, values, kept, reached)
                for name in known.freed.get(operation.name, ()):
                    del values[name]
        return whole(values[self.graph.output])

    def _value(self, operation: Operation, values: Values, kept: Kept, reached: _Reached) -> Any:
        """Return the value of an operation: a part of one, where its way is known and worth it."""
        name, compute = operation.name, self.runner.value
        if name not in self.dependent:
            return of_rows(operation, kept.values[name], values, reached.rows, self.runner)
        way = self.ways.get(name)
        parts = {each: part for each in operation.inputs if isinstance(part := values[each], Part)}
        has_windows = all(each in parts for each in self._taken[name])
        if way is not None and has_windows and way.pays(reached.share(name)):
            return way.apply(compute, values, kept.before[name], reached.of(name))
        return compute(operation, overlaid(values, {each: part.whole for each, part in parts.items()}))

    def work(self, position: Tensor) -> Work:
        """Return how much is computed of substitutions at these positions, together, (substitution,)."""
        computed_whole: set[str] = set()
        total, at = Work(), _Reached(self._reached, position.numpy())
        for operation in self.runner.known.operations:
            name, way = operation.name, self.ways.get(operation.name)
            if name not in self.dependent:
                continue
            of_window = of_reach = 1.0
            if way is not None:
                of_window, of_reach = at.share(name), at.own_share(name)
            if way is None or not computed_whole.isdisjoint(operation.inputs) or not way.pays(of_window):
                computed_whole.add(name)
                of_window = 1.0
            work = at.rows * operation_work(self.runner, operation, self.kinds[name])
            total = Work(
                total.plain + work, total.computed + work * of_window, total.reached + work * of_reach
            )
        return total

    def bytes_of_row(self, position: Tensor) -> tuple[int, int]:
        """Return what one of these substitutions takes of memory at most, and its largest value alone."""
        at, sizes = _Reached(self._reached, position.numpy()), [0]
        item = torch.finfo(self.runner.dtype).bits // 8
        for operation in self.runner.known.operations:
            share, way = 1.0, self.ways.get(operation.name)
            if way is not None and way.pays(at.share(operation.name)):
                share = at.share(operation.name)
            sizes.append(int(operation.row_numel * share) * item)
        return 2 * sum(sizes), max(sizes)


class _Trial:
    """The ways of a graph's operations, found by trying those that are possible on random values."""

    def __init__(self, substituted: Substituted, row: Sequence[Tensor]) -> None:
        self.runner, self.dependent = substituted.runner, substituted.dependent
        self.kinds = substituted.kinds
        self.ways: dict[str, Way] = {}
        every = np.arange(row[0].shape[2])
        self.reached = {self.runner.graph.input: (Interval(every, every + 1), len(every))}
        """By operation what a base at each position reaches, or for one without positions reaches of its
        argument; and of how many positions."""
        self._intervals: dict[bytes, Interval] = {}
        self._places: dict[Name, Place] = {self.runner.graph.input: _ONEHOT}
        self._reshaped: dict[Name, tuple[Reshaped, ...]] = {}
        """Of a value without positions of its own, the way to it from one that has them."""
        self._random = torch.Generator().manual_seed(0)
        self._one = substituted.of_one(row)
        inputs = self.runner.graph.inputs
        self._several: dict[str, Any] = {
            **self.runner.constants,
            **{name: for_rows(self._one[name], 0, 1, _TRIED) for name in inputs},
        }
        with default_dtype(self.runner.dtype), torch.no_grad():
            for operation in self.runner.known.operations:
                name, one = operation.name, self._one[operation.name]
                self._several[name] = of_rows(operation, one, self._several, _TRIED, self.runner)
                way = self._way(operation)
                if way is not None:
                    self.ways[name] = way

    def _way(self, operation: Operation) -> Way | None:
        """Return the way of an operation; None where there is none."""
        name, value = operation.name, self._one[operation.name]
        taken = [each for each in operation.inputs if each in self.dependent]
        if name not in self.dependent or operation.batch_axis is None or not _holds_numbers(value):
            return None
        flat = any(each in self._reshaped for each in taken)
        if not all(each in self._places for each in taken) or (flat and len(taken) > 1):
            return None
        parts = {each: Unchanged(self._one[self._source(each)], self._places[each]) for each in taken}
        half = name in self.runner.known.halved
        possible = possible_ways(operation, self.kinds[name], self.runner.value, self._one, parts, flat=flat)
        for way in scattered(possible, self.kinds[name], self._one):
            if half and way.by_difference:
                continue
            # Of a third of the positions, and of one, as where little is reached.
            if not all(self._is_right(operation, way, parts, share) for share in (3, 2**40)):
                continue
            of = Interval.joined(self.reached[each][0] for each in taken)
            self.reached[name] = self._shared(*(way.reached(of) or self.reached[taken[0]]))
            if way.positions is not None:
                self._places[name] = way.positions
            elif isinstance(way, Reshaped):
                self._places[name] = self._places[taken[0]]
                self._reshaped[name] = (*self._reshaped.get(taken[0], ()), way)
            over = written_over(operation, self.kinds, self.runner.graph, self._one)
            if over is not None and isinstance(way, OnWindow) and way.operation == operation:
                return replace(way, operation=over)
            return way
        return None

    def _shared(self, reached: Interval, length: int) -> tuple[Interval, int]:
        """Return the same object for the same intervals, so that a batch asks once what it reaches."""
        told = reached.start.tobytes() + reached.stop.tobytes()
        return self._intervals.setdefault(told, reached), length

    def _source(self, name: Name) -> Name:
        """Return the value with positions of its own that a value is the same as, but for its shape."""
        return self._reshaped[name][0].operation.inputs[0] if name in self._reshaped else name

    def _is_right(self, operation: Operation, way: Way, parts: Mapping[Name, Unchanged], share: int) -> bool:
        """Whether a way gives what the operation gives, on random values that differ within windows.

        Of the positions, these are one in ``share``, or one.
        """
        compute = self.runner.value
        one, several, windows = dict(self._one), dict(self._several), []
        for number, (name, like) in enumerate(parts.items()):
            unchanged = Unchanged(self._drawn(like.value), like.place)
            part, value = self._part(unchanged, max(1, like.length // (number + share))), unchanged.value
            windows.append(Interval(part.starts, part.starts + part.width))
            for each in self._reshaped.get(name, ()):
                before = each.operation.inputs[0]
                value = compute(each.operation, overlaid(one, {before: value}))
                part = each.apply(compute, overlaid(several, {before: part}), None, windows[0])
            one[name], several[name] = value, part
        every = {name: part.whole for name, part in several.items() if isinstance(part, Part)}
        expected, one[operation.name] = compute(operation, overlaid(several, every)), compute(operation, one)
        try:
            reached, _ = way.reached(Interval.joined(windows)) or (windows[0], 0)
            found = whole(way.apply(compute, several, way.kept(one), reached))
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, IndexError, TypeError, ValueError):
            return False  # shapes do not fit
        if found.shape != expected.shape:
            return False
        if expected.dtype == torch.bool:
            return torch.equal(found, expected)
        half = operation.name in self.runner.known.halved
        near = _ROUNDING_OF_HALF if half else _ROUNDING[self.runner.dtype]
        largest = expected[expected.isfinite()].abs().max() if bool(expected.isfinite().any()) else 0.0
        return torch.allclose(found, expected, rtol=0.0, atol=near * float(largest), equal_nan=True)

    def _drawn(self, like: Tensor) -> Tensor:
        """Return random values, made on the host so that they are the same everywhere."""
        drawn = torch.randn(like.shape, generator=self._random)
        return (drawn > 0).to(like.device) if like.dtype == torch.bool else drawn.to(like)

    def _part(self, unchanged: Unchanged, width: int) -> Part:
        """Return rows with windows at both ends of an unchanged one, and in the middle."""
        last = unchanged.length - width
        starts = np.array([0, last // 2, last])
        return Part(unchanged, starts, self._drawn(unchanged.at(starts[:, None] + np.arange(width))))


def whole(value: Part | Tensor) -> Tensor:
    """Return a value at all positions."""
    return value.whole if isinstance(value, Part) else value


def of_rows(operation: Operation, one: Any, values: Values, rows: int, runner: Runner) -> Any:
    """Return for so many rows what an operation gives for one, if it is the same for all or depends on it.

    What has no rows, such as their number, is computed of ``values``, those of all rows.
    """
    if isinstance(one, Tensor) and operation.batch_axis is not None:
        return for_rows(one, operation.batch_axis, operation.outer, rows)
    parts = {name: part.shaped() for name in operation.inputs if isinstance(part := values[name], Part)}
    return runner.value(operation, overlaid(values, parts))


def _holds_numbers(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.dtype == torch.bool)


def row_work(runner: Runner) -> int:
    """Return the multiplications, and values of what has none, of one row."""
    dependent = runner.graph.dependent
    of_rows = (each for each in runner.known.operations if each.name in dependent)
    return sum(operation_work(runner, each, kind_or_any(each, dependent)) for each in of_rows)


def operation_work(runner: Runner, operation: Operation, kind: Kind) -> int:
    """Return the multiplications of a weighted layer for one row; the values of any other operation."""
    if kind.moves:
        return 0
    place = kind.factor if kind.weighted else None
    weight = None if place is None else runner.constants.get(operation.args[place + 1])
    if not isinstance(weight, Tensor):
        return operation.row_numel
    return operation.row_numel * (weight.shape[-2] if kind.matrix else weight[0].numel())
