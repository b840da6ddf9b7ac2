"""Datasets that are written row after row, compressed faster than the HDF5 library does.

The chunks are what its filters shuffle, deflate and fletcher32 read: their bytes are made here, and deflated
by isal, which takes a seventh of the time that zlib takes for as many bytes (benchmarks/README.md).
"""

import math
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

_CHUNK_BYTES, _CHUNK_ROWS = 2**20, 2**13
"""The most bytes and rows of a chunk. Each dataset that is written or read holds one in memory."""
_FILTERS: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}


class RowsWritten:
    """A new dataset of the shape ``(row, ...)`` that gets its rows in order; at the end `finish` it."""

    def __init__(self, file: h5py.File, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        self._done = self._waiting = 0
        if shape[0] == 0:  # with more shards than sequences; HDF5 has no empty chunks
            self._dataset = file.create_dataset(name, shape, dtype=dtype)
            self._chunk = np.empty((0, *shape[1:]), self._dataset.dtype)
            return
        row_bytes = max(1, np.dtype(dtype).itemsize * math.prod(shape[1:]))
        chunks = (max(1, min(shape[0], _CHUNK_ROWS, _CHUNK_BYTES // row_bytes)), *shape[1:])
        self._dataset = file.create_dataset(name, shape, dtype=dtype, chunks=chunks, **_FILTERS)
        self._chunk = np.zeros(chunks, self._dataset.dtype)

    def add(self, rows: NDArray[Any]) -> None:
        """Write the next rows."""
        while len(rows):
            part = rows[: len(self._chunk) - self._waiting]
            self._chunk[self._waiting : self._waiting + len(part)] = part
            self._waiting += len(part)
            rows = rows[len(part) :]
            if self._waiting == len(self._chunk):
                self._write()

    def finish(self) -> None:
        """Write the rows that do not fill a chunk, and zeros after them."""
        if self._waiting:
            self._chunk[self._waiting :] = np.zeros((), self._chunk.dtype)
            self._write()

    def _write(self) -> None:
        at = (self._done, *[0] * (self._chunk.ndim - 1))
        self._dataset.id.write_direct_chunk(at, _filtered(self._chunk))
        self._done += self._waiting
        self._waiting = 0


def _filtered(values: NDArray[Any]) -> bytes:
    """Return a chunk as the filters shuffle, deflate and fletcher32 leave it (HDF5's specification, VI)."""
    shuffled = np.ascontiguousarray(values.reshape(-1).view(np.uint8).reshape(-1, values.itemsize).T)
    packed = isal_zlib.compress(shuffled.data, 1)
    return packed + fletcher32(packed).to_bytes(4, "little")


def fletcher32(data: bytes) -> int:
    """Return HDF5's checksum: Fletcher's two sums, modulo 65535, of 16-bit words whose first byte is higher.

    The library adds up with carries, and so has 65535 where a remainder is 0, except for zeros alone.
    """
    words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").astype(np.int64)
    first = int(words.sum())
    second = int(words @ np.arange(len(words), 0, -1))
    one, other = (total and (total - 1) % 65535 + 1 for total in (first, second))
    return other << 16 | one
