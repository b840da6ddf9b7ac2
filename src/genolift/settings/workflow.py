"""What the workflow can run of a config: paths that Snakemake takes, commands that the system takes, and
settings that no later step would refuse.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from genolift.errors import InputError
from genolift.settings.database import jaspar_group
from genolift.settings.extra_inputs import Extras, as_given

if TYPE_CHECKING:
    from genolift.settings.sections import Analysis

_LONGEST_COMMAND = 120_000
"""Bytes of a step's command, of the 131,072 that Linux takes in one argument, such as that of ``bash -c``."""
_WRITTEN = """
attribution check.json contributions.bw contributions.h5 contributions_sd.bw hits.bed.gz
inspection logos logs models motif_matrices.tsv motifs.h5 motifs.meme motifs.tsv motifs_cwm.meme
per_base.parquet per_sequence.tsv references.h5 report.html seqlets.tsv sequences.h5
sequences.tsv
"""
WRITTEN = frozenset(_WRITTEN.split())
"""What the workflow writes into an analysis's folder."""


_FINAL = ["sequences.tsv", "references.h5", "contributions.h5", "per_base.parquet", "per_sequence.tsv"]
_FINAL += ["motifs.h5", "motifs.meme", "motifs.tsv", "hits.bed.gz", "logos", "report.html"]


def final_files(analysis: Analysis) -> list[str]:
    """Return what is made of an analysis at the end, by its names in the analysis's folder."""
    on_genome, several = analysis.sequences.bed is not None, len(analysis.models) > 1
    spread = ["contributions_sd.bw"] * (on_genome and several)
    return [*_FINAL, *["contributions.bw"] * on_genome, *["models"] * several, *spread]


def check_workflow(analysis: Analysis, folder: str, where: str) -> None:
    """Raise `InputError` if the workflow would fail for a reason that the config shows.

    Parameters
    ----------
    folder
        The analysis's results.
    where
        The analysis's place, for messages.
    """
    for key, file in _files(analysis):
        _check_path(file, folder, f"{where}.{key}")
    _check_commands(analysis, folder, where)


def _files(analysis: Analysis) -> Iterator[tuple[str, str]]:
    """Yield the files that an analysis reads, each with the key that names it."""
    for name, model in analysis.models.items():
        key = f"models.{name}" if len(analysis.models) > 1 else "model"
        yield from ((key, file) for file in model.files)
    for key in ("fasta", "bed", "genome"):
        if getattr(analysis.sequences, key) is not None:
            yield f"sequences.{key}", getattr(analysis.sequences, key)
    if analysis.references.fasta is not None:
        yield "references.fasta", analysis.references.fasta
    if jaspar_group(analysis.motifs.database) is None:
        yield "motifs.database", analysis.motifs.database
    yield from (("extra_inputs", file) for file in Extras(inputs=analysis.extra_inputs).files)
    yield from (("extra_channels", file) for file in Extras(channels=analysis.extra_channels).files)


def _check_path(file: str, folder: str, where: str) -> None:
    if "{" in file or "}" in file:
        raise InputError(
            f"'{file}' has braces, which Snakemake reads as its own",
            where=where,
            remedy="rename the file, or make a link to it",
        )
    results, read = Path(folder).absolute(), Path(file).absolute()
    if results in read.parents and read.relative_to(results).parts[0] in WRITTEN:
        raise InputError(
            f"'{file}' is what the analysis itself writes",
            where=where,
            remedy="copy it to another folder, and name the copy",
        )


def _check_commands(analysis: Analysis, folder: str, where: str) -> None:
    """The longest commands are the check's, with all that models are given, and the join of all shards."""
    items = [*analysis.extra_inputs, *analysis.extra_channels]
    if _quoted([json.dumps(as_given(item)) for item in items]) > _LONGEST_COMMAND // 2:
        raise InputError(
            "the values are too many for a command line",
            where=f"{where}.extra_inputs",
            remedy="put them into a table (table: FILE)",
        )
    models = [json.dumps({name: model.keys() for name, model in analysis.models.items()})]
    if _quoted(models) > _LONGEST_COMMAND // 2:
        raise InputError(
            "paths and arguments of the models are too long for a command line",
            where=f"{where}.models" if len(analysis.models) > 1 else f"{where}.model",
            remedy="let the class read long arguments from a file",
        )
    shards = analysis.attribution.shards
    longest = f"{folder}/attribution/{max(analysis.models, key=len)}/shard-{shards}-of-{shards}.h5"
    number = shards * len(analysis.models)
    if number * (_quoted([longest]) + 1) > _LONGEST_COMMAND:
        most = max(1, _LONGEST_COMMAND // ((_quoted([longest]) + 1) * len(analysis.models)))
        raise InputError(
            f"the names of {number} files of shards are too long for a command line",
            where=f"{where}.attribution.shards",
            remedy=f"give {most} at most",
        )


def _quoted(words: list[str]) -> int:
    """Bytes of words as the shell gets them."""
    return len(shlex.join(words).encode())
