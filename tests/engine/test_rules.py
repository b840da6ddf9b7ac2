"""The paper's worked examples by hand, the original package's scores, and which rule applies where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from paper import RULES, channels_first, flat_reference, paper_model
from torch import Tensor, nn
from zoo import network, onehot, seeded

import genolift
from genolift.engine.rules.composites import COMPOSITES, Composite
from genolift.engine.rules.rules import GRADIENT, RESCALE, Change, Rule


def of(function: nn.Module, x: list[float], x0: list[float], rule: str) -> list[float]:
    """Contributions of a few numbers to a function of them, in float64."""
    inputs, reference = (torch.tensor([[values]], dtype=torch.float64) for values in (x, x0))
    result = genolift.deeplift(function, inputs, reference, rule=rule, precision="float64")
    return result.contributions[0, 0].tolist()


class Saturated(nn.Module):
    """Figure 1: 1 - relu(1 - i1 - i2)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1 - torch.relu(1 - (x @ torch.ones(2, 1).to(x))[:, 0, :])


class Thresholded(nn.Module):
    """Figure 2: relu(x - 10), whose gradient jumps at 10."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x[:, 0] @ torch.ones(1, 1).to(x) - 10)


class Minimum(nn.Module):
    """Section 3.5.3 and figure 4: min(i1, i2) = i1 - relu(i1 - i2)."""

    def forward(self, x: Tensor) -> Tensor:
        first = torch.tensor([[1.0], [0.0]]).to(x)
        difference = torch.tensor([[1.0], [-1.0]]).to(x)
        return x[:, 0] @ first - torch.relu(x[:, 0] @ difference)


class After(nn.Module):
    """A function of a module's output."""

    def __init__(self, module: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.module(x))


def test_saturated_inputs_still_get_their_contributions() -> None:
    assert of(Saturated(), [1, 1], [0, 0], "rescale") == pytest.approx([0.5, 0.5])
    assert of(Saturated(), [1, 0], [0, 0], "rescale") == pytest.approx([1, 0])


def test_a_threshold_makes_no_jump() -> None:
    assert of(Thresholded(), [10.1], [0], "rescale") == pytest.approx([0.1])
    assert of(Thresholded(), [9.9], [0], "rescale") == pytest.approx([0])
    assert of(Thresholded(), [10.1], [0], "gradient") == pytest.approx([10.1])


def test_revealcancel_gives_both_inputs_of_a_minimum_half_where_rescale_gives_one_all() -> None:
    assert of(Minimum(), [6, 4], [0, 0], "revealcancel") == pytest.approx([2, 2])
    assert of(Minimum(), [4, 6], [0, 0], "revealcancel") == pytest.approx([2, 2])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("task", [0, 1, 2])
def test_contributions_are_those_of_the_original_package(shared: Path, rule: str, task: int) -> None:
    scores = np.load(shared / "paper" / "original_deeplift_scores.npz")
    model, x, references = (
        paper_model(shared / "paper"),
        channels_first(scores["x"]),
        channels_first(scores["refs"]),
    )
    flat = genolift.deeplift(model, x, flat_reference(200), rule=RULES[rule], target=task)
    expected = channels_first(scores[f"{rule}/flat/contribs/task{task}"])
    assert float((flat.contributions - expected).abs().max() / expected.abs().max()) < 2e-5
    np.testing.assert_allclose(flat.output.numpy(), scores["logits"][:, task], atol=1e-5)
    shuffled = genolift.deeplift(model, x, references, rule=RULES[rule], target=task, keep_multipliers=True)
    assert shuffled.multipliers is not None
    for k in range(3):
        theirs = channels_first(scores[f"{rule}/shuffle{k}/multipliers/task{task}"])
        difference = x - references[:, k]
        ours, expected = shuffled.multipliers[:, k] * difference, theirs * difference
        assert float((ours - expected).abs().max() / expected.abs().max()) < 2e-5


@pytest.mark.parametrize(
    ("ours", "theirs"), [("gradient", "gradient"), ("guided-backprop", "guided_backprop")]
)
def test_gradient_methods_are_those_of_the_original_package(shared: Path, ours: str, theirs: str) -> None:
    scores = np.load(shared / "paper" / "original_deeplift_scores.npz")
    model, x = paper_model(shared / "paper"), channels_first(scores["x"])
    for task in range(3):
        result = genolift.deeplift(model, x, flat_reference(200), rule=ours, target=task)
        expected = channels_first(scores[f"{theirs}/flat/contribs/task{task}"])
        assert float((result.contributions - expected).abs().max() / expected.abs().max()) < 2e-5


def test_the_papers_figure_5b_comes_out_with_its_figures(shared: Path) -> None:
    from paper_figure5 import table

    expected = {
        "RevealCancel, all layers": (0.0, 2.948, -0.217),
        "genomics-default": (0.0, 2.943, -0.314),
        "Rescale, all layers": (0.0733, 1.275, 0.161),
        "integrated gradients, 10 steps": (0.0850, 2.234, 0.043),
        "gradient x input": (0.1173, 1.794, 0.695),
        "guided backprop x input": (0.0, 2.749, 3.971),
    }
    rows = table(shared / "paper", shuffled=False)
    assert {row["method"] for row in rows} == expected.keys()
    for row in rows:
        share, both, one = expected[str(row["method"])]
        assert (row["sequences"], row["matches"]) == (236, 341)
        assert row["task 0 share <= 0"] == pytest.approx(share, abs=5e-5)
        assert row["task 0 mean"] == pytest.approx(both, abs=5e-4)
        assert row["task 1 mean"] == pytest.approx(one, abs=5e-4)


def test_gradient_is_that_of_autograd() -> None:
    x, model = onehot(3), network("gelu", "max")
    result = genolift.deeplift(model, x, torch.zeros(1, 4, 50), rule="gradient", target=1)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    torch.testing.assert_close(result.contributions, expected * x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["gauss-legendre", "trapezoid", "midpoint"])
def test_integrated_gradients_add_up_as_steps_grow(method: str) -> None:
    x, references, model = onehot(3), onehot(2, seed=1), network("tanh", "average")
    coarse, fine = (
        genolift.integrated_gradients(model, x, references, steps=steps, method=method, precision="float64")
        for steps in (3, 200)
    )
    difference = (fine.output[:, None] - fine.reference_output).abs().max()
    assert float(fine.convergence_error.max() / difference) < 1e-3
    assert fine.convergence_error.max() < coarse.convergence_error.max()
    torch.testing.assert_close(
        (fine.contributions.sum((1, 2))), fine.output - fine.reference_output.mean(1), rtol=1e-3, atol=1e-3
    )


def test_genomics_default_decides_by_the_layer_that_feeds_an_activation() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6)
            self.dense, self.dense_norm, self.out = nn.Linear(48, 5), nn.BatchNorm1d(5), nn.Linear(5, 1)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(nn.functional.dropout(self.norm(self.conv(x)), 0.1, self.training))
            h = self.dense_norm(self.dense(h.flatten(1))).reshape(-1, 1, 5)
            return self.out(torch.tanh(h).flatten(1))

    plan = genolift.plan(seeded(Mixed), onehot(1, length=10))
    rules = {
        row["operation"]: (row["rule"], row["why"]) for row in plan.table() if row["kind"] == "elementwise"
    }
    assert rules == {
        "relu": ("Rescale", "fed by a convolution"),
        "tanh": ("RevealCancel", "fed by a dense layer"),
    }
    assert "test_rules.py" in str(plan)
    assert "RevealCancel" in str(plan)


def test_a_final_sigmoid_is_stepped_over_and_the_logit_explained() -> None:
    class Probability(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(self.network(x))

    x, references = onehot(3), onehot(2, seed=1)
    inside = genolift.deeplift(network(), x, references)
    outside = genolift.deeplift(Probability().eval(), x, references)
    torch.testing.assert_close(outside.contributions, inside.contributions)
    torch.testing.assert_close(outside.output, inside.output)


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.LogSoftmax(1)])
def test_a_final_softmax_is_stepped_over_with_its_logits_centred(last: nn.Module) -> None:
    model, x, references = network(), onehot(3), onehot(2, seed=1)
    result = genolift.deeplift(nn.Sequential(model, last), x, references, target=1)
    expected = genolift.deeplift(model, x, references, target=lambda y: y[:, 1] - y.mean(1))
    torch.testing.assert_close(result.contributions, expected.contributions)


MOVED_BACK: dict[str, Callable[[Tensor], Tensor]] = {
    "a slice": lambda y: y[:, :1],
    "one task": lambda y: y[:, 0],
    "squeeze": lambda y: y[:, None].squeeze(1),
    "view": lambda y: y[:, :1].reshape(-1),
    "permute": lambda y: y[:, None].transpose(1, 2)[:, :, 0],
    "index": lambda y: y.flip(1)[:, [1, 0]],
    "another element type and back": lambda y: y.double().float(),
}


@pytest.mark.parametrize("moved", MOVED_BACK.values(), ids=MOVED_BACK)
def test_a_final_activation_is_stepped_over_behind_whatever_moves_its_values(
    moved: Callable[[Tensor], Tensor],
) -> None:
    model, x, references = network(), onehot(3), onehot(2, seed=1)
    result = genolift.deeplift(After(model, lambda y: moved(y.softmax(1))), x, references)
    expected = genolift.deeplift(model, x, references, target=lambda y: y[:, 0] - y.mean(1))
    torch.testing.assert_close(result.contributions, expected.contributions)
    torch.testing.assert_close(result.output, expected.output)


def test_each_of_several_heads_side_by_side_has_its_final_activation_stepped_over() -> None:
    def heads(y: Tensor) -> Tensor:
        return torch.cat([torch.sigmoid(y[:, :1]), y.softmax(1), y[:, 1:]], 1)

    model, x, references = network(), onehot(3), onehot(2, seed=1)
    results = genolift.deeplift(After(model, heads), x, references, target=[0, 2, 3])
    wanted = [lambda y: y[:, 0], lambda y: y[:, 1] - y.mean(1), lambda y: y[:, 1]]
    for result, target in zip(results, wanted, strict=True):
        torch.testing.assert_close(
            result.contributions, genolift.deeplift(model, x, references, target=target).contributions
        )


def test_an_activation_that_more_than_moves_follow_is_no_final_one() -> None:
    model, x, references = network(), onehot(3), onehot(2, seed=1)
    for last in (
        lambda y: torch.cat([(s := torch.sigmoid(y)), 2 * s], 1),
        lambda y: (torch.sigmoid(y) + torch.sigmoid(y.flip(1))) / 2,
        lambda y: torch.cat([(s := torch.sigmoid(y)), s.view(-1, 2) * y], 1),
    ):
        result = genolift.deeplift(After(model, last), x, references, precision="float64")
        torch.testing.assert_close(result.output.float(), last(model(x))[:, 0].detach())
        assert float(result.relative_convergence_error.max()) < 1e-9


def test_a_callable_target_is_explained() -> None:
    model, x, references = network(), onehot(3), onehot(2, seed=1)
    both = genolift.deeplift(model, x, references, target=lambda y: y.sum(1))
    parts = [genolift.deeplift(model, x, references, target=task).contributions for task in (0, 1)]
    torch.testing.assert_close(both.contributions, parts[0] + parts[1], rtol=1e-4, atol=1e-5)


class Recurrent(nn.Module):
    """An LSTM's last output."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x.transpose(1, 2))[0][:, -1]


class HalfRescale(Rule):
    """A rule that compares with the reference, and whose contributions do not sum to the difference."""

    name = "half-rescale"
    sums_up = False

    def multiply(self, change: Change, a: Tensor) -> Tensor:
        return (RESCALE.multiply(change, a) + GRADIENT.multiply(change, a)) / 2


def test_a_rule_that_is_added_holds_at_activations_and_within_layers_and_promises_what_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(COMPOSITES, "half-rescale", Composite(HalfRescale()))  # type: ignore[call-overload]
    assert of(Thresholded(), [12], [0], "half-rescale") == pytest.approx([(2 + 12) / 2])
    recurrent, inputs, references = seeded(Recurrent), onehot(1, 8), onehot(2, 8, seed=1)
    results = {
        rule: genolift.deeplift(recurrent, inputs, references, rule=rule).contributions
        for rule in ("rescale", "half-rescale")
    }
    assert not torch.allclose(results["rescale"], results["half-rescale"], rtol=1e-2)
    sums_up = {rule: genolift.plan(recurrent, inputs, rule=rule).sums_up for rule in COMPOSITES}
    assert {rule for rule in sums_up if sums_up[rule]} == {"genomics-default", "rescale", "revealcancel"}
