"""HDF5 files that stand under their name whole or not at all. Knows nothing of what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import h5py

from genolift.files import whole_file


@contextmanager
def whole_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Yield an HDF5 file to write to, that is ``path`` only if the block succeeds; as `files.whole_file`.

    A full disk is an error of this file alone: where the HDF5 library itself meets it, the library cannot
    close the file, corrupts its memory, and kills the interpreter later.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, or the disk is full.
    """
    with whole_file(path) as beside, beside.open("w+b", buffering=0) as opened:
        disk = _Disk(opened)
        try:
            with h5py.File(disk, "w") as file:
                yield file
        finally:
            if disk.error is not None:
                raise disk.error


class _Disk:
    """An open file that keeps the first failure to write for later, and swallows what comes after it."""

    def __init__(self, opened: BinaryIO) -> None:
        self.opened = opened
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        while len(rest) and self.error is None:  # a disk that fills up takes a part first
            try:
                rest = rest[self.opened.write(rest) :]
            except OSError as error:
                self.error = error
        return len(data)

    def truncate(self, size: int) -> int:
        if self.error is None:
            try:
                self.opened.truncate(size)
            except OSError as error:
                self.error = error
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self.opened, name)
