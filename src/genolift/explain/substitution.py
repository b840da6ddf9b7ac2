"""A captured model run forward on sequences with single bases substituted."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from genolift.engine.devices import does_not_fit
from genolift.engine.graph.outputs import check_finite
from genolift.engine.kinds.kind import Step
from genolift.engine.plan import Plan
from genolift.engine.registry import kind_or_any
from genolift.errors import InputError
from genolift.explain.explainer import Explainer, checked_size


class ForwardOnly(Explainer):
    """A model captured to be run forward: only what may be computed in half precision has a step."""

    def _planned(self, rule: str) -> Plan:
        steps = []
        for operation in self.graph.operations:
            if operation.name in self.graph.dependent:
                kind = kind_or_any(operation, self.graph.dependent)
                # A layer that a batch norm is folded into takes the batch norm's step.
                steps += [Step(operation, kind, None, "")] if kind.weighted or kind.looked_through else []
        return Plan(self.graph, rule, tuple(steps), frozenset(), uses_reference=False)


class Rows:
    """Some inputs and their target, and the target on them with bases substituted.

    Rows are run in batches that fit the memory.

    Parameters
    ----------
    forward
        The model and its target.
    inputs, extra_inputs
        (n, 4, length) one-hot, and the model's further arguments, (n, ...) each.
    batch_size
        Rows at a time; None chooses it from the memory there is.
    """

    def __init__(
        self, forward: Explainer, inputs: Tensor, extra_inputs: tuple[Tensor, ...], batch_size: int | None
    ) -> None:
        self.forward, self.inputs, self.extra_inputs = forward, inputs, extra_inputs
        self.size = checked_size(batch_size if batch_size is not None else forward.batch_size())
        for extra in extra_inputs:
            if len(extra) != len(inputs):
                raise InputError(f"{len(extra)} rows for {len(inputs)} inputs", where="extra_inputs")
        # As many as fill a batch or more: the indices of all substitutions of all sequences may not fit.
        self.sequences_at_a_time = -(-self.size // max(1, 3 * inputs.shape[-1]))
        every = self._batches(len(inputs), lambda part: self._run(torch.arange(part.start, part.stop)).cpu())
        self._outputs = torch.cat([values for _, values in every])
        self.output = _finite(forward.target.of(self._outputs).double(), torch.arange(len(inputs)), "")
        """The target on the inputs, (n,), float64."""

    def substituted(self, sequence: Tensor, base: Tensor, position: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield slices of the substitutions, and the target on each, float64 on the CPU.

        A substitution puts a base in the place of a sequence's own; ``sequence``, ``base`` and ``position``
        are (substitution,), rising in the sequence.
        """

        def run(part: slice) -> Tensor:
            rows = sequence[part]
            output = self._run(rows, base[part], position[part])
            # What a target holds, such as a profile's weights, is the unchanged sequence's.
            values = self.forward.target.of_reference(output[:, None], self._outputs[rows].to(output.device))
            return _finite(values[:, 0].double().cpu(), rows, " with a substitution in it")

        yield from self._batches(len(sequence), run)

    def _batches(self, n: int, run: Callable[[slice], Tensor]) -> Iterator[tuple[slice, Tensor]]:
        start = 0
        while start < n:
            part = slice(start, min(start + self.size, n))
            try:
                values = run(part)
            except torch.OutOfMemoryError as error:
                if self.size == 1:
                    raise does_not_fit(self.forward.device, "one sequence does not") from error
                torch.cuda.empty_cache()
                self.size = -(-self.size // 2)
                continue
            yield part, values
            start = part.stop

    def _run(self, sequence: Tensor, base: Tensor | None = None, position: Tensor | None = None) -> Tensor:
        """Return what the graph puts out for some rows, on the device."""
        runner = self.forward.runner
        first, last = int(sequence[0]), int(sequence[-1]) + 1
        row = (sequence - first).to(runner.device)
        given = self.inputs, *self.extra_inputs
        onehot, *extra_inputs = (runner.placed(tensor[first:last])[row] for tensor in given)
        if base is not None and position is not None:
            each, at = torch.arange(len(row), device=runner.device), position.to(runner.device)
            onehot[each, :, at] = 0
            onehot[each, base.to(runner.device), at] = 1
        with self.forward._settings():
            return runner.output(runner.forward((onehot, *extra_inputs), carry=False))


def _finite(values: Tensor, sequence: Tensor, how: str) -> Tensor:
    check_finite(values, lambda row: f"sequence {int(sequence[row])}{how}")
    return values
