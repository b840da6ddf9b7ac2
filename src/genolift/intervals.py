"""Intervals of a BED or narrowPeak file, and the windows around them. Knows nothing of sequences."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from genolift.errors import InputError
from genolift.text_files import read_lines

_LOG = logging.getLogger("genolift")
_WHOLE_NUMBER = re.compile(r"-?[0-9]+")
_SUMMIT_NAME = re.compile(r"summit=(.*)")
_NARROW_PEAK_COLUMNS = 10
_KEPT_PER_ROW = 1000  # bytes: its interval, window and record
CENTERS = ("summit", "midpoint")


@dataclass(frozen=True)
class Interval:
    """A row of a BED file, 0-based half-open.

    ``line`` is its 1-based line in the file; ``name`` is empty where column 4 gives none; ``strand`` is
    column 6 as it stands, empty where there is none; ``summit`` is the 0-based position of the summit's base
    on the chromosome, None where none is known.
    """

    line: int
    chrom: str
    start: int
    end: int
    name: str = ""
    strand: str = ""
    summit: int | None = None


@dataclass(frozen=True)
class Window:
    """The bases [start, end) of ``chrom`` to be taken for ``interval``: 0-based half-open, not yet known to
    be on the chromosome, so that ``start`` may be negative.
    """

    interval: Interval
    id: str
    chrom: str
    start: int
    end: int


def read_intervals(path: str | os.PathLike[str], *, with_strand: bool = False) -> list[Interval]:
    """Return the intervals of a BED or narrowPeak file, plain, gzip or BGZF, in the file's order.

    BED is read as the UCSC Genome Browser's format page and the GA4GH BED specification describe it: columns
    separated by tabs (in a line without, by blanks), the same number of them in every row; blank lines,
    ``#`` comments, ``track`` and ``browser`` lines are skipped. A file of ten columns with a whole number in
    the tenth is ENCODE's narrowPeak (BED6+4): that number is the summit's 0-based offset from the start, -1
    for none.

    In any other BED a name ``summit=NNN`` gives the summit, as a position on the chromosome: in the 18 CTCF
    and 53 DNase peaks this was made for, every NNN lies inside its own interval and is larger than the
    interval is long. Whether it was counted from 0 or 1 does not show there (none is within 18 bases of an
    edge); it is taken as 0-based, as the other columns are.

    Raises
    ------
    InputError
        With file and line: fewer than three columns or another number than before, a coordinate that is no
        whole number, a negative start, an end that is not after the start, a summit outside the interval,
        a strand that is not ``+``, ``-`` or ``.`` (if ``with_strand``); or a file without intervals.
    """
    intervals: list[Interval] = []
    n_columns = first_line = 0
    narrow_peak = False
    for line_number, line in enumerate(read_lines(path, kept_per_line=_KEPT_PER_ROW), start=1):
        fields = _fields(line)
        if not fields or fields[0].startswith("#") or fields[0].split(" ")[0] in ("track", "browser"):
            continue
        where = f"{path}:{line_number}"
        if not intervals:
            n_columns, first_line = len(fields), line_number
            narrow_peak = n_columns == _NARROW_PEAK_COLUMNS and bool(_WHOLE_NUMBER.fullmatch(fields[9]))
        _check_columns(fields, n_columns, first_line, where)
        intervals.append(_interval(fields, line_number, narrow_peak, where))
        if with_strand:
            _check_strand(intervals[-1].strand, where)
    if not intervals:
        raise InputError(
            "holds no intervals", where=str(path), remedy="give a BED file with at least one row"
        )
    return intervals


def _fields(line: str) -> list[str]:
    line = line.rstrip("\n")
    if not line.strip():
        return []
    return [field.strip() for field in line.split("\t")] if "\t" in line else line.split()


def _check_columns(fields: list[str], n_columns: int, first_line: int, where: str) -> None:
    if len(fields) < 3:
        raise InputError(
            f"has {len(fields)} column{'s' if len(fields) > 1 else ''} where BED has at least 3",
            where=where,
            remedy="separate chrom, start and end by tabs",
        )
    if len(fields) != n_columns:
        raise InputError(
            f"has {len(fields)} columns, line {first_line} has {n_columns}",
            where=where,
            remedy="give every row of a BED file the same columns",
        )


def _check_strand(strand: str, where: str) -> None:
    if strand not in ("+", "-", "."):
        raise InputError(
            f"the strand (column 6) is {strand!r}" if strand else "has no strand (column 6)",
            where=where,
            remedy="write + - or . there, or leave use_strand off",
        )


def _interval(fields: list[str], line: int, narrow_peak: bool, where: str) -> Interval:
    chrom = fields[0]
    start, end = _whole_number(fields[1], "start", where), _whole_number(fields[2], "end", where)
    if not chrom:
        raise InputError("the chromosome (column 1) is empty", where=where)
    if start < 0:
        raise InputError(f"the start {start} is negative", where=where, remedy="BED counts from 0")
    if end <= start:
        raise InputError(
            f"the end {end} is not after the start {start}",
            where=where,
            remedy="BED is 0-based and half-open: an interval of one base has end = start + 1",
        )
    name = fields[3] if len(fields) > 3 and fields[3] != "." else ""
    strand = fields[5] if len(fields) > 5 else ""
    summit = None
    named_summit = _SUMMIT_NAME.fullmatch(name)
    if narrow_peak:
        offset = _whole_number(fields[9], "summit offset (column 10)", where)
        summit = None if offset == -1 else start + offset
    elif named_summit:
        summit = _whole_number(named_summit[1], "summit (column 4)", where)
    if summit is not None and not start <= summit < end:
        raise InputError(
            f"the summit {fields[9] if narrow_peak else summit} lies outside the interval {start}-{end}",
            where=where,
            remedy="narrowPeak's column 10 is an offset from the start, 0-based, or -1"
            if narrow_peak
            else "write summit= with the 0-based position on the chromosome",
        )
    return Interval(line, chrom, start, end, "" if named_summit else name, strand, summit)


def _whole_number(text: str, what: str, where: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text):
        raise InputError(
            f"the {what} {text!r} is not a whole number",
            where=where,
            remedy="start a header line with '#'" if what in ("start", "end") else "write a whole number",
        )
    return int(text)


def windows_around(intervals: Sequence[Interval], *, length: int, center: str) -> list[Window]:
    """Return a window of ``length`` bases for every interval, in order, each with an id of its own.

    The window is [c - length // 2, c - length // 2 + length), with c the summit, or (start + end) // 2 where
    ``center`` is "midpoint" or no summit is known.

    The id is column 4 where it names this interval alone, else ``chrom:start-end`` of the window. Where that
    is taken too (the same window twice) the second gets ``.2`` after it, the third ``.3``, and so on, in the
    file's order.
    """
    n_midpoints = sum(interval.summit is None for interval in intervals)
    if center == "summit" and n_midpoints:
        _LOG.info(
            "%d of %d intervals name no summit: their windows are centred on the midpoint",
            n_midpoints,
            len(intervals),
        )
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
    by another name: with or without 'chr', M for MT, in another case.
    """
    missing: dict[str, int] = {}
    for interval in intervals:
        if interval.chrom not in known:
            missing.setdefault(interval.chrom, interval.line)
    if not missing:
        return
    chrom, line = next(iter(missing.items()))
    others = f" (and {len(missing) - 1} more of the file's)" if len(missing) > 1 else ""
    shown = ", ".join([*known][:5]) + (", ..." if len(known) > 5 else "")
    same = same_chromosome(chrom, known)
    rename = f"the genome calls it {same!r}: use the same names in both" if same else "check the genome"
    raise InputError(
        f"the chromosome {chrom!r}{others} is not in the genome {genome}, which has {shown}",
        where=f"{path}:{line}",
        remedy=f"{rename}, or set missing_chromosomes to drop",
    )


def same_chromosome(chrom: str, known: Iterable[str]) -> str | None:
    """Return what is probably the same chromosome by another name: with or without 'chr', M for MT."""
    return next((name for name in known if _bare(name) == _bare(chrom)), None)


def _bare(chrom: str) -> str:
    bare = chrom.lower().removeprefix("chr")
    return "m" if bare == "mt" else bare
