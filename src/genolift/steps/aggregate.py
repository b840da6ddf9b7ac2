"""The aggregate step: from shards to one file of contributions, its tables and its tracks, in one pass.

What is merged is kept in a folder until all is there. The run after one that was killed finds it, if it is of
the same shards by their digests, and makes the rest from it.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.data.stored_sequences import check_table
from genolift.data.window_places import KeptRows, read_places
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.scratch import scratch_beside
from genolift.files.whole import remove_left_in, sha256, whole_file, whole_folder, write_errors
from genolift.results.ensemble import by_model, check_models_agree, mean_of
from genolift.results.one_run import remove_other_references
from genolift.results.per_base import MOST_BASES, remove_per_base, write_per_base
from genolift.results.shards import Shard, check_shards, is_merged, merged_blocks, merged_head, read_shards
from genolift.results.step_record import write_record
from genolift.results.store import Block, open_contributions, write_contributions
from genolift.results.tables import PER_SEQUENCE, per_sequence
from genolift.results.tracks import WindowValues, write_bigwig

_LOG = logging.getLogger("genolift")
_FILES = (
    *("aggregate.json", "contributions.h5", "per_sequence.tsv"),
    *("per_base.parquet", "contributions.bw", "contributions_sd.bw"),
)
_KEPT = "aggregate.kept"
_MERGE_AGAIN = "remove it, and run genolift aggregate again"
_TRACKS = (("contributions.bw", "projected_shap/seq"), ("contributions_sd.bw", "genolift/model_sd"))
"""Each track and the dataset that it shows; the second is of several models."""


@dataclass(frozen=True)
class AggregateSummary:
    """What `aggregate` wrote: sequences, positions of each, genomic bases in a track, and models."""

    n_sequences: int
    length: int
    n_genome_bases: int
    n_models: int

    def __str__(self) -> str:
        track = f", {self.n_genome_bases} bases of the genome in the track" if self.n_genome_bases else ""
        mean = f", mean over {self.n_models} models" if self.n_models > 1 else ""
        return f"{self.n_sequences} sequences of {self.length} bp{mean}{track}"


def aggregate(
    *, shards: Sequence[Path], sequences: Path, out: Path, per_base: bool | None = None
) -> AggregateSummary:
    """Write ``contributions.h5``, ``per_sequence.tsv`` and, for windows on a genome, ``contributions.bw``
    into the folder ``out``, and ``aggregate.json``, their provenance; and ``per_base.parquet`` of few bases.

    For several models there is ``models/NAME/contributions.h5`` for each; everything else is for their mean,
    and ``contributions_sd.bw`` has their standard deviation along the genome.

    Parameters
    ----------
    shards
        The files of the attribute step, of one model or several, in any order.
    sequences
        ``sequences.tsv``.
    out
        The folder.
    per_base
        Whether to write ``per_base.parquet``; None for `MOST_BASES` at most. If not, an earlier one is
        removed. So is a ``references.h5`` in ``out`` of other references, where these were not stored.

    Raises
    ------
    InputError
        If a model's shards do not have every kept sequence once, were made by different runs or from other
        sequences, or have inconsistent contributions; if models were not run on the same sequences and
        references with the same settings; or if a file or ``models`` may not be written (see
        `check_outputs`).
    """
    check_outputs([*(out / name for name in _FILES), _kept(out)], inputs=[*shards, sequences])
    keys, places = read_places(sequences)
    models = _checked_models(shards, sequences, keys, out)
    head = merged_head(next(iter(models.values())))
    remove_left_in(_kept(out).parent)
    tracks = _TRACKS[: 1 if len(models) == 1 else 2] if head.chromosomes else ()
    with ExitStack() as stack:
        scratches = {name: stack.enter_context(scratch_beside(out / name)) for name, _ in tracks}
        values = {name: WindowValues(scratch, head.length) for name, scratch in scratches.items()}
        _merge_models(models, out)
        digest = _write_rows(out, models, sequences, values)
        covered = 0
        for name in values:
            covered = write_bigwig(out / name, head.chromosomes, places, head.length, values[name])
    bases = head.n * head.length
    with open_contributions(_kept(out), _MERGE_AGAIN) as contributions:
        if bases <= MOST_BASES if per_base is None else per_base:
            write_per_base(out / "per_base.parquet", contributions, sequences)
        else:
            remove_per_base(out / "per_base.parquet")
    _finish_merged(models, out)
    with open_contributions(out / "contributions.h5") as contributions:
        remove_other_references(out, contributions)
    names = ["per_sequence.tsv", *values]
    made_from = {"contributions.h5": digest, "sequences.tsv": sha256(sequences)}
    with whole_file(out / "aggregate.json") as beside:
        write_record(beside, "aggregate", made_from, {name: out / name for name in names})
    return AggregateSummary(head.n, head.length, covered, len(models))


def _checked_models(
    shards: Sequence[Path], sequences: Path, keys: NDArray[np.int64], out: Path
) -> dict[str, list[Shard]]:
    """Return each model's shards by model name, after checking that they belong together."""
    if not shards:
        raise InputError("there is no shard", where=str(out), remedy="give the files of the attribute step")
    models = by_model(read_shards(shards))
    for shard in (shard for each in models.values() for shard in each):
        check_table(sequences, shard.provenance, shard.path)
    for name, each in models.items():
        check_shards(each, keys, f"the shards of {name}" if len(models) > 1 else "the shards")
    if len(models) > 1:
        check_models_agree(models)
        check_outputs(folders=[(out / "models", "aggregate")], inputs=[*shards, sequences])
    return models


def _kept(out: Path, model: str | None = None) -> Path:
    """Return where contributions.h5, or that of one of several models, is kept until all is there."""
    return out / _KEPT / ("contributions.h5" if model is None else f"model.{model}.h5")


def _merge_models(models: Mapping[str, Sequence[Shard]], out: Path) -> None:
    """Write each model's contributions, if there are several, unless an earlier run has."""
    for name, shards in models.items() if len(models) > 1 else ():
        kept = _kept(out, name)
        if is_merged(kept, shards):
            _LOG.info("%s: was merged by a run that was stopped", name)
        else:
            write_contributions(kept, merged_head(shards), merged_blocks(shards))


def _write_rows(
    out: Path, models: Mapping[str, Sequence[Shard]], sequences: Path, tracks: Mapping[str, WindowValues]
) -> str:
    """Write per_sequence.tsv, add the rows of the tracks, and write what will be contributions.h5, unless an
    earlier run has; return its digest.
    """
    kept, shards = _kept(out), next(iter(models.values()))
    with ExitStack() as stack:
        table = PER_SEQUENCE.written(stack.enter_context(whole_file(out / "per_sequence.tsv")))
        row = _RowsElsewhere(stack.enter_context(table), KeptRows(sequences), tracks)
        if len(models) > 1:
            files = {name: _kept(out, name) for name in models}
            head, blocks = stack.enter_context(mean_of(files, _MERGE_AGAIN))
        elif is_merged(kept, shards):
            _LOG.info("the shards were merged by a run that was stopped")
            merged = stack.enter_context(open_contributions(kept, _MERGE_AGAIN))
            for block in merged.blocks():
                row.add(block, merged.models)
            return merged.digest
        else:
            head, blocks = merged_head(shards), merged_blocks(shards)
        return write_contributions(kept, head, row.passed_on(blocks, head.models))


@dataclass(frozen=True)
class _RowsElsewhere:
    """Where rows of contributions.h5 go besides: to a table, next to what sequences.tsv says of them, and to
    the values of tracks.
    """

    table: Callable[[pd.DataFrame], None]
    kept: KeptRows
    tracks: Mapping[str, WindowValues]

    def add(self, block: Block, models: Sequence[str]) -> None:
        self.table(per_sequence(block, self.kept.next(len(block["genolift/key"])), models))
        for name, dataset in _TRACKS:
            if name in self.tracks:
                values = block[dataset]
                self.tracks[name].add(values.sum(1) if values.ndim > 2 else values)

    def passed_on(self, blocks: Iterable[Block], models: Sequence[str]) -> Iterator[Block]:
        for block in blocks:
            self.add(block, models)
            yield block


def _finish_merged(models: Mapping[str, Sequence[Shard]], out: Path) -> None:
    """Give what was kept its final names."""
    if len(models) > 1:
        with whole_folder(out / "models", "aggregate") as folder:
            for name in models:
                (folder / name).mkdir()
                os.replace(_kept(out, name), folder / name / "contributions.h5")
    with write_errors(out / "contributions.h5"):
        os.replace(_kept(out), out / "contributions.h5")
    for left in _kept(out).parent.glob("model.*.h5"):  # of an earlier run that was not gone on with
        left.unlink()
    with suppress(OSError):  # there may be files that are not ours
        _kept(out).parent.rmdir()
