"""The file references.h5: written in blocks, read in slices."""

import json
import math
import operator
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import N_CODE, onehot_float32
from genolift.data.stored_sequences import Sequences
from genolift.errors import InputError, Refusal
from genolift.files.digests import SIZE, first_difference, row_digests
from genolift.files.hdf5 import Format, Stored, as_text, in_place, json_object, warnings_of

_FORMAT = Format(
    *("genolift-references", "references", "make it again with genolift reference"),
    digested=("kind", "number", "seed", "provenance"),
)
_CHUNK_BYTES = 2**20
_DIGEST_ROWS = 2**14
# 1.0 s for 1,000 sequences x 20 x 2,114, 8% larger than by the usual level 4, which takes 1.6
_GZIP_LEVEL = 1


@dataclass(frozen=True)
class Head:
    """All of references.h5 except the references: ``key`` int64 (sequence,), and ``sequence_digest`` uint8
    (sequence, 16), of the sequences that they are for.
    """

    key: NDArray[np.int64]
    sequence_digest: NDArray[np.uint8]
    kind: str
    number: int
    seed: int
    provenance: Mapping[str, Any]


def add_codes(file: h5py.File, head: Head, length: int, blocks: Iterable[NDArray[np.uint8]]) -> None:
    """Write references made for each sequence: ``blocks`` are uint8 codes (sequence, reference, position) for
    some of the sequences each, in order. The format is in docs/architecture.md.
    """
    n, number = len(head.key), head.number
    shape = (n, number, length)
    chunk = (min(n, sequences_in_chunk(number, length)), number, length)
    packed: dict[str, Any] = {"compression": "gzip", "compression_opts": _GZIP_LEVEL, "fletcher32": True}
    dataset = file.create_dataset("codes", shape, dtype=np.uint8, chunks=chunk, **packed)
    start, digests = 0, []
    for block in blocks:
        stop = start + len(block)
        dataset[start:stop] = block
        digests.append(row_digests(head.sequence_digest[start:stop], block))
        start = stop
    _add_head(file, head, np.concatenate(digests))


def add_shared(file: h5py.File, head: Head, shared: NDArray[np.float32]) -> None:
    """Write references that all sequences share, float32 (reference, 4, position)."""
    file.create_dataset("shared", data=shared, compression="gzip", fletcher32=True)
    of_rows = [
        digests_of_shared(head.sequence_digest[start : start + _DIGEST_ROWS], shared)
        for start in range(0, len(head.key), _DIGEST_ROWS)
    ]
    _add_head(file, head, np.concatenate(of_rows))


def digests_of_shared(sequence_digest: NDArray[np.uint8], shared: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the `reference_digest` of sequences that share references, uint8 (sequence, 16)."""
    whole = row_digests(shared[None]).tobytes()
    return row_digests(sequence_digest, [whole] * len(sequence_digest))


def _add_head(file: h5py.File, head: Head, digests: NDArray[np.uint8]) -> None:
    provenance = json.dumps(head.provenance, sort_keys=True)
    made = {"kind": head.kind, "number": head.number, "seed": head.seed, "provenance": provenance}
    attributes = _FORMAT.attributes(**made)
    arrays: dict[str, NDArray[Any]] = {
        "key": head.key,
        "sequence_digest": head.sequence_digest,
        "reference_digest": digests,
    }
    for name, values in arrays.items():
        file.create_dataset(name, data=values, compression="gzip", fletcher32=True)
    file.attrs.update(attributes)
    file.attrs["digest"] = in_place(_FORMAT.digest(attributes, *arrays.values()).hex())


def sequences_in_chunk(number: int, length: int) -> int:
    """Return how many sequences, with ``number`` references each, fit into one chunk of the file; at least 1.

    Blocks of this size are compressed once, and stay in cache until they are written.
    """
    return max(1, _CHUNK_BYTES // (number * length))


class References:
    """An open references.h5.

    Attributes
    ----------
    kind, number, seed
        How the references were made; ``number`` for each sequence, or of the shared set.
    shared
        Whether all sequences share one set of references.
    n, length
        Numbers of sequences, and of positions of a reference.
    provenance
        As it was written.
    key, sequence_digest, reference_digest
        int64 (sequence,), and uint8 (sequence, 16): of each row's sequence, and of that together with its
        references. They are read when they are taken, in slices.
    digest
        Of the file.
    """

    def __init__(self, file: h5py.File, refusal: Refusal) -> None:
        _FORMAT.check(file)
        self._refusal = refusal
        self.kind: str = as_text(file.attrs["kind"])
        if not isinstance(self.kind, str):
            raise TypeError("its kind is not text")
        self.number, self.seed = (operator.index(file.attrs[name]) for name in ("number", "seed"))
        self.provenance = json_object(file, "provenance")
        warnings_of(file)
        self.shared: bool = "shared" in file
        dataset, key = file["shared" if self.shared else "codes"], file["key"]
        shape, n = dataset.shape, math.prod(key.shape)
        expected = (self.number, 4) if self.shared else (n, self.number)
        dtype = np.float32 if self.shared else np.uint8
        keys = key.dtype == np.int64 and len(key.shape) == 1
        if not keys or len(shape) != 3 or shape[:2] != expected or dataset.dtype != dtype:
            raise ValueError("its references do not match its keys or their number")
        of_rows = [key, file["sequence_digest"], file["reference_digest"]]
        if any(each.shape != (n, SIZE) or each.dtype != np.uint8 for each in of_rows[1:]):
            raise ValueError("its digests do not match its keys")
        digest = _FORMAT.digest(file.attrs)
        for column in of_rows:
            for start in range(0, n, _DIGEST_ROWS):
                digest.add(column[start : start + _DIGEST_ROWS])
        self.digest = digest.check(as_text(file.attrs["digest"]))
        self.key, self.sequence_digest, self.reference_digest = (Stored(each, refusal) for each in of_rows)
        self._references = Stored(dataset, refusal)
        self.n, self.length = n, int(shape[2])

    def onehot(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the references of the sequences in rows ``start`` to ``stop`` (0-based, half-open).

        float32 (stop - start, reference, 4, position), an N an all-zero column.

        Raises
        ------
        TypeError
            If the references are shared.
        IndexError
            If there are no such rows.
        """
        return onehot_float32(self.codes(start, stop))

    def codes(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return the same as codes, uint8 (stop - start, reference, position): 0-3 for A C G T, 4 for N."""
        if self.shared:
            raise TypeError("these references are shared: use shared_onehot()")
        if not 0 <= start <= stop <= self.n:
            raise IndexError(f"rows {start} to {stop} of {self.n}")
        codes: NDArray[np.uint8] = self._references[start:stop]
        if codes.max(initial=0) > N_CODE:
            raise self._refusal("a code is over 4")
        self._check(row_digests(self.sequence_digest[start:stop], codes), start)
        return codes

    def _check(self, found: NDArray[np.uint8], start: int) -> None:
        """Check references, of the sequences from row ``start`` on, by their digests."""
        row = first_difference(found, self.reference_digest[start : start + len(found)])
        if row is not None:
            raise self._refusal(
                f"the references of key {self.key[start + row]} are not those that were written"
            )

    def shared_onehot(self) -> NDArray[np.float32]:
        """Return the references that all sequences share, float32 (reference, 4, position).

        They are checked by every sequence's digest, a few at a time.

        Raises
        ------
        TypeError
            If each sequence has its own references.
        """
        if not self.shared:
            raise TypeError("each sequence has references of its own: use onehot(start, stop)")
        shared: NDArray[np.float32] = self._references[:]
        for start in range(0, self.n, _DIGEST_ROWS):
            sequences = self.sequence_digest[start : start + _DIGEST_ROWS]
            self._check(digests_of_shared(sequences, shared), start)
        return shared


def open_references(path: str | os.PathLike[str]) -> AbstractContextManager[References]:
    """Open a references.h5 for reading.

    Raises
    ------
    InputError
        If the file is missing or is something else.
    """
    return _FORMAT.opened(path, References)


def check_references(
    stored: Sequences, compared: References, path: Path, *, first: int = 0, n: int | None = None
) -> None:
    """Raise `InputError` if references, stored at ``path``, were made for other sequences.

    Parameters
    ----------
    first, n
        The row of the first of these sequences among all, and the number of all.
    """
    rows = slice(first, first + len(stored.key))
    same = np.array_equal(stored.digests, compared.sequence_digest[rows])
    same = same and np.array_equal(stored.key, compared.key[rows])
    if not same or compared.n != (n or len(stored.key)) or compared.length != stored.codes.shape[1]:
        raise InputError(
            "was made for other sequences", where=str(path), remedy="make it again with genolift reference"
        )
