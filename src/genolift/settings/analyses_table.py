"""A table of analyses, a row each: the key ``analyses`` of a config may name one in place of its analyses."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import zip_longest
from pathlib import Path
from typing import Any

from genolift.errors import InputError, few
from genolift.files import plain_values
from genolift.files.plain_values import shown
from genolift.files.text import read_text
from genolift.settings.folder_names import analysis_name
from genolift.settings.keys import ITEM, NAMED, keys_of
from genolift.settings.reading import value_of_yaml
from genolift.settings.sections import Analysis

NAME = "analysis"
"""The column of the names."""
_ANY_KEYS = ("arguments",)
"""Keys under which the user's own follow."""
Cells = Sequence[str]


@dataclass(frozen=True)
class AnalysesTable:
    """A table's analyses, and where each stands.

    Attributes
    ----------
    path
        The file.
    analyses
        What a config would have under ``analyses``.
    lines
        The line of each analysis, from 1.
    columns
        The columns beside that of the names.
    """

    path: Path
    analyses: Mapping[str, Mapping[str, Any]]
    lines: Mapping[str, int]
    columns: Cells

    def where(self, key: str) -> str:
        """Return the place in the table of a config's key such as ``analyses.mine.model.path``."""
        within = key.removeprefix("analyses").lstrip(".")
        # a name may have dots
        names = [name for name in self.lines if f"{within}.".startswith((f"{name}.", f"{name}: "))]
        if not names:
            return ": ".join(filter(None, (str(self.path), within)))
        name = max(names, key=len)
        rest = within[len(name) :].lstrip(".")
        place = f"{self.path}:{self.lines[name]}"
        for column in self.columns:
            if re.match(rf"{re.escape(column)}(?![\w-])", rest):
                return f"{place}, column {rest}"
        return ": ".join(filter(None, (place, rest.lstrip(": "))))


def read_analyses_table(path: Path, where: str = "") -> AnalysesTable:
    """Return the analyses of a tab-separated table.

    The first line names the columns: ``analysis``, then keys of an analysis with dots between sections, such
    as ``model.path``. An empty cell leaves its key out; a value means what it means in YAML. Empty lines and
    those that begin with ``#`` are skipped.

    Parameters
    ----------
    where
        What messages about the file name before it, such as the config's key.

    Raises
    ------
    InputError
        If the file is missing, not UTF-8 or separated by something else; for a column that is no key, a cell
        that is not YAML, a row without a name or with more cells than columns, a name that is there twice;
        and if there is no analysis in it.
    """
    text = read_text(path, where=where, most=plain_values.MOST_CHARACTERS)
    lines = (
        (number, [cell.strip() for cell in line.split("\t")])
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip() and not line.startswith("#")
    )
    number, head = next(lines, (1, []))
    columns = _columns(head, f"{path}:{number}")
    analyses: dict[str, Mapping[str, Any]] = {}
    line_of: dict[str, int] = {}
    for line, cells in lines:
        row = _row(columns, cells, f"{path}:{line}")
        name = _name(row.pop(NAME), f"{path}:{line}, column {NAME}")
        if name in line_of:
            what = f"the analysis {shown(name)} is in line {line_of[name]} too"
            raise InputError(what, where=f"{path}:{line}", remedy="give each a name of its own")
        line_of[name], analyses[name] = line, _analysis(row, f"{path}:{line}")
    if not analyses:
        remedy = f"write a line for each analysis below the names of the columns, {NAME} and keys"
        raise InputError("has no analyses", where=str(path), remedy=remedy)
    return AnalysesTable(path, analyses, line_of, [column for column in columns if column != NAME])


def _columns(head: Cells, where: str) -> list[str]:
    """Return the names of the columns, "" for those that end a line with tabs."""
    columns = [_unquoted(cell) for cell in head]
    if len(columns) == 1 and re.search(r"[,;]", columns[0]):
        what, remedy = "is separated by something else than tabs", "save the table as text with tabs (.tsv)"
        raise InputError(what, where=where, remedy=remedy)
    if NAME not in columns:
        what = f"there is no column '{NAME}'" + (f" among {few(filter(None, columns))}" if columns else "")
        remedy = f"the first line that does not begin with # names them: {NAME}, then keys such as model.path"
        raise InputError(what, where=where, remedy=remedy)
    known = [*_known()]
    for column in filter(None, columns):
        others = [*columns]
        others.remove(column)
        place = f"{where}, column {column}"
        if column in others:
            raise InputError("is there twice", where=place, remedy="keep one of them")
        if column != NAME and not _is_key(column, known):
            raise InputError("unknown key", where=place, remedy=_nearest(column, known))
        if inside := [each for each in others if each.startswith(f"{column}.")]:
            what = f"is a section of which another column, {inside[0]}, gives a key"
            raise InputError(what, where=place, remedy="give a column for each of its keys")
    return columns


def _name(cell: str, where: str) -> str:
    if not cell:
        remedy = "name the analysis, or begin the line with # to skip it"
        raise InputError("is empty", where=where, remedy=remedy)
    try:
        return analysis_name(_unquoted(cell))
    except InputError as error:
        raise InputError(error.what, where=where, remedy=error.remedy) from error


def _known() -> Iterator[str]:
    for place, key in keys_of(Analysis).items():
        if place and ITEM not in place:
            yield key.name


def _nearest(column: str, known: Sequence[str]) -> str:
    """Name the nearest key, or one that ends as the column does."""
    names = {key: key for key in (NAME, *known) if NAMED not in key}
    last = {key.rpartition(".")[2]: key for key in names}
    for near in (get_close_matches(column, names, 1), get_close_matches(column.rpartition(".")[2], last, 1)):
        for name in near:
            return f"did you mean '{(names | last)[name]}'?"
    return "columns are keys such as model.path: see config/README.md"


def _is_key(column: str, known: Sequence[str]) -> bool:
    patterns = (re.escape(key).replace(re.escape(NAMED), r"[^.]+") for key in known)
    free = (rf"{pattern}(\.[^.]+)?" if pattern.endswith(_ANY_KEYS) else pattern for pattern in patterns)
    return any(re.fullmatch(pattern, column) for pattern in free)


def _row(columns: Cells, cells: Cells, where: str) -> dict[str, str]:
    """Return a line's cells by column; what a line lacks at its end is empty."""
    row: dict[str, str] = {}
    for number, (column, cell) in enumerate(zip_longest(columns, cells, fillvalue=""), 1):
        if column:
            row[column] = cell
        elif cell:
            what = f"{shown(cell)} is in column {number}, which has no name"
            raise InputError(what, where=where, remedy="check that single tabs separate the cells")
    return row


def _analysis(row: Mapping[str, str], where: str) -> dict[str, Any]:
    """Return an analysis from its cells, as sections of keys with values."""
    analysis: dict[str, Any] = {}
    for column, cell in row.items():
        if cell:
            *sections, key = column.split(".")
            section = analysis
            for name in sections:
                section = section.setdefault(name, {})
            section[key] = _value(cell, f"{where}, column {column}")
    return analysis


def _value(cell: str, where: str) -> Any:
    """Return what a cell means in YAML; in text that is not quoted, ``#`` begins no comment."""
    try:
        value = value_of_yaml(cell, where)
    except InputError as error:
        remedy = error.remedy or 'put it in quotes, "...", if it is text'
        what = f"{shown(cell)} {error.what}" if error.what.startswith("is ") else error.what
        raise InputError(what, where=where, remedy=remedy) from error
    return cell if isinstance(value, str) and cell[0] not in "'\"" else value


def _unquoted(cell: str) -> str:
    """Return a name without the quotes that spreadsheets and R put around text."""
    quoted = len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "'\""
    return cell[1:-1].strip() if quoted else cell
