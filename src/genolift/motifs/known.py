"""Known motifs, and databases of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]
"""A motif's matrix, (base, position), bases A C G T."""


@dataclass(frozen=True)
class KnownMotif:
    """A motif of a database: ``accession``, factor's ``name`` and ``ppm``, float64 (base, position)."""

    accession: str
    name: str
    ppm: Matrix


@dataclass(frozen=True)
class Database:
    """Known motifs, in the order of their source, and a description of that source."""

    source: str
    motifs: tuple[KnownMotif, ...]


def frequencies(counts: Matrix) -> Matrix:
    """Return columns that sum to 1; a column of zeros becomes 1/4 each."""
    sums = counts.sum(0, keepdims=True)
    return np.where(sums > 0, counts / np.where(sums > 0, sums, 1.0), 0.25)
