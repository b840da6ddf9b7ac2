"""How many pairs are computed at a time, by how many threads: what fits the memory there is, or a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from genolift.engine.run import memory as measured
from genolift.engine.run.footprint import Footprint, alone
from genolift.errors import InputError

if TYPE_CHECKING:
    from genolift.engine.run.run import Runner

SHARE_OF_FREE_MEMORY = 0.5
"""What batches take of what nobody holds, where no budget is given: others start while a job runs."""
CPU_BATCH_BYTES = 160 * 2**20
"""Small batches, whose values stay near the processor, are faster than large ones (benchmarks/README.md)."""


@dataclass(frozen=True)
class Split:
    """How a job is divided: pairs at a time, and threads that each compute as many."""

    size: int
    workers: int


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
        Bytes that the process may hold; None for half of what is free.
    batch_size
        Pairs at a time at most; None for what is fast.
    besides
        Bytes of the host that the caller takes while the job runs.

    Raises
    ------
    InputError
        If one pair at a time does not fit, before anything is computed.
    """
    cpu = torch.device("cpu")
    if memory is None and batch_size is not None:
        return Split(batch_size, workers)  # the caller's own choice; what does not fit is halved
    results = need.results + besides
    if device.type == "cuda":
        _room(cpu, memory, results, 0)
        room = _room(device, memory, need.shared, need.of_batch(1))
        fast = max(1, room // need.pair)
    else:
        room = _room(cpu, memory, results + need.shared, need.of_batch(1))
        fast = max(1, CPU_BATCH_BYTES // need.values)
    workers = max(1, min(workers, room // need.of_batch(1)))
    return Split(max(1, min(batch_size or fast, need.pairs_in(room // workers))), workers)


def check_alone(runner: Runner, event: int, memory: int | None, besides: int) -> None:
    """Raise `InputError` if one sequence and one reference, of ``event`` numbers each, do not fit.

    ``besides`` are bytes of the host that the caller will take.
    """
    _room(runner.device, memory, besides if runner.device.type == "cpu" else 0, alone(runner, event))


def _room(device: torch.device, memory: int | None, once: int, least: int) -> int:
    """Return the bytes for batches beside what is taken ``once``; refuse if ``least`` does not fit."""
    if memory is not None:
        measured.give_back(device)
    before, free = measured.held(device), measured.free(device)
    room = (free if memory is None else min(memory - before, free)) - once
    if room >= least:
        return room if memory is not None else max(least, int(SHARE_OF_FREE_MEMORY * room))
    which = "a GPU's memory" if device.type == "cuda" else "memory"
    and_once = f", all results and what batches share {_text(once)}" if once else ""
    budget = "" if memory is None else f"the budget is {_text(memory)} and "
    wanted = f"raise --memory (attribution.memory) to {_mebibytes(before + once + least)}MiB or more"
    raise InputError(
        f"one sequence with one reference takes {_text(least)} of {which}{and_once}; "
        f"{_text(before)} are in use already, {budget}{_text(free)} are free",
        where="memory",
        remedy=("" if memory is None or free < once + least else f"{wanted}, or ")
        + "explain shorter sequences, or take a machine with more memory",
    )


def _mebibytes(number: int) -> int:
    return -(-number // 2**20)


def _text(number: int) -> str:
    return f"{_mebibytes(number):,} MiB"
