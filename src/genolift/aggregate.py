"""The aggregate step: shards to one store, its tables and its track. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from genolift.errors import InputError
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
        If the shards do not hold every kept sequence once, were made by different runs, or of other
        sequences.
    """
    table = read_sequence_table(sequences)
    _check_ids(shards, table)
    merged = out / "contributions.h5"
    merge_shards(shards, merged, table.loc[table["kept"], "key"].to_numpy())
    with open_contributions(merged) as contributions:
        write_per_sequence(out / "per_sequence.tsv", per_sequence(contributions, table))
        write_per_base(out / "per_base.parquet", contributions, table)
        covered = 0
        if contributions.chromosomes:
            covered = write_bigwig(out / "contributions.bw", contributions, table)
        return AggregateSummary(contributions.n, contributions.length, covered)


def _check_ids(shards: Sequence[Path], table: pd.DataFrame) -> None:
    """Check that a shard has the table's id at each key: another file's sequences may have the same keys."""
    ids = dict(zip(table["key"], table["id"], strict=True))
    for path in shards:
        with open_contributions(path) as shard:
            for key, name in zip(shard.key.tolist(), shard.id, strict=True):
                if ids.get(key, name) != name:
                    raise InputError(
                        f"sequence {key} is {name!r}, in the table of sequences {ids[key]!r}",
                        where=str(path),
                        remedy="give the table and the shards of one run",
                    )
