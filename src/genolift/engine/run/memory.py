"""Memory of the host and of a device: held, free, and given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from genolift.engine.graph.torch_internals import give_back_freed_memory


def give_back(device: torch.device) -> None:
    """Give back to the system what was freed and kept for the next allocations (milliseconds)."""
    give_back_freed_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def held(device: torch.device) -> int:
    """Return the bytes that this process holds: on a CPU resident, on a GPU by torch."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    return int(psutil.Process().memory_info().rss)


def free(device: torch.device) -> int:
    """Return the bytes that nobody holds."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


@contextmanager
def at_most(memory: int | None, device: torch.device) -> Iterator[None]:
    """Let torch hold at most ``memory`` bytes of a GPU: what needs more is as if the GPU had no more."""
    if memory is None or device.type != "cuda":
        yield
        return
    whole = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, memory / whole), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
