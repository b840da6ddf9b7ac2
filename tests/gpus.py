"""A card with little memory left, a real one or the pretended."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def nearly_full(free: int) -> Iterator[None]:
    """Leave about ``free`` bytes of the card."""
    torch.cuda.empty_cache()
    if (pretend := _pretended()) is not None:
        before, pretend.memory = pretend.memory, pretend.held + free
        try:
            yield
        finally:
            pretend.memory = before
        return
    held = torch.empty(torch.cuda.mem_get_info()[0] - free, dtype=torch.uint8, device="cuda")
    try:
        yield
    finally:
        del held
        torch.cuda.empty_cache()


@contextmanager
def full() -> Iterator[None]:
    """Let torch have nothing more of the card."""
    if _pretended() is not None:
        with nearly_full(0):
            yield
        return
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-9)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _pretended() -> Any:
    return sys.modules.get("pretend")
