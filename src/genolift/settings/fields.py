"""What a section of the config is made of: fields, each with all that is known of its key, and checks."""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from genolift.settings.types import FILES, PART, FileName, asked

_AS_A_WHOLE = ("arguments", "expect")
"""Keys that null empties; of another section, null says nothing."""
RUNNING = Field(json_schema_extra={"running": True})
"""Of a key that says only how something is run: a change of it makes nothing out of date."""

WORKFLOW = Field(json_schema_extra={"running": True, "flag": ""})
"""Of such a key that the workflow alone reads: no command has a flag for it."""


def flag(name: str) -> Any:
    """Return the annotation of a key whose flag is not called as the key is."""
    return Field(json_schema_extra={"flag": name})


@cache
def _texts_under_fields(module: str) -> Mapping[tuple[str, str], str]:
    """Return the text under each field of a module's classes, by the names of both.

    pydantic's ``use_attribute_docstrings`` does the same, but goes through all imported modules for each
    class: a quarter of a second in Snakemake's process.
    """
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:  # there is no source
        return {}
    texts = {}
    for each in tree.body:
        if isinstance(each, ast.ClassDef):
            for field, below in pairwise(each.body):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                        texts[each.name, name] = text
    return texts


class Section(BaseModel):
    """Some keys: no others, each of its own type. A section that is left empty has its defaults.

    The text under a field says what its key means: the docs, ``--help`` and editors show it.
    """

    model_config = ConfigDict(
        allow_inf_nan=False,
        defer_build=True,
        extra="forbid",
        frozen=True,
        ser_json_inf_nan="constants",  # a model's arguments may be infinite
        strict=True,
        validate_by_name=True,
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **given: Any) -> None:
        texts = _texts_under_fields(cls.__module__)
        for name, field in cls.model_fields.items():
            field.description = field.description or texts.get((cls.__name__, name))
            field.description = field.description and " ".join(field.description.split())

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, given: Any) -> Any:
        return {} if given is None else given

    @property
    def files(self) -> tuple[str, ...]:
        """The files that its keys name, each once."""
        return tuple(dict.fromkeys(file for _, file in self.named_files()))

    def named_files(self) -> Iterator[tuple[str, str]]:
        """Yield the files that its keys name, each with its key, such as ``references.fasta``."""
        for name, field in type(self).model_fields.items():
            yield from _files_in(getattr(self, name), field.alias or name)

    def keys(self) -> dict[str, Any]:
        """Return the keys that are not at their defaults, as plain values, for a config or as JSON."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _files_in(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, FileName):
        yield key, str(value)
    elif isinstance(value, Section):
        yield from ((f"{key}.{inside}", file) for inside, file in value.named_files())
    elif isinstance(value, dict):
        yield from (found for name, each in value.items() for found in _files_in(each, f"{key}.{name}"))
    elif isinstance(value, tuple):
        yield from (found for i, each in enumerate(value) for found in _files_in(each, f"{key}[{i}]"))


def together(check: Callable[[Any], None], *, asks: str | None = None) -> Any:
    """Make a validator of whether keys go together, which is left out for a part of a config.

    The check raises `InputError`; a ``where`` that begins with a dot is a key within the section.
    """

    def run(section: Any, info: ValidationInfo) -> Any:
        if not asked(info, PART) and (asks is None or asked(info, asks)):
            check(section)
        return section

    return model_validator(mode="after")(run)


in_a_config = partial(together, asks=FILES)
"""The same of a whole config, which a command's flags need not be."""


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


def placed(place: Sequence[str], value: Any) -> Any:
    """Return a value at its place: ``{"model": {"class": value}}``."""
    for name in reversed(place):
        value = {name: value}
    return value
