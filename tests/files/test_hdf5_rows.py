"""Datasets written row after row: HDF5's own filters read them, and damage is found."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolift.files import hdf5_rows
from genolift.files.hdf5_rows import RowsWritten, fletcher32


def _write(path: Path, values: np.ndarray, parts: int = 3) -> None:
    with h5py.File(path, "w") as file:
        written = RowsWritten(file, "group/x", values.shape, values.dtype)
        for part in np.array_split(values, parts):
            written.add(part)
        written.finish()


@pytest.mark.parametrize("dtype", ["i1", "u1", "i8", "f4", "S7"])
@pytest.mark.parametrize("shape", [(1,), (40,), (41, 3), (100, 4, 7), (0,), (0, 4, 7)])
@pytest.mark.parametrize("chunk", [1, 100, 2**20])
def test_hdf5_reads_what_was_written(
    dtype: str, shape: tuple[int, ...], chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5_rows, "_CHUNK_BYTES", chunk)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    values = np.frombuffer(np.random.default_rng(0).bytes(size), dtype).reshape(shape)
    _write(tmp_path / "x.h5", values)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["group/x"][...].tobytes() == values.tobytes()
        assert (file["group/x"].dtype, file["group/x"].shape) == (values.dtype, shape)


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 20)).astype("f4")
    _write(tmp_path / "x.h5", values)
    with h5py.File(tmp_path / "x.h5") as file:
        at = file["group/x"].id.get_chunk_info(0).byte_offset
    changed = bytearray((tmp_path / "x.h5").read_bytes())
    changed[at + 1000] ^= 1
    (tmp_path / "x.h5").write_bytes(changed)
    with h5py.File(tmp_path / "x.h5") as file, pytest.raises(OSError, match="filter"):
        file["group/x"][...]


@given(
    st.one_of(
        st.binary(max_size=70), st.sampled_from([b"\0" * 9, b"\xff" * 8, b"\xff" * 4001, b"\0\1\xff\xfe"])
    )
)
def test_a_checksum_is_the_one_of_the_hdf5_library(data: bytes) -> None:
    def folded(total: int) -> int:
        return (total & 0xFFFF) + (total >> 16)

    first = second = 0
    for at in range(0, len(data), 2):
        first = folded(first + int.from_bytes(data[at : at + 2].ljust(2, b"\0")))
        second = folded(second + first)
    assert fletcher32(data) == second << 16 | first
