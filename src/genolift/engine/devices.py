"""A CPU and a GPU, with what differs between them: memory, copies, threads and the size of batches."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property

import psutil
import torch
from torch import Tensor

from genolift.engine.torch_internals import (
    give_back_freed_memory,
    keep_freed_memory,
    says_memory_is_exhausted,
)
from genolift.errors import InputError
from genolift.host_memory import available_memory, left_of_job

_CPU_BATCH_BYTES = 160 * 2**20
"""Small batches, whose values stay near the processor, are faster than large ones (benchmarks/README.md)."""
_MOST_WORKERS = 16
"""Python runs one thread at a time between operations; with more workers than this they would wait for it."""


@contextmanager
def threads_of_torch(number: int) -> Iterator[None]:
    """Let torch compute an operation by so many threads, and set back how many it were."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Cpu:
    """A CPU, whose memory is the host's. On it batches are small, and each core computes its own."""

    is_host = True
    memory = "memory"
    """What its memory is called in messages."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def held(self) -> int:
        """Return the bytes that this process holds: resident, or on a GPU by torch."""
        return int(psutil.Process().memory_info().rss)

    def free(self) -> int:
        """Return the bytes that nobody holds, and that the process may take."""
        return available_memory()

    def left_of_job(self, share: float) -> float:
        """Return the bytes that are left of a share of the job's limit, infinite if it has none."""
        left = left_of_job(share)
        return math.inf if left is None else left

    def keep_freed(self) -> None:
        """Keep freed memory for the next batches."""
        keep_freed_memory()

    def give_back(self) -> None:
        """Give back to the system what was freed and kept for the next allocations (milliseconds)."""
        give_back_freed_memory()

    @contextmanager
    def at_most(self, memory: int | None) -> Iterator[None]:
        """Let torch hold at most ``memory`` bytes of a GPU. On a CPU the sizes of batches see to that."""
        yield

    def brought(self, tensor: Tensor) -> Tensor:
        """Return a tensor on this device."""
        return tensor.to(self.device)

    def fetched(self, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], Callable[[], object]]:
        """Return tensors of this device on the host, and what waits until they have arrived there."""
        return tensors, lambda: None

    def workers(self) -> int:
        """Return how many threads compute batches of their own, at most."""
        return min(torch.get_num_threads(), _MOST_WORKERS)

    def fast_batch(self, room: int, pair: int, values: int) -> int:
        """Return how many pairs at a time are fast in ``room`` bytes, and fit.

        ``pair`` is the bytes that each takes, ``values`` those that are gone through again and again.
        """
        return max(1, min(room // pair, _CPU_BATCH_BYTES // values))


class Gpu(Cpu):
    """A GPU, with memory of its own. On it batches are as large as that allows."""

    is_host = False
    memory = "a GPU's memory"

    def held(self) -> int:
        """See `Cpu.held`."""
        return torch.cuda.memory_reserved(self.device)

    def free(self) -> int:
        """See `Cpu.free`. What torch keeps for its next tensors is free too."""
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(torch.cuda.mem_get_info(self.device)[0]) + kept

    def left_of_job(self, share: float) -> float:
        """See `Cpu.left_of_job`. No job has a limit of its own on a GPU's memory."""
        return math.inf

    def keep_freed(self) -> None:
        """Torch keeps a GPU's freed memory by itself."""

    def give_back(self) -> None:
        """See `Cpu.give_back`."""
        super().give_back()
        torch.cuda.empty_cache()

    @contextmanager
    def at_most(self, memory: int | None) -> Iterator[None]:
        """See `Cpu.at_most`."""
        if memory is None:
            yield
            return
        whole = torch.cuda.get_device_properties(self.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, memory / whole), self.device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, self.device)

    # Copies go on beside the computing, through pinned memory and on streams: one for each way, or a batch
    # would wait for what the one before it made.

    @cached_property
    def _incoming(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self.device)

    @cached_property
    def _outgoing(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self.device)

    def brought(self, tensor: Tensor) -> Tensor:
        """See `Cpu.brought`."""
        pinned = _pinned(tensor) if tensor.device.type == "cpu" else None
        if pinned is None:
            return tensor.to(self.device)
        here = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._incoming):
            there = pinned.copy_(tensor).to(self.device, non_blocking=True)
        here.wait_stream(self._incoming)
        there.record_stream(here)
        return there

    def fetched(self, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], Callable[[], object]]:
        """See `Cpu.fetched`."""
        copies = [pinned for each in tensors if (pinned := _pinned(each)) is not None]
        if len(copies) < len(tensors):
            return [each.cpu() for each in tensors], lambda: None
        self._outgoing.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._outgoing):
            for copy, each in zip(copies, tensors, strict=True):
                copy.copy_(each, non_blocking=True)
                each.record_stream(self._outgoing)
        return copies, self._outgoing.record_event().synchronize

    def workers(self) -> int:
        """See `Cpu.workers`."""
        return 1

    def fast_batch(self, room: int, pair: int, values: int) -> int:
        """See `Cpu.fast_batch`."""
        return max(1, room // pair)


HOST = Cpu(torch.device("cpu"))


def _pinned(like: Tensor) -> Tensor | None:
    """Return room on the host that a GPU copies from and to by itself; None where there is none to be had."""
    try:
        return torch.empty(like.shape, dtype=like.dtype, pin_memory=True)
    except RuntimeError:
        return None


@cache
def place(device: torch.device) -> Cpu:
    """Return a device with what is its own."""
    return Gpu(device) if device.type == "cuda" else Cpu(device)


def chosen_device(device: str | torch.device | None) -> torch.device:
    """Return the device asked for, or a GPU where there is one; of GPUs with its number.

    Raises
    ------
    InputError
        If there is no such device, or no memory left on it.
    """
    if device is None or device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        if chosen.type == "cuda" and chosen.index is None:
            chosen = torch.device("cuda", torch.cuda.current_device())  # without it, torch counts no memory
        torch.zeros(1, device=chosen).item()  # meta has no values
    except Exception as error:
        if says_memory_is_exhausted(error):
            raise InputError(
                f"the memory of {str(device)!r} is full",
                where="device",
                remedy="end what else runs there, or choose another device or cpu",
            ) from error
        raise InputError(
            f"there is no device {str(device)!r} here", where="device", remedy="choose auto, cpu or cuda"
        ) from error
    return chosen


def does_not_fit(device: torch.device, what: str) -> InputError:
    """Return what to say where not even the least that can be computed at a time fits a device."""
    return InputError(
        f"{what} fit the device's memory",
        where=f"device {device}",
        remedy="free memory on it, use another device, or device: cpu",
    )


def may_hold(mask: Tensor) -> bool:
    """Whether a mask holds anywhere. On a GPU it may: to ask would be to wait for all that is computed."""
    return mask.device.type != "cpu" or bool(mask.any())
