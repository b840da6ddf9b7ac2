"""Windows of a genome: by its index where one that fits stands beside it, else by reading it once.

No index is made: on a 12 Mb BGZF genome reading it once takes half the time that pyfaidx takes to make one,
leaves nothing behind in a folder that may not be ours, and reads what an index cannot (plain gzip, lines of
unequal length).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from genolift.data.fasta import read_fasta
from genolift.data.genome_index import IndexedGenome, StaleIndexError, indexed_genome

_LOG = logging.getLogger("genolift")
Place = tuple[str, int, int]
"""Chromosome, start and end, 0-based half-open."""


def read_windows(
    path: str | os.PathLike[str], places: Sequence[Place], *, enough: int | None = None
) -> tuple[list[bytes | None], dict[str, int]]:
    """Return the letters at ``places`` in a genome, and the length of each of its chromosomes in bases.

    An index that stands beside the genome, as ``samtools faidx`` makes it, is used where the genome agrees
    with it, whatever their dates; else a warning says so. Without one the genome is read once, with one
    chromosome in memory at a time.

    Parameters
    ----------
    path
        The genome's FASTA, plain, gzip or BGZF.
    places
        Chromosome, start and end, 0-based half-open. Where a place is not wholly on its chromosome, or the
        genome does not have the chromosome, its letters are None.
    enough
        Stop when so many have been found; the letters of the others are None, and the lengths are those of
        what has been read.

    Raises
    ------
    InputError
        As `read_fasta`.
    """
    try:
        with indexed_genome(Path(path)) as genome:
            if genome is not None:
                return _by_index(genome, places, enough), genome.lengths
    except StaleIndexError as error:
        _LOG.warning(
            "%s: its index (.fai) does not fit it: %s. The whole file is read instead; "
            "samtools faidx makes the index anew",
            path,
            error,
        )
    return _by_stream(path, places, enough)


def _by_index(genome: IndexedGenome, places: Sequence[Place], enough: int | None) -> list[bytes | None]:
    lengths = genome.lengths
    there = [
        number
        for number, (chrom, start, end) in enumerate(places)
        if start >= 0 and end <= lengths.get(chrom, -1)
    ][:enough]
    letters: list[bytes | None] = [None] * len(places)
    for number in sorted(there, key=lambda number: genome.place(*places[number][:2])):
        letters[number] = genome.letters(*places[number])
    return letters


def _by_stream(
    path: str | os.PathLike[str], places: Sequence[Place], enough: int | None
) -> tuple[list[bytes | None], dict[str, int]]:
    numbers_on: dict[str, list[int]] = {}
    for number, (chrom, _, _) in enumerate(places):
        numbers_on.setdefault(chrom, []).append(number)
    letters: list[bytes | None] = [None] * len(places)
    lengths: dict[str, int] = {}
    found = 0
    for chromosome in read_fasta(path):
        lengths[chromosome.name] = len(chromosome.letters)
        for number in numbers_on.get(chromosome.name, ()):
            _, start, end = places[number]
            if start >= 0 and end <= len(chromosome.letters) and found != enough:
                letters[number] = chromosome.letters[start:end]
                found += 1
        if found == enough:
            break
    return letters, lengths
