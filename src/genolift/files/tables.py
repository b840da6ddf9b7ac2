"""Tab-separated tables, read as text and written without quotes: an id may be "NA", or hold a quote."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from genolift.errors import InputError
from genolift.files.whole import existing_file


def read_table(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    *,
    numbers: Sequence[str] = (),
    what: str = "cannot be read as a table",
    remedy: str,
) -> pd.DataFrame:
    """Return a tab-separated file, every column as it stands there, but ``numbers`` as float64.

    A number that is missing, empty or ``nan``, is NaN.

    Parameters
    ----------
    columns
        Those that the file must have, beside ``numbers``.
    what, remedy
        For the error: what the file is not, and how it is made.

    Raises
    ------
    InputError
        If the file is missing, is no such table, or lacks a column.
    """
    file = existing_file(path)
    try:
        frame = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
        missing = [name for name in (*columns, *numbers) if name not in frame.columns]
        if not missing:
            return frame.assign(**{name: _as_numbers(frame[name]) for name in numbers})
    except (ValueError, UnicodeError) as error:
        raise InputError(f"{what} ({error})", where=str(file), remedy=remedy) from error
    raise InputError(f"has no column {missing[0]!r}", where=str(file), remedy=remedy)


def _as_numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column.where(~column.str.lower().isin(("", "nan")))).astype("float64")


def write_table(path: Path, frame: pd.DataFrame, *, number_format: str | None = None) -> None:
    """Write a table; a number that is missing is left empty."""
    frame.to_csv(
        path,
        sep="\t",
        index=False,
        quoting=csv.QUOTE_NONE,
        lineterminator="\n",
        float_format=number_format,
    )
