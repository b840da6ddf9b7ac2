"""The aggregate step: from shards to one file of contributions, its tables and its tracks, in one pass."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genolift.data.stored_sequences import check_table
from genolift.data.window_places import KeptRows, read_places
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.scratch import scratch_beside
from genolift.files.whole import sha256, whole_file, whole_folder
from genolift.results.ensemble import by_model, check_models_agree, mean_of
from genolift.results.one_run import remove_other_references
from genolift.results.per_base import MOST_BASES, remove_per_base, write_per_base
from genolift.results.shards import Shard, check_shards, merged_blocks, merged_head, read_shards
from genolift.results.step_record import write_record
from genolift.results.store import Block, Head, open_contributions, write_contributions
from genolift.results.tables import PER_SEQUENCE, per_sequence
from genolift.results.tracks import WindowValues, write_bigwig

_FILES = (
    *("aggregate.json", "contributions.h5", "per_sequence.tsv"),
    *("per_base.parquet", "contributions.bw", "contributions_sd.bw"),
)
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
    check_outputs([out / name for name in _FILES], inputs=[*shards, sequences])
    keys, places = read_places(sequences)
    models = _checked_models(shards, sequences, keys, out)
    head = merged_head(next(iter(models.values())))
    tracks = _TRACKS[: 1 if len(models) == 1 else 2] if head.chromosomes else ()
    with ExitStack() as stack:
        scratches = {name: stack.enter_context(scratch_beside(out / name)) for name, _ in tracks}
        values = {name: WindowValues(scratch, head.length) for name, scratch in scratches.items()}
        with _contributions_of(models, out) as (head, blocks):
            digest = _write_rows(out, head, blocks, sequences, values)
        covered = 0
        for name in values:
            covered = write_bigwig(out / name, head.chromosomes, places, head.length, values[name])
    bases = head.n * head.length
    with open_contributions(out / "contributions.h5") as contributions:
        if bases <= MOST_BASES if per_base is None else per_base:
            write_per_base(out / "per_base.parquet", contributions, sequences)
        else:
            remove_per_base(out / "per_base.parquet")
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


@contextmanager
def _contributions_of(
    models: Mapping[str, Sequence[Shard]], out: Path
) -> Iterator[tuple[Head, Iterator[Block]]]:
    """Yield the head and the rows of contributions.h5; of several models, write each model's own before."""
    if len(models) == 1:
        (shards,) = models.values()
        yield merged_head(shards), merged_blocks(shards)
        return
    with whole_folder(out / "models", "aggregate") as folder:
        files = {name: folder / name / "contributions.h5" for name in models}
        for name, shards in models.items():
            write_contributions(files[name], merged_head(shards), merged_blocks(shards))
        with mean_of(files) as mean:
            yield mean


def _write_rows(
    out: Path, head: Head, blocks: Iterator[Block], sequences: Path, tracks: Mapping[str, WindowValues]
) -> str:
    """Write contributions.h5 and per_sequence.tsv, and add the rows of the tracks; return the digest of the
    first.
    """
    kept = KeptRows(sequences)
    with whole_file(out / "per_sequence.tsv") as beside, PER_SEQUENCE.written(beside) as add:

        def passed_on() -> Iterator[Block]:
            for block in blocks:
                add(per_sequence(block, kept.next(len(block["genolift/key"])), head.models))
                for name, dataset in _TRACKS:
                    if name in tracks:
                        values = block[dataset]
                        tracks[name].add(values.sum(1) if values.ndim > 2 else values)
                yield block

        return write_contributions(out / "contributions.h5", head, passed_on())
