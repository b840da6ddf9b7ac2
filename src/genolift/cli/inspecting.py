"""What `genolift inspect` prints: what a model is, and the config that would explain it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.inspection.data import Data, data_of_files, data_of_store
from genolift.inspection.guess import guess, guess_of_weights, write_guess
from genolift.inspection.text import as_text, in_a_line, refused_as_text, weights_as_text
from genolift.inspection.weights import read_weights_file
from genolift.models import ModelSpec
from genolift.settings.sections import Settings
from genolift.steps.inspect import inspect

if TYPE_CHECKING:
    from genolift.cli.commands import Sources


def tell(settings: Settings, sources: Sources, write_config: Path | None, out: Path | None) -> None:
    """Say what a model is, and all that can be said of one that cannot be explained, before the error."""
    if sources.sequences is not None:
        data = data_of_store(sources.sequences)
    else:
        data = data_of_files(sources.fasta, sources.bed, sources.genome)
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
    elif found.refused:
        print(refused_as_text(found))
    if found.error is not None:
        raise found.error
    if out is not None:
        print(f"{in_a_line(found)}: {out}")
    if out is None or write_config is not None:
        _say_config(guess(found, data), write_config)


def _say_weights(spec: ModelSpec, data: Data, out: Path | None) -> None:
    """Say what a file of weights alone holds; nothing where it cannot be read as such."""
    try:
        file = read_weights_file(spec.path, trust=spec.trust, digest=spec.sha256)
    except InputError:
        return
    print(weights_as_text(file))
    _say_config(guess_of_weights(file, spec, data), out)


def _say_config(text: str, out: Path | None) -> None:
    if out is None:
        print(f"\nA config to start from (--write-config FILE writes it)\n{text}", end="")
    else:
        write_guess(text, out)
        print(f"\nA config to start from: {out}")
