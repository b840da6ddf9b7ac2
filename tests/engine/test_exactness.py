"""Summation-to-delta for everything that is accepted, and changes that must not affect a result."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from zoo import ACTIVATIONS, POOLS, network, onehot, seeded

import genolift
from genolift.engine.run.run import Runner
from genolift.explain.attribution import Explainer

RULES = ["rescale", "revealcancel", "genomics-default"]
CASES = [(name, "overlapping max, padded, ceil mode") for name in ACTIVATIONS] + [
    ("relu", pool) for pool in POOLS
]


def largest_error(result: genolift.Attribution) -> float:
    """The largest convergence error over the largest output difference."""
    difference = (result.output[:, None] - result.reference_output).abs().max()
    return float(result.convergence_error.max() / difference)


@pytest.mark.parametrize(("activation", "pool"), CASES)
def test_contributions_sum_to_the_output_difference_under_every_rule(activation: str, pool: str) -> None:
    model, x = network(activation, pool), onehot(3)
    references = onehot(6, seed=1).view(3, 2, 4, -1)
    in_double, in_single = (Explainer(model, x, precision=precision) for precision in ("float64", "float32"))
    for rule in RULES:
        exact = in_double.with_rule(rule).explain(x, references)
        assert largest_error(exact) < 1e-12
        single = in_single.with_rule(rule).explain(x, references)
        assert largest_error(single) < 1e-4
        largest = float(exact.contributions.abs().max())
        torch.testing.assert_close(
            single.contributions, exact.contributions.float(), rtol=0, atol=1e-4 * largest
        )


@given(seed=st.integers(0, 2**31), n=st.integers(1, 3), r=st.integers(1, 3), rule=st.sampled_from(RULES))
@settings(max_examples=8, deadline=None)
def test_sums_hold_for_any_real_valued_input_and_weights(seed: int, n: int, r: int, rule: str) -> None:
    model = seeded(
        lambda: nn.Sequential(
            nn.Conv1d(4, 5, 3),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Flatten(),
            nn.Linear(20, 3),
            nn.ELU(),
            nn.Linear(3, 2),
        ),
        seed,
    )
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, 10, generator=generator)
    references = torch.randn(n, r, 4, 10, generator=generator)
    result = genolift.deeplift(model, x, references, rule=rule, precision="float64", target=1)
    assert largest_error(result) < 1e-9
    assert result.hypothetical is None


@pytest.mark.parametrize("rule", RULES)
def test_shared_references_give_what_the_same_references_for_each_sequence_give(rule: str) -> None:
    model, x, references = network(), onehot(4), onehot(3, seed=1)
    shared = genolift.deeplift(model, x, references, rule=rule, keep_multipliers=True)
    own = genolift.deeplift(model, x, references.expand(4, 3, 4, -1), rule=rule, keep_multipliers=True)
    torch.testing.assert_close(shared.multipliers, own.multipliers, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(shared.reference_output, own.reference_output)


@pytest.mark.parametrize("rule", [*RULES, "gradient"])
def test_contributions_do_not_depend_on_batch_size(rule: str) -> None:
    x, references = onehot(4), onehot(12, seed=1).view(4, 3, 4, -1)
    explainer = Explainer(network(), x, rule=rule)
    whole = explainer.explain(x, references)
    for size in (1, 2, 5, 100):
        parts = explainer.explain(x, references, batch_size=size)
        torch.testing.assert_close(parts.contributions, whole.contributions, rtol=0, atol=1e-6)
        torch.testing.assert_close(parts.standard_error, whole.standard_error, rtol=0, atol=1e-6)


def test_contributions_do_not_depend_on_the_order_of_sequences() -> None:
    model, x, references = network(), onehot(4), onehot(12, seed=1).view(4, 3, 4, -1)
    forward = genolift.deeplift(model, x, references)
    backward = genolift.deeplift(model, x.flip(0), references.flip(0))
    torch.testing.assert_close(backward.contributions.flip(0), forward.contributions, rtol=0, atol=1e-6)


def test_each_sequence_is_run_forward_once_however_many_its_references(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = {True: 0, False: 0}
    forward = Runner.forward

    def counting(self, inputs, *, carry):  # type: ignore[no-untyped-def]
        rows[carry] += len(inputs[0])
        return forward(self, inputs, carry=carry)

    x, references = onehot(4), onehot(28, seed=1).view(4, 7, 4, -1)
    explainer = Explainer(network(), x)
    monkeypatch.setattr(Runner, "forward", counting)
    explainer.explain(x, references, batch_size=3)
    assert rows == {True: 28, False: 4}
    rows.update({True: 0, False: 0})
    explainer.explain(x, references[0, :2])
    assert rows == {True: 4, False: 2}


def test_hypothetical_contributions_equal_contributions_at_the_base_that_is_there() -> None:
    x = onehot(3)
    x[0, :, 10:13] = 0  # N
    references = genolift.references.dinucleotide_shuffle(r=4, seed=1)
    result = genolift.deeplift(network(), x, references)
    assert result.hypothetical is not None
    torch.testing.assert_close(
        (result.hypothetical * x).sum(1), result.contributions.sum(1), rtol=0, atol=1e-6
    )
    assert (result.contributions[0, :, 10:13] == 0).all()


def test_standard_error_is_that_of_the_mean_over_references() -> None:
    x, references = onehot(2), onehot(10, seed=1).view(2, 5, 4, -1)
    result = genolift.deeplift(network(), x, references, keep_multipliers=True)
    each = (result.multipliers * (x[:, None] - references)).sum(2)
    torch.testing.assert_close(result.standard_error, each.std(1) / 5**0.5, rtol=1e-3, atol=1e-6)
    one = genolift.deeplift(network(), x, references[:, :1])
    assert one.standard_error.isnan().all()


def test_the_model_is_left_as_it_was() -> None:
    model = network()
    model.train()
    model.stem.register_forward_hook(lambda *_: None)
    model.norm.weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    hooks = dict(model.stem._forward_hooks)
    result = genolift.deeplift(model, onehot(2), onehot(1, seed=1))
    with pytest.raises(genolift.InputError):
        genolift.deeplift(model, onehot(2, length=7), onehot(1, length=7))
    assert model.training
    assert model.drop.training
    assert model.stem._forward_hooks == hooks
    assert not model.norm.weight.requires_grad
    assert model.out.weight.requires_grad
    assert model.out.weight.grad is None
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    as_evaluated = genolift.deeplift(network(), onehot(2), onehot(1, seed=1))
    torch.testing.assert_close(result.contributions, as_evaluated.contributions)


def test_works_within_no_grad_and_inference_mode() -> None:
    x, references, model = onehot(2), onehot(1, seed=1), network()
    expected = genolift.deeplift(model, x, references).contributions
    with torch.no_grad():
        torch.testing.assert_close(genolift.deeplift(model, x, references).contributions, expected)
    with torch.inference_mode():
        torch.testing.assert_close(genolift.deeplift(model, x, references).contributions, expected)


def test_extra_inputs_are_held() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv1d(4, 6, 5), nn.Linear(9, 1)

        def forward(self, x: torch.Tensor, covariates: torch.Tensor) -> torch.Tensor:
            return self.out(torch.cat([torch.relu(self.conv(x)).mean(-1), covariates.tanh()], 1))

    model, extra = seeded(Two), torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    for references in (onehot(6, seed=1).view(3, 2, 4, -1), onehot(2, seed=1)):
        result = genolift.deeplift(model, onehot(3), references, extra_inputs=(extra,), precision="float64")
        assert largest_error(result) < 1e-12
        torch.testing.assert_close(result.output.float(), model(onehot(3), extra)[:, 0].detach())


def test_bfloat16_is_near_float32() -> None:
    x, references = onehot(3), onehot(6, seed=1).view(3, 2, 4, -1)
    single = genolift.deeplift(network(), x, references).contributions
    half = genolift.deeplift(network(), x, references, precision="bfloat16").contributions
    assert 0 < float((half - single).abs().max() / single.abs().max()) < 0.05


def test_a_batch_that_does_not_fit_the_device_is_split_and_nothing_is_counted_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, references = onehot(4), onehot(20, seed=1).view(4, 5, 4, -1)
    explainer = Explainer(network(), x)
    shared, own = explainer.explain(x, references[0]), explainer.explain(x, references)
    forward = Runner.forward

    def small(self, inputs, *, carry):  # type: ignore[no-untyped-def]
        if carry and len(inputs[0]) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, inputs, carry=carry)

    monkeypatch.setattr(Runner, "forward", small)
    for compared, expected in ((references[0], shared), (references, own)):
        result = explainer.explain(x, compared, batch_size=100)
        torch.testing.assert_close(result.contributions, expected.contributions, rtol=0, atol=1e-6)
        torch.testing.assert_close(result.reference_output, expected.reference_output)

    def never(self, inputs, *, carry):  # type: ignore[no-untyped-def]
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Runner, "forward", never)
    with pytest.raises(genolift.InputError, match="do not fit the device's memory; free memory"):
        explainer.explain(x, references)


def test_references_from_a_function_are_made_once_for_each_sequence() -> None:
    x = onehot(2)
    calls = []

    def make(inputs: torch.Tensor) -> torch.Tensor:
        calls.append(len(inputs))
        return torch.rand(len(inputs), 5, 4, inputs.shape[2])

    result = genolift.deeplift(network(), x, make, batch_size=2)
    assert calls == [1, 1, 1]  # its first row, for the shape
    assert largest_error(result) < 1e-4
