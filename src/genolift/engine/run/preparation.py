"""What can be known of a run before there are rows: what is kept, freed when, and may be written over."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genolift.engine.backends import channels_last
from genolift.engine.backends.choice import Forms
from genolift.engine.graph.graph import Graph, aten, execute, following, freed_after
from genolift.engine.graph.own_state import default_dtype
from genolift.engine.kinds.kind import Step
from genolift.engine.kinds.pairs import Layout
from genolift.engine.plan import Plan


class Preparation:
    """A plan's operations that depend on an input, and what can be known of running them.

    Parameters
    ----------
    plan, forms, dtype
        What is run, by which fast forms, and in what floating numbers.
    constants
        The values that depend on no input.
    half_precision, keep_everything
        See `run.Runner`.
    """

    def __init__(
        self,
        plan: Plan,
        constants: Mapping[str, Any],
        forms: Forms,
        dtype: torch.dtype,
        *,
        half_precision: bool,
        keep_everything: bool,
    ) -> None:
        graph, carries_spread = plan.graph, plan.carries_spread
        self.operations = [each for each in graph.operations if each.name not in constants]
        self.steps: dict[str, Step] = {step.operation.name: step for step in plan.steps}
        """The step of an operation that multipliers pass."""
        dependent = {
            str(each.name): [name for name in each.inputs if name in graph.dependent]
            for each in self.operations
        }
        kept = {graph.output, graph.read}
        for name, step in self.steps.items():
            kept |= step.kind.keeps(step, spread=name in carries_spread)
        if keep_everything:
            kept |= graph.dependent - {graph.input}
        self.kept = frozenset(kept - constants.keys())
        """The values that a backward pass needs."""
        self.freed: Mapping[str, Sequence[str]] = freed_after(self.operations, kept | constants.keys())
        """The values that are needed no more after an operation."""
        sums = [name for name, step in self.steps.items() if _is_sum(step) and len(dependent[name]) == 2]
        self.sums = frozenset(sums)
        """The additions of two values that both depend on the input."""
        self.written_over = {
            name: term
            for name in sums
            for term in self.steps[name].operation.inputs
            if term not in kept
            and len(graph.users[term]) == 1
            and term in self.steps
            and self.steps[term].kind.made_anew
        }
        """For a sum, a term that nothing else needs: memory to put the sum in."""
        halved = {name for name, step in self.steps.items() if half_precision and step.kind.weighted}
        self.halved = frozenset(halved)
        """The operations that are computed in half precision."""
        axis: dict[str, int] = dict.fromkeys(graph.inputs, 0)
        axis |= {each.name: each.batch_axis for each in self.operations if each.batch_axis is not None}
        outer: dict[str, int] = {each.name: each.outer for each in self.operations}
        self.layout = Layout(
            constants,
            self._stays_half(plan, axis, outer) if forms.stays_half else frozenset(),
            forms,
            dtype,
            axis,
            outer,
            dependent,
            carries_spread,
            plan.uses_reference,
            plan.share_of_product,
        )

    def _stays_half(self, plan: Plan, axis: Mapping[str, int], outer: Mapping[str, int]) -> frozenset[str]:
        """Return the results in half precision that a relu by Rescale takes, and nothing else."""
        found = set()
        for name in self.halved - {plan.graph.output, plan.graph.read} - plan.carries_spread:
            users = plan.graph.users[name]
            step = self.steps.get(users[0].name) if len(users) == 1 else None
            by_rescale = step is not None and step.rule is not None and step.rule.loops == "rescale"
            if by_rescale and users[0].target is aten.relu.default and (axis[name], outer[name]) == (0, 1):
                found.add(name)
        return frozenset(found)


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
