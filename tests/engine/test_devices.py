"""What a GPU asks of the engine, on a machine without one: torch's answers are made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import genolift
from genolift.engine.devices import chosen_device, place

GPU = torch.device("cuda", 1)


def on_a_gpu(monkeypatch: pytest.MonkeyPatch, **answers: Callable[..., Any]) -> None:
    """Let torch say that there are GPUs, and use number 1; ``answers`` are functions of torch.cuda."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, answer)


@pytest.mark.parametrize("asked", ["cuda", "auto", None, "cuda:1", torch.device("cuda")])
def test_a_chosen_gpu_has_its_number_which_torch_asks_for_to_limit_its_memory(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = []

    def limit(share: float, device: torch.device) -> None:
        if device.index is None:
            raise ValueError(f"Expected a torch.device with a specified index, but got: {device}")
        limited.append((share, device.index))

    class Properties:
        total_memory = 100

    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *size, device: zeros(*size))
    on_a_gpu(
        monkeypatch,
        set_per_process_memory_fraction=limit,
        get_device_properties=lambda device: Properties,
    )
    chosen = chosen_device(asked)
    assert chosen == GPU
    with place(chosen).at_most(25):
        pass
    assert limited == [(0.25, 1), (1.0, 1)]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("CUDA error: out of memory")]
)
def test_a_full_gpu_is_called_full(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*size: int, device: torch.device) -> None:
        raise error

    on_a_gpu(monkeypatch)
    monkeypatch.setattr(torch, "zeros", full)
    with pytest.raises(genolift.InputError, match="device: the memory of 'cuda' is full; end what else"):
        chosen_device("cuda")


def test_what_torch_keeps_for_its_next_tensors_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_gpu(
        monkeypatch,
        mem_get_info=lambda device: (1000, 8000),
        memory_reserved=lambda device: 5000,
        memory_allocated=lambda device: 700,
    )
    assert place(GPU).free() == 1000 + 5000 - 700
