"""What one command alone takes beside the keys of an analysis: `genolift compare` and `genolift inspect`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from genolift.errors import InputError
from genolift.settings.fields import Section, together
from genolift.settings.types import WHOLE

Method = Literal[
    "genomics-default",
    "revealcancel",
    "rescale",
    "integrated-gradients",
    "gradient-x-input",
    "guided-backprop",
    "deconvnet",
    "lrp-epsilon",
    "in-silico-mutagenesis",
    "grad-cam",
    "guided-grad-cam",
]
"""The methods, in the order of the tables; `genolift.compare.methods.METHODS` runs each."""

COMPARED = ("batch_size", "device", "precision")
"""The keys of the section ``attribution`` that all methods take."""


def _names(given: Sequence[str]) -> tuple[str, ...]:
    """Return the names in texts such as "A,B", each once."""
    names = (name.strip() for text in given for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


_Listed = BeforeValidator(_names)


class Comparison(Section):
    """Which methods are compared, on how many sequences, and what they should find."""

    methods: Annotated[tuple[Method, ...], Field(min_length=1), _Listed] = get_args(Method)
    """the methods, also as A,B (all)"""
    number: Annotated[int, Field(ge=1, le=10**9), WHOLE] = 50
    """of the first sequences"""
    steps: Annotated[int, Field(ge=1, le=100_000), WHOLE] = 50
    """of integrated gradients"""
    truth: Path | None = None
    """where motifs are: a table with id, start, end and motif"""
    truth_motifs: Annotated[tuple[str, ...], _Listed] = ()
    """the motifs that matter for the target, also as A,B (all)"""

    @together
    def _motifs_are_of_a_table(self) -> None:
        if self.truth_motifs and self.truth is None:
            remedy = "give the table of positions too, --truth"
            raise InputError("there is no table of positions", where=".truth_motifs", remedy=remedy)


class Sources(Section):
    """What may say how long the model's input is, and what the config is for."""

    sequences: Path | None = None
    """sequences.h5, of whose length the input is where no other is given"""
    fasta: Path | None = None
    """instead of sequences.h5, your sequences"""
    bed: Path | None = None
    """instead of sequences.h5, your intervals"""
    genome: Path | None = None
    """the genome's FASTA, with --bed"""

    @together
    def _one_form(self) -> None:
        given = [f"--{name}" for name, path in vars(self).items() if path is not None]
        if len(given) > 1 and given != ["--bed", "--genome"]:
            what = f"{' and '.join(given)} are given together"
            raise InputError(what, remedy="give --sequences, --fasta, or --bed with --genome")
