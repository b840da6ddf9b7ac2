"""What the workflow can run of a config: paths that Snakemake takes, commands that the system takes, and
settings that no later step would refuse.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from genolift.errors import InputError
from genolift.settings.sections import Analysis
from genolift.settings.several_targets import TARGETS

_LONGEST_COMMAND, _MOST_SETTINGS = 120_000, 90_000
"""Bytes of a step's command, and of the settings in it. Linux takes 131,072 in one argument, such as that of
``bash -c``.
"""
_OF_ALL = "sequences.tsv"
_ALWAYS = ["contributions.h5", "per_sequence.tsv"]
_ALWAYS += ["motifs.h5", "motifs.meme", "motifs.tsv", "hits.bed.gz", "logos", "report.html"]
_SOMETIMES = ["references.h5", "per_base.parquet", "contributions.bw", "contributions_sd.bw", "models"]
_ON_THE_WAY = [TARGETS, "check.json", "costs.json", "sequences.h5", "inspection", "attribution"]
_ON_THE_WAY += ["aggregate.json", "aggregate.kept", "logs"]
_ON_THE_WAY += ["motif_matrices.tsv", "motifs_cwm.meme", "motifs.json", "seqlets.tsv"]
_ON_THE_WAY += ["seqlets_by_window.tsv", "hits_by_window.bed.gz", "hits_by_window.tsv.gz"]
WRITTEN = frozenset([_OF_ALL, *_ALWAYS, *_SOMETIMES, *_ON_THE_WAY])
"""What the workflow writes into an analysis's folder."""


def final_files(analysis: Analysis) -> list[str]:
    """Return what is made of an analysis at the end, by its names in the analysis's folder; with several
    targets most of it is in the folder of each.
    """
    on_genome, several = analysis.sequences.on_genome, len(analysis.models) > 1
    spread = ["contributions_sd.bw"] * (on_genome and several)
    per_base = ["per_base.parquet"] * (analysis.per_base is True)
    stored = ["references.h5"] * analysis.references.stored
    of_each = [*_ALWAYS, *per_base, *["contributions.bw"] * on_genome, *["models"] * several, *spread]
    places = [f"{TARGETS}/{slug}/" for slug in analysis.by_slug()] or [""]
    return [_OF_ALL, *stored, *(f"{place}{file}" for place in places for file in of_each)]


def final_names(analysis: Analysis) -> list[str]:
    """Return the names of the `final_files`, each once, wherever they are."""
    return sorted({Path(file).name for file in final_files(analysis)})


def by_target(analyses: Mapping[str, Analysis]) -> dict[str, Analysis]:
    """Return the analysis of each target by its folder in the results: ``mine``, or of several targets
    ``mine/targets/SLUG``.
    """
    return {
        f"{name}/{TARGETS}/{slug}" if slug else name: each
        for name, analysis in analyses.items()
        for slug, each in (analysis.by_slug() or {"": analysis}).items()
    }


def whole_of(folder: str) -> tuple[str, str]:
    """Return the analysis that a folder of `by_target` belongs to, and the target's slug, empty of one."""
    name, _, slug = folder.partition(f"/{TARGETS}/")
    return name, slug


def check_workflow(analysis: Analysis, folder: str, where: str) -> None:
    """Raise `InputError` if the workflow would fail for a reason that the config shows.

    Parameters
    ----------
    folder
        The analysis's results.
    where
        The analysis's place, for messages.
    """
    for key, file in analysis.named_files():
        _check_path(file, folder, f"{where}.{key}")
    _check_commands(analysis, folder, where)


def _check_path(file: str, folder: str, where: str) -> None:
    if "{" in file or "}" in file:
        what = f"'{file}' has braces, which Snakemake reads as its own"
        raise InputError(what, where=where, remedy="rename the file, or make a link to it")
    results, read = Path(folder).absolute(), Path(file).absolute()
    if results in read.parents and read.relative_to(results).parts[0] in WRITTEN:
        remedy = "copy it to another folder, and name the copy"
        raise InputError(f"'{file}' is what the analysis itself writes", where=where, remedy=remedy)


def _check_commands(analysis: Analysis, folder: str, where: str) -> None:
    """The longest commands are the check's, with all settings, and the aggregate step's, with all shards."""
    sizes = {key: _size(json.dumps(value)) for key, value in analysis.keys().items()}
    if sum(sizes.values()) > _MOST_SETTINGS:
        largest = f"{where}.{max(sizes, key=lambda key: sizes[key])}"
        remedy = "put them into a file: a table, or one that the model's class reads"
        raise InputError("the values are too many for a command line", where=largest, remedy=remedy)
    shards, models = analysis.attribution.shards, len(analysis.models)
    name, slug = max(analysis.models, key=len), max(analysis.by_slug(), key=len, default="")
    size = models * (_size(f"{folder}/attribution/{name}/shard-{shards}-of-{shards}/{slug}.h5") + 1)
    if shards * size > _LONGEST_COMMAND:
        what = f"the names of {shards * models} files of shards are too long for a command line"
        remedy = f"give {max(1, _LONGEST_COMMAND // size)} at most"
        raise InputError(what, where=f"{where}.attribution.shards", remedy=remedy)


def _size(word: str) -> int:
    """Bytes of a word as the shell gets it."""
    return len(shlex.quote(word).encode())
