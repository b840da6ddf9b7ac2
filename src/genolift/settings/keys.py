"""All keys of settings in one table, by their places, with what their fields say of them as JSON schema.

Messages, the schema for editors, the table in config/README.md and the commands' flags are made from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

ITEM, NAMED = "[]", "*"
"""In a place: an item of a list, and a section under a name of the user's."""
Place = tuple[str, ...]
_KINDS = {"string": "text", "boolean": "true or false", "array": "a list", "object": "keys with values"}
_NUMBERS = {"integer": "a whole number", "number": "a number"}


@dataclass(frozen=True)
class Key:
    """A key, or an item of a list, or a section under a name."""

    place: Place
    told: Mapping[str, Any]
    """What its field says: default, description, examples."""
    kinds: list[Mapping[str, Any]]
    """What its value may be, a schema for each kind."""
    required: bool

    @property
    def name(self) -> str:
        """Its name behind those of the sections around it: ``model.class``, ``extra_inputs[].table``."""
        return ".".join(self.place).replace(f".{ITEM}", ITEM)

    @property
    def is_value(self) -> bool:
        """Whether it is no section, nor an item of a list."""
        return self.place[-1] != ITEM and not any("properties" in kind for kind in self.kinds)

    @property
    def examples(self) -> str:
        """Values that it may have, where its field gives some."""
        return ", ".join(map(str, self.told.get("examples", [])))

    @property
    def by_preset(self) -> str:
        """What it is where it is left out, if its section has presets, in words: ``350, published 500``."""
        (_, first), *others = self.told.get("presets", {"": None}).items()
        said = [f"{preset} {in_digits(value)}" for preset, value in others if value not in (None, first)]
        return ", ".join([*([] if first is None else [in_digits(first)]), *said])

    @property
    def allowed(self) -> str:
        """What its value may be, in words: ``a whole number from 1 to 1,000 or auto``."""
        return " or ".join(map(_allowed, self.kinds))


def keys_of(model: type[BaseModel]) -> dict[Place, Key]:
    """Return all keys of settings by their places, the settings themselves first."""
    schema = model.model_json_schema()
    keys: dict[Place, Key] = {}

    def add(place: Place, told: Mapping[str, Any], required: bool = True) -> None:
        keys[place] = Key(place, told, kinds := _kinds(told, schema), required)
        for kind in kinds:
            for name, inside in kind.get("properties", {}).items():
                add((*place, name), inside, name in kind.get("required", ()))
            for name, inside in ((ITEM, kind.get("items")), (NAMED, kind.get("additionalProperties"))):
                if isinstance(inside, Mapping):
                    add((*place, name), inside)

    add((), schema)
    return keys


def _kinds(told: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the branches of a schema but null, which stands for none."""
    if "$ref" in told:
        told = schema["$defs"][told["$ref"].rpartition("/")[2]]
    if "anyOf" in told:
        return [kind for each in told["anyOf"] for kind in _kinds(each, schema)]
    return [] if told.get("type") == "null" else [told]


def _allowed(kind: Mapping[str, Any]) -> str:
    if "enum" in kind:
        return f"one of {', '.join(map(str, kind['enum']))}"
    if "const" in kind:
        return str(kind["const"])
    if "maximum" in kind:
        return f"{_NUMBERS[kind['type']]} from {in_digits(kind['minimum'])} to {in_digits(kind['maximum'])}"
    return "a file" if kind.get("format") == "file" else (_NUMBERS | _KINDS)[kind["type"]]


def in_digits(value: float) -> str:
    """Return a number as people write it: ``10,000``, ``0.5``, ``1e-15``."""
    return f"{int(value) if value == round(value, 0) and abs(value) < 1e15 else value:,}"
