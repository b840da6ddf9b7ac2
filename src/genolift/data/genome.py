"""Windows of a genome: by its index if there is a valid one next to it, else by reading it once.

No index is made: reading a 12 Mb BGZF genome once takes half the time that pyfaidx takes to index it, leaves
no files in a folder that may not be ours, and works for what cannot be indexed (plain gzip, lines of unequal
length).
"""

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

    An index next to the genome, as ``samtools faidx`` makes it, is used if it fits the genome, whatever their
    dates; if it does not, a warning says so. Without an index the genome is read once, one chromosome in
    memory at a time.

    Parameters
    ----------
    path
        The genome's FASTA, plain, gzip or BGZF.
    places
        Chromosome, start and end, 0-based half-open. The letters are None if a place extends beyond its
        chromosome, or the genome does not have the chromosome.
    enough
        Stop when so many have been found; the letters of the others are then None, and only chromosomes that
        have been read have a length.

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
            "samtools faidx makes the index again",
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
