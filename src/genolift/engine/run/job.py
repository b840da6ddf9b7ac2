"""The pairs of one call, computed in batches.

On a CPU each core computes batches of its own, of a few rows, whose values stay in its cache; no operation
waits for another core (benchmarks/README.md). A batch that does not fit is split in two and run again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from threading import Lock
from typing import Any, TypeVar

import torch
from torch import Tensor

from genolift.engine.devices import does_not_fit, place, threads_of_torch
from genolift.engine.kinds.pairs import Activations, Pairs
from genolift.engine.run.backward import multipliers as multipliers_of
from genolift.engine.run.given import Explained, as_tensor
from genolift.engine.run.run import Runner, batches
from genolift.engine.torch_internals import says_memory_is_exhausted
from genolift.errors import InputError

Path = Sequence[tuple[float, float]]
"""Points between reference (0) and input (1) and their weights, which sum to 1."""
Made = TypeVar("Made")

_TASKS_AHEAD = 2
"""Tasks a worker may be ahead of what is taken from it: what they made waits in memory."""


@dataclass(frozen=True)
class Split:
    """How a job is divided: pairs at a time, and threads that each compute as many."""

    size: int
    workers: int


@dataclass(frozen=True)
class Part:
    """What was computed for some sequences and some of their references, on the device.

    Inputs and reference are values of what contributions are read at: the model's input, or a layer. Shapes:
    inputs (n, 1, *event), reference (n or 1, r, *event); for each target multipliers (n, r, *event), output
    (n,) and reference_output (n or 1, r).
    """

    sequences: slice
    references: slice
    inputs: Tensor
    reference: Tensor
    multipliers: tuple[Tensor, ...]
    output: tuple[Tensor, ...]
    reference_output: tuple[Tensor, ...]


class Job:
    """The pairs of one call.

    Parameters
    ----------
    runner, targets
        The plan to carry out, and what of its output is explained: for all one forward, for each a backward.
    inputs
        (n, *event).
    references
        (n, r, *event), (r, *event), or a function of inputs that gives either; it is given all inputs at once
        only if it has the attribute ``shared``.
    extra_inputs
        The model's further arguments, each (n, ...).
    path
        Points and weights of integrated gradients; empty for multipliers at the input itself.

    Raises
    ------
    InputError
        If shapes do not fit each other, or a reference is not finite.
    """

    def __init__(
        self,
        runner: Runner,
        targets: Sequence[Explained],
        inputs: Tensor,
        references: Any,
        extra_inputs: tuple[Tensor, ...],
        path: Path,
    ) -> None:
        self.runner, self.targets, self.place = runner, tuple(targets), place(runner.device)
        self.inputs, self.path = inputs, path
        self.extra_inputs = tuple(as_tensor(extra, "extra_inputs") for extra in extra_inputs)
        for extra in self.extra_inputs:
            if len(extra) != len(inputs):
                raise InputError(f"{len(extra)} rows for {len(inputs)} inputs", where="extra_inputs")
        made, shared = callable(references), getattr(references, "shared", False)
        given = references(inputs if shared else inputs[:1]) if made else references
        given = self.given = as_tensor(given, "references")
        self.per_sequence = given.dim() == inputs.dim() + 1
        self.make: Callable[[Tensor], Tensor] | None = None
        if made and not shared and self.per_sequence:
            self.make = references
        self._check(given)
        self.r = given.shape[1] if self.per_sequence else given.shape[0]
        # With one sequence, or extra inputs of each, nothing is saved by sharing.
        self.share = not self.per_sequence and len(inputs) > 1 and not self.extra_inputs
        self._making = Lock()
        self._shared: Activations | None = None

    def _check(self, given: Tensor) -> None:
        event = tuple(self.inputs.shape[1:])
        wanted = (1 if self.make else len(self.inputs), given.shape[1], *event) if self.per_sequence else None
        fits = (
            given.dim() in (len(event) + 1, len(event) + 2)
            and tuple(given.shape[given.dim() - len(event) :]) == event
        )
        if not fits or (wanted and tuple(given.shape) != wanted):
            raise InputError(
                f"references have the shape {tuple(given.shape)}, inputs {tuple(self.inputs.shape)}",
                where="references",
                remedy="give reference[None]: one reference for all is (1, *event)"
                if tuple(given.shape) == event
                else "give (n, r, *event), or (r, *event) for the same references everywhere",
            )
        if given.shape[1 if self.per_sequence else 0] == 0:
            raise InputError("there is no reference", where="references", remedy="give at least one")
        if given.is_floating_point() and not bool(torch.isfinite(given).all()):
            raise InputError("a reference holds NaN or infinity", where="references")

    def run(self, split: Split, made_of: Callable[[Part], Made]) -> Generator[Made, None, None]:
        """Yield what ``made_of`` makes of the parts of the job, in order.

        On a CPU it is called by several threads. Close it if it is not taken to its end: threads wait for it.
        """
        self.place.keep_freed()
        workers = split.workers
        tasks = deque(self._tasks(split.size, workers))  # taken off, since a group holds activations
        if workers == 1 or len(tasks) == 1:
            while tasks:
                yield from self._made(*tasks.popleft(), made_of)
            return
        each = max(1, torch.get_num_threads() // workers)
        with threads_of_torch(each):
            pool = ThreadPoolExecutor(workers, "genolift", torch.set_num_threads, (each,))
            ahead: deque[Future[list[Made]]] = deque()
            try:
                while tasks:
                    ahead.append(pool.submit(self._list_made, tasks.popleft(), made_of))
                    if len(ahead) > _TASKS_AHEAD * workers:
                        yield from ahead.popleft().result()
                while ahead:
                    yield from ahead.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _tasks(self, size: int, workers: int) -> Iterator[tuple[_Group, list[slice]]]:
        """Yield sequences with the slices of their references that one worker computes one after another."""
        n = len(self.inputs)
        if self.share or not self.runner.plan.uses_reference:
            for rows, _ in batches(n, 1, min(size, -(-n // workers))):
                yield _Group(self, rows), [slice(0, self.r)]
            return
        found = batches(n, self.r, min(size, -(-n * self.r // workers)))
        for _, same_rows in groupby(found, key=lambda each: each[0].start):
            each = list(same_rows)
            group, slices = _Group(self, each[0][0]), [references for _, references in each]
            # With few groups, the slices of one are computed by several workers.
            yield from [(group, slices)] if n >= 2 * workers else ((group, [one]) for one in slices)

    def _list_made(self, task: tuple[_Group, list[slice]], made_of: Callable[[Part], Made]) -> list[Made]:
        with torch.no_grad():  # which each thread has of its own
            return list(self._made(*task, made_of))

    def _made(self, group: _Group, slices: list[slice], made_of: Callable[[Part], Made]) -> Iterator[Made]:
        ahead = [(group, references) for references in reversed(slices)]
        while ahead:
            group, references = ahead.pop()
            try:
                # No name holds a part, as in a generator expression: its values would stay until the next.
                for stop, made in map(  # noqa: C417
                    lambda part: (part.references.stop, made_of(part)), self._parts(group, references)
                ):
                    references = slice(stop, references.stop)
                    yield made
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not says_memory_is_exhausted(error):
                    raise
                halves = self._halves(group, references)
                if not halves:
                    what = "one sequence and one reference do not"
                    raise does_not_fit(self.runner.device, what) from error
                ahead += reversed(halves)
            else:
                continue
            # By now the error is gone, and with it the values of what did not fit.
            self._shared = None
            del group
            self.place.give_back()

    def _halves(self, group: _Group, references: slice) -> list[tuple[_Group, slice]]:
        rows = group.rows
        if rows.stop - rows.start > 1:
            middle = (rows.start + rows.stop) // 2
            halves = slice(rows.start, middle), slice(middle, rows.stop)
            return [(_Group(self, half), references) for half in halves]
        if references.stop - references.start > 1 and not self.share:
            middle = (references.start + references.stop) // 2
            return [(group, slice(references.start, middle)), (group, slice(middle, references.stop))]
        return []

    def references_of(self, rows: slice) -> Tensor:
        """Return all references of some sequences, (n or 1, r, *event), as they were given."""
        if self.make is not None:
            return as_tensor(self.make(self.inputs[rows]), "references")
        return self.given[rows] if self.per_sequence else self.given[None]

    def forward(self, rows: slice, carry: bool) -> Activations:
        """Run sequences through the model."""
        placed = (self.runner.placed(each[rows]) for each in (self.inputs, *self.extra_inputs))
        return self.runner.forward(tuple(placed), carry=carry)

    def _parts(self, group: _Group, references: slice) -> Iterator[Part]:
        if not self.runner.plan.uses_reference:
            yield self._gradient_part(group, references)
        elif self.share:
            yield from self._shared_parts(group, references)
        else:
            yield self._own_part(group, references)

    def _own_part(self, group: _Group, references: slice) -> Part:
        sequences, reference = group.sequences(), group.references(references)
        n, r = sequences.rows, reference.shape[1]
        flat = reference.expand(n, *reference.shape[1:]).flatten(0, 1).contiguous()
        compared = self._forward_references(flat, group.rows, r, carry=True)
        pairs = Pairs(self.runner.layout, sequences, compared, compared, r, frees=True)
        return self._made_part(group.rows, references, sequences, compared, self._multipliers(pairs))

    def _shared_parts(self, group: _Group, references: slice) -> Iterator[Part]:
        sequences = self.forward(group.rows, carry=True)
        with self._making:
            if self._shared is None:
                self._shared = self.runner.forward(
                    (self.runner.placed(self.given, numbers=True),), carry=False
                )
            shared = self._shared
        for k in range(references.start, references.stop):
            pairs = Pairs(self.runner.layout, sequences, shared, sequences, 1, shared=k)
            multipliers = self._multipliers(pairs, again=k < references.stop - 1)
            one = slice(k, k + 1)
            yield self._made_part(group.rows, one, sequences, shared, multipliers)

    def _gradient_part(self, group: _Group, references: slice) -> Part:
        rows, reference = group.rows, group.references(references)
        n, r = rows.stop - rows.start, reference.shape[1]
        flat = reference if self.share else reference.expand(n, *reference.shape[1:])
        compared = self._forward_references(flat.flatten(0, 1), rows, r, carry=False)
        sequences = self.forward(rows, carry=not self.path)
        if self.path:
            x = self.runner.placed(self.inputs[rows])[:, None]
            difference = (x - reference).flatten(0, 1)
            start = reference.expand(n, *reference.shape[1:]).flatten(0, 1)
            sums = [torch.zeros_like(difference) for _ in self.targets]
            for point, weight in self.path:
                there = self._forward_references(start + point * difference, rows, r, carry=True)
                pairs = Pairs(self.runner.layout, there, there, there, 1)
                seeds = self._seeds(sequences, r)
                for total, gradient in zip(sums, self._multipliers(pairs, seeds=seeds), strict=True):
                    total += weight * gradient[:, 0]
            multipliers = [total.unflatten(0, (n, r)) for total in sums]
        else:
            each = self._multipliers(Pairs(self.runner.layout, sequences, sequences, sequences, 1))
            multipliers = [one.expand(n, r, *one.shape[2:]) for one in each]
        return self._made_part(rows, references, sequences, compared, multipliers)

    def _seeds(self, sequences: Activations, r: int) -> list[Tensor]:
        output = self.runner.output(sequences)
        return [target.seed(output, r) for target in self.targets]

    def _multipliers(
        self, pairs: Pairs, *, again: bool = False, seeds: Sequence[Tensor] = ()
    ) -> list[Tensor]:
        """Return the multipliers of each target, (n, r, *event): a backward pass each."""
        seeds = seeds or self._seeds(pairs.sequences, pairs.r)
        last = len(seeds) - 1
        each = (
            multipliers_of(self.runner, pairs, seed, again=again or number < last)
            for number, seed in enumerate(seeds)
        )
        return [multipliers.unflatten(0, (pairs.n, pairs.r)) for multipliers in each]

    def _made_part(
        self,
        rows: slice,
        references: slice,
        sequences: Activations,
        compared: Activations,
        multipliers: Sequence[Tensor],
    ) -> Part:
        read, output = self.runner.graph.read, self.runner.output(sequences)
        # Of references that all sequences share, all were run at once.
        taken = references if self.share else slice(None)
        r = self.r if self.share else references.stop - references.start
        reference, reference_output = (
            value.unflatten(0, (-1, r))[:, taken]
            for value in (compared.values[read], self.runner.output(compared))
        )
        return Part(
            rows,
            references,
            sequences.values[read][:, None],
            reference,
            tuple(multipliers),
            tuple(target.of(output) for target in self.targets),
            tuple(target.of_reference(reference_output, output) for target in self.targets),
        )

    def _forward_references(self, flat: Tensor, rows: slice, r: int, *, carry: bool) -> Activations:
        extra = (self.runner.placed(each[rows]).repeat_interleave(r, 0) for each in self.extra_inputs)
        return self.runner.forward((flat, *extra), carry=carry)


class _Group:
    """Some sequences, whose references and activations are made once, however many batches those take."""

    def __init__(self, job: Job, rows: slice) -> None:
        self.job, self.rows = job, rows
        self._lock = Lock()
        self._references: Tensor | None = None
        self._sequences: Activations | None = None

    def references(self, taken: slice) -> Tensor:
        """Return some of the references, (n or 1, r, *event), on the device."""
        # A function of the user's may not bear to be called by two threads.
        with self.job._making:
            if self._references is None:
                self._references = self.job.references_of(self.rows)
        return self.job.runner.placed(self._references[:, taken], numbers=True)

    def sequences(self) -> Activations:
        """Return the sequences' activations."""
        with self._lock:
            if self._sequences is None:
                self._sequences = self.job.forward(self.rows, carry=False)
            return self._sequences
