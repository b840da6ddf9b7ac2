"""The meaning of columns 4 and 10 of a BED file, decided by all of its rows."""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genolift.data.texts import occurring_once
from genolift.errors import InputError

FORMATS = ("auto", "bed", "narrowPeak")
MISSING = ("", ".", "NA", "NaN", "nan", "None", "null")
_WHOLE = re.compile(r"-?[0-9]+")
_WHOLE_AS_DECIMAL = re.compile(r"(-?[0-9]{1,18})(\.0*)?")
_A_NUMBER = r"(?:[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?inf|nan|na)"
_NUMBER = re.compile(_A_NUMBER, re.IGNORECASE)
_MAYBE = rf"(?:{_A_NUMBER}|\.|none|null|)"
_COLUMNS_5_TO_9 = re.compile(rf"{_MAYBE}\t[-+.]\t{_MAYBE}\t{_MAYBE}\t{_MAYBE}", re.IGNORECASE)
_STRANDS = ("+", "-", ".")
_NO_NAMES = (*MISSING, "+", "-")
_NARROW_PEAK = 10
_AS_BED = "or set sequences.format (--format) to bed, which has no summits"


@dataclass(frozen=True)
class _Row:
    """A row: its line in the file, its columns, and its interval, 0-based half-open."""

    line: int
    fields: Sequence[str]
    start: int
    end: int

    @property
    def name(self) -> str:
        return self.fields[3]

    @property
    def is_typed(self) -> bool:
        """Whether columns 5 to 9 have narrowPeak's types."""
        return bool(_COLUMNS_5_TO_9.fullmatch("\t".join(self.fields[4:9])))

    @property
    def offset(self) -> int | None:
        """The whole number in column 10; None if it is something else."""
        number = _WHOLE_AS_DECIMAL.fullmatch(self.fields[9])
        return int(number[1]) if number else None

    @property
    def has_summit(self) -> bool:
        offset = self.offset
        return offset is not None and 0 <= offset < self.end - self.start

    @property
    def is_length_from_one(self) -> bool:
        """Whether column 4 is the interval's length, if its start is counted from 1."""
        whole = _WHOLE.fullmatch(self.name) and len(self.name) < 12
        return bool(whole) and int(self.name) == self.end - self.start + 1


class BedColumns:
    """What a BED file's columns are, decided by all rows, which have the same number of columns.

    narrowPeak is BED6+4: a score, a strand, three numbers (each may be missing, ``.`` or ``NA``), and the
    summit's offset from the start (https://genome.ucsc.edu/FAQ/FAQformat.html#format12); other columns may
    follow, as IDR writes them. BED12's blocks, and a second interval that bedtools appends, may have the same
    types and are recognised by their values.

    Rows are not kept: what all of them have or lack is noted as they are added, and their offsets.
    """

    def __init__(self) -> None:
        self.doubt = ""
        """What a user should know about how the file was read; empty if it was unambiguous."""
        self._n_columns = self._n_rows = 0
        self._longer, self._lengths_from_one = False, True
        self._texts_in_names, self._whole_names, self._stranded = False, True, True
        self._blocks = self._others = True
        self._numbers = False
        self._n_summits = 0
        self._untyped: _Row | None = None
        self._bad: _Row | None = None
        self._offsets = array("q")

    def add(self, line: int, fields: Sequence[str], start: int, end: int) -> None:
        """Note a row: its columns, and its interval, 0-based half-open."""
        row = _Row(line, fields, start, end)
        self._n_columns, self._n_rows = len(fields), self._n_rows + 1
        self._longer |= end - start > 1
        if self._n_columns > 3:
            self._add_name(row)
        if self._n_columns >= _NARROW_PEAK:
            self._add_narrow_peak(row)

    def _add_name(self, row: _Row) -> None:
        name = row.name
        self._lengths_from_one = self._lengths_from_one and row.is_length_from_one
        if not self._texts_in_names:
            self._texts_in_names = not (name in _NO_NAMES or _NUMBER.fullmatch(name))
            self._whole_names = self._whole_names and bool(_WHOLE.fullmatch(name))
            self._stranded = self._stranded and self._n_columns > 5 and row.fields[5] in _STRANDS

    def _add_narrow_peak(self, row: _Row) -> None:
        self._blocks = self._blocks and _are_blocks(row)
        self._others = self._others and _has_another(row)
        missing, offset, has_summit = row.fields[9] in MISSING, row.offset, row.has_summit
        self._numbers = self._numbers or not (missing or _NUMBER.fullmatch(row.fields[9]) is None)
        if row.is_typed:
            self._n_summits += has_summit
        elif self._untyped is None:
            self._untyped = row
        if self._bad is None and not (missing or has_summit or offset == -1):
            self._bad = row
        self._offsets.append(offset if has_summit and offset is not None else -1)

    def has_names(self, names: Sequence[str]) -> bool:
        """Return whether column 4 has names, that is unless each row has a number, a strand or nothing there.

        If the columns are BED's up to the strand, distinct whole numbers are names too; ``names`` are all
        rows'.
        """
        if self._n_columns < 4 or self._texts_in_names:
            return self._n_columns > 3
        return self._stranded and self._whole_names and bool(occurring_once(names).all())

    def check_counted_from_zero(self, path: str) -> None:
        """Raise `InputError` if column 4 shows that the starts are counted from 1.

        It is then end - start + 1 in every row: the length, which tables of MACS and R have there. For
        intervals of one base that is 2, which could be anything.
        """
        if self._n_columns > 3 and self._longer and self._lengths_from_one:
            raise InputError(
                "column 4 is end - start + 1 in every row: a length, as in tables of MACS and R, "
                "which count from 1",
                where=path,
                remedy="restore the table's header line, so that it is read correctly, or subtract "
                "1 from every start; if it is BED, set sequences.format (--format) to bed",
            )

    def summit_offsets(self, form: str, path: str) -> NDArray[np.int64] | None:
        """Return the summit's offset from the start for each row, int64 (row,), -1 for rows without one.

        Returns None if the file is not narrowPeak; with ``form`` "auto" the types of its columns in every row
        decide that.

        Raises
        ------
        InputError
            With file and line, if most rows are narrowPeak and one is not, or an offset is not a whole
            number or is outside its interval.
        """
        if form == "bed":
            return None
        if form == "narrowPeak":
            if self._n_columns < _NARROW_PEAK:
                raise InputError(
                    f"has {self._n_columns} columns where narrowPeak has at least 10",
                    where=path,
                    remedy="set sequences.format (--format) to auto or bed",
                )
        elif not self._is_narrow_peak(path):
            return None
        row = self._bad
        if row is not None:
            outside = f"is outside the interval {row.start}-{row.end}"
            raise InputError(
                f"the summit offset (column 10) {row.fields[9]!r} "
                + ("is not a whole number" if row.offset is None else outside),
                where=f"{path}:{row.line}",
                remedy=f"write the summit's 0-based offset from the start, or -1 for none, {_AS_BED}",
            )
        return np.frombuffer(self._offsets, np.int64)

    def _is_narrow_peak(self, path: str) -> bool:
        if self._n_columns < _NARROW_PEAK or self._blocks or self._others:
            return False
        if self._untyped is None:
            return self._numbers
        if 2 * self._n_summits < self._n_rows:
            if self._n_summits:
                self.doubt = (
                    f"{self._n_summits} of {self._n_rows} rows look like narrowPeak, line "
                    f"{self._untyped.line} does not: read as BED, without summits (sequences.format or "
                    "--format says what it is)"
                )
            return False
        raise InputError(
            f"columns 5 to 9 are not those of narrowPeak, though {self._n_summits} of {self._n_rows} rows "
            "have a summit in column 10",
            where=f"{path}:{self._untyped.line}",
            remedy=f"correct the row (score, strand, three numbers), {_AS_BED}",
        )


def _are_blocks(row: _Row) -> bool:
    """Whether columns 7, 8 and 10 to 12 are BED12's: the thick part, and blocks from the start to the end."""
    fields, start, end = row.fields, row.start, row.end
    if len(fields) < 12 or not all(_WHOLE.fullmatch(fields[at]) and len(fields[at]) < 12 for at in (6, 7, 9)):
        return False
    sizes, starts = (fields[at].rstrip(",").split(",") for at in (10, 11))
    if not len(sizes) == len(starts) == int(fields[9]):
        return False
    if not all(_WHOLE.fullmatch(text) and len(text) < 12 for text in (*sizes, *starts)):
        return False
    thick = start <= int(fields[6]) <= int(fields[7]) <= end or fields[6] == fields[7]
    return thick and int(starts[0]) == 0 and int(starts[-1]) + int(sizes[-1]) == end - start


def _has_another(row: _Row) -> bool:
    """Whether columns 7 to 9 are an interval on the same chromosome, or bedtools' ``. -1 -1`` for none."""
    chrom, start, end = row.fields[6:9]
    if (chrom, start, end) == (".", "-1", "-1"):
        return True
    whole = all(_WHOLE.fullmatch(text) and len(text) < 19 for text in (start, end))
    return chrom == row.fields[0] and whole and int(start) < int(end)
