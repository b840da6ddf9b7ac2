"""What each model is, as `genolift inspect` found it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genolift.errors import InputError, Refusal, refused_as
from genolift.files.whole import existing_file
from genolift.inspection.words import facts
from genolift.report.results import Results
from genolift.results.agreement import agreement_in_words
from genolift.settings.several_targets import for_all_targets

_FORMAT = "genolift-inspection"


def inspected_views(results: Results) -> list[dict[str, Any]]:
    """Return what each inspected model is: its ``name``, ``facts`` by name, its ``operations`` counted, the
    rows of its ``plan``, and ``agreement`` with its author's outputs, empty if they were not compared.

    Raises
    ------
    InputError
        If a file is damaged, or of another model than contributions.h5.
    """
    run, folder = results.head.provenance, for_all_targets(results.folder, "inspection")
    models = (run.models or {run.model_name: run}).items()
    return [_view(name, path, told) for name, told in models if (path := folder / f"{name}.json").exists()]


def _view(name: str, path: Path, run: Mapping[str, Any]) -> dict[str, Any]:
    remedy = "run genolift check again"
    damage = (ValueError, KeyError, TypeError, AttributeError)
    with refused_as(Refusal("cannot be read as an inspection", path, remedy), damage):
        told = json.loads(existing_file(path).read_text(encoding="utf-8"))
        if told.get("format") != _FORMAT:
            raise ValueError(f"its format is {told.get('format')!r}")
        view = {
            "name": name,
            "facts": facts({**told, "model_agreement": None}),  # the run's counts, not the inspection's
            "operations": told["operations"],
            "plan": told["plan"],
            "agreement": agreement_in_words(run["model_agreement"]) if "model_agreement" in run else "",
        }
        if run.get("target") in told.pop("other_targets", []):  # of several, it has the first one's plan
            told["target"] = run["target"]
    for key, value in told.items():
        if _is_checked(key) and run.get(key, value) != value:
            raise InputError(
                f"is of another model than contributions.h5: its {key} is {value}, there {run[key]}",
                where=str(path),
                remedy=remedy,
            )
    return view


def _is_checked(key: str) -> bool:
    """Whether a key of the inspection (files, target, rule) must be the same as the contributions'."""
    return key in ("target", "rule") or (key.startswith("model_") and key.endswith(("sha256", "imports")))
