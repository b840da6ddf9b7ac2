"""What can be known of a run before there are rows: what is kept, freed when, and may be written over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.engine.backends import channels_last
from genolift.engine.backends.choice import Forms
from genolift.engine.graph.graph import Graph, Name, Operation, aten, execute, following, freed_after
from genolift.engine.graph.own_state import default_dtype
from genolift.engine.kinds.kind import Step
from genolift.engine.kinds.pairs import Layout
from genolift.engine.plan import Plan


@dataclass(frozen=True)
class Preparation:
    """A plan's operations that depend on an input, and what can be known of running them."""

    operations: Sequence[Operation]
    steps: Mapping[str, Step]
    """The step of an operation that multipliers pass."""
    layout: Layout
    kept: frozenset[str]
    """The values that a backward pass needs."""
    freed: Mapping[str, Sequence[str]]
    """The values that are needed no more after an operation."""
    sums: frozenset[str]
    """The additions of two values that both depend on the input."""
    written_over: Mapping[str, Name]
    """For a sum, a term that nothing else needs: memory to put the sum in."""
    halved: frozenset[str]
    """The operations that are computed in half precision."""


def prepare(
    plan: Plan,
    constants: Mapping[str, Any],
    forms: Forms,
    dtype: torch.dtype,
    *,
    half_precision: bool,
    keep_everything: bool,
) -> Preparation:
    """Return what can be known of running a plan; ``constants`` are the values that depend on no input."""
    graph = plan.graph
    operations = [operation for operation in graph.operations if operation.name not in constants]
    steps: dict[str, Step] = {step.operation.name: step for step in plan.steps}
    with_rows = [operation for operation in operations if operation.batch_axis is not None]
    axis: dict[str, int] = dict.fromkeys(graph.inputs, 0)
    axis.update({str(each.name): each.batch_axis for each in with_rows if each.batch_axis is not None})
    outer = {str(operation.name): operation.outer for operation in with_rows}
    dependent = {
        str(each.name): [name for name in each.inputs if name in graph.dependent] for each in operations
    }
    needed = {plan.graph.output, plan.graph.read}
    for name, step in steps.items():
        needed |= step.kind.keeps(step, spread=name in plan.carries_spread)
    kept = frozenset(needed - constants.keys())
    if keep_everything:
        kept |= graph.dependent - {graph.input}
    sums = {name for name, step in steps.items() if _is_sum(step) and len(dependent[name]) == 2}
    halves = {name for name, step in steps.items() if half_precision and step.kind.weighted}
    stays_half = {
        name
        for name in halves
        if forms.half_loops
        and name not in {graph.output, graph.read} | plan.carries_spread
        and axis[name] == 0
        and outer.get(name, 1) == 1
        and _only_a_rescaled_relu_takes(graph.users[name], steps)
    }
    layout = Layout(
        constants,
        frozenset(stays_half),
        forms,
        dtype,
        axis,
        outer,
        dependent,
        plan.carries_spread,
        plan.uses_reference,
        plan.share_of_product,
    )
    return Preparation(
        operations,
        steps,
        layout,
        kept,
        freed_after(operations, kept | constants.keys()),
        frozenset(sums),
        _written_over(sums, steps, graph, kept),
        frozenset(halves),
    )


def _is_sum(step: Step) -> bool:
    return step.operation.target is aten.add.Tensor and not step.operation.kwargs


def constants_of(graph: Graph, dtype: torch.dtype) -> dict[str, Any]:
    """Return the graph's constants, and what is computed from them alone."""
    constants: dict[str, Any] = {**graph.constants}
    varying = following(graph.inputs, graph.operations)
    with default_dtype(dtype):
        for operation in graph.operations:
            if operation.name not in varying:
                constants[operation.name] = execute(operation, constants)
    return constants


def lay_out_weights(preparation: Preparation, graph: Graph, constants: MutableMapping[str, Any]) -> None:
    """Bring the weights of convolutions to the layout and the precision that they are used in."""
    for operation in preparation.operations:
        if operation.target is not aten.convolution.default or operation.args[1] not in constants:
            continue
        name, takers = operation.args[1], graph.users[operation.args[1]]
        if any(each.target is not operation.target or each.args[1] != name for each in takers):
            continue
        args = None, constants[name], *operation.args[2:]
        if preparation.layout.forms.channels_last and channels_last.fits(args):
            constants[name] = channels_last.laid_out(constants[name])
        if all(each.name in preparation.halved for each in takers):
            constants[name] = halved(constants[name])


def halved(argument: Any) -> Any:
    """Return single precision as half, anything else as it is."""
    single = isinstance(argument, Tensor) and argument.dtype == torch.float32
    return argument.bfloat16() if single else argument


def _written_over(
    sums: Iterable[str], steps: Mapping[str, Step], graph: Graph, kept: frozenset[str]
) -> dict[str, Name]:
    return {
        name: term
        for name in sums
        for term in steps[name].operation.inputs
        if term in steps and steps[term].kind.made_anew and len(graph.users[term]) == 1 and term not in kept
    }


def _only_a_rescaled_relu_takes(users: Sequence[Operation], steps: Mapping[str, Step]) -> bool:
    if len(users) != 1 or users[0].target is not aten.relu.default or users[0].name not in steps:
        return False
    rule = steps[users[0].name].rule
    return rule is not None and rule.loops == "rescale"
