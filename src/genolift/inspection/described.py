"""Everything that is found about a model."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genolift.data.stored_tensors import random_onehot
from genolift.engine.graph.graph import Graph, UnsupportedOperation
from genolift.engine.graph.own_state import own_state
from genolift.engine.graph.trial_model import TrialModel
from genolift.engine.plan import in_one, row_of, shown_rows, step_over_final_activation
from genolift.engine.receptive_field import ReceptiveField, receptive_field
from genolift.engine.registry import kind_of
from genolift.engine.rules.composites import GENOMICS_DEFAULT
from genolift.errors import InputError
from genolift.explain.captured import Captured, CaptureKey, captured
from genolift.explain.explainer import Explainer
from genolift.inspection.model_check import Checked, check_values
from genolift.inspection.outputs_of import OutputOf, outputs_of
from genolift.inspection.taken import Taken, read_model, rows_of
from genolift.inspection.weights import Weights, weights_of
from genolift.models import Model, model_provenance
from genolift.models.expected import check_expected
from genolift.results.agreement import Agreement
from genolift.settings.extra_inputs import Extras
from genolift.settings.model import ModelSpec
from genolift.targets.binding import Named
from genolift.targets.grammar import Term
from genolift.targets.outputs import structure_of, tensors_by_path
from genolift.targets.targets import task_names

FORMAT, VERSION = "genolift-inspection", 1
_LONGEST_FIELD = 2**14
"""Bases of the longest input in which a receptive field is searched, for a model that takes any length."""
_GIVE = "give --input-length, --axes, or its further inputs (--extra-input)"


@dataclass(frozen=True)
class Planned:
    """A captured model, None if it could not be, and its plan."""

    graph: Graph | None
    rows: tuple[Mapping[str, str], ...] = ()
    """Those of `genolift.plan`; if operations are refused, the others."""
    final_activation: str = ""
    stepped_over: bool = False
    refused: tuple[str, ...] = ()
    """The operations without an exact rule, and where they are."""
    error: InputError | None = None


@dataclass(frozen=True)
class Inspection:
    """What a model is."""

    taken: Taken
    """What it takes."""
    planned: Planned
    extras: Extras
    provenance: Mapping[str, Any]
    """What identifies its files."""
    named: Named
    """What it returns, and the names of its tasks."""
    target: int | str
    """The target of the plan."""
    proposed: int | str | None
    """The target for a config; None if nothing tells which of a model's outputs is meant."""
    rule: str
    weights: Weights
    field: ReceptiveField | None
    """None if the model could not be captured."""
    error: InputError | None = None
    """Why the model cannot be explained, or how it differs from its author's outputs."""
    agreement: Agreement | None = None
    """How close it is to its author's outputs, if they are given and it agrees."""

    @property
    def outputs(self) -> tuple[OutputOf, ...]:
        """Its outputs."""
        return outputs_of(self.named)

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads of a profile model that it has."""
        return self.named.heads

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of its tasks, empty if it names none."""
        return tuple(self.named.tasks)

    @property
    def operations(self) -> list[tuple[str, str, str, int]]:
        """Kind, rule, operation, and their number, largest first; without those that only move values."""
        counted = Counter(
            (row["kind"], row["rule"], row["operation"]) for row in self.planned.rows if not row["moves"]
        )
        return [(*key, number) for key, number in counted.most_common()]

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values, with the plan as it is shown."""
        parts = ((self.taken, _OF_TAKEN), (self.planned, _OF_PLANNED), (self, _OF_INSPECTION))
        own = {name: _plain(getattr(part, name)) for part, names in parts for name in names}
        return {
            "format": FORMAT,
            "version": VERSION,
            **self.provenance,
            "model_axes": self.taken.spec.axes,
            "length": _plain(self.taken.layout.length),
            "model_agreement": _plain(self.agreement),
            **own,
            "receptive_field": _plain(self.field),
            "operations": [
                {"kind": kind, "rule": rule, "operation": operation, "number": number}
                for kind, rule, operation, number in self.operations
            ],
            "plan": shown_rows(self.planned.rows),
        }


_OF_TAKEN = ("kind", "inputs", "notes")
_OF_PLANNED = ("final_activation", "stepped_over", "refused")
_OF_INSPECTION = ("outputs", "heads", "tasks", "target", "rule", "weights")
"""Facts with the same names in the file."""


def _plain(value: Any) -> Any:
    """Return dataclasses as mappings, and tuples as lists."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


@own_state()
def inspect_model(
    spec: ModelSpec,
    extras: Extras = Extras(),  # noqa: B008 - it is frozen
    *,
    target: int | str | None = None,
    rule: str = GENOMICS_DEFAULT,
    keep_final_activation: bool = False,
    checked: Checked | None = None,
) -> Inspection:
    """Return what a model is, and what can be explained in it.

    Parameters
    ----------
    spec
        The model; its layout and length are found by running it if it does not say them.
    extras
        The extra inputs. Those whose shapes the model says may be left out.
    target
        The target of the plan; None for a head or the first output that can be explained.
    rule, keep_final_activation
        As in `genolift.deeplift`.
    checked
        The model, where it was checked already with these settings: it is not loaded, captured and compared
        again.

    Raises
    ------
    InputError
        If the model cannot be loaded, or does not run.
    """
    taken = read_model(spec, extras, None if checked is None else checked.model)
    bases = taken.layout.length.bases
    random = random_onehot(2, bases)
    output, error = _output(taken, random)
    named = Named(structure_of(output), task_names(taken.own))
    proposed = _proposed(named) if target is None else target
    chosen = _any_cell(named) if proposed is None else proposed
    rows = (random[:1], *taken.extras)
    key = CaptureKey(CaptureKey.events_of(rows), (chosen,), keep_final_activation=keep_final_activation)
    if checked is not None and checked.model is taken.model and checked.events == key.events:
        planned = _planned_by(checked.explainer)
    else:
        planned = _planned(taken.model, rows, key, rule)
    field = None if planned.graph is None else _field(taken, planned.graph, key)
    agreement, disagreement = (checked.agreement, None) if checked else _compared(taken, extras)
    return Inspection(
        taken=taken,
        planned=planned,
        extras=extras,
        provenance=model_provenance(spec),
        named=named,
        target=chosen,
        proposed=proposed,
        rule=rule,
        weights=weights_of(taken.own),
        field=field,
        error=error or planned.error or disagreement,
        agreement=agreement,
    )


def _output(taken: Taken, random: Tensor) -> tuple[Any, InputError | None]:
    """Return the model's output for random DNA, and the mistake in it, if there is one."""
    trial = TrialModel(taken.model)
    output = trial.output(random, *rows_of(taken.extras, len(random)), remedy=lambda: _GIVE)
    try:
        check_values(output, [f"{number} of random DNA" for number in range(len(random))])
    except InputError as error:
        return output, error
    return output, None


def _compared(taken: Taken, extras: Extras) -> tuple[Agreement | None, InputError | None]:
    try:
        return check_expected(taken.model, taken.spec, extras), None
    except InputError as error:
        return None, error


def _proposed(named: Named) -> int | str | None:
    """Return the counts, or the first number of the first output; None if that has several axes."""
    if "counts" in named.heads:
        return "counts"
    first = next((each.target for each in outputs_of(named)), None)
    return int(first) if first is not None and first.isdecimal() else first


def _any_cell(named: Named) -> int | str:
    """Return some number of an output, for a plan to be made of it."""
    for path, shape in tensors_by_path(named.outputs):
        if 0 not in shape:
            return str(Term(path, (0,) * len(shape)))
    return 0


def _planned(model: Model, rows: tuple[Tensor, ...], key: CaptureKey, rule: str) -> Planned:
    """Return the plan, or, if there is none, what is known, and every operation that prevents it."""
    try:
        found = captured(model, rows, key, rule)
    except UnsupportedOperation as error:
        return Planned(None, refused=(str(error),), error=error)
    except InputError as error:
        return Planned(None, error=error)
    try:
        return _planned_by(Explainer.of(found, rows, rule))
    except UnsupportedOperation as error:
        steps, refused = _refused(found.graph)
        final = _final(found)
        return Planned(found.graph, steps, final, refused=refused or (str(error),), error=error)
    except InputError as error:
        return Planned(found.graph, final_activation=_final(found), error=error)


def _planned_by(explainer: Explainer) -> Planned:
    stepped_over = any(explainer.stepped_over)
    return Planned(explainer.graph, tuple(explainer.plan.table()), _final(explainer), stepped_over)


def _final(of: Captured | Explainer) -> str:
    """Return the final activation, whether it is explained or stepped over."""
    return in_one(of.stepped_over) or in_one(step_over_final_activation(of.graph)[1])


def _refused(graph: Graph) -> tuple[tuple[Mapping[str, str], ...], tuple[str, ...]]:
    """Return the rows of the operations, and those without an exact rule."""
    rows, refused = [], []
    for operation in graph.operations:
        if operation.name not in graph.dependent:
            continue
        try:
            kind = kind_of(operation, graph.dependent)
            rows.append(row_of(operation, kind.label, rule="", moves=kind.moves))
        except UnsupportedOperation as lacking:
            rows.append(row_of(operation, "refused", rule="none"))
            layer = f"layer {operation.layer}, " if operation.layer else ""
            refused.append(f"{operation.title} ({layer}{lacking.where}): {lacking.what}")
    return tuple(rows), tuple(refused)


def _field(taken: Taken, graph: Graph, key: CaptureKey) -> ReceptiveField | None:
    """Return the receptive field, in a sufficiently long input if the model takes any."""
    length = taken.layout.length
    bases = length.bases
    field = _or_none(lambda: receptive_field(graph, bases, taken.extras))
    while field is not None and field.at_least and length.largest is None and bases < _LONGEST_FIELD:
        bases *= 4
        extras = tuple(_stretched(one, length.bases, bases) for one in taken.extras)
        found = _or_none(partial(_field_of_longer, taken.model, bases, extras, key))
        if found is None:
            break
        field = found
    # A model in another layout is wrapped; its whole is not one of the user's layers.
    return None if field is None else replace(field, of=field.of.removesuffix(" model"))


def _field_of_longer(
    model: Model, bases: int, extras: tuple[Tensor, ...], key: CaptureKey
) -> ReceptiveField | None:
    rows = (random_onehot(1, bases), *extras)
    found = captured(model, rows, replace(key, events=CaptureKey.events_of(rows)))
    return receptive_field(found.graph, bases, extras)


def _stretched(one: Tensor, before: int, after: int) -> Tensor:
    """Return an extra channel's row for longer sequences, and other inputs unchanged."""
    return torch.zeros(*one.shape[:-1], after) if one.dim() == 3 and one.shape[-1] == before else one


def _or_none(found: Callable[[], ReceptiveField | None]) -> ReceptiveField | None:
    """Return what is found; None if an operation cannot be run on the search's inputs."""
    try:
        return found()
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError):
        return None
