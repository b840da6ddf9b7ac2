"""Mutagenesis that computes what a base reaches gives what whole rows give, for every kind of model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from modules import LENGTH, NAMES, module
from modules_of_strands import STRANDS
from torch import Tensor, nn
from zoo import network, onehot, seeded

from genolift.engine.run.run import Runner
from genolift.engine.run.scattered import Scattered
from genolift.engine.run.substituted import Substituted
from genolift.engine.run.windows import Part, Place, Unchanged
from genolift.explain import methods, substitution
from genolift.explain.result import Attribution

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated"),
    pytest.mark.filterwarnings("ignore:LSTM with projections"),
]


def mutagenesis(model: nn.Module, x: Tensor, *, windows: bool, **options: Any) -> Attribution:
    """In-silico mutagenesis by windows wherever there are any, or by whole rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(substitution, "_LEAST", 0 if windows else math.inf)
        patch.setattr(substitution, "_OF_AN_OPERATION", -math.inf)
        patch.setattr(substitution, "_AT_MOST", math.inf)
        run = {name: options.pop(name) for name in ("batch_size",) if name in options}
        extra = options.get("extra_inputs", ())
        explainer = methods.Mutagenesis(model, x, device="cpu", **options)
        result = explainer.explain(x, extra_inputs=extra, **run)
        forward = explainer._forward
        assert ("windows", forward.precision) in forward._found.made or not windows
    return result


def check(model: nn.Module, x: Tensor, near: float = 1e-5, **options: Any) -> None:
    plain, ours = (mutagenesis(model, x, windows=windows, **options) for windows in (False, True))
    assert ours.hypothetical is not None
    assert plain.hypothetical is not None
    assert torch.equal(ours.output, plain.output)
    largest = max(float(each.abs().max()) for each in (plain.output, plain.hypothetical))
    assert float((ours.hypothetical - plain.hypothetical).abs().max()) <= near * largest


FAST = [
    "view, permute, unflatten, movedim",
    "attention masked with -inf",
    "overlapping, dilated, adaptive and power pools",
    "cumsum, roll, diff",
    "reverse complement",
    "reflect, replicate and circular padding",
    "slices written into zeros",
    "positions joined",
    "unrolled recurrence",
    "encoder layer",
    "mean of both strands",
    "strands in one batch, sliced",
]
"""One of each kind that has given a window that was wrong, or might; all others are run as slow tests."""


@pytest.mark.parametrize(
    "name",
    [*FAST, *(pytest.param(each, marks=pytest.mark.slow) for each in (*NAMES, *STRANDS) if each not in FAST)],
)
def test_windows_give_what_whole_rows_give(name: str) -> None:
    model = module(name) if name in NAMES else seeded(STRANDS[name])
    check(model, onehot(1, LENGTH), 1e-9, precision="float64", batch_size=36)


def test_ways_are_found_once_for_a_captured_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = seeded(Dilated)
    first = mutagenesis(model, onehot(1, 60), windows=True)
    monkeypatch.delattr(substitution, "Substituted")
    assert torch.equal(mutagenesis(model, onehot(1, 60), windows=True).contributions, first.contributions)


class Dilated(nn.Module):
    """(n, 4, length) -> (n, 2): BPNet's body, made smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 16, 7, padding=3)
        self.layers = nn.ModuleList(nn.Conv1d(16, 16, 3, padding=2**i, dilation=2**i) for i in range(1, 4))
        self.out = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x).relu()
        for layer in self.layers:
            h = h + layer(h).relu()
        return self.out(h.mean(2))


class Cropped(nn.Module):
    """(n, 4, length) -> profile (n, length - 32) and counts (n, 1): ChromBPNet's, without padding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.layer = nn.Conv1d(4, 8, 9), nn.Conv1d(8, 8, 3, dilation=4)
        self.profile, self.counts = nn.Conv1d(8, 1, 17), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.stem(x).relu()
        h = h[:, :, 4:-4] + self.layer(h).relu()
        return self.profile(h)[:, 0], self.counts(h.mean(2))


def pooled(*, position_first: bool = False) -> nn.Module:
    """(n, 4, 150) -> (n, 2): Basset, made smaller, flattened as torch or as Keras does."""
    turned = [Transposed()] if position_first else []
    return nn.Sequential(
        *(nn.Conv1d(4, 16, 9), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(3)),
        *(nn.Conv1d(16, 16, 5), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(4, ceil_mode=True)),
        *(*turned, nn.Flatten(), nn.Dropout(), nn.Linear(16 * 11, 12), nn.ReLU(), nn.Linear(12, 2)),
    )


class Transposed(nn.Module):
    """(n, channels, positions) -> (n, positions, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class Along(nn.Module):
    """A model of two arguments: one along the sequence, and one number for each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.layer = nn.Conv1d(5, 16, 7, padding=3), nn.Conv1d(16, 16, 5, padding=2)
        self.out = nn.Linear(17, 2)

    def forward(self, x: Tensor, along: Tensor, number: Tensor) -> Tensor:
        h = self.layer(self.stem(torch.cat([x, along], 1)).relu()).relu() * along.exp()
        return self.out(torch.cat([h.mean(2), number], 1))


def widened() -> nn.Module:
    """(n, 4, 2) -> (n, 2)."""
    up = nn.Upsample(scale_factor=2, mode="linear")
    return nn.Sequential(up, nn.Conv1d(4, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


def with_n(x: Tensor) -> Tensor:
    """The sequences with an N at either end and within."""
    x = x.clone()
    if x.shape[2] > 40:
        x[:, :, [0, 40, -1]] = 0
    return x


class Sums(nn.Module):
    """(n, 4, length) -> (n, 1): sums of layers that are used once, twice, scaled, and for all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 8, 5, padding=2)
        self.layers = nn.ModuleList(nn.Conv1d(8, 8, 3, padding=2**i, dilation=2**i) for i in range(5))

    def forward(self, x: Tensor) -> Tensor:
        twice, scaled, other, channel, used = (layer(self.stem(x)).relu() for layer in self.layers)
        h = torch.add(twice + twice, scaled, alpha=0.3) + torch.add(other.tanh(), channel, alpha=-2)
        h = channel.mean(1, keepdim=True) + h.mul_(2).clamp_(max=1)
        return (h.sigmoid() + used * used[:, :, :1]).mean((1, 2))[:, None]


SHAPES: dict[str, tuple[Callable[[], nn.Module], int, dict[str, Any]]] = {
    "dilated": (Dilated, 200, {"target": 1}),
    "pooled": (pooled, 150, {}),
    "sums": (Sums, 120, {}),
    "as many positions as channels, of one of which all are made": (widened, 2, {"batch_size": 3}),
    "positions first": (lambda: pooled(position_first=True), 150, {}),
    "cropped, counts": (Cropped, 120, {"target": "counts"}),
    "cropped, profile": (Cropped, 120, {"target": "profile"}),
    "a batch size": (Dilated, 150, {"batch_size": 7}),
    "one at a time": (pooled, 150, {"batch_size": 1}),
    "two more arguments": (
        Along,
        80,
        {"extra_inputs": (torch.rand(2, 1, 80) - 0.5, torch.tensor([[1.0], [-2.0]]))},
    ),
    "activation used three times": (network, 50, {}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_windows_of_models_in_use_give_what_whole_rows_give(name: str) -> None:
    make, length, options = SHAPES[name]
    check(seeded(make), with_n(onehot(2, length)), **options)


def test_windows_in_half_precision_are_those_of_whole_rows_but_for_its_rounding() -> None:
    for make in (Dilated, pooled):
        check(seeded(make), onehot(1, 150), 0.02, precision="bfloat16")


def test_a_batch_of_windows_that_does_not_fit_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    output = Substituted.output

    def tight(self: Substituted, kept: Any, base: Tensor, position: Tensor) -> Tensor:
        rows.append(len(base))
        if len(base) > 10:
            raise torch.OutOfMemoryError("made up")
        return output(self, kept, base, position)

    monkeypatch.setattr(Substituted, "output", tight)
    check(seeded(pooled), onehot(2, 150), batch_size=64)
    assert max(rows) == 64
    assert rows[-1] <= 8


def test_only_what_a_base_reaches_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    value = Runner.value

    def counted(self: Runner, operation: Any, values: Any) -> Any:
        result = value(self, operation, values)
        if operation.title == "convolution" and len(result) == 24:
            computed.append(result.numel())
        return result

    monkeypatch.setattr(Runner, "value", counted)
    model, x = seeded(Dilated), onehot(1, 400)
    mutagenesis(model, x, windows=False, batch_size=24)
    of_whole_rows = sum(computed)
    computed.clear()
    mutagenesis(model, x, windows=True, batch_size=24)
    # A base reaches 7, 11, 19 and 35 positions of 400.
    reached = (7 + 11 + 19 + 35) / (4 * 400)
    assert sum(computed) < 1.15 * reached * of_whole_rows


def test_a_convolution_multiplies_only_what_differs_where_windows_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    multiplied: list[tuple[int, int]] = []
    add = Scattered._add

    def counted(self: Scattered, difference: Tensor, at: Any, window: Tensor) -> None:
        multiplied.append((difference.shape[1], window.shape[1]))
        add(self, difference, at, window)

    monkeypatch.setattr(Scattered, "_add", counted)
    mutagenesis(seeded(Dilated), onehot(1, 400), windows=True, batch_size=24)
    assert {(7, 11), (11, 19), (19, 35)} <= set(multiplied)
    assert all(wide > 1.1 * width for width, wide in multiplied)


@pytest.mark.parametrize("make", [Dilated, pooled])
def test_at_most_half_as_much_again_as_is_reached_is_computed(make: Callable[[], nn.Module]) -> None:
    x = onehot(1, 150)
    forward = substitution.ForwardOnly(seeded(make), x, device="cpu")
    windows = forward.by_windows((x,))
    every = torch.arange(150).repeat_interleave(3).split(48)
    work = [windows.work(part) for part in every]
    assert sum(each.computed for each in work) < 1.5 * sum(each.reached for each in work)
    assert sum(each.plain for each in work) > 2 * sum(each.computed for each in work)


@st.composite
def layers(draw: st.DrawFn) -> tuple[list[nn.Module], int]:
    """A few convolutions and pools, and how many positions they are given."""
    length, channels = draw(st.integers(24, 60)), 4
    left, made = length, []
    for _ in range(draw(st.integers(1, 4))):
        kernel, dilation, stride = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
        padding = draw(st.integers(0, kernel // 2))
        kind = draw(st.sampled_from(["convolution", "max", "mean", "crop"]))
        if kind == "crop":
            layer: nn.Module = nn.ConstantPad1d((-draw(st.integers(0, 2)), draw(st.integers(-2, 2))), 0.5)
        elif kind == "max":
            layer = nn.MaxPool1d(kernel, stride, padding, dilation, ceil_mode=draw(st.booleans()))
        elif kind == "mean":
            layer = nn.AvgPool1d(kernel, stride, padding, draw(st.booleans()), draw(st.booleans()))
        else:
            layer = nn.Conv1d(channels, 6, kernel, stride, padding * dilation, dilation)
        try:
            left = layer(torch.zeros(1, channels, left)).shape[2]
        except RuntimeError:
            continue  # no position would be left
        channels = 6 if kind == "convolution" else channels
        made += [layer, draw(st.sampled_from([nn.ReLU, nn.Tanh, nn.Identity]))()]
    ends = [
        lambda: [nn.Flatten(), nn.Linear(channels * left, 2)],
        lambda: [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, 2)],
        lambda: [nn.AdaptiveMaxPool1d(1), nn.Flatten()],
    ]
    return [*made, *draw(st.sampled_from(ends))()], length


@settings(max_examples=12, deadline=None)
@given(made=layers(), batch_size=st.sampled_from([1, 10, 36, None]))
def test_windows_of_any_layers_give_what_whole_rows_give(
    made: tuple[list[nn.Module], int], batch_size: int | None
) -> None:
    parts, length = made
    check(seeded(lambda: nn.Sequential(*parts)), onehot(1, length), batch_size=batch_size)


def test_the_compiled_loop_gives_what_indices_give() -> None:
    """Two strands in one batch, so that copies of a row lie apart, and windows beyond both ends."""
    generator = torch.Generator().manual_seed(0)
    place = Place(0, 2, outer=2)
    unchanged = Unchanged(torch.rand(2, 3, 20, generator=generator), place)
    starts = np.array([0, 5, 16])
    part = Part(unchanged, starts, torch.rand(6, 4, 3, generator=generator))
    first = np.array([-3, 1, 13])
    expected = part.at(first[:, None] + np.arange(10), -math.inf)
    torch.testing.assert_close(part.between(first, 10, -math.inf), expected, rtol=0, atol=0)
