"""The check step: what an analysis is given, tried in little before anything long is begun.

Every model is run on two of the sequences, and the database of known motifs is read. Joins models, sequences
and the engine. Prints nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from genolift.data.extra_inputs import HeldInputs
from genolift.data.stored_sequences import check_length
from genolift.data.stored_tensors import first_two
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import whole_file
from genolift.inspection.model_check import checked_explainer
from genolift.models import ModelSpec, input_length, load_model
from genolift.motifs.databases import read_database
from genolift.motifs.known import Database
from genolift.results.agreement import Agreement
from genolift.settings.extra_inputs import Extras
from genolift.settings.model import ONE_MODEL, is_rna
from genolift.settings.sections import Sequences
from genolift.steps.encode import trial_sequences, with_length


@dataclass(frozen=True)
class CheckSummary:
    """What `check_analysis` ran: models, sequences, their length in bases; the known motifs it read; and how
    far models are from their authors' outputs, by name, of those that were compared.
    """

    n_models: int
    n_sequences: int
    length: int
    database: Database | None
    agreements: Mapping[str, Agreement]


def check_analysis(
    *,
    models: Mapping[str, ModelSpec],
    source: Sequences,
    out: Path,
    held: Extras | None = None,
    target: int | str = 0,
    keep_final_activation: bool = False,
    rule: str = "genomics-default",
    database: str | None = None,
) -> CheckSummary:
    """Run every model on the first two sequences, and capture it; write what was run to ``out``, JSON.

    The database of known motifs is read first, since it takes a second.

    Parameters
    ----------
    models
        By name.
    source
        Where the sequences are; without a length theirs is what the models say.
    held, target, keep_final_activation, rule
        As in `genolift.steps.attribute.attribute`.
    database
        As in `genolift.steps.motifs.find_motifs`; None to read none.

    Raises
    ------
    InputError
        For the first thing that is wrong: a database that cannot be read; a model that cannot be loaded, does
        not take the sequences, gives NaN or another output when called again, or the same for every sequence,
        does not give its author's outputs, has no such target, or holds an operation without an exact rule;
        or ``out`` may not be written (see `check_outputs`).
    """
    read = [file for spec in models.values() for file in spec.files] + list(held.files if held else ())
    check_outputs([out], inputs=[source.fasta, source.bed, source.genome, database, *read])
    known = None if database is None else read_database(database)
    loaded = {name: load_model(spec) for name, spec in models.items()}
    lengths = {name: input_length(model, models[name]) for name, model in loaded.items()}
    source = with_length(source, lengths)
    stored = trial_sequences(source, rna=any(is_rna(spec.alphabet) for spec in models.values()))
    held = held or Extras()
    two = first_two(stored, HeldInputs(held, stored))
    agreements: dict[str, Agreement] = {}
    for name, model in loaded.items():
        try:
            check_length(stored, lengths[name], str(source.fasta or source.bed), name)
            _, agreement = checked_explainer(
                model,
                models[name],
                held,
                two,
                rule=rule,
                target=target,
                keep_final_activation=keep_final_activation,
                device="cpu",
            )
            if agreement is not None:
                agreements[name] = agreement
        except InputError as error:
            if name == ONE_MODEL:
                raise
            raise error.within(f"models.{name}") from error
    length = stored.codes.shape[1]
    ran: dict[str, object] = {"models": list(models), "sequences": stored.id, "length": length}
    if agreements:
        ran["agreement"] = {name: asdict(found) for name, found in agreements.items()}
    if known is not None:
        ran |= {"database": known.source, "motifs": len(known.motifs)}
    with whole_file(out) as beside_it:
        beside_it.write_text(json.dumps(ran) + "\n")
    return CheckSummary(len(models), len(stored.id), length, known, agreements)
