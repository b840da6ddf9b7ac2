"""The flags of a command, made from the keys of settings, and the values that their text stands for.

A flag has the name, help, choices and default of its key. Its value is checked by the same field as a
config's, so that a mistake has the same words.
"""

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
from genolift.settings.keys import ITEM, NAMED, Key, keys_of

_WHOLE = re.compile(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}")
_BIGWIG = re.compile(r"\.(bw|bigwig)$", re.IGNORECASE)
_METAVARS = {"number": "X", "integer": "N", "object": "JSON"}


@dataclass(frozen=True)
class Flag(Key):
    """The flag of a key; of a list, ``kinds`` has what its items may be too."""

    positional: bool
    """Whether it is given without its name."""

    @property
    def shown(self) -> str:
        """What its user knows it by."""
        word = str(self.told.get("flag", self.place[-1].replace("_", "-")))
        return word.upper() if self.positional else f"--{word}"

    @cached_property
    def _types(self) -> set[str]:
        """The JSON types of the values, or of their items, that a text may stand for."""
        return {kind.get("format", kind["type"]) for kind in self.kinds if "const" not in kind}

    def add_to(self, parser: argparse._ActionsContainer) -> None:
        """Add the flag to a parser, which then gives its text under its key's `name`, or nothing."""
        told: dict[str, Any] = {"help": self._help(), "default": argparse.SUPPRESS}
        if "boolean" in self._types:
            # a default of None is neither, so that both can be said
            unsaid = self.told.get("default") is None
            told["action"] = argparse.BooleanOptionalAction if unsaid else "store_true"
        else:
            told["metavar"] = self._metavar()
        if "array" in self._types:
            length = self.kinds[0].get("maxItems")
            together = length is not None or "path" in self._types
            told |= {"action": "extend", "nargs": length or "+"} if together else {"action": "append"}
        if self.positional:
            parser.add_argument(self.name, nargs=None if self.required else "?", **told)
        else:
            parser.add_argument(self.shown, dest=self.name, required=self.required, **told)

    def _metavar(self) -> str:
        choices = [choice for kind in self.kinds for choice in kind.get("enum", [])]
        if choices:
            return f"{{{','.join(choices)}}}"
        kinds = () if "string" in self._types else self._types
        named = (metavar for kind, metavar in _METAVARS.items() if kind in kinds)
        return next(named, re.split("-", self.shown)[-1].upper())

    def _help(self) -> str:
        said = str(self.told.get("description", "")).replace("`", "").replace("%", "%%")
        default = self.told.get("default")
        is_said = isinstance(default, str | int | float) and default is not False and default != ""
        shown = default if is_said else self.by_preset
        return f"{said} ({shown})" if shown else said

    def value(self, given: Any) -> Any:
        """Return what the flag's text stands for, in the types that YAML would give it.

        Text that stands for nothing else stays text, which the field may then refuse.

        Raises
        ------
        InputError
            If it is JSON that cannot be read, or is beyond the limits of `genolift.files.plain_values`.
        """
        if isinstance(given, list):
            return [_in_full(self.place[-1], self.value(each)) for each in given]
        if not isinstance(given, str):
            return given
        if "path" in self._types:
            return Path(given)
        if "integer" in self._types and _WHOLE.fullmatch(given):
            return int(given)
        if "number" in self._types or ("integer" in self._types and "string" not in self._types):
            with suppress(ValueError):
                return float(given)
        return json_of(given, self.shown) if "object" in self._types else given


def flags_of(model: type[BaseModel], positional: str = "") -> list[Flag]:
    """Return the flags of settings: of every key but those within lists and named sections, and those that
    the workflow alone reads. ``positional`` is the key that is given without a flag, if one is.
    """
    keys = keys_of(model)
    flags = []
    for place, key in keys.items():
        if place and key.is_value and not {ITEM, NAMED} & {*place} and key.told.get("flag") != "":
            items = keys[(*place, ITEM)].kinds if (*place, ITEM) in keys else []
            required = key.required and len(place) == 1
            flags.append(Flag(place, key.told, key.kinds + items, required, key.name == positional))
    return flags


def json_of(text: str, where: str) -> Any:
    """Return the value of JSON; text that does not begin as JSON does, such as a file's name, as it is."""
    try:
        return from_json(text, where)
    except json.JSONDecodeError as error:
        if text[:1] not in ("{", "["):
            return text
        what = f"{shown(text)} is not JSON ({error})"
        raise InputError(what, where=where, remedy="check its quotes") from None


def _in_full(key: str, given: Any) -> Any:
    """Return an item of a list as a config has it: an extra input or channel may be a file's name alone."""
    if key in ("extra_channels", "extra_inputs") and isinstance(given, str):
        return {"bigwig" if _BIGWIG.search(given) else "table": given}
    return {"values": given} if key == "extra_inputs" and isinstance(given, list) else given
