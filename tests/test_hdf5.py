"""A disk that fills up while an HDF5 file is written is one clear line, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from steps import study

from genolift.hdf5 import whole_hdf5

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
