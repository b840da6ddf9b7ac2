"""Modules as people write them are explained exactly and left unchanged, or refused by name beforehand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from modules import LENGTH, NAMES, module
from torch import Tensor, nn
from zoo import onehot, seeded

import genolift
from genolift.engine.graph.own_state import default_dtype
from genolift.explain.explainer import Explainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated"),
    pytest.mark.filterwarnings("ignore:LSTM with projections"),
]

X = onehot(2, LENGTH)
REFERENCES = onehot(4, LENGTH, seed=1).view(2, 2, 4, LENGTH)
DEEPLIFT = ["rescale", "revealcancel", "genomics-default"]


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything in a module that a call could change; tensors as copies."""
    state: dict[str, Any] = {"random": torch.get_rng_state(), "dtype": torch.get_default_dtype()}
    for path, part in model.named_modules(remove_duplicate=False):
        state[path] = id(part), type(part), part.training, sorted(vars(part))
        for attribute, value in vars(part).items():
            if attribute.endswith("_hooks"):
                state[f"{path}.{attribute}"] = dict(value)
            elif isinstance(value, Tensor):
                state[f"{path}.{attribute}"] = value.detach().clone()
    for path, tensor in [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]:
        state[f"tensor {path}"] = tensor.detach().clone()
        state[f"about {path}"] = (
            id(tensor),
            tensor.dtype,
            tensor.requires_grad,
            tensor.data_ptr(),
            tensor.grad,
        )
        state[f"version {path}"] = tensor._version
    for path, value in model.state_dict().items():
        state[f"saved {path}"] = value.clone()
    return state


def assert_same_state(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for name, value in before.items():
        same = torch.equal(value, after[name]) if isinstance(value, Tensor) else value == after[name]
        assert same, name


class Case:
    """A module, explained once in each precision."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model = module(name)
        self.before = state_of(self.model)
        self.in_double = Explainer(self.model, X, precision="float64")
        self.in_single = Explainer(self.model, X)


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest) -> Case:
    # With this scope all tests of one module follow each other, so it is captured only once.
    return Case(request.param)


def error_in_double(explainer: Explainer, rule: str) -> float:
    """The largest convergence error over the largest output difference."""
    result = explainer.with_rule(rule).explain(X, REFERENCES)
    difference = (result.output[:, None] - result.reference_output).abs().max()
    return float(result.convergence_error.max() / difference)


def error_in_single(explainer: Explainer) -> float:
    """The largest convergence error over the output, or output difference, of its pair."""
    result = explainer.explain(X, REFERENCES)
    difference = result.output[:, None] - result.reference_output
    scale = torch.maximum(difference.abs(), result.output[:, None].abs())
    return float((result.convergence_error / scale).max())


@pytest.mark.parametrize("rule", DEEPLIFT)
def test_contributions_sum_to_the_output_difference_in_float64(case: Case, rule: str) -> None:
    assert error_in_double(case.in_double, rule) < 1e-9


def test_contributions_sum_to_the_output_difference_in_float32(case: Case) -> None:
    assert error_in_single(case.in_single) < 1e-5


def test_the_output_is_that_of_the_module_in_evaluation_mode(case: Case) -> None:
    with torch.no_grad():
        single, model = module(case.name).eval()(X)[:, 0], module(case.name).double().eval()
        with default_dtype(torch.float64):
            double = model(X.double())[:, 0]
    results = [explainer.explain(X, REFERENCES).output for explainer in (case.in_single, case.in_double)]
    torch.testing.assert_close(results[0], single, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(results[1], double, rtol=1e-10, atol=1e-10)


def test_the_gradient_is_that_of_autograd(case: Case) -> None:
    if case.name == "heaviside":
        return  # torch has no derivative of it
    # At real values, since there no two elements tie for the maximum.
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(2, 4, LENGTH, generator=generator, dtype=torch.float64)
    explainer = case.in_double.with_rule("gradient")
    result = explainer.explain(x, torch.zeros_like(x[:1]), keep_multipliers=True)
    leaf = x.clone().requires_grad_()
    model = module(case.name).double().eval()
    with default_dtype(torch.float64):
        (expected,) = torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)
    torch.testing.assert_close(result.multipliers[:, 0], expected, rtol=1e-9, atol=1e-11)


def test_the_module_is_left_as_it_was(case: Case) -> None:
    case.in_single.explain(X, REFERENCES)
    with pytest.raises(genolift.InputError, match="NaN"):
        case.in_single.explain(X * torch.nan, REFERENCES)
    after = state_of(case.model)
    for state in (case.before, after):
        del state["random"]  # because of tests run in between; see the next test
    assert_same_state(case.before, after)


# Those with most to lose: buffers that training changes, weights made on the fly, hooks, shared tensors.
DELICATE = [
    "batch norm, left in training",
    "dropout, left on",
    "head tied to the embedding",
    "in place",
    "instance norm, tracked",
    "lstm, two ways, two layers",
    "spectral norm",
    "weight norm",
    "weight norm by hook",
]


class Sorted(nn.Module):
    """A construct that is refused, after a convolution."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).sort(1)[0]


@pytest.mark.parametrize("name", DELICATE)
def test_a_module_in_use_is_left_as_it_was_after_a_call_that_raises(name: str) -> None:
    model = Sorted(module(name)).train()
    model.inner.register_forward_hook(lambda *_: None)
    model.inner.register_full_backward_hook(lambda *_: None)
    next(model.parameters()).requires_grad_(False)
    before = state_of(model)
    with pytest.raises(genolift.UnsupportedOperation, match="sort"):
        genolift.deeplift(model, X, REFERENCES)
    assert_same_state(before, state_of(model))
    with pytest.raises(genolift.InputError, match="does not take an input of shape"):
        genolift.deeplift(model, X[:, :3], REFERENCES[:, :, :3])
    assert_same_state(before, state_of(model))
    with pytest.raises(genolift.InputError, match="NaN"):
        genolift.deeplift(model.inner, X * torch.nan, REFERENCES)
    assert_same_state(before, state_of(model))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["gru, h_n", "made into an image", "recurrent layers with an initial state"])
def test_parameters_of_another_element_type_are_explained_and_left_so(name: str, dtype: torch.dtype) -> None:
    model = module(name).to(dtype)
    before = state_of(model)
    explainer = Explainer(model, X)
    assert error_in_single(explainer) < 1e-5
    assert_same_state(before, state_of(model))
    with torch.no_grad():
        expected = module(name).to(dtype).float()(X)[:, 0]
    torch.testing.assert_close(explainer.explain(X, REFERENCES).output, expected, rtol=1e-5, atol=1e-5)


def test_a_recurrent_layer_of_two_hundred_steps_is_explained() -> None:
    class Long(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 16, batch_first=True, bidirectional=True)
            self.out = nn.Linear(32, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.lstm(x.transpose(1, 2))[0].mean(1))

    explainer = Explainer(seeded(Long), onehot(2, 200), precision="float64")
    for rule in DEEPLIFT:
        result = explainer.with_rule(rule).explain(onehot(2, 200), onehot(2, 200, seed=1))
        difference = (result.output[:, None] - result.reference_output).abs().max()
        assert float(result.convergence_error.max() / difference) < 1e-9
    assert len(explainer.plan.steps) < 12
