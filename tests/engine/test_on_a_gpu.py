"""What only a GPU can show; test_devices.py has what can be shown without one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import genolift
from genolift.engine.devices import chosen_device, place

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv1d(4, 32, 9, padding=4), nn.ReLU(), nn.Conv1d(32, 32, 5, padding=2), nn.ReLU()
    return nn.Sequential(*layers, nn.MaxPool1d(4), nn.Flatten(), nn.Linear(32 * 50, 2)).eval()


def onehot(*rows: int, seed: int = 0) -> Tensor:
    codes = torch.randint(4, (*rows, 200), generator=torch.Generator().manual_seed(seed))
    return nn.functional.one_hot(codes, 4).transpose(-1, -2).float().contiguous()


X, REFERENCES = onehot(6), onehot(6, 5, seed=1)


def on_the_cpu() -> Tensor:
    return genolift.deeplift(network(), X, REFERENCES, device="cpu", precision="float64").contributions


def assert_near(found: Tensor, share: float = 1e-4) -> None:
    expected = on_the_cpu()
    assert float((found.double() - expected).abs().max()) <= share * float(expected.abs().max())


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_a_gpu_without_its_number_keeps_to_a_limit_of_memory(device: str) -> None:
    found = genolift.deeplift(network(), X, REFERENCES, device=device, memory="2GB")
    assert_near(found.contributions)
    assert chosen_device(device).index is not None


def test_memory_that_torch_keeps_counts_as_free() -> None:
    there = place(chosen_device("cuda"))
    before = there.free()
    taken = torch.empty(2**28, dtype=torch.uint8, device=there.device)
    while_taken = there.free()
    del taken
    assert while_taken < before - 2**27
    assert there.free() > before - 2**26


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_products_are_in_the_precision_asked_for_whatever_the_user_set(precision: str) -> None:
    set_to = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        found = genolift.deeplift(network(), X, REFERENCES, device="cuda", precision=precision)
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.backends.cuda.matmul.fp32_precision = set_to
    assert_near(found.contributions, 1e-4 if precision == "float32" else 2e-2)
