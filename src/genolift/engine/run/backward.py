"""The backward pass: multipliers from the output to the input, each operation by its kind and rule.

Sources: Shrikumar et al. 2017 (arXiv 1704.02685), sections 3.3 to 3.5; the multipliers of a value's
positive and negative parts are carried as their mean and half difference.
"""

import torch
from torch import Tensor

from genolift.engine.kinds.kind import Step
from genolift.engine.kinds.pairs import Pairs
from genolift.engine.run.run import Runner


def multipliers(runner: Runner, pairs: Pairs, seed: Tensor, *, again: bool = False) -> Tensor:
    """Return the multipliers of the value that contributions are read at, (pairs, *event).

    ``seed`` is those of the output, (pairs, ...); with ``again`` what is carried stays for another backward.
    """
    pairs.again = again
    return Backward(runner, pairs).run(seed)


class Backward:
    """One pass: of every value a = (m+ + m-) / 2, and b = (m+ - m-) / 2 where its spread is kept."""

    def __init__(self, runner: Runner, pairs: Pairs) -> None:
        self.runner, self.pairs, self.plan = runner, pairs, runner.plan
        self.waiting: dict[str, tuple[Tensor, Tensor | None]] = {}

    def run(self, seed: Tensor) -> Tensor:
        """Return the multipliers of the value that contributions are read at."""
        spread = self.pairs.spread
        for step in self.plan.steps:
            name = step.operation.name
            if name in self.plan.carries_spread and name not in spread:
                spread[name] = step.kind.spread(step, self.pairs, self.runner)
        output, start = self.plan.graph.output, self.plan.graph.read
        self.waiting[output] = seed, None
        for step in reversed(self.plan.steps):
            arrived = self.waiting.pop(step.operation.name, None)
            if arrived is None:
                continue
            self._pass(step, *arrived)
            if not self.pairs.again:
                self._free(step.operation.name)
        if start in self.waiting:
            return self.waiting[start][0]
        return torch.zeros_like(self.pairs.difference(start))  # cut off, as by a comparison

    def _free(self, name: str) -> None:
        """Drop a value of the pairs that no operation needs any more, so that its memory is used again."""
        self.pairs.spread.pop(name, None)
        if name not in (self.plan.graph.output, self.plan.graph.read) and self.pairs.frees:
            self.pairs.references.values.pop(name, None)

    def _pass(self, step: Step, a: Tensor, b: Tensor | None) -> None:
        """Bring the multipliers of an operation's result to its arguments."""
        for sent in step.kind.back(step, self.pairs, a, b):
            self._send(*sent)

    def _send(self, name: str, a: Tensor, b: Tensor | None, anew: bool) -> None:
        """Add to the multipliers of ``name``; where its spread is not kept, its one part is dx itself."""
        if b is not None and name not in self.plan.carries_spread:
            a, b = self.pairs.signed(name, a, b), None
        if name in self.waiting:
            before_a, before_b = self.waiting[name]
            # A sum is laid out as its first term; what went through a layer last is laid out as values are.
            a = a.add_(before_a) if anew and a.dtype == before_a.dtype else a + before_a
            b = before_b if b is None else b if before_b is None else b + before_b
        elif name not in self.pairs.layout.stays_half and a.dtype == torch.bfloat16:
            a = a.to(self.runner.dtype)
        self.waiting[name] = a, b
