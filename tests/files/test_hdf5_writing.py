"""An HDF5 file is complete or absent, whatever happens while it is written; a full disk is one clear line."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from run_steps import study

from genolift.errors import InputError
from genolift.files import hdf5_writing
from genolift.files.hdf5_writing import check_hdf5, whole_hdf5

# A limit on file size acts like a full disk: the write fails in the middle of the file.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
from genolift.cli.main import main
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
    assert "references.h5: cannot be written (file too large); free some space" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def written(path: Path, values: np.ndarray) -> None:
    with whole_hdf5(path) as file:
        rows = file.create_dataset("values", values.shape, float, chunks=(5, 1000), compression="gzip")
        for start in range(0, len(values), 5):
            rows[start : start + 5] = values[start : start + 5]


def test_an_interrupt_at_any_moment_leaves_the_whole_file_or_none(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((50, 1000))
    written(tmp_path / "first.h5", values)
    started = time.perf_counter()
    written(tmp_path / "timed.h5", values)
    seconds = time.perf_counter() - started

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    before, interrupted = signal.signal(signal.SIGALRM, interrupt), 0
    try:
        for moment in np.linspace(0.02, 0.98, 40):
            path = tmp_path / f"{moment}.h5"
            signal.setitimer(signal.ITIMER_REAL, moment * seconds)
            try:
                written(path, values)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            else:
                assert path.exists()
            if path.exists():
                with h5py.File(path) as file:
                    np.testing.assert_array_equal(file["values"][:], values)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 5
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, MemoryError, OSError("the disk")])
@pytest.mark.parametrize("method", ["write", "seek", "truncate"])
def test_what_a_callback_raises_is_raised_by_the_block(
    method: str, raised: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(io.FileIO):
        def fail(self, *_: object) -> int:
            raise raised

    setattr(Failing, method, Failing.fail)
    monkeypatch.setattr(Path, "open", lambda self, mode, buffering: Failing(self, mode))
    with pytest.raises(type(raised) if isinstance(raised, BaseException) else raised):
        written(tmp_path / "file.h5", np.zeros((5, 1000)))
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_was_lost_is_found_before_the_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, sizes = hdf5_writing._Disk.write, []

    def losing(self: hdf5_writing._Disk, data: memoryview) -> int:
        sizes.append(len(data))
        return len(data) if len(data) > 10_000 else write(self, data)  # the chunks

    monkeypatch.setattr(hdf5_writing._Disk, "write", losing)
    with pytest.raises(InputError, match=r"lost\.h5: cannot be read right after it was written"):
        written(tmp_path / "lost.h5", np.random.default_rng(0).random((50, 1000)))
    assert max(sizes) > 10_000
    assert list(tmp_path.iterdir()) == []


def test_a_flipped_bit_is_found_where_a_dataset_has_checksums(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        rows = file.create_dataset("values", data=np.zeros((50, 1000)), chunks=(5, 1000), fletcher32=True)
        at = rows.id.get_chunk_info(3).byte_offset
    check_hdf5(tmp_path / "file.h5")
    with (tmp_path / "file.h5").open("r+b") as raw:
        raw.seek(at + 100)
        raw.write(b"\x01")
    with pytest.raises(OSError, match="filter returned failure"):
        check_hdf5(tmp_path / "file.h5")
