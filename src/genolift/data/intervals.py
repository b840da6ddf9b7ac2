"""Intervals of a BED file, of narrowPeak, or of a table that says as much."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from genolift.data.bed_columns import FORMATS, MISSING, BedColumns
from genolift.data.interval_tables import BED, Layout, check_comment, layout_of_header, layout_of_row
from genolift.data.texts import Texts
from genolift.errors import InputError
from genolift.files.text import read_lines

_WHOLE_NUMBER = re.compile(r"-?[0-9]+")
_SUMMIT_NAME = re.compile(r"summit=(.*)")
_MOST_DIGITS = 15  # of a position: far beyond any chromosome, and far within int64
_KEPT_PER_ROW = 300  # bytes: its interval, window and record
_NO_SUMMIT = -1
_STRANDS = {"0": "+", "1": "-", "*": "."}  # HOMER's and R's


@dataclass(frozen=True)
class Interval:
    """An interval of a file, 0-based half-open.

    ``line`` is its 1-based line in the file; ``name`` and ``strand`` are as in the file, empty if there is
    none; ``summit`` is the 0-based position of the summit's base on the chromosome, None if it is not known.
    """

    line: int
    chrom: str
    start: int
    end: int
    name: str = ""
    strand: str = ""
    summit: int | None = None


class Intervals(Sequence[Interval]):
    """A list of intervals that takes the bytes of their names and 64 more each, where Python's takes 500."""

    def __init__(self, intervals: Sequence[Interval] = ()) -> None:
        self._line, self._start, self._end, self._summit = (array("q") for _ in range(4))
        self._texts: dict[str, str] = {}
        self.chrom: list[str] = []
        """The chromosome of each; the same object where it is the same text."""
        self.strand: list[str] = []
        self.name: Texts = Texts()
        for interval in intervals:
            self.append(interval)

    def append(self, interval: Interval) -> None:
        """Add an interval."""
        self._line.append(interval.line)
        self._start.append(interval.start)
        self._end.append(interval.end)
        self._summit.append(_NO_SUMMIT if interval.summit is None else interval.summit)
        for column, text in ((self.chrom, interval.chrom), (self.strand, interval.strand)):
            column.append(self._texts.setdefault(text, text))
        self.name.append(interval.name)

    def without_names(self) -> None:
        """Empty all names."""
        self.name = Texts()
        for _ in range(len(self)):
            self.name.append("")

    def set_summits(self, offsets: NDArray[np.int64]) -> None:
        """Place summits by their offset from the start, int64 (interval,), where that is not negative."""
        summit = np.frombuffer(self._summit, np.int64)
        np.copyto(summit, self.start + offsets, where=offsets >= 0)

    @property
    def start(self) -> NDArray[np.int64]:
        """0-based, int64 (interval,)."""
        return np.frombuffer(self._start, np.int64)

    @property
    def end(self) -> NDArray[np.int64]:
        """0-based and not within the interval, int64 (interval,)."""
        return np.frombuffer(self._end, np.int64)

    @property
    def summit(self) -> NDArray[np.int64]:
        """The 0-based position on the chromosome, int64 (interval,), negative if it is not known."""
        return np.frombuffer(self._summit, np.int64)

    def __len__(self) -> int:
        return len(self._line)

    @overload
    def __getitem__(self, row: int) -> Interval: ...

    @overload
    def __getitem__(self, row: slice) -> list[Interval]: ...

    def __getitem__(self, row: int | slice) -> Interval | list[Interval]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        summit = self._summit[row]
        return Interval(
            self._line[row],
            self.chrom[row],
            self._start[row],
            self._end[row],
            self.name[row],
            self.strand[row],
            None if summit == _NO_SUMMIT else summit,
        )


@dataclass(frozen=True)
class IntervalFile:
    """The intervals of a file in its order, and the format in which it was read."""

    intervals: Intervals
    taken_for: str
    doubt: str = ""
    """What a user should know about how the file was read; empty if it was unambiguous."""


def read_intervals(
    path: str | os.PathLike[str],
    *,
    form: str = "auto",
    with_strand: bool = False,
    may_be_empty: bool = False,
) -> IntervalFile:
    """Return the intervals of a BED or narrowPeak file, plain, gzip or BGZF.

    BED is read as the UCSC Genome Browser's format page and the GA4GH BED specification describe it: columns
    separated by tabs (in a line without, by blanks), the same number of them in every row; blank lines,
    ``#`` comments, ``track`` and ``browser`` lines are skipped. A name ``summit=NNN`` gives the summit, as a
    position on the chromosome: in the 18 CTCF and 53 DNase peaks this was made for, every NNN lies inside its
    own interval and is larger than the interval is long. Whether it was counted from 0 or 1 does not show
    there (none is within 18 bases of an edge); it is taken as 0-based, as the other columns are.

    Parameters
    ----------
    path
        The file.
    form
        "auto", which reads a file as narrowPeak if its columns have narrowPeak's types in every row
        (`BedColumns`), and recognises the tables of `genolift.data.interval_tables`; "bed", whose tenth
        column is not a summit; or "narrowPeak", whose tenth is.
    with_strand, may_be_empty
        Refuse rows without a strand; take a file without rows.

    Raises
    ------
    InputError
        With file and line: fewer than three columns or another number than before, a coordinate that is not a
        whole number, a negative start, an end that is not after the start, a summit outside the interval,
        a strand that is not ``+``, ``-`` or ``.`` (if ``with_strand``); or a file without intervals, or of
        another format.
    """
    if form not in FORMATS:
        raise InputError(f"there is no format {form!r}", remedy=f"give {', '.join(FORMATS)}")
    rows = Intervals()
    columns = BedColumns()
    layout = BED
    n_columns = first_line = 0
    for number, fields, layout in _rows(path, form):
        where = f"{path}:{number}"
        if not rows:
            n_columns, first_line = len(fields), number
        _check_columns(fields, n_columns, first_line, where)
        row = _interval(fields, layout, number, where)
        if layout.is_bed:
            columns.add(number, fields, row.start, row.end)
        if with_strand:
            _check_strand(row.strand, where)
        rows.append(row)
    if not rows and not may_be_empty:
        remedy = "give a BED file with at least one row"
        raise InputError("holds no intervals", where=str(path), remedy=remedy)
    return _as_decided(rows, columns, layout, form, str(path))


def _rows(path: str | os.PathLike[str], form: str) -> Iterator[tuple[int, list[str], Layout]]:
    """Yield each row's line number and columns, and the table's layout, which is the same for all rows.

    The layout is that of a header line, commented out or not, or else that of the first row.
    """
    header: Layout | None = None
    layout: Layout | None = BED if form != "auto" else None
    for number, line in enumerate(read_lines(path, kept_per_line=_KEPT_PER_ROW), start=1):
        fields = _fields(line)
        if not fields:
            continue
        if layout is None:
            found = layout_of_header(fields, path)
            header = found or header
            if _is_comment(fields):
                check_comment(line, path)
                continue
            if found:
                continue
            layout = _layout(header, fields) or layout_of_row(fields, line, path, number)
        if _is_comment(fields):
            continue
        if not layout.is_bed:
            fields = [field.strip('"') for field in fields]
        yield number, fields[layout.skipped :], layout


def _as_decided(rows: Intervals, columns: BedColumns, layout: Layout, form: str, path: str) -> IntervalFile:
    """Return the rows with the names and summits that all rows of a BED file together show."""
    if not layout.is_bed or not rows:
        return IntervalFile(rows, layout.called)
    if form == "auto":
        columns.check_counted_from_zero(path)
    offsets = columns.summit_offsets(form, path)
    if offsets is not None:
        rows.set_summits(offsets)
    if not columns.has_names(rows.name):
        rows.without_names()
    taken_for = layout.called if offsets is None else "narrowPeak"
    return IntervalFile(rows, taken_for, columns.doubt)


def _layout(header: Layout | None, fields: Sequence[str]) -> Layout | None:
    """Return the layout of a header; R writes names before the rows without a column in the header."""
    if header is not None and header.columns is not None and len(fields) == header.columns + 1:
        return replace(header, skipped=header.skipped + 1)
    return header


def _fields(line: str) -> list[str]:
    line = line.rstrip("\n")
    if not line.strip():
        return []
    return list(map(str.strip, line.split("\t"))) if "\t" in line else line.split()


def _is_comment(fields: Sequence[str]) -> bool:
    return fields[0].startswith("#") or fields[0].split(" ")[0] in ("track", "browser")


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
            remedy="give every row the same columns",
        )


def _check_strand(strand: str, where: str) -> None:
    if strand not in ("+", "-", "."):
        raise InputError(
            f"the strand (column 6) is {strand!r}" if strand else "has no strand (column 6)",
            where=where,
            remedy="write + - or . there, or leave use_strand off",
        )


def _interval(fields: Sequence[str], layout: Layout, line: int, where: str) -> Interval:
    """Return a row by its layout; narrowPeak's summit is added when all rows are known."""
    if len(fields) <= max(layout.chrom, layout.start, layout.end, layout.summit or 0):
        raise InputError(f"has {len(fields)} columns", where=where, remedy=f"this is {layout.called}")
    chrom = fields[layout.chrom]
    start = _whole_number(fields[layout.start], "start", where) - layout.first
    end = _whole_number(fields[layout.end], "end", where)
    if not chrom:
        raise InputError("the chromosome is empty", where=where, remedy="name it, as the genome does")
    if start < 0:
        counts = f"this is {layout.called}" if layout.first else "BED counts from 0"
        raise InputError(f"the start {start + layout.first} is negative", where=where, remedy=counts)
    if end <= start:
        raise InputError(
            f"the end {end} is not after the start {start}",
            where=where,
            remedy="BED is 0-based and half-open: an interval of one base has end = start + 1",
        )
    name = _text(fields, layout.name)
    strand = fields[layout.strand] if layout.strand is not None and len(fields) > layout.strand else ""
    summit = None
    named_summit = _SUMMIT_NAME.fullmatch(name)
    if layout.summit is not None:
        summit = _whole_number(fields[layout.summit], "summit", where) - layout.first
    elif named_summit:
        summit = _whole_number(named_summit[1], "summit (column 4)", where)
    if summit is not None and not start <= summit < end:
        raise InputError(
            f"the summit {summit + layout.first} is outside the interval {start}-{end}",
            where=where,
            remedy="write the summit's position on the chromosome",
        )
    strand = strand if layout.is_bed else _STRANDS.get(strand, strand)
    return Interval(line, chrom, start, end, "" if named_summit else name, strand, summit)


def _text(fields: Sequence[str], column: int | None) -> str:
    text = fields[column] if column is not None and len(fields) > column else ""
    return "" if text in MISSING else text


def _whole_number(text: str, what: str, where: str) -> int:
    is_whole = _WHOLE_NUMBER.fullmatch(text) is not None
    if is_whole and len(text) <= _MOST_DIGITS:
        return int(text)
    wrong, shown = "not a whole number", repr(text)
    if is_whole:
        wrong = "beyond the end of any chromosome"
        shown = text if len(text) < 30 else f"{text[:20]}... ({len(text)} digits)"
    raise InputError(f"the {what} {shown} is {wrong}", where=where, remedy="write a position in bases")
