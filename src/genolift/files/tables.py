"""Tab-separated tables, read as text and written without quotes: an id may be "NA", or contain a quote."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genolift.errors import Refusal, refused_as
from genolift.files.whole import existing_file

if TYPE_CHECKING:  # which takes 0.3 s to import, and not every step reads a table
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table that one of our steps writes: the one description of its columns.

    ``layout`` names them in the file's order, each with its dtype after a colon unless it is text, such as
    ``key:int64 id start:Int64``. ``float_format`` is how numbers are written.
    """

    name: str
    step: str
    layout: str
    float_format: str | None = None

    @cached_property
    def columns(self) -> dict[str, str]:
        """The dtype of each column by name, in the file's order."""
        parts = [column.partition(":") for column in self.layout.split()]
        return {name: dtype or "str" for name, _, dtype in parts}

    def read(self, path: str | os.PathLike[str], only: Sequence[str] = ()) -> pd.DataFrame:
        """Return a file's columns, or ``only`` those that are needed; errors as in `read_table`."""
        columns = {name: self.columns[name] for name in only or self.columns}
        refusal = self._refusal(Path(path))
        return read_table(path, columns, what=refusal.what, remedy=refusal.remedy)[list(columns)]

    def blocks(
        self, path: str | os.PathLike[str], only: Sequence[str], rows: int = 10_000
    ) -> Iterator[pd.DataFrame]:
        """Yield ``only`` some columns, so many rows at a time, at least once; errors as in `read_table`."""
        import pandas as pd

        columns = {name: self.columns[name] for name in only}
        file = existing_file(path)
        with (
            refused_as(self._refusal(file), _RAISED),
            pd.read_csv(file, chunksize=rows, **_reading(columns)) as blocks,
        ):
            for block in blocks:
                _check_columns(block, columns)
                yield block[list(columns)]

    def write(self, path: Path, frame: pd.DataFrame) -> None:
        """Write a table, with any columns beyond those described; a missing number is left empty."""
        with self.written(path) as add:
            add(frame)

    @contextmanager
    def written(self, path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
        """Yield a function that appends rows to a table, which is written as `write` does."""
        text = {"sep": "\t", "quoting": csv.QUOTE_NONE, "lineterminator": "\n", "index": False}
        with path.open("w", encoding="utf-8", newline="") as file:

            def add(frame: pd.DataFrame) -> None:
                is_first = file.tell() == 0
                frame.to_csv(file, header=is_first, float_format=self.float_format, **text)  # type: ignore[call-overload]

            yield add

    def _refusal(self, file: Path) -> Refusal:
        again = f"run genolift {self.step} again"
        return Refusal(f"is not the {self.name} that genolift {self.step} writes", file, again)

    def write_rows(self, path: Path, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows of values as `write` does; of numbers None and NaN are missing."""
        with path.open("w", encoding="utf-8") as file:
            for line in chain([[*self.columns]], rows):
                texts = ("" if value is None or value != value else str(value) for value in line)
                file.write("\t".join(texts) + "\n")


def read_table(
    path: str | os.PathLike[str],
    columns: Mapping[str, str],
    *,
    what: str = "cannot be read as a table",
    remedy: str,
) -> pd.DataFrame:
    """Return a tab-separated file with ``columns``, by name and dtype, and any others as text.

    In a column of numbers, empty fields and ``nan`` are NaN.

    Parameters
    ----------
    what, remedy
        For the error: what the file is not, and how to make it.

    Raises
    ------
    InputError
        If the file is missing, is not such a table, or lacks a column.
    """
    import pandas as pd

    file = existing_file(path)
    with refused_as(Refusal(what, file, remedy), _RAISED):
        frame = pd.read_csv(file, **_reading(columns))
        _check_columns(frame, columns)
    return frame


_RAISED = (ValueError, TypeError, OverflowError)


def _reading(columns: Mapping[str, str]) -> dict[str, Any]:
    """Return how pandas reads a table with these columns, by name and dtype."""
    return {
        "sep": "\t",
        "dtype": defaultdict(lambda: "str", columns),
        "keep_default_na": False,
        "na_values": {name: ["", "nan", "NaN"] for name, dtype in columns.items() if dtype != "str"},
        "quoting": csv.QUOTE_NONE,
        "float_precision": "round_trip",
    }


def _check_columns(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    for name in columns:
        if name not in frame.columns:
            raise ValueError(f"it has no column {name!r}")
