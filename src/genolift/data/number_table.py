"""A table of numbers by sequence id, TSV or CSV, plain or compressed."""

import csv
import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genolift.errors import InputError, did_you_mean, few
from genolift.files.text import read_lines

_ID = "id"
_KEPT_PER_ROW = 500  # bytes besides the numbers, which take less than their text


@dataclass(frozen=True)
class NumberTable:
    """Numbers, float32 (row, column); ``row_of`` maps ids to rows, ``columns`` has the columns' names."""

    columns: tuple[str, ...]
    row_of: dict[str, int]
    values: NDArray[np.float32]


def read_number_table(
    path: str | Path, *, columns: Sequence[str] | None = None, ids: Collection[str] | None = None
) -> NumberTable:
    """Return the numbers of a table whose column ``id`` names the rows.

    Columns are separated by tabs, or by commas if the first line has no tab.

    Parameters
    ----------
    path
        Plain, gzip or BGZF.
    columns
        Columns to read, in order; None for all but ``id``.
    ids
        Rows to read; None for all. Only the id of other rows is checked.

    Raises
    ------
    InputError
        If the file is missing, empty or not such a table, a column or an id is missing, an id occurs
        twice, or a value is not a finite number.
    """
    lines = read_lines(path, kept_per_line=_KEPT_PER_ROW)
    first = next(lines, "")
    if not first.strip():
        raise InputError("is empty", where=str(path), remedy="give a table with a column 'id'")
    delimiter = "\t" if "\t" in first else ","
    rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter, skipinitialspace=True)
    header = [name.strip() for name in next(rows)]
    place = _place_of_id(header, path)
    chosen = _chosen(header, columns, path)
    line_of: dict[str, int] = {}
    row_of: dict[str, int] = {}
    numbers: list[NDArray[np.float32]] = []
    for row in rows:
        if not any(row):  # a blank line
            continue
        where = f"{path}:{rows.line_num}"
        if len(row) != len(header):
            raise InputError(
                f"has {len(row)} columns, the header {len(header)}",
                where=where,
                remedy="give every row a value in each column",
            )
        name = row[place].strip()
        if name in line_of:
            raise InputError(
                f"the id {name!r} occurs twice, in line {line_of[name]} and here",
                where=where,
                remedy="give every id one row",
            )
        line_of[name] = rows.line_num
        if ids is None or name in ids:
            row_of[name] = len(numbers)
            numbers.append(_numbers([row[i] for i in chosen], [header[i] for i in chosen], name, where))
    if not line_of:
        raise InputError("has a header but no rows", where=str(path), remedy="give a row for each sequence")
    values = np.stack(numbers) if numbers else np.zeros((0, len(chosen)), np.float32)
    return NumberTable(tuple(header[i] for i in chosen), row_of, values)


def _place_of_id(header: Sequence[str], path: str | Path) -> int:
    twice = next((name for at, name in enumerate(header) if name in header[:at]), None)
    if twice is not None:
        raise InputError(
            f"the column {twice!r} occurs twice",
            where=str(path),
            remedy="give every column its own name",
        )
    if _ID not in header:
        raise InputError(
            f"has no column 'id', but {few(header)}",
            where=str(path),
            remedy="name the column of the sequences' ids 'id', as in sequences.tsv",
        )
    return header.index(_ID)


def _chosen(header: Sequence[str], columns: Sequence[str] | None, path: str | Path) -> list[int]:
    others = [name for name in header if name != _ID]
    if not others:
        raise InputError("has no column besides 'id'", where=str(path), remedy="give columns of numbers")
    for name in columns or ():
        if name not in others:
            remedy = did_you_mean(name, others, f"it has {few(others)}")
            raise InputError(f"has no column {name!r} of numbers", where=str(path), remedy=remedy)
    return [header.index(name) for name in columns or others]


def _numbers(fields: list[str], names: list[str], row: str, where: str) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            values = np.array(fields, dtype=np.float64).astype(np.float32)
    except ValueError:
        values = np.full(1, np.nan, np.float32)
    if np.isfinite(values).all():
        return values
    name, text = next((name, text) for name, text in zip(names, fields, strict=True) if not _is_number(text))
    missing = text.strip().lower() in ("", "na", "nan", "none", "null", ".")
    what = f"the value in column {name!r} of {row!r} is " + ("missing" if missing else f"{text!r}")
    raise InputError(what, where=where, remedy="write a number there")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and abs(float(text)) <= float(np.finfo(np.float32).max)
    except ValueError:
        return False
