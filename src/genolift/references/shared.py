"""References that all sequences share: base frequencies and the user's FASTA."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import onehot_float32
from genolift.data.fasta import read_codes
from genolift.errors import InputError

if TYPE_CHECKING:
    from genolift.data.stored_sequences import Codes
    from genolift.settings.sections import References

Frequencies: TypeAlias = Sequence[float] | NDArray[Any]

_LOG = logging.getLogger("genolift")
_ROWS = 1000
"""Sequences that are read at a time."""
_FREQUENCY_TOLERANCE = 1e-4  # frequencies written with four decimals may miss 1 by this


def flat_reference(frequencies: Frequencies, length: int) -> NDArray[np.float32]:
    """Return float32 (1, 4, position): one reference with ``frequencies`` at every position."""
    column = np.asarray(frequencies, dtype=np.float32)[None, :, None]
    return np.ascontiguousarray(np.broadcast_to(column, (1, 4, length)))


def frequencies_of_codes(blocks: Iterable[NDArray[np.uint8]]) -> tuple[float, float, float, float]:
    """Return the share of A, C, G and T among the letters of all blocks of codes that are not N.

    Raises
    ------
    InputError
        If there is no such letter.
    """
    counts = np.zeros(4, np.int64)
    for codes in blocks:
        counts += np.bincount(codes.ravel(), minlength=5)[:4]
    if counts.sum() == 0:
        raise InputError(
            "the sequences have no A, C, G or T to take base frequencies from",
            remedy="give the frequencies, or other sequences",
        )
    a, c, g, t = (counts / counts.sum()).tolist()
    return a, c, g, t


def check_frequencies(frequencies: Frequencies) -> tuple[float, float, float, float]:
    """Return ``frequencies`` scaled to sum to exactly 1.

    Raises
    ------
    InputError
        If they are not 4 numbers of 0 or more that sum to 1.
    """
    try:
        numbers = [float(number) for number in frequencies]
    except (TypeError, ValueError):
        numbers = []
    good = len(numbers) == 4 and all(math.isfinite(number) and number >= 0 for number in numbers)
    if not good or abs(sum(numbers) - 1) > _FREQUENCY_TOLERANCE:
        raise InputError(
            f"base frequencies are {frequencies!r}",
            remedy="give 4 numbers of 0 or more, for A C G T, that sum to 1",
        )
    a, c, g, t = (number / sum(numbers) for number in numbers)
    return a, c, g, t


def shared_references(settings: References, codes: Codes, *, rna: bool = False) -> NDArray[np.float32] | None:
    """Return the references that all sequences, of these codes, share; None for shuffles, which each has.

    float32 (reference, 4, position). With ``rna`` a U in their FASTA is T.

    Raises
    ------
    InputError
        As `read_fasta_references` and `frequencies_of_codes`.
    """
    (n, length), given = codes.shape, settings.frequencies
    if settings.kind == "zeros":
        return np.zeros((1, 4, length), dtype=np.float32)
    if settings.kind == "base_frequencies":
        blocks = (codes[start : start + _ROWS] for start in range(0, n, _ROWS))
        return flat_reference(
            frequencies_of_codes(blocks) if given is None else check_frequencies(given), length
        )
    return None if settings.fasta is None else read_fasta_references(settings.fasta, length, rna=rna)


def read_fasta_references(fasta: str | Path, length: int, *, rna: bool = False) -> NDArray[np.float32]:
    """Return the records of a FASTA file, plain, gzip or BGZF, as float32 (reference, 4, position) one-hot.

    An N, or another ambiguity letter, is an all-zero column; the others are logged. With ``rna`` U is T.

    Raises
    ------
    InputError
        As `genolift.data.fasta.read_codes`; and if a record does not have ``length`` letters.
    """
    rows, replaced = [], Counter[str]()
    per_base = 2 + 2 * 16  # codes, and one-hot of four float32
    for _, codes, where in read_codes(fasta, replaced, rna=rna, kept_per_base=per_base):
        if len(codes) != length:
            raise InputError(
                f"the reference has {len(codes)} bases, the sequences have {length}",
                where=where,
                remedy=f"give references of {length} bases",
            )
        rows.append(codes)
    if replaced:
        letters = ", ".join(f"{count} {letter}" for letter, count in sorted(replaced.items()))
        _LOG.warning("%s: ambiguity letters became N, which is a column of zeros: %s", fasta, letters)
    return onehot_float32(np.stack(rows))
