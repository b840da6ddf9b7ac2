"""Sites: where windows overlap, several of them show the same stretch of the genome, which counts once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genolift.files.sorted_records import sorted_records
from genolift.motifs.windows import Windows

_AT_A_TIME = 20_000
Records = NDArray[np.void]
"""A structured array with a record for each stretch; its field ``row`` is that of the window, and ``windows``
the number of windows that show the site.
"""


@dataclass(frozen=True)
class Stretches:
    """Stretches of windows, such as seqlets or hits, one value for each in every array.

    Attributes
    ----------
    window
        int, the window that shows it.
    kind
        int; only stretches of one kind can be one site: a number for each motif, or 0 for all.
    start, end
        int64, its place in coordinates that all windows share, 0-based half-open (see `Windows.shared`).
    off_centre
        int, how far its middle is from that of its window, in any unit.
    strength
        float, the larger the stronger.
    """

    window: NDArray[np.integer]
    kind: NDArray[np.integer]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    off_centre: NDArray[np.integer]
    strength: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.window)


class Extent(NamedTuple):
    """What decides whether stretches are one site, an array for each: ``kind``, ``start`` and ``end`` in the
    window, and ``strength``; see `Stretches`.
    """

    kind: NDArray[np.integer]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    strength: NDArray[np.floating]


def each_site_once(
    found: Iterable[Records], windows: Windows, extent: Callable[[Records], Extent]
) -> Iterator[tuple[Records, NDArray[np.int64]]]:
    """Yield stretches, some at a time, and which of them stands for the site of each (see `unique_sites`).

    Those that stand for one have the number of windows that show it, the others 0. All stretches are found
    first, since any window may overlap any other, and kept on disk. They are yielded in the order of their
    places, so that only those that overlap in a chain are in memory together.

    Parameters
    ----------
    found
        The stretches of all windows, some at a time.
    """
    with sorted_records(1) as by_place:
        for records in found:
            by_place.add(records, stretches(windows, records["row"], extent(records)).start)
        chain: list[Records] = []
        for part in by_place.read(_AT_A_TIME):
            records = np.concatenate([*chain, part])
            placed = stretches(windows, records["row"], extent(records))
            apart = np.flatnonzero(placed.start[1:] >= np.maximum.accumulate(placed.end)[:-1]) + 1
            whole = int(apart[-1]) if len(apart) else 0
            yield _sites(records[:whole], windows, extent)
            chain = [records[whole:]]
        for records in chain:
            yield _sites(records, windows, extent)


def _sites(
    records: Records, windows: Windows, extent: Callable[[Records], Extent]
) -> tuple[Records, NDArray[np.int64]]:
    stands, records["windows"] = unique_sites(stretches(windows, records["row"], extent(records)))
    return records, stands


def stretches(windows: Windows, rows: NDArray[np.integer], extent: Extent) -> Stretches:
    """Return stretches of windows, by their rows, in coordinates that all windows share."""
    kind, start, end, strength = extent
    at = windows.shared(rows, start, end)
    off_centre = np.abs(start + end - windows.width)
    return Stretches(windows.rank[rows], kind, *at, off_centre, strength)


def unique_sites(found: Stretches) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the site of each stretch, as the number of the stretch that stands for it, and its windows.

    Two stretches of one kind in different windows are one site if they share more than half of the shorter
    one. The one nearest to the middle of its window stands for the site, since a model sees most around it;
    of those equally near the strongest, then the one of the first window. Stretches of one window are always
    different sites, since it was the window's analysis that told them apart.

    Returns
    -------
    stands
        int64 (stretch,): a stretch stands for a site of its own where it has its own number.
    windows
        int64 (stretch,): for those, the number of windows that show the site; 0 for the others.
    """
    n = len(found)
    stands, windows = np.arange(n), np.ones(n, np.int64)
    order = np.lexsort((found.end, found.start, found.kind))
    for members in _of_several_windows(found, order):
        cluster = _Cluster(found, members)
        stands[members] = members[cluster.standing()]
        windows[members] = cluster.windows()
    return stands, windows


def _of_several_windows(found: Stretches, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the stretches of each chain of overlaps that has stretches of more than one window.

    ``order`` sorts them by kind and start.
    """
    if not len(order):
        return []
    kind, start = found.kind[order], found.start[order]
    new_kind = np.diff(kind) != 0
    # Far enough apart for kinds not to overlap; the largest end so far is then that of the same kind.
    apart = np.concatenate([[0], np.cumsum(new_kind)]) * (found.end.max() - found.start.min() + 1)
    reached = np.maximum.accumulate(found.end[order] + apart)
    first = np.flatnonzero(np.concatenate([[True], (start + apart)[1:] >= reached[:-1]]))
    window = found.window[order]
    several = np.minimum.reduceat(window, first) != np.maximum.reduceat(window, first)
    last = np.append(first[1:], len(order))
    return [order[at:stop] for at, stop in zip(first[several], last[several], strict=True)]


class _Cluster:
    """Stretches of one kind, sorted by start, that overlap in a chain."""

    def __init__(self, found: Stretches, members: NDArray[np.int64]) -> None:
        self.window, self.start, self.end = found.window[members], found.start[members], found.end[members]
        self.longest = int((self.end - self.start).max())
        order = np.lexsort((self.window, -found.strength[members], found.off_centre[members]))
        self.best_first: list[int] = order.tolist()
        self.stands = np.arange(len(members))

    def standing(self) -> NDArray[np.int64]:
        """Return which member stands for each member's site."""
        taken = np.zeros(len(self.start), bool)
        kept = np.zeros(len(self.start), bool)
        for one in self.best_first:
            if not taken[one]:
                kept[one] = True
                others, _ = self._same_site(one)
                taken[others] |= ~kept[others]
        for one in np.flatnonzero(~kept).tolist():
            # it may share more with another site than with the one that took its place
            others, shared = self._same_site(one)
            self.stands[one] = others[np.argmax(np.where(kept[others], shared, -1))]
        return self.stands

    def windows(self) -> NDArray[np.int64]:
        """Return the number of windows that show the site of each member that stands for one."""
        seen = np.unique(np.stack([self.stands, self.window]), axis=1)[0]
        return np.bincount(seen, minlength=len(self.stands))

    def _same_site(self, one: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the members of other windows that are at the same site, and how many bases they share."""
        start, end = self.start[one], self.end[one]
        first = int(np.searchsorted(self.start, start - self.longest, "right"))
        near = slice(first, int(np.searchsorted(self.start, end, "left")))
        shared = np.minimum(end, self.end[near]) - np.maximum(start, self.start[near])
        shorter = np.minimum(end - start, self.end[near] - self.start[near])
        same = (2 * shared > shorter) & (self.window[near] != self.window[one])
        return np.flatnonzero(same) + first, shared[same]
