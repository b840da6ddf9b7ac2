"""The kinds of values that settings take: text on one line, files, names of folders, amounts of memory.

A validator raises `InputError` with what is wrong and a remedy; `mistakes.py` adds the place. What holds of a
config alone, such as that its files are there, is checked where the validation's context asks for it.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    Strict,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from genolift.errors import InputError
from genolift.files.code import check_not_pythons
from genolift.files.of_models import existing_model
from genolift.files.plain_values import shown
from genolift.files.whole import existing_file
from genolift.settings.database import GROUPS, database_name, jaspar_group
from genolift.settings.folder_names import check_folder_name, check_names_differ, check_results_folder

FILES, PART = "files", "part"
"""What a validation's context may ask for: that files are there, and what else only a config must be; and
that keys are let be missing or disagree, since they are a part that others are put over (`defaults`)."""
BASES_FIRST = "bases,length"
AXES = (
    BASES_FIRST,
    "length,bases",
    "1,bases,length",
    "1,length,bases",
    "bases,length,1",
    "length,bases,1",
    "bases,1,length",
    "length,1,bases",
)
"""The axes that models have, the usual first."""
_MOST_AXES_OF_ONE = 2
_LEAST_MEMORY, _MOST_MEMORY = 10**8, 10**15  # bytes; Python with torch alone takes more than the least
_MEMORY = r"^[0-9]{1,15}([.][0-9]{1,15})? ?([kKMGT]i?)?B?$"
# YAML 1.1, which Snakemake reads, takes 1e-3 for text, since it has no point.
_NUMBER_WITHOUT_POINT = re.compile(r"[+-]?[0-9]+[eE][+-]?[0-9]+")
_FREQUENCIES_ROUNDING = 1e-3
T = TypeVar("T")


def asked(info: ValidationInfo, what: str) -> bool:
    """Whether the validation's context asks for `FILES` or `PART`."""
    return bool(info.context and what in info.context)


def axes_of(axes: str) -> tuple[str, ...]:
    """Return the names of axes, "1", "bases" and "length", in order."""
    return tuple(name for name in re.split(r"[\s,()]+", axes.lower()) if name)


def _one_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        remedy = "write it on one line, without tabs; YAML's > and | add a line break, >- and |- do not"
        raise InputError("holds a line break or a tab", remedy=remedy)
    return text


def _existing_file(file: str, info: ValidationInfo) -> str:
    if asked(info, FILES):
        existing_file(file)
    return file


def _existing_model(path: str, info: ValidationInfo) -> str:
    if asked(info, FILES):
        existing_model(path, where="")
    return path


def _model_class(name: str, info: ValidationInfo) -> str:
    location = name.rpartition(":")[0]
    if asked(info, FILES):
        check_not_pythons(location, "")
        if location.endswith(".py"):
            existing_file(location)
    return name


def _arguments(arguments: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    try:
        if asked(info, FILES):  # a caller in Python may give any object
            json.dumps(arguments)
    except TypeError as error:
        remedy = "put dates and the like in quotes"
        raise InputError(f"holds a value that is not plain ({error})", remedy=remedy) from error
    return arguments


def _sha256(digest: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", digest):
        raise InputError(f"{digest!r} is no SHA-256", remedy="write the 64 digits that sha256sum prints")
    return digest


def _alphabet(alphabet: str) -> str:
    letters = sorted(alphabet.upper().replace("U", "T").replace("N", ""))
    if letters != list("ACGT") or alphabet.upper().count("N") > 1:
        raise InputError(
            f"{alphabet!r} is no alphabet",
            remedy="write the letter of each channel in order, such as ACGT, ACGU, AGCT or ACGTN",
        )
    return alphabet


def _axes(axes: str) -> str:
    names = axes_of(axes)
    ones = len(names) - 2
    if sorted(names) != ["1"] * ones + ["bases", "length"] or ones > _MOST_AXES_OF_ONE:
        remedy = 'name the axes of one input in order, such as "bases,length", "length,bases" or '
        raise InputError(f"{axes!r} are no axes", remedy=f'{remedy}"1,length,bases"')
    return axes


def _memory(amount: Any) -> Any:
    if isinstance(amount, str) and not re.fullmatch(_MEMORY, amount, re.IGNORECASE):
        raise InputError(f"{shown(amount)} cannot be read", remedy="write it like 4GB, 500MB")
    return amount


def _enough_memory(amount: ByteSize) -> ByteSize:
    if not _LEAST_MEMORY <= amount <= _MOST_MEMORY:
        less = amount < _LEAST_MEMORY
        what = "less than Python and torch take by themselves" if less else "more than any machine has"
        remedy = "give 1GB or more" if less else "give 1000TB or less"
        raise InputError(f"{amount.human_readable(decimal=True)} is {what}", remedy=remedy)
    return amount


def _database(name: str, info: ValidationInfo) -> str:
    group = jaspar_group(name)
    if group is None:
        return _existing_file(name, info)
    if group not in GROUPS:
        near = difflib.get_close_matches(group, GROUPS, 1)
        remedy = f"did you mean 'jaspar:{near[0]}'?" if near else f"JASPAR has {', '.join(GROUPS)}"
        raise InputError(f"'{name}' is no group of JASPAR's", remedy=remedy)
    return database_name(name)


def _frequencies(frequencies: tuple[float, ...]) -> tuple[float, ...]:
    if abs(sum(frequencies) - 1) > _FREQUENCIES_ROUNDING:
        raise InputError(
            f"the frequencies add up to {sum(frequencies):g}",
            remedy="give fractions of A, C, G and T that add up to 1",
        )
    return frequencies


def _results(folder: str) -> str:
    check_results_folder(folder, "")
    return str(Path(folder))  # in Snakemake's spelling: without a "./" before or a "/" behind


def _analysis_name(name: str) -> str:
    check_folder_name(name, "an analysis", "")
    return name


def _model_name(name: str) -> str:
    if name == "sd":
        raise InputError(
            "'sd' is no name for a model",
            remedy="choose another, since the column output_sd is the models' standard deviation",
        )
    check_folder_name(name, "a model", "")
    return name


def names_differ(named: dict[str, T]) -> dict[str, T]:
    """Refuse names that differ in upper and lower case only."""
    check_names_differ(named, "")
    return named


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _NUMBER_WITHOUT_POINT.fullmatch(value) else value


def _path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def without_nulls(keys: Any) -> Any:
    """Return the keys that are set, None where none is."""
    if isinstance(keys, Mapping):
        keys = {name: value for name, value in keys.items() if value is not None}
    return keys or None


def no_keys_if_empty(given: Any) -> Any:
    """Return no keys for an empty section."""
    return {} if given is None else given


Text = Annotated[str, BeforeValidator(_path), AfterValidator(_one_line)]
File = Annotated[Text, AfterValidator(_existing_file)]
ModelPath = Annotated[Text, AfterValidator(_existing_model)]
ModelClass = Annotated[
    str,
    StringConstraints(pattern=r"^[^:]+:[A-Za-z_][A-Za-z0-9_.]*$"),
    AfterValidator(_one_line),
    AfterValidator(_model_class),
]
Arguments = Annotated[dict[str, Any], BeforeValidator(no_keys_if_empty), AfterValidator(_arguments)]
Sha256 = Annotated[Text, AfterValidator(_sha256)]
Alphabet = Annotated[Text, AfterValidator(_alphabet)]
Axes = Annotated[Text, AfterValidator(_axes)]
Device = Annotated[
    str, StringConstraints(pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?)$"), AfterValidator(_one_line)
]
Database = Annotated[Text, AfterValidator(_database)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_one_line)]
Results = Annotated[
    str,
    StringConstraints(pattern=r"^[^{}]+$", max_length=2000),
    AfterValidator(_one_line),
    AfterValidator(_results),
]
Memory = Annotated[
    ByteSize,
    BeforeValidator(_memory),
    AfterValidator(_enough_memory),
    WithJsonSchema({"type": "string", "pattern": _MEMORY}),
]
"""Bytes, from text such as 4GB (decimal) or 4GiB (binary)."""

Number = Annotated[float, BeforeValidator(_number)]
Value = Annotated[Number, Field(ge=-1e38, le=1e38)]
"""One that float32 can hold."""
Positions = Annotated[int, Field(ge=1, le=100_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Target = Annotated[int, Field(ge=0, le=10_000_000)] | Title
BatchSize = Annotated[int, Field(ge=1, le=10_000_000)] | Literal["auto"]
ListOf = Annotated[tuple[T, ...], Strict(False)]
Filled = Annotated[tuple[T, ...], Strict(False), Field(min_length=1)]
Frequencies = Annotated[
    tuple[Annotated[Number, Field(ge=0, le=1)], ...],
    Strict(False),
    Field(min_length=4, max_length=4),
    AfterValidator(_frequencies),
]
NamedModel = Annotated[str, AfterValidator(_model_name)]
NamedAnalysis = Annotated[str, AfterValidator(_analysis_name)]
