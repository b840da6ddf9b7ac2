"""Reads a file of intervals with pandas, following the pages that describe its format."""

from __future__ import annotations

import csv
import gzip
import io
import re
from pathlib import Path
from typing import Any

import pandas as pd

from genolift.data.intervals import read_intervals


def text_of(path: Path) -> str:
    """Return a file's text as Unicode, from plain or gzip, with uniform line ends."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    for mark, encoding in ((b"\xff\xfe\0\0", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return io.StringIO(data.decode(encoding), newline=None).read()
    text = data.decode("utf-8-sig", "surrogateescape")  # a byte that is not UTF-8 is Latin-1
    text = re.sub("[\udc80-\udcff]", lambda byte: chr(ord(byte[0]) - 0xDC00), text)
    return io.StringIO(text, newline=None).read()


def intervals_of_pandas(path: Path) -> Any:
    """Return chromosome, start, end, name, strand and summit of each row.

    Our reader decides which format the file has; here its rows are read from the columns that such tables
    have.
    """
    taken = read_intervals(path).taken_for
    lines = [line for line in text_of(path).split("\n") if line.strip()]
    for told, columns in _TABLES.items():
        if told in taken:
            return _rows_of_table(lines, *columns)
    bare = [line for line in lines if not _is_of_browser(line)]
    if "UCSC" in taken:
        bare = [line.split(maxsplit=1)[1] for line in bare if line.split()[0].lstrip("#") != "bin"]
    return _rows_of_bed(bare)


# The columns for chromosome, start, summit, name and strand; None: by position, as in HOMER's
_TABLES: dict[str, tuple[str, str, str | None, str | None]] = {
    "HOMER": ("", "", None, None),
    "MACS": ("chr", "start", "abs_summit", None),
    "GRanges": ("seqnames", "start", None, "strand"),
}


def _rows_of_table(lines: list[str], chrom: str, start: str, summit: str | None, strand: str | None) -> Any:
    """Return the rows of a 1-based table, with a header line except for HOMER's."""
    split = [line.split("\t") if "\t" in line else line.split() for line in lines]
    rows = [[word.strip().strip('"') for word in words] for words in split]
    if not chrom:
        whole = [row for row in rows if row[0][:1] != "#" and len(row) > 3 and row[2].lstrip("-").isdigit()]
        return [_row(row[1], row[2], row[3], row[0], (row[4:5] or [""])[0], None) for row in whole]
    header = next(row for row in rows if row[0].lstrip("#").strip().lower() == chrom)
    names = [name.lstrip("#").strip().lower() for name in header]
    found = []
    for row in rows[rows.index(header) + 1 :]:
        if row == header or _is_of_browser(" ".join(row)):
            continue
        told = dict(zip(names, row[len(row) == len(names) + 1 :], strict=False))
        name, its_strand = told.get("name", ""), told.get(strand or "", "")
        found.append(_row(told[chrom], told[start], told["end"], name, its_strand, told.get(summit or "")))
    return found


def _row(chrom: str, start: str, end: str, name: str, strand: str, summit: str | None) -> Any:
    strand = {"0": "+", "1": "-", "*": "."}.get(strand, strand)
    name = "" if name in _MISSING else name
    return chrom, int(start) - 1, int(end), name, strand, int(summit) - 1 if summit else None


def _rows_of_bed(lines: list[str]) -> Any:
    rows = "\n".join(line if "\t" in line else "\t".join(line.split()) for line in lines)
    widest = max(line.count("\t") for line in rows.split("\n")) + 1
    frame = pd.read_csv(
        io.StringIO(rows),
        sep="\t",
        header=None,
        names=range(widest),
        dtype=str,
        keep_default_na=False,
        quoting=csv.QUOTE_NONE,
    )
    frame = frame.apply(lambda column: column.str.strip())
    frame = frame.reindex(columns=range(max(widest, 10)), fill_value="")
    found = []
    narrow = widest >= 10 and _is_narrow_peak(frame)
    named = _has_names(frame)
    for row in frame.itertuples(index=False):
        start, end = int(row[1]), int(row[2])
        of_name = re.fullmatch("summit=(.*)", row[3])
        summit = int(of_name[1]) if of_name else None
        if narrow and row[9] not in _MISSING and float(row[9]) != -1:
            summit = int(float(row[9])) + start
        found.append(
            (row[0], start, end, "" if of_name or not named or row[3] in _MISSING else row[3], row[5], summit)
        )
    return found


_MISSING = ("", ".", "NA", "NaN", "nan", "None", "null")


def _numbers(column: pd.Series) -> pd.Series:
    """Whether it is a number or empty."""
    return column.isin(_MISSING) | pd.to_numeric(column, errors="coerce").notna()


def _has_names(frame: pd.DataFrame) -> bool:
    """Whether column 4 has names: not all numbers, except for the distinct integers of BED6."""
    if not (_numbers(frame[3]) | frame[3].isin(["+", "-"])).all():
        return True
    whole = frame[3].str.fullmatch("-?[0-9]+").all() and frame[3].is_unique
    return bool(whole and frame[5].isin(["+", "-", "."]).all())


def _is_narrow_peak(frame: pd.DataFrame) -> bool:
    """Whether every row has narrowPeak's types, and some row has a value in column 10."""
    typed = frame[5].isin(["+", "-", "."]) & frame[[4, 6, 7, 8]].apply(_numbers).all(axis=1)
    given = ~frame[9].isin(_MISSING)
    summits = all(map(_is_of_peak, *(frame.loc[given, column] for column in (1, 2, 9))))
    return bool(typed.all() and given.any() and summits)


def _is_of_browser(line: str) -> bool:
    return line.lstrip().startswith("#") or re.split(r"[ \t]", line.lstrip())[0] in ("track", "browser")


def _is_of_peak(start: str, end: str, offset: str) -> bool:
    """Whether a tenth column is a summit's offset."""
    try:
        return -1 <= float(offset) < int(end) - int(start) and float(offset).is_integer()
    except (ValueError, OverflowError):
        return False
