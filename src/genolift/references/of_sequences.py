"""The references of the sequences that a job explains: read from references.h5, or made again.

Shuffles depend only on their seed, the sequence and their number, so that a job makes those of its own
sequences, a piece at a time, and nothing is stored.
"""

import logging
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genolift.data.stored_sequences import Sequences
from genolift.errors import InputError
from genolift.files.digests import FileDigest, row_digests
from genolift.references.shared import shared_references
from genolift.references.shuffle import shuffle_codes
from genolift.references.store import References, check_references, digests_of_shared
from genolift.settings import sections

_LOG = logging.getLogger("genolift")


class Compared(ABC):
    """The references of some sequences.

    Attributes
    ----------
    kind, number, seed, length
        As in `References`.
    shared
        The references that all sequences share, float32 (reference, 4, position); None if each has its own.
    digest
        What distinguishes them from other sequences' or others of these.
    stored
        Whether they are read from a file.
    """

    kind: str
    number: int
    seed: int
    length: int
    shared: NDArray[np.float32] | None
    digest: str
    stored: bool

    @abstractmethod
    def of(self, rows: range) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8]]:
        """Return the references of some sequences, and each one's `reference_digest`, uint8 (sequence, 16).

        The references are codes, uint8 (sequence, reference, position), None if they are shared.
        """

    @abstractmethod
    def passed_over(self, rows: range) -> None:
        """Take note of sequences that need no references, since their results are there."""

    @abstractmethod
    def tell(self) -> None:
        """Log what should be known of the references of all sequences that were gone through."""


class StoredReferences(Compared):
    """References read from an open references.h5.

    Parameters
    ----------
    file, path
        The file.
    stored, first, n
        The sequences, the row of the first of them among all, and the number of all.

    Raises
    ------
    InputError
        If they were made for other sequences.
    """

    stored = True

    def __init__(self, file: References, path: Path, stored: Sequences, *, first: int, n: int) -> None:
        check_references(stored, file, path, first=first, n=n)
        self._file, self._first = file, first
        self.kind, self.number, self.seed, self.length = file.kind, file.number, file.seed, file.length
        self.shared = file.shared_onehot() if file.shared else None
        self.digest = file.digest

    def of(self, rows: range) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8]]:
        """Return what the file has of these sequences."""
        start, stop = self._first + rows.start, self._first + rows.stop
        codes = self._file.codes(start, stop) if self.shared is None else None
        return codes, self._file.reference_digest[start:stop]

    def passed_over(self, rows: range) -> None:
        """Do nothing."""

    def tell(self) -> None:
        """Log nothing: the step that wrote the file did."""


class MadeReferences(Compared):
    """References made again when they are needed, the same as `genolift reference` writes.

    Parameters
    ----------
    settings
        The config's section ``references``.
    stored
        The sequences.

    Raises
    ------
    InputError
        If they cannot be made from these sequences alone.
    """

    stored = False

    def __init__(self, settings: sections.References, stored: Sequences) -> None:
        if not settings.made_again:
            what = f"references of the kind {settings.kind} are not made from a job's sequences alone"
            if settings.kind == "base_frequencies":
                what += " without frequencies"
            remedy = "write them with genolift reference, and give the file (--references)"
            raise InputError(what, where="references.kind", remedy=remedy)
        self._sequences, self._n = stored, 0
        self._unmoved: list[int] = []
        self.kind, self.number, self.seed = settings.kind, settings.number, settings.seed
        self.length = stored.codes.shape[1]
        self.shared = shared_references(settings, stored.codes)
        if self.shared is not None:
            self.number, self.seed = len(self.shared), 0
        told = {"kind": self.kind, "number": self.number, "seed": self.seed, "sequences": stored.digest}
        self.digest = FileDigest(told | {"frequencies": settings.frequencies}).hex()

    def of(self, rows: range) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8]]:
        """Make the references of these sequences."""
        within = slice(rows.start, rows.stop)
        sequences = self._sequences.digests[within]
        if self.shared is not None:
            return None, digests_of_shared(sequences, self.shared)
        codes = self._sequences.codes[within]
        made = shuffle_codes(codes, self.number, self.seed, self.kind)
        self._unmoved += unmoved(codes, made, self._sequences.key[within])
        self._n += len(rows)
        return made, row_digests(sequences, made)

    def passed_over(self, rows: range) -> None:
        """Make them for `tell` alone."""
        self.of(rows)

    def tell(self) -> None:
        """Log which sequences equal all their shuffles."""
        tell_unmoved(self._unmoved, self._n)


def unmoved(codes: NDArray[np.uint8], shuffles: NDArray[np.uint8], key: NDArray[np.int64]) -> list[int]:
    """Return the keys of the sequences, (sequence, position), that equal all their shuffles."""
    same: list[int] = key[(shuffles == codes[:, None]).all(axis=(1, 2))].tolist()
    return same


def tell_unmoved(keys: list[int], n: int) -> None:
    """Log how many of n sequences equal all their shuffles, whose keys these are."""
    if keys:
        told = "%d of %d sequences equal all their shuffles, so their contributions are 0 (first: key %d)"
        _LOG.warning(told, len(keys), n, keys[0])
