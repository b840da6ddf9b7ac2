"""Records that are sorted in a temporary file."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from genolift.errors import InputError
from genolift.files.sorted_records import SortedRecords, sorted_records

RECORD = np.dtype([("number", np.int32), ("share", np.float32), ("turned", np.bool_)])


def made(n: int) -> np.ndarray:
    random = np.random.default_rng(0)
    records = np.empty(n, RECORD)
    records["number"] = np.arange(n)
    records["share"] = random.normal(size=n)
    records["turned"] = random.random(n) < 0.5
    return records


def test_records_come_in_the_order_of_their_keys_whatever_parts_they_are_added_in() -> None:
    records = made(5000)
    first, second = np.random.default_rng(1).integers(-20, 20, (2, len(records)))
    with sorted_records(2) as room:
        for at in range(0, len(records), 700):
            part = slice(at, at + 700)
            room.add(records[part], first[part], second[part])
        read = list(room.read(999))
    assert [len(part) for part in read] == [999] * 5 + [5]
    # Those with the same keys as they were added.
    expected = records[np.lexsort((second, first))]
    assert np.concatenate(read).tolist() == expected.tolist()


def test_no_record_is_none_to_read() -> None:
    with sorted_records(1) as room:
        assert list(room.read(10)) == []
        room.add(made(0), np.empty(0, np.int64))
        assert list(room.read(10)) == []


def test_a_full_disk_is_told_in_one_line() -> None:
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        room = SortedRecords(database, 1)
        database.execute("pragma max_page_count = 3")
        with pytest.raises(InputError, match=r"temporary files.*database or disk is full.*TMPDIR"):
            room.add(made(5000), np.arange(5000))
