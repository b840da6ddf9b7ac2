"""The flags of a command, made from the fields of settings, and the values that their text stands for.

A flag has the name, help, choices and default of its field. Its value is checked by the same field as a
config's, so that a mistake has the same words.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from inspect import isclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import MaxLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from genolift.errors import InputError
from genolift.files.plain_values import MOST_DIGITS, from_json, shown

_WHOLE = re.compile(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}")
_BIGWIG = re.compile(r"\.(bw|bigwig)$", re.IGNORECASE)
_METAVARS = {float: "X", int: "N", dict: "JSON"}


@dataclass(frozen=True)
class Flag:
    """The flag of one field."""

    place: tuple[str, ...]
    """The keys that lead to the field's value."""
    field: FieldInfo
    positional: str = ""
    """The name of the flag that is given without it, if one is."""

    @property
    def key(self) -> str:
        """The keys as one name, such as ``model.class``."""
        return ".".join(self.place)

    @property
    def name(self) -> str:
        """The flag without its dashes."""
        return str(self._told.get("flag", self.place[-1].replace("_", "-")))

    @property
    def running(self) -> bool:
        """Whether its value only says how something is run."""
        return "running" in self._told

    @property
    def _told(self) -> Mapping[str, Any]:
        return self.field.json_schema_extra if isinstance(self.field.json_schema_extra, dict) else {}

    def placed(self, value: Any) -> Any:
        """Return a value at its place: ``{"model": {"class": value}}``."""
        for name in reversed(self.place):
            value = {name: value}
        return value

    @cached_property
    def _parts(self) -> list[Any]:
        return parts_of(self.field)

    @cached_property
    def _json(self) -> bool:
        return any(each is dict or (isclass(each) and issubclass(each, BaseModel)) for each in self._parts)

    def add_to(self, parser: argparse._ActionsContainer) -> None:
        """Add the flag to a parser, which then gives its text under the name `key`, or nothing."""
        told: dict[str, Any] = {"help": self._help(), "default": argparse.SUPPRESS}
        if bool in self._parts:
            told["action"] = "store_true"
        else:
            told["metavar"] = self._metavar()
        if tuple in self._parts or list in self._parts:
            length = next((each.max_length for each in self._parts if isinstance(each, MaxLen)), None)
            together = length is not None or Path in self._parts
            told |= {"action": "extend", "nargs": length or "+"} if together else {"action": "append"}
        required = len(self.place) == 1 and self.field.is_required()
        if self.name == self.positional:
            parser.add_argument(self.key, nargs=None if required else "?", **told)
        else:
            parser.add_argument(f"--{self.name}", dest=self.key, required=required, **told)

    def _metavar(self) -> str:
        choices = [choice for each in self._parts if get_origin(each) is Literal for choice in get_args(each)]
        if choices and int not in self._parts:
            return f"{{{','.join(choices)}}}"
        if str not in self._parts:
            for kind, metavar in _METAVARS.items():
                if kind in self._parts:
                    return metavar
        return self.name.rpartition("-")[2].upper()

    def _help(self) -> str:
        said = (self.field.description or "").replace("`", "").replace("%", "%%")
        default = self.field.default
        if default is False or default == "" or not isinstance(default, str | int | float):
            return said
        return f"{said} ({default})"

    def value(self, given: Any) -> Any:
        """Return what the flag's text stands for, in the types that YAML would give it.

        Text that stands for nothing else stays text, which the field may then refuse.

        Raises
        ------
        InputError
            If it is JSON that cannot be read, or is beyond the limits of `genolift.files.plain_values`.
        """
        if isinstance(given, list):
            return [_in_full(self.place[-1], self._value(each)) for each in given]
        return self._value(given) if isinstance(given, str) else given

    def _value(self, text: str) -> Any:
        if Path in self._parts:
            return Path(text)
        if int in self._parts and _WHOLE.fullmatch(text):
            return int(text)
        if float in self._parts or (int in self._parts and str not in self._parts):
            with suppress(ValueError):
                return float(text)
        if any(
            each is dict or (isinstance(each, type) and issubclass(each, BaseModel)) for each in self._parts
        ):
            return json_of(text, f"--{self.name}")
        return text


def parts_of(field: FieldInfo) -> list[Any]:
    """Return what a field's annotation is made of: types, `Literal`, and what `Annotated` adds.

    A type with a reader of its own for text is text.
    """
    parts = [*_parts(field.annotation), *field.metadata]
    return [str] if any(getattr(each, "json_schema_input_type", 0) is str for each in parts) else parts


def _parts(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inside, *added = get_args(annotation)
        yield from _parts(inside)
        for each in added:
            yield from each.metadata if isinstance(each, FieldInfo) else [each]
    elif origin is None or origin is Literal:
        yield annotation
    else:
        yield origin
        for inside in get_args(annotation):
            yield from _parts(inside)


def json_of(text: str, where: str) -> Any:
    """Return the value of JSON; text that does not begin as JSON does, such as a file's name, as it is."""
    try:
        return from_json(text, where)
    except json.JSONDecodeError as error:
        if text[:1] not in ("{", "["):
            return text
        raise InputError(
            f"{shown(text)} is no JSON ({error})", where=where, remedy="check its quotes"
        ) from None


def _in_full(key: str, given: Any) -> Any:
    """Return an item of a list as a config has it: an extra input or channel may be a file's name alone."""
    if key == "extra_channels" and isinstance(given, str):
        return {"bigwig" if _BIGWIG.search(given) else "table": given}
    if key == "extra_inputs" and isinstance(given, str | list):
        return {"table" if isinstance(given, str) else "values": given}
    return given
