"""What a job takes of memory, estimated from its plan before anything is computed: more rather than less.

Figures were measured as peaks of resident memory over what a process held before, for BPNet-, Basset- and
DeepSEA-shaped models, a transformer and LSTMs, under Rescale, genomics-default and RevealCancel, 1 to 20
pairs at a time.
"""

import math
from dataclasses import dataclass

import torch

from genolift.engine.kinds.kind import Step
from genolift.engine.run.job import Job
from genolift.engine.run.run import Runner

_WORKER_BYTES = 24 * 2**20
"""What a thread takes whatever it computes: compiled kernels, scratch, an arena of the C library."""
_VALUES = 2
"""Times the values of a row: the C library's heap, full of holes where values of many sizes come and go, is
1.2 to 1.9 times what lives in it."""
_AT_INPUT = 12
"""Numbers for one of the input: reference as given and placed, multipliers, their products in float64."""
_RESULT_BYTES = 48
"""For one number of the contributions: float64 sums, their means, and both as they are handed out."""
_AS_KEPT = 3
"""Times a value of an unchanged sequence: as it is, by position, and with what lies beyond its ends."""
_OF_A_TRIAL = 40
"""Times the largest value: three rows of it, computed whole and in each way, with their arguments."""
_WAITING = 4
"""Parts that one worker made, or is making, and nobody has added up yet."""


@dataclass(frozen=True)
class Footprint:
    """Bytes that a job takes; ``sequence``, ``pair`` and ``worker`` where it is computed."""

    worker: int
    """For each thread, however little it computes."""
    sequence: int
    """For each sequence of a batch."""
    pair: int
    """For each sequence-reference pair of a batch."""
    shared: int
    """Once, where it is computed: what all batches share."""
    values: int
    """Of each pair, what is gone through again and again: a small batch's stays near the processor."""
    results: int
    """Once, on the host: all results of the job."""
    r: int
    """References that the pairs of one sequence are made with."""

    def of_batch(self, size: int) -> int:
        """Return what one worker takes with ``size`` pairs at a time."""
        return self.worker + max(1, size // self.r) * self.sequence + size * self.pair

    def pairs_in(self, room: int) -> int:
        """Return the most pairs at a time with which one worker takes at most ``room``; 0 if not even one."""
        if room < self.of_batch(1):
            return 0
        whole = (room - self.worker) // (self.r * self.pair + self.sequence) * self.r
        return int(max(1, whole, min(self.r, (room - self.worker - self.sequence) // self.pair)))


def footprint(job: Job, *, keep_multipliers: bool = False) -> Footprint:
    """Return what a job takes."""
    runner, targets = job.runner, len(job.targets)
    item = torch.finfo(runner.dtype).bits // 8
    event = math.prod(job.inputs.shape[1:])
    read = _numel(runner, event)[runner.graph.read]
    kept = event + _kept_numel(runner)
    pair = bytes_per_pair(runner, event) + (targets - 1) * item * (read + kept)
    made = 3 * 4 * job.r * event if job.make is not None else 0
    sums = _WAITING * targets * 32 * read + made
    multipliers = 4 * targets * read if keep_multipliers else 0
    results = targets * result_bytes(len(job.inputs), job.r, read) + len(job.inputs) * job.r * multipliers
    pair += _WAITING * multipliers
    worker, near, weights = _worker_bytes(runner), value_bytes(runner), weight_bytes(runner)
    if not runner.plan.uses_reference:
        rows = pair if job.path else item * (kept + _AT_INPUT * event * targets)
        return Footprint(worker, sums, pair + job.r * rows, weights, near, results, 1)
    if job.share:
        shared = item * job.r * (kept + 3 * max(_numel(runner, event).values()))
        return Footprint(worker, sums, pair + item * kept, weights + shared, near, results, 1)
    return Footprint(worker, sums + item * kept, pair, weights, near, results, job.r)


def result_bytes(n: int, r: int, event: int) -> int:
    """Return what the results of n sequences with r references take, of ``event`` numbers each."""
    return n * (_RESULT_BYTES * event + 32 * r)


def alone(runner: Runner, event: int) -> int:
    """Return what one sequence and one reference, of ``event`` numbers each, take together."""
    kept = (event + _kept_numel(runner)) * torch.finfo(runner.dtype).bits // 8
    return _worker_bytes(runner) + kept + bytes_per_pair(runner, event) + weight_bytes(runner)


def weight_bytes(runner: Runner) -> int:
    """Return what absolute weights take, made once and kept: of a DeepSEA-shaped dense layer 190 MB.

    Twice, since two threads may come to make them at the same time.
    """
    made = runner.layout.absolute
    numbers = (
        _weight_numel(runner, step)
        for step in runner.plan.steps
        if step.operation.name in runner.plan.carries_spread and step.operation.name not in made
    )
    return 2 * sum(numbers) * torch.finfo(runner.dtype).bits // 8


def bytes_to_find_windows(runner: Runner) -> int:
    """Return what finding how windows are computed takes: weights in another order, and values of rows."""
    weights = sum(_weight_numel(runner, step) for step in runner.plan.steps)
    values = _dependent_numel(runner)
    numbers = weights + sum(values) + _OF_A_TRIAL * max(values)
    return _WORKER_BYTES + numbers * torch.finfo(runner.dtype).bits // 8


def bytes_kept_for_windows(runner: Runner) -> int:
    """Return what is kept of an unchanged sequence while its windows are computed."""
    return _AS_KEPT * sum(_dependent_numel(runner)) * torch.finfo(runner.dtype).bits // 8


def _dependent_numel(runner: Runner) -> list[int]:
    return [each.row_numel for each in runner.graph.operations if each.name in runner.graph.dependent]


def _worker_bytes(runner: Runner) -> int:
    """Return what a thread takes whatever its batch; in half precision each keeps weights of its own."""
    if not runner.known.halved:
        return _WORKER_BYTES
    return _WORKER_BYTES + 2 * sum(_weight_numel(runner, step) for step in runner.plan.steps)


def _weight_numel(runner: Runner, step: Step) -> int:
    if step.kind.weighted is None:
        return 0
    constants = (runner.constants.get(name) for name in step.operation.inputs)
    return sum(value.numel() for value in constants if isinstance(value, torch.Tensor))


def value_bytes(runner: Runner) -> int:
    """Return the bytes of the values and multipliers of one pair, each counted once."""
    numel = sum(step.operation.row_numel * step.kind.values for step in runner.plan.steps)
    return max(1, 2 * numel * torch.finfo(runner.dtype).bits // 8)


def bytes_per_pair(runner: Runner, event: int = 0) -> int:
    """Return how many bytes one sequence-reference pair, of ``event`` numbers each, takes.

    What the sequence takes alone is not in it. The reference's row keeps the value of every operation until
    multipliers have passed it; of what they pass by, there is one operation at a time.
    """
    plan = runner.plan
    numel = sum(step.operation.row_numel for step in plan.steps)
    spread = sum(
        step.operation.row_numel for step in plan.steps if step.operation.name in plan.carries_spread
    )
    known = _numel(runner, event)
    working = max((step.kind.numbers_at_once(step, known, runner.layout) for step in plan.steps), default=0)
    numbers = _VALUES * numel + 3 * spread + working + _AT_INPUT * event
    if runner.known.halved:  # each layer keeps its arguments in bfloat16 too
        numbers += numel
    return int(max(1, numbers * torch.finfo(runner.dtype).bits // 8))


def _kept_numel(runner: Runner) -> int:
    """Return the numbers of a row that a forward pass leaves behind; indices of maxima count twice."""
    known = _numel(runner, 0)
    besides = sum(step.kind.numbers_kept(step) for step in runner.plan.steps)
    return sum(known[name] for name in runner.known.kept) + besides


def _numel(runner: Runner, event: int) -> dict[str, int]:
    """Return the numbers of a row of every value; ``event`` of the input."""
    known: dict[str, int] = {operation.name: operation.row_numel for operation in runner.graph.operations}
    return known | dict.fromkeys(runner.graph.inputs, event)
