"""Values of which only a window of positions is computed; the rest is that of an unchanged row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genolift.engine.backends import loops

Positions = NDArray[np.int64]

_NEVER = 2**40
"""Beyond all positions: where an interval starts that holds none."""


@dataclass(frozen=True)
class Interval:
    """Positions from ``start`` to before ``stop``, of each of some substitutions: (substitution,) each."""

    start: Positions
    stop: Positions

    @classmethod
    def joined(cls, intervals: Iterable[Interval]) -> Interval:
        """Return the least that holds all; an empty one adds nothing."""
        return reduce(
            lambda one, other: cls(np.minimum(one.start, other.start), np.maximum(one.stop, other.stop)),
            (each._told_apart() for each in intervals),
        )

    def _told_apart(self) -> Interval:
        empty = self.stop <= self.start
        return Interval(np.where(empty, _NEVER, self.start), np.where(empty, -_NEVER, self.stop))

    def within(self, length: int) -> Interval:
        """Return what of it lies within so many positions."""
        return Interval(_between(self.start, length), _between(self.stop, length))

    def of(self, which: Positions) -> Interval:
        """Return the intervals of some of the substitutions."""
        return Interval(self.start[which], self.stop[which])

    @property
    def sizes(self) -> Positions:
        """How many positions each holds."""
        return np.maximum(self.stop - self.start, 0)

    @cached_property
    def width(self) -> int:
        """The positions of the largest, or 1."""
        return max(1, int((self.stop - self.start).max()))

    def starts(self, width: int, length: int) -> Positions:
        """Return where windows of one width start that hold them and lie within so many positions."""
        if (width, length) not in self._starts:
            begun = np.where(self.start < self.stop, self.start, 0)
            self._starts[width, length] = _between(begun, length - width)
        return self._starts[width, length]

    @cached_property
    def _starts(self) -> dict[tuple[int, int], Positions]:
        return {}  # many operations of a batch ask for the same


def _between(positions: Positions, most: int) -> Positions:
    return np.minimum(np.maximum(positions, 0), most)  # for so few, numpy's clip takes three times as long


@dataclass(frozen=True)
class Place:
    """Which axes of a value hold its rows, ``outer`` times over, and its positions."""

    rows: int
    positions: int
    outer: int = 1

    def by_position(self, value: Tensor) -> Tensor:
        """Return (rows, position, ...)."""
        return value.movedim((self.rows, self.positions), (0, 1))

    def back(self, value: Tensor) -> Tensor:
        """Return what `by_position` was made of."""
        return value.movedim((0, 1), (self.rows, self.positions))


class Unchanged:
    """A value of one row, of which the operations before may have made several copies."""

    def __init__(self, value: Tensor, place: Place) -> None:
        self.value, self.place = value, place
        moved = place.by_position(value)
        self.copies, self.length, self.event = moved.shape[0], moved.shape[1], moved.shape[2:]
        self._padded: dict[float, Tensor] = {}

    @cached_property
    def table(self) -> Tensor:
        """The value by copy and position, (copies, position, n)."""
        return self.place.by_position(self.value).reshape(self.copies, self.length, -1).contiguous()

    def at(self, positions: Positions, outside: float = 0.0) -> Tensor:
        """Return the value at some positions of each row, (rows, positions, ...), in memory of its own.

        ``positions`` are (rows, n); what lies beyond the ends is ``outside``.
        """
        if outside not in self._padded:
            beyond = self.table.new_full((self.copies, 1, self.table.shape[2]), outside)
            self._padded[outside] = torch.cat([self.table, beyond], 1).flatten(0, 1)
        index = np.where((positions < 0) | (positions >= self.length), self.length, positions)
        rows = self.spread(index, np.arange(self.copies) * (self.length + 1))
        table = self._padded[outside]
        found = table.index_select(0, torch.from_numpy(rows.ravel()).to(table.device))
        return found.reshape(*rows.shape, *self.event)

    def window(self, starts: Positions, width: int) -> Tensor:
        """Return so many positions of each row from ``starts`` on, in memory of its own."""
        none = self.table.new_empty(len(starts) * self.copies, 0, self.table.shape[2])
        if not loops.fit(none):
            return self.at(starts[:, None] + np.arange(width))
        made = loops.surrounded(self.table, none, starts, starts, width, 0.0, self.place.outer)
        return made.reshape(*made.shape[:2], *self.event)

    def spread(self, by_row: Positions, added: Positions | None = None) -> Positions:
        """Return (rows copies, n) of (rows, n), ``added`` for each copy: (outer, rows, more) flattened."""
        if self.copies == 1:
            return by_row
        outer, more = self.place.outer, self.copies // self.place.outer
        each = np.zeros(self.copies, np.int64) if added is None else added
        found = by_row[None, :, None] + each.reshape(outer, 1, more, 1)
        return found.reshape(-1, by_row.shape[1])


@dataclass(eq=False)
class Part:
    """A value of which each row's window is computed.

    ``window`` is (rows, width, ...), from position ``starts`` on, (rows,); it holds all that differs from the
    unchanged row. ``then`` makes the value of one with all positions, where it has no axis of them itself.
    """

    unchanged: Unchanged
    starts: Positions
    window: Tensor
    then: Callable[[Tensor], Tensor] | None = None
    _wider: tuple[Positions, Tensor] | None = None
    """The widest window with its surroundings that was made of it: a residual sum takes what a layer took."""

    @property
    def width(self) -> int:
        """The positions of the window."""
        return self.window.shape[1]

    @cached_property
    def whole(self) -> Tensor:
        """The value at all positions, computed or unchanged."""
        value = self.between(np.zeros_like(self.starts), self.unchanged.length)
        return self._as_it_is(self.unchanged.place.back(value))

    def shaped(self) -> Tensor:
        """Return the unchanged value for as many rows, which has the shape of `whole`."""
        place = self.unchanged.place
        return self._as_it_is(for_rows(self.unchanged.value, place.rows, place.outer, len(self.starts)))

    def _as_it_is(self, value: Tensor) -> Tensor:
        return value if self.then is None else self.then(value)

    def difference(self) -> Tensor:
        """Return the window less what is there in the unchanged row."""
        unchanged, window = self.unchanged, self.window.flatten(2) if self.window.dim() > 2 else None
        if window is None or not loops.fit(window, unchanged.table):
            return self.window - unchanged.at(self.starts[:, None] + np.arange(self.width))
        made = loops.difference(unchanged.table, window, self.starts, unchanged.place.outer)
        return made.reshape(self.window.shape)

    def between(self, first: Positions, width: int, outside: float = 0.0) -> Tensor:
        """Return the value, computed or unchanged, at so many positions from ``first`` on, (rows,).

        What lies beyond the ends is ``outside``.
        """
        if width == self.width and np.array_equal(first, self.starts):
            return self.window
        if self._wider is not None and first.min() >= 0 and first.max() + width <= self.unchanged.length:
            begun, wider = self._wider
            off = first - begun
            if off[0] >= 0 and off[0] + width <= wider.shape[1] and bool((off == off[0]).all()):
                return wider[:, off[0] : off[0] + width]
        found = self._between(first, width, outside)
        if self._wider is None or self._wider[1].shape[1] < width:
            self._wider = first, found
        return found

    def _between(self, first: Positions, width: int, outside: float) -> Tensor:
        unchanged, window = self.unchanged, self.window.flatten(2) if self.window.dim() > 2 else None
        if window is None or not loops.fit(window, unchanged.table):
            return self.at(first[:, None] + np.arange(width), outside)
        made = loops.surrounded(
            unchanged.table, window, self.starts, first, width, outside, unchanged.place.outer
        )
        return made.reshape(*made.shape[:2], *unchanged.event)

    def at(self, positions: Positions, outside: float = 0.0) -> Tensor:
        """Return the value, computed or unchanged, at some positions of each row; see `Unchanged.at`."""
        found = self.unchanged.at(positions, outside)
        rows = self.unchanged.spread(positions - self.starts[:, None])
        into = ((rows >= 0) & (rows < self.width)).ravel().nonzero()[0]
        of = (rows + np.arange(len(rows))[:, None] * self.width).ravel()[into]
        there = [torch.from_numpy(each).to(found.device) for each in (into, of)]
        found.flatten(0, 1)[there[0]] = self.window.flatten(0, 1)[there[1]]
        return found


def for_rows(value: Any, axis: int, outer: int, rows: int) -> Tensor:
    """Return a value of one row for so many alike, whose axis is (outer, rows, more) flattened."""
    apart = value.unflatten(axis, (outer, 1, -1))
    sizes = [rows if place == axis + 1 else -1 for place in range(apart.dim())]
    expanded: Tensor = apart.expand(sizes).flatten(axis, axis + 2)
    return expanded
