"""What a rule of the workflow hands its command: the keys of an analysis, as JSON in two arguments."""

import json
from typing import Any

from genolift.cli.commands import COMMANDS
from genolift.settings.fields import merge, placed
from genolift.settings.sections import Analysis

_OF_SEVERAL_TARGETS = ("check", "attribute")
"""The commands that take several targets, or one as the only one."""


def handed(analysis: Analysis, command: str, model: str | None = None) -> tuple[str, str]:
    """Return the arguments ``--settings`` and ``--running`` of a command: the keys that it takes and that are
    not at their defaults.

    Parameters
    ----------
    model
        The name of the model that the command runs, where it runs one.
    """
    given = analysis.keys()
    if model is not None:
        given["model"] = analysis.models[model].keys()
    if command == "encode":
        given = _for_encode(analysis, given)
    if command in _OF_SEVERAL_TARGETS and (analysis.targets or analysis.target):
        given["targets"] = list(analysis.every_target)
    if command in ("encode", "reference") and analysis.rna_alphabet is not None:
        given["model"] = given.get("model", {}) | {"alphabet": analysis.rna_alphabet}
    if command == "attribute" and analysis.references.stored:
        given.pop("references", None)
    if command in ("reference", "attribute") and not analysis.references.drawn:
        for key in ("number", "seed"):
            given.get("references", {}).pop(key, None)
    handed: dict[bool, dict[str, Any]] = {False: {}, True: {}}
    for flag in COMMANDS[command].settings_flags:
        value: Any = {"settings": given}
        place: list[str] = []
        while len(place) < len(flag.place) and value:  # an empty section is handed as it is
            place.append(flag.place[len(place)])
            value = value.get(place[-1]) if isinstance(value, dict) else None
        if value is not None:
            running = "running" in flag.told
            handed[running] = merge(handed[running], placed(place[1:], value))
    return json.dumps(handed[False]), json.dumps(handed[True])


def _for_encode(analysis: Analysis, given: dict[str, Any]) -> dict[str, Any]:
    """Return the keys without the models', where one says the length; else a model that is loaded says it."""
    if analysis.length:
        return {"sequences": given["sequences"] | {"length": analysis.length}}
    for model in (given.get("model", {}), *given.get("models", {}).values()):
        model.pop("expect", None)
    return given
