"""The check step: the inputs of an analysis, tried on two sequences before anything long begins.

Every model is run on them, captured and described, and the database of known motifs is read.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genolift.data.extra_inputs import ExtraInputs
from genolift.data.stored_sequences import check_length
from genolift.data.stored_tensors import first_two
from genolift.errors import InputError, within
from genolift.explain.handed_on import remove_unused
from genolift.files.output_paths import check_outputs
from genolift.files.plain_values import as_json
from genolift.files.whole import whole_folder, write_json
from genolift.inspection.described import inspect_model
from genolift.inspection.model_check import Checked, Rows, checked_model
from genolift.models import Model, input_length, load_model
from genolift.motifs.databases import read_database
from genolift.motifs.known import Database
from genolift.motifs.modisco import check_installation
from genolift.results.agreement import Agreement, agreement_in_words
from genolift.settings.model import ONE_MODEL, ModelSpec
from genolift.settings.sections import Settings
from genolift.steps.beforehand import beforehand, tell
from genolift.steps.encode import number_of_records, trial_sequences, with_length

_KIND = "check"


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

    def __str__(self) -> str:
        models = f"{self.n_models} models run" if self.n_models > 1 else "the model runs"
        agree = "".join(
            f", {'and' if name == ONE_MODEL else name} {agreement_in_words(found)}"
            for name, found in self.agreements.items()
        )
        known = self.database
        read = f", and {len(known.motifs)} known motifs were read ({known.source})" if known else ""
        return f"{models} on {self.n_sequences} sequences of {self.length} bp{agree}{read}"


def check_analysis(
    settings: Settings,
    *,
    out: Path,
    database: str | None = None,
    inspection: Path | None = None,
    captures: Path | None = None,
    costs: Path | None = None,
    references: int = 20,
    final: Sequence[str] = (),
) -> CheckSummary:
    """Run every model on the first two sequences, and capture it; write what was run to ``out``, JSON.

    Parameters
    ----------
    settings
        The models, what they are given beside the bases, what is explained, and the sequences; without a
        length theirs is what the models say.
    database
        As in `genolift.steps.motifs.find_motifs`; None to read none. It is read first.
    inspection
        The folder in which to say of each model what it is, ``NAME.json``; None not to look for it.
    captures
        The folder in which to hand captured models on to attribute, shared by analyses; None for none.
    costs, references, final
        Where to write what the analysis takes (see `tell`); references of a sequence, and the final files.

    Raises
    ------
    InputError
        For what is first found wrong: TF-MoDISco is not modisco-lite's; a database cannot be read; a model
        cannot be loaded, does not take the sequences, gives NaN or another output when called again, or the
        same for every sequence, does not give its author's outputs, has no such target, or holds an operation
        without an exact rule; the disk has too little room; or an output may not be written.
    """
    check_installation()
    if not any(spec.path for spec in settings.models.values()):
        raise InputError("there is no model", where="model", remedy="give its file (--model), or --models")
    outputs, folders = filter(None, [out, costs]), [(inspection, _KIND)] if inspection else []
    check_outputs([*outputs], inputs=[*settings.files, database], folders=folders)
    known = None if database is None else read_database(database)
    loaded = {name: load_model(spec) for name, spec in settings.models.items()}
    lengths = {name: input_length(model, settings.models[name]) for name, model in loaded.items()}
    source, rna = with_length(settings.sequences, lengths), settings.rna_alphabet is not None
    stored = trial_sequences(source, rna=rna)
    two = first_two(stored, ExtraInputs(settings.extras, stored))
    for name in loaded:
        with _naming(name):
            check_length(stored, lengths[name], source.file, name)
    checked = _checked(settings, loaded, two, captures)
    if costs is not None and (windows := number_of_records(source, rna=rna)) is not None:
        tell(beforehand(settings, (windows, references), two, checked, final), costs)
    agreements = {name: each.agreement for name, each in checked.items() if each.agreement is not None}
    summary = CheckSummary(len(loaded), len(stored.id), stored.codes.shape[1], known, agreements)
    if inspection is not None:
        _describe(inspection, settings, checked, summary.length)
    told = _told(summary, lengths, models=list(loaded), sequences=stored.id)
    _write(out, told, checked, settings.models, captures)
    return summary


def _checked(
    settings: Settings, loaded: Mapping[str, Model], two: Rows, captures: Path | None
) -> dict[str, Checked]:
    """Check and capture each model."""
    checked, how = {}, {**settings.explained_together, "device": "cpu"}
    for name, model in loaded.items():
        with _naming(name):
            spec = settings.models[name]
            checked[name] = checked_model(model, spec, settings.extras, two, captures, **how)
    return checked


def _write(
    out: Path,
    told: dict[str, Any],
    checked: Mapping[str, Checked],
    models: Mapping[str, ModelSpec],
    captures: Path | None,
) -> None:
    """Write what was run, and hand on what was captured; if it is the workflow's folder, remove from it what
    no analysis needs any more.
    """
    files = {name: each.over.key(each.explainer) for name, each in checked.items() if each.over is not None}
    write_json(out, told | {"captures": files})
    for name, each in checked.items():  # only now: a file that no check.json names may be removed
        each.hand_on(models[name])
    if captures is not None and captures.parent == out.parent.parent:
        remove_unused(captures, captures.parent)


def _told(summary: CheckSummary, lengths: Mapping[str, int | None], **ran: Any) -> dict[str, Any]:
    """Return what ``check.json`` says; ``lengths`` are those that models say."""
    ran |= {"input_length": next(filter(None, lengths.values()), None), "length": summary.length}
    if summary.agreements:
        ran["agreement"] = {name: asdict(found) for name, found in summary.agreements.items()}
    if summary.database is not None:
        ran |= {"database": summary.database.source, "motifs": len(summary.database.motifs)}
    return ran


def _naming(name: str) -> AbstractContextManager[None]:
    """Return a context in which errors name one model of several."""
    return nullcontext() if name == ONE_MODEL else within(f"models.{name}")


def _describe(inspection: Path, settings: Settings, checked: Mapping[str, Checked], length: int) -> None:
    """Write what each model is, as `genolift inspect` says it of sequences of a length in bases."""
    first, *others = settings.every_target
    how, described = settings.explained | {"target": first}, {}
    for name, each in checked.items():
        spec = settings.models[name]
        of_length = spec if spec.input_length else spec.model_copy(update={"input_length": length})
        with _naming(name):
            found = inspect_model(of_length, settings.extras, **how, checked=each)
            if found.error is not None:
                raise found.error
        described[name] = found.as_json() | ({"other_targets": others} if others else {})
    with whole_folder(inspection, _KIND) as folder:
        for name, told in described.items():
            (folder / f"{name}.json").write_text(as_json(told), encoding="utf-8")
