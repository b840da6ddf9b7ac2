"""HDF5 files are written whole or not at all, and no damage to one holds up or ends who reads it."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from steps import study

from genolift.errors import InputError
from genolift.hdf5 import opened_hdf5, whole_hdf5
from genolift.hdf5_heaps import check_heaps

# A limit on the size of files is met as a full disk is: the write fails in the middle of the file.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
from genolift.cli import main
main(sys.argv[1:])
"""


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((50, 1000))
    with whole_hdf5(tmp_path / "whole.h5") as file:
        file.create_dataset("values", data=values, chunks=(5, 1000), compression="gzip")
        assert not (tmp_path / "whole.h5").exists()
    with h5py.File(tmp_path / "whole.h5") as file:
        np.testing.assert_array_equal(file["values"][:], values)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.h5"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    made = study(tmp_path / "study", n=100, r=1)
    (tmp_path / "out").mkdir()
    arguments = ["reference", "--sequences", made.folder / "sequences.h5", "--number", "200"]
    arguments += ["--out", tmp_path / "out" / "references.h5"]
    command = [sys.executable, "-c", LIMITED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "references.h5: cannot be written (file too large); make room" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def with_texts() -> bytes:
    """A file with two attributes in one heap, which begins with "GCOL"."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["note"] = "some words"
        file.attrs["provenance"] = "{}"
    return buffer.getvalue()


# Of the heap: its size, and the lengths of its first text, of its second, and of what is free behind them.
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
        for number in range(400):  # heaps that are full, and larger ones
            file.attrs[f"text {number}"] = "x" * (number * 37 % 1200)
            if number % 3 == 0:
                del file.attrs[f"text {number}"]
        file.attrs["long"] = "x" * 50_000
    assert buffer.getvalue().count(b"GCOL") > 10
    check_heaps(buffer)
