"""The workflow's config, checked once at the edge: from nested mappings to types.

What keys there are, their types, defaults and choices is said in ``config.schema.yaml`` beside this module,
and here by types; what no schema can say, such as that a file is there, is checked here.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genolift.errors import InputError
from genolift.files.code import check_not_pythons
from genolift.files.of_models import existing_model, sharded
from genolift.files.plain_values import check_plain
from genolift.files.whole import existing_file
from genolift.settings.database import database_name, jaspar_group
from genolift.settings.expect import Expect
from genolift.settings.extra_inputs import HeldSpec
from genolift.settings.folder_names import check_folder_name, check_names_differ, check_results_folder
from genolift.settings.model import ONE_MODEL, ModelSpec, check_alphabet, check_axes, check_sha256
from genolift.settings.models import check_models, merge, with_shared_keys
from genolift.settings.reading import read_yaml, tidy
from genolift.settings.schema import check_schema, config_schema, followed, range_of
from genolift.settings.values import check_memory
from genolift.settings.workflow import check_workflow

_FREQUENCIES_ROUNDING = 1e-3


@dataclass(frozen=True)
class Sequences:
    """The ``sequences`` section: one of ``fasta``, or ``bed`` with ``genome``; ``length`` in bases."""

    fasta: str | None
    bed: str | None
    genome: str | None
    length: int | None
    format: str
    center: str
    use_strand: bool
    max_n_fraction: float
    missing_chromosomes: str


@dataclass(frozen=True)
class References:
    """The ``references`` section; ``frequencies`` are of A C G T."""

    kind: str
    number: int
    seed: int
    fasta: str | None
    frequencies: tuple[float, ...] | None


@dataclass(frozen=True)
class Attribution:
    """The ``attribution`` section; ``tolerance`` is the largest relative convergence error."""

    shards: int
    batch_size: int | str
    memory: str | None
    device: str
    precision: str
    tolerance: float


@dataclass(frozen=True)
class Motifs:
    """The ``motifs`` section; ``window`` in bases, around the middle of a sequence."""

    database: str
    max_seqlets: int
    window: int | None
    seed: int


@dataclass(frozen=True)
class Logos:
    """The ``logos`` section."""

    number: int


@dataclass(frozen=True)
class Report:
    """The ``report`` section."""

    title: str | None


@dataclass(frozen=True)
class Analysis:
    """One analysis with every default filled in. Paths are relative to the working directory."""

    models: Mapping[str, ModelSpec]
    """By name; the one of an analysis that names none is called "model"."""
    held: HeldSpec
    sequences: Sequences
    target: int | str
    keep_final_activation: bool
    rule: str
    references: References
    attribution: Attribution
    motifs: Motifs
    logos: Logos
    report: Report


@dataclass(frozen=True)
class Config:
    """A whole config: the folder of results, and the analyses by name."""

    results: str
    analyses: Mapping[str, Analysis]


_SECTIONS: dict[str, type[Any]] = {
    "sequences": Sequences,
    "references": References,
    "attribution": Attribution,
    "motifs": Motifs,
    "logos": Logos,
    "report": Report,
}


def resolve_config(config: Mapping[str, Any], where: str) -> Config:
    """Check a config and fill in its defaults.

    Parameters
    ----------
    config
        The config as YAML gives it; it is not changed.
    where
        What messages name as its place, such as the config's file.

    Raises
    ------
    InputError
        For the first mistake: an unknown key (with the nearest right one), a value of a wrong type or out of
        its choices, a key or file that is missing, or keys that contradict each other.
    """
    schema = config_schema()
    check_plain(config, where)
    given = tidy(config, schema)
    check_schema(given, schema, "", where)
    for key, value, its_schema in _leaves(given, schema, ""):
        _check_value(key, value, its_schema, where)
    # in Snakemake's spelling: without a "./" before or a "/" behind
    results = str(Path(given.get("results", schema["properties"]["results"]["default"])))
    check_results_folder(results, f"{where}: results")
    check_names_differ(given["analyses"], f"{where}: analyses")
    analyses = {}
    for name, own in given["analyses"].items():
        key = f"analyses.{name}"
        check_folder_name(name, "an analysis", f"{where}: {key}")
        merged = with_shared_keys(merge(given.get("defaults", {}), own), f"{where}: {key}")
        required = "required_of_models" if merged.get("models") else "required"
        check_schema(merged, schema["$defs"][required], key, where)
        full = _with_defaults(merged, schema["$defs"]["analysis"])
        analyses[name] = _analysis(full, f"{where}: {key}")
        check_workflow(analyses[name], f"{results}/{name}", f"{where}: {key}")
    return Config(results, analyses)


def check_config_file(path: Path) -> list[str]:
    """Return what a config file would run, a line for each analysis.

    Raises
    ------
    InputError
        If the file is no YAML or holds a mistake, as `resolve_config`.
    """
    config = resolve_config(read_yaml(path), str(path))
    return [_line(name, analysis, config.results) for name, analysis in config.analyses.items()]


def _line(name: str, analysis: Analysis, results: str) -> str:
    references, sequences = analysis.references, analysis.sequences
    number = f"{references.number} " if references.kind.endswith("_shuffle") else ""
    source = sequences.fasta or f"{sequences.bed} on {sequences.genome}"
    paths = {called: model.path for called, model in analysis.models.items()}
    told = ", ".join(f"{called} {path}" for called, path in paths.items())
    model = f"the mean of {len(paths)} models ({told})" if len(paths) > 1 else next(iter(paths.values()))
    return (
        f"{name}: {analysis.rule} for target {analysis.target} of {model}, {source}, "
        f"{number}{references.kind} references, named by {analysis.motifs.database} -> {results}/{name}"
    )


def _leaves(
    value: Mapping[str, Any], schema: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Every key with a value of its own, as its full path, the value, and its schema."""
    schema = followed(schema)
    for name, item in value.items():
        key = f"{prefix}.{name}" if prefix else name
        inside = followed(schema.get("properties", {}).get(name) or schema.get("additionalProperties") or {})
        if isinstance(item, Mapping) and ("properties" in inside or "additionalProperties" in inside):
            yield from _leaves(item, inside, key)
        else:
            yield key, item, inside


def _check_value(key: str, value: Any, schema: Mapping[str, Any], where: str) -> None:
    """Check what a JSON schema has no word for: that a file exists, and choices of some types."""
    place = f"{where}: {key}"
    if value is None:
        return
    if not key.endswith(".arguments"):
        _check_text_and_numbers(value, place)
    if schema.get("format") == "file":
        existing_file(value, where=place)
    elif schema.get("format") == "model":
        existing_model(value, where=place)
    elif schema.get("format") == "alphabet":
        check_alphabet(value, place)
    elif schema.get("format") == "sha256":
        check_sha256(value, place)
    elif schema.get("format") == "axes":
        check_axes(value, place)
    elif schema.get("format") == "memory":
        check_memory(value, place)
    elif schema.get("format") == "motifs":
        _check_database(value, schema["groups"], place)
    elif isinstance(value, str) and value not in schema.get("enum_of_text", [value]):
        choices = ", ".join(schema["enum_of_text"])
        raise InputError(
            f"'{value}' is no choice", where=place, remedy=f"give {range_of(schema)}, or {choices}"
        )
    elif key.endswith(".arguments"):
        _check_json(value, place)


def _check_text_and_numbers(value: Any, place: str) -> None:
    """Refuse what no key but the arguments of a class has: text of several lines, numbers without an end."""
    if isinstance(value, Mapping | list):
        for inside in value.values() if isinstance(value, Mapping) else value:
            _check_text_and_numbers(inside, place)
    elif isinstance(value, str) and ("\n" in value or "\t" in value):
        remedy = "write it on one line, without tabs; YAML's > and | add a line break, >- and |- do not"
        raise InputError("holds a line break or a tab", where=place, remedy=remedy)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{value} is no number to count with", where=place, remedy="give a finite number")


def _check_database(value: str, groups: list[str], place: str) -> None:
    group = jaspar_group(value)
    if group is None:
        existing_file(value, where=place)
    elif group not in groups:
        near = difflib.get_close_matches(group, groups, 1)
        remedy = f"did you mean 'jaspar:{near[0]}'?" if near else f"JASPAR has {', '.join(groups)}"
        raise InputError(f"'{value}' is no group of JASPAR's", where=place, remedy=remedy)


def _check_json(value: Any, place: str) -> None:
    try:
        json.dumps(value)
    except TypeError as error:
        raise InputError(
            f"holds a value that is not plain ({error})",
            where=place,
            remedy="put dates and the like in quotes",
        ) from error


def _with_defaults(value: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    full = dict(value)
    for name, inside in schema["properties"].items():
        if "properties" in inside:
            full[name] = _with_defaults(value.get(name) or {}, inside)
        elif "additionalProperties" in inside:
            each = followed(inside["additionalProperties"])
            full[name] = {key: _with_defaults(item, each) for key, item in value.get(name, {}).items()}
        elif "default" in inside:
            full.setdefault(name, inside["default"])
    return full


def _analysis(full: dict[str, Any], where: str) -> Analysis:
    """Return an analysis whose keys agree with each other."""
    frequencies = full["references"]["frequencies"]
    one_form = {
        "references": {**full["references"], "frequencies": frequencies and tuple(frequencies)},
        "motifs": {**full["motifs"], "database": database_name(full["motifs"]["database"])},
    }
    made = {name: section(**one_form.get(name, full[name])) for name, section in _SECTIONS.items()}
    held = HeldSpec.of(full["extra_inputs"], full["extra_channels"], f"{where}.")
    explained = {key: full[key] for key in ("target", "keep_final_activation", "rule")}
    given = full["models"] or {ONE_MODEL: full["model"]}
    places = {name: f"{where}.models.{name}" if full["models"] else f"{where}.model" for name in given}
    models = {
        name: replace(
            ModelSpec.of({**model, "expect": Expect.of(model["expect"], f"{places[name]}.expect")}),
            extra_channels=len(held.channels),
        )
        for name, model in given.items()
    }
    analysis = Analysis(**explained, **made, models=models, held=held)
    for name, model in models.items():
        _check_model(model, places[name])
    check_models(models, f"{where}.models")
    _check_sequences(analysis.sequences, where)
    _check_references(analysis.references, where)
    if analysis.sequences.bed is None and any(channel.bigwig for channel in held.channels):
        raise InputError(
            "a bigWig is given, but the sequences are no windows on a genome",
            where=f"{where}.extra_channels",
            remedy="give 'bed' and 'genome', or the channel as a table",
        )
    return analysis


def _check_model(model: ModelSpec, place: str) -> None:
    for location in model.code:  # of the rest the schema says that they are files
        check_not_pythons(location, f"{place}.class")
        if location != model.custom_layers and location.endswith(".py"):
            existing_file(location, where=f"{place}.class")
    holds_weights = model.path.endswith(".safetensors") or sharded(model.path) is not None
    if model.class_name is None and holds_weights:
        raise InputError(
            f"{model.path} holds weights but no model",
            where=place,
            remedy="name the class to put them in, class: path/to/model.py:Class",
        )


def _check_sequences(sequences: Sequences, where: str) -> None:
    place = f"{where}.sequences"
    if sequences.fasta is not None and sequences.bed is not None:
        raise InputError(
            "both 'fasta' and 'bed' are given", where=place, remedy="give one; the other can be null"
        )
    if sequences.fasta is None and sequences.bed is None:
        raise InputError(
            "there are no sequences", where=place, remedy="give 'fasta', or 'bed' together with 'genome'"
        )
    if sequences.bed is not None and sequences.genome is None:
        raise InputError(
            "'bed' is given without 'genome'", where=place, remedy="give the genome's FASTA as 'genome'"
        )


def _check_references(references: References, where: str) -> None:
    place = f"{where}.references"
    for key, kind in (("fasta", "fasta"), ("frequencies", "base_frequencies")):
        value = getattr(references, key)
        if value is not None and references.kind != kind:
            raise InputError(
                f"'{key}' is given, but the kind is '{references.kind}'",
                where=place,
                remedy=f"leave '{key}' out, or set kind: {kind}",
            )
    if references.kind == "fasta" and references.fasta is None:
        raise InputError(
            "the kind is 'fasta', but no file is given", where=place, remedy="give the references as 'fasta'"
        )
    if references.frequencies and abs(sum(references.frequencies) - 1) > _FREQUENCIES_ROUNDING:
        raise InputError(
            f"the frequencies add up to {sum(references.frequencies):g}",
            where=f"{place}.frequencies",
            remedy="give fractions of A, C, G and T that add up to 1",
        )
