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
from genolift.settings.extra_inputs import as_given

if TYPE_CHECKING:
    from genolift.settings.config import Analysis

_LONGEST_COMMAND = 120_000
"""Bytes of a step's command, of the 131,072 that Linux takes in one argument, such as that of ``bash -c``."""
WRITTEN = frozenset(
    [
        "attribution",
        "check.json",
        "contributions.bw",
        "contributions.h5",
        "contributions_sd.bw",
        "hits.bed.gz",
        "inspection",
        "logos",
        "logs",
        "models",
        "motif_matrices.tsv",
        "motifs.h5",
        "motifs.meme",
        "motifs.tsv",
        "motifs_cwm.meme",
        "per_base.parquet",
        "per_sequence.tsv",
        "references.h5",
        "report.html",
        "seqlets.tsv",
        "sequences.h5",
        "sequences.tsv",
    ]
)
"""What the workflow writes into an analysis's folder."""


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
    _check_lengths(analysis, where)
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
    yield from (("extra_inputs", item.table) for item in analysis.held.inputs if item.table)
    for channel in analysis.held.channels:
        if channel.bigwig or channel.table:
            yield "extra_channels", channel.bigwig or channel.table or ""


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


def _check_lengths(analysis: Analysis, where: str) -> None:
    given = analysis.sequences.length
    for model in analysis.models.values():
        if given is not None and model.input_length not in (None, given):
            raise InputError(
                f"sequences of {given} bases are asked for, and the model takes {model.input_length}",
                where=f"{where}.sequences.length",
                remedy="leave it out, so that the model's input_length holds",
            )
    said = [given, *(model.input_length for model in analysis.models.values())]
    length = next((number for number in said if number is not None), None)
    window = analysis.motifs.window
    if window is not None and length is not None and window > length:
        raise InputError(
            f"{window} is more than the sequences' {length} bases",
            where=f"{where}.motifs.window",
            remedy=f"give a whole number from 1 to {length}, or leave it out for all",
        )


def _check_commands(analysis: Analysis, folder: str, where: str) -> None:
    """The longest commands are the check's, with all that models are given, and the join of all shards."""
    held = [json.dumps(as_given(item)) for item in analysis.held.inputs]
    held += [json.dumps(as_given(item)) for item in analysis.held.channels]
    if _quoted(held) > _LONGEST_COMMAND // 2:
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
