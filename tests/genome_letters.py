"""The letters at places of a genome, as encode reads them: with the genome's index where it has one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from genolift.data.genome import Chromosome, read_genome

Place = tuple[str, int, int]
"""Chromosome, start and end, 0-based half-open."""


def read_windows(path: Path, places: Sequence[Place]) -> tuple[list[bytes | None], dict[str, int]]:
    """The letters at each place, None where the genome lacks some, and the lengths of its chromosomes."""

    def read(chromosomes: Iterator[Chromosome]) -> tuple[list[bytes | None], dict[str, int]]:
        letters: list[bytes | None] = [None] * len(places)
        lengths = {}
        for chromosome in chromosomes:
            lengths[chromosome.name] = chromosome.length
            for number, (chrom, start, end) in enumerate(places):
                if chrom == chromosome.name and start >= 0 and end <= chromosome.length:
                    letters[number] = chromosome.letters(start, end)
        return letters, lengths

    return read_genome(path, read)
