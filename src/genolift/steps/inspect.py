"""The inspect step: what a model is, as JSON or as text, with the config that would explain it."""

from collections.abc import Iterator
from pathlib import Path

from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import write_json
from genolift.inspection.data import Data, data_of_files, data_of_store
from genolift.inspection.described import Inspection, inspect_model
from genolift.inspection.guess import guess, guess_of_weights, write_guess
from genolift.inspection.text import as_text, in_a_line, refused_as_text, weights_as_text
from genolift.inspection.weights import read_weights_file
from genolift.models import ModelSpec
from genolift.settings.of_commands import Sources
from genolift.settings.sections import Settings


def inspect(settings: Settings, *, out: Path | None = None, sequences: Path | None = None) -> Inspection:
    """Return what a model is, and write it to ``out`` unless it cannot be explained.

    Parameters
    ----------
    settings
        The model, its extra inputs, and what is explained: its first target if none is named.
    out
        The JSON file to write; its layout is in ``docs/architecture.md``. None: nothing is written.
    sequences
        ``sequences.h5``, if the model's length was read from it; ``out`` may not replace it.

    Raises
    ------
    InputError
        If the model cannot be loaded or does not run, or ``out`` may not be written (see `check_outputs`).
    """
    spec = settings.the_model
    check_outputs([] if out is None else [out], inputs=[*settings.files, sequences])
    named = {} if "target" in settings.model_fields_set else {"target": None}
    found = inspect_model(spec, settings.extras, **settings.explained | named)
    if out is not None and found.error is None:
        write_json(out, found.as_json())
    return found


def told(settings: Settings, sources: Sources, write_config: Path | None, out: Path | None) -> Iterator[str]:
    """Yield what is to be said of a model, for a terminal; of one that cannot be explained all that can be
    said before the error is raised; then the config that would explain it, unless it is written to a file.
    """
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
            yield from _of_weights(spec, data, write_config)
        raise
    if out is None:
        yield as_text(found)
    elif found.planned.refused:
        yield refused_as_text(found)
    if found.error is not None:
        raise found.error
    if out is not None:
        yield f"{in_a_line(found)}: {out}"
    if out is None or write_config is not None:
        yield _config(guess(found, data), write_config)


def _of_weights(spec: ModelSpec, data: Data, write_config: Path | None) -> Iterator[str]:
    """Yield what a file of weights alone holds; nothing where it cannot be read as such."""
    try:
        file = read_weights_file(spec.path, trust=spec.trust, digest=spec.sha256)
    except InputError:
        return
    yield weights_as_text(file)
    yield _config(guess_of_weights(file, spec, data), write_config)


def _config(text: str, write_config: Path | None) -> str:
    if write_config is None:
        return f"\nA config to start from (--write-config FILE writes it)\n{text.rstrip()}"
    write_guess(text, write_config)
    return f"\nA config to start from: {write_config}"
