"""The meaning of columns 4 and 10 of a BED file, decided by all of its rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from genolift.errors import InputError

FORMATS = ("auto", "bed", "narrowPeak")
MISSING = ("", ".", "NA", "NaN", "nan", "None", "null")
_WHOLE = re.compile(r"-?[0-9]+")
_WHOLE_AS_DECIMAL = re.compile(r"(-?[0-9]+)(\.0*)?")
_A_NUMBER = r"(?:[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?inf|nan|na)"
_NUMBER = re.compile(_A_NUMBER, re.IGNORECASE)
_MAYBE = rf"(?:{_A_NUMBER}|\.|none|null|)"
_COLUMNS_5_TO_9 = re.compile(
    rf"{_MAYBE}\t[-+.]\t{_MAYBE}\t{_MAYBE}\t{_MAYBE}", re.IGNORECASE
)  # columns 5 to 9
_STRANDS = ("+", "-", ".")
_NARROW_PEAK = 10
_AS_BED = "or set sequences.format (--format) to bed, which has no summits"


class BedColumns:
    """What a BED file's columns hold, collected row by row; all rows have the same number of columns.

    narrowPeak is BED6+4: a score, a strand, three numbers (each may be missing, ``.`` or ``NA``), and the
    summit's offset from the start (https://genome.ucsc.edu/FAQ/FAQformat.html#format12); other columns may
    follow, as IDR writes them. BED12's blocks, and a second interval that bedtools appends, may have the same
    types and are recognised by their values.
    """

    def __init__(self) -> None:
        self.doubt = ""
        """What a user should know about how the file was read; empty if it was unambiguous."""
        self._n = self._n_columns = 0
        self._offsets: list[int | None] = []
        self._n_typed = self._n_summits = 0
        self._first_untyped = 0
        self._wrong: tuple[int, str, str] | None = None  # line, text, and what is wrong
        self._only_text = True  # every value in column 10 that is not missing
        self._blocks = self._second_interval = True
        self._length_from_one, self._longest = True, 0
        self._only_values = self._distinct = True  # in column 4
        self._stranded = True
        self._seen: set[str] = set()

    def add(self, line: int, fields: Sequence[str], start: int, end: int) -> None:
        """Record a row: its columns, and its interval, 0-based half-open."""
        self._n += 1
        self._n_columns = len(fields)
        # once there is a name, nothing about column 4 can change
        if len(fields) > 3 and (self._only_values or self._length_from_one):
            self._note_name(fields, start, end)
        if len(fields) >= _NARROW_PEAK:
            self._note_summit(line, fields, start, end)

    def _note_name(self, fields: Sequence[str], start: int, end: int) -> None:
        name = fields[3]
        whole = bool(_WHOLE.fullmatch(name))
        self._length_from_one &= whole and len(name) < 12 and int(name) == end - start + 1
        self._longest = max(self._longest, end - start)
        self._only_values &= name in (*MISSING, "+", "-") or bool(_NUMBER.fullmatch(name))
        self._stranded &= len(fields) > 5 and fields[5] in _STRANDS
        self._distinct &= whole and name not in self._seen
        if self._distinct:
            self._seen.add(name)

    def _note_summit(self, line: int, fields: Sequence[str], start: int, end: int) -> None:
        typed = bool(_COLUMNS_5_TO_9.fullmatch("\t".join(fields[4:9])))
        self._n_typed += typed
        if not typed:
            self._first_untyped = self._first_untyped or line
        self._blocks = self._blocks and _are_blocks(fields, start, end)
        self._second_interval = self._second_interval and _is_interval(fields[6:9], fields[0])
        text, offset = fields[9], None
        number = _WHOLE_AS_DECIMAL.fullmatch(text)
        if number and len(number[1]) < 19:
            offset = int(number[1])
        if text not in MISSING:
            self._only_text = self._only_text and not _NUMBER.fullmatch(text)
            if offset is None:
                self._wrong = self._wrong or (line, text, "is not a whole number")
            elif not -1 <= offset < end - start:
                self._wrong = self._wrong or (line, text, f"is outside the interval {start}-{end}")
            elif offset >= 0:
                self._n_summits += typed
        self._offsets.append(None if offset is None or offset < 0 else offset)

    @property
    def has_names(self) -> bool:
        """Whether column 4 holds names, that is unless every row has a number, a strand or nothing there.

        If the columns are BED's up to the strand, distinct whole numbers are names too.
        """
        return not self._only_values or (self._distinct and self._stranded)

    def check_counted_from_zero(self, path: str) -> None:
        """Raise `InputError` if column 4 shows that the starts are counted from 1.

        It is then end - start + 1 in every row: the length, which tables of MACS and R have there. For
        intervals of one base that is 2, which could be anything.
        """
        if self._longest > 1 and self._length_from_one:
            raise InputError(
                "column 4 is end - start + 1 in every row: a length, as in tables of MACS and R, "
                "which count from 1",
                where=path,
                remedy="restore the table's header line, so that it is read correctly, or subtract "
                "1 from every start; if it is BED, set sequences.format (--format) to bed",
            )

    def summit_offsets(self, form: str, path: str) -> list[int | None] | None:
        """Return the summit's offset from the start for each row, None for rows without one.

        Returns None instead of a list if the file is not narrowPeak; with ``form`` "auto" the types of its
        columns in every row decide that.

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
        if self._wrong:
            line, text, wrong = self._wrong
            raise InputError(
                f"the summit offset (column 10) {text!r} {wrong}",
                where=f"{path}:{line}",
                remedy=f"write the summit's 0-based offset from the start, or -1 for none, {_AS_BED}",
            )
        return self._offsets

    def _is_narrow_peak(self, path: str) -> bool:
        if self._n_columns < _NARROW_PEAK or self._blocks or self._second_interval:
            return False
        if self._n_typed == self._n:
            return not self._only_text
        if 2 * self._n_summits < self._n:
            if self._n_summits:
                self.doubt = (
                    f"{self._n_summits} of {self._n} rows look like narrowPeak, line {self._first_untyped} "
                    "does not: read as BED, without summits (sequences.format or --format says what it is)"
                )
            return False
        raise InputError(
            f"columns 5 to 9 are not those of narrowPeak, though {self._n_summits} of {self._n} rows have a "
            "summit in column 10",
            where=f"{path}:{self._first_untyped}",
            remedy=f"correct the row (score, strand, three numbers), {_AS_BED}",
        )


def _are_blocks(fields: Sequence[str], start: int, end: int) -> bool:
    """Whether columns 7, 8 and 10 to 12 are BED12's: the thick part, and blocks from the start to the end."""
    if len(fields) < 12 or not all(_WHOLE.fullmatch(fields[at]) and len(fields[at]) < 12 for at in (6, 7, 9)):
        return False
    sizes, starts = (fields[at].rstrip(",").split(",") for at in (10, 11))
    if not len(sizes) == len(starts) == int(fields[9]):
        return False
    if not all(_WHOLE.fullmatch(text) and len(text) < 12 for text in (*sizes, *starts)):
        return False
    thick = start <= int(fields[6]) <= int(fields[7]) <= end or fields[6] == fields[7]
    return thick and int(starts[0]) == 0 and int(starts[-1]) + int(sizes[-1]) == end - start


def _is_interval(fields: Sequence[str], chrom: str) -> bool:
    """Whether three columns are an interval on ``chrom``, or bedtools' ``. -1 -1`` for none."""
    if list(fields) == [".", "-1", "-1"]:
        return True
    whole = all(_WHOLE.fullmatch(text) and len(text) < 19 for text in fields[1:])
    return fields[0] == chrom and whole and int(fields[1]) < int(fields[2])
