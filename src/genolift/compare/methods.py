"""Attribution methods run side by side on one input: a table, their agreement and a figure. Prints nothing.

Reads the files, runs every method on the same model and references, and writes the results.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr, rankdata
from torch import Tensor

from genolift.compare.figure import draw_comparison
from genolift.compare.truth import Instances, find, read_instances
from genolift.data.alphabet import onehot_of_codes
from genolift.data.extra_inputs import ExtraInputs, extras_provenance
from genolift.data.stored_sequences import Sequences, check_length, read_sequences
from genolift.data.stored_tensors import as_tensors
from genolift.engine.devices import chosen_device
from genolift.errors import InputError
from genolift.explain.attribution import path_points
from genolift.explain.explainer import Explainer, Model
from genolift.explain.methods import GradCam, Mutagenesis
from genolift.explain.result import Attribution
from genolift.files.of_models import model_sha256
from genolift.files.output_paths import check_outputs
from genolift.files.plain_values import as_json
from genolift.files.whole import whole_folder
from genolift.models import input_length, load_model
from genolift.models.expected import check_expected
from genolift.references.store import References, check_references, open_references
from genolift.settings.model import ModelSpec
from genolift.settings.of_commands import Comparison
from genolift.settings.sections import Settings

_LOG = logging.getLogger("genolift")
GRADIENT_X_INPUT = "gradient-x-input"
_KIND = "compare"
# Runs of less than a second are repeated, since other work on the machine makes their times unreliable.
_SHORT, _MOST_RUNS = 1.0, 5

Run = Callable[[Tensor, Tensor], Attribution]
"""From sequences, (n, 4, length), and references, (n, r, 4, length) or (r, 4, length)."""


@dataclass(frozen=True)
class CompareSummary:
    """What `compare` did: numbers of sequences and methods, those that refused the model, and seconds."""

    n_sequences: int
    n_methods: int
    n_refused: int
    seconds: float
    device: str

    def __str__(self) -> str:
        refused = f" ({self.n_refused} refused the model)" if self.n_refused else ""
        run = f"{self.n_methods} methods{refused} on {self.n_sequences} sequences on {self.device}"
        return f"{run} in {self.seconds:.1f} s"


@dataclass(frozen=True)
class _Given:
    """What all methods are given."""

    model: Model
    example: Tensor
    extras: tuple[Tensor, ...]
    """Extra channels and inputs of all sequences that are compared, (n, ...) each."""
    explained: Mapping[str, Any]
    """The methods' keywords target, keep_final_activation, device and precision."""
    steps: int
    batch_size: int | None

    def captured(self, make: Callable[..., Any], **options: Any) -> Any:
        """Return an explainer of the model."""
        extras = tuple(each[:1] for each in self.extras)
        return make(self.model, self.example, extra_inputs=extras, **options, **self.explained)

    def told(self, compared: References) -> dict[str, Any]:
        """Return what methods are given, and the references that they are compared with, as plain values."""
        return {
            **self.explained,
            "device": str(self.explained["device"]),
            "reference_kind": compared.kind,
            "reference_number": compared.number,
            "reference_seed": compared.seed,
        }

    def options(self, x: Tensor) -> dict[str, Any]:
        """Return the keywords that every explainer is called with, for the first sequences ``x``."""
        return {"extra_inputs": tuple(each[: len(x)] for each in self.extras), "batch_size": self.batch_size}


def _by_rule(rule: str, given: _Given, path: Sequence[tuple[float, float]] = ()) -> Run:
    explainer = given.captured(Explainer, rule=rule)
    return lambda x, references: explainer.explain(x, references, path=path, **given.options(x))


def _times_input(rule: str, given: _Given) -> Run:
    run = _by_rule(rule, given)
    return lambda x, references: run(x, torch.zeros(1, *x.shape[1:]))


def _integrated_gradients(given: _Given) -> Run:
    return _by_rule("gradient", given, path_points(given.steps, "gauss-legendre"))


def _alone(make: Callable[..., Any], given: _Given, **options: Any) -> Run:
    """Return a method that compares with nothing."""
    explainer = given.captured(make, **options)
    return lambda x, references: explainer.explain(x, **given.options(x))


@dataclass(frozen=True)
class Method:
    """A method: ``prepare`` captures the model and returns what runs it."""

    prepare: Callable[[_Given], Run]
    sums_up: bool = False
    """Whether its contributions promise to add up to output - reference output."""


METHODS: Mapping[str, Method] = {
    "genomics-default": Method(partial(_by_rule, "genomics-default"), sums_up=True),
    "revealcancel": Method(partial(_by_rule, "revealcancel"), sums_up=True),
    "rescale": Method(partial(_by_rule, "rescale"), sums_up=True),
    "integrated-gradients": Method(_integrated_gradients, sums_up=True),
    GRADIENT_X_INPUT: Method(partial(_times_input, "gradient")),
    "guided-backprop": Method(partial(_times_input, "guided-backprop")),
    "deconvnet": Method(partial(_times_input, "deconvnet")),
    "lrp-epsilon": Method(partial(_times_input, "lrp-epsilon")),
    "in-silico-mutagenesis": Method(partial(_alone, Mutagenesis)),
    "grad-cam": Method(partial(_alone, GradCam)),
    "guided-grad-cam": Method(partial(_alone, GradCam, guided=True)),
}
"""Every method by its name. The first four compare with the references; gradients and relevances are
multiplied by the input itself."""


def compare(
    settings: Settings, comparison: Comparison, *, sequences: Path, references: Path, out: Path
) -> CompareSummary:
    """Run methods on the first sequences, and write how well they agree, what they cost and what they find.

    The folder holds ``methods.tsv``, one row per method: ``method``, ``seconds`` of computing (without
    tracing, after a warm-up on one sequence; the minimum of up to five runs if they are short),
    ``seconds_per_sequence``, ``cost`` as a multiple of gradient x input, ``convergence_error_relative_max``
    of the methods that promise a sum, with ``truth`` the columns of `genolift.compare.truth.Found`, and
    ``note``, why a method refused the model; ``agreement.tsv``, ``method1 method2 pearson spearman``: the
    mean over sequences of the correlation of per-base scores; ``comparison.json``, what was run; and the
    figure as ``compare.svg`` and ``compare.png``.

    Parameters
    ----------
    settings
        The model, what it is given beside the bases, the target, and the section ``attribution``.
    comparison
        The methods, and what they are compared on.
    sequences, references
        ``sequences.h5`` and ``references.h5``.
    out
        The folder to make; an earlier comparison there is replaced.

    Raises
    ------
    InputError
        If a file or a setting is wrong, ``out`` may not be written (see `check_outputs`), or every method
        refuses the model.
    """
    started = time.monotonic()
    spec = settings.the_model
    read = [sequences, references, comparison.truth, *settings.files]
    check_outputs(folders=[(out, _KIND)], inputs=read)
    stored = read_sequences(sequences)
    n, length = min(comparison.number, len(stored.key)), stored.codes.shape[1]
    with open_references(references) as compared:
        check_references(stored, compared, references)
        shown = torch.from_numpy(compared.shared_onehot() if compared.shared else compared.onehot(0, n))
    instances = _instances(comparison, stored.id[:n], length)
    given = _given(settings, comparison.steps, stored, n, sequences)
    onehot = torch.from_numpy(onehot_of_codes(stored.codes[:n])).float()
    results = _run_all(comparison.methods, given, onehot, shown)
    table = _table(results, instances, n)
    agreement = agreement_table({name: result.scores for name, result in results.items() if not result.note})
    seconds = time.monotonic() - started
    about = {
        **given.told(compared),
        "n_sequences": n,
        "integrated_gradients_steps": comparison.steps,
        "truth_motifs": list(comparison.truth_motifs),
        "true_base_share": _share(instances, n, length),
        "model": _told(spec),
        **extras_provenance(settings.extras),
        "seconds": round(seconds, 3),
    }
    _write(out, table, agreement, about)
    return CompareSummary(n, len(table), int((table["note"] != "").sum()), seconds, about["device"])


def _instances(comparison: Comparison, ids: Sequence[str], length: int) -> Instances | None:
    """Return where the motifs of these sequences are, if that is known."""
    if comparison.truth is None:
        return None
    return read_instances(comparison.truth, ids, length, motifs=comparison.truth_motifs)


def _told(model: ModelSpec) -> dict[str, Any]:
    """Return a model's keys, with the SHA-256 of its file."""
    more = {"extra_channels": model.extra_channels, "sha256": model_sha256(model.path)}
    return model.model_dump(mode="json") | more


def _write(out: Path, table: pd.DataFrame, agreement: pd.DataFrame, about: Mapping[str, Any]) -> None:
    with whole_folder(out, _KIND) as folder:
        table.to_csv(folder / "methods.tsv", sep="\t", index=False, float_format="%.6g")
        agreement.to_csv(folder / "agreement.tsv", sep="\t", index=False, float_format="%.6f")
        (folder / "comparison.json").write_text(as_json(about), encoding="utf-8")
        draw_comparison(table, agreement, about, folder / "compare")


def _given(settings: Settings, steps: int, stored: Sequences, n: int, path: Path) -> _Given:
    """Load the model, and return what every method is given."""
    spec, asked = settings.the_model, settings.attribution
    loaded = load_model(spec)
    check_length(stored, input_length(loaded, spec), path)
    check_expected(loaded, spec, settings.extras)
    explained = {
        "target": settings.target,
        "keep_final_activation": settings.keep_final_activation,
        "device": chosen_device(asked.device),
        "precision": asked.precision,
    }
    example = torch.from_numpy(onehot_of_codes(stored.codes[:1])).float()
    inputs = as_tensors(ExtraInputs(settings.extras, stored).of(range(n)))
    return _Given(loaded, example, inputs, explained, steps, asked.batch)


@dataclass(frozen=True)
class _Result:
    """A method's scores, (sequence, position), or the reason why it refused the model."""

    scores: NDArray[np.float64]
    seconds: float = float("nan")
    error: float = float("nan")
    note: str = ""


def _run_all(methods: Sequence[str], given: _Given, onehot: Tensor, references: Tensor) -> dict[str, _Result]:
    results: dict[str, _Result] = {}
    refusals: list[InputError] = []
    for name in methods:
        try:
            results[name] = _run(METHODS[name], given, onehot, references)
            _LOG.info("%s: %.2f s", name, results[name].seconds)
        except InputError as refusal:
            refusals.append(refusal)
            results[name] = _Result(np.full((0, 0), np.nan), note=str(refusal))
            _LOG.warning("%s: %s", name, refusal)
    if len(refusals) == len(methods):
        raise refusals[0]
    return results


def _run(method: Method, given: _Given, onehot: Tensor, references: Tensor) -> _Result:
    run = method.prepare(given)
    shared = references.dim() == onehot.dim()
    run(onehot[:1], references if shared else references[:1])  # the first call is slower than the others
    seconds: list[float] = []
    while not seconds or (len(seconds) < _MOST_RUNS and sum(seconds) < _SHORT):
        started = time.perf_counter()
        result = run(onehot, references)
        seconds.append(time.perf_counter() - started)
    error = float(result.relative_convergence_error.max()) if method.sums_up else float("nan")
    return _Result(result.contributions.double().sum(1).numpy(), min(seconds), error)


def _table(results: Mapping[str, _Result], instances: Instances | None, n: int) -> pd.DataFrame:
    rows = []
    unit = results[GRADIENT_X_INPUT].seconds if GRADIENT_X_INPUT in results else float("nan")
    for name, result in results.items():
        row: dict[str, Any] = {
            "method": name,
            "seconds": result.seconds,
            "seconds_per_sequence": result.seconds / n,
            "cost": result.seconds / unit,
            "convergence_error_relative_max": result.error,
        }
        if instances is not None and not result.note:
            row |= asdict(find(result.scores, instances))
        rows.append(row | {"note": result.note})
    table = pd.DataFrame(rows)
    return table[[*(column for column in table.columns if column != "note"), "note"]]


def agreement_table(scores: Mapping[str, NDArray[np.floating]]) -> pd.DataFrame:
    """Return how well methods agree: ``method1 method2 pearson spearman``, a row for each pair.

    Parameters
    ----------
    scores
        Per-base scores of each method, (sequence, position). The correlation over positions is averaged over
        sequences, except those where a method gives all bases the same score and there is no correlation.
    """
    ranks = {name: rankdata(values, axis=1) for name, values in scores.items()}
    names = list(scores)
    rows = [
        (one, other, _correlation(scores[one], scores[other]), _correlation(ranks[one], ranks[other]))
        for at, one in enumerate(names)
        for other in names[at + 1 :]
    ]
    return pd.DataFrame(rows, columns=["method1", "method2", "pearson", "spearman"])


def _correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return Pearson's correlation over positions, averaged over the sequences where it is defined."""
    defined = (np.ptp(one, axis=1) > 0) & (np.ptp(other, axis=1) > 0)
    if not defined.any():
        return float("nan")
    return float(pearsonr(one[defined], other[defined], axis=1).statistic.mean())


def _share(instances: Instances | None, n: int, length: int) -> float | None:
    """Return the share of true bases in the sequences that have any: the precision expected by chance."""
    if instances is None:
        return None
    truth = instances.true_bases((n, length))
    return round(float(truth[truth.any(axis=1)].mean()), 6)
