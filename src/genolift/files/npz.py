"""The arrays of a .npz file, read without running code and without believing the sizes that it declares."""

from __future__ import annotations

import math
import tokenize
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genolift.errors import InputError, refused_as
from genolift.files.integrity import DAMAGE, unpacked_bytes
from genolift.files.whole import existing_file

MOST_BYTES = 2**28
"""Of all arrays of a file, unpacked: 64 million numbers."""
_ZIP, _EMPTY_ZIP, _NPY = b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY"
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_DAMAGE = (*DAMAGE, SyntaxError, TypeError, KeyError, AttributeError, RecursionError, tokenize.TokenError)
_KINDS = "biufUS"
"""Of numpy's types, those of real numbers, and texts."""
_SAVE = "write it with numpy.savez, each array by its name"


def is_npz(path: str | Path, where: str) -> bool:
    """Whether a file is a zip archive or a single array of numpy's, by its first bytes.

    Raises
    ------
    InputError
        If it is missing.
    """
    with existing_file(path, where=where).open("rb") as file:
        return file.read(6).startswith((_ZIP, _EMPTY_ZIP, _NPY))


def read_npz(path: str | Path, where: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of numbers and texts that ``numpy.savez`` wrote, by name.

    Numpy's own reader would make room for whatever size an array declares, and unpack without an end.

    Parameters
    ----------
    where
        The config's key, for errors.

    Raises
    ------
    InputError
        If the file is missing, damaged, no such archive, holds no array, something else or more than
        `MOST_BYTES`, or an array holds Python objects or something else than numbers and texts.
    """
    file = existing_file(path, where=where)
    place = f"{where}: {file}"
    with file.open("rb") as opened:
        head = opened.read(6)
    if head.startswith(_NPY):
        raise InputError("is a single array (.npy)", where=place, remedy=_SAVE)
    if not head.startswith((_ZIP, _EMPTY_ZIP)):
        raise InputError("is no .npz file", where=place, remedy=_SAVE)
    arrays: dict[str, NDArray[Any]] = {}
    with _one_line(place), zipfile.ZipFile(file) as archive:
        _check_sizes(archive, file, place)
        for record in archive.infolist():
            name = record.filename.removesuffix(".npy")
            if name == record.filename:  # passed over, it could be an array whose name is damaged
                raise InputError(f"holds {name!r}, which is no array (.npy)", where=place, remedy=_SAVE)
            if name in arrays:
                raise InputError(f"holds the array {name!r} twice", where=place, remedy=_SAVE)
            arrays[name] = _array(archive, record, f"{place}, {name}")
    if not arrays:
        raise InputError("holds no array", where=place, remedy=_SAVE)
    return arrays


def arrays_in_words(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the names and shapes of arrays, of the first few."""
    told = [f"{name} {'x'.join(map(str, array.shape)) or 'of one value'}" for name, array in arrays.items()]
    return ", ".join(told[:6]) + (f" and {len(told) - 6} more" if len(told) > 6 else "")


def _one_line(place: str) -> AbstractContextManager[None]:
    def refusal(why: str) -> InputError:
        remedy = "copy it again, or write it anew with numpy.savez"
        return InputError(f"is damaged ({why[:120]})", where=place, remedy=remedy)

    return refused_as(refusal, _DAMAGE)


def _check_sizes(archive: zipfile.ZipFile, file: Path, place: str) -> None:
    unpacked = unpacked_bytes(archive, file)
    if unpacked > MOST_BYTES:
        raise InputError(
            f"unpacks to {unpacked / 2**20:,.0f} MiB, and {MOST_BYTES // 2**20} MiB are the most",
            where=place,
            remedy="a few sequences are enough: write fewer",
        )


def _array(archive: zipfile.ZipFile, record: zipfile.ZipInfo, place: str) -> NDArray[Any]:
    with archive.open(record) as stream:
        read_header = _HEADERS.get(npy.read_magic(stream))
        if read_header is None:
            raise InputError("is of a version of .npy that is not read", where=place, remedy=_SAVE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a header as Python 2 wrote it
            shape, by_columns, dtype = read_header(stream)
        if dtype.hasobject:
            raise InputError(
                "holds Python objects, which could run code when read",
                where=place,
                remedy="save it as numbers of one type, such as numpy.asarray(values, dtype='float32')",
            )
        if dtype.kind not in _KINDS:
            raise InputError(f"holds {dtype}, no real numbers", where=place, remedy="save it as float32")
        begin, count = stream.tell(), math.prod(shape)
        if min(shape, default=0) < 0 or begin + count * dtype.itemsize != record.file_size:
            raise ValueError(f"{record.filename} is not as large as its shape {shape} says")
        values = stream.read()  # to its end, where zipfile compares the checksum
    if not count or not dtype.itemsize:
        return np.zeros(shape if not count else (0,), dtype)
    return np.frombuffer(values, dtype, count).reshape(shape, order="F" if by_columns else "C")
