"""Targets by the grammar: each against the same as a function of the output, and exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from passes import passes_counted
from refusals import refused_by
from torch import Tensor, nn
from zoo import onehot, seeded

import genolift
from genolift.explain.explainer import Explainer

X, OWN = onehot(3), onehot(6, seed=2).view(3, 2, 4, -1)
FINAL: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda z: z,
    "softplus": nn.functional.softplus,
    "sigmoid": torch.sigmoid,
    "softmax": lambda z: z.softmax(1),
}


class Bins(nn.Module):
    """Three tracks in each of several bins, and two heads of them where asked for."""

    def __init__(self, final: str = "none", heads: bool = False) -> None:
        super().__init__()
        self.stem, self.head, self.other = nn.Conv1d(4, 6, 5), nn.Conv1d(6, 3, 3), nn.Linear(6, 2)
        self.final, self.heads = FINAL[final], heads

    def forward(self, x: Tensor) -> Any:
        h = torch.relu(self.stem(x))
        bins = self.final(self.head(h).unfold(2, 4, 4).mean(3))
        return {"bins": bins, "deep": {"128": self.final(self.other(h.mean(2)))}} if self.heads else bins


def explained(target: Any, model: nn.Module | None = None, **options: Any) -> Any:
    return genolift.deeplift(model or seeded(Bins), X, OWN, target=target, precision="float64", **options)


def same(one: Any, other: Any) -> None:
    for name in ("contributions", "hypothetical", "output", "reference_output"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-11)
    assert float(one.relative_convergence_error.max()) < 1e-9


BY_TEXT: dict[str, Callable[[Tensor], Tensor]] = {
    "[1, 7]": lambda y: y[:, 1, 7],
    "[1, sum(:)]": lambda y: y[:, 1].sum(1),
    "[sum(0:2), mean(2:9)]": lambda y: y[:, :2, 2:9].mean(2).sum(1),
    "[mean(:), mean(:)]": lambda y: y.mean((1, 2)),
    "[2, logsumexp(3:)]": lambda y: y[:, 2, 3:].logsumexp(1),
    "[logsumexp(:), sum(:)]": lambda y: y.sum(2).logsumexp(1),
    "[sum(:), logsumexp(:)]": lambda y: y.logsumexp(2).sum(1),
    "[1, 7] - [0, 7]": lambda y: y[:, 1, 7] - y[:, 0, 7],
    "[1, mean(:)] - [1, 3]": lambda y: y[:, 1].mean(1) - y[:, 1, 3],
    "[1, logsumexp(:)] - [0, logsumexp(:)]": lambda y: y[:, 1].logsumexp(1) - y[:, 0].logsumexp(1),
}


@pytest.mark.parametrize("text", BY_TEXT)
def test_a_text_is_the_function_that_it_says(text: str) -> None:
    same(explained(text), explained(BY_TEXT[text]))


@pytest.mark.parametrize("text", ["[1, 7]", "[1, mean(2:9)]", "[1, logsumexp(:)]", "[1, 7] - [0, 7]"])
@pytest.mark.parametrize("final", ["sigmoid", "softmax", "softplus"])
def test_a_final_sigmoid_or_softmax_is_stepped_over_before_reducing(final: str, text: str) -> None:
    model, logits = seeded(lambda: Bins(final)), seeded(Bins)
    kept = explained(text, model, keep_final_activation=True)
    same(
        kept,
        explained(
            BY_TEXT.get(text, lambda y: y[:, 1, 2:9].mean(1) if "mean" in text else y[:, 1].logsumexp(1)),
            model,
        ),
    )
    if final == "softplus":  # the last activation of a model of counts is a part of what it says
        same(explained(text, model), kept)
    else:
        plain = explained(text, logits) if final == "sigmoid" else explained(_centred(text), logits)
        same(explained(text, model), plain)


def _centred(text: str) -> Callable[[Tensor], Tensor]:
    """Return what a text says of logits less their mean over classes."""
    of = {
        "[1, 7]": lambda z: z[:, 1, 7],
        "[1, mean(2:9)]": lambda z: z[:, 1, 2:9].mean(1),
        "[1, logsumexp(:)]": lambda z: z[:, 1].logsumexp(1),
        "[1, 7] - [0, 7]": lambda z: z[:, 1, 7] - z[:, 0, 7],
    }
    return lambda y: of[text](y - y.mean(1, keepdim=True))


def test_a_difference_may_be_of_two_heads_each_before_its_own_activation() -> None:
    model, logits = seeded(lambda: Bins("sigmoid", heads=True)), seeded(lambda: Bins(heads=True))
    result = explained("bins[0, sum(:)] - deep.128[1]", model)
    same(
        result,
        explained(lambda y: y["bins"][:, 0].sum(1) - y["deep"]["128"][:, 1], logits),
    )
    kept = explained("bins[0, sum(:)] - deep.128[1]", model, keep_final_activation=True)
    same(kept, explained(lambda y: y["bins"][:, 0].sum(1) - y["deep"]["128"][:, 1], model))


class Means(Bins):
    """The mean over bins."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x).mean(2)


class Shared(Bins):
    """Returns an activation that a second output is computed from."""

    def forward(self, x: Tensor) -> Any:
        first = torch.sigmoid(super().forward(x).mean(2))
        return first, torch.tanh(first * 3).sum(1)


def test_what_else_needs_an_activation_that_is_stepped_over_has_it() -> None:
    model = seeded(Shared)
    targets = ["0[1]", "1", lambda y: y[0][:, 1], lambda y: y[0].sum(1) * y[1], "0[0] - 1"]
    together = explained(targets, model)
    for one, target in zip(together, targets, strict=True):
        same(one, explained(target, model))
    same(together[0], explained(lambda y: y[:, 1], seeded(Means)))  # the logit
    same(together[1], explained(lambda y: y[1], model))
    same(together[2], explained(lambda y: y[0][:, 1], model))


@pytest.mark.parametrize("final", ["sigmoid", "softmax"])
@pytest.mark.parametrize("head", ["profile", "profile-free-weights"])
def test_a_head_is_the_same_alone_and_beside_a_place_in_its_output(head: str, final: str) -> None:
    class Ended(Pair):
        def forward(self, x: Tensor) -> Any:
            profile, counts = super().forward(x)
            return FINAL[final](profile), counts

    together = explained([head, "0[3]"], seeded(Ended))
    same(together[0], explained(head, seeded(Ended)))
    same(together[1], explained("0[3]", seeded(Ended)))


class Pair(Bins):
    """A profile of one strand, and its log counts."""

    def forward(self, x: Tensor) -> Any:
        h = torch.relu(self.stem(x))
        return self.head(h)[:, 0], self.other(h.mean(2))[:, :1]


def test_targets_of_all_kinds_share_a_pass_and_are_what_each_is_alone() -> None:
    model = seeded(Pair)
    targets = ["counts", "profile", "0[3]", lambda y: y[0].amax(1), "0[logsumexp(:)]", "0[1] - 1[0]"]
    alone = [explained(target, model) for target in targets]
    explainer = Explainer(model, X, target=targets, precision="float64")
    with passes_counted() as passes:
        each = explainer.explain_each(X, OWN)
    assert passes == {"rows forward": 3 + 6, "backward passes": len(targets)}
    for (together,), one in zip(each, alone, strict=True):
        same(together, one)


def test_names_on_an_axis_are_the_models_own() -> None:
    model = seeded(Bins)
    model.tasks = ["GATA1", "GATA1 rep-2", "DNase"]
    same(explained("[GATA1, sum(:)]", model), explained("[0, sum(:)]", model))
    same(explained("['GATA1 rep-2', 3] - [DNase, 3]", model), explained("[1, 3] - [2, 3]", model))


def test_a_place_is_found_in_an_exported_program_too() -> None:
    rows = {0: torch.export.Dim("batch", min=2)}
    program = torch.export.export(
        seeded(lambda: Bins(heads=True)), (X,), dynamic_shapes=(rows,), strict=False
    )
    of_module = seeded(lambda: Bins(heads=True))
    for text in ("bins[1, mean(:)]", "deep.128[1] - deep.128[0]"):
        same(explained(text, program), explained(text, of_module))
    assert "no output 'bin'; did you mean 'bins'?" in refused_by(lambda: explained("bin[0, 0]", program))
    one = torch.export.export(seeded(Bins), (X,), dynamic_shapes=(rows,), strict=False)
    same(explained("[1, sum(:)]", one), explained("[1, sum(:)]"))


def test_a_layer_is_read_with_any_target() -> None:
    at = explained("[1, 7] - [0, 7]", layer="stem")
    assert at.contributions.shape == (3, 6, 46)
    torch.testing.assert_close(at.contributions.sum((1, 2)), at.output - at.reference_output.mean(1))


def test_other_methods_take_texts_too() -> None:
    model = seeded(lambda: Bins("sigmoid"))
    for method in (genolift.in_silico_mutagenesis, genolift.grad_cam, genolift.gradient_times_input):
        one = method(model, X, target="[1, mean(:)]")
        other = method(seeded(Bins), X, target=lambda y: y[:, 1].mean(1))
        torch.testing.assert_close(one.contributions, other.contributions, rtol=1e-4, atol=1e-6)
