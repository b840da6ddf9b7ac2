"""The command that says what a model is: inspect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genolift.cli.command import command
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.settings.fields import Section
from genolift.settings.sections import EXPLAINED, EXTRAS, Settings

if TYPE_CHECKING:
    from genolift.inspection.data import Data
    from genolift.models import ModelSpec


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


@command("model", *EXTRAS, *EXPLAINED, positional="model")
def inspect(
    settings: Settings, sources: Sources, write_config: Path | None = None, out: Path | None = None
) -> None:
    """Say what a model is: inputs, outputs, operations and rules (of its first target, where none is named),
    and the config that would explain it. Exits 2, having said all else, if the model as it is given cannot be
    explained.

    Parameters
    ----------
    sources
        the sequences
    write_config
        a new file for the guessed config
    out
        write it as JSON instead of printing it

    Example
    -------
    genolift inspect weights.pt --model-class model.py:Model --write-config my.yaml
    """
    from genolift.inspection.guess import guess, write_guess
    from genolift.inspection.text import as_text, in_a_line, refused_as_text
    from genolift.steps.inspect import inspect

    data = _data(sources)
    spec = settings.the_model
    if spec.input_length is None and sources.bed is None:  # an interval need not be as long as its window
        spec = spec.model_copy(update={"input_length": data.length})
        settings = settings.model_copy(update={"model": spec})
    if write_config is not None:
        outputs = [path for path in (out, write_config) if path is not None]
        check_outputs(outputs, inputs=[*settings.files, sources.sequences])
        if write_config.exists():
            write_guess("", write_config)  # refused before the work
    try:
        found = inspect(settings, out=out, sequences=sources.sequences)
    except InputError:
        if spec.class_name is None:
            _say_weights(spec, data, write_config)
        raise
    if out is None:
        print(as_text(found))
    elif found.planned.refused:
        print(refused_as_text(found))
    if found.error is not None:
        raise found.error
    if out is not None:
        print(f"{in_a_line(found)}: {out}")
    if out is None or write_config is not None:
        _say_config(guess(found, data), write_config)


def _data(sources: Sources) -> Data:
    """Return what the user's sequences say, which may be given in one form only."""
    from genolift.inspection.data import data_of_files, data_of_store

    given = [f"--{name}" for name, path in vars(sources).items() if path is not None]
    if given not in ([], ["--sequences"], ["--fasta"], ["--bed"], ["--genome"], ["--bed", "--genome"]):
        raise InputError(
            f"{' and '.join(given)} are given together",
            where="genolift inspect",
            remedy="give --sequences, --fasta, or --bed with --genome",
        )
    if sources.sequences is not None:
        return data_of_store(sources.sequences)
    return data_of_files(sources.fasta, sources.bed, sources.genome)


def _say_weights(spec: ModelSpec, data: Data, out: Path | None) -> None:
    """Say what a file of weights alone holds; nothing where it cannot be read as such."""
    from genolift.inspection.guess import guess_of_weights
    from genolift.inspection.text import weights_as_text
    from genolift.inspection.weights import read_weights_file

    try:
        file = read_weights_file(spec.path, trust=spec.trust, digest=spec.sha256)
    except InputError:
        return
    print(weights_as_text(file))
    _say_config(guess_of_weights(file, spec, data), out)


def _say_config(text: str, out: Path | None) -> None:
    from genolift.inspection.guess import write_guess

    if out is None:
        print(f"\nA config to start from (--write-config FILE writes it)\n{text}", end="")
    else:
        write_guess(text, out)
        print(f"\nA config to start from: {out}")
