"""The windows around intervals, their ids, and whether the genome has their chromosomes. Reads no files."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genolift.data.intervals import Intervals
from genolift.data.texts import occurring_once
from genolift.errors import InputError, few

_LIKE_A_PLACE = re.compile(r".*:-?[0-9]+-[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Window:
    """The bases [start, end) of ``chrom``: 0-based half-open, and perhaps beyond the chromosome, so ``start``
    may be negative. ``strand`` is the one that its sequence is read along; ``.`` is read as in the genome.
    """

    id: str
    chrom: str
    start: int
    end: int
    strand: str = "."


class WindowsAround(Sequence[Window]):
    """A window of ``length`` bases around each interval, in order, each with a unique id.

    The window is [c - length // 2, c - length // 2 + length), with c the summit, or (start + end) // 2 if
    ``center`` is "midpoint" or no summit is known. Its strand is the interval's with ``use_strand``, if that
    has one.

    The id is column 4 if no other interval has it, else ``chrom:start-end`` of the window. If the same window
    occurs again, its second id ends in ``.2``, the third in ``.3``, and so on, in the file's order.
    """

    def __init__(
        self, intervals: Intervals, *, length: int, center: str = "summit", use_strand: bool = False
    ) -> None:
        middle = (intervals.start + intervals.end) // 2
        if center == "summit":
            middle = np.where(intervals.summit >= 0, intervals.summit, middle)
        self.start: NDArray[np.int64] = middle - length // 2
        """0-based, int64 (window,)."""
        self.length = length
        self._intervals, self._use_strand = intervals, use_strand
        self._named = occurring_once(intervals.name)
        self._repeated = dict(self._ids_of_repeated())
        self._on: dict[str, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, row: int) -> Window:  # type: ignore[override]
        chrom, start, strand = self._intervals.chrom[row], int(self.start[row]), "."
        if self._use_strand and self._intervals.strand[row] in ("+", "-"):
            strand = self._intervals.strand[row]
        return Window(self._id(row), chrom, start, start + self.length, strand)

    def on(self, chrom: str, size: int) -> NDArray[np.int64]:
        """Return the numbers of the windows on a chromosome by their start, int64 (window,)."""
        if not self._on:
            codes = {name: code for code, name in enumerate(dict.fromkeys(self._intervals.chrom))}
            code = np.fromiter((codes[each] for each in self._intervals.chrom), np.int32, len(self))
            order = np.lexsort((self.start, code))
            ends = np.cumsum(np.bincount(code))
            self._on = dict(zip(codes, np.split(order, ends[:-1]), strict=True))
        return self._on.get(chrom, np.empty(0, np.int64))

    def _id(self, row: int) -> str:
        if self._named[row]:
            return self._intervals.name[row]
        return self._repeated.get(row) or self._place(row)

    def _place(self, row: int) -> str:
        start = int(self.start[row])
        return f"{self._intervals.chrom[row]}:{start}-{start + self.length}"

    def _ids_of_repeated(self) -> Iterator[tuple[int, str]]:
        """Yield the ids of windows whose place another window has, or another id, by their number."""
        unnamed = np.flatnonzero(~self._named)
        if not len(unnamed):
            return
        names = self._intervals.name
        named = (names[row] for row in np.flatnonzero(self._named).tolist())
        taken = {name for name in named if _LIKE_A_PLACE.fullmatch(name)}
        places = np.fromiter((hash(self._place(row)) for row in unnamed.tolist()), np.int64, len(unnamed))
        _, inverse, counts = np.unique(places, return_inverse=True, return_counts=True)
        again = counts[inverse] > 1
        last_suffix: Counter[str] = Counter()
        for row, is_again in zip(unnamed.tolist(), again.tolist(), strict=True):
            if not (is_again or taken):
                continue
            place = id_ = self._place(row)
            while id_ in taken:
                last_suffix[place] = max(last_suffix[place], 1) + 1
                id_ = f"{place}.{last_suffix[place]}"
            if is_again or id_ != place:
                taken.add(id_)
                yield row, id_


def check_chromosomes(
    intervals: Intervals,
    known: Collection[str],
    path: str | os.PathLike[str],
    genome: str | os.PathLike[str],
) -> None:
    """Raise `InputError` for the first interval of ``path`` on a chromosome that is not in ``genome``.

    ``known`` are the genome's chromosomes, in its order. The error says if one of them is probably the same
    under another name: with or without 'chr', M for MT, in another case.
    """
    named = dict.fromkeys(intervals.chrom)
    missing = [chrom for chrom in named if chrom not in known]
    if not missing:
        return
    chrom, some_known = missing[0], len(missing) < len(named)
    line = intervals[intervals.chrom.index(chrom)].line
    others = f" (and {len(missing) - 1} more of the file's)" if len(missing) > 1 else ""
    same = same_chromosome(chrom, known)
    rename = f"the genome calls it {same!r}: use the same names in both" if same else "check the genome"
    raise InputError(
        f"the chromosome {chrom!r}{others} is not in the genome {genome}, which has {few(known)}",
        where=f"{path}:{line}",
        remedy=rename + (", or set missing_chromosomes to drop" if some_known else ""),
    )


def same_chromosome(chrom: str, known: Iterable[str]) -> str | None:
    """Return what is probably the same chromosome under another name: with or without 'chr', M for MT."""
    return next((name for name in known if _bare(name) == _bare(chrom)), None)


def _bare(chrom: str) -> str:
    bare = chrom.lower().removeprefix("chr")
    return "m" if bare == "mt" else bare
