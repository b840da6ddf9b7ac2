"""The first few sequences of an analysis, read before anything is encoded. Writes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import N_CODE, reverse_complement_codes
from genolift.data.fasta import codes_of_letters, read_fasta
from genolift.data.genome import read_windows
from genolift.data.intervals import read_intervals
from genolift.data.stored_sequences import Places, Sequences
from genolift.data.windows import check_chromosomes, strand_of, windows_around
from genolift.errors import InputError

_LOOKED_AT = 1000
"""Records of a FASTA that are looked at for some that the model can take."""


@dataclass(frozen=True)
class Source:
    """Where sequences come from, as `genolift.data.sequences.encode` takes them."""

    fasta: Path | None = None
    bed: Path | None = None
    genome: Path | None = None
    length: int | None = None
    form: str = "auto"
    center: str = "summit"
    use_strand: bool = False
    max_n_fraction: float = 0.1
    rna: bool = False


def trial_sequences(source: Source, n: int = 2) -> Sequences:
    """Return the first ``n`` sequences that encode would keep, fewer where there are fewer.

    Of windows on a genome without an index those are taken that a reader of the genome comes to first.

    Raises
    ------
    InputError
        As `genolift.data.sequences.encode`, where what is read shows it.
    """
    if source.fasta is not None:
        return _of_fasta(source, n)
    assert source.bed is not None
    assert source.genome is not None
    assert source.length is not None
    return _of_windows(source.bed, source.genome, source.length, source, n)


def _of_fasta(source: Source, n: int) -> Sequences:
    assert source.fasta is not None
    ids: list[str] = []
    keys: list[int] = []
    codes: list[NDArray[np.uint8]] = []
    lengths: Counter[int] = Counter()
    for record in islice(read_fasta(source.fasta), _LOOKED_AT):
        where = f"{source.fasta}, record {record.number + 1} {record.name!r} (line {record.line})"
        coded = codes_of_letters(record.letters, where=where, rna=source.rna)
        lengths[len(coded)] += 1
        length = source.length or (len(codes[0]) if codes else len(coded))
        if len(coded) != length or not length or np.mean(coded == N_CODE) > source.max_n_fraction:
            continue
        ids.append(record.name)
        keys.append(record.number)
        codes.append(coded)
        if len(codes) == n:
            break
    if source.length is not None and lengths and source.length not in lengths:
        found = sorted(length for length in lengths if length)
        said = " to ".join(str(length) for length in dict.fromkeys((found[0], found[-1]))) if found else "0"
        raise InputError(
            f"the model takes {source.length} bases, the records have {said}",
            where=str(source.fasta),
            remedy="give sequences of the model's length, or a BED file and a genome to take windows from",
        )
    return _sequences(ids, keys, codes, source)


def _of_windows(bed: Path, genome: Path, length: int, source: Source, n: int) -> Sequences:
    intervals = read_intervals(bed, form=source.form, with_strand=source.use_strand).intervals
    windows = windows_around(intervals, length=length, center=source.center)
    places = [(window.chrom, window.start, window.end) for window in windows]
    # some may be dropped for their N
    letters, chromosomes = read_windows(genome, places, enough=10 * n)
    ids: list[str] = []
    keys: list[int] = []
    codes: list[NDArray[np.uint8]] = []
    at = Places([], np.empty(0, np.int64), [])
    for key, (window, found) in enumerate(zip(windows, letters, strict=True)):
        if found is None or len(codes) == n:
            continue
        where = f"{genome}, record {window.chrom!r}"
        coded = codes_of_letters(found, where=where, first=window.start, rna=source.rna)
        if np.mean(coded == N_CODE) > source.max_n_fraction:
            continue
        strand = strand_of(window, source.use_strand)
        ids.append(window.id)
        keys.append(key)
        codes.append(reverse_complement_codes(coded) if strand == "-" else coded)
        at = Places([*at.chrom, window.chrom], np.append(at.start, window.start), [*at.strand, strand])
    if not codes:
        check_chromosomes(intervals, chromosomes, bed, genome)
    return _sequences(ids, keys, codes, source, at, chromosomes)


def _sequences(
    ids: list[str],
    keys: list[int],
    codes: list[NDArray[np.uint8]],
    source: Source,
    places: Places | None = None,
    chromosomes: dict[str, int] | None = None,
) -> Sequences:
    if not codes:
        raise InputError(
            "no sequence of those looked at can be used",
            where=str(source.fasta or source.bed),
            remedy="run genolift encode on it, which says why they are dropped",
        )
    return Sequences(np.array(keys, np.int64), ids, np.stack(codes), chromosomes or {}, places)
