"""Intervals of a genome on which no window is wanted, such as ENCODE's blacklist."""

import logging
import os
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from genolift.data.intervals import read_intervals
from genolift.data.windows import same_chromosome
from genolift.errors import few

_LOG = logging.getLogger("genolift")


class Blacklist:
    """The intervals of a BED file, plain, gzip or BGZF, joined where they overlap; it may have none.

    Raises
    ------
    InputError
        As `read_intervals`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        intervals = read_intervals(path, form="bed", may_be_empty=True).intervals
        self._path = path
        self._on: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        chrom = np.array(intervals.chrom, object)
        for name in dict.fromkeys(intervals.chrom):
            here = chrom == name
            self._on[name] = _joined(intervals.start[here], intervals.end[here])

    def over(self, chrom: str, start: int, end: int) -> tuple[int, int] | None:
        """Return the last of the joined intervals that overlap a window, None if none does.

        All are 0-based half-open; intervals that only touch the window do not overlap it.
        """
        starts, ends = self._on.get(chrom, ((), ()))
        last = int(np.searchsorted(starts, end)) - 1
        return (int(starts[last]), int(ends[last])) if last >= 0 and ends[last] > start else None

    def report(self, chromosomes: Collection[str], genome: str) -> None:
        """Warn of a blacklist without intervals, and of its chromosomes that a genome does not have."""
        if not self._on:
            _LOG.warning("%s: the blacklist has no intervals, so that it drops no window", self._path)
        missing = [name for name in self._on if name not in chromosomes]
        if missing:
            same = same_chromosome(missing[0], chromosomes)
            called = f"; the genome calls {missing[0]!r} {same!r}" if same else ""
            told = "%s: %d of the blacklist's %d chromosomes are not in the genome %s: %s%s"
            _LOG.warning(told, self._path, len(missing), len(self._on), genome, few(missing), called)


def _joined(start: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return intervals by their start, those that overlap as one."""
    order = np.argsort(start, kind="stable")
    start, furthest = start[order], np.maximum.accumulate(end[order])
    first = np.flatnonzero(np.append(True, start[1:] >= furthest[:-1]))
    return start[first], furthest[np.append(first[1:], len(start)) - 1]
