"""The compiled loops agree with the rules as written in rules.py, in every layout that values come in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genolift.engine.backends import loops
from genolift.engine.rules.rules import RESCALE, REVEALCANCEL, Change, Function

N, R = 3, 4
RELU = Function(torch.relu, lambda z: (z > 0).to(z.dtype), None)
SIGMOID = Function(torch.sigmoid, lambda z: torch.sigmoid(z) * (1 - torch.sigmoid(z)), "absolute")


def contiguous(tensor: Tensor) -> Tensor:
    return tensor.contiguous()


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


def overlapping(tensor: Tensor) -> Tensor:
    return tensor[..., :1].expand(tensor.shape)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": contiguous,
    "channels last": channels_last,
    "expanded": overlapping,
}


class Values:
    """Values of sequences and references with ties, zeros and parts of dx, for k adjacent rows of each."""

    def __init__(self, layout: str, dtype: torch.dtype, k: int = 1, shared: bool = False) -> None:
        generator = torch.Generator().manual_seed(0)

        def random(rows: int) -> Tensor:
            return LAYOUTS[layout](torch.randn(rows * k, 6, 5, generator=generator, dtype=dtype))

        self.k, self.r = k, 1 if shared else R
        self.x, self.x0 = random(N).clone(), random(1 if shared else N * R).clone()
        self.x0[0, 0] = self.x[0, 0]  # no difference
        self.x0[0, 1] = self.x[0, 1] = 0.0
        self.a, self.b = random(N * self.r), random(N * self.r)
        self.spread = self.rows(self.faced_x() - self.faced_x0()).abs() + random(N * self.r).abs()
        self.spread[:, 2] = self.rows(self.faced_x() - self.faced_x0()).abs()[:, 2]  # one part only
        self.facing = loops.Sides(self.x, self.x0, N, self.r)

    def faced(self, tensor: Tensor) -> Tensor:
        return tensor.unflatten(0, (-1, self.r, self.k))

    def faced_x(self) -> Tensor:
        return self.x.unflatten(0, (N, 1, self.k))

    def faced_x0(self) -> Tensor:
        return self.faced(self.x0)

    def rows(self, tensor: Tensor) -> Tensor:
        return tensor.expand(N, self.r, *tensor.shape[2:]).flatten(0, 2)

    def change(self, function: Function) -> Change:
        return function.changed(self.faced_x(), self.faced_x0())


def near(dtype: torch.dtype) -> dict[str, float]:
    return {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}


every_layout = pytest.mark.parametrize("layout", LAYOUTS)
every_number = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
every_side = pytest.mark.parametrize(("k", "shared"), [(1, False), (1, True), (3, False), (3, True)])


@every_layout
@every_number
@every_side
def test_rescale_of_relu_is_that_of_the_rule(layout: str, dtype: torch.dtype, k: int, shared: bool) -> None:
    values = Values(layout, dtype, k, shared)
    expected = values.rows(RESCALE.multiply(values.change(RELU), values.faced(values.a)))
    torch.testing.assert_close(values.facing.rescale_relu(values.a), expected, **near(dtype))


@every_layout
@every_number
@every_side
@pytest.mark.parametrize("split", [False, True])
def test_reveal_cancel_of_relu_is_that_of_the_rule(
    layout: str, dtype: torch.dtype, k: int, shared: bool, split: bool
) -> None:
    values = Values(layout, dtype, k, shared)
    spread, a, b = (values.faced(each) for each in (values.spread, values.a, values.b))
    m_plus, m_minus, *_ = REVEALCANCEL.parts(values.change(RELU), spread)
    plus, minus = m_plus * (a + b if split else a), m_minus * (a - b if split else a)
    mean, half = values.facing.reveal_cancel_relu(values.spread, values.a, values.b if split else None)
    torch.testing.assert_close(mean, values.rows((plus + minus) / 2), **near(dtype))
    torch.testing.assert_close(half, values.rows((plus - minus) / 2), **near(dtype))


@every_layout
@every_number
@every_side
def test_rescale_of_a_curved_function_is_that_of_the_rule(
    layout: str, dtype: torch.dtype, k: int, shared: bool
) -> None:
    values = Values(layout, dtype, k, shared)
    expected = values.rows(RESCALE.multiply(values.change(SIGMOID), values.faced(values.a)))
    result, tiny = values.facing.rescale(SIGMOID, values.x.sigmoid(), values.x0.sigmoid(), values.a)
    assert tiny
    missing = result.isnan()
    # Where nothing differs, and only there, the slope is left for later.
    assert missing[0, :2].all()
    torch.testing.assert_close(result[~missing], expected[~missing], **near(dtype))


SMALL_THEN_LARGE = """
import sys
import torch
import genolift
from genolift.engine.backends import loops

torch.manual_seed(0)
convolution = torch.nn.Conv1d(4, 8, 5)
model = torch.nn.Sequential(convolution, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 16, 1))
x = torch.eye(4)[torch.randint(4, (3, 20))].movedim(1, -1)

def explained():
    return genolift.deeplift(model, x, genolift.references.zeros(), rule=sys.argv[1], target=0).hypothetical

few = explained()
assert "numba" not in sys.modules
loops.FEW = 0
many = explained()
assert "numba" in sys.modules
torch.testing.assert_close(few, many, rtol=0, atol=1e-6 * float(many.abs().max()))
"""


@pytest.mark.parametrize("rule", ["rescale", "revealcancel"])
def test_few_values_load_no_numba_and_have_the_same_result(rule: str) -> None:
    run = subprocess.run([sys.executable, "-c", SMALL_THEN_LARGE, rule], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_loops_are_used_once_enough_values_were_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "FEW", 100)
    monkeypatch.setattr(loops, "_gone_through", [0])
    assert [loops.worth_loading(40) for _ in range(4)] == [False, False, True, True]
