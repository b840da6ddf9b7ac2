"""A call's result, and what a message quotes, are short when printed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import genolift

X = nn.functional.one_hot(torch.arange(60).reshape(3, 20) % 4, 4).transpose(1, 2).float()


class OneLongLine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        # fmt: off
        h = x.mean(2); g = [h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h]; z = h.cumprod(1) + sum(g); y = z; return y * y * 1.0 * 1.0 * 1.0 * 1.0 * 1.0  # noqa: E501, E702
        # fmt: on


def test_what_is_returned_says_its_shapes_and_largest_error_in_a_line() -> None:
    model = nn.Sequential(nn.Conv1d(4, 2, 6), nn.ReLU(), nn.Flatten(), nn.Linear(30, 2))
    result = genolift.deeplift(model, X, torch.zeros(2, 4, 20), target=1)
    error = float(result.convergence_error.max())
    assert repr(result) == (
        "Attribution(target='1', contributions=(3, 4, 20), hypothetical=(3, 4, 20), multipliers=None, "
        f"references=2, largest_convergence_error={error:.1e})"
    )
    assert str(result) == repr(result)
    assert "target='a function'" in repr(genolift.in_silico_mutagenesis(model, X, target=lambda y: y[:, 0]))
    plan, checked = genolift.plan(model, X), genolift.check_plan(model, X, X.flip(0))
    assert repr(plan) == "Plan(rule='genomics-default', operations=4; print it for the table)"
    assert max(len(repr(each)) for each in (plan.graph, checked, checked.losses[0])) < 600


def test_a_message_quotes_a_long_line_about_the_operation() -> None:
    with pytest.raises(genolift.UnsupportedOperation) as raised:
        genolift.plan(OneLongLine(), X)
    quoted = str(raised.value).split("`")[1]
    assert len(quoted) <= 106
    assert "h.cumprod(1)" in quoted
    assert quoted.startswith("...")
    assert quoted.endswith("...")
