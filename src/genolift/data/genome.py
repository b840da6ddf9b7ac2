"""A genome's chromosomes: by its index if there is a valid one next to it, else by reading it once.

No index is made: reading a 12 Mb BGZF genome once takes half the time that pyfaidx takes to index it, leaves
no files in a folder that may not be ours, and works for what cannot be indexed (plain gzip, lines of unequal
length).
"""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from genolift.data.fasta import read_fasta
from genolift.data.genome_index import StaleIndexError, indexed_genome

_LOG = logging.getLogger("genolift")
T = TypeVar("T")


@dataclass(frozen=True)
class Chromosome:
    """A chromosome: ``length`` in bases, and its letters."""

    name: str
    length: int
    letters: Callable[[int, int], bytes]
    """Returns the letters from a start to an end within the chromosome, 0-based half-open."""


def read_genome(path: str | os.PathLike[str], read: Callable[[Iterator[Chromosome]], T]) -> T:
    """Return what ``read`` makes of a genome's chromosomes, which it is given one at a time, in file order.

    An index next to the genome, as ``samtools faidx`` makes it, is used if it fits the genome, whatever their
    dates; then only the letters that are asked for are read. If the index turns out not to fit, a warning
    says so, and ``read`` is called again, from the start. Without an index the genome is read once, as far
    as chromosomes are asked for, one in memory at a time.

    Raises
    ------
    InputError
        As `read_fasta`.
    """
    try:
        with indexed_genome(Path(path)) as genome:
            if genome is not None:
                return read(
                    Chromosome(name, length, partial(genome.letters, name))
                    for name, length in genome.lengths.items()
                )
    except StaleIndexError as error:
        _LOG.warning(
            "%s: its index (.fai) does not fit it: %s. The whole file is read instead; "
            "samtools faidx makes the index again",
            path,
            error,
        )
    return read(_streamed(path))


def _streamed(path: str | os.PathLike[str]) -> Iterator[Chromosome]:
    for record in read_fasta(path):
        held = [record.letters]
        name, length = record.name, len(record.letters)
        del record
        yield Chromosome(name, length, partial(_letters, held))
        held.clear()  # whoever still has the chromosome does not keep its letters while the next is read


def _letters(held: list[bytes], start: int, end: int) -> bytes:
    return held[0][start:end]
