"""How an operation is computed where its arguments differ from an unchanged row in a window of positions.

`possible_ways` says what may be right for an operation, by its shapes and by what its kind says of its
window. Which of them is right is found by trying (`run.substituted`), so that nothing need be known here of
most operations, nor of what padding, rounding up and the like do at the ends.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from genolift.engine.graph.graph import Name, Operation, fill_in
from genolift.engine.kinds.kind import Kind
from genolift.engine.run.windows import Interval, Part, Place, Positions, Unchanged, for_rows

Values = Mapping[Any, Any]
Compute = Callable[[Operation, Values], Any]
"""Computes an operation from the values of its arguments."""
_MOST = 0.8
"""The share of a result's positions from which on it is computed whole: to make windows costs too."""


@dataclass(frozen=True)
class Way(ABC):
    """How one operation is computed on windows; values that have one are `Part`."""

    operation: Operation
    by_difference: ClassVar[bool] = False
    """Whether a difference from the unchanged row is added to its result: in half precision too coarse."""

    @property
    def positions(self) -> Place | None:
        """Where the result has its positions; None where it has no axis of them."""
        return None

    def pays(self, share: float) -> bool:
        """Whether it saves anything where a share of the positions is computed."""
        return True

    @abstractmethod
    def apply(self, compute: Compute, values: Values, before: Any, reached: Interval) -> Part | Tensor:
        """Return the result; ``before`` is what was kept of the unchanged row's, ``reached`` what differs."""

    def kept(self, values: Values) -> Any:
        """Return what is kept of the values of the unchanged row."""
        return values[self.operation.name]

    def reached(self, of: Interval) -> tuple[Interval, int] | None:
        """Return what of the result is reached, of how many positions; None where it has none of its own."""
        return None

    def parts(self, values: Values) -> list[Part]:
        """Return the arguments that have windows."""
        return [values[name] for name in self.operation.inputs if isinstance(values[name], Part)]


@dataclass(frozen=True)
class KeptByPosition:
    """Of the unchanged row, a result, and what else an operation takes by position."""

    result: Unchanged
    held: Mapping[str, Unchanged]


@dataclass(frozen=True)
class OnWindow(Way):
    """Position j of the result takes ``span`` positions of its arguments, from ``step`` j + ``first`` on."""

    place: Place
    length: int
    """Positions of the result."""
    sizes: int | None = None
    """The place of the result's sizes among the arguments."""
    held: Mapping[str, int] = field(default_factory=dict)
    """What else is taken by position, which does not depend on the sequence, and how many axes it lacks."""
    step: int = 1
    first: int = 0
    span: int = 1
    outside: float = 0.0

    @property
    def positions(self) -> Place:
        """See `Way.positions`."""
        return self.place

    def pays(self, share: float) -> bool:
        """See `Way.pays`."""
        return share < _MOST

    def kept(self, values: Values) -> KeptByPosition:
        """See `Way.kept`."""
        result, held = values[self.operation.name], {}
        for name, lacking in self.held.items():
            value = values[name][(None,) * lacking]
            sizes = [size if axis == self.place.rows else -1 for axis, size in enumerate(result.shape)]
            held[name] = Unchanged(value.expand(sizes), self.place)
        return KeptByPosition(Unchanged(result, self.place), held)

    def reached(self, of: Interval) -> tuple[Interval, int]:
        """See `Way.reached`."""
        start = -((self.first + self.span - 1 - of.start) // self.step)
        stop = (of.stop - 1 - self.first) // self.step + 1
        return Interval(start, stop).within(self.length), self.length

    def apply(self, compute: Compute, values: Values, before: KeptByPosition, reached: Interval) -> Part:
        """See `Way.apply`."""
        width = min(reached.width, self.length)
        starts = reached.starts(width, self.length)
        windows: dict[str, Tensor] = {}
        unchanged = before.result
        for name, each in before.held.items():
            windows[name] = each.place.back(each.at(starts[:, None] + np.arange(width)))
        for name in self.operation.inputs:
            if isinstance(part := values[name], Part):
                windows[name] = part.unchanged.place.back(self._taken(part, starts, width))
        window = self.place.by_position(self._window(compute, overlaid(values, windows), width))
        if window.shape != (len(starts) * unchanged.copies, width, *unchanged.event):
            raise ValueError(
                f"a window of the shape {tuple(window.shape)}"
            )  # where this way is tried in vain
        return Part(unchanged, starts, window)

    def _taken(self, part: Part, starts: Positions, width: int) -> Tensor:
        """Return what a window of the result takes of an argument."""
        wide = (width - 1) * self.step + self.span
        return part.between(starts * self.step + self.first, wide, self.outside)

    def _window(self, compute: Compute, values: Values, width: int) -> Tensor:
        operation = self.operation
        if self.sizes is not None:
            sizes = list(operation.args[self.sizes])
            sizes[self.place.positions] = width
            operation = with_argument(operation, self.sizes, sizes)
        result: Tensor = compute(operation, values)
        return result


@dataclass(frozen=True)
class Moved(OnWindow):
    """Position j of the result is position ``index`` [j] of its argument, or ``outside``."""

    index: Positions = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    turned: bool = False
    """Whether the operation itself turns the order of positions, and does something besides."""

    def reached(self, of: Interval) -> tuple[Interval, int]:
        """See `Way.reached`."""
        start, stop = np.zeros_like(of.start), np.zeros_like(of.stop)
        for row in range(len(start)):
            found = ((self.index >= of.start[row]) & (self.index < of.stop[row])).nonzero()[0]
            start[row], stop[row] = (found[0], found[-1] + 1) if len(found) else (0, 0)
        return Interval(start, stop), self.length

    def _taken(self, part: Part, starts: Positions, width: int) -> Tensor:
        found = self.index[starts[:, None] + np.arange(width)]
        return part.at(found[:, ::-1] if self.turned else found, self.outside)

    def _window(self, compute: Compute, values: Values, width: int) -> Tensor:
        if self.turned:
            return super()._window(compute, values, width)
        window: Tensor = values[self.operation.inputs[0]]
        return window


@dataclass(frozen=True)
class Reshaped(Way):
    """The result holds all positions of its argument in their order, with no axis for them."""

    def kept(self, values: Values) -> None:
        """Keep nothing: the argument is kept."""

    def apply(self, compute: Compute, values: Values, before: None, reached: Interval) -> Part:
        """Return the argument, and how to make the result of it where all positions are asked for."""
        (part,) = self.parts(values)
        others = {name: values[name] for name in self.operation.inputs}  # those of the run are freed
        name = next(name for name, value in others.items() if value is part)

        def then(value: Tensor) -> Tensor:
            whole = value if part.then is None else part.then(value)
            result: Tensor = compute(self.operation, {**others, name: whole})
            return result

        return replace(part, then=then)


@dataclass(frozen=True)
class Summed(Way):
    """Linear: the result is that of the unchanged row and the operation's on the difference."""

    by_difference = True
    mean_of: int | None = None
    """The positions that it is a mean of; None for a sum."""

    def apply(self, compute: Compute, values: Values, before: Tensor, reached: Interval) -> Tensor:
        """See `Way.apply`."""
        (part,) = self.parts(values)
        operation, difference = self.operation, self.difference(compute, values, part)
        return for_rows(before, operation.batch_axis or 0, operation.outer, len(part.starts)) + difference

    def difference(self, compute: Compute, values: Values, part: Part) -> Tensor:
        """Return what the result differs by from the unchanged row's."""
        name = next(name for name in self.operation.inputs if values[name] is part)
        changed = part.unchanged.place.back(part.difference())
        result: Tensor = compute(self.operation, overlaid(values, {name: changed}))
        return result if self.mean_of is None else result * (part.width / self.mean_of)


@dataclass(frozen=True)
class Dense(Summed):
    """A matrix product over all positions and channels: only what is reached of the matrix counts."""

    weight: Tensor = field(default_factory=lambda: torch.zeros(0), repr=False)
    """(position, channel, out)."""

    def difference(self, compute: Compute, values: Values, part: Part) -> Tensor:
        """See `Summed.difference`."""
        changed = part.difference().flatten(1)
        found = changed.new_empty(len(changed), self.weight.shape[2])
        for start in np.unique(part.starts):
            rows = torch.from_numpy((part.starts == start).nonzero()[0]).to(changed.device)
            found[rows] = changed[rows] @ self.weight[start : start + part.width].flatten(0, 1)
        return found


def overlaid(values: Values, others: Mapping[Any, Any]) -> Values:
    """Return values with some in place of those of the same name."""
    return ChainMap(cast(dict[Any, Any], others), cast(dict[Any, Any], values))


def with_argument(operation: Operation, place: int, argument: Any) -> Operation:
    """Return an operation with another argument at a place."""
    args = *operation.args[:place], argument, *operation.args[place + 1 :]
    return replace(operation, args=args)


def possible_ways(
    operation: Operation,
    kind: Kind,
    compute: Compute,
    values: Values,
    parts: Mapping[Name, Unchanged],
    flat: bool,
) -> Iterator[Way]:
    """Yield the ways in which an operation may be computed on windows, cheapest first.

    Parameters
    ----------
    operation, kind, compute
        The operation, its kind, and what computes it.
    values
        Of one row, by name: arguments and result.
    parts
        The arguments of which windows are computed.
    flat
        Whether positions have no axis of their own in the one argument: it was `Reshaped`.
    """
    result = values[operation.name]
    (name, part), *more = parts.items()
    if flat:
        if _only_reshapes(operation, kind, compute, values, name, values[name]):
            yield Reshaped(operation)
        yield from _dense(operation, kind, values, name, part)
        return
    if not more:
        yield from _sliding(operation, kind, values, part, result)
    for place in _places(operation, result):
        if all(each.length == result.shape[place.positions] for each in parts.values()):
            held = dict(_held(operation, values, parts, place, result))
            for also in (held, {}) if held else ({},):
                yield OnWindow(operation, place, part.length, kind.sizes, also)
    if more:
        return
    yield from _moved(operation, compute, values, name, part)
    if _only_reshapes(operation, kind, compute, values, name, part.value):
        yield Reshaped(operation)
    if kind.adds_up:
        yield from (Summed(operation, mean_of) for mean_of in (None, part.length))


def _places(operation: Operation, result: Tensor) -> Iterator[Place]:
    rows = operation.batch_axis or 0
    for axis in range(result.dim()):
        if axis != rows and result.shape[axis] > 1:
            yield Place(rows, axis, operation.outer)


def _sliding(
    operation: Operation, kind: Kind, values: Values, part: Unchanged, result: Tensor
) -> Iterator[Way]:
    """Yield how a kind with a window of its own goes along the argument's axis of positions."""
    axis, window, axes = part.place.positions, kind.window, part.value.dim()
    along = None if window is None else window.along(fill_in(operation.args, values), axis, axes)
    if along is None or window is None or window.padding is None or axes != result.dim():
        return
    if window.padding < len(operation.args):
        operation = with_argument(operation, window.padding, along.unpadded)
    place = Place(operation.batch_axis or 0, axis, operation.outer)
    yield OnWindow(
        operation,
        place,
        result.shape[axis],
        step=along.step,
        first=along.first,
        span=along.span,
        outside=window.outside,
    )


def _held(
    operation: Operation, values: Values, parts: Mapping[Name, Unchanged], place: Place, result: Tensor
) -> Iterator[tuple[str, int]]:
    """Yield what else an operation takes that has a value for each position, by broadcasting."""
    for name in operation.inputs:
        value = values[name]
        if name in parts or not isinstance(value, Tensor) or value.dim() > result.dim():
            continue
        lacking = result.dim() - value.dim()
        sizes = value[(None,) * lacking].shape
        fits = sizes[place.rows] in (1, result.shape[place.rows])
        if fits and sizes[place.positions] == result.shape[place.positions]:
            yield name, lacking


def _moved(
    operation: Operation, compute: Compute, values: Values, name: Name, part: Unchanged
) -> Iterator[Way]:
    """Yield what an operation does that places positions elsewhere, with one value around them."""
    if not part.value.is_floating_point():
        return
    at = torch.arange(part.length, dtype=part.value.dtype, device=part.value.device)
    shape = [-1 if axis == part.place.positions else 1 for axis in range(part.value.dim())]
    coded = at.reshape(shape).expand_as(part.value)
    one, other = (compute(operation, overlaid(values, {name: each})) for each in (coded, coded + part.length))
    for place in _places(operation, one):
        first, second = (_by_row_of_positions(place, each) for each in (one, other))
        moves, stays = second[0] - first[0] == part.length, second[0] == first[0]
        around = first[0][stays].unique().tolist()
        if torch.equal(first, first[:1].expand_as(first)) and bool((moves | stays).all()) and len(around) < 2:
            index = first[0].long().where(moves, -1).cpu().numpy()
            outside = around[0] if around else 0.0
            turns = bool((np.diff(index) < 0).all())
            # A window of the argument as it is has its axes where the argument has them.
            for turned in [False] * (place == part.place) + [True] * turns:
                yield Moved(operation, place, len(index), outside=outside, index=index, turned=turned)


def _by_row_of_positions(place: Place, value: Tensor) -> Tensor:
    """Return (copies of the row and all else, position)."""
    moved = value.movedim(place.positions, -1)
    return moved.reshape(-1, moved.shape[-1])


def _only_reshapes(
    operation: Operation, kind: Kind, compute: Compute, values: Values, name: Name, value: Tensor
) -> bool:
    """Whether the result holds the elements of each row of its argument in their order."""
    if not kind.moves or operation.batch_axis != 0 or len(value) != 1:
        return False
    coded = torch.arange(value.numel(), dtype=value.dtype, device=value.device).reshape(value.shape)
    return torch.equal(compute(operation, overlaid(values, {name: coded})).flatten(), coded.flatten())


def _dense(operation: Operation, kind: Kind, values: Values, name: Name, part: Unchanged) -> Iterator[Way]:
    """Yield a matrix product of what was flattened and a matrix that is the same for all rows."""
    place = kind.factor
    is_dense = kind.adds_up and kind.matrix and place is not None and not operation.kwargs
    if place is None or not is_dense or operation.args[place] != name or part.copies > 1:
        return
    weight, event = values.get(operation.args[place + 1]), part.value.shape[1:]
    if isinstance(weight, Tensor) and weight.dim() == 2 and len(weight) == math.prod(event):
        by_position = weight.reshape(*event, -1).movedim(part.place.positions - 1, 0)
        yield Dense(operation, weight=by_position.reshape(part.length, -1, weight.shape[1]).contiguous())
