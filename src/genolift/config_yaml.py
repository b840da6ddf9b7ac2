"""A config as YAML has it: read from a file, its values as the schema means them. Knows no key by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from genolift.config_schema import followed, kinds_of
from genolift.errors import InputError
from genolift.text_files import read_text

# YAML 1.1, which Snakemake reads, takes 1e-3 for text, since it has no point.
_NUMBER_WITHOUT_POINT = re.compile(r"[+-]?[0-9]+[eE][+-]?[0-9]+")


def read_yaml(path: Path) -> dict[Any, Any]:
    """Return the keys and values of a YAML file.

    Raises
    ------
    InputError
        If the file is missing, no YAML, without keys, has a key twice, or is no UTF-8, which is all that
        Snakemake reads.
    """
    text = read_text(path)
    try:
        loaded = yaml.load(text, Loader=_LoaderOfUniqueKeys)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"is not valid YAML: {error.problem}", where=f"{path}{line}") from error
    if not isinstance(loaded, dict):
        raise InputError("holds no keys", where=str(path), remedy="see config/README.md for an example")
    return loaded


class _LoaderOfUniqueKeys(yaml.SafeLoader):
    """Refuses a key that is written twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def tidy(value: Any, schema: Mapping[str, Any]) -> Any:
    """Copy ``value``: keys as text, numbers that YAML took for text as numbers, empty sections as such."""
    schema = followed(schema)
    kinds = kinds_of(schema)
    if isinstance(value, Mapping):
        inside = schema.get("properties", {})
        others = schema.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        return {str(key): tidy(item, inside.get(str(key), others)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(item, schema.get("items", {})) for item in value]
    if value is None and kinds == ["object"]:
        return {}
    if isinstance(value, str) and "number" in kinds and _NUMBER_WITHOUT_POINT.fullmatch(value):
        return float(value)
    return value
