"""The models of an analysis: what they share put under each, and whether they go together. Reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from genolift.errors import InputError
from genolift.settings.folder_names import check_names_differ
from genolift.settings.model import ModelSpec, check_model_name


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``under`` with what ``over`` sets, section by section."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and key != "arguments"
        merged[key] = merge(merged[key], value) if both else value
    return merged


def with_shared_keys(analysis: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return an analysis in which each of ``models`` has the keys of ``model`` that it does not set.

    Raises
    ------
    InputError
        If ``model`` is itself a model beside the others.
    """
    if not analysis.get("models"):
        return dict(analysis)
    shared = analysis.get("model", {})
    if "path" in shared:
        raise InputError(
            "is given together with 'models'",
            where=f"{where}.model.path",
            remedy="move it under 'models', with a name; 'model' holds what the models share",
        )
    return {**analysis, "models": {name: merge(shared, own) for name, own in analysis["models"].items()}}


def check_models(models: Mapping[str, ModelSpec], where: str) -> None:
    """Raise `InputError` if names are none or alike, a model stands twice, or input lengths differ."""
    for name in models:
        check_model_name(name, f"{where}.{name}")
    check_names_differ(models, where)
    for (one, spec), (other, its_spec) in combinations(models.items(), 2):
        if replace(spec, expect=None) == replace(its_spec, expect=None):
            raise InputError(
                f"'{one}' and '{other}' are the same model", where=where, remedy="name each model once"
            )
    check_lengths({name: spec.input_length for name, spec in models.items()}, where)


def check_lengths(lengths: Mapping[str, int | None], where: str) -> None:
    """Raise `InputError` if two models, by name, say that they take different lengths."""
    said = {name: length for name, length in lengths.items() if length is not None}
    for (one, length), (other, its_length) in combinations(said.items(), 2):
        if length != its_length:
            raise InputError(
                f"'{one}' takes {length} bases, '{other}' {its_length}",
                where=where,
                remedy="models that are averaged read the same sequences: name those of one input length",
            )
