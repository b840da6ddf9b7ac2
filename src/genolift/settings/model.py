"""Where a model is, how it is made and how it reads DNA: the config's section ``model``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationInfo

from genolift.errors import InputError
from genolift.files.code import check_not_pythons, code_files
from genolift.files.of_models import existing_model, model_files, sharded
from genolift.files.pickled_code import pickled_code_files
from genolift.files.whole import existing_file
from genolift.settings import types
from genolift.settings.fields import Section, flag, in_a_config
from genolift.settings.mistakes import checked
from genolift.settings.types import FILES, NUMBER, File, Positions, Text, asked

BASES_FIRST = "bases,length"
AXES = (
    *(BASES_FIRST, "length,bases", "1,bases,length", "1,length,bases"),
    *("bases,length,1", "length,bases,1", "bases,1,length", "length,1,bases"),
)
"""The axes that models have, the usual first."""
_MOST_AXES_OF_ONE = 2
ONE_MODEL = "model"
"""What the one model of an analysis is called where the user gives it no name."""


def axes_of(axes: str) -> tuple[str, ...]:
    """Return the names of axes, "1", "bases" and "length", in order."""
    return tuple(name for name in re.split(r"[\s,()]+", axes.lower()) if name)


def is_rna(alphabet: str) -> bool:
    """Whether an alphabet has U in the place of T."""
    return "U" in _alphabet(alphabet).upper()


def _existing_model(path: str, info: ValidationInfo) -> str:
    if not path:
        raise InputError("is empty text", remedy="name the model's file")
    if asked(info, FILES):
        existing_model(path, where="")
        path = types.one_spelling(path)
    return path


def _model_class(name: str, info: ValidationInfo) -> str:
    location = name.rpartition(":")[0]
    if asked(info, FILES):
        check_not_pythons(location, "")
        if location.endswith(".py"):
            existing_file(location)
            name = f"{types.one_spelling(location)}:{name.rpartition(':')[2]}"
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
        raise InputError(f"{digest!r} is not a SHA-256", remedy="write the 64 digits that sha256sum prints")
    return digest


def _alphabet(alphabet: str) -> str:
    letters = sorted(alphabet.upper().replace("U", "T").replace("N", ""))
    if letters != list("ACGT") or alphabet.upper().count("N") > 1:
        raise InputError(
            f"{alphabet!r} is not an alphabet",
            remedy="write the letter of each channel in order, such as ACGT, ACGU, AGCT or ACGTN",
        )
    return alphabet


def _axes(axes: str) -> str:
    names = axes_of(axes)
    ones = len(names) - 2
    if sorted(names) != ["1"] * ones + ["bases", "length"] or ones > _MOST_AXES_OF_ONE:
        remedy = 'name the axes of one input in order, such as "bases,length", "length,bases" or '
        raise InputError(f"{axes!r} are not axes of an input", remedy=f'{remedy}"1,length,bases"')
    return axes


_CLASS = r"^[^:]+:[A-Za-z_][A-Za-z0-9_.]*$"
ModelPath = Annotated[Text, AfterValidator(_existing_model), types.IS_FILE]
ModelClass = Annotated[str, Field(pattern=_CLASS), types.ONE_LINE, AfterValidator(_model_class)]
Arguments = Annotated[dict[str, Any], types.EMPTY_IF_NULL, AfterValidator(_arguments)]
Sha256 = Annotated[Text, AfterValidator(_sha256)]
Alphabet = Annotated[Text, AfterValidator(_alphabet)]
Axes = Annotated[Text, AfterValidator(_axes)]


class Expect(Section):
    """A few inputs, and the outputs that the author's own framework gave for them."""

    inputs: Annotated[File, flag("expect-inputs")]
    """a few inputs, arrays (`.npz`) or FASTA"""
    outputs: Annotated[File, flag("expect-outputs")]
    """what the author's framework gave for them: arrays (`.npz`, the same file or another) or a table by
    sequence id
    """
    tolerance: Annotated[float, Field(ge=1e-12, le=1), NUMBER, flag("expect-tolerance")] = 1e-4
    """largest difference from the author's outputs, as a share of the largest of them"""


class ModelSpec(Section):
    """Where a model is, how it is made and how it reads DNA."""

    path: Annotated[ModelPath, flag("model")]
    """the model: a state dict (`.pt`, `.pth`, `.ckpt`), `.safetensors`, an exported program (`.pt2`), Keras's
    `.keras`, `.h5`, `.json` or `.yaml`, a Hugging Face folder, or the index of its shards
    """
    class_name: Annotated[
        ModelClass | None,
        Field(alias="class", examples=["path/to/model.py:Class", "package.module:Class"]),
        flag("model-class"),
    ] = None
    """the class to put the weights in, or a function that makes the module"""
    arguments: Annotated[Arguments, flag("model-arguments")] = Field(default={})
    """keyword arguments of the class"""
    sha256: Annotated[Sha256 | None, flag("model-sha256")] = None
    """the SHA-256 that the model's file must have, as `sha256sum` prints it"""
    weights: Annotated[File | None, flag("model-weights")] = None
    """the weights of a Keras architecture (`.json`, `.yaml`)"""
    custom_layers: File | None = None
    """a Python file of torch functions, for layers that Keras does not have"""
    axes: Annotated[Axes | None, Field(examples=["length,bases", "1,length,bases"])] = None
    """the axes of one input in order, `1` for an axis of one; by default what the model says, else
    `bases,length`
    """
    alphabet: Annotated[Alphabet, Field(examples=["ACGU", "AGCT", "ACGTN"])] = "ACGT"
    """the letter of each channel in order"""
    input_length: Positions | None = None
    """bases of the model's input, where the model does not say it"""
    trust: Annotated[bool, flag("trust-pickle")] = False
    """read a pickled model or TorchScript, or call a function of a package, which can run any code"""
    expect: Annotated[Expect | None, BeforeValidator(types.without_nulls)] = None
    """a few inputs with the outputs that the author's own framework gave, to compare the model with"""
    _extra_channels: int = PrivateAttr(0)
    _tracks: str | None = PrivateAttr(None)

    @classmethod
    def of(cls, spec: str | Path | Mapping[str, Any] | ModelSpec) -> ModelSpec:
        """Return the model of a path, or of the keys of the config's section ``model``; in Python with
        ``extra_channels``, their number, too.

        Raises
        ------
        InputError
            If a key is not known, there is no path, or a value is not of its key's type.
        """
        if isinstance(spec, ModelSpec):
            return spec
        if isinstance(spec, str | Path):
            return cls(path=str(spec))
        if not isinstance(spec, Mapping):
            raise InputError(
                f"is a {type(spec).__name__}",
                where="model",
                remedy="give a path, or a mapping with path and, for weights, class",
            )
        keys = {name: value for name, value in spec.items() if value is not None}
        extra = keys.pop("extra_channels", 0)
        return checked(cls, keys, "model").within(extra)

    @in_a_config
    def _has_a_class(self) -> None:
        """`genolift inspect` describes weights without a class."""
        holds_weights = self.path.endswith(".safetensors") or sharded(self.path) is not None
        if self.class_name is None and holds_weights:
            raise InputError(
                f"{self.path} holds weights but no model",
                remedy="name the class to put them in, class: path/to/model.py:Class",
            )

    @property
    def extra_channels(self) -> int:
        """Channels of the model's input behind those of the alphabet, which are given apart."""
        return self._extra_channels

    @property
    def tracks(self) -> str | None:
        """The table of the names of its tracks, which is given apart."""
        return self._tracks

    def within(self, extra_channels: int, tracks: str | None = None) -> ModelSpec:
        """Return the same model with what an analysis gives it beside its section."""
        changed = self.model_copy()
        changed._extra_channels, changed._tracks = extra_channels, tracks
        return changed

    def named_files(self) -> Iterator[tuple[str, str]]:
        """Yield the files that the model is made from and compared with, each with its key, and what its own
        code imports from its folder.

        Raises
        ------
        InputError
            If an index names shards that are not there.
        """
        files = model_files(self.path) if self.path else ()
        yield from (("path", file) for file in files)
        yield from (("class", str(path)) for place in self.code for path in code_files(place).values())
        yield from super().named_files()
        if self.tracks is not None:
            yield "tracks", self.tracks
        if self.trust:
            pickled = (path for file in files for path in pickled_code_files(Path(file)).values())
            yield from (("trust", str(path)) for path in pickled)

    @property
    def code(self) -> tuple[str, ...]:
        """Where the model's code is, each "path/to/model.py" or "package.module"."""
        location = (self.class_name or "").rpartition(":")[0]
        return tuple(place for place in (location, self.custom_layers) if place)
