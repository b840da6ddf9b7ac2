"""What a section of the config is made of: fields, each with all that is known of its key, and checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticUndefined

from genolift.settings.types import PART, asked

REQUIRED = PydanticUndefined
_AS_A_WHOLE = ("arguments", "expect")
"""Keys that null empties; of another section, null says nothing."""


def key(default: Any, text: str, *, flag: str | None = None, running: bool = False, **bounds: Any) -> Any:
    """Return the field of one key.

    Parameters
    ----------
    default
        Its value where the user gives none; `REQUIRED` if there is no such value.
    text
        What it means, in a sentence: the docs, ``--help`` and editors show it.
    flag
        The flag of commands, if it is not the key's name.
    running
        Whether it says only how something is run, so that a change of it makes nothing out of date.
    bounds
        What pydantic's ``Field`` takes: ``ge``, ``le``, ``examples``, ``alias``.
    """
    told: dict[str, Any] = {"flag": flag} if flag else {}
    if running:
        told["running"] = True
    return Field(default, description=text, json_schema_extra=told or None, **bounds)


class Section(BaseModel):
    """Some keys: no others, each of its own type. A section that is left empty has its defaults."""

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True
    )

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, given: Any) -> Any:
        return {} if given is None else given

    def keys(self) -> dict[str, Any]:
        """Return the keys that are not at their defaults, as plain values, for a config or as JSON."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def together(check: Callable[[Any], None]) -> Any:
    """Make a validator of whether keys go together, which is left out for a part of a config.

    The check raises `InputError`; a ``where`` that begins with a dot is a key within the section.
    """

    def run(section: Any, info: ValidationInfo) -> Any:
        if not asked(info, PART):
            check(section)
        return section

    return model_validator(mode="after")(run)


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``under`` with what ``over`` sets, section by section."""
    merged = dict(under)
    for key, value in over.items():
        below = isinstance(merged.get(key), Mapping)
        if below and isinstance(value, Mapping) and key != "arguments":
            merged[key] = merge(merged[key], value)
        elif not (below and value is None and key not in _AS_A_WHOLE):
            merged[key] = value
    return merged
