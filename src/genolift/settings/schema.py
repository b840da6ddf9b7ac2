"""The schema of the workflow's config, and a mistake that it finds in a user's words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from genolift.errors import InputError
from genolift.files.plain_values import shown

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys with values",
    "null": "null",
}


@cache
def config_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the config."""
    text = files("genolift.settings").joinpath("config.schema.yaml").read_text(encoding="utf-8")
    schema: dict[str, Any] = yaml.safe_load(text)
    return schema


def followed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema, or the one that it refers to."""
    if "$ref" not in schema:
        return schema
    found = config_schema()
    for name in schema["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def kinds_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the JSON types that a value may have; none where the schema gives choices instead."""
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def check_schema(value: Any, schema: Mapping[str, Any], prefix: str, where: str) -> None:
    """Raise the schema's first mistake; an unknown key first, since others may follow from it."""
    # the definitions are needed for a part of the schema too
    whole = {**schema, "$defs": config_schema()["$defs"]}
    errors = list(Draft202012Validator(whole).iter_errors(value))
    if not errors:
        return
    error = min(errors, key=lambda error: (error.validator != "additionalProperties", _path(error, "")))
    key = _path(error, prefix)
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(name for name in error.instance if name not in known)
        key = f"{key}.{unknown}" if key else unknown
        what, remedy = "unknown key", _nearest(unknown, known)
    else:
        what, remedy = _words(error, key)
    raise InputError(what, where=f"{where}: {key}" if key else where, remedy=remedy)


def _path(error: ValidationError, prefix: str) -> str:
    key = prefix
    for part in error.absolute_path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key


def _nearest(unknown: str, known: list[str]) -> str:
    """Say the nearest right key: one of its neighbours, or else one of another section."""
    sections = config_schema()["$defs"]["analysis"]["properties"]
    elsewhere = {
        name: f"{section}.{name}" for section in sections for name in sections[section].get("properties", {})
    }
    if "analyses" in known:
        elsewhere |= {name: f"{name}' of an analysis, or under 'defaults" for name in sections}
    # a neighbour need only share half of its letters, where so few keys can be meant
    for names, cutoff in ((known, 0.75), (elsewhere, 0.8), (known, 0.5)):
        near = difflib.get_close_matches(unknown.lower(), list(names), n=1, cutoff=cutoff)
        if near:
            return f"did you mean '{elsewhere[near[0]] if names is elsewhere else near[0]}'?"
    return f"the keys here are {', '.join(known)}"


def _words(error: ValidationError, key: str) -> tuple[str, str]:
    """Return what is wrong and what to do about it, for a mistake that is no unknown key."""
    schema, value = error.schema, error.instance
    told = shown(value)
    examples = ", ".join(str(example) for example in schema.get("examples", []))
    match error.validator:
        case "enum":
            near = difflib.get_close_matches(str(value), [str(choice) for choice in schema["enum"]], 1)
            meant = f"did you mean '{near[0]}'? It" if near else "it"
            return f"{told} is no choice", f"{meant} is one of {', '.join(map(str, schema['enum']))}"
        case "type":
            kinds = " or ".join(_TYPES[kind] for kind in kinds_of(schema) if kind != "null")
            what = "is empty" if value is None else f"{told} is {_type_of(value)}"
            return what, f"give {kinds}" + (f", such as {examples}" if examples else "")
        case "required":
            missing = next(name for name in error.validator_value if name not in value)
            return f"the key '{missing}' is missing", f"give {_description(missing, key)}"
        case "minimum" | "maximum":
            bound = "less" if error.validator == "minimum" else "more"
            return f"{told} is {bound} than {error.validator_value:,}", f"give {range_of(schema)}"
        case "minProperties":
            return "no analysis is named", "give one or more, each with a model and sequences"
        case "minItems" | "maxItems":
            return f"{told} has {len(value)} values", f"give {error.validator_value}"
        case "minLength":
            return "is empty text", "write something, or leave the key out"
        case "maxLength" if "pattern" in schema and not examples:
            return f"{told} is no name, with {len(value)} letters", f"use {error.validator_value} at most"
        case "maxLength":
            return f"{told} has {len(value):,} letters", f"use {error.validator_value:,} at most"
        case "pattern" if examples:
            return f"{told} cannot be read", f"write it like {examples}"
        case "pattern":
            remedy = (
                "begin with a letter or digit and use letters, digits, '_', '-' and '.' (it names a folder)"
            )
            named = "a model" if key.rpartition(".")[2] == "models" else "an analysis"
            return f"{told} is no name for {named}", remedy
    return error.message, "see config/README.md"


def _type_of(value: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "keys with values" if isinstance(value, Mapping) else type(value).__name__)


def _description(missing: str, key: str) -> str:
    properties = config_schema()["$defs"]["analysis"]["properties"]
    section = properties.get(key.rpartition(".")[2], {}).get("properties", {})
    known = config_schema()["properties"] | properties["model"]["properties"]  # a model may have any name
    described = section.get(missing) or properties.get(missing) or known[missing]
    text = described["description"].rstrip(".")
    return f"{text[0].lower()}{text[1:]}"


def range_of(schema: Mapping[str, Any]) -> str:
    """Return the numbers that a value may be, in words."""
    kind = next(_TYPES[kind] for kind in kinds_of(schema) if kind in ("integer", "number"))
    return f"{kind} from {schema['minimum']:,} to {schema['maximum']:,}"
