"""The flags of a command, made from the keys of settings, and the values that their text stands for.

A flag has the name, help, choices and default of its key. Its value is checked by the same field as a
config's, so that a mistake has the same words.
"""

from __future__ import annotations

import argparse
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from genolift.errors import InputError
from genolift.files.plain_values import MOST_DIGITS, from_json, shown
from genolift.settings.schema import Key, keys_of

_WHOLE = re.compile(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}")
_BIGWIG = re.compile(r"\.(bw|bigwig)$", re.IGNORECASE)
_METAVARS = {"number": "X", "integer": "N", "object": "JSON"}


@dataclass(frozen=True)
class Flag:
    """The flag of one key."""

    of: Key
    positional: str = ""
    """The name of the flag that is given without it, if one is."""

    @property
    def key(self) -> str:
        """The key with its section, such as ``model.class``."""
        return ".".join(self.of.place)

    @property
    def name(self) -> str:
        """The flag without its dashes."""
        return str(self.of.told.get("flag", self.of.place[-1].replace("_", "-")))

    def placed(self, value: Any) -> Any:
        """Return a value at its place: ``{"model": {"class": value}}``."""
        for name in reversed(self.of.place):
            value = {name: value}
        return value

    @cached_property
    def _types(self) -> set[str]:
        """The JSON types of the values, or of their items, that a text may stand for."""
        return {kind.get("format", kind["type"]) for kind in self.of.parts if "const" not in kind}

    def add_to(self, parser: argparse._ActionsContainer) -> None:
        """Add the flag to a parser, which then gives its text under the name `key`, or nothing."""
        told: dict[str, Any] = {"help": self._help(), "default": argparse.SUPPRESS}
        if "boolean" in self._types:
            told["action"] = "store_true"
        else:
            told["metavar"] = self._metavar()
        if "array" in self._types:
            length = self.of.parts[0].get("maxItems")
            together = length is not None or "path" in self._types
            told |= {"action": "extend", "nargs": length or "+"} if together else {"action": "append"}
        required = len(self.of.place) == 1 and self.of.required
        if self.name == self.positional:
            parser.add_argument(self.key, nargs=None if required else "?", **told)
        else:
            parser.add_argument(f"--{self.name}", dest=self.key, required=required, **told)

    def _metavar(self) -> str:
        choices = [choice for kind in self.of.parts for choice in kind.get("enum", [])]
        if choices:
            return f"{{{','.join(choices)}}}"
        kinds = () if "string" in self._types else self._types
        named = (metavar for kind, metavar in _METAVARS.items() if kind in kinds)
        return next(named, self.name.rpartition("-")[2].upper())

    def _help(self) -> str:
        said = str(self.of.told.get("description", "")).replace("`", "").replace("%", "%%")
        default = self.of.told.get("default")
        is_said = isinstance(default, str | int | float) and default is not False and default != ""
        return f"{said} ({default})" if is_said else said

    def value(self, given: Any) -> Any:
        """Return what the flag's text stands for, in the types that YAML would give it.

        Text that stands for nothing else stays text, which the field may then refuse.

        Raises
        ------
        InputError
            If it is JSON that cannot be read, or is beyond the limits of `genolift.files.plain_values`.
        """
        if isinstance(given, list):
            return [_in_full(self.of.place[-1], self._value(each)) for each in given]
        return self._value(given) if isinstance(given, str) else given

    def _value(self, text: str) -> Any:
        if "path" in self._types:
            return Path(text)
        if "integer" in self._types and _WHOLE.fullmatch(text):
            return int(text)
        if "number" in self._types or ("integer" in self._types and "string" not in self._types):
            with suppress(ValueError):
                return float(text)
        return json_of(text, f"--{self.name}") if "object" in self._types else text


def flags_of(model: type[BaseModel], positional: str = "") -> list[Flag]:
    """Return the flags of settings: of each key but those within the items of a list, and the workflow's."""
    schema = model.model_json_schema()
    flags = (Flag(key, positional) for key in keys_of(schema, schema) if "[]" not in "".join(key.place))
    return [flag for flag in flags if flag.name]


def json_of(text: str, where: str) -> Any:
    """Return the value of JSON; text that does not begin as JSON does, such as a file's name, as it is."""
    try:
        return from_json(text, where)
    except json.JSONDecodeError as error:
        if text[:1] not in ("{", "["):
            return text
        raise InputError(
            f"{shown(text)} is not JSON ({error})", where=where, remedy="check its quotes"
        ) from None


def _in_full(key: str, given: Any) -> Any:
    """Return an item of a list as a config has it: an extra input or channel may be a file's name alone."""
    if key == "extra_channels" and isinstance(given, str):
        return {"bigwig" if _BIGWIG.search(given) else "table": given}
    if key == "extra_inputs" and isinstance(given, str | list):
        return {"table" if isinstance(given, str) else "values": given}
    return given
