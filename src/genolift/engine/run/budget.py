"""How many pairs are computed at a time, by how many threads: what fits the memory there is, or a budget."""

import torch

from genolift.engine.devices import HOST, Cpu, place
from genolift.engine.run.footprint import Footprint, alone
from genolift.engine.run.job import Split
from genolift.engine.run.run import Runner
from genolift.errors import InputError

SHARE_OF_FREE_MEMORY = 0.5
"""What batches take of what nobody holds, where no budget is given: others start while a job runs."""
SHARE_OF_JOB = 0.85
"""What a process holds at most of its job's limit, past which the job is ended, where no budget is given."""


def split(
    need: Footprint,
    device: torch.device,
    workers: int,
    *,
    memory: int | None = None,
    batch_size: int | None = None,
    besides: int = 0,
) -> Split:
    """Return how a job is divided so that it stays under ``memory`` bytes, of the host and of the device.

    Parameters
    ----------
    need
        What the job takes.
    device, workers
        Where it is computed, and by how many threads at most.
    memory
        Bytes that the process may hold; None for half of what is free, and 0.85 of its job's limit.
    batch_size
        Pairs at a time at most; None for what is fast.
    besides
        Bytes of the host that the caller takes while the job runs.

    Raises
    ------
    InputError
        If one pair at a time does not fit, before anything is computed.
    """
    if memory is None and batch_size is not None:
        return Split(batch_size, workers)  # the caller's own choice; what does not fit is halved
    there, results = place(device), need.results + besides
    if there.is_host:
        room = _room(there, memory, results + need.shared, need.of_batch(1))
    else:
        _room(HOST, memory, results, 0)
        room = _room(there, memory, need.shared, need.of_batch(1))
    workers = max(1, min(workers, room // need.of_batch(1)))
    size = batch_size or there.fast_batch(room, need.pair, need.values)
    return Split(max(1, min(size, need.pairs_in(room // workers))), workers)


def check_alone(runner: Runner, event: int, memory: int | None, besides: int) -> None:
    """Raise `InputError` if one sequence and one reference, of ``event`` numbers each, do not fit.

    ``besides`` are bytes of the host that the caller will take.
    """
    there = place(runner.device)
    _room(there, memory, besides if there.is_host else 0, alone(runner, event))


def _room(there: Cpu, memory: int | None, once: int, least: int) -> int:
    """Return the bytes for batches beside what is taken ``once``; refuse if ``least`` does not fit."""
    if memory is not None:
        there.give_back()
    before, free = there.held(), there.free()
    room = (free if memory is None else min(memory - before, free)) - once
    if room >= least:
        if memory is not None:
            return room
        of_job = there.left_of_job(SHARE_OF_JOB) - once
        return max(least, int(min(SHARE_OF_FREE_MEMORY * room, of_job)))
    and_once = f", all results and what batches share {_text(once)}" if once else ""
    budget = "" if memory is None else f"the budget is {_text(memory)} and "
    wanted = f"raise --memory (attribution.memory) to {_mebibytes(before + once + least)}MiB or more"
    raise InputError(
        f"one sequence with one reference takes {_text(least)} of {there.memory}{and_once}; "
        f"{_text(before)} are in use already, {budget}{_text(free)} are free",
        where="memory",
        remedy=("" if memory is None or free < once + least else f"{wanted}, or ")
        + "explain shorter sequences, or take a machine, or a job, with more memory",
    )


def _mebibytes(number: int) -> int:
    return -(-number // 2**20)


def _text(number: int) -> str:
    return f"{_mebibytes(number):,} MiB"
