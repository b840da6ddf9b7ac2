"""Memory of the host and of a device: held, free, and given back."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psutil
import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MAPPED = 32 * 2**20
_KEPT_FREE = 512 * 2**20


def keep_freed_memory() -> None:
    """Let the C library keep up to 512 MiB of what each thread freed for its next allocations.

    By default it gives a batch's values back to the system, which hands them out again page by page, cleared:
    up to a quarter of the time of a batch (benchmarks/README.md). The C library itself raises both limits as
    larger blocks are freed (mallopt(3), M_MMAP_THRESHOLD), so they are left as they are set. A thread never
    holds more than its largest batch took, which a budget counts (budget.py). Does nothing where it is not
    glibc.
    """
    library = _glibc()
    if library is not None:
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MAPPED)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)


def give_back_freed_memory(device: torch.device) -> None:
    """Give back to the system what was freed and is kept for the next allocations (milliseconds)."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
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


def is_exhausted(error: RuntimeError) -> bool:
    """Whether an error of torch's says that there is not enough memory."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


@cache
def _glibc() -> Any:
    """Return the C library, None where it is another."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - raises where the library is another
    except (AttributeError, OSError, TypeError):
        return None
    return library
