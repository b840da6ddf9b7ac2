"""A whole config, from nested mappings to checked settings: defaults put under each analysis, which a table
may list.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genolift.errors import InputError, few
from genolift.files.plain_values import check_plain
from genolift.settings.analyses_table import read_analyses_table
from genolift.settings.fields import merge
from genolift.settings.mistakes import check_part, checked
from genolift.settings.reading import read_yaml, with_text_keys
from genolift.settings.sections import Analysis, Config
from genolift.settings.types import FILES
from genolift.settings.workflow import check_workflow


def resolve_config(config: Mapping[str, Any], where: str) -> Config:
    """Check a config and fill in its defaults.

    Parameters
    ----------
    config
        The config as YAML gives it, with its analyses or the name of a table of them; it is not changed.
    where
        What messages name as its place, such as the config's file.

    Raises
    ------
    InputError
        For the first mistake: an unknown key (with the nearest right one), a value of a wrong type or out of
        its choices, a key or file that is missing, or keys that contradict each other. What is wrong in a
        table is named by its line and column.
    """
    check_plain(config, where)
    given = with_text_keys(config)
    if not isinstance(given.get("analyses"), str):
        return _resolved(given, where)
    table = read_analyses_table(Path(given["analyses"]), f"{where}: analyses")
    try:
        return _resolved(given | {"analyses": table.analyses}, where)
    except InputError as error:
        before, analyses, key = error.where.partition(f"{where}: analyses")
        if not analyses or before:
            raise
        raise InputError(error.what, where=table.where(key), remedy=error.remedy) from error


def _resolved(given: dict[str, Any], where: str) -> Config:
    check_part(Config, given, where, {FILES})
    defaults = given.pop("defaults", None) or {}
    given["analyses"] = {
        name: _with_shared_keys(merge(defaults, own or {}), f"{where}: analyses.{name}")
        for name, own in given["analyses"].items()
    }
    resolved = checked(Config, given, where=where, asks={FILES})
    for name, analysis in resolved.analyses.items():
        check_workflow(analysis, f"{resolved.results}/{name}", f"{where}: analyses.{name}")
    return resolved


def check_config_file(path: Path) -> list[str]:
    """Return what a config file would run, a line for each analysis.

    Raises
    ------
    InputError
        If the file is not YAML or has a mistake, as `resolve_config`.
    """
    config = resolve_config(read_yaml(path), str(path))
    return [_line(name, analysis, config.results) for name, analysis in config.analyses.items()]


def _with_shared_keys(analysis: dict[str, Any], where: str) -> dict[str, Any]:
    """Return an analysis in which each of ``models`` has the keys of ``model`` that it does not set."""
    if not analysis.get("models"):
        return analysis
    shared = analysis.pop("model", None) or {}
    if "path" in shared:
        remedy = "move it under 'models', with a name; 'model' holds what the models share"
        raise InputError("is given together with 'models'", where=f"{where}.model.path", remedy=remedy)
    return analysis | {"models": {name: merge(shared, own or {}) for name, own in analysis["models"].items()}}


def _line(name: str, analysis: Analysis, results: str) -> str:
    references, sequences = analysis.references, analysis.sequences
    given = analysis.targets if isinstance(analysis.targets, str) else few(map(str, analysis.every_target))
    targets = f"target{'s' * (analysis.targets is not None)} {given}"
    number = f"{references.number} " if references.drawn else ""
    windows = "tiles" if sequences.tile is not None else sequences.bed
    source = sequences.fasta or f"{windows} on {sequences.genome}"
    paths = {called: model.path for called, model in analysis.models.items()}
    told = ", ".join(f"{called} {path}" for called, path in paths.items())
    model = f"the mean of {len(paths)} models ({told})" if len(paths) > 1 else next(iter(paths.values()))
    return (
        f"{name}: {analysis.rule} for {targets} of {model}, {source}, "
        f"{number}{references.kind} references, named by {analysis.motifs.database} -> {results}/{name}"
    )
