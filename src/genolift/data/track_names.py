"""The names of a model's tracks, from a table such as Basenji's ``targets.txt``."""

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

from genolift.errors import InputError, few
from genolift.files.text import read_lines

_NAME, _INDEX = "identifier", ("index", "")
"""The column of the names, and that of the tracks' places, which pandas leaves without a header."""
_KEPT_PER_ROW = 200  # bytes besides the text


def read_track_names(path: str | Path) -> list[str]:
    """Return the names of a model's tracks, in the order of its output.

    They are the column ``identifier`` of a tab-separated table. A column ``index``, or one without a header,
    has their places, from 0; without it they stand in the order of the rows. Other columns, such as Basenji's
    ``description`` and ``strand_pair``, are not read.

    Parameters
    ----------
    path
        Plain, gzip or BGZF.

    Raises
    ------
    InputError
        If the file is missing, empty or not such a table, a name is empty, or the places are not each number
        from 0 to one less than there are rows, once.
    """
    lines = read_lines(path, kept_per_line=_KEPT_PER_ROW)
    first = next(lines, "")
    if not first.strip():
        raise InputError("is empty", where=str(path), remedy=f"give a table with a column '{_NAME}'")
    rows = csv.reader(itertools.chain([first], lines), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = [name.strip() for name in next(rows)]
    if _NAME not in header:
        remedy = "separate its columns by tabs, and give it one of that name"
        raise InputError(f"has no column '{_NAME}', but {few(header)}", where=str(path), remedy=remedy)
    place = next((header.index(name) for name in _INDEX if name in header), None)
    found = list(_names(rows, header, place, path))
    if not found:
        raise InputError("has a header but no rows", where=str(path), remedy="give a row for each track")
    names = dict(found)
    if sorted(names) != list(range(len(found))):
        what = f"its {len(found)} rows do not have each index from 0 to {len(found) - 1} once"
        from_one = sorted(names) == list(range(1, len(found) + 1))
        remedy = "count from 0" if from_one else "give a row for each track of the model's output"
        raise InputError(what, where=str(path), remedy=remedy)
    return [names[number] for number in range(len(found))]


def _names(
    rows: Iterator[list[str]], header: list[str], place: int | None, path: str | Path
) -> Iterator[tuple[int, str]]:
    """Yield the place and the name of each track."""
    number = 0
    for line, row in enumerate(rows, 2):
        if not any(row):  # a blank line
            continue
        where = f"{path}:{line}"
        if len(row) != len(header):
            what = f"has {len(row)} columns, the header {len(header)}"
            raise InputError(what, where=where, remedy="give every row a value in each column")
        name = row[header.index(_NAME)].strip()
        if not name:
            raise InputError("has no name", where=where, remedy=f"write one in the column '{_NAME}'")
        given = str(number) if place is None else row[place].strip()
        if not given.isdecimal():
            raise InputError(f"{given!r} is not an index", where=where, remedy="write a number from 0")
        yield int(given), name
        number += 1
