"""Users' own rules, and what the plan's check reports about them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from places import ROOT
from torch import Tensor, nn
from zoo import network, onehot, seeded

import genolift
from genolift.engine import catalogue
from genolift.engine.graph.decomposition import REGISTERED
from genolift.explain.plan_check import check_plan

DOCS = ROOT / "docs" / "operations.md"


class WithRunningProduct(nn.Module):
    """genolift has no rule for cumprod."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 3, 5, stride=5), nn.Linear(30, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.conv(x)).cumprod(-1).flatten(1))


class WithSquare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 3, 5, stride=5), nn.Linear(30, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.conv(x).square().flatten(1))


@pytest.fixture(autouse=True)
def forget_rules() -> Iterator[None]:
    """Undo what a test registers."""
    yield
    REGISTERED.clear()


def error_of(model: nn.Module, **options: Any) -> float:
    result = genolift.deeplift(
        model, onehot(3), onehot(6, seed=1).view(3, 2, 4, -1), precision="float64", **options
    )
    difference = (result.output[:, None] - result.reference_output).abs().max()
    return float(result.convergence_error.max() / difference)


def test_the_documented_example_registers_an_exact_rule() -> None:
    model = seeded(WithRunningProduct)
    with pytest.raises(genolift.UnsupportedOperation) as refused:
        error_of(model)
    assert "cumprod" in str(refused.value)
    assert "genolift.register_rule('aten.cumprod.default', ...)" in str(refused.value)
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    exec(example, {})
    assert error_of(model) < 1e-9
    assert "registered" in str(genolift.plan(model, onehot(1)))
    genolift.register_rule("aten.cumprod.default", None)
    with pytest.raises(genolift.UnsupportedOperation):
        error_of(model)


def test_a_kind_can_be_registered_by_name() -> None:
    genolift.register_rule(torch.ops.aten.cumprod.default, "linear")
    assert error_of(seeded(WithRunningProduct)) > 0.01  # it is not linear, and the sum shows it
    model = seeded(WithSquare)
    before = genolift.plan(model, onehot(1)).table()
    genolift.register_rule("aten.pow.Tensor_Scalar", "elementwise")
    assert error_of(model, rule="revealcancel") < 1e-9
    after = genolift.plan(model, onehot(1), rule="revealcancel").table()
    assert [row["rule"] for row in before if row["operation"] == "pow"] == ["Rescale"]
    assert [row["rule"] for row in after if row["operation"] == "pow"] == ["RevealCancel"]


def test_an_operation_of_a_users_own_can_be_given_its_rule() -> None:
    @torch.library.custom_op("genolift_test::double", mutates_args=())
    def double(x: Tensor) -> Tensor:
        return 2 * x

    double.register_fake(torch.empty_like)
    double.register_autograd(lambda context, gradient: 2 * gradient)

    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def forward(self, x: Tensor) -> Tensor:
            return double(self.network(x)[:, :1])

    with pytest.raises(genolift.UnsupportedOperation, match=r"genolift_test\.double\.default"):
        error_of(seeded(Doubled))
    genolift.register_rule("genolift_test::double", "linear")
    assert error_of(seeded(Doubled)) < 1e-12


def test_what_is_no_operation_or_no_rule_is_refused() -> None:
    with pytest.raises(
        genolift.InputError, match=r"not an operation of torch; give it as an error or a plan"
    ):
        genolift.register_rule("aten.nothing", "linear")
    with pytest.raises(
        genolift.InputError, match="there is no rule 'bent'; choose linear, elementwise, product"
    ):
        genolift.register_rule("aten.cumprod.default", "bent")


@pytest.mark.parametrize(
    ("given", "said"), [(lambda m: m.sum(), r"a Tensor of shape \(\)"), (lambda m: None, "a NoneType")]
)
def test_a_rule_that_gives_no_multiplier_is_named(given: Callable[[Tensor], Any], said: str) -> None:
    genolift.register_rule("aten.cumprod.default", lambda compute, x, x0, m: given(m))
    with pytest.raises(
        genolift.InputError, match=rf"rule registered for aten.cumprod.default returns {said}"
    ):
        error_of(seeded(WithRunningProduct))


def test_a_check_finds_every_operation_exact() -> None:
    checked = check_plan(network(), onehot(3), onehot(3, seed=1))
    assert checked.exact
    assert len(checked.losses) == len(checked.plan.steps)
    assert "every operation is exact" in str(checked)


@pytest.mark.parametrize("rule", ["rescale", "revealcancel"])
def test_a_check_names_the_operation_that_an_inexact_rule_loses_at(rule: str) -> None:
    def gradient(compute: Callable[[Tensor], Tensor], x: Tensor, x0: Tensor, multiplier: Tensor) -> Tensor:
        return multiplier * (x > 0)

    genolift.register_rule("aten.relu.default", gradient)
    checked = check_plan(network("relu", "average"), onehot(3), onehot(3, seed=1), rule=rule)
    assert not checked.exact
    assert checked.worst.step.operation.title == "relu"
    assert re.search(r"relu at .*zoo.py:\d+ `.*` loses the most: [\d.e+-]+ of the largest", str(checked))
    assert {loss.step.operation.title for loss in checked.losses if loss.share > 1e-9} == {"relu"}


def test_a_check_wants_one_reference_for_each_input() -> None:
    with pytest.raises(genolift.InputError, match="give one reference for each input"):
        check_plan(network(), onehot(3), onehot(2))


def test_the_table_of_operations_in_the_docs_is_that_of_the_registry() -> None:
    # in any order: which operations are core, and so in the first table, depends on the version of torch
    written, made = (sorted(text.splitlines()) for text in (DOCS.read_text(), catalogue.as_markdown()))
    assert written == made, "run python -m genolift.engine.catalogue"


def test_the_table_says_why_whatever_is_refused_is_refused() -> None:
    rows = catalogue.rows()
    assert sum(row.core for row in rows) > 150
    for row in rows:
        assert row.note or row.taken != "refused", row.operation
