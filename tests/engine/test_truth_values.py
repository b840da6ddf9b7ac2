"""A boolean that depends on the input: the change of the values that it selects is fully credited."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import genolift

X = torch.tensor([[2.0, 1.0]])
REFERENCE = torch.tensor([[-1.0, 1.0]])
"""The first element's boolean changes, the second's does not."""


class Of(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.dense = function, nn.Linear(2, 2, dtype=torch.float32)
        self.dense.weight.data, self.dense.bias.data = torch.eye(2), torch.zeros(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.dense(x)).sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        pytest.param(lambda x: torch.where(x > 0, 1.0, 0.0), [1.0, 0.0], id="where"),
        pytest.param(lambda x: torch.zeros_like(x).masked_fill(x > 0, 3.0), [3.0, 0.0], id="masked fill"),
        pytest.param(lambda x: torch.where((x > 0) & (x < 5), 1.0, 0.0), [1.0, 0.0], id="both"),
        pytest.param(lambda x: torch.relu(torch.where(x > 0, 2.0, -1.0)), [2.0, 0.0], id="then relu"),
        pytest.param(lambda x: torch.where((x > 0) + (x > 1.5), 1.0, 0.0), [1.0, 0.0], id="sum of two"),
        pytest.param(lambda x: ((x > 0) * (x > -3)).float(), [1.0, 0.0], id="product of two"),
        pytest.param(
            lambda x: torch.where(torch.where(x > 0, True, False), 1.0, 0.0), [1.0, 0.0], id="nested"
        ),
    ],
)
def test_a_choice_gets_the_whole_change(function: Callable[[Tensor], Tensor], expected: list[float]) -> None:
    model = Of(function)
    for rule in ("rescale", "revealcancel", "genomics-default"):
        found = genolift.deeplift(model, X, REFERENCE, rule=rule)
        torch.testing.assert_close(found.contributions[0], torch.tensor(expected))
    assert not genolift.deeplift(model, X, REFERENCE, rule="gradient").contributions.any()


def test_an_entropy_is_one_function_and_finite_at_zero() -> None:
    x, reference = torch.tensor([[0.5, 0.3]]), torch.tensor([[0.0, 0.3]])
    found = genolift.deeplift(Of(torch.special.entr), x, reference)
    torch.testing.assert_close(found.contributions, torch.tensor([[0.34657359, 0.0]]))
