"""Functions of every element of several arguments: each argument gets its Shapley value."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import torch
from torch import Tensor

from genolift.engine.graph.graph import execute
from genolift.engine.kinds.kind import Kind, Sent, Step, by_derivative
from genolift.engine.kinds.pairs import Pairs
from genolift.engine.rules.rules import quotient


@dataclass(frozen=True)
class Joint(Kind):
    """One function applied to every element of several arguments that depend on the input.

    Each argument is credited with its Shapley value: the mean over all orders in which the arguments may go
    from reference to input of the change that it makes.
    """

    label = "elementwise of several"
    passes = "Shapley value"
    pointwise = True

    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """Yield a times each argument's change of the result over its own change."""
        operation, number = step.operation, pairs.layout.number
        names, values = pairs.dependent(operation), pairs.values({})
        both = {str(name): pairs.both_rows(name) for name in names}
        inputs, references = ({name: both[name][side] for name in both} for side in (0, 1))
        if not pairs.layout.uses_reference:
            yield from by_derivative(operation, inputs, pairs, a)
            return

        def compute(changed: frozenset[str]) -> Tensor:
            there = {name: (inputs if name in changed else references)[name] for name in names}
            return number(execute(operation, values | there))

        for name, change in zip(names, shapley_values(names, compute), strict=True):
            yield Sent(name, a * share(change, number(inputs[name]) - number(references[name])))


def share(part: Tensor, dx: Tensor) -> Tensor:
    """Return part / dx. Where dx is 0 a part is rounding noise: the same numbers, added in another order."""
    return quotient(part, dx, (part == 0) | (dx == 0), lambda: torch.zeros_like(part))


def shapley_values(names: Sequence[str], compute: Callable[[frozenset[str]], Tensor]) -> list[Tensor]:
    """Return for each argument its mean change of the result; they sum to the whole change.

    ``compute(changed)`` is the result with the arguments in ``changed`` at the input's values and the others
    at the reference's (Lundberg & Lee 2017, arXiv 1705.07874, equation 4).
    """
    results = {
        changed: compute(changed)
        for size in range(len(names) + 1)
        for changed in map(frozenset[str], combinations(names, size))
    }
    values = []
    for name in names:
        change = torch.zeros_like(results[frozenset()])
        for changed in results:
            if name not in changed:
                orders = factorial(len(changed)) * factorial(len(names) - len(changed) - 1)
                weight = orders / factorial(len(names))
                change += weight * (results[changed | {name}] - results[changed])
        values.append(change)
    return values
