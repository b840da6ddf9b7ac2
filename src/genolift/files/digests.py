"""Digests of rows and files, which show what a file was made from and whether it has been changed since.

All are BLAKE2b (RFC 7693) of 16 bytes; numbers are little-endian.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE = 16
"""Bytes of a digest."""


def rows_of(values: NDArray[Any] | Sequence[bytes]) -> Any:
    """Return the bytes of each row of an array; UTF-8 texts are returned as they are."""
    if not isinstance(values, np.ndarray):
        return values
    if values.dtype.kind == "S":
        return values.tolist()
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    size = little.dtype.itemsize * int(np.prod(little.shape[1:], dtype=np.int64))
    return little.view(np.uint8).reshape(len(little), size) if little.size else [b""] * len(little)


def row_digests(*columns: NDArray[Any] | Sequence[bytes]) -> NDArray[np.uint8]:
    """Return the digest of each row over all columns in order, uint8 (row, 16).

    ``columns`` are arrays (row, ...) or lists of bytes.
    """
    found = []
    for parts in zip(*map(rows_of, columns), strict=True):
        digest = hashlib.blake2b(digest_size=SIZE)
        for part in parts:
            digest.update(part)
        found.append(digest.digest())
    return np.frombuffer(b"".join(found), np.uint8).reshape(len(found), SIZE)


def sequence_digests(
    key: NDArray[np.int64], ids: Iterable[str], codes: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the identity of each sequence: the digest of key (int64), id and codes.

    The id is UTF-8, preceded by its length in bytes as an int64.
    """
    names = [text.encode("utf-8") for text in ids]
    return row_digests(key, np.array([len(name) for name in names], np.int64), names, codes)


def first_difference(found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> int | None:
    """Return the first row whose digests differ, both (row, 16); None if all are the same."""
    if found.shape != expected.shape:
        return 0
    wrong = (found != expected).any(1)
    return int(wrong.argmax()) if wrong.any() else None


class FileDigest:
    """The digest of a file: some of its attributes, as JSON with sorted keys, then arrays in order."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self._digest = hashlib.blake2b(digest_size=SIZE)
        self._digest.update(json.dumps(attributes, sort_keys=True, default=_plain).encode())

    def add(self, *arrays: NDArray[Any]) -> None:
        """Add arrays, in blocks of rows or whole."""
        for array in arrays:
            self._digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)

    def check(self, expected: str) -> str:
        """Return the digest in hexadecimal, or raise ValueError if a file has another."""
        if self.hex() != expected:
            raise ValueError("it was changed after it was written: its digest does not match")
        return expected

    def hex(self) -> str:
        """Return the digest of everything added so far, in hexadecimal."""
        return self._digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return a number or array that h5py read as a value for JSON."""
    return value.tolist()
