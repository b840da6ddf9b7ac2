"""The reference step: what each sequence is compared with, as a file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genolift.data.stored_sequences import Sequences, read_sequences
from genolift.errors import InputError
from genolift.files.hdf5_writing import whole_hdf5
from genolift.files.output_paths import check_outputs
from genolift.references.makers import KINDS
from genolift.references.shared import (
    Frequencies,
    check_frequencies,
    flat_reference,
    frequencies_of_codes,
    read_fasta_references,
)
from genolift.references.shuffle import check_number_and_seed, shuffle_codes
from genolift.references.store import Head, add_codes, add_shared, sequences_in_chunk
from genolift.results.provenance import versions

_LOG = logging.getLogger("genolift")


@dataclass(frozen=True)
class ReferenceSummary:
    """What `write_references` wrote: ``number`` references of each sequence, or of one set that is shared."""

    kind: str
    number: int
    seed: int
    shared: bool
    n_sequences: int
    length: int


def write_references(
    *,
    sequences: Path,
    out: Path,
    kind: str,
    number: int = 20,
    seed: int = 0,
    fasta: Path | None = None,
    frequencies: Frequencies | None = None,
    rna: bool = False,
) -> ReferenceSummary:
    """Write references.h5 (format: docs/architecture.md) for the sequences of sequences.h5.

    Parameters
    ----------
    sequences
        sequences.h5, as the encode step writes it.
    out
        The file to write.
    kind
        One of `KINDS`.
    number
        References of each sequence; only the shuffles take it.
    seed
        Of the shuffles, 0 to 2**63 - 1.
    fasta
        For the kind ``fasta``: references that serve every sequence, each as long as the sequences; plain,
        gzip or BGZF. An N becomes an all-zero column.
    frequencies
        For the kind ``base_frequencies``: of A C G T. None: those of the sequences.
    rna
        Read U in ``fasta`` as T.

    Raises
    ------
    InputError
        If an argument does not go with the kind or is out of range, a file is missing or wrong, or ``out``
        may not be written (see `check_outputs`).
    """
    _check_settings(kind, number, seed, fasta, frequencies)
    check_outputs([out], inputs=[sequences, fasta])
    stored = read_sequences(sequences)
    shared = _shared_references(kind, stored.codes, fasta, frequencies, rna)
    n, length = stored.codes.shape
    if shared is not None:
        number, seed = len(shared), 0
    summary = ReferenceSummary(kind, number, seed, shared is not None, n, length)
    used = shared[0, :, 0].tolist() if shared is not None and kind == "base_frequencies" else None
    made = {**asdict(summary), "fasta": str(fasta) if fasta else None, "frequencies": used}
    head = Head(stored.key, stored.digests, kind, number, seed, {**versions(), "reference": made})
    with whole_hdf5(out) as file:
        if shared is not None:
            add_shared(file, head, shared)
        else:
            add_codes(file, head, length, _shuffled_blocks(stored, kind, number, seed))
    return summary


def _check_settings(
    kind: str, number: int, seed: int, fasta: Path | None, frequencies: Frequencies | None
) -> None:
    if kind not in KINDS:
        raise InputError(f"no such kind of reference: {kind!r}", remedy=f"choose one of {', '.join(KINDS)}")
    check_number_and_seed(number, seed)
    if (kind == "fasta") != (fasta is not None):
        what = (
            "a FASTA file of references is not given" if fasta is None else f"a FASTA file ({fasta}) is given"
        )
        raise InputError(
            f"the kind of reference is {kind}, but {what}", remedy="give both the kind fasta and its file"
        )
    if frequencies is not None and kind != "base_frequencies":
        raise InputError(
            f"base frequencies are given, but the kind of reference is {kind}",
            remedy="leave the frequencies out, or choose the kind base_frequencies",
        )


def _shared_references(
    kind: str, codes: NDArray[np.uint8], fasta: Path | None, frequencies: Frequencies | None, rna: bool
) -> NDArray[np.float32] | None:
    """Return the references that serve every sequence, (reference, 4, position); None for shuffles."""
    length = codes.shape[1]
    if kind == "zeros":
        return np.zeros((1, 4, length), dtype=np.float32)
    if kind == "base_frequencies":
        chosen = frequencies_of_codes(codes) if frequencies is None else check_frequencies(frequencies)
        return flat_reference(chosen, length)
    return None if fasta is None else read_fasta_references(fasta, length, rna=rna)


def _shuffled_blocks(stored: Sequences, kind: str, number: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield shuffles of some sequences at a time, uint8 (sequence, reference, position), in order."""
    n, length = stored.codes.shape
    step = sequences_in_chunk(number, length)
    unmoved: list[int] = []
    for start in range(0, n, step):
        codes = stored.codes[start : start + step]
        block = shuffle_codes(codes, number, seed, kind)
        same = (block == codes[:, None]).all(axis=(1, 2))
        unmoved += stored.key[start : start + step][same].tolist()
        yield block
    if unmoved:
        _LOG.warning(
            "%d of %d sequences equal all their shuffles, so that their contributions are 0 (first: key %d)",
            len(unmoved),
            n,
            unmoved[0],
        )
