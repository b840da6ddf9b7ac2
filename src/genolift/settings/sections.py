"""Every key of the config, once: a field with its type, default, bounds, help and examples.

Validation, the JSON schema, the table in config/README.md, the commands' flags and what a rule hands its
command are made from these fields. The section ``model`` is `ModelSpec`, since a `genolift.models.Model` is
one that has been read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticUndefined

from genolift.errors import InputError
from genolift.files.code import code_files
from genolift.files.of_models import model_files, sharded
from genolift.files.pickled_code import pickled_code_files
from genolift.settings import types
from genolift.settings.types import File, Filled, ListOf, Number, Positions, Seed, Text, Value

ONE_MODEL = "model"
"""What the one model of an analysis is called where the user gives it no name."""
Rule = Literal["genomics-default", "rescale", "revealcancel"]
Precision = Literal["float32", "float64", "tf32", "bfloat16"]
ReferenceKind = Literal["dinucleotide_shuffle", "uniform_shuffle", "zeros", "base_frequencies", "fasta"]
REQUIRED = PydanticUndefined


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
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True
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
        if not types.asked(info, types.PART):
            check(section)
        return section

    return model_validator(mode="after")(run)


class Expect(Section):
    """A few inputs, and the outputs that the author's own framework gave for them."""

    inputs: File = key(REQUIRED, "a few inputs, arrays (`.npz`) or FASTA", flag="expect-inputs")
    outputs: File = key(
        REQUIRED,
        "what the author's framework gave for them: arrays (`.npz`, the same file or another) or a table by "
        "sequence id",
        flag="expect-outputs",
    )
    tolerance: Number = key(
        1e-4,
        "largest difference from the author's outputs, as a share of the largest of them",
        flag="expect-tolerance",
        ge=1e-12,
        le=1,
    )

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are read, each once."""
        return tuple(dict.fromkeys((self.inputs, self.outputs)))


class ModelSpec(Section):
    """Where a model is, how it is made and how it reads DNA."""

    path: types.ModelPath = key(
        REQUIRED,
        "the model: a state dict (`.pt`, `.pth`, `.ckpt`), `.safetensors`, an exported program (`.pt2`), "
        "Keras's `.keras`, `.h5`, `.json` or `.yaml`, a Hugging Face folder, or the index of its shards",
        flag="model",
    )
    class_name: types.ModelClass | None = key(
        None,
        "the class to put the weights in, or a function that makes the module",
        alias="class",
        flag="model-class",
        examples=["path/to/model.py:Class", "package.module:Class"],
    )
    arguments: types.Arguments = key({}, "keyword arguments of the class", flag="model-arguments")
    sha256: types.Sha256 | None = key(
        None, "the SHA-256 that the model's file must have, as `sha256sum` prints it", flag="model-sha256"
    )
    weights: File | None = key(
        None, "the weights of a Keras architecture (`.json`, `.yaml`)", flag="model-weights"
    )
    custom_layers: File | None = key(
        None, "a Python file of torch functions, for layers that Keras does not have"
    )
    axes: types.Axes | None = key(
        None,
        "the axes of one input in order, `1` for an axis of one; by default what the model says, else "
        "`bases,length`",
        examples=["length,bases", "1,length,bases"],
    )
    alphabet: types.Alphabet = key(
        "ACGT", "the letter of each channel in order", examples=["ACGU", "AGCT", "ACGTN"]
    )
    input_length: Positions | None = key(None, "bases of the model's input, where the model does not say it")
    trust: bool = key(
        False,
        "read a pickled model or TorchScript, or call a function of a package, which can run any code",
        flag="trust-pickle",
    )
    expect: Annotated[Expect | None, BeforeValidator(types.without_nulls)] = key(
        None, "a few inputs with the outputs that the author's own framework gave, to compare the model with"
    )
    _extra_channels: int = PrivateAttr(0)

    @classmethod
    def of(cls, spec: str | Path | Mapping[str, Any] | ModelSpec) -> ModelSpec:
        """Return the model that a path names, or the keys of the config's section ``model``.

        Raises
        ------
        InputError
            If a key is not known, there is no path, or a value is not of its key's type.
        """
        from genolift.settings.mistakes import checked

        if isinstance(spec, ModelSpec):
            return spec
        if isinstance(spec, str | Path):
            return cls(path=str(spec))
        if isinstance(spec, Mapping):
            spec = {name: value for name, value in spec.items() if value is not None}
        return checked(cls, spec, "model")

    @model_validator(mode="after")
    def _has_a_class(self, info: ValidationInfo) -> ModelSpec:
        """`genolift inspect` describes weights without a class: only a config is refused."""
        if not types.asked(info, types.FILES) or types.asked(info, types.PART):
            return self
        holds_weights = self.path.endswith(".safetensors") or sharded(self.path) is not None
        if self.class_name is None and holds_weights:
            raise InputError(
                f"{self.path} holds weights but no model",
                remedy="name the class to put them in, class: path/to/model.py:Class",
            )
        return self

    @property
    def extra_channels(self) -> int:
        """Channels of the model's input behind those of the alphabet, which are given apart."""
        return self._extra_channels

    def with_channels(self, extra: int) -> ModelSpec:
        """Return the same model with so many channels behind those of the alphabet."""
        changed = self.model_copy()
        changed._extra_channels = extra
        return changed

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the model is made from, with what its own code imports from its folder, and those
        that it is compared with.

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


class ExtraInput(Section):
    """One further argument of a model: the row of a table for each sequence, or the same values for all."""

    table: File | None = key(None, "a table with a column `id`, and numbers in the others; TSV or CSV")
    columns: Filled[Text] | None = key(None, "those of the table's columns to take, in order; by default all")
    values: Filled[Value] | None = key(None, "the same values for every sequence")
    shape: Filled[Positions] | None = key(None, "the shape of one sequence's input, where it is not flat")

    @together
    def _one_source(self) -> None:
        if (self.table is None) == (self.values is None):
            what = "neither 'table' nor 'values' is given" if self.table is None else "both are given"
            raise InputError(what, remedy="give 'table' or 'values'")
        if self.columns is not None and self.table is None:
            raise InputError("'columns' is given without 'table'", remedy="leave 'columns' out")
        if self.values is not None:
            check_shape(len(self.values), self.shape, "")


class ExtraChannel(Section):
    """One channel beyond those of the alphabet, from a file."""

    bigwig: File | None = key(None, "a bigWig, whose values at a window's bases are taken")
    missing: Value = key(0.0, "what stands for a base that the bigWig has no value for")
    table: File | None = key(None, "a table with a column `id`, and a column for each position")

    @together
    def _one_source(self) -> None:
        if (self.table is None) == (self.bigwig is None):
            what = "neither 'bigwig' nor 'table' is given" if self.table is None else "both are given"
            raise InputError(what, remedy="give a number, 'bigwig' or 'table'")
        if "missing" in self.model_fields_set and self.bigwig is None:
            raise InputError("'missing' is given without 'bigwig'", remedy="leave 'missing' out")


class Extras(Section):
    """Everything that a model is given beside the bases; the same in a sequence and in its references."""

    inputs: ListOf[ExtraInput] = ()
    channels: ListOf[Value | ExtraChannel] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The files that values are read from, each once."""
        tables = [item.table for item in self.inputs]
        told = [channel for channel in self.channels if isinstance(channel, ExtraChannel)]
        named = [*tables, *(channel.bigwig or channel.table for channel in told)]
        return tuple(dict.fromkeys(file for file in named if file is not None))


class Sequences(Section):
    """Where the sequences are: one of ``fasta``, or ``bed`` with ``genome``."""

    fasta: File | None = key(None, "sequences; plain, gzip or BGZF. Give this, or `bed` and `genome`")
    bed: File | None = key(
        None, "intervals, BED or narrowPeak; a window of the model's input length is taken around each"
    )
    genome: File | None = key(None, "the genome's FASTA; plain, gzip or BGZF")
    length: Positions | None = key(
        None,
        "bases of a sequence or window; by default what the model says, else what the FASTA's records have",
    )
    format: Literal["auto", "bed", "narrowPeak"] = key(
        "auto", "what `bed` is; `auto` tells it by the types of all columns"
    )
    center: Literal["summit", "midpoint"] = key(
        "summit", "what a window is centred on; the midpoint where the file names no summit"
    )
    use_strand: bool = key(False, "take the reverse complement for intervals on the minus strand")
    max_n_fraction: Number = key(0.1, "sequences with a larger fraction of N are dropped", ge=0, le=1)
    missing_chromosomes: Literal["error", "drop"] = key(
        "error", "what to do with intervals on a chromosome that the genome does not have"
    )

    @together
    def _one_source(self) -> None:
        if self.fasta is not None and self.bed is not None:
            raise InputError("both 'fasta' and 'bed' are given", remedy="give one; the other can be null")
        if self.fasta is None and self.bed is None:
            raise InputError("there are no sequences", remedy="give 'fasta', or 'bed' together with 'genome'")
        if self.bed is not None and self.genome is None:
            raise InputError("'bed' is given without 'genome'", remedy="give the genome's FASTA as 'genome'")


class References(Section):
    """What each sequence is compared with."""

    kind: ReferenceKind = key("dinucleotide_shuffle", "what a sequence is compared with")
    number: int = key(20, "shuffled references for each sequence", ge=1, le=10_000)
    seed: Seed = key(0, "seed of the shuffles; the same seed gives the same references")
    fasta: File | None = key(None, "the references, for the kind `fasta`: the same for every sequence")
    frequencies: types.Frequencies | None = key(
        None, "fractions of A, C, G and T for the kind `base_frequencies`; by default the sequences' own"
    )

    @together
    def _of_the_kind(self) -> None:
        for name, kind in (("fasta", "fasta"), ("frequencies", "base_frequencies")):
            if getattr(self, name) is not None and self.kind != kind:
                raise InputError(
                    f"'{name}' is given, but the kind is '{self.kind}'",
                    remedy=f"leave '{name}' out, or set kind: {kind}",
                )
        if self.kind == "fasta" and self.fasta is None:
            raise InputError(
                "the kind is 'fasta', but no file is given", remedy="give the references as 'fasta'"
            )


class Attribution(Section):
    """How DeepLIFT is run."""

    shards: int = key(
        1, "parts that the sequences are attributed in, each a job", ge=1, le=1000, running=True
    )
    batch_size: types.BatchSize = key("auto", "sequence-reference pairs computed at a time", running=True)
    memory: types.Memory | None = key(
        None,
        "memory that a job's process stays under, and on a GPU what it holds there; by default half of "
        "what is free",
        running=True,
        examples=["4GB", "500MB"],
    )
    device: types.Device = key(
        "auto",
        "where to compute; `auto` takes a GPU where there is one",
        running=True,
        examples=["auto", "cpu", "cuda", "cuda:1"],
    )
    precision: Precision = key(
        "float32", "what to compute in; the last two are faster and less exact, and need a larger tolerance"
    )
    tolerance: Number = key(
        1e-3,
        "largest relative convergence error; a sequence-reference pair over it stops the analysis",
        ge=1e-15,
        le=1000,
        running=True,
    )


class Motifs(Section):
    """How motifs are found and named."""

    database: types.Database = key(
        "jaspar:vertebrates",
        "motifs to name the found ones by: a group of JASPAR CORE (`jaspar:GROUP`), or a MEME file",
        examples=["jaspar:fungi", "mine.meme"],
    )
    max_seqlets: int = key(2000, "seqlets of each sign that motifs are made of", ge=1, le=10_000_000)
    window: Positions | None = key(
        None, "bases in the middle of each sequence to look for motifs in; by default all"
    )
    seed: Seed = key(0, "seed of the motif discovery")


class Logos(Section):
    """Which sequences are drawn."""

    number: int = key(10, "strongest sequences to draw", ge=0, le=10_000)


class Report(Section):
    """The page."""

    title: types.Title | None = key(None, "title of `report.html`; by default the analysis's name")


class Analysis(Section):
    """One analysis. Paths are relative to the working directory."""

    model: ModelSpec | None = key(None, "the trained model")
    named_models: Annotated[
        dict[types.NamedModel, ModelSpec],
        BeforeValidator(types.no_keys_if_empty),
        AfterValidator(types.names_differ),
    ] = key(
        {},
        "several models by name, such as the folds of a cross-validation; what `model` sets holds for each "
        "that does not set it itself",
        alias="models",
    )
    sequences: Sequences = key(REQUIRED, "the sequences, from FASTA, or from BED and a genome")
    extra_inputs: ListOf[ExtraInput] = key(
        (), "what the model takes behind its first input, in order", flag="extra-input"
    )
    extra_channels: ListOf[Value | ExtraChannel] = key(
        (),
        "the channels of the model's input behind those of the alphabet, in order: a number, or a file",
        flag="extra-channel",
    )
    target: types.Target = key(
        0, "the model's output to explain, by column (from 0) or by name; or its head, `counts` or `profile`"
    )
    keep_final_activation: bool = key(
        False, "explain the probability, not the logit before a final sigmoid or softmax"
    )
    rule: Rule = key("genomics-default", "the DeepLIFT rule")
    references: References = key(References(), "what each sequence is compared with")
    attribution: Attribution = key(Attribution(), "how DeepLIFT is run")
    motifs: Motifs = key(Motifs(), "how motifs are found and named")
    logos: Logos = key(Logos(), "which sequences are drawn")
    report: Report = key(Report(), "the page")

    @property
    def models(self) -> dict[str, ModelSpec]:
        """The models by name; the one of an analysis that names none is called "model"."""
        named = self.named_models or ({} if self.model is None else {ONE_MODEL: self.model})
        return {name: model.with_channels(len(self.extra_channels)) for name, model in named.items()}

    @property
    def extras(self) -> Extras:
        """What the models are given beside the bases."""
        return Extras(inputs=self.extra_inputs, channels=self.extra_channels)

    @together
    def _models_agree(self) -> None:
        if not self.models:
            raise InputError("the key 'model' is missing", remedy="give the trained model")
        for (one, spec), (other, its_spec) in combinations(self.models.items(), 2):
            if spec.model_copy(update={"expect": None}) == its_spec.model_copy(update={"expect": None}):
                raise InputError(
                    f"'{one}' and '{other}' are the same model",
                    where=".models",
                    remedy="name each model once",
                )
        check_lengths({name: spec.input_length for name, spec in self.models.items()}, ".models")

    @together
    def _lengths_agree(self) -> None:
        given, window = self.sequences.length, self.motifs.window
        of_models = [model.input_length for model in self.models.values() if model.input_length is not None]
        if given is not None and any(length != given for length in of_models):
            raise InputError(
                f"sequences of {given} bases are asked for, and the model takes {of_models[0]}",
                where=".sequences.length",
                remedy="leave it out, so that the model's input_length holds",
            )
        length = next((number for number in (given, *of_models) if number is not None), None)
        if window is not None and length is not None and window > length:
            raise InputError(
                f"{window} is more than the sequences' {length} bases",
                where=".motifs.window",
                remedy=f"give a whole number from 1 to {length}, or leave it out for all",
            )
        bigwigs = [channel for channel in self.extra_channels if getattr(channel, "bigwig", None)]
        if bigwigs and self.sequences.bed is None:
            raise InputError(
                "a bigWig is given, but the sequences are no windows on a genome",
                where=".extra_channels",
                remedy="give 'bed' and 'genome', or the channel as a table",
            )


class Config(Section):
    """A whole config."""

    results: types.Results = key(
        "results", "the folder that holds a folder for each analysis", examples=["results"]
    )
    defaults: Analysis | None = key(
        None, "keys of an analysis that hold for every analysis which does not set them itself"
    )
    analyses: Annotated[
        dict[types.NamedAnalysis, Analysis], Field(min_length=1), AfterValidator(types.names_differ)
    ] = key(REQUIRED, "the analyses by name, which is a folder's name too")


def check_shape(width: int, shape: tuple[int, ...] | None, where: str) -> None:
    """Raise `InputError` if so many values do not fill a shape."""
    if shape is not None and math.prod(shape) != width:
        raise InputError(
            f"{width} value{'s' * (width != 1)} do not fill the shape {list(shape)}",
            where=where,
            remedy=f"give {math.prod(shape)} values, or another shape",
        )


def check_lengths(lengths: Mapping[str, int | None], where: str) -> None:
    """Raise `InputError` if two models, by name, say that they take different lengths."""
    said = {name: length for name, length in lengths.items() if length is not None}
    for (one, length), (other, its_length) in combinations(said.items(), 2):
        if length != its_length:
            raise InputError(
                f"'{one}' takes {length} bases, '{other}' {its_length}",
                where=where,
                remedy="models that are averaged read the same sequences: name those of one input length",
            )
