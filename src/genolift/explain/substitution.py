"""A captured model run forward on sequences with single bases substituted."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import torch
from torch import Tensor

from genolift.engine.devices import does_not_fit, place
from genolift.engine.graph.outputs import check_finite
from genolift.engine.kinds.kind import Step
from genolift.engine.plan import Plan
from genolift.engine.registry import kind_or_any
from genolift.engine.run.budget import SHARE_OF_FREE_MEMORY
from genolift.engine.run.footprint import bytes_kept_for_windows, bytes_to_find_windows
from genolift.engine.run.substituted import Kept, Substituted, row_work
from genolift.engine.torch_internals import says_memory_is_exhausted
from genolift.errors import InputError
from genolift.explain.explainer import Explainer, checked_size

_LEAST = 2e10
"""Multiply-adds of a job below which nothing is gained by windows: to find how to make them takes as long."""
_OF_AN_OPERATION = 3e6
"""Multiply-adds that take as long as putting together the windows of one operation for a batch."""
_AT_MOST = 0.8
"""The share of a whole row's operations up to which windows, which take copies of values, are faster."""
_LARGEST_VALUES = 20
"""Times the largest value of a row that count as those that are to stay near the processor."""


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

    def by_windows(self, row: tuple[Tensor, ...]) -> Substituted:
        """Return how only what a substituted base reaches is computed; ``row`` is one of each argument."""
        made, kept_as = self._found.made, ("windows", self.precision)
        if kept_as not in made:
            with self._settings():
                made[kept_as] = Substituted(self.runner, [self.runner.placed(each) for each in row])
        found: Substituted = made[kept_as]
        return found

    def batch_by_windows(self, windows: Substituted, length: int, batch_size: int | None) -> int | None:
        """Return how many substitutions to compute at a time by windows; None where whole rows are faster."""
        there, middle = place(self.device), torch.tensor([length // 2])
        row, largest = windows.bytes_of_row(middle)
        room = int(SHARE_OF_FREE_MEMORY * there.free()) - bytes_kept_for_windows(self.runner)
        size = batch_size or there.fast_batch(room, row, _LARGEST_VALUES * largest)
        work = windows.work(middle)
        saved = min(size, 3 * length) * (work.plain - work.computed)
        pays = work.computed < _AT_MOST * work.plain and saved > _OF_AN_OPERATION * len(windows.ways)
        return size if pays else None


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
        self, forward: ForwardOnly, inputs: Tensor, extra_inputs: tuple[Tensor, ...], batch_size: int | None
    ) -> None:
        self.forward, self.inputs, self.extra_inputs = forward, inputs, extra_inputs
        self.size = checked_size(batch_size if batch_size is not None else forward.batch_size())
        for extra in extra_inputs:
            if len(extra) != len(inputs):
                raise InputError(f"{len(extra)} rows for {len(inputs)} inputs", where="extra_inputs")
        place(forward.device).keep_freed()
        # As many as fill a batch or more: the indices of all substitutions of all sequences may not fit.
        self.sequences_at_a_time = -(-self.size // max(1, 3 * inputs.shape[-1]))
        every = self._batches(len(inputs), lambda part: self._run(torch.arange(part.start, part.stop)).cpu())
        self._outputs = torch.cat([values for _, values in every])
        self.output = _finite(forward.target.of(self._outputs).double(), torch.arange(len(inputs)), "")
        """The target on the inputs, (n,), float64."""
        self._windows: Substituted | None = None
        self._kept: tuple[int, Kept] | None = None
        room = SHARE_OF_FREE_MEMORY * place(forward.device).free() - bytes_to_find_windows(forward.runner)
        if room > 0 and int((inputs == 0).sum()) * row_work(forward.runner) >= _LEAST:
            with suppress(torch.OutOfMemoryError):  # then whole rows are smaller, or say so
                windows = forward.by_windows(tuple(each[:1] for each in (inputs, *extra_inputs)))
                size = forward.batch_by_windows(windows, inputs.shape[2], batch_size)
                if size is not None:
                    self._windows, self.size = windows, size
                elif batch_size is None:
                    self.size = forward.batch_size()  # less is free than before

    def substituted(self, sequence: Tensor, base: Tensor, position: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield slices of the substitutions, and the target on each, float64 on the CPU.

        A substitution puts a base in the place of a sequence's own; ``sequence``, ``base`` and ``position``
        are (substitution,), rising in the sequence, and within it best in the position.
        """

        def run(part: slice) -> Tensor:
            rows = sequence[part]
            by_windows = self._windows is not None
            output = (self._run_windows if by_windows else self._run)(rows, base[part], position[part])
            # What a target holds, such as a profile's weights, is the unchanged sequence's.
            values = self.forward.target.of_reference(output[:, None], self._outputs[rows].to(output.device))
            return _finite(values[:, 0].double().cpu(), rows, " with a substitution in it")

        # Windows are those of one sequence.
        ends = None if self._windows is None else torch.searchsorted(sequence, sequence, right=True)
        yield from self._batches(len(sequence), run, ends)

    def _batches(
        self, n: int, run: Callable[[slice], Tensor], ends: Tensor | None = None
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield parts of n with what is computed of them, none going beyond the end that it begins before."""
        start = 0
        while start < n:
            part = slice(start, min(start + self.size, n if ends is None else int(ends[start])))
            try:
                values = run(part)
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not says_memory_is_exhausted(error):
                    raise
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

    def _run_windows(self, sequence: Tensor, base: Tensor, position: Tensor) -> Tensor:
        """Return what the graph puts out for substitutions in one sequence, computing what they reach."""
        assert self._windows is not None
        row = int(sequence[0])
        with self.forward._settings():
            if self._kept is None or self._kept[0] != row:
                given = (each[row : row + 1] for each in (self.inputs, *self.extra_inputs))
                self._kept = None  # before there is another
                self._kept = row, self._windows.keep([self.forward.runner.placed(each) for each in given])
            return self._windows.output(self._kept[1], base, position)


def _finite(values: Tensor, sequence: Tensor, how: str) -> Tensor:
    check_finite(values, lambda row: f"sequence {int(sequence[row])}{how}")
    return values
