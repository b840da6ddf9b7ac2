"""The inspect step: what a model is, as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from genolift.engine.rules.composites import GENOMICS_DEFAULT
from genolift.files.output_paths import check_outputs
from genolift.files.whole import whole_file
from genolift.inspection.described import Inspection, inspect_model
from genolift.settings.extra_inputs import Extras
from genolift.settings.model import ModelSpec


def inspect(
    spec: ModelSpec,
    held: Extras = Extras(),  # noqa: B008 - it is frozen
    *,
    out: Path | None = None,
    sequences: Path | None = None,
    target: int | str | None = None,
    rule: str = GENOMICS_DEFAULT,
    keep_final_activation: bool = False,
) -> Inspection:
    """Return what a model is, and write it to ``out``, unless it cannot be explained as it is given.

    Parameters
    ----------
    out
        The JSON file to write; its layout is in ``docs/architecture.md``. None: nothing is written.
    sequences
        What else was read to say the model's length, which ``out`` may not replace.
    spec, held, target, rule, keep_final_activation
        As in `genolift.inspection.described.inspect_model`.

    Raises
    ------
    InputError
        If the model cannot be loaded or does not run, or ``out`` may not be written (see `check_outputs`).
    """
    check_outputs([] if out is None else [out], inputs=[*spec.files, *held.files, sequences])
    found = inspect_model(spec, held, target=target, rule=rule, keep_final_activation=keep_final_activation)
    if out is not None and found.error is None:
        with whole_file(out) as beside:
            beside.write_text(json.dumps(found.as_json(), indent=1) + "\n", encoding="utf-8")
    return found
