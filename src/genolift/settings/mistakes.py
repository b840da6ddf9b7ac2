"""What is wrong in a user's settings, in one line of our own: the key, the mistake, a remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from genolift.errors import InputError
from genolift.files.plain_values import shown
from genolift.settings.types import PART

M = TypeVar("M", bound=BaseModel)
_KINDS = {"string": "text", "boolean": "true or false", "array": "a list", "object": "keys with values"}
_NUMBERS = {"integer": "a whole number", "number": "a number"}


def checked(model: type[M], given: Any, key: str = "", where: str = "", asks: Collection[str] = ()) -> M:
    """Return the settings that a user gave.

    Parameters
    ----------
    key
        The key that they stand under.
    where
        What messages name before the key, such as the config's file.
    asks
        What else is checked (`types.FILES`), or is not (`types.PART`).

    Raises
    ------
    InputError
        For the first mistake; an unknown key first, since others may follow from it.
    """
    try:
        return model.model_validate(given, context=asks, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _mistake(error.errors(), model.model_json_schema(), key, where) from error


def check_part(model: type[BaseModel], given: Any, where: str, asks: Collection[str] = ()) -> None:
    """Raise as `checked`, but let keys be missing within a section, and disagree."""
    try:
        model.model_validate(given, context={*asks, PART}, by_alias=True, by_name=False)
    except ValidationError as error:
        found = [each for each in error.errors() if each["type"] != "missing" or len(each["loc"]) == 1]
        if found:
            raise _mistake(found, model.model_json_schema(), "", where) from error


def _mistake(errors: Sequence[Any], schema: Mapping[str, Any], key: str, where: str) -> InputError:
    found = [(*_located(error, schema, key), error) for error in errors]
    # of a union's branches, the one that was meant got furthest
    last = [each for each in found if not any(o[0].startswith((f"{each[0]}.", f"{each[0]}[")) for o in found)]
    place, inside, error = min(last, key=lambda each: _order(each[2]["type"]))
    raised = error.get("ctx", {}).get("error")
    if isinstance(raised, InputError):
        within = raised.where.removeprefix(": ")  # a file, or a key within the section
        place += within if re.fullmatch(r"[.]\w+(?:[.]\w+)?", within) else f": {within}" if within else ""
        what, remedy = raised.what, raised.remedy
    else:
        what, remedy = _words(error, inside, schema)
    if error["type"] == "missing":
        place = place.rpartition(".")[0]
    return InputError(what, where=": ".join(filter(None, (where, place.lstrip(".")))), remedy=remedy)


def _order(kind: str) -> int:
    """Unknown keys first, and of the branches of a union the one that says most."""
    return {"extra_forbidden": 0, "literal_error": 2}.get(kind, 3 if kind.endswith("_type") else 1)


def _located(error: Any, schema: Mapping[str, Any], key: str) -> tuple[str, Mapping[str, Any]]:
    """Return the key at an error's place, and the schema there; of an unknown key, the schema around it."""
    inside: Mapping[str, Any] = schema
    of_name = error["loc"][-1:] == ("[key]",)
    for number, part in enumerate(error["loc"], 1):
        unknown = error["type"] == "extra_forbidden" and number == len(error["loc"])
        kinds = branches(inside, schema)
        found = [kind.get("properties", {}).get(part) or kind.get("additionalProperties") for kind in kinds]
        if isinstance(part, int):
            found, key = [kind.get("items") for kind in kinds], f"{key}[{part}]"
        elif any(found) or unknown:  # else a branch of a union
            plain = re.fullmatch(r"\w[\w.-]{0,99}", part)
            if plain or not of_name:  # a name that is none stands in the message
                name = part if plain else shown(part)
                key += f".{name}" if key else name
        inside = next((each for each in found if isinstance(each, Mapping)), inside)
    return key, inside


def branches(inside: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a value may be, one schema for each kind; without null, which stands for none."""
    if "$ref" in inside:
        told = {name: value for name, value in inside.items() if name != "$ref"}
        inside = schema["$defs"][inside["$ref"].rpartition("/")[2]] | told
    if "anyOf" in inside:
        return [branch for each in inside["anyOf"] for branch in branches(each, schema)]
    return [] if inside.get("type") == "null" else [inside]


def allowed(inside: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return what a value may be, in words: ``a whole number from 1 to 1,000 or auto``."""
    return " or ".join(_allowed(branch) for branch in branches(inside, schema))


def _allowed(branch: Mapping[str, Any]) -> str:
    if "enum" in branch:
        return f"one of {', '.join(map(str, branch['enum']))}"
    if "const" in branch:
        return str(branch["const"])
    kind = branch.get("type", "")
    if kind in _NUMBERS and "maximum" in branch:
        return f"{_NUMBERS[kind]} from {_number(branch['minimum'])} to {_number(branch['maximum'])}"
    return "a file" if branch.get("format") == "file" else (_NUMBERS | _KINDS)[kind]


def _number(value: float) -> str:
    return f"{int(value) if value == round(value, 0) and abs(value) < 1e15 else value:,}"


def _words(error: Any, inside: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is wrong, and what to do about it."""
    kind, value, told = error["type"], error["input"], error.get("ctx", {})
    may_be = allowed(inside, schema)
    examples = ", ".join(map(str, inside.get("examples", [])))
    match kind:
        case "extra_forbidden":
            return "unknown key", _nearest(str(error["loc"][-1]), inside, schema)
        case "missing":
            return f"the key '{error['loc'][-1]}' is missing", f"give {inside['description']}"
        case "literal_error":
            choices = [str(choice) for each in branches(inside, schema) for choice in each.get("enum", [])]
            near = difflib.get_close_matches(str(value), choices, 1)
            meant = f"did you mean '{near[0]}'? It is" if near else "give"
            return f"{shown(value)} is not a choice", f"{meant} {may_be}"
        case "greater_than_equal" | "less_than_equal":
            than = f"less than {_number(told['ge'])}" if "ge" in told else f"more than {_number(told['le'])}"
            return f"{shown(value)} is {than}", f"give {may_be}"
        case "finite_number":
            return f"{value} is not a finite number", f"give {may_be}"
        case "string_pattern_mismatch":
            return f"{shown(value)} cannot be read", f"write it like {examples}"
        case "string_too_long":
            return f"{shown(value)} has {len(value):,} letters", f"use {told['max_length']:,} at most"
        case "too_short" | "too_long" if value:
            number = told.get("min_length", told.get("max_length"))
            return f"{shown(value)} has {len(value)} values", f"give {number}"
        case "too_short":
            return "is empty", f"give {inside['description']}"
        case "string_too_short":
            return "is empty text", "write something, or leave it out"
    like = f", such as {examples}" if examples else ""
    what = "is empty" if value is None else f"{shown(value)} is {_kind_of(value)}"
    return what, f"give {may_be}{like}"


def _kind_of(value: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "keys with values" if isinstance(value, Mapping) else type(value).__name__)


def _nearest(unknown: str, inside: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Say the nearest right key: one of its neighbours, or else one of another section."""
    known = [name for branch in branches(inside, schema) for name in branch.get("properties", {})]
    sections = schema.get("$defs", {}).get("Analysis", {}).get("properties", {})
    elsewhere = {
        name: f"{section}.{name}"
        for section, its in sections.items()
        for branch in branches(its, schema)
        for name in branch.get("properties", {})
    }
    if "analyses" in known:
        elsewhere |= {name: f"{name}' of an analysis, or under 'defaults" for name in sections}
    # a neighbour need only share half of its letters, where so few keys can be meant
    for names, cutoff in ((known, 0.75), (elsewhere, 0.8), (known, 0.5)):
        near = difflib.get_close_matches(unknown.lower(), list(names), n=1, cutoff=cutoff)
        if near:
            return f"did you mean '{elsewhere[near[0]] if names is elsewhere else near[0]}'?"
    return f"the keys here are {', '.join(known)}"
