"""What a model is, all that is found of it together. Joins models and engine; prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.capture import capture
from genolift.engine.graph.graph import Graph, UnsupportedOperation
from genolift.engine.graph.own_state import own_state
from genolift.engine.graph.source import first_line, model_line
from genolift.engine.graph.trial_model import trial_model
from genolift.engine.plan import shown_rows, step_over_final_activation
from genolift.engine.receptive_field import ReceptiveField, receptive_field
from genolift.engine.registry import MOVES, kind_of
from genolift.engine.rules.composites import GENOMICS_DEFAULT
from genolift.errors import InputError
from genolift.explain.attribution import Explainer
from genolift.inspection.outputs_of import OutputOf, heads_of, outputs_of
from genolift.inspection.taken import Input, Taken, read_model
from genolift.inspection.trial import Length
from genolift.inspection.weights import Weights, weights_of
from genolift.models import model_provenance
from genolift.models.expected import check_expected
from genolift.results.agreement import Agreement
from genolift.settings.extra_inputs import Extras
from genolift.settings.model import ModelSpec
from genolift.targets.targets import resolve, task_names

FORMAT, VERSION = "genolift-inspection", 1
_LONGEST_FIELD = 2**14
"""Bases of the longest input that a receptive field is looked for in, of a model that takes any length."""
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Inspection:
    """What a model is."""

    spec: ModelSpec
    """With the axes, alphabet and length that were found."""
    held: Extras
    kind: str
    provenance: Mapping[str, Any]
    """What tells its files from others."""
    inputs: tuple[Input, ...]
    length: Length
    outputs: tuple[OutputOf, ...]
    heads: tuple[str, ...]
    tasks: tuple[str, ...]
    target: int | str
    """The target that the plan is of."""
    rule: str
    weights: Weights
    final_activation: str
    stepped_over: bool
    field: ReceptiveField | None
    """None where the model could not be captured."""
    plan: tuple[Mapping[str, str], ...]
    """The rows of `genolift.plan`; where an operation is refused, those that are not."""
    refused: tuple[str, ...]
    """The operations that no exact rule is known for, and where they are."""
    notes: tuple[str, ...]
    error: InputError | None = None
    """Why the model cannot be explained, or that it does not give its author's outputs."""
    agreement: Agreement | None = None
    """How far it is from its author's outputs, where they are given and it gives them."""

    @property
    def operations(self) -> list[tuple[str, str, str, int]]:
        """Kind, rule, operation, and how many there are, most first; without what only places values."""
        counted = Counter(
            (row["kind"], row["rule"], row["operation"]) for row in self.plan if row["operation"] not in MOVES
        )
        return [(*key, number) for key, number in counted.most_common()]

    def as_json(self) -> dict[str, Any]:
        """Return what is found as plain values, the plan as it is shown."""
        return {
            "format": FORMAT,
            "version": VERSION,
            **self.provenance,
            "model_axes": self.spec.axes,
            "model_agreement": None if self.agreement is None else asdict(self.agreement),
            "kind": self.kind,
            "inputs": [asdict(each) for each in self.inputs],
            "length": asdict(self.length),
            "outputs": [asdict(each) for each in self.outputs],
            "heads": list(self.heads),
            "tasks": list(self.tasks),
            "target": self.target,
            "rule": self.rule,
            "weights": asdict(self.weights),
            "final_activation": self.final_activation,
            "stepped_over": self.stepped_over,
            "receptive_field": None if self.field is None else asdict(self.field),
            "operations": [
                {"kind": kind, "rule": rule, "operation": operation, "number": number}
                for kind, rule, operation, number in self.operations
            ],
            "plan": shown_rows(self.plan),
            "refused": list(self.refused),
            "notes": list(self.notes),
        }


@own_state()
def inspect_model(
    spec: ModelSpec,
    held: Extras = Extras(),  # noqa: B008 - it is frozen
    *,
    target: int | str | None = None,
    rule: str = GENOMICS_DEFAULT,
    keep_final_activation: bool = False,
) -> Inspection:
    """Return what a model is, and what of it can be explained.

    Parameters
    ----------
    spec
        The model; what it does not say of its layout and length is found by running it.
    held
        What it is given beside the bases. Further inputs whose shapes the model says may be left out.
    target
        What the plan is of; None for a head or the first output that can be explained.
    rule, keep_final_activation
        As in `genolift.deeplift`.

    Raises
    ------
    InputError
        If the model cannot be loaded, or does not run.
    """
    taken = read_model(spec, held)
    bases = taken.layout.length.bases
    output = _output(taken, bases)
    outputs, heads = outputs_of(output, taken.own), heads_of(output)
    chosen = _target(outputs, heads, target)
    tasks = tuple(task_names(taken.own))
    planned = _planned(taken, bases, chosen, rule, keep_final_activation)
    field = None if planned.graph is None else _field(taken, planned.graph, chosen)
    agreement, error = None, planned.error
    try:
        agreement = check_expected(taken.model, taken.spec, held)
    except InputError as disagrees:
        error = disagrees
    return Inspection(
        spec=taken.spec,
        held=held,
        kind=taken.kind,
        provenance=model_provenance(spec),
        inputs=taken.inputs,
        length=taken.layout.length,
        outputs=outputs,
        heads=heads,
        tasks=tasks,
        target=chosen,
        rule=rule,
        weights=weights_of(taken.own),
        final_activation=planned.final_activation,
        stepped_over=planned.stepped_over,
        field=field,
        plan=planned.rows,
        refused=planned.refused,
        notes=taken.notes,
        error=error,
        agreement=agreement,
    )


def _example(taken: Taken, bases: int) -> tuple[Tensor, ...]:
    return (torch.zeros(1, 4, bases), *taken.held)


def _output(taken: Taken, bases: int) -> Any:
    """Return what the model returns for two rows."""
    rows = tuple(one.expand(2, *one.shape[1:]) for one in _example(taken, bases))
    try:
        return trial_model(taken.model)(*rows)
    except InputError:
        raise
    except Exception as error:
        shown = " and ".join(str(("n", *one.shape[1:])).replace("'", "") for one in rows)
        raise InputError(
            f"does not run on {shown}: {first_line(error)}",
            where=f"{taken.spec.path}, {model_line(error)}",
            remedy="give --input-length, --axes, or its further inputs (--extra-input)",
        ) from error


def _target(outputs: tuple[OutputOf, ...], heads: tuple[str, ...], given: int | str | None) -> int | str:
    if given is not None:
        return given
    if heads:
        return heads[0]
    first = next((each.target for each in outputs if each.target is not None), "0")
    return int(first) if first.isdecimal() else first


@dataclass(frozen=True)
class _Planned:
    graph: Graph | None
    rows: tuple[Mapping[str, str], ...] = ()
    final_activation: str = ""
    stepped_over: bool = False
    refused: tuple[str, ...] = ()
    error: InputError | None = None


def _planned(taken: Taken, bases: int, target: int | str, rule: str, keep: bool) -> _Planned:
    example, *held = _example(taken, bases)
    try:
        explainer = Explainer(
            taken.model,
            example,
            rule=rule,
            target=target,
            keep_final_activation=keep,
            extra_inputs=tuple(held),
            device="cpu",
        )
    except InputError as error:
        return _refused(taken, bases, target, error)
    stepped_over = explainer.stepped_over
    final = stepped_over or step_over_final_activation(explainer.graph)[1]
    rows = tuple(explainer.plan.table())
    return _Planned(explainer.graph, rows, final, bool(stepped_over))


def _refused(taken: Taken, bases: int, target: int | str, error: InputError) -> _Planned:
    """Return what can be said of a model that cannot be explained, and every operation that is why."""
    if not isinstance(error, UnsupportedOperation):
        return _Planned(None, error=error)
    try:
        graph = _captured(taken, bases, target)
    except InputError as other:
        return _Planned(None, refused=(str(other),), error=other)
    rows, refused = [], []
    for operation in graph.operations:
        if operation.name not in graph.dependent:
            continue
        try:
            kind = kind_of(operation, graph.dependent).label
        except UnsupportedOperation as lacking:
            kind = "refused"
            layer = f"layer {operation.layer}, " if operation.layer else ""
            refused.append(f"{operation.title} ({layer}{lacking.where}): {lacking.what}")
        rows.append(
            {
                "value": str(operation.name),
                "layer": operation.layer,
                "operation": operation.title,
                "kind": kind,
                "rule": "none" if kind == "refused" else "",
                "why": "",
                "line": operation.source,
            }
        )
    final = step_over_final_activation(graph)[1]
    return _Planned(graph, tuple(rows), final, refused=tuple(refused or [str(error)]), error=error)


def _captured(taken: Taken, bases: int, target: int | str) -> Graph:
    resolved = resolve(taken.model, [target])
    return capture(
        taken.model, _example(taken, bases), device=_CPU, dtype=torch.float32, after=resolved.after
    )


def _field(taken: Taken, graph: Graph, target: int | str) -> ReceptiveField | None:
    """Return the receptive field, in an input that is long enough where the model takes any."""
    length = taken.layout.length
    bases = length.bases
    field = _or_none(lambda: receptive_field(graph, bases, taken.held))
    while field is not None and field.at_least and length.largest is None and bases < _LONGEST_FIELD:
        bases *= 4
        longer = replace(taken, held=tuple(_stretched(one, length.bases, bases) for one in taken.held))
        found = _or_none(
            lambda longer=longer, bases=bases: receptive_field(  # type: ignore[misc]
                _captured(longer, bases, target), bases, longer.held
            )
        )
        if found is None:
            break
        field = found
    # The whole of a model that is laid out is no layer of the user's.
    return None if field is None else replace(field, of=field.of.removesuffix(" model"))


def _stretched(one: Tensor, before: int, after: int) -> Tensor:
    """Return an extra channel's row for longer sequences; other inputs as they are."""
    return torch.zeros(*one.shape[:-1], after) if one.dim() == 3 and one.shape[-1] == before else one


def _or_none(found: Callable[[], ReceptiveField]) -> ReceptiveField | None:
    """Return what is found; None where an operation cannot be run on what the search runs it on."""
    try:
        return found()
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError):
        return None
