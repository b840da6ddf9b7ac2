"""What differs on a GPU: memory, copies, precision and fast forms. test_gpu.py has what does not."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import pytest
import torch
from gpus import full
from torch import Tensor, nn

import genolift
from genolift.engine.backends.choice import Forms, forms_for
from genolift.engine.devices import chosen_device, place
from genolift.engine.run.run import Runner
from genolift.explain.explainer import Explainer

pytestmark = pytest.mark.gpu


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
    explainer = Explainer(network(), X, device=device, memory=2**31)
    assert_near(explainer.explain(X, REFERENCES, memory=2**31).contributions)
    assert explainer.device.index is not None


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


def test_tensors_of_a_gpu_are_explained_on_the_cpu_when_they_have_arrived() -> None:
    for _ in range(20):
        x, references = (each.to("cuda") @ torch.eye(200, device="cuda") for each in (X, REFERENCES))
        found = genolift.deeplift(network(), x, references, device="cpu", precision="float64")
        torch.testing.assert_close(found.contributions, on_the_cpu())


@pytest.mark.parametrize("size", [None, 1, 7])
def test_copies_beside_the_computing_are_right_in_every_batch(size: int | None) -> None:
    for _ in range(5):
        found = genolift.deeplift(
            network(), X, REFERENCES.byte(), device="cuda", batch_size=size, keep_multipliers=True
        )
        assert_near(found.contributions)
        assert torch.equal(found.multipliers, found.multipliers.nan_to_num())


FORMS: dict[str, dict[str, Any]] = {
    "as chosen": {},
    "no half": {"stays_half": False},
    "channels last": {"channels_last": True},
    "compiled": {"compiled": True},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ["rescale", "revealcancel"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_fast_form_gives_what_the_formula_behind_it_gives(form: str, rule: str, precision: str) -> None:
    explainer = Explainer(network(), X, rule=rule, device="cuda", precision=precision)
    half, plan = precision == "bfloat16", explainer.plan

    def explained(forms: Forms) -> Tensor:
        explainer.runner = Runner(plan, explainer.device, explainer.dtype, half_precision=half, forms=forms)
        return explainer.explain(X, REFERENCES).contributions

    plain = explained(Forms())
    fast = explained(replace(forms_for(explainer.device), **FORMS[form]))
    assert float((fast - plain).abs().max()) <= (0.05 if half else 1e-4) * float(plain.abs().max())


def test_nothing_of_a_call_stays_on_a_gpu_until_pythons_collector_runs() -> None:
    explainer = Explainer(network(), X, device="cuda")
    explainer.explain(X, REFERENCES)
    gc.collect()
    gc.disable()
    try:
        before = torch.cuda.memory_allocated(explainer.device)
        explainer.explain(X, REFERENCES)
        torch.cuda.synchronize()
        assert torch.cuda.memory_allocated(explainer.device) <= before
    finally:
        gc.enable()


def test_a_full_gpu_is_called_full() -> None:
    with full(), pytest.raises(genolift.InputError, match="is full"):
        chosen_device("cuda")
