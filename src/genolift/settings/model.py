"""Where a model is, how it is made and how it reads DNA: the config's ``model:`` section as a type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

from genolift.errors import InputError, unknown_key
from genolift.files.code import code_files
from genolift.files.of_models import model_files
from genolift.files.pickled_code import pickled_code_files
from genolift.settings.expect import Expect
from genolift.settings.folder_names import check_folder_name

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
ONE_MODEL = "model"
"""What the one model of an analysis is called where the user gives it no name."""
_MOST_AXES_OF_ONE = 2


@dataclass(frozen=True)
class ModelSpec:
    """Where a model is, how it is made and how it reads DNA."""

    path: str
    """A state dict (.pt, .pth, .ckpt), .safetensors, an exported program (.pt2), or Keras's .keras, .h5,
    .json or .yaml; of weights in shards their index, or a folder with config.json and weights as Hugging
    Face has."""
    class_name: str | None = None
    """The class to put weights in, "path/to/model.py:Class" or "package.module:Class"."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the class."""
    sha256: str | None = None
    """The SHA-256 that the file at ``path`` must have, in hexadecimal; None where any is taken."""
    weights: str | None = None
    """The file of weights where ``path`` holds the architecture alone, as Keras's .json does."""
    custom_layers: str | None = None
    """A Python file of torch functions, for the layers of a Keras model that Keras does not have."""
    input_length: int | None = None
    """Positions of the input, in base pairs, where the model does not say it."""
    axes: str | None = None
    """The axes of the model's input after the row's, such as "length,bases" or "1,bases,length"; None for
    what the model says, else "bases,length"."""
    alphabet: str = "ACGT"
    """The letter of each of the model's channels in order: A, C, G, and T or U, and perhaps N."""
    extra_channels: int = 0
    """Channels beyond those of the alphabet, which the model's input has behind them. They are given apart,
    (n, channels, length), as the first of ``extra_inputs``."""
    trust: bool = False
    """Read a pickled module or TorchScript, which can run any code that its author put in it, or call a
    function of a package."""
    expect: Expect | None = None
    """A few inputs with the outputs that the author's own framework gave, to compare with."""

    def __post_init__(self) -> None:
        check_alphabet(self.alphabet, "model.alphabet")
        if self.sha256 is not None:
            check_sha256(self.sha256, "model.sha256")
        if self.axes is not None:
            check_axes(self.axes, "model.axes")

    @classmethod
    def of(cls, spec: str | Path | Mapping[str, Any] | ModelSpec) -> ModelSpec:
        """Return the spec given as a path, or as the config's mapping, whose keys are this class's, with
        ``class`` for ``class_name``.

        Raises
        ------
        InputError
            If a key is not known, or there is no path, or axes, alphabet or SHA-256 are none.
        """
        if isinstance(spec, ModelSpec):
            return spec
        if isinstance(spec, (str, Path)):
            return cls(str(spec))
        known = ["class" if each.name == "class_name" else each.name for each in fields_of(cls)]
        if not isinstance(spec, Mapping):
            raise InputError(
                f"is a {type(spec).__name__}",
                where="model",
                remedy=f"give a path, or a mapping with {', '.join(known)}",
            )
        for key in spec:
            if key not in known:
                raise unknown_key(key, known, "model")
        if not spec.get("path"):
            raise InputError("is missing", where="model.path", remedy="name the model's file")
        given = {("class_name" if key == "class" else str(key)): value for key, value in spec.items()}
        arguments = given.get("arguments") or {}
        if not isinstance(arguments, Mapping):
            raise InputError(
                f"is a {type(arguments).__name__}", where="model.arguments", remedy="give them by name"
            )
        given |= {
            "path": str(spec["path"]),
            "arguments": arguments,
            "trust": spec.get("trust", False) is True,  # "false", a string, is no trust
            "expect": Expect.of(spec.get("expect")),
        }
        return cls(**{key: value for key, value in given.items() if value is not None})

    def keys(self) -> dict[str, Any]:
        """Return the config's keys that make this spec, as `of` takes them."""
        given = {each.name: getattr(self, each.name) for each in fields_of(self)}
        given["expect"] = None if self.expect is None else self.expect.keys()
        return {("class" if name == "class_name" else name): value for name, value in given.items()}

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the model is made from, those that its own code imports from its folder too, and
        those that it is compared with.

        Raises
        ------
        InputError
            If an index names shards that are not there.
        """
        named = [*model_files(self.path), *([self.weights] if self.weights else [])]
        code = [str(path) for location in self.code for path in code_files(location).values()]
        if self.trust:
            pickles = map(Path, model_files(self.path))
            code += [str(path) for pickle in pickles for path in pickled_code_files(pickle).values()]
        expected = () if self.expect is None else self.expect.files
        return tuple(dict.fromkeys([*named, *code, *expected]))

    @property
    def code(self) -> tuple[str, ...]:
        """Where the model's code is, each "path/to/model.py" or "package.module"."""
        location = (self.class_name or "").rpartition(":")[0]
        return tuple(place for place in (location, self.custom_layers) if place)


def check_model_name(name: str, where: str) -> None:
    """Raise `InputError` if a model's name is none for a folder, or would give a column another's name."""
    if name == "sd":
        raise InputError(
            "'sd' is no name for a model",
            where=where,
            remedy="choose another, since the column output_sd is the models' standard deviation",
        )
    check_folder_name(name, "a model", where)


def check_sha256(digest: str, where: str) -> None:
    """Raise `InputError` if a text is no SHA-256 in hexadecimal."""
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", str(digest)):
        raise InputError(
            f"{digest!r} is no SHA-256", where=where, remedy="write the 64 digits that sha256sum prints"
        )


def check_alphabet(alphabet: str, where: str) -> None:
    """Raise `InputError` if an alphabet is not of A, C, G, and T or U, each once, and N at most once."""
    letters = sorted(str(alphabet).upper().replace("U", "T").replace("N", ""))
    if letters != list("ACGT") or str(alphabet).upper().count("N") > 1:
        raise InputError(
            f"{alphabet!r} is no alphabet",
            where=where,
            remedy="write the letter of each channel in order, such as ACGT, ACGU, AGCT or ACGTN",
        )


def is_rna(alphabet: str) -> bool:
    """Whether an alphabet has U in the place of T.

    Raises
    ------
    InputError
        If it is none.
    """
    check_alphabet(alphabet, "model.alphabet")
    return "U" in alphabet.upper()


def check_axes(axes: str, where: str) -> None:
    """Raise `InputError` if axes are not bases and length, each once, and at most two axes of one."""
    names = axes_of(axes)
    ones = len(names) - 2
    if sorted(names) != ["1"] * ones + ["bases", "length"] or ones > _MOST_AXES_OF_ONE:
        raise InputError(
            f"{axes!r} are no axes",
            where=where,
            remedy='name the axes of one input in order, such as "bases,length", "length,bases" or '
            '"1,length,bases"',
        )


def axes_of(axes: str) -> tuple[str, ...]:
    """Return the names of axes, "1", "bases" and "length", in order."""
    return tuple(name for name in re.split(r"[\s,()]+", str(axes).lower()) if name)
