"""More records than should be in memory, added in any order and read in theirs, from a temporary file."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.errors import Refusal, refused_as

_REFUSAL = Refusal(
    "temporary files cannot be written",
    "the folder for temporary files",
    "free some space there, or set the environment variable TMPDIR to another folder",
)


@contextmanager
def sorted_records(keys: int) -> Iterator["SortedRecords"]:
    """Yield room for records that are sorted by so many whole numbers, until the block ends.

    SQLite keeps them: the first megabytes in memory, the rest in a file without a name, which is gone
    whenever and however the process ends.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with _refused(), closing(sqlite3.connect("", isolation_level=None)) as database:
        yield SortedRecords(database, keys)


class SortedRecords:
    """What `sorted_records` yields."""

    def __init__(self, database: sqlite3.Connection, keys: int) -> None:
        self._database = database
        self._keys = [f"key{number}" for number in range(keys)]
        self._type: np.dtype[Any] | None = None
        columns = ", ".join(f"{key} integer" for key in self._keys)
        self._database.execute("pragma journal_mode = off")
        self._database.execute(f"create table records ({columns}, record blob)")
        self._database.execute("begin")

    def add(self, records: NDArray[np.void], *keys: NDArray[np.integer]) -> None:
        """Add records, all of one type, with an array of numbers for each key, the first deciding first."""
        self._type = records.dtype
        texts = np.ascontiguousarray(records).view(f"V{records.dtype.itemsize}").tolist()
        marks = ", ".join("?" * (len(self._keys) + 1))
        rows = zip(*(key.tolist() for key in keys), texts, strict=True)
        with _refused():
            self._database.executemany(f"insert into records values ({marks})", rows)

    def read(self, at_a_time: int) -> Iterator[NDArray[np.void]]:
        """Yield the records in order, some at a time; those with the same keys as they were added."""
        order = ", ".join([*self._keys, "rowid"])
        with _refused():
            found = self._database.execute(f"select record from records order by {order}")
            while rows := found.fetchmany(at_a_time):
                yield np.frombuffer(b"".join(record for (record,) in rows), self._type)


def _refused() -> AbstractContextManager[None]:
    return refused_as(_REFUSAL, (sqlite3.Error,))
