"""Windows of a genome: by its index where one stands beside it, else by reading it once.

No index is made: on a 12 Mb BGZF genome reading it once takes half the time that pyfaidx takes to make one,
leaves nothing behind in a folder that may not be ours, and reads what an index cannot (plain gzip, lines of
unequal length). Knows nothing of intervals, tables or models.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from pyfaidx import Faidx, FastaIndexingError, FetchError

from genolift.fasta import read_fasta

_LOG = logging.getLogger("genolift")
Place = tuple[str, int, int]
"""Chromosome, start and end, 0-based half-open."""


def read_windows(
    path: str | os.PathLike[str], places: Sequence[Place], *, enough: int | None = None
) -> tuple[list[bytes | None], dict[str, int]]:
    """Return the letters at ``places`` in a genome, and the length of each of its chromosomes in bases.

    An index that stands beside the genome, as ``samtools faidx`` makes it, is used; without one the genome
    is read once, with one chromosome in memory at a time.

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
    if _is_indexed(Path(path)):
        try:
            return _by_index(Path(path), places, enough)
        except (FastaIndexingError, FetchError, KeyError, ValueError, OSError, RuntimeError) as error:
            _LOG.warning("%s: its index cannot be used (%s); the whole file is read", path, error)
    return _by_stream(path, places, enough)


def _is_indexed(path: Path) -> bool:
    """Whether there is an index, and for a compressed genome one of its blocks, no older than the genome."""
    ends = (".fai", ".gzi") if path.suffix in (".gz", ".bgz") else (".fai",)
    indexes = [path.with_name(path.name + end) for end in ends]
    return path.is_file() and all(
        index.is_file() and index.stat().st_mtime >= path.stat().st_mtime for index in indexes
    )


def _by_index(
    path: Path, places: Sequence[Place], enough: int | None
) -> tuple[list[bytes | None], dict[str, int]]:
    with Faidx(str(path), rebuild=False, build_index=False) as genome:
        lengths = {name: int(record.rlen) for name, record in genome.index.items()}
        letters: list[bytes | None] = [None] * len(places)
        found = 0
        for number, (chrom, start, end) in enumerate(places):
            if start >= 0 and end <= lengths.get(chrom, -1) and found != enough:
                letters[number] = str(genome.fetch(chrom, start + 1, end)).encode()
                found += 1
    return letters, lengths


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
