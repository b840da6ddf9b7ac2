"""The aggregate step: from shards to one file of contributions, its tables and its tracks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genolift.data.stored_sequences import check_table, read_sequence_table
from genolift.data.window_places import WindowPlaces, read_places
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import sha256, whole_file, whole_folder
from genolift.results.ensemble import by_model, check_models_agree, write_mean
from genolift.results.shards import check_shards, merge_shards, read_shards
from genolift.results.step_record import write_record
from genolift.results.store import Contributions, open_contributions
from genolift.results.tables import per_sequence, write_per_base, write_per_sequence
from genolift.results.tracks import WindowValues, write_bigwig

_FILES = (
    *("aggregate.json", "contributions.h5", "per_sequence.tsv"),
    *("per_base.parquet", "contributions.bw", "contributions_sd.bw"),
)


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


def aggregate(*, shards: Sequence[Path], sequences: Path, out: Path) -> AggregateSummary:
    """Write ``contributions.h5``, ``per_sequence.tsv``, ``per_base.parquet`` and, for windows on a genome,
    ``contributions.bw`` into the folder ``out``, and ``aggregate.json``, their provenance.

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

    Raises
    ------
    InputError
        If a model's shards do not have every kept sequence once, were made by different runs or from other
        sequences, or have inconsistent contributions; if models were not run on the same sequences and
        references with the same settings; or if a file or ``models`` may not be written (see
        `check_outputs`).
    """
    if not shards:
        raise InputError("there is no shard", where=str(out), remedy="give the files of the attribute step")
    check_outputs([out / name for name in _FILES], inputs=[*shards, sequences])
    table = read_sequence_table(sequences)
    models = by_model(read_shards(shards))
    for head in (head for heads in models.values() for head in heads):
        check_table(sequences, head.provenance, head.path)
    keys, places = read_places(sequences)
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
        names = ["per_sequence.tsv", "per_base.parquet"]
        write_per_sequence(out / names[0], per_sequence(contributions, table))
        write_per_base(out / names[1], contributions, table)
        covered = 0
        if contributions.chromosomes:
            written = _write_tracks(out, contributions, places)
            names += written
            covered = max(written.values())
        made_from = {"contributions.h5": contributions.digest, "sequences.tsv": sha256(sequences)}
        with whole_file(out / "aggregate.json") as beside:
            write_record(beside, "aggregate", made_from, {name: out / name for name in names})
        return AggregateSummary(contributions.n, contributions.length, covered, len(models))


def _write_tracks(out: Path, contributions: Contributions, places: WindowPlaces) -> dict[str, int]:
    """Write the tracks; return how many bases each has, by its name."""
    tracks = {"contributions.bw": "projected_shap/seq"}
    tracks |= {"contributions_sd.bw": "genolift/model_sd"} if contributions.models else {}
    covered = {}
    for name, dataset in tracks.items():
        with WindowValues(out, contributions.length) as values:
            for rows in contributions.slices():
                block = contributions[dataset][rows]
                values.add(block.sum(1) if block.ndim > 2 else block)
            there = contributions.chromosomes, places, contributions.length
            covered[name] = write_bigwig(out / name, *there, values)
    return covered
