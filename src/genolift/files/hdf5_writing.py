"""HDF5 files that appear under their name complete or not at all."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any, BinaryIO

import h5py

from genolift.errors import Refusal, refused_as
from genolift.files.hdf5 import CACHED_BYTES, in_place
from genolift.files.stopping import signals_wait
from genolift.files.whole import whole_file
from genolift.warned import kept_warnings

_READ_BYTES = 2**24


@contextmanager
def whole_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Yield an HDF5 file to write to, which becomes ``path`` only if the block succeeds, as in `whole_file`.

    A full disk and exceptions raised by signals are kept away from the HDF5 library, which would fail to
    close the file, corrupt its memory, and crash the interpreter later. Before the file gets its name it is
    opened again and read completely. It records the command's warnings.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, the disk is full, or what was written cannot be read.
    """
    with whole_file(path) as beside:
        with beside.open("r+b", buffering=0) as opened, signals_wait(_CALLED_BY_HDF5):
            disk = _Disk(opened)
            try:
                with h5py.File(disk, "w") as file:
                    yield file
                    if warned := kept_warnings():
                        file.attrs["warnings"] = in_place(json.dumps(warned))
            finally:
                if disk.error is not None:
                    raise disk.error
        remedy = "run again; if it fails again, write to another disk, since this one may be failing"
        refusal = Refusal("cannot be read right after it was written", path, remedy)
        with refused_as(refusal, (OSError, RuntimeError, ValueError, KeyError)):
            check_hdf5(beside)


def check_hdf5(path: Path) -> None:
    """Read all datasets and attributes of an HDF5 file, which verifies the datasets' checksums.

    Raises
    ------
    OSError, RuntimeError, ValueError, KeyError
        If h5py finds the file damaged.
    """
    with h5py.File(path, "r", rdcc_nbytes=CACHED_BYTES) as file:
        _read_all(file)


def _read_all(item: h5py.Group | h5py.Dataset) -> None:
    dict(item.attrs)
    if isinstance(item, h5py.Group):
        for name in item:
            _read_all(item[name])
    elif item.chunks is not None:
        for part in item.iter_chunks():
            item[part]
    elif item.shape:
        step = max(1, _READ_BYTES * len(item) // max(1, item.nbytes))
        for start in range(0, len(item), step):
            item[start : start + step]
    else:
        item[()]


class _Disk:
    """An open file that stores its methods' first exception for later, and after that does nothing.

    The HDF5 library calls the methods and never sees an exception.
    """

    def __init__(self, opened: BinaryIO) -> None:
        self.opened = opened
        self.error: BaseException | None = None

    def _done(self, action: Callable[[], Any]) -> Any:
        """Return what an action returns; 0 if it, or one before it, failed."""
        if self.error is None:
            try:
                return action()
            except BaseException as error:
                self.error = error
        return 0

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        return int(self._done(lambda: self.opened.seek(position, whence)))

    def tell(self) -> int:
        return int(self._done(self.opened.tell))

    def write(self, data: Any) -> int:
        def write_all() -> None:
            rest = memoryview(data)
            while len(rest):  # a disk that fills up accepts a part first
                rest = rest[self.opened.write(rest) :]

        self._done(write_all)
        return len(data)

    def readinto(self, buffer: Any) -> int:
        rest = memoryview(buffer)
        while len(rest) and (n := self._done(lambda rest=rest: self.opened.readinto(rest))):  # type: ignore[attr-defined, misc]
            rest = rest[n:]
        rest[:] = bytes(len(rest))  # zeros past the end, as in a file that HDF5 has extended
        return len(buffer)

    def read(self, size: int = -1) -> bytes:
        buffer = bytearray(max(0, size))
        self.readinto(buffer)
        return bytes(buffer)

    def truncate(self, size: int) -> int:
        self._done(lambda: self.opened.truncate(size))
        return size

    def flush(self) -> None:
        """Do nothing: the file is not buffered."""


_CALLED_BY_HDF5 = frozenset(
    method.__code__ for method in vars(_Disk).values() if isinstance(method, FunctionType)
)
