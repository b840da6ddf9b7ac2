"""A damaged HDF5 file never hangs or crashes its reader."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from genolift.errors import InputError
from genolift.files.hdf5 import opened_hdf5
from genolift.files.hdf5_heaps import _SEARCHED, check_heaps

PEAK = """
import resource, sys
from genolift.files.hdf5_heaps import check_heaps
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
check_heaps(sys.argv[1])
print(peak() - before)
"""


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


def test_a_heap_is_found_wherever_it_lies_and_the_file_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.h5"
    whole = with_texts()
    heap = whole[whole.index(b"GCOL") :][:4096]
    damaged = heap[:16] + b"\xff" * 16 + heap[32:]
    with path.open("wb") as file:
        file.write(whole[:64])  # where the lengths' bytes are told
        for number in range(1, 9):  # a heap over each border, its mark cut by it
            file.seek(number * _SEARCHED - 3)
            file.write(heap)
        file.truncate(9 * _SEARCHED)
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 3 * _SEARCHED
    with path.open("r+b") as file:
        file.seek(8 * _SEARCHED - 3)
        file.write(damaged)
    with pytest.raises(ValueError, match=f"its heap of texts at byte {8 * _SEARCHED - 3} is damaged"):
        check_heaps(path)
