"""The table and the store of sequences: what the encode step writes and the others read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import N_CODE
from genolift.errors import InputError, Refusal
from genolift.files.digests import SIZE, FileDigest, first_difference, row_digests, sequence_digests
from genolift.files.hdf5 import Format, as_bytes, json_object, texts, warnings_of
from genolift.files.tables import Table
from genolift.files.whole import sha256
from genolift.settings.model import ONE_MODEL

if TYPE_CHECKING:
    import pandas as pd

_FORMAT = Format(
    *("genolift-sequences", "sequences", "make it again with genolift encode"),
    digested=("provenance", "chromosomes", "table_sha256"),
)
CHUNK_BYTES = 2**20
"""Of codes, which are best written in blocks of as many."""
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


@dataclass(frozen=True)
class Sequences:
    """The kept sequences, in input order.

    ``key`` int64 (sequence,); ``id``, one for each; ``codes`` uint8 (sequence, position), 0-3 for A C G T and
    4 for N.
    """

    key: NDArray[np.int64]
    id: list[str]
    codes: NDArray[np.uint8]
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
        digests = sequence_digests(block.key, block.id, block.codes)
        columns: dict[str, Any] = {"key": block.key, "id": as_bytes(block.id), "sequence_digest": digests}
        if block.places is not None:
            chrom, strand = as_bytes(block.places.chrom), as_bytes(block.places.strand)
            columns |= {"chrom": chrom, "start": block.places.start, "strand": strand}
            digests_of_places.append(row_digests(chrom, block.places.start, strand))
        rows = slice(row, row + len(digests))
        for name, values in columns.items():
            file[name][rows] = np.asarray(values, file[name].dtype)
        file["codes"][rows] = block.codes
        digest.add(digests)
        row = rows.stop
    digest.add(*digests_of_places)
    file.attrs["digest"] = digest.hex()


def _create(file: h5py.File, head: Head, on_genome: bool) -> None:
    """Create the datasets of ``sequences.h5``."""
    types: dict[str, Any] = {"key": np.int64, "id": str, "sequence_digest": np.uint8}
    if on_genome:
        types |= {"chrom": str, "start": np.int64, "strand": str}
    for name, kind in types.items():
        dtype = h5py.string_dtype("utf-8", max(1, head.longest[name])) if kind is str else np.dtype(kind)
        shape = (head.n, SIZE) if name == "sequence_digest" else (head.n,)
        file.create_dataset(name, shape, dtype, **_CHECKED)
    chunks = (min(head.n, max(1, CHUNK_BYTES // head.length)), head.length)
    file.create_dataset("codes", (head.n, head.length), np.uint8, chunks=chunks, **_CHECKED)


def _file_digest(
    attributes: Mapping[str, Any], digests: NDArray[np.uint8], places: Places | None
) -> FileDigest:
    """Return the digest of ``sequences.h5``: of attributes, the sequences' digests and places."""
    digest = _FORMAT.digest(attributes, digests)
    if places is not None:
        digest.add(row_digests(as_bytes(places.chrom), places.start, as_bytes(places.strand)))
    return digest


def read_sequence_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return ``sequences.tsv``, a row for every record of the input, in its order.

    The columns are those of `SEQUENCES`, but ``kept`` is bool; coordinates are 0-based half-open.

    Raises
    ------
    InputError
        If the file is missing or is not such a table.
    """
    frame, wrong = SEQUENCES.read(path), ""
    if not frame["kept"].isin(["true", "false"]).all():
        wrong = "a value of kept is neither true nor false"
    elif not frame["key"].is_unique:
        wrong = "a key occurs twice"
    if wrong:
        what = f"is not the sequences.tsv that genolift encode writes ({wrong})"
        raise InputError(what, where=str(path), remedy="run genolift encode again")
    return frame.assign(kept=frame["kept"] == "true")


def check_table(path: str | os.PathLike[str], provenance: Mapping[str, Any], of: str) -> None:
    """Check that ``sequences.tsv`` was written with the sequences of a file ``of`` contributions.

    Raises
    ------
    InputError
        If it was not, or has changed since.
    """
    if sha256(path) != provenance.get("sequences_table_sha256"):
        raise InputError(
            f"is not the table that was written with the sequences of {of}",
            where=str(path),
            remedy="give the table of that run, or run all steps again from genolift encode on",
        )


def read_sequences(path: str | os.PathLike[str]) -> Sequences:
    """Return the kept sequences of ``sequences.h5``.

    Raises
    ------
    InputError
        If the file is missing or is something else.
    """
    with _FORMAT.opened(path, _sequences) as sequences:
        return sequences


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


def _sequences(stored: h5py.File, refusal: Refusal) -> Sequences:
    _FORMAT.check(stored)
    warnings_of(stored)
    key, codes = stored["key"], stored["codes"]
    if key.dtype != np.int64 or codes.dtype != np.uint8 or codes.ndim != 2:
        raise ValueError("key is not int64 or codes are not uint8 (sequence, position), 0 to 4")
    places = _places(stored) if "start" in stored else None
    chromosomes = json_object(stored, "chromosomes")
    sequences = Sequences(key[:], texts(stored["id"]), codes[:], chromosomes, places)
    if sequences.codes.max(initial=0) > N_CODE:
        raise ValueError("codes are not uint8 (sequence, position), 0 to 4")
    n = len(sequences.codes)
    if key.shape != (n,) or len(sequences.id) != n or len(np.unique(sequences.key)) != n:
        raise ValueError("key, id and codes do not match")
    found = sequence_digests(sequences.key, sequences.id, sequences.codes)
    row = first_difference(found, stored["sequence_digest"][:])
    if row is not None:
        raise ValueError(f"the sequence {sequences.id[row]} is not the one that was written")
    digest = _file_digest(stored.attrs, found, sequences.places).check(stored.attrs["digest"])
    return replace(sequences, digests=found, digest=digest, table_sha256=stored.attrs["table_sha256"])


def _places(stored: h5py.File) -> Places:
    places = Places(texts(stored["chrom"]), stored["start"][:], texts(stored["strand"]))
    n = len(stored["key"])
    if places.start.dtype != np.int64 or places.start.shape != (n,):
        raise ValueError("start is not int64 (sequence,)")
    if not len(places.chrom) == len(places.strand) == n:
        raise ValueError("key and places do not match")
    return places


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
