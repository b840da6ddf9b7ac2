"""Every key of the config, once: a field with its type, default, bounds, help and examples.

Validation, the JSON schema, the table in config/README.md, the commands' flags and what a rule hands its
command are made from these fields. The section ``model`` is `ModelSpec`, since a `genolift.models.Model` is
one that has been read; ``motifs`` has its presets beside it.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import Field

from genolift.errors import InputError
from genolift.settings import types
from genolift.settings.extra_inputs import ExtraChannel, ExtraInput, Extras
from genolift.settings.fields import RUNNING, WORKFLOW, Section, flag, in_a_config, together
from genolift.settings.model import ONE_MODEL, ModelPath, ModelSpec, is_rna
from genolift.settings.motifs import Motifs
from genolift.settings.several_targets import check_targets, slugs
from genolift.settings.types import EMPTY_IF_NULL, NAMES_DIFFER, NUMBER, WHOLE, File, ListOf, Positions, Seed

Rule = Literal["genomics-default", "rescale", "revealcancel"]
AnyRule = Literal[Rule, "gradient", "guided-backprop", "deconvnet", "lrp-epsilon"]
"""What `attribute`, `check`, `inspect` and `plan` take: the last four promise no sum."""
Precision = Literal["float32", "float64", "tf32", "bfloat16"]
ReferenceKind = Literal["dinucleotide_shuffle", "uniform_shuffle", "zeros", "base_frequencies", "fasta"]


EXPLAINED = ("target", "keep_final_activation", "rule")
SEVERAL_EXPLAINED = ("targets", *EXPLAINED[1:])
EXTRAS = ("extra_inputs", "extra_channels")
"""Keys of an analysis: of what is explained, and of what the model is given beside the bases."""


class Tile(Section):
    """Windows side by side along the genome."""

    width: Annotated[Positions | None, flag("tile-width")] = None
    """bases of a window; by default the model's input length"""
    stride: Annotated[Positions | None, flag("tile-stride")] = None
    """bases from the start of a window to that of the next; by default the width"""
    chromosomes: Annotated[ListOf[types.Text], flag("tile-chromosome")] = ()
    """the chromosomes to tile; by default all"""


class Regions(Section):
    """Which windows of the genome are taken, in place of those around intervals."""

    tile: Tile | None = None
    """windows side by side along the genome"""


class Sequences(Section):
    """Where the sequences are: ``fasta``, or ``genome`` with one of ``bed`` and ``regions``."""

    fasta: File | None = None
    """sequences; plain, gzip or BGZF. Give this, or `bed` and `genome`"""
    bed: File | None = None
    """intervals, BED or narrowPeak; a window of the model's input length is taken around each"""
    genome: File | None = None
    """the genome's FASTA; plain, gzip or BGZF"""
    length: Positions | None = None
    """bases of a sequence or window; by default what the model says, else what the FASTA's records have"""
    format: Literal["auto", "bed", "narrowPeak"] = "auto"
    """what `bed` is; `auto` tells it by the types of all columns"""
    center: Literal["summit", "midpoint"] = "summit"
    """what a window is centred on; the midpoint where the file names no summit"""
    use_strand: bool = False
    """take the reverse complement for intervals on the minus strand"""
    max_n_fraction: types.Fraction = 0.1
    """sequences with a larger fraction of N are dropped"""
    missing_chromosomes: Literal["error", "drop"] = "error"
    """what to do with intervals on a chromosome that the genome does not have"""
    blacklist: File | None = None
    """intervals, BED, such as ENCODE's blacklist; windows that overlap one are dropped"""
    pad: bool = False
    """pad windows that run over a chromosome's end with N; by default they are dropped"""
    regions: Regions | None = None
    """windows on the genome in place of those around intervals"""

    @together
    def _one_source(self) -> None:
        sources = {"fasta": self.fasta, "bed": self.bed, "regions.tile": self.tile}
        given = [name for name, value in sources.items() if value is not None]
        if len(given) > 1:
            what = f"both '{given[0]}' and '{given[1]}' are given"
            raise InputError(what, remedy="give one; the other can be null")
        if not given:
            remedy = "give 'fasta', or 'bed' together with 'genome', or 'regions.tile' together with 'genome'"
            raise InputError("there are no sequences", remedy=remedy)
        if self.fasta is None and self.genome is None:
            what = f"'{given[0]}' is given without 'genome'"
            raise InputError(what, remedy="give the genome's FASTA as 'genome'")
        for name in ("blacklist", "pad"):
            if self.fasta is not None and getattr(self, name):
                what = f"'{name}' is given, but the sequences of 'fasta' are not windows on a genome"
                raise InputError(what, remedy=f"leave '{name}' out, or give 'bed' and 'genome'")
        if self.tile is not None and self.use_strand:
            what = "'use_strand' is given, but windows that tile the genome have no strand"
            raise InputError(what, remedy="leave 'use_strand' out")
        if None not in (self.bases, self.length) and self.bases != self.length:
            what = f"windows are {self.bases} bases wide, and 'length' is {self.length}"
            raise InputError(what, where=".regions.tile.width", remedy="give one of the two")

    @property
    def tile(self) -> Tile | None:
        """How the genome is tiled, if it is."""
        return None if self.regions is None else self.regions.tile

    @property
    def bases(self) -> int | None:
        """Bases of a sequence or window, where the keys say it."""
        return self.tile.width if self.tile is not None and self.tile.width else self.length

    @property
    def on_genome(self) -> bool:
        """Whether they are windows on a genome."""
        return self.fasta is None

    @property
    def file(self) -> str:
        """The file that says which sequences there are."""
        return str(self.fasta or self.bed or self.genome)


class References(Section):
    """What each sequence is compared with."""

    kind: ReferenceKind = "dinucleotide_shuffle"
    """what a sequence is compared with"""
    number: Annotated[int, Field(ge=1, le=10_000), WHOLE] = 20
    """shuffled references for each sequence"""
    seed: Seed = 0
    """seed of the shuffles; the same seed gives the same references"""
    fasta: File | None = None
    """the references, for the kind `fasta`: the same for every sequence"""
    frequencies: types.Frequencies | None = None
    """fractions of A, C, G and T for the kind `base_frequencies`; by default the sequences' own"""
    keep: Annotated[bool, WORKFLOW] = False
    """write `references.h5`; without it each job makes the shuffles of its own sequences, the same ones"""

    @property
    def drawn(self) -> bool:
        """Whether they are drawn at random, as many as `number` says."""
        return self.kind.endswith("_shuffle")

    @property
    def made_again(self) -> bool:
        """Whether they can be made again from some of the sequences alone."""
        return self.drawn or self.kind == "zeros" or self.frequencies is not None

    @property
    def stored(self) -> bool:
        """Whether the workflow writes references.h5."""
        return self.keep or not self.made_again

    @together
    def _of_the_kind(self) -> None:
        for name, kind in (("fasta", "fasta"), ("frequencies", "base_frequencies")):
            if getattr(self, name) is not None and self.kind != kind:
                what = f"'{name}' is given, but the kind is '{self.kind}'"
                raise InputError(what, remedy=f"leave '{name}' out, or set kind: {kind}")
        if self.kind == "fasta" and self.fasta is None:
            what = "the kind is 'fasta', but no file is given"
            raise InputError(what, remedy="give the references as 'fasta'")


class Attribution(Section):
    """How DeepLIFT is run."""

    shards: Annotated[int, Field(ge=1, le=1000), WHOLE, WORKFLOW] = 1
    """parts that the sequences are attributed in, each a job"""
    batch_size: Annotated[types.BatchSize, RUNNING] = "auto"
    """sequence-reference pairs computed at a time"""
    memory: Annotated[types.Memory | None, Field(examples=["4GB", "500MB"]), RUNNING] = None
    """memory that a job's process stays under, and on a GPU what it holds there; by default half of what is
    free, and 0.85 of what Slurm or a cgroup allows the job
    """
    device: Annotated[types.Device, Field(examples=["auto", "cpu", "cuda", "cuda:1"]), RUNNING] = "auto"
    """where to compute; `auto` takes a GPU where there is one"""
    precision: Precision = "float32"
    """what to compute in; the last two are faster and less exact, and need a larger tolerance"""
    tolerance: Annotated[float, Field(ge=1e-15, le=1000), NUMBER, RUNNING] = 1e-3
    """largest relative convergence error; a sequence-reference pair over it stops the analysis"""

    @property
    def batch(self) -> int | None:
        """Sequence-reference pairs computed at a time; None to choose them by the memory there is."""
        return None if self.batch_size == "auto" else self.batch_size


class Logos(Section):
    """Which sequences are drawn."""

    number: Annotated[int, Field(ge=0, le=10_000), WHOLE] = 10
    """strongest sequences to draw"""


class Report(Section):
    """The page."""

    title: types.Title | None = None
    """title of `report.html`; by default the analysis's name; with several targets, each's name follows"""


class Analysis(Section):
    """One analysis. Paths are relative to the working directory."""

    model: ModelSpec | None = None
    """the trained model"""
    named_models: Annotated[
        dict[types.NamedModel, ModelSpec], Field(alias="models"), EMPTY_IF_NULL, NAMES_DIFFER
    ] = Field(default={})
    """several models by name, such as the folds of a cross-validation; what `model` sets holds for each that
    does not set it itself
    """
    sequences: Sequences
    """the sequences, from FASTA, or from BED and a genome"""
    extra_inputs: Annotated[ListOf[ExtraInput], flag("extra-input")] = ()
    """what the model takes behind its first input, in order"""
    extra_channels: Annotated[ListOf[types.Value | ExtraChannel], flag("extra-channel")] = ()
    """the channels of the model's input behind those of the alphabet, in order: a number, or a file"""
    tracks: File | None = None
    """the names of the model's tracks, for targets: a table with a column `identifier`, such as Basenji's
    `targets.txt`
    """
    target: types.Target = 0
    """the model's output to explain: by column (from 0), by name, or as text such as `"[3, sum(:)]"`; or its
    head, `counts` or `profile`
    """
    targets: Annotated[types.Targets | None, Field(examples=["all", "all 120"]), flag("target")] = None
    """the model's outputs to explain, each as in `target`: a list, or `all` columns of its output; each has
    motifs and a report of its own in `targets/`
    """
    keep_final_activation: bool = False
    """explain the probability, not the logit before a final sigmoid or softmax"""
    rule: Rule = "genomics-default"
    """the DeepLIFT rule"""
    references: References = References()
    """what each sequence is compared with"""
    attribution: Attribution = Attribution()
    """how DeepLIFT is run"""
    per_base: Annotated[bool | None, RUNNING] = None
    """write per_base.parquet, a row for each base of each sequence; by default for 10 million bases at most
    """
    motifs: Motifs = Motifs()
    """how motifs are found and named"""
    logos: Logos = Logos()
    """which sequences are drawn"""
    report: Report = Report()
    """the page"""

    @property
    def models(self) -> dict[str, ModelSpec]:
        """The models by name; the one of an analysis that names none is called "model"."""
        named = self.named_models or ({} if self.model is None else {ONE_MODEL: self.model})
        return {name: model.within(len(self.extra_channels), self.tracks) for name, model in named.items()}

    @property
    def every_target(self) -> tuple[int | str, ...]:
        """The targets; of ``all``, which only the model tells, none."""
        if self.targets is None:
            return (self.target,)
        return () if isinstance(self.targets, str) else self.targets

    def by_slug(self) -> dict[str, "Analysis"]:
        """Return the analysis of each target alone, by the name of its folder; none for one target."""
        if len(self.every_target) < 2:
            return {}
        return {
            slug: self.model_copy(update={"target": target, "targets": None})
            for slug, target in slugs(self.every_target).items()
        }

    @property
    def length(self) -> int | None:
        """Bases of a sequence, where the keys say it."""
        said = [self.sequences.bases, *(model.input_length for model in self.models.values())]
        return next((length for length in said if length is not None), None)

    @property
    def rna_alphabet(self) -> str | None:
        """A model's alphabet that has U, which the sequences may then have too; None where none has."""
        return next((model.alphabet for model in self.models.values() if is_rna(model.alphabet)), None)

    @property
    def extras(self) -> Extras:
        """What the models are given beside the bases."""
        return Extras(inputs=self.extra_inputs, channels=self.extra_channels)

    @together
    def _targets_differ(self) -> None:
        check_targets(self.target, self.targets)

    @in_a_config
    def _models_agree(self) -> None:
        if not self.models:
            raise InputError("the key 'model' is missing", remedy="give the trained model")
        for (one, spec), (other, its_spec) in combinations(self.models.items(), 2):
            if spec.model_copy(update={"expect": None}) == its_spec.model_copy(update={"expect": None}):
                what = f"'{one}' and '{other}' are the same model"
                raise InputError(what, where=".models", remedy="name each model once")
        check_lengths({name: spec.input_length for name, spec in self.models.items()}, ".models")

    @in_a_config
    def _lengths_agree(self) -> None:
        given, window, length = self.sequences.bases, self.motifs.window, self.length
        taken = next((each.input_length for each in self.models.values() if each.input_length), given)
        if given != taken and given is not None:
            what = f"sequences of {given} bases are asked for, and the model takes {taken}"
            remedy = "leave it out, so that the model's input_length holds"
            key = "length" if self.sequences.length else "regions.tile.width"
            raise InputError(what, where=f".sequences.{key}", remedy=remedy)
        if window is not None and length is not None and window > length:
            what = f"{window} is more than the sequences' {length} bases"
            remedy = f"give a whole number from 1 to {length}, or leave it out for all"
            raise InputError(what, where=".motifs.window", remedy=remedy)
        self.motifs.check_widths(length, ".motifs.")

    @in_a_config
    def _bigwigs_have_windows(self) -> None:
        for key in EXTRAS:
            bigwigs = any(getattr(item, "bigwig", None) for item in getattr(self, key))
            if bigwigs and not self.sequences.on_genome:
                what = "a bigWig is given, but the sequences are not windows on a genome"
                remedy = "give 'bed' and 'genome', or the values as a table"
                raise InputError(what, where=f".{key}", remedy=remedy)


class _AnyModel(ModelSpec):
    path: Annotated[ModelPath, flag("model")] = Field(
        "", description=ModelSpec.model_fields["path"].description
    )


class Settings(Analysis):
    """The keys of an analysis that a command or step is given: any may be left out, and may not agree."""

    model: _AnyModel | None = None
    sequences: Sequences = None  # type: ignore[assignment]
    rule: AnyRule = "genomics-default"  # type: ignore[assignment]
    """the rule"""

    @together
    def _targets_are_listed(self) -> None:
        if isinstance(self.targets, str):
            what = f"'{self.targets}' is for a config, which the workflow runs"
            raise InputError(what, where=".targets", remedy="list them: genolift inspect shows them")

    @property
    def explained(self) -> dict[str, Any]:
        """The keywords ``target``, ``keep_final_activation`` and ``rule`` of what explains a model."""
        return {name: getattr(self, name) for name in EXPLAINED}

    @property
    def explained_together(self) -> dict[str, Any]:
        """The same for several targets, or one: a tuple of them."""
        return self.explained | {"target": self.every_target}

    @property
    def the_model(self) -> ModelSpec:
        """The one model that the command runs.

        Raises
        ------
        InputError
            If none is named.
        """
        if self.model is None or not self.model.path:
            remedy = "give its file: MODEL of genolift inspect, --model of other commands"
            raise InputError("there is no model", remedy=remedy)
        return self.models[ONE_MODEL]


class Config(Section):
    """A whole config."""

    results: Annotated[types.Results, Field(examples=["results"])] = "results"
    """the folder that holds a folder for each analysis"""
    defaults: Analysis | None = None
    """keys of an analysis that hold for every analysis which does not set them itself"""
    analyses: Annotated[
        dict[types.NamedAnalysis, Analysis],
        Field(min_length=1, json_schema_extra=types.or_a_file),
        EMPTY_IF_NULL,
        NAMES_DIFFER,
    ]
    """the analyses, each under a name (its folder's too) with a model and sequences; or a table, TSV"""


def check_lengths(lengths: Mapping[str, int | None], where: str) -> None:
    """Raise `InputError` if two models, by name, say that they take different lengths."""
    said = {name: length for name, length in lengths.items() if length is not None}
    for (one, length), (other, its_length) in combinations(said.items(), 2):
        if length != its_length:
            what = f"'{one}' takes {length} bases, '{other}' {its_length}"
            remedy = "models that are averaged read the same sequences: name those of one input length"
            raise InputError(what, where=where, remedy=remedy)
