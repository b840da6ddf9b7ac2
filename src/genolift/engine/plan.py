"""Which rule each operation of a graph gets, and why. Computes nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from genolift.engine.graph.graph import (
    Graph,
    Name,
    Operation,
    UnsupportedOperation,
    aten,
    fill_in,
    following,
    needed_for,
    with_dependence,
)
from genolift.engine.kinds.kind import Kind, NoKind, Step
from genolift.engine.registry import kind_of, kind_or_any, only_moves
from genolift.engine.rules.composites import composite_named
from genolift.errors import InputError


@dataclass(frozen=True, repr=False)
class Plan:
    """The operations of a model, what each is, and the rule it gets. ``print(plan)`` shows the table."""

    graph: Graph
    rule: str
    steps: tuple[Step, ...]
    carries_spread: frozenset[Name]
    """The values whose positive and negative parts are kept apart, for a RevealCancel further on."""
    uses_reference: bool
    """Whether multipliers depend on the reference."""
    share_of_product: float = 1.0
    """What part of the derivative each factor of a product gets where no reference is used."""

    @property
    def sums_up(self) -> bool:
        """Whether the rule promises that contributions sum to the difference in output."""
        return composite_named(self.rule).rule.sums_up

    def table(self) -> list[dict[str, str]]:
        """Return a row for each operation: see `row_of`."""
        return [
            row_of(
                step.operation,
                step.kind.shown,
                step.rule.name if step.rule else step.kind.passes,
                step.reason,
                moves=step.kind.moves,
            )
            for step in self.steps
        ]

    def __repr__(self) -> str:
        return f"Plan(rule={self.rule!r}, operations={len(self.steps)}; print it for the table)"

    def __str__(self) -> str:
        return as_text(self.table(), ["layer", "operation", "kind", "rule", "why", "line"])


def row_of(
    operation: Operation, kind: str, rule: str, why: str = "", *, moves: bool = False
) -> dict[str, str]:
    """Return an operation's row of a plan; ``moves`` says whether it only places values elsewhere."""
    return {
        "value": str(operation.name),
        "layer": operation.layer,
        "operation": operation.title,
        "kind": kind,
        "rule": rule,
        "why": why,
        "line": operation.source,
        "moves": "yes" if moves else "",
    }


def as_text(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """Return rows, as `shown_rows` has them, as a table of aligned columns."""
    rows = shown_rows(rows)
    widths = {column: max([len(column), *(len(row[column]) for row in rows)]) for column in columns}
    lines = ["  ".join(column.ljust(widths[column]) for column in columns)]
    lines += ["  ".join(row[column].ljust(widths[column]) for column in columns) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def shown_rows(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return a plan's rows for people: files without their folders, runs of moves as one row."""
    rows = [{**row, "line": _without_folder(row["line"])} for row in _folded(rows)]
    return [{column: text for column, text in row.items() if column != "moves"} for row in rows]


def _folded(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return rows with those of several moves, one behind another in one layer, as one row."""
    folded: list[dict[str, str]] = []
    moves: list[str] = []
    for row in rows:
        if row.get("moves") and moves and folded[-1]["layer"] == row["layer"]:
            moves.append(row["operation"])
            shown = ", ".join(dict.fromkeys(moves))
            folded[-1]["operation"] = f"{shown} ({len(moves)} moves)"
            if float(row.get("lost") or 0) > float(folded[-1].get("lost") or 0):
                folded[-1]["lost"] = row["lost"]
            continue
        moves = [row["operation"]] if row.get("moves") else []
        folded.append(dict(row))
    return folded


def _without_folder(line: str) -> str:
    """Return "model.py:3 `text`" of "folder/model.py:3 `text`"."""
    path, tick, text = line.partition(" `")
    return path.rpartition("/")[2] + tick + text


def make_plan(graph: Graph, rule: str) -> Plan:
    """Give every operation of ``graph`` that depends on the input its rule.

    Raises
    ------
    UnsupportedOperation
        If no exact rule is known for an operation.
    InputError
        If there is no rule of that name, or the output does not depend on the input.
    """
    composite = composite_named(rule)
    dependent = (operation for operation in graph.operations if operation.name in graph.dependent)
    passed = following({graph.read}, dependent) - {graph.read}
    if graph.output not in passed:
        read = "its first input" if graph.read == graph.input else "the layer"
        raise InputError(f"what is explained does not depend on {read}", where="model")
    kinds: dict[Name, Kind] = {}
    steps = []
    for operation in graph.operations:
        if operation.name in passed:
            kind = kinds[operation.name] = _kind(operation, graph)
            chosen, reason = kind.rule(composite, partial(weighted_layers_before, operation, graph, kinds))
            steps.append(Step(operation, kind, chosen, reason))
        elif operation.name in graph.dependent:
            # What lies before the layer that is read needs no rule, but says what feeds an activation.
            with suppress(UnsupportedOperation):
                kinds[operation.name] = _kind(operation, graph)
    base = composite.rule
    return Plan(
        graph, rule, tuple(steps), _carrying_spread(graph, steps), base.uses_reference, base.share_of_product
    )


def _kind(operation: Operation, graph: Graph) -> Kind:
    """Return the kind of an operation; a function of one truth value, such as a choice by it, is a step.

    A change of a complex number is one of two numbers: rules divide by, and compare, one.
    """
    kind = kind_of(operation, graph.dependent)
    read = (graph.by_name.get(name) for name in operation.inputs if name in graph.dependent)
    types = [None if each is None else each.dtype for each in read]
    if all(each == torch.bool for each in types):
        kind = kind.of_truth_value()
    if not kind.takes_complex and any(each and each.is_complex for each in (operation.dtype, *types)):
        raise UnsupportedOperation(
            f"no exact rule is known for the operation {operation.title} of complex numbers",
            where=operation.where,
            remedy="write it with their real and imaginary parts, which torch.view_as_real gives",
        )
    return kind


def weighted_layers_before(operation: Operation, graph: Graph, kinds: Mapping[Name, Kind]) -> set[str]:
    """Return the kinds of weighted layer that feed an activation, looking through what only moves,
    scales or adds values (batch norm, dropout, reshapes, pooling by the mean).
    """
    other = NoKind()
    found = graph.before(operation.inputs, lambda each: kinds.get(each.name, other).looked_through)
    layers = (kinds.get(each.name, other).weighted for each in found)
    return {layer for layer in layers if layer}


def _carrying_spread(graph: Graph, steps: list[Step]) -> frozenset[Name]:
    """Return the values that need their spread: those between a weighted layer and a rule of parts."""
    kinds = {step.operation.name: step.kind for step in steps if step.kind.carries_spread}
    wanted = [
        name
        for step in steps
        if step.kind.carries_spread and step.rule is not None and step.rule.uses_spread
        for name in step.operation.inputs
    ]
    found = graph.before(wanted, lambda each: each.name in kinds and not kinds[each.name].weighted)
    return frozenset(operation.name for operation in found if operation.name in kinds)


_FINAL: Mapping[Any, str] = {
    aten.sigmoid.default: "sigmoid",
    aten._softmax.default: "softmax",
    aten._log_softmax.default: "log-softmax",
}


def step_over_final_activation(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """Return the graph with the logit in place of a final sigmoid or softmax, and what was stepped over for
    each of ``graph.tensors``, or for its output: "" for nothing.

    The logit is what is explained, not the probability (section 3.6). The logits of a softmax are
    mean-centred over its classes, so that what adds to every class counts for none. Several heads that are
    put side by side have an activation each. Each of ``graph.tensors`` is taken before its own activation;
    what else reads that, such as a function of the user's or another output, still reads the probability.
    """
    ends = (graph.output,) if graph.tensors is None else graph.tensors
    stepped = replace(graph, tensors=None)
    names: list[str] = []
    for end in ends:
        finals, moved = _final_activations(graph, end)
        names.append(in_one([_FINAL[op.target] for op in graph.operations if op.name in finals]))
        if finals:
            copied = (
                {}
                if end == graph.output
                else {name: Name(f"{name}_{end}") for name in finals | moved - {end}}
            )
            operations = [
                each for op in stepped.operations for each in _stepped_over(op, end, finals, copied)
            ]
            stepped = replace(stepped, operations=tuple(operations))
    return with_dependence(stepped) if any(names) else stepped, tuple(names)


def in_one(names: Iterable[str]) -> str:
    """Return the names of activations that were stepped over, each once: "" for none."""
    return " and ".join(dict.fromkeys(filter(None, names)))


def _stepped_over(
    operation: Operation, end: Name, finals: set[Name], copied: Mapping[Name, Name]
) -> Iterator[Operation]:
    """Yield what an operation is where ``finals`` are stepped over: beside itself, if it is ``copied``."""
    if operation.name not in finals | copied.keys() | {end}:
        yield operation
        return
    if operation.name in copied:
        yield operation
    names = {str(name): copied.get(name, name) for name in operation.inputs}
    args, kwargs = fill_in(operation.args, names), fill_in(operation.kwargs, names)
    own = replace(operation, name=copied.get(operation.name, operation.name), args=args, kwargs=kwargs)
    if operation.name not in finals:
        yield own
    elif operation.target is aten.sigmoid.default:
        yield replace(own, target=aten.alias.default)
    else:
        name = Name(f"{own.name}_mean")
        yield replace(
            own, name=name, target=aten.mean.dim, args=(args[0], [args[1]], True), kwargs={}, row_numel=1
        )
        yield replace(own, target=aten.sub.Tensor, args=(args[0], name), kwargs={})


def _final_activations(graph: Graph, end: Name) -> tuple[set[Name], set[Name]]:
    """Return the sigmoids and softmaxes that reach a value by moves alone, by any path, and those moves."""
    own = {operation.name for operation in needed_for({end}, graph.operations)}
    moved: set[Name] = set()
    finals: set[Name] = set()
    for operation in reversed(graph.operations):
        users = {user.name for user in graph.users[operation.name]} & own
        if operation.name not in own or (operation.name != end and not (users and users <= moved)):
            continue
        if operation.target in _FINAL:
            finals.add(operation.name)
        elif only_moves(operation):
            moved.add(operation.name)
    # What is read behind an activation is its values, the probabilities.
    found = set() if graph.read in finals | moved else finals & graph.dependent
    return found, moved if found else set()


def behind_last_convolution(graph: Graph) -> Name | None:
    """Return the activation behind the last convolution of what depends on the input, else the convolution.

    Batch norm, dropout and the like are looked through; None where there is no convolution.
    """
    convolutions = (
        operation
        for operation in reversed(graph.operations)
        if operation.target is aten.convolution.default and operation.name in graph.dependent
    )
    last = next(convolutions, None)
    if last is None:
        return None
    name = last.name
    while len(users := graph.users[name]) == 1:
        (user,) = users
        kind = kind_or_any(user, graph.dependent)
        if kind.activation:
            return user.name
        if not kind.looked_through or user.row_numel != last.row_numel:
            break
        name = user.name
    return last.name
