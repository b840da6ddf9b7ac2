"""Bases as numbers: codes 0 to 3 for A C G T and 4 for N, and one-hot. Knows nothing of files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BASES = "ACGT"
N_CODE = 4

_CODE_OF_BYTE = np.full(256, 255, dtype=np.uint8)
for _code, _base in enumerate(BASES):
    _CODE_OF_BYTE[[ord(_base), ord(_base.lower())]] = _code
for _letter in "NRYSWKMBDHV":  # the IUPAC ambiguity letters (Cornish-Bowden 1985): none is one base
    _CODE_OF_BYTE[[ord(_letter), ord(_letter.lower())]] = N_CODE
_BYTE_OF_CODE = np.frombuffer(b"ACGTN", dtype=np.uint8)
_ONEHOT_OF_CODE = np.vstack([np.eye(4, dtype=np.uint8), np.zeros((1, 4), dtype=np.uint8)])
_COMPLEMENT = np.array([3, 2, 1, 0, N_CODE], dtype=np.uint8)


def encode_letters(letters: str | bytes) -> NDArray[np.uint8]:
    """Return the code of each letter, shape (position,): 0-3 for A C G T in either case, 4 for N and
    every other IUPAC ambiguity letter, 255 for anything that is no DNA letter.
    """
    raw = letters.encode("latin-1", "replace") if isinstance(letters, str) else letters
    return _CODE_OF_BYTE[np.frombuffer(raw, dtype=np.uint8)]


def decode_letters(codes: NDArray[np.uint8]) -> str:
    """Return the letters of ``codes``, shape (position,)."""
    return _BYTE_OF_CODE[codes].tobytes().decode("ascii")


def onehot_of_codes(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (..., 4, position) one-hot of (..., position) codes; an N is an all-zero column."""
    return np.moveaxis(_ONEHOT_OF_CODE[codes], -1, -2)


def codes_of_onehot(onehot: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return (..., position) codes of (..., 4, position) one-hot; an all-zero column is N.

    Raises
    ------
    ValueError
        If a column is neither one-hot nor all zero.
    """
    sums = onehot.sum(axis=-2)
    ones = (onehot == 1).sum(axis=-2)
    if not np.array_equal(sums, ones) or ones.max(initial=0) > 1 or ((onehot != 0).sum(axis=-2) > 1).any():
        raise ValueError("not one-hot: a column holds something else than one 1 and zeros, or only zeros")
    return np.where(ones == 1, onehot.argmax(axis=-2), N_CODE).astype(np.uint8)


def reverse_complement_codes(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the reverse complement of (..., position) codes."""
    return _COMPLEMENT[codes][..., ::-1]
