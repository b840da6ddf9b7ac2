"""Whether each operation of a plan is exact on some sequences. Joins model and engine; prints nothing."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genolift.engine.graph.own_state import own_state
from genolift.engine.plan import Plan, as_text
from genolift.engine.rules.composites import GENOMICS_DEFAULT
from genolift.engine.run.exactness import Loss, losses
from genolift.engine.run.given import as_tensor
from genolift.engine.run.run import Runner
from genolift.errors import InputError
from genolift.explain.attribution import Explainer, Model
from genolift.targets.targets import Target

_EXACT = 1e-9


@dataclass(frozen=True, repr=False)
class CheckedPlan:
    """A plan with what each of its operations loses. ``print`` shows the table."""

    plan: Plan
    losses: tuple[Loss, ...]
    """In the order of computing, in float64."""

    def __repr__(self) -> str:
        largest = f"{self.worst.share:.1e}"
        return f"CheckedPlan({self.plan!r}, exact={self.exact}, largest_share_lost={largest})"

    @property
    def worst(self) -> Loss:
        """The operation that loses the most."""
        return max(self.losses, key=lambda loss: loss.share)

    @property
    def exact(self) -> bool:
        """Whether no operation loses more than 1e-9 of the largest output difference."""
        return self.worst.share <= _EXACT

    def __str__(self) -> str:
        lost = {loss.step.operation.name: f"{loss.share:.1e}" for loss in self.losses}
        rows = [
            row | {"lost": lost.get(step.operation.name, "")}
            for row, step in zip(self.plan.table(), self.plan.steps, strict=True)
        ]
        columns = ["layer", "operation", "kind", "rule", "why", "lost", "line"]
        return f"{as_text(rows, columns)}\n{self.verdict}"

    @property
    def verdict(self) -> str:
        """One sentence on the operation that loses the most."""
        operation = self.worst.step.operation
        where = f" at {operation.source}" if operation.source else ""
        if self.exact:
            return f"every operation is exact: none loses more than {self.worst.share:.1e} of the difference"
        share = f"{self.worst.share:.1e} of the largest output difference"
        return f"{operation.title}{where} loses the most: {share}"


@own_state()
def check_plan(
    model: Model,
    inputs: Tensor,
    references: Tensor,
    *,
    rule: str = GENOMICS_DEFAULT,
    target: Target = 0,
    keep_final_activation: bool = False,
    extra_inputs: tuple[Tensor, ...] = (),
) -> CheckedPlan:
    """Return what each operation of ``model`` loses, comparing its in- and outgoing sums in float64.

    Parameters
    ----------
    inputs, references
        (n, *event) each: some sequences, and one reference for each.
    model, rule, target, keep_final_activation, extra_inputs
        As in `genolift.deeplift`.

    Raises
    ------
    UnsupportedOperation
        If an operation has no rule at all.
    InputError
        As in `genolift.deeplift`, or if inputs and references differ in shape.
    """
    inputs, references = as_tensor(inputs, "inputs"), as_tensor(references, "references").double()
    if inputs.shape != references.shape:
        raise InputError(
            f"references have the shape {tuple(references.shape)}, inputs {tuple(inputs.shape)}",
            where="references",
            remedy="give one reference for each input"
            + (": reference[None] for one" if references.shape == inputs.shape[1:] else ""),
        )
    explainer = Explainer(
        model,
        inputs,
        rule=rule,
        target=target,
        keep_final_activation=keep_final_activation,
        extra_inputs=extra_inputs,
        device="cpu",
        precision="float64",
    )
    runner = Runner(explainer.plan, explainer.device, explainer.dtype, keep_everything=True)
    extra_inputs = tuple(runner.placed(as_tensor(extra, "extra_inputs")) for extra in extra_inputs)
    with torch.no_grad():
        output = runner.output(runner.forward((runner.placed(inputs), *extra_inputs), carry=False))
    seed = explainer.target.seed(output, 1)
    return CheckedPlan(explainer.plan, tuple(losses(runner, inputs, references, extra_inputs, seed)))
