"""The file contributions.h5, written in blocks, read in slices, and merged from one model's shards.

The layout is in docs/architecture.md: datasets that TF-MoDISco, Fi-NeMo and ChromBPNet's tools read are where
they expect them, and the rest is in the group ``genolift``.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from genolift.errors import Refusal
from genolift.files.digests import SIZE, FileDigest, first_difference, row_digests
from genolift.files.hdf5 import (
    Format,
    Stored,
    as_bytes,
    as_text,
    in_place,
    json_object,
    reading,
    text_type,
    warnings_of,
)
from genolift.files.hdf5_rows import RowsWritten
from genolift.files.hdf5_writing import whole_hdf5
from genolift.results.provenance import Provenance

_FORMAT = Format(
    *("genolift-contributions", "contributions"),
    "make it again: a shard with genolift attribute, contributions.h5 with genolift aggregate",
    digested=("provenance", "chromosomes", "models"),
)
_DIGEST_ROWS = 2**12
BLOCK_BASES = 2**20
"""Bases of the rows that are read at once: 0.1 GB as sums in float64."""

Block = Mapping[str, NDArray[Any]]
"""Rows of some sequences: an array for each name of the file's layout."""


@dataclass(frozen=True)
class Field:
    """A dataset of the file: its type, and its axes after the first, which is the sequence.

    Texts, ``np.bytes_``, are fixed-length UTF-8, as long as the longest.
    """

    dtype: Any
    axes: tuple[str, ...]


LAYOUT: Mapping[str, Field] = {
    "raw/seq": Field(np.int8, ("base", "position")),
    "shap/seq": Field(np.float32, ("base", "position")),
    "projected_shap/seq": Field(np.float32, ("base", "position")),
    "genolift/key": Field(np.int64, ()),
    "genolift/id": Field(np.bytes_, ()),
    "genolift/output": Field(np.float32, ()),
    "genolift/reference_output": Field(np.float32, ("reference",)),
    "genolift/convergence_error": Field(np.float32, ("reference",)),
    "genolift/standard_error": Field(np.float32, ("position",)),
    "genolift/sequence_digest": Field(np.uint8, ("digest",)),
    "genolift/reference_digest": Field(np.uint8, ("digest",)),
}

MODELS_LAYOUT: Mapping[str, Field] = {
    "genolift/model_sd": Field(np.float32, ("position",)),
    "genolift/model_output": Field(np.float32, ("model",)),
}
"""Additional datasets of a file that holds the mean over several models."""


_DIGESTS = "genolift/digest"
"""(sequence, dataset, 16): the digest of each row's values in each dataset, in the layout's order."""


@dataclass(frozen=True)
class Head:
    """All of a file except its rows: numbers of sequences, of positions and of references for each sequence;
    what was run; the lengths of the genome's chromosomes in bases, empty for sequences from FASTA; and the
    names of the models whose mean it holds, empty for one model.
    """

    n: int
    length: int
    r: int
    provenance: Provenance
    chromosomes: Mapping[str, int]
    models: Sequence[str] = ()

    @property
    def layout(self) -> Mapping[str, Field]:
        """The file's datasets by name."""
        return {**LAYOUT, **MODELS_LAYOUT} if self.models else LAYOUT

    def shape(self, field: Field) -> tuple[int, ...]:
        """Return the shape of a dataset."""
        sizes = {"base": 4, "position": self.length, "reference": self.r, "model": len(self.models)}
        return (self.n, *({**sizes, "digest": SIZE}[axis] for axis in field.axes))


class Rows:
    """A dataset of an open file, read in whole rows, each of which is checked against its digest.

    ``shape`` and ``dtype`` are those of the dataset, which is the ``number``-th in ``digests``.
    """

    def __init__(self, name: str, stored: Stored, digests: Stored, number: int, refusal: Refusal) -> None:
        self._name, self._stored, self._refusal = name, stored, refusal
        self._digests, self._number = digests, number
        self.shape, self.dtype = stored.shape, stored.dtype

    def __getitem__(self, rows: int | slice) -> NDArray[Any]:
        values = self._stored[rows]
        read = values if isinstance(rows, slice) else values[None]
        expected = self._digests[rows, self._number].reshape(len(read), SIZE)
        for first in range(0, len(read), _DIGEST_ROWS):  # each row's is an object of its own meanwhile
            part = slice(first, first + _DIGEST_ROWS)
            wrong = first_difference(row_digests(read[part]), expected[part])
            if wrong is not None:
                row = range(self.shape[0])[rows][first + wrong] if isinstance(rows, slice) else rows
                raise self._refusal(f"{self._name} was changed in row {row} after it was written")
        return values

    def digests(self) -> NDArray[np.uint8]:
        """Return the digest of each row, uint8 (row, 16)."""
        return np.ascontiguousarray(self._digests[:, self._number])


class Contributions:
    """An open contributions.h5, or a shard of one.

    Attributes
    ----------
    n, length, r, provenance, chromosomes, models
        As in its ``head``, which has them all.
    key
        int64 (sequence,).
    warnings
        Warnings issued on the way to it.
    digest
        The file's digest: of its attributes and its rows' digests.
    """

    def __init__(self, file: h5py.File, refusal: Refusal) -> None:
        _FORMAT.check(file)
        self._refusal = refusal
        several = "genolift/model_output" in file
        self.models = tuple(map(str, file["genolift/model_output"].attrs["models"])) if several else ()
        for name in ("shap/seq", "genolift/reference_output"):
            if not isinstance(file.get(name), h5py.Dataset):
                raise ValueError(f"it has no {name}")
        self.provenance = Provenance(json_object(file, "provenance"))
        self.warnings = warnings_of(file)
        self.chromosomes: dict[str, int] = json_object(file, "chromosomes")
        self.n, _, self.length = file["shap/seq"].shape
        self.r = int(file["genolift/reference_output"].shape[1])
        self.head = Head(self.n, self.length, self.r, self.provenance, self.chromosomes, self.models)
        self.layout = self.head.layout
        for name, field in self.layout.items():
            _check_field(file.get(name), name, field, self.head.shape(field))
        digests = file[_DIGESTS]
        if digests.shape != (self.n, len(self.layout), SIZE) or digests.dtype != np.uint8:
            raise ValueError("its digests do not match its rows")
        self._digests = Stored(digests, refusal)
        digest = _FORMAT.digest({**file.attrs, "models": list(self.models)})
        self.add_rows_to(digest)
        self.digest = digest.check(as_text(file.attrs["digest"]))
        self._datasets = {
            name: Rows(name, Stored(file[name], refusal), self._digests, number, refusal)
            for number, name in enumerate(self.layout)
        }
        self.key: NDArray[np.int64] = self["genolift/key"][:]

    def __getitem__(self, name: str) -> Rows:
        return self._datasets[name]

    def add_rows_to(self, digest: FileDigest) -> None:
        """Add what the file says of its rows to the digest of a file that has them."""
        for start in range(0, self.n, _DIGEST_ROWS):  # of many sequences they do not fit memory
            digest.add(self._digests[start : start + _DIGEST_ROWS])

    def texts(self, stored: NDArray[np.bytes_]) -> list[str]:
        """Return ids that were read from the file."""
        with reading(self._refusal):
            return [text.decode("utf-8") for text in stored.tolist()]

    def slices(self, files: int = 1) -> Iterator[slice]:
        """Yield slices of rows that together are all, of as many bases as fit memory of so many files."""
        rows = max(1, min(256, BLOCK_BASES // max(1, self.length * files)))
        return (slice(start, start + rows) for start in range(0, self.n, rows))

    def blocks(self) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield every dataset, in the `slices`."""
        for rows in self.slices():
            yield {name: self[name][rows] for name in self.layout}


def _check_field(dataset: Any, name: str, field: Field, shape: tuple[int, ...]) -> None:
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"it has no {name}")
    same = dataset.dtype.kind == "S" if field.dtype is np.bytes_ else dataset.dtype == field.dtype
    if not same or dataset.shape != shape:
        raise ValueError(f"its {name} is {dataset.dtype} {dataset.shape}")


def open_contributions(
    path: str | os.PathLike[str], again: str | None = None
) -> AbstractContextManager[Contributions]:
    """Open contributions.h5 for reading; ``again`` is what else to do where it is damaged.

    Raises
    ------
    InputError
        If the file is missing, damaged, or something else.
    """
    return (_FORMAT if again is None else replace(_FORMAT, again=again)).opened(path, Contributions)


def begun_digest(head: Head) -> FileDigest:
    """Return the digest of a file with this head, to which its rows' are to be added."""
    return _FORMAT.digest({**_attributes(head), "models": list(head.models)})


def _attributes(head: Head) -> dict[str, Any]:
    made = json.dumps(head.provenance, sort_keys=True)
    return _FORMAT.attributes(provenance=made, chromosomes=json.dumps(head.chromosomes))


def write_contributions(path: str | os.PathLike[str], head: Head, blocks: Iterable[Block]) -> str:
    """Write contributions.h5, complete or not at all, from blocks of rows that together are all.

    Digests are computed on the way; that of the file is returned. If ``head`` names models, the blocks have
    the datasets of `MODELS_LAYOUT` too.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    layout = head.layout
    with whole_hdf5(path) as file:
        file.attrs.update(_attributes(head))
        written = {
            name: RowsWritten(file, name, head.shape(field), field.dtype)
            for name, field in layout.items()
            if field.dtype is not np.bytes_
        }
        if head.models:
            file["genolift/model_output"].attrs["models"] = list(head.models)
        kept = RowsWritten(file, _DIGESTS, (head.n, len(layout), SIZE), np.uint8)
        digest = begun_digest(head)
        ids: list[NDArray[np.bytes_]] = []
        start = 0
        for block in blocks:
            stop = start + len(block["genolift/key"])
            names = as_bytes(block["genolift/id"])
            columns = [
                names if field.dtype is np.bytes_ else np.ascontiguousarray(block[name], field.dtype)
                for name, field in layout.items()
            ]
            digests = np.stack([row_digests(column) for column in columns], axis=1)
            digest.add(digests)
            kept.add(digests)
            for name, column in zip(layout, columns, strict=True):
                if isinstance(column, np.ndarray):
                    written[name].add(column)
            ids.append(np.array(names, text_type(names)))
            start = stop
        if start != head.n:
            raise RuntimeError(f"{start} rows were written instead of {head.n}")
        longest = max((part.dtype for part in ids), key=lambda dtype: dtype.itemsize, default=text_type([]))
        written["genolift/id"] = RowsWritten(file, "genolift/id", (head.n,), longest)
        for part in ids:
            written["genolift/id"].add(part)
        for dataset in (kept, *written.values()):
            dataset.finish()
        file.attrs["digest"] = in_place(digest.hex())
    return digest.hex()
