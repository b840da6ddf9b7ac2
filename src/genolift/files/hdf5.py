"""HDF5 files, opened for reading only if nothing in them points outside the file."""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import h5py
import numpy as np
from h5py import h5d, h5z
from numpy.typing import NDArray

from genolift.errors import Refusal, refused_as
from genolift.files.digests import FileDigest
from genolift.files.hdf5_heaps import check_heaps
from genolift.files.whole import existing_file
from genolift.warned import keep_warnings

Store = TypeVar("Store")

_FILTERS = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32, h5z.FILTER_LZF}
"""Built into h5py: gzip, shuffle, fletcher32, lzf. For any other filter HDF5 loads a library and runs it."""
_LARGEST_RATIO = 1032
"""The most that a deflate stream can expand (zlib's technical notes); LZF's limit is lower."""
_LARGEST_CHUNK = 2**28
"""Bytes of a chunk, which HDF5 loads whole. Our own chunks have 1 MiB, or one sequence."""
CACHED_BYTES = 2**20
"""Bytes of chunks that a dataset keeps: one of ours, since rows are read in order. HDF5 2 keeps 8 MiB."""
_LONGEST_IN_PLACE = 60_000
"""Bytes of a text in an attribute: HDF5 takes 64 kB with what is said of it (object header messages)."""
_DEEPEST = 64
"""Levels of groups; nested Keras models, the deepest known, have about ten."""
_RAISED = (
    *(OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(MemoryError, EOFError, AssertionError, SystemError),
)
"""What h5py, HDF5, numpy and json raise for damaged or malicious files."""


def reading(refusal: Refusal) -> AbstractContextManager[None]:
    """Turn any exception raised in this block, which reads a file, into that file's `InputError`."""
    return refused_as(refusal, _RAISED)


@contextmanager
def opened_hdf5(source: str | os.PathLike[str] | BinaryIO, refusal: Refusal) -> Iterator[h5py.File]:
    """Yield an HDF5 file to read, after checking that it is self-contained and declares no impossible sizes.

    Every HDF5 file is opened for reading by this function alone. Reads in the block, and later ones from the
    file, go into `reading` or through a `Stored`.

    Parameters
    ----------
    source
        The path of an existing file, or an open file.
    refusal
        Makes the error.

    Raises
    ------
    InputError
        If it is damaged or not HDF5; if it has a soft or external link, external storage, a virtual dataset,
        or a filter other than gzip, shuffle, fletcher32 and lzf; or if it declares more data than its bytes
        can expand to.
    """
    with reading(refusal):
        file = h5py.File(source, "r", rdcc_nbytes=CACHED_BYTES)
    with file:
        with reading(refusal):
            if _check(file):
                check_heaps(source)
        yield file


@contextmanager
def opened_store(
    path: str | os.PathLike[str], what: str, remedy: str, made: Callable[[h5py.File, Refusal], Store]
) -> Iterator[Store]:
    """Yield one of our own files, opened by `opened_hdf5` and wrapped by ``made``.

    Parameters
    ----------
    what, remedy
        For the error: what is wrong, such as "is not a file of references", and how to make the file again.

    Raises
    ------
    InputError
        If the file is missing, damaged, or something else.
    """
    file = existing_file(path)
    refusal = Refusal(what, file, remedy)
    with opened_hdf5(file, refusal) as opened:
        with reading(refusal):
            store = made(opened, refusal)
        yield store


class Stored:
    """A dataset of an open file, read later; damage raises the file's own error."""

    def __init__(self, dataset: h5py.Dataset, refusal: Refusal) -> None:
        self._dataset, self._refusal = dataset, refusal
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype: np.dtype[Any] = dataset.dtype

    def __getitem__(self, where: Any) -> NDArray[Any]:
        with reading(self._refusal):
            values: NDArray[Any] = self._dataset[where]
        return values


@dataclass(frozen=True)
class Format:
    """A format of our own: its name, what its files hold, and how to make one again.

    ``digested`` are the attributes that a file's digest covers besides format and version.
    """

    name: str
    holds: str
    again: str
    digested: tuple[str, ...]
    version: int = 1

    def attributes(self, **others: Any) -> dict[str, Any]:
        """Return a file's attributes to write: those that declare the format, and the others."""
        given = {"format": self.name, "version": self.version, **others}
        return {name: in_place(value) if isinstance(value, str) else value for name, value in given.items()}

    def digest(self, attributes: Mapping[str, Any], *arrays: NDArray[Any]) -> FileDigest:
        """Return the digest of a file with these attributes and arrays; more arrays may be added to it."""
        names = ("format", "version", *self.digested)
        digest = FileDigest({name: as_text(attributes[name]) for name in names})
        digest.add(*arrays)
        return digest

    def check(self, file: h5py.File) -> None:
        """Raise ValueError unless the file declares this format and version."""
        said = as_text(file.attrs.get("format")), file.attrs.get("version")
        if not isinstance(said[0], str) or np.ndim(said[1]) or said != (self.name, self.version):
            raise ValueError(f"its format is not {self.name} version {self.version}")

    def opened(
        self, path: str | os.PathLike[str], made: Callable[[h5py.File, Refusal], Store]
    ) -> AbstractContextManager[Store]:
        """Open a file as `opened_store` does."""
        return opened_store(path, f"is not a file of {self.holds}", self.again, made)


def json_object(holder: h5py.HLObject, name: str) -> dict[str, Any]:
    """Return the JSON object in an attribute.

    Raises
    ------
    ValueError, TypeError, KeyError
        If there is none.
    """
    found = json.loads(holder.attrs[name])
    if not isinstance(found, dict):
        raise TypeError(f"its attribute {name} is not a JSON object")
    return found


def warnings_of(file: h5py.File) -> list[str]:
    """Return the warnings issued when one of our files, or a file it was made from, was written.

    The running command keeps them and repeats them in the files that it writes (`warned.py`).
    """
    found = json.loads(file.attrs.get("warnings", "[]"))
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise TypeError("its attribute warnings is not a JSON list of texts")
    keep_warnings(found)
    return found


def texts(dataset: h5py.Dataset, rows: slice = slice(None)) -> list[str]:
    """Return the texts of a dataset of fixed-length UTF-8, or of some of its rows, without the padding.

    Raises
    ------
    ValueError
        If it holds something else, or text that is not UTF-8 (UnicodeDecodeError).
    """
    if dataset.dtype.kind != "S" or len(dataset.shape) != 1:
        raise ValueError(f"{dataset.name} does not hold texts of one length")
    return [text.decode("utf-8") for text in dataset[rows].tolist()]


def as_bytes(values: Iterable[Any]) -> list[bytes]:
    """Return texts, given as str or bytes, as UTF-8 bytes."""
    return [bytes(text) if isinstance(text, bytes) else str(text).encode("utf-8") for text in values]


def in_place(text: str) -> Any:
    """Return a text as an attribute to write, of fixed length: a file that has only such texts has no heap of
    texts, for which a reader would have to search all of it (`check_heaps`).

    HDF5 has no room for one of over 64 kB, which goes to a heap.
    """
    raw = text.encode("utf-8")
    return text if len(raw) > _LONGEST_IN_PLACE or b"\0" in raw else np.array(raw, text_type([raw]))


def as_text(value: Any) -> Any:
    """Return an attribute that was written by `in_place` as text; whatever else as it is.

    Raises
    ------
    UnicodeDecodeError
        If it is not UTF-8.
    """
    raw = value[()] if isinstance(value, np.ndarray) and value.dtype.kind == "S" and not value.ndim else value
    return raw.decode("utf-8") if isinstance(raw, bytes) else value


def text_type(values: Iterable[bytes]) -> np.dtype[Any]:
    """Return a fixed-length dataset type with room for each of these UTF-8 texts.

    HDF5 stores variable-length texts outside the dataset, where no checksum covers them.
    """
    return h5py.string_dtype("utf-8", max(1, max(map(len, values), default=0)))


def _check(file: h5py.File) -> bool:
    """Raise ValueError for anything that `opened_hdf5` refuses, without reading data.

    Return whether the file has variable-length texts, which HDF5 stores in heaps.
    """
    apart = False
    room = left = int(file.id.get_filesize())
    seen: set[int] = set()
    waiting: list[tuple[h5py.Group, int]] = [(file["/"], 0)]
    while waiting:
        group, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"{_short(group.name)} is nested in more than {_DEEPEST} groups")
        for name in group:
            place = _short(f"{group.name.rstrip('/')}/{name}")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{place} is a link to somewhere else")
            found = group[name]
            address = int(h5py.h5o.get_info(found.id).addr)
            if isinstance(found, h5py.Group):
                if address in seen:
                    raise ValueError(f"{place} is a group that is linked twice")
                waiting.append((found, depth + 1))
            elif isinstance(found, h5py.Dataset) and address not in seen:
                left -= _stored_bytes(found, place)
                if left < 0:
                    raise ValueError(f"its datasets share bytes, or it is cut off ({place})")
            seen.add(address)
            apart |= isinstance(found, h5py.Dataset) and found.dtype.hasobject
            apart |= _check_attributes(found, place, room)
    return _check_attributes(file, "the file", room) or apart


def _stored_bytes(dataset: h5py.Dataset, place: str) -> int:
    """Return the bytes that a dataset takes in its file, checked against its declared size."""
    settings = dataset.id.get_create_plist()
    layout = settings.get_layout()
    if layout == h5d.VIRTUAL:
        raise ValueError(f"{place} is a virtual dataset, whose values are in other files")
    if settings.get_external_count():
        raise ValueError(f"{place} has its values in another file")
    filters = {settings.get_filter(number)[0] for number in range(settings.get_nfilters())}
    if not filters <= _FILTERS:
        raise ValueError(f"{place} is compressed by HDF5's filter {min(filters - _FILTERS)}")
    item = int(dataset.id.get_type().get_size())
    if layout == h5d.CHUNKED and math.prod(settings.get_chunk()) * item > _LARGEST_CHUNK:
        raise ValueError(f"{place} has chunks of over {_LARGEST_CHUNK} bytes")
    declared = math.prod(dataset.shape or (0,)) * item
    stored = int(dataset.id.get_storage_size())
    compact = layout == h5d.COMPACT
    packed = bool(filters & {h5z.FILTER_DEFLATE, h5z.FILTER_LZF})
    if not compact and declared > stored * (_LARGEST_RATIO if packed else 1):
        raise ValueError(f"{place} declares {declared} bytes, in {stored} bytes of the file")
    return stored


def _check_attributes(holder: h5py.HLObject, place: str, room: int) -> bool:
    """Raise ValueError if an attribute is too large; return whether any is a variable-length text."""
    apart = False
    for name in holder.attrs:
        attribute = holder.attrs.get_id(name)
        apart |= attribute.dtype.hasobject
        if math.prod(attribute.shape or (0,)) * int(attribute.get_type().get_size()) > room:
            raise ValueError(f"the attribute {_short(name)} of {place} is larger than the file")
    return apart


def _short(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:100]}..."
