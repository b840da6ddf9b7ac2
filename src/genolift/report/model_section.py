"""What each model is, as `genolift inspect` found it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genolift.errors import InputError
from genolift.files.whole import existing_file
from genolift.inspection.words import facts
from genolift.report.results import Results
from genolift.results.agreement import agreement_in_words

FOLDER = "inspection"
_FORMAT = "genolift-inspection"


@dataclass(frozen=True)
class InspectedView:
    """A model: facts by name, its operations counted, the plan's rows, each a mapping of text, and whether it
    agrees with its author's outputs, empty where it was not compared.
    """

    name: str
    facts: tuple[tuple[str, str], ...]
    operations: tuple[Mapping[str, Any], ...]
    plan: tuple[Mapping[str, str], ...]
    agreement: str


def inspected_views(results: Results) -> tuple[InspectedView, ...]:
    """Return what each model is; nothing of those that were not inspected.

    Raises
    ------
    InputError
        If a file is damaged, or of another model than contributions.h5.
    """
    views = []
    run = results.run
    for name, told in (run.models or {run.model_name: run}).items():
        path = results.folder / FOLDER / f"{name}.json"
        if path.exists():
            views.append(_view(name, path, told))
    return tuple(views)


def _view(name: str, path: Path, run: Mapping[str, Any]) -> InspectedView:
    try:
        told = json.loads(existing_file(path).read_text(encoding="utf-8"))
        if told.get("format") != _FORMAT:
            raise ValueError(f"its format is {told.get('format')!r}")
        found = facts({**told, "model_agreement": None})  # the run says it, not who inspected
        view = InspectedView(
            name,
            tuple(found),
            tuple(told["operations"]),
            tuple(told["plan"]),
            agreement_in_words(run["model_agreement"]) if "model_agreement" in run else "",
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"cannot be read as what a model is ({type(error).__name__}: {error})",
            where=str(path),
            remedy="run genolift inspect again",
        ) from error
    for key, value in told.items():
        if _is_checked(key) and run.get(key, value) != value:
            raise InputError(
                f"is of another model than contributions.h5: its {key} is {value}, there {run[key]}",
                where=str(path),
                remedy="run genolift inspect again",
            )
    return view


def _is_checked(key: str) -> bool:
    """Whether a key of the inspection must be as the contributions have it: the files, target and rule."""
    return key in ("target", "rule") or (key.startswith("model_") and key.endswith(("sha256", "imports")))
