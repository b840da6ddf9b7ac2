"""The arrays of a .npz file, read without running code or trusting the sizes that it declares."""

import math
import tokenize
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genolift.errors import InputError, Refusal, refused_as
from genolift.files.integrity import DAMAGE, unpacked_bytes
from genolift.files.whole import existing_file

MOST_BYTES = 2**28
"""Of all arrays in a file together, uncompressed: 64 million numbers."""
_ZIP, _EMPTY_ZIP, _NPY = b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY"
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_DAMAGE = (*DAMAGE, SyntaxError, TypeError, KeyError, AttributeError, RecursionError, tokenize.TokenError)
_KINDS = "biufUS"
"""numpy's kinds of real numbers and text."""
_SAVE = "write it with numpy.savez, each array under its name"


def is_npz(path: str | Path, where: str) -> bool:
    """Whether a file is a zip archive or a single numpy array, by its first bytes.

    Raises
    ------
    InputError
        If it is missing.
    """
    with existing_file(path, where=where).open("rb") as file:
        return file.read(6).startswith((_ZIP, _EMPTY_ZIP, _NPY))


def read_npz(path: str | Path, where: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of numbers and texts that ``numpy.savez`` wrote, by name.

    numpy's own reader would allocate whatever size an array declares, and expand without limit.

    Parameters
    ----------
    where
        The config's key, for errors.

    Raises
    ------
    InputError
        If the file is missing, damaged or not such an archive, holds no array, anything but arrays, or more
        than `MOST_BYTES`, or if an array holds anything but numbers and text.
    """
    file = existing_file(path, where=where)
    place = f"{where}: {file}"
    with file.open("rb") as opened:
        head = opened.read(6)
    if head.startswith(_NPY):
        raise InputError("is a single array (.npy)", where=place, remedy=_SAVE)
    if not head.startswith((_ZIP, _EMPTY_ZIP)):
        raise InputError("is not a .npz file", where=place, remedy=_SAVE)
    arrays: dict[str, NDArray[Any]] = {}
    damaged = Refusal("is damaged", place, "copy it again, or write it again with numpy.savez")
    with refused_as(damaged, _DAMAGE), zipfile.ZipFile(file) as archive:
        if (unpacked := unpacked_bytes(archive, file)) > MOST_BYTES:
            raise InputError(
                f"expands to {unpacked / 2**20:,.0f} MiB, more than the {MOST_BYTES // 2**20} MiB allowed",
                where=place,
                remedy="a few sequences are enough: write fewer",
            )
        for record in archive.infolist():
            name = record.filename.removesuffix(".npy")
            if name == record.filename:  # not skipped: it could be an array with a damaged name
                raise InputError(f"holds {name!r}, which is not an array (.npy)", where=place, remedy=_SAVE)
            if name in arrays:
                raise InputError(f"holds the array {name!r} twice", where=place, remedy=_SAVE)
            arrays[name] = _array(archive, record, f"{place}, {name}")
    if not arrays:
        raise InputError("holds no array", where=place, remedy=_SAVE)
    return arrays


def arrays_in_words(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the names and shapes of the first few arrays."""
    told = [f"{name} {'x'.join(map(str, array.shape)) or 'of one value'}" for name, array in arrays.items()]
    return ", ".join(told[:6]) + (f" and {len(told) - 6} more" if len(told) > 6 else "")


def _array(archive: zipfile.ZipFile, record: zipfile.ZipInfo, place: str) -> NDArray[Any]:
    with archive.open(record) as stream:
        read_header = _HEADERS.get(npy.read_magic(stream))
        if read_header is None:
            raise InputError("has an unknown version of the .npy format", where=place, remedy=_SAVE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers written by Python 2
            shape, by_columns, dtype = read_header(stream)
        if dtype.hasobject:
            raise InputError(
                "holds Python objects, which could run code when read",
                where=place,
                remedy="save it as numbers of one type, such as numpy.asarray(values, dtype='float32')",
            )
        if dtype.kind not in _KINDS:
            raise InputError(f"holds {dtype}, not real numbers", where=place, remedy="save it as float32")
        begin, count = stream.tell(), math.prod(shape)
        if min(shape, default=0) < 0 or begin + count * dtype.itemsize != record.file_size:
            raise ValueError(f"{record.filename} does not have the size of its shape {shape}")
        values = stream.read()  # to the end, so that zipfile compares the checksum
    if not count or not dtype.itemsize:
        return np.zeros(shape if not count else (0,), dtype)
    return np.frombuffer(values, dtype, count).reshape(shape, order="F" if by_columns else "C")
