"""The aggregate step: shards to one store, its tables and its tracks. Knows nothing of what a model is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from genolift.ensemble import by_model, check_models_agree, write_mean
from genolift.errors import InputError
from genolift.files import whole_folder
from genolift.output_paths import check_outputs
from genolift.sequences import read_sequence_table
from genolift.shards import check_shards, merge_shards, read_heads
from genolift.store import open_contributions
from genolift.tables import per_sequence, write_per_base, write_per_sequence
from genolift.tracks import write_bigwig

_FILES = (
    "contributions.h5",
    "per_sequence.tsv",
    "per_base.parquet",
    "contributions.bw",
    "contributions_sd.bw",
)


@dataclass(frozen=True)
class AggregateSummary:
    """What `aggregate` wrote: sequences, positions of each, bases of the genome in a track, and models."""

    n_sequences: int
    length: int
    n_genome_bases: int
    n_models: int


def aggregate(*, shards: Sequence[Path], sequences: Path, out: Path) -> AggregateSummary:
    """Write ``contributions.h5``, ``per_sequence.tsv``, ``per_base.parquet`` and, for windows on a genome,
    ``contributions.bw`` into the folder ``out``.

    Of several models ``models/NAME/contributions.h5`` is written for each; the rest is of their mean, with
    ``contributions_sd.bw`` besides, their standard deviation along the genome.

    Parameters
    ----------
    shards
        The files of the attribute step, of one model or several, in any order.
    sequences
        ``sequences.tsv``.
    out
        The folder.

    Raises
    ------
    InputError
        If a model's shards do not hold every kept sequence once, were made by different runs, or of other
        sequences; or models were not run on the same sequences and references with the same settings; or a
        file or ``models`` may not be written (see `check_outputs`).
    """
    if not shards:
        raise InputError("there is no shard", where=str(out), remedy="give the files of the attribute step")
    check_outputs([out / name for name in _FILES], inputs=[*shards, sequences])
    table = read_sequence_table(sequences)
    _check_ids(shards, table)
    models = by_model(read_heads(shards))
    keys = table.loc[table["kept"], "key"].to_numpy()
    for name, heads in models.items():
        check_shards(heads, keys, f"the shards of {name}" if len(models) > 1 else "the shards")
    merged = out / "contributions.h5"
    if len(models) == 1:
        merge_shards(next(iter(models.values())), merged)
    else:
        check_models_agree(models)
        check_outputs(folders=[(out / "models", "aggregate")], inputs=[*shards, sequences])
        with whole_folder(out / "models", "aggregate") as folder:
            files = {name: folder / name / "contributions.h5" for name in models}
            for name, heads in models.items():
                merge_shards(heads, files[name])
            write_mean(files, merged)
    with open_contributions(merged) as contributions:
        write_per_sequence(out / "per_sequence.tsv", per_sequence(contributions, table))
        write_per_base(out / "per_base.parquet", contributions, table)
        covered = 0
        if contributions.chromosomes:
            covered = write_bigwig(out / "contributions.bw", contributions, table)
            if contributions.models:
                spread = "genolift/model_sd"
                write_bigwig(out / "contributions_sd.bw", contributions, table, dataset=spread)
        return AggregateSummary(contributions.n, contributions.length, covered, len(models))


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
