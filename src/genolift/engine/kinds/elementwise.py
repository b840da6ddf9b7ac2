"""Functions of every element of one argument: multipliers pass by a rule."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from genolift.engine.backends import fused
from genolift.engine.graph.graph import Name, Operation, execute
from genolift.engine.kinds.kind import Computing, FedBy, Kind, Sent, Step
from genolift.engine.kinds.pairs import Layout, Pairs
from genolift.engine.rules.composites import Composite
from genolift.engine.rules.rules import RESCALE, Change, Function, Rule


@dataclass(frozen=True)
class Elementwise(Kind):
    """One function applied to every element of one argument.

    ``derivative`` of the function where a formula is cheaper than autograd. ``curved``: "absolute" where the
    function's slope changes on a scale of about 1, "relative" where it changes on the scale of the argument,
    None where the function only selects and scales, so that differences are exact however small. ``kinks``
    are the arguments where the slope of a curved function jumps. ``activation`` is False for arithmetic (a
    root, a logarithm, an exponential, a comparison), which is no neuron: it may not be defined, or not be
    finite, at what RevealCancel adds up, and guided backprop does not stop there.
    """

    derivative: Callable[[Tensor], Tensor] | None = None
    curved: str | None = "absolute"
    kinks: tuple[float, ...] = ()
    activation: bool = True
    relu: bool = False
    """Whether it is max(x, 0), which there are loops for, and which is computed again rather than kept."""

    label = "elementwise"
    of_one = carries_spread = made_anew = pointwise = True
    numbers = 1

    def note(self) -> str:
        """Return whether it is arithmetic."""
        return "" if self.activation else "by Rescale under every DeepLIFT rule"

    def of_truth_value(self) -> Kind:
        """Return a step: a function of one truth value has two values alone."""
        return STEP

    def rule(self, composite: Composite, fed_by: FedBy) -> tuple[Rule | None, str]:
        """Return the rule of an activation, by what feeds it, or of arithmetic."""
        return composite.of_activation(fed_by()) if self.activation else composite.of_arithmetic()

    def keeps(self, step: Step, *, spread: bool) -> set[Name]:
        """Return argument and result."""
        return {*step.operation.inputs} if self.relu else {*step.operation.inputs, step.operation.name}

    def spread(self, step: Step, pairs: Pairs, computing: Computing) -> Tensor:
        """Return dy+ - dy-."""
        name, change = self._change(step.operation, pairs)
        spread = _rule_of(step).spread(change, pairs.broadcast(pairs.spread_of(name), name))
        return pairs.rows(spread, step.operation.name)

    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """Yield the multipliers that the rule says: by one compiled loop, where there is one for it."""
        rule, operation = _rule_of(step), step.operation
        by_loop = self._by_loop(rule, operation, pairs, a, b)
        if by_loop is not None:
            yield by_loop
            return
        (name,) = pairs.dependent(operation)
        of_y = pairs.broadcast(a, operation.name), None if b is None else pairs.broadcast(b, operation.name)
        spread = pairs.broadcast(pairs.spread_of(name), name) if rule.uses_spread else None
        if self.relu and pairs.layout.forms.compiled and pairs.layout.rows_first(name):
            a, b = fused.relu_passed_back(rule, *pairs.both(name), of_y, spread)
        else:
            _, change = self._change(operation, pairs)
            a, b = rule.pass_back(change, of_y, spread)
        yield Sent(name, pairs.rows(a, name), None if b is None else pairs.rows(b, name))

    def _change(self, operation: Operation, pairs: Pairs) -> tuple[Name, Change]:
        """Return the argument, and the change of the function from reference to input."""
        (name,) = pairs.dependent(operation)
        function = self._function(operation, name, pairs)
        x, x0 = pairs.both(name)
        if self.relu:
            return name, function.changed(x, x0)
        return name, Change(function, x, x0, *pairs.both(operation.name))

    def _function(self, operation: Operation, name: Name, pairs: Pairs) -> Function:
        layout = pairs.layout

        def value(z: Tensor) -> Tensor:
            # On rows, as the model computes it, since its constants broadcast against those.
            at = layout.axis[name] + 1
            count = z.shape[at], z.shape[at + 1]
            result = execute(operation, pairs.values({name: layout.rows(z, name, *count)}))
            return layout.broadcast(layout.number(result), operation.name, *count)

        def slope(z: Tensor) -> Tensor:
            if self.derivative is not None:
                return self.derivative(z)
            with torch.enable_grad():
                leaf = z.detach().requires_grad_(True)
                return torch.autograd.grad(value(leaf).sum(), leaf)[0]

        return Function(value, slope, self.curved, self.kinks)

    def _by_loop(
        self, rule: Rule, operation: Operation, pairs: Pairs, a: Tensor, b: Tensor | None
    ) -> Sent | None:
        (name,) = pairs.dependent(operation)
        reveals = self.relu and rule.loops == "reveal_cancel"
        fast = pairs.fast(name) if reveals or (rule.loops == "rescale" and b is None) else None
        if fast is None:
            return None
        if reveals:
            return Sent(name, *fast.reveal_cancel_relu(pairs.spread_of(name), a, b))
        if self.relu:
            return Sent(name, fast.rescale_relu(a), anew=True)
        if not fast.takes(a) or self.kinks:
            return None
        y, y0 = (
            pairs.layout.number(each.values[operation.name]) for each in (pairs.sequences, pairs.references)
        )
        name, change = self._change(operation, pairs)
        result, tiny = fast.rescale(change.function, y, pairs.flat_references(y0), a)
        if tiny:
            by_slope = pairs.broadcast(a, operation.name) * RESCALE.slope(change)
            result = torch.where(result.isnan(), pairs.rows(by_slope, name), result)
        return Sent(name, result)

    def numbers_at_once(self, step: Step, numel: Mapping[str, int], layout: Layout) -> int:
        """Return those that the rule needs."""
        return _rule_of(step).numbers_at_once * super().numbers_at_once(step, numel, layout)


STEP = Elementwise(torch.zeros_like, curved=None, activation=False)
"""Flat but for jumps; so too any function of one truth value, which has two values alone."""


def _rule_of(step: Step) -> Rule:
    assert step.rule is not None
    return step.rule
