"""The kinds of values that settings take: text on one line, files, names of folders, amounts of memory.

A validator raises `InputError` with what is wrong and a remedy; `mistakes.py` adds the place. What holds of a
config alone, such as that its files are there, is checked where the validation's context asks for it.
"""

import difflib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidationInfo, WithJsonSchema

from genolift.errors import InputError
from genolift.files.plain_values import shown
from genolift.files.whole import existing_file
from genolift.settings.database import GROUPS, database_name, jaspar_group
from genolift.settings.folder_names import analysis_name, model_name, names_differ, results_folder

FILES, PART = "files", "part"
"""What a validation's context may ask for: that files are there, and what else only a config must be; and
that keys are let be missing or disagree, since they are a part that others are put over (`defaults`)."""
_LEAST_MEMORY, _MOST_MEMORY = 10**8, 10**15  # bytes; Python with torch alone takes more than the least
_MEMORY = r"^[0-9]{1,15}([.][0-9]{1,15})? ?([kKMGT]i?)?B?$"
# YAML 1.1, which Snakemake reads, takes 1e-3 for text, since it has no point.
_NUMBER_WITHOUT_POINT = re.compile(r"[+-]?[0-9]+[eE][+-]?[0-9]+")
_FREQUENCIES_ROUNDING = 1e-3
T = TypeVar("T")


def asked(info: ValidationInfo, what: str) -> bool:
    """Whether the validation's context asks for `FILES` or `PART`."""
    return bool(info.context and what in info.context)


def _one_line(text: str) -> str:
    """Refuse text that holds a line break or a tab."""
    if "\n" in text or "\t" in text:
        remedy = "write it on one line, without tabs; YAML's > and | add a line break, >- and |- do not"
        raise InputError("holds a line break or a tab", remedy=remedy)
    return text


class FileName(str):
    """The name of a file that is read: a section finds by it the files of all its keys."""

    __slots__ = ()


def one_spelling(path: str) -> str:
    """Return a path in one spelling, however it was written: from the working directory where it is within,
    else from the root. Snakemake takes another spelling for another file, and would run what uses it again.
    """
    here, full = Path.cwd(), Path(os.path.abspath(path))  # noqa: PTH100 - a link stays what it is called
    return str(full.relative_to(here) if full.is_relative_to(here) else full)


def _existing_file(file: str, info: ValidationInfo) -> FileName:
    if asked(info, FILES):
        existing_file(file)
        file = one_spelling(file)
    return FileName(file)


def _memory(amount: Any) -> Any:
    if isinstance(amount, str) and not re.fullmatch(_MEMORY, amount, re.IGNORECASE):
        raise InputError(f"{shown(amount)} cannot be read", remedy="write it like 4GB, 500MB")
    return amount


def _database(name: str, info: ValidationInfo) -> str:
    group = jaspar_group(name)
    if group is None:
        return _existing_file(name, info)
    if group not in GROUPS:
        near = difflib.get_close_matches(group, GROUPS, 1)
        remedy = f"did you mean 'jaspar:{near[0]}'?" if near else f"JASPAR has {', '.join(GROUPS)}"
        raise InputError(f"'{name}' is not a group of JASPAR CORE", remedy=remedy)
    return database_name(name)


def _frequencies(frequencies: tuple[float, ...]) -> tuple[float, ...]:
    if abs(sum(frequencies) - 1) > _FREQUENCIES_ROUNDING:
        remedy = "give fractions of A, C, G and T that add up to 1"
        raise InputError(f"the frequencies add up to {sum(frequencies):g}", remedy=remedy)
    return frequencies


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _NUMBER_WITHOUT_POINT.fullmatch(value) else value


def _whole(value: Any) -> Any:
    """Tools that write JSON may know no whole numbers, and write 20.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _path_as_text(value: Any) -> Any:
    """Return a path as text; whatever else as it is."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def or_a_file(schema: dict[str, Any]) -> None:
    """Let the schema of a section take a file's name too."""
    section = {key: schema.pop(key) for key in ("type", "additionalProperties", "minProperties")}
    schema["anyOf"] = [section, {"type": "string", "format": "file"}]


def without_nulls(keys: Any) -> Any:
    """Return the keys that are set, None where none is."""
    if isinstance(keys, Mapping):
        keys = {name: value for name, value in keys.items() if value is not None}
    return keys or None


def _target(given: Any) -> Any:
    """Refuse what YAML makes of a target without quotes: a list, or a number with a point."""
    if isinstance(given, list | tuple):
        quoted = json.dumps(f"[{', '.join(map(str, given))}]")
        remedy = f"put a place in an output in quotes, {quoted}; several targets are the key 'targets'"
        raise InputError(f"{shown(given)} is a list", remedy=remedy)
    if isinstance(given, bool | float):
        what = "true or false" if isinstance(given, bool) else "a number with a point"
        raise InputError(
            f"{shown(given)} is {what}", remedy=f'put a name or path in quotes, "{shown(given)}"'
        )
    return given


def _targets(given: Any) -> Any:
    """Refuse one target in the place of a list."""
    if isinstance(given, int | float) or (isinstance(given, str) and given.split()[:1] != ["all"]):
        one = shown(_target(given))
        raise InputError(f"{one} is one target", remedy=f"write [{one}], or all; or give it as 'target'")
    return given


NUMBER, WHOLE = BeforeValidator(_number), BeforeValidator(_whole)
"""They stand behind the bounds: pydantic leaves bounds that follow a validator out of the JSON schema."""
EMPTY_IF_NULL = BeforeValidator(lambda given: {} if given is None else given)
NAMES_DIFFER = AfterValidator(names_differ)
IS_FILE = WithJsonSchema({"type": "string", "format": "file"})
ONE_LINE = AfterValidator(_one_line)
Text = Annotated[str, BeforeValidator(_path_as_text), ONE_LINE]
File = Annotated[Text, AfterValidator(_existing_file), IS_FILE]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?)$")]
Database = Annotated[Text, AfterValidator(_database)]
Title = Annotated[str, Field(min_length=1, max_length=1000), ONE_LINE]
Results = Annotated[
    str, Field(pattern=r"^[^{}]+$", max_length=2000), ONE_LINE, AfterValidator(results_folder)
]
_MEMORY_IN_BYTES = {"type": "integer", "minimum": _LEAST_MEMORY, "maximum": _MOST_MEMORY}
Memory = Annotated[
    ByteSize,
    Field(ge=_LEAST_MEMORY, le=_MOST_MEMORY),
    BeforeValidator(_memory),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _MEMORY}, _MEMORY_IN_BYTES]}),
]
"""Bytes, or text such as 4GB (decimal) or 4GiB (binary)."""

Value = Annotated[float, Field(ge=-1e38, le=1e38), NUMBER]
"""One that float32 can hold."""
Positions = Annotated[int, Field(ge=1, le=100_000_000), WHOLE]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1), WHOLE]
Target = Annotated[Annotated[int, Field(ge=0, le=10_000_000)] | Title, BeforeValidator(_target)]
Targets = Annotated[
    Annotated[tuple[Target, ...], Field(strict=False, min_length=1)]
    | Annotated[str, Field(pattern=r"^all( [1-9][0-9]{0,6})?$")],
    BeforeValidator(_targets),
]
BatchSize = Annotated[int, Field(ge=1, le=10_000_000), WHOLE] | Literal["auto"]
ListOf = Annotated[tuple[T, ...], Field(strict=False)]
Filled = Annotated[tuple[T, ...], Field(strict=False, min_length=1)]
Fraction = Annotated[float, Field(ge=0, le=1), NUMBER]
Frequencies = Annotated[
    tuple[Fraction, ...], Field(strict=False, min_length=4, max_length=4), AfterValidator(_frequencies)
]
NamedModel = Annotated[str, AfterValidator(model_name)]
NamedAnalysis = Annotated[str, AfterValidator(analysis_name)]
