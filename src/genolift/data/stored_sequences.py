"""The table and the store of sequences: what the encode step writes and the others read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import N_CODE
from genolift.errors import InputError, Refusal
from genolift.files.digests import SIZE, first_difference, row_digests, sequence_digests
from genolift.files.hdf5 import Format, as_bytes, as_text, in_place, json_object, reading, texts, warnings_of
from genolift.files.tables import Table
from genolift.files.whole import existing_file, sha256
from genolift.settings.model import ONE_MODEL

_FORMAT = Format(
    *("genolift-sequences", "sequences", "make it again with genolift encode"),
    digested=("provenance", "chromosomes", "table_sha256"),
)
CHUNK_BYTES = 2**20
"""Of codes, which are best written in blocks of as many."""
_DIGEST_ROWS = 2**16
_CHECKED: Mapping[str, Any] = {"compression": "gzip", "fletcher32": True}
SEQUENCES = Table(
    "sequences.tsv",
    "encode",
    "key:int64 id chrom start:Int64 end:Int64 strand length:int64 gc:float64 n_count:Int64 kept reason",
)


@dataclass(frozen=True)
class Places:
    """Where sequences are on a genome, one value for each: ``start`` int64 (sequence,), 0-based; ``strand``
    is ``-`` if the sequence is the reverse complement of the genome there.
    """

    chrom: list[str]
    start: NDArray[np.int64]
    strand: list[str]


class Codes(Protocol):
    """Codes in memory or in a file, uint8 (sequence, position), 0-3 for A C G T and 4 for N."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of sequences and positions."""

    def __getitem__(self, rows: slice, /) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class Sequences:
    """Kept sequences, in input order: ``key`` int64 (sequence,), and ``id``, one for each."""

    key: NDArray[np.int64]
    id: list[str]
    codes: Codes
    chromosomes: Mapping[str, int]
    """The lengths of the genome's chromosomes, in bases; empty for sequences from FASTA."""
    places: Places | None = None
    """None for sequences from FASTA."""
    digests: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, SIZE), np.uint8))
    """`sequence_digests`, uint8 (sequence, 16), if they were read from ``sequences.h5``."""
    digest: str = ""
    """The digest of that file."""
    table_sha256: str = ""
    """Of the ``sequences.tsv`` that was written with it."""

    def names(self, rows: Iterable[int]) -> list[str]:
        """Return the names of some sequences for messages."""
        return [f"{self.id[row]} (key {self.key[row]})" for row in rows]


@dataclass(frozen=True)
class Head:
    """What is known of all sequences before they are written.

    Their number, their length and that of the genome's chromosomes in bases; ``longest``, the bytes of the
    longest ``id``, ``chrom`` and ``strand``.
    """

    n: int
    length: int
    chromosomes: Mapping[str, int]
    longest: Mapping[str, int]


def write_sequences(
    file: h5py.File, head: Head, blocks: Iterable[Sequences], attributes: Mapping[str, Any]
) -> None:
    """Write the kept sequences, in blocks of any size, into ``sequences.h5``, with their digests.

    ``attributes`` are ``provenance`` (JSON) and ``table_sha256``, of the table that is written with them.
    """
    told = _FORMAT.attributes(chromosomes=json.dumps(head.chromosomes), **attributes)
    file.attrs.update(told)
    digest, digests_of_places = _FORMAT.digest(told), []
    row = 0
    for block in blocks:
        if not row:
            _create(file, head, on_genome=block.places is not None)
        codes = block.codes[:]
        digests = sequence_digests(block.key, block.id, codes)
        columns: dict[str, Any] = {"key": block.key, "id": as_bytes(block.id), "sequence_digest": digests}
        if block.places is not None:
            chrom, strand = as_bytes(block.places.chrom), as_bytes(block.places.strand)
            columns |= {"chrom": chrom, "start": block.places.start, "strand": strand}
            columns["place_digest"] = _place_digests(block.places)
            digests_of_places.append(columns["place_digest"])
        rows = slice(row, row + len(digests))
        for name, values in columns.items():
            file[name][rows] = np.asarray(values, file[name].dtype)
        file["codes"][rows] = codes
        digest.add(digests)
        row = rows.stop
    digest.add(*digests_of_places)
    file.attrs["digest"] = in_place(digest.hex())


def _create(file: h5py.File, head: Head, on_genome: bool) -> None:
    """Create the datasets of ``sequences.h5``."""
    types: dict[str, Any] = {"key": np.int64, "id": str, "sequence_digest": np.uint8}
    if on_genome:
        types |= {"chrom": str, "start": np.int64, "strand": str, "place_digest": np.uint8}
    for name, kind in types.items():
        dtype = h5py.string_dtype("utf-8", max(1, head.longest[name])) if kind is str else np.dtype(kind)
        shape = (head.n, SIZE) if name.endswith("digest") else (head.n,)
        file.create_dataset(name, shape, dtype, **_CHECKED)
    chunks = (min(head.n, max(1, CHUNK_BYTES // head.length)), head.length)
    file.create_dataset("codes", (head.n, head.length), np.uint8, chunks=chunks, **_CHECKED)


def _place_digests(places: Places) -> NDArray[np.uint8]:
    return row_digests(as_bytes(places.chrom), places.start, as_bytes(places.strand))


def check_table(path: str | os.PathLike[str], provenance: Mapping[str, Any], of: str) -> None:
    """Check that ``sequences.tsv`` was written with the sequences of a file ``of`` contributions.

    Raises
    ------
    InputError
        If it was not, has changed since, or is not there.
    """
    if sha256(existing_file(path)) != provenance.get("sequences_table_sha256"):
        raise InputError(
            f"is not the table that was written with the sequences of {of}",
            where=str(path),
            remedy="give the table of that run, or run all steps again from genolift encode on",
        )


class StoredSequences:
    """An open sequences.h5, of which rows are read when they are needed, and checked by their digests.

    The file's digest, of its attributes and its rows' digests, is checked when it is opened.

    Attributes
    ----------
    n, length
        Numbers of sequences and of positions.
    chromosomes, digest, table_sha256
        As in `Sequences`.
    """

    def __init__(self, file: h5py.File, refusal: Refusal) -> None:
        _FORMAT.check(file)
        warnings_of(file)
        self._file, self._refusal = file, refusal
        key, codes = file["key"], file["codes"]
        if key.dtype != np.int64 or codes.dtype != np.uint8 or len(codes.shape) != 2:
            raise ValueError("key is not int64 or codes are not uint8 (sequence, position), 0 to 4")
        self.n, self.length = codes.shape
        self.chromosomes = json_object(file, "chromosomes")
        self.table_sha256 = str(as_text(file.attrs["table_sha256"]))
        self._placed = "start" in file
        digested = ["sequence_digest", *["place_digest"] * self._placed]
        columns = {"key": (), "id": (), **dict.fromkeys(digested, (SIZE,))}
        columns |= dict.fromkeys(("chrom", "start", "strand"), ()) if self._placed else {}
        if any(file[name].shape != (self.n, *shape) for name, shape in columns.items()):
            raise ValueError("key, id, codes, places and digests do not match")
        if any(file[name].dtype != np.uint8 for name in digested):
            raise ValueError("its digests are not bytes")
        if self._placed and file["start"].dtype != np.int64:
            raise ValueError("start is not int64 (sequence,)")
        digest = _FORMAT.digest(file.attrs)
        for name in digested:
            for start in range(0, self.n, _DIGEST_ROWS):
                digest.add(file[name][start : start + _DIGEST_ROWS])
        self.digest = digest.check(as_text(file.attrs["digest"]))

    def rows(self, rows: range) -> Sequences:
        """Return some rows, whose codes are read when they are taken, while the file is open.

        Raises
        ------
        InputError
            If they are not what was written; for a sequence's key, id and codes when its codes are taken.
        """
        with reading(self._refusal):
            within = slice(rows.start, rows.stop)
            key, ids = self._file["key"][within], texts(self._file["id"], within)
            if len(np.unique(key)) != len(rows):
                raise ValueError("a key occurs twice")
            places = self._places(within) if self._placed else None
            digests = self._file["sequence_digest"][within]
            codes = _StoredCodes(self._file["codes"], within, key, ids, digests, self._refusal)
        told = (self.digest, self.table_sha256)
        return Sequences(key, ids, codes, self.chromosomes, places, digests, *told)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of sequences and of positions, as `Codes` have them."""
        return self.n, self.length

    def __getitem__(self, rows: slice) -> NDArray[np.uint8]:
        """Return the codes of some rows, as `Codes` do; errors as in `rows`."""
        start, stop, _ = rows.indices(self.n)
        return self.rows(range(start, stop)).codes[:]

    def keys(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the key and the digest of every sequence, int64 (sequence,) and uint8 (sequence, 16).

        Raises
        ------
        InputError
            If a key occurs twice.
        """
        with reading(self._refusal):
            key, digests = self._file["key"][:], self._file["sequence_digest"][:]
            if len(np.unique(key)) != self.n:
                raise ValueError("a key occurs twice")
        return key, digests

    def _places(self, rows: slice) -> Places:
        file = self._file
        chrom, strand = (
            [sys.intern(text) for text in texts(file[name], rows)] for name in ("chrom", "strand")
        )
        places = Places(chrom, file["start"][rows], strand)
        wrong = first_difference(_place_digests(places), file["place_digest"][rows])
        if wrong is not None:
            raise ValueError(f"the place of row {rows.start + wrong} is not the one that was written")
        return places


@dataclass(frozen=True)
class _StoredCodes:
    """The codes of some rows of an open sequences.h5, whose sequences are checked when they are taken."""

    dataset: h5py.Dataset
    within: slice
    key: NDArray[np.int64]
    ids: list[str]
    digests: NDArray[np.uint8]
    refusal: Refusal

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.ids), *self.dataset.shape[1:])

    def __getitem__(self, rows: slice) -> NDArray[np.uint8]:
        first, stop, _ = rows.indices(len(self.ids))
        with reading(self.refusal):
            codes: NDArray[np.uint8] = self.dataset[self.within.start + first : self.within.start + stop]
            if codes.max(initial=0) > N_CODE:
                raise ValueError("codes are not uint8 (sequence, position), 0 to 4")
            found = sequence_digests(self.key[first:stop], self.ids[first:stop], codes)
            row = first_difference(found, self.digests[first:stop])
            if row is not None:
                raise ValueError(f"the sequence {self.ids[first + row]} is not the one that was written")
        return codes


def open_sequences(path: str | os.PathLike[str]) -> AbstractContextManager[StoredSequences]:
    """Open sequences.h5 to read some of its rows.

    Raises
    ------
    InputError
        If the file is missing, damaged, or something else.
    """
    return _FORMAT.opened(path, StoredSequences)


def read_sequences(path: str | os.PathLike[str]) -> Sequences:
    """Return the kept sequences of ``sequences.h5``, all in memory.

    Raises
    ------
    InputError
        If the file is missing or is something else.
    """
    with open_sequences(path) as stored:
        every = stored.rows(range(stored.n))
        return replace(every, codes=every.codes[:])


def read_source(path: str | os.PathLike[str]) -> dict[str, str | None]:
    """Return the ``fasta``, or the ``bed`` and ``genome``, that ``sequences.h5`` was made from.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """

    def source(stored: h5py.File, refusal: Refusal) -> dict[str, str | None]:
        made = json_object(stored, "provenance").get("encode", {})
        return {name: made.get(name) for name in ("fasta", "bed", "genome")}

    with _FORMAT.opened(path, source) as found:
        return found


def check_length(
    stored: Sequences, wanted: int | None, path: str | Path, model_name: str = ONE_MODEL
) -> None:
    """Raise `InputError` if sequences, stored at ``path``, have another length than a model takes."""
    length = stored.codes.shape[1]
    if wanted is not None and wanted != length:
        called = "" if model_name == ONE_MODEL else f" {model_name}"
        raise InputError(
            f"its sequences have {length} bases, the model{called} takes {wanted}",
            where=str(path),
            remedy="encode sequences of the model's input length",
        )
