"""What is wrong in a user's settings, in one line of our own: the key, the mistake, a remedy."""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from genolift.errors import InputError
from genolift.files.plain_values import shown
from genolift.settings.keys import ITEM, NAMED, Key, Place, in_digits, keys_of
from genolift.settings.types import PART

M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], given: Any, key: str = "", where: str = "", asks: Collection[str] = ()) -> M:
    """Return the settings that a user gave.

    Parameters
    ----------
    key
        The key that they stand under.
    where
        What messages name before the key, such as the config's file.
    asks
        What else is checked (`types.FILES`).

    Raises
    ------
    InputError
        For the first mistake; an unknown key first, since others may follow from it.
    """
    try:
        return model.model_validate(given, context=asks, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _mistake(error.errors(), model, key, where) from error


def check_part(model: type[BaseModel], given: Any, where: str, asks: Collection[str] = ()) -> None:
    """Raise as `checked`, but let keys be missing within a section, and disagree."""
    try:
        model.model_validate(given, context={*asks, PART}, by_alias=True, by_name=False)
    except ValidationError as error:
        found = [each for each in error.errors() if each["type"] != "missing" or len(each["loc"]) == 1]
        if found:
            raise _mistake(found, model, "", where) from error


def _mistake(errors: Collection[Any], model: type[BaseModel], under: str, where: str) -> InputError:
    keys = keys_of(model)
    found = [(*_located(error, keys, under), error) for error in errors]
    # of a union's branches, the one that was meant got furthest
    last = [each for each in found if not any(o[0].startswith((f"{each[0]}.", f"{each[0]}[")) for o in found)]
    named, key, error = min(last, key=lambda each: _order(each[2]["type"]))
    raised = error.get("ctx", {}).get("error")
    if isinstance(raised, InputError):
        within = raised.where.removeprefix(": ")  # a file, or a key within the section
        named += within if re.fullmatch(r"[.]\w+(?:[.]\w+)?", within) else f": {within}" if within else ""
        what, remedy = raised.what, raised.remedy
    else:
        what, remedy = _words(error, key, keys)
    return InputError(what, where=": ".join(filter(None, (where, named.lstrip(".")))), remedy=remedy)


def _order(kind: str) -> int:
    """Unknown keys first, and of the branches of a union the one that says most."""
    return {"extra_forbidden": 0, "literal_error": 2}.get(kind, 3 if kind.endswith("_type") else 1)


def _located(error: Any, keys: Mapping[Place, Key], named: str) -> tuple[str, Key]:
    """Return what an error's place is called, and its key; the one around an unknown or missing key."""
    place: Place = ()
    location = error["loc"][:-1] if error["type"] == "missing" else error["loc"]
    for number, part in enumerate(location, 1):
        names = (part, ITEM if isinstance(part, int) else NAMED)  # else it may be a branch of a union
        inside = next((name for name in names if (*place, name) in keys), None)
        if inside is not None:
            place = (*place, inside)
        elif error["type"] != "extra_forbidden" or number < len(location):
            continue  # a branch of a union
        plain = re.fullmatch(r"\w[\w.-]{0,99}", str(part))
        if inside == ITEM:
            named += f"[{part}]"
        elif plain or location[-1] != "[key]":  # a name that is refused stands in the message
            named += f".{part if plain else shown(part)}"
    return named, keys[place]


def _words(error: Any, key: Key, keys: Mapping[Place, Key]) -> tuple[str, str]:
    """Return what is wrong, and what to do about it."""
    kind, value, told = error["type"], error["input"], error.get("ctx", {})
    give, like = f"give {key.allowed}", f", such as {key.examples}" if key.examples else ""
    match kind:
        case "extra_forbidden":
            return "unknown key", _nearest(error["loc"][-1], key.place, keys)
        case "missing":
            name = error["loc"][-1]
            return f"the key '{name}' is missing", f"give {keys[(*key.place, name)].told['description']}"
        case "literal_error":
            choices = [choice for each in key.kinds for choice in each.get("enum", [])]
            for near in difflib.get_close_matches(str(value), choices, 1):
                give = f"did you mean '{near}'? It is {key.allowed}"
            return f"{shown(value)} is not a choice", give
        case "greater_than_equal":
            return f"{shown(value)} is less than {in_digits(told['ge'])}", f"{give}{like}"
        case "less_than_equal":
            return f"{shown(value)} is more than {in_digits(told['le'])}", f"{give}{like}"
        case "finite_number":
            return f"{value} is not a finite number", give
        case "string_pattern_mismatch":
            return f"{shown(value)} cannot be read", f"write it like {key.examples}"
        case "string_too_long":
            return f"{shown(value)} has {len(value):,} letters", f"use {told['max_length']:,} at most"
        case "too_short" | "too_long" if value:
            number = told.get("min_length", told.get("max_length"))
            return f"{shown(value)} has {len(value)} values", f"give {number}"
        case "too_short":
            return "is empty", f"give {key.told['description']}"
        case "string_too_short":
            return "is empty text", "write something, or leave it out"
    what = "is empty" if value is None else f"{shown(value)} is {_kind_of(value)}"
    return what, f"{give}{like}"


def _kind_of(value: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "keys with values" if isinstance(value, Mapping) else type(value).__name__)


def _nearest(unknown: str, around: Place, keys: Mapping[Place, Key]) -> str:
    """Name the nearest right key: one of its neighbours, or else one of another section."""
    known = {place[-1]: place[-1] for place in keys if place and place[:-1] == around}
    of_analyses = [place[2:] for place in keys if place[:2] == ("analyses", NAMED)]
    elsewhere = {place[1]: ".".join(place) for place in of_analyses if len(place) == 2}
    if not around:
        keys_at_top = {place[0] for place in of_analyses if len(place) == 1}
        elsewhere |= {name: f"{name}' of an analysis, or under 'defaults" for name in keys_at_top}
    # a neighbour need only share half of its letters, where so few keys can be meant
    for names, cutoff in ((known, 0.75), (elsewhere, 0.8), (known, 0.5)):
        for near in difflib.get_close_matches(unknown.lower(), names, n=1, cutoff=cutoff):
            return f"did you mean '{names[near]}'?"
    return f"the keys here are {', '.join(known)}"
