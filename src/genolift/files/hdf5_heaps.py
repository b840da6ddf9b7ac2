"""HDF5's heaps of variable-length texts, checked before the library reads them.

A damaged length in such a heap sends the HDF5 library (seen with 2.0.0) into an endless loop that no signal
interrupts. The format: HDF5 File Format Specification 3.0,
III.E, Global Heap.
"""

import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, MADV_DONTNEED, mmap
from pathlib import Path
from typing import BinaryIO

_COLLECTION = re.compile(rb"GCOL\x01\0\0\0")
_MARK = 8
_SEARCHED = 2**24
"""Bytes of a file that are searched at a time, a multiple of any page's."""
_HEADER = struct.Struct("<8xQ")
_OBJECT = struct.Struct("<HHxxxxQ")
_LENGTHS = {0: 14, 1: 14, 2: 10, 3: 10}
"""Where the superblock of each version gives the number of bytes of a length."""


def check_heaps(source: str | os.PathLike[str] | BinaryIO) -> None:
    """Raise ValueError if a heap of texts in an HDF5 file is damaged.

    The file is searched from beginning to end, 2 s for a GB, which is worth it only if it has variable-length
    texts.
    """
    with _bytes_of(source) as data:
        if data[_LENGTHS.get(data[8], 0)] != 8:
            raise ValueError("its lengths are not of 8 bytes")
        for start in range(0, len(data), _SEARCHED):
            for found in _COLLECTION.finditer(data, start, start + _SEARCHED + _MARK - 1):
                _check_collection(data, found.start())
            if isinstance(data, mmap):  # what was searched need not stay in memory
                data.madvise(MADV_DONTNEED, start, min(_SEARCHED, len(data) - start))


@contextmanager
def _bytes_of(source: str | os.PathLike[str] | BinaryIO) -> Iterator[bytes | mmap]:
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as mapped:
            yield mapped
    else:
        at = source.tell()
        source.seek(0)
        yield source.read()
        source.seek(at)


def _check_collection(data: bytes | mmap, start: int) -> None:
    end = start + _HEADER.unpack_from(data, start)[0]
    at = start + _HEADER.size
    if not at <= end <= len(data):
        raise ValueError(f"its heap of texts at byte {start} is cut off")
    while at + _OBJECT.size <= end:
        number, _, size = _OBJECT.unpack_from(data, at)
        # free space has the number 0, and its size includes this header
        taken = size if number == 0 else _OBJECT.size + -(-size // 8) * 8
        if not _OBJECT.size <= taken <= end - at:
            raise ValueError(f"its heap of texts at byte {start} is damaged")
        at += taken
