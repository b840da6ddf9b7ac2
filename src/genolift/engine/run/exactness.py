"""How exact each operation of a plan is: its outgoing sums against its incoming ones.

An operation is exact if the multipliers that it hands to its arguments, times their differences, sum to the
multipliers of its result times the result's difference. What a user's own rule loses shows here, at the
operation that loses it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from genolift.engine.kinds.kind import Step
from genolift.engine.kinds.pairs import Pairs
from genolift.engine.run.backward import Backward
from genolift.engine.run.run import Runner


@dataclass(frozen=True)
class Loss:
    """What one operation of a plan loses."""

    step: Step
    lost: float
    """The largest over pairs of abs(outgoing sum - incoming sum), in units of the target."""
    share: float
    """The same as a share of the pair's largest output difference."""


def losses(
    runner: Runner, inputs: Tensor, references: Tensor, extra_inputs: tuple[Tensor, ...], seed: Tensor
) -> list[Loss]:
    """Return what each operation loses on some pairs, in the order of computing.

    Parameters
    ----------
    runner
        A plan to run, made with ``keep_everything``.
    inputs, references
        (n, *event) and (n, *event): one reference for each input.
    extra_inputs
        The model's further arguments, (n, ...).
    seed
        Multipliers of the graph's output, (n, ...).
    """
    with torch.no_grad():
        uses_reference = runner.plan.uses_reference
        sequences = runner.forward((runner.placed(inputs), *extra_inputs), carry=not uses_reference)
        compared = runner.forward((runner.placed(references), *extra_inputs), carry=uses_reference)
        pairs = Pairs(runner.layout, sequences, compared, compared, 1)
        alone = Pairs(runner.layout, sequences, sequences, sequences, 1)
        backward = _Checked(runner, pairs if uses_reference else alone, pairs, seed)
        backward.run(seed)
    scale = max(float(backward.explained.abs().max()), torch.finfo(seed.dtype).tiny)
    lost = {name: float(each.abs().max()) for name, each in backward.lost.items()}
    steps = (step for step in runner.plan.steps if step.operation.name in lost)
    return [Loss(step, lost[step.operation.name], lost[step.operation.name] / scale) for step in steps]


class _Checked(Backward):
    """A backward pass that keeps account of every operation; ``differing`` are the pairs that it explains."""

    def __init__(self, runner: Runner, pairs: Pairs, differing: Pairs, seed: Tensor) -> None:
        super().__init__(runner, pairs)
        self.differing = differing
        self.lost: dict[str, Tensor] = {}
        self.explained = self._sum(runner.graph.output, seed, None)
        self._handed_on = torch.zeros_like(self.explained)

    def _pass(self, step: Step, a: Tensor, b: Tensor | None) -> None:
        self._handed_on = torch.zeros_like(self.explained)
        super()._pass(step, a, b)
        self.lost[step.operation.name] = self._handed_on - self._sum(step.operation.name, a, b)

    def _send(self, name: str, a: Tensor, b: Tensor | None, anew: bool) -> None:
        self._handed_on = self._handed_on + self._sum(name, a, b)
        super()._send(name, a, b, anew)

    def _sum(self, name: str, a: Tensor, b: Tensor | None) -> Tensor:
        """Return the contribution through a value, (n,)."""
        each = a * self.differing.difference(name)
        if b is not None:
            each = each + b * self.differing.spread_of(name)
        rows = self.pairs.broadcast(each.real if each.is_complex() else each, name)
        rows = rows.movedim(self.pairs.layout.axis[name] + 1, 0)
        return rows.flatten(1).sum(1, dtype=torch.float64)
