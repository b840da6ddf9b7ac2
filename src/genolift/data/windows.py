"""The windows around intervals, their ids, and whether the genome has their chromosomes. Reads no files."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from genolift.data.intervals import Interval
from genolift.errors import InputError, few


@dataclass(frozen=True)
class Window:
    """The bases [start, end) of ``chrom`` around ``interval``: 0-based half-open, and perhaps beyond the
    chromosome, so ``start`` may be negative.
    """

    interval: Interval
    id: str
    chrom: str
    start: int
    end: int


def windows_around(intervals: Sequence[Interval], *, length: int, center: str) -> list[Window]:
    """Return a window of ``length`` bases for every interval, in order, each with a unique id.

    The window is [c - length // 2, c - length // 2 + length), with c the summit, or (start + end) // 2 if
    ``center`` is "midpoint" or no summit is known.

    The id is column 4 if no other interval has it, else ``chrom:start-end`` of the window. If the same window
    occurs again, its second id ends in ``.2``, the third in ``.3``, and so on, in the file's order.
    """
    starts = []
    for interval in intervals:
        middle = (interval.start + interval.end) // 2
        if center == "summit" and interval.summit is not None:
            middle = interval.summit
        starts.append(middle - length // 2)
    ids = _ids(intervals, starts, length)
    return [
        Window(interval, id_, interval.chrom, start, start + length)
        for interval, id_, start in zip(intervals, ids, starts, strict=True)
    ]


def strand_of(window: Window, use_strand: bool) -> str:
    """Return the strand along which a window's sequence is read.

    It is ``.``, read as in the genome, if its interval has none, or strands are not used.
    """
    return window.interval.strand if use_strand and window.interval.strand in ("+", "-") else "."


def _ids(intervals: Sequence[Interval], starts: Sequence[int], length: int) -> list[str]:
    uses = Counter(interval.name for interval in intervals)
    taken = {name for name, n in uses.items() if name and n == 1}
    last_suffix: Counter[str] = Counter()
    ids = []
    for interval, start in zip(intervals, starts, strict=True):
        if interval.name and uses[interval.name] == 1:
            ids.append(interval.name)
            continue
        place = id_ = f"{interval.chrom}:{start}-{start + length}"
        while id_ in taken:
            last_suffix[place] = max(last_suffix[place], 1) + 1
            id_ = f"{place}.{last_suffix[place]}"
        taken.add(id_)
        ids.append(id_)
    return ids


def check_chromosomes(
    intervals: Iterable[Interval],
    known: Collection[str],
    path: str | os.PathLike[str],
    genome: str | os.PathLike[str],
) -> None:
    """Raise `InputError` for the first interval of ``path`` on a chromosome that is not in ``genome``.

    ``known`` are the genome's chromosomes, in its order. The error says if one of them is probably the same
    under another name: with or without 'chr', M for MT, in another case.
    """
    missing: dict[str, int] = {}
    some_known = False
    for interval in intervals:
        if interval.chrom in known:
            some_known = True
        else:
            missing.setdefault(interval.chrom, interval.line)
    if not missing:
        return
    chrom, line = next(iter(missing.items()))
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
