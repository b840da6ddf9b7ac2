"""Targets: tasks, heads, layers, and functions of the output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from passes import passes_counted
from refusals import refused_by
from torch import Tensor, nn
from zoo import network, onehot, seeded

import genolift
from genolift.explain.explainer import Explainer
from genolift.targets import LAST_CONVOLUTION, counts, layer

X, SHARED = onehot(3), onehot(2, seed=1)
OWN = onehot(6, seed=2).view(3, 2, 4, -1)


class Profile(nn.Module):
    """Profile logits of two strands and log counts, as in bpnet-lite's and ChromBPNet's models."""

    def __init__(self, form: type = tuple) -> None:
        super().__init__()
        self.body, self.profile, self.counts = nn.Conv1d(4, 6, 5), nn.Conv1d(6, 2, 7), nn.Linear(6, 1)
        self.form = form

    def forward(self, x: Tensor) -> Any:
        h = torch.relu(self.body(x))
        heads = self.profile(h), self.counts(h.mean(-1))
        return {"profile_logits": heads[0], "log_counts": heads[1]} if self.form is dict else heads


class Twice(nn.Module):
    """One convolution called twice; the output of its second call cuts the model in two."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.stem, self.head = nn.Conv1d(6, 6, 3), nn.Conv1d(4, 6, 3), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.conv(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.conv(h)).amax(-1))


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def refusal(model: nn.Module, **options: Any) -> str:
    return refused_by(lambda: genolift.deeplift(model, X, SHARED, **options))


@pytest.mark.parametrize("references", [SHARED, OWN], ids=["shared", "own"])
@pytest.mark.parametrize("form", [tuple, dict])
def test_counts_are_those_of_the_counts_head(form: type, references: Tensor) -> None:
    model = seeded(lambda: Profile(form))
    by_name = genolift.deeplift(model, X, references, target="counts")
    key = "log_counts" if form is dict else 1
    by_function = genolift.deeplift(model, X, references, target=lambda heads: heads[key][:, 0])
    close(by_name.contributions, by_function.contributions)
    assert float(by_name.relative_convergence_error.max()) < 1e-4


@pytest.mark.parametrize("references", [SHARED, OWN], ids=["shared", "own"])
def test_a_profile_holds_the_weights_of_the_sequence_for_its_references(references: Tensor) -> None:
    model = seeded(Profile)
    result = genolift.deeplift(model, X, references, target="profile", precision="float64")
    every = references.expand(3, *references.shape) if references.dim() == 3 else references
    double = seeded(Profile).double()
    for n in range(3):
        z, *z0 = (
            logits - logits.mean()
            for logits in double(torch.cat([X[n : n + 1], every[n]]).double())[0].flatten(1).detach()
        )
        weights = z.softmax(0)
        close(result.output[n], (weights * z).sum())
        close(result.reference_output[n], torch.stack([(weights * each).sum() for each in z0]))
        # With constant weights it is a fixed function of the logits, which can be explained as one.
        fixed = genolift.deeplift(
            model,
            X[n : n + 1],
            every[n],
            target=lambda heads, w=weights: ((logits := heads[0].flatten(1)) - logits.mean(1, True)) @ w,
            precision="float64",
        )
        close(result.contributions[n], fixed.contributions[0])
    assert float(result.relative_convergence_error.max()) < 1e-12


def test_a_profile_with_free_weights_is_the_function_itself() -> None:
    model = seeded(Profile)
    free = genolift.deeplift(model, X, OWN, target="profile-free-weights", precision="float64")
    held = genolift.deeplift(model, X, OWN, target="profile", precision="float64")
    close(free.output, held.output)
    assert float((free.reference_output - held.reference_output).abs().max()) > 1e-3
    assert float(free.relative_convergence_error.max()) < 1e-12


def test_heads_that_a_model_does_not_have_are_refused() -> None:
    class Three(Profile):
        def forward(self, x: Tensor) -> Any:
            return (*super().forward(x), x)

    said = "there is no target 'counts'; choose one of"
    assert f"{said} 0[0, sum(:)] or 0[sum(:), 0]; 1; 2[0" in refusal(seeded(Three), target="counts")
    assert f"{said} profile; profile-free-weights; [0, sum(:)]" in refusal(NoCounts().eval(), target="counts")
    assert "returns 3 outputs, not profile and counts" in refusal(seeded(Three), target=counts)
    assert "'count' in their names" in refusal(NoCounts().eval(), target=counts)
    assert "there is no target 'Reb1'; choose one of 0 to 1" in refusal(network(), target="Reb1")


class NoCounts(Profile):
    def forward(self, x: Tensor) -> Any:
        return {"profile": self.profile(self.body(x))}


def test_a_task_that_is_called_counts_goes_before_the_head() -> None:
    model = network()
    model.tasks = ["first", "counts"]
    result = genolift.deeplift(model, X, SHARED, target="counts")
    close(result.output, model(X)[:, 1].detach())


def test_the_probability_is_explained_where_the_final_activation_is_kept() -> None:
    model = nn.Sequential(network(), nn.Sigmoid()).eval()
    kept = genolift.deeplift(model, X, SHARED, keep_final_activation=True, target=1)
    by_function = genolift.deeplift(model, X, SHARED, target=lambda y: y[:, 1])
    close(kept.contributions, by_function.contributions)
    close(kept.output, model(X)[:, 1].detach())
    assert "sigmoid" in str(genolift.plan(model, X, keep_final_activation=True))
    assert "sigmoid" not in str(genolift.plan(model, X))
    soft = nn.Sequential(network(), nn.Softmax(1)).eval()
    result = genolift.deeplift(soft, X, SHARED, keep_final_activation=True, precision="float64")
    close(result.output.float(), soft(X)[:, 0].detach())
    assert float(result.relative_convergence_error.max()) < 1e-9


def test_what_is_read_at_a_final_activation_is_the_probability() -> None:
    model = nn.Sequential(network(), nn.Sigmoid()).eval()
    result = genolift.deeplift(model, X, SHARED[:1], layer="1")
    difference = (model(X) - model(SHARED[:1]))[:, 0].detach()
    close(result.contributions, torch.stack([difference, torch.zeros(3)], 1))
    before = genolift.deeplift(model, X, SHARED[:1], layer="0.hidden")
    close(before.output, network()(X)[:, 0].detach())


@pytest.mark.parametrize("rule", ["genomics-default", "revealcancel", "gradient"])
@pytest.mark.parametrize("references", [SHARED, OWN], ids=["shared", "own"])
def test_several_tasks_are_what_each_is_alone(rule: str, references: Tensor) -> None:
    both = genolift.deeplift(network(), X, references, target=[1, 0], rule=rule)
    for result, task in zip(both, (1, 0), strict=True):
        alone = genolift.deeplift(network(), X, references, target=task, rule=rule)
        close(result.contributions, alone.contributions)
        close(result.reference_output, alone.reference_output)
        close(result.convergence_error, alone.convergence_error)


def test_several_tasks_have_one_forward_and_a_backward_each() -> None:
    explainer = Explainer(network(), X, target=[0, 1, 0])
    with passes_counted() as passes:
        explainer.explain_each(X, OWN)
    assert passes == {"rows forward": 3 + 6, "backward passes": 3}


def test_functions_share_a_pass_and_units_of_layers_do_not() -> None:
    def total(y: Tensor) -> Tensor:
        return y.sum(1)

    first, second = genolift.deeplift(network(), X, OWN, target=[total, lambda y: y[:, 0] * y[:, 1]])
    close(first.contributions, genolift.deeplift(network(), X, OWN, target=total).contributions)
    product = genolift.deeplift(network(), X, OWN, target=lambda y: y[:, 0] * y[:, 1])
    close(second.contributions, product.contributions)
    assert "units of layers one at a time" in refusal(network(), target=[0, layer("hidden", 3)])
    assert "there is no target" in refusal(network(), target=[])


def test_any_whole_number_is_a_task_and_what_is_none_is_refused() -> None:
    expected = genolift.deeplift(network(), X, SHARED, target=1)
    for task in (np.int64(1), torch.tensor(1), "1"):
        close(genolift.deeplift(network(), X, SHARED, target=task).contributions, expected.contributions)
    for wrong in (True, 1.0, np.array([0, 1]), None):
        assert "is not a target; give a task's number" in refusal(network(), target=wrong)


def test_methods_of_one_target_refuse_several() -> None:
    for method in (
        genolift.in_silico_mutagenesis,
        genolift.grad_cam,
        genolift.gradient_times_input,
        lambda *of, **options: genolift.integrated_gradients(*of, SHARED, **options),
    ):
        with pytest.raises(genolift.InputError, match="there are 2 targets; give one"):
            method(network(), X, target=[0, 1])


class SeenAsItIs(Profile):
    """A model that may be run but not captured."""

    def forward(self, x: Tensor) -> Any:
        if type(x) is not Tensor:
            raise RuntimeError("captured")
        return super().forward(x)


class CountsSeenAsTheyAre(SeenAsItIs):
    """Only one output."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x)[1]


def of_its_largest(output: Any) -> Tensor:
    counts = output[1][:, 0]
    return counts if counts.sum() > 0 else -counts


WRONG: dict[str, tuple[Any, str]] = {
    "several numbers a row": (lambda output: output[0].mean(-1), "returns the shape \\(n, 2\\)"),
    "one number for all rows": (
        lambda output: output[1].mean(),
        "the target has the shape \\(\\) for 3 rows",
    ),
    "a value as a number": (
        lambda output: output[1][:, 0] * output[1].max().item(),
        "no exact rule|captured as",
    ),
    "a choice by a value": (of_its_largest, "the target function cannot be captured as a graph"),
    "numpy": (
        lambda output: torch.from_numpy(output[1].numpy())[:, 0],
        "the target function cannot be captured",
    ),
    "rows mixed": (lambda output: output[1][:, 0] - output[1].mean(), "mixes|rows"),
    "no rule": (lambda output: output[0].flatten(1).sort(1).values[:, 0], "no exact rule .* sort"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_target_is_told_before_the_model_is_captured(name: str) -> None:
    target, message = WRONG[name]
    model = SeenAsItIs()
    with pytest.raises(genolift.InputError, match=message) as refused:
        genolift.deeplift(model, X, SHARED, target=target)
    assert "captured)" not in str(refused.value)
    with pytest.raises(genolift.UnsupportedOperation, match=r"RuntimeError: captured\)"):
        genolift.deeplift(model, X, SHARED, target="counts")


def test_a_number_that_is_not_there_is_told_before_the_model_is_captured() -> None:
    said = refusal(CountsSeenAsTheyAre(), target=7)
    assert "there is no target 7: the model has 1 output; choose 0" in said


def test_a_function_that_raises_is_told_from_a_model_that_does() -> None:
    said = refusal(network(), target=lambda y: y[:, 7])
    assert "test_targets.py" in said
    assert "the target function raises IndexError: index 7 is out of bounds" in said
    assert "the model does not take an input" in refusal(nn.Linear(3, 1))


def test_a_unit_of_a_layer_is_a_target() -> None:
    model = network()
    by_layer = genolift.deeplift(model, X, OWN, target=layer("hidden", 3))
    expected = nn.Sequential(network())
    seen: list[Tensor] = []
    handle = expected[0].hidden.register_forward_hook(lambda *call: seen.append(call[2]))
    expected(X)
    handle.remove()
    close(by_layer.output, seen[0][:, 3].detach())
    assert float(by_layer.relative_convergence_error.max()) < 1e-4
    channel = genolift.deeplift(model, X, OWN, target=layer("stem", 2))
    by_function = genolift.deeplift(model, X, OWN, target=layer("stem", lambda h: h[:, 2].sum(1)))
    close(channel.contributions, by_function.contributions)
    assert not model.hidden._forward_hooks


def test_contributions_at_a_layer_that_cuts_the_model_sum_to_the_difference() -> None:
    model = seeded(Twice)
    for name, shape in (
        ("conv#1", (6, 44)),
        (LAST_CONVOLUTION, (6, 44)),
        ("stem", (6, 48)),
        ("conv#0", (6, 46)),
    ):
        for rule in ("rescale", "revealcancel"):
            for references in (SHARED, OWN):
                result = genolift.deeplift(
                    model, X, references, layer=name, rule=rule, precision="float64", keep_multipliers=True
                )
                assert result.contributions.shape == (3, *shape)
                assert result.multipliers is not None
                assert result.multipliers.shape == (3, 2, *shape)
                assert result.hypothetical is None
                assert float(result.relative_convergence_error.max()) < 1e-10
                difference = result.output - result.reference_output.mean(1)
                close(result.contributions.sum((1, 2)), difference)


def test_contributions_at_a_layer_are_multipliers_times_what_it_gives() -> None:
    model = network()
    result = genolift.deeplift(model, X, SHARED[:1], layer="hidden", rule="gradient", keep_multipliers=True)
    leaf: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        leaf.append(output.detach().requires_grad_())
        return leaf[-1]

    handle = model.hidden.register_forward_hook(keep)
    (expected,) = torch.autograd.grad(model(X)[:, 0].sum(), leaf[0])
    model(SHARED[:1])
    handle.remove()
    assert result.multipliers is not None
    close(result.multipliers[:, 0], expected)
    close(result.contributions, expected * (leaf[0] - leaf[1]))


class InPlace(nn.Module):
    """An activation overwrites the preceding layer's output, and one layer returns its input."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.stem, self.conv, self.out = nn.Conv1d(4, 6, 5), nn.Conv1d(6, 5, 3), nn.Linear(5, 2)
        self.activation, self.same = nn.ReLU(in_place), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.same(self.activation(self.stem(x)))
        return self.out(self.activation(self.conv(h)).amax(-1))


@pytest.mark.parametrize("name", ["stem", "conv", "same", "activation#0"])
def test_a_layer_is_what_it_gave_though_an_activation_in_place_writes_over_it(name: str) -> None:
    changed, kept = seeded(lambda: InPlace(True)), seeded(lambda: InPlace(False))
    at, expected = (
        genolift.deeplift(model, X, OWN, layer=name, keep_multipliers=True) for model in (changed, kept)
    )
    assert at.multipliers is not None
    assert expected.multipliers is not None
    close(at.multipliers, expected.multipliers)
    unit, expected = (genolift.deeplift(model, X, OWN, target=layer(name, 2)) for model in (changed, kept))
    close(unit.output, expected.output)
    close(unit.contributions, expected.contributions)
    mapped, expected = (genolift.grad_cam(model, X, layer=name) for model in (changed, kept))
    close(mapped.contributions, expected.contributions)


def test_the_last_convolution_is_found_behind_its_batch_norm() -> None:
    model = nn.Sequential(
        nn.Conv1d(4, 5, 3), nn.ReLU(), nn.Conv1d(5, 6, 3), nn.BatchNorm1d(6), nn.Tanh(), nn.MaxPool1d(2),
        nn.Flatten(), nn.Linear(138, 1),
    ).eval()  # fmt: skip
    result = genolift.deeplift(model, X, SHARED, layer=LAST_CONVOLUTION)
    close(result.contributions, genolift.deeplift(model, X, SHARED, layer="4").contributions)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(200, 1))
    assert "has no convolution" in refusal(dense, layer=LAST_CONVOLUTION)


def test_layers_that_cannot_be_read_are_refused() -> None:
    twice = seeded(Twice)
    assert "layer conv: is called 2 times; choose a call: conv#0, conv#1" in refusal(twice, layer="conv")
    assert "no layer 'steam'; choose a submodule, such as stem" in refusal(twice, layer="steam")
    assert "a Conv1d is not the name of a layer; name the submodule" in refusal(twice, layer=twice.stem)
    assert "no layer ''; choose a submodule, such as conv, stem, head" in refusal(twice, layer="")
    assert "layer stem has no unit 6; choose one of 0 to 5" in refusal(twice, target=layer("stem", 6))
    assert "give the unit to explain" in refusal(twice, target=layer("stem"))
    with pytest.raises(genolift.InputError, match="along the path of the input"):
        Explainer(twice, X, rule="gradient", layer="stem").explain(X, OWN, path=((0.5, 1.0),))
    program = torch.export.export(
        network(), (X,), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},), strict=False
    )
    with pytest.raises(genolift.InputError, match="has no layers by name"):
        genolift.deeplift(program, X, SHARED, layer="stem")
    assert genolift.deeplift(program, X, SHARED, layer=LAST_CONVOLUTION).contributions.dim() == 3
