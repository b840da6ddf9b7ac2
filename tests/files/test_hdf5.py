"""A damaged HDF5 file never hangs or crashes its reader."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import h5py
import pytest

from genolift.errors import InputError
from genolift.files.hdf5 import opened_hdf5
from genolift.files.hdf5_heaps import check_heaps


def with_texts() -> bytes:
    """A file with two attributes in one heap, which begins with "GCOL"."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["note"] = "some words"
        file.attrs["provenance"] = "{}"
    return buffer.getvalue()


# In the heap: its size, and the lengths of its first text, of its second, and of the free space after them.
@pytest.mark.parametrize(
    ("offset", "value"), [(8, 2**40), (24, 2**63), (24, 2**64 - 1), (56, 5000), (80, 0), (80, 8)]
)
def test_a_damaged_heap_of_texts_is_refused_since_hdf5_would_read_it_for_ever(
    tmp_path: Path, offset: int, value: int
) -> None:
    whole = with_texts()
    at = whole.index(b"GCOL") + offset
    (tmp_path / "damaged.h5").write_bytes(whole[:at] + struct.pack("<Q", value) + whole[at + 8 :])
    with (
        pytest.raises(InputError, match=r"its heap of texts at byte \d+ is (damaged|cut off)"),
        opened_hdf5(tmp_path / "damaged.h5", lambda why: InputError(str(why), where="damaged.h5")) as file,
    ):
        dict(file.attrs)


def test_heaps_that_hdf5_wrote_are_whole() -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number in range(400):  # full heaps, and larger ones
            file.attrs[f"text {number}"] = "x" * (number * 37 % 1200)
            if number % 3 == 0:
                del file.attrs[f"text {number}"]
        file.attrs["long"] = "x" * 50_000
    assert buffer.getvalue().count(b"GCOL") > 10
    check_heaps(buffer)
