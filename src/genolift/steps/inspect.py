"""The inspect step: what a model is, as JSON."""

from pathlib import Path

from genolift.files.output_paths import check_outputs
from genolift.files.whole import write_json
from genolift.inspection.described import Inspection, inspect_model
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
