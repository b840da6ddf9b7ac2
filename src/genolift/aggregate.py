"""The aggregate step: shards to one store, its tables and its track. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genolift.sequences import read_sequence_table
from genolift.store import merge_shards, open_contributions
from genolift.tables import per_sequence, write_per_base, write_per_sequence
from genolift.tracks import write_bigwig


@dataclass(frozen=True)
class AggregateSummary:
    """What `aggregate` wrote: sequences, positions of each, and bases of the genome in the track."""

    n_sequences: int
    length: int
    n_genome_bases: int


def aggregate(*, shards: Sequence[Path], sequences: Path, out: Path) -> AggregateSummary:
    """Write ``contributions.h5``, ``per_sequence.tsv``, ``per_base.parquet`` and, for windows on a genome,
    ``contributions.bw`` into the folder ``out``.

    Parameters
    ----------
    shards
        The files of the attribute step, in any order.
    sequences
        ``sequences.tsv``.
    out
        The folder.

    Raises
    ------
    InputError
        If the shards do not hold every kept sequence once, or were made by different runs.
    """
    table = read_sequence_table(sequences)
    merged = out / "contributions.h5"
    merge_shards(shards, merged, table.loc[table["kept"], "key"].to_numpy())
    with open_contributions(merged) as contributions:
        write_per_sequence(out / "per_sequence.tsv", per_sequence(contributions, table))
        write_per_base(out / "per_base.parquet", contributions, table)
        covered = 0
        if contributions.chromosomes:
            covered = write_bigwig(out / "contributions.bw", contributions, table)
        return AggregateSummary(contributions.n, contributions.length, covered)
