"""The reference step: a file of the references that each sequence is compared with."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genolift.data.stored_sequences import StoredSequences, open_sequences
from genolift.files.hdf5_writing import whole_hdf5
from genolift.files.output_paths import check_outputs
from genolift.references.of_sequences import tell_unmoved, unmoved
from genolift.references.shared import shared_references
from genolift.references.shuffle import shuffle_codes
from genolift.references.store import Head, add_codes, add_shared, sequences_in_chunk
from genolift.results.provenance import versions
from genolift.settings import sections


@dataclass(frozen=True)
class ReferenceSummary:
    """What `write_references` wrote: ``number`` references for each sequence, or in one shared set."""

    kind: str
    number: int
    seed: int
    shared: bool
    n_sequences: int
    length: int

    def __str__(self) -> str:
        shared = "shared by" if self.shared else "for each of"
        return f"{self.number} references, {self.kind}, {shared} {self.n_sequences} sequences"


def write_references(
    settings: sections.References, *, sequences: Path, out: Path, rna: bool = False
) -> ReferenceSummary:
    """Write references.h5 (format: docs/architecture.md) for the sequences of sequences.h5.

    Parameters
    ----------
    settings
        The config's section ``references``. Only shuffles have a number and a seed; references from a FASTA
        have the length of the sequences, and an N is an all-zero column.
    sequences
        sequences.h5, as the encode step writes it.
    out
        The file to write.
    rna
        Read U in the FASTA as T.

    Raises
    ------
    InputError
        If a file is missing or wrong, or ``out`` may not be written (see `check_outputs`).
    """
    check_outputs([out], inputs=[sequences, settings.fasta])
    with open_sequences(sequences) as kept:
        return _written(settings, kept, out, rna)


def _written(
    settings: sections.References, stored: StoredSequences, out: Path, rna: bool
) -> ReferenceSummary:
    shared = shared_references(settings, stored, rna=rna)
    n, length = stored.shape
    kind, number, seed = settings.kind, settings.number, settings.seed
    if shared is not None:
        number, seed = len(shared), 0
    summary = ReferenceSummary(kind, number, seed, shared is not None, n, length)
    used = shared[0, :, 0].tolist() if shared is not None and kind == "base_frequencies" else None
    made = {**asdict(summary), "fasta": settings.fasta, "frequencies": used}
    head = Head(*stored.keys(), kind, number, seed, {**versions(), "reference": made})
    with whole_hdf5(out) as file:
        if shared is not None:
            add_shared(file, head, shared)
        else:
            add_codes(file, head, length, _shuffled_blocks(stored, kind, number, seed))
    return summary


def _shuffled_blocks(
    stored: StoredSequences, kind: str, number: int, seed: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield shuffles, uint8 (sequence, reference, position), for a few sequences at a time, in order."""
    n, length = stored.shape
    step = sequences_in_chunk(number, length)
    same: list[int] = []
    for start in range(0, n, step):
        sequences = stored.rows(range(start, min(n, start + step)))
        codes = sequences.codes[:]
        block = shuffle_codes(codes, number, seed, kind)
        same += unmoved(codes, block, sequences.key)
        yield block
    tell_unmoved(same, n)
