"""Results do not depend on torch's state, the caller's or the model's own: it is preserved, or refused."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import genolift
from genolift.engine.graph.own_state import process_settings
from genolift.engine.torch_internals import float32_precision
from genolift.inspection.model_check import check_model

LENGTH = 20


def onehot(n: int = 3) -> Tensor:
    codes = torch.randint(4, (n, LENGTH), generator=torch.Generator().manual_seed(0))
    return functional.one_hot(codes, 4).transpose(1, 2).float()


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = [nn.Flatten(), nn.Linear(16 * 15, 8), nn.ReLU(), nn.Linear(8, 2)]
        return nn.Sequential(nn.Conv1d(4, 16, 6), nn.ReLU(), *head)


class Of(nn.Module):
    """A function of a convolution's output, (row, 8), and of extra inputs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function, self.conv, self.out = function, nn.Conv1d(4, 8, 6), nn.Linear(8, 1)

    def forward(self, x: Tensor, *more: Tensor) -> Any:
        return self.function(self, torch.tanh(self.conv(x)).mean(-1), *more)


X, REFERENCE, MODEL = onehot(), torch.full((1, 4, LENGTH), 0.25), network()
METHODS: dict[str, Callable[..., Any]] = {
    "deeplift": genolift.deeplift,
    "in double": lambda *given: genolift.deeplift(*given, precision="float64"),
    "integrated gradients": lambda *given: genolift.integrated_gradients(*given, steps=3),
    "mutagenesis": lambda model, x, _: genolift.in_silico_mutagenesis(model, x),
    "gradient": lambda model, x, _: genolift.gradient_times_input(model, x),
    "guided grad-cam": lambda model, x, _: genolift.grad_cam(model, x, guided=True),
    "shuffles": lambda model, x, _: genolift.deeplift(
        model, x, genolift.references.dinucleotide_shuffle(r=2)
    ),
}
EXPECTED: dict[str, Any] = {}


def expected(method: str) -> Any:
    if method not in EXPECTED:
        EXPECTED[method] = METHODS[method](MODEL, X, REFERENCE)
    return EXPECTED[method]


def assert_same(one: Any, other: Any, rtol: float = 0.0) -> None:
    for each in fields(one):
        a, b = getattr(one, each.name), getattr(other, each.name)
        if isinstance(a, Tensor):
            torch.testing.assert_close(b, a, rtol=rtol, atol=rtol, equal_nan=True)
            assert not b.is_inference()
            assert not b.requires_grad


@contextmanager
def put(place: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


@contextmanager
def called(function: Callable[[Any], Any], value: Any, before: Any) -> Iterator[None]:
    function(value)
    try:
        yield
    finally:
        function(before)


def precision_of_all(value: str) -> None:
    torch.backends.fp32_precision = value


def in_two_ways(value: str) -> None:
    torch.set_float32_matmul_precision("highest" if value == "none" else "medium")
    torch.backends.cuda.matmul.fp32_precision = value
    torch.backends.cudnn.rnn.fp32_precision = "tf32" if value == "none" else "ieee"


BACKENDS = ["generic", "cuda", "mkldnn"]
PRODUCTS = [(each, "all") for each in BACKENDS] + [
    (each, operation) for each in BACKENDS[1:] for operation in ("matmul", "conv", "rnn")
]


def older_ways() -> list[Any]:
    """Return what torch says of precision in its older way, or that it will not."""
    found: list[Any] = []
    for read in (torch.get_float32_matmul_precision, lambda: torch.backends.cudnn.allow_tf32):
        try:
            found.append(read())
        except RuntimeError:
            found.append("raises")
    return found


def precisions() -> dict[Any, Any]:
    """Return how torch is set to compute products, in its newer way and its older."""
    return {each: float32_precision(*each) for each in PRODUCTS} | dict(enumerate(older_ways()))


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default device": lambda: called(torch.set_default_device, "meta", None),
    "half as default dtype": lambda: called(torch.set_default_dtype, torch.float16, torch.float32),
    "inference mode": torch.inference_mode,
    "deterministic algorithms": lambda: called(torch.use_deterministic_algorithms, True, False),
    "matmul precision": lambda: called(torch.set_float32_matmul_precision, "medium", "highest"),
    "matmul precision of a backend": lambda: put(torch.backends.mkldnn.matmul, "fp32_precision", "bf16"),
    "precision of a GPU's products": lambda: put(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
    "precision of a GPU's convolutions": lambda: put(torch.backends.cudnn.conv, "fp32_precision", "ieee"),
    "precision of every product": lambda: called(precision_of_all, "tf32", "none"),
    "full precision of every product": lambda: called(precision_of_all, "ieee", "none"),
    "precision set in two ways": lambda: called(in_two_ways, "tf32", "none"),
}


@pytest.mark.parametrize("state", STATES)
def test_results_are_the_same_in_any_state_of_torch(state: str) -> None:
    wanted = expected("deeplift")
    with STATES[state](), torch.no_grad():
        before = precisions()
        found = genolift.deeplift(MODEL, X, REFERENCE)
        assert precisions() == before
    assert_same(wanted, found)


@pytest.mark.parametrize("state", [state for state in STATES if "precision" in state])
@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_products_are_set_for_one_device_and_set_back(state: str, device: str, tf32: bool) -> None:
    with STATES[state]():
        before = precisions()
        with process_settings(torch.float32, torch.device(device), tf32=tf32):
            here = precisions()
            assert all(here[each] in ("ieee", "none") for each in PRODUCTS[6:])
            if device == "cuda":
                assert {here[each] for each in PRODUCTS[3:6]} == {"tf32" if tf32 else "ieee"}
                assert older_ways() == ["high" if tf32 else "highest", tf32]  # so that neither raises there
            else:
                assert [here[each] for each in PRODUCTS[:6]] == [before[each] for each in PRODUCTS[:6]]
        assert precisions() == before


def test_products_that_follow_the_setting_of_all_follow_it_afterwards() -> None:
    with STATES["precision of every product"]():
        genolift.deeplift(MODEL, X, REFERENCE)
        precision_of_all("ieee")
        assert float32_precision("mkldnn", "matmul") == "ieee"


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_leaves_the_callers_state(method: str) -> None:
    wanted = expected(method)
    with torch.device("meta"), torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = METHODS[method](MODEL, X, REFERENCE)
        assert torch.is_autocast_enabled("cpu")
        assert torch.is_inference_mode_enabled()
        assert torch.get_default_device().type == "meta"
    assert_same(wanted, found)


def test_plan_and_check_leave_the_callers_state() -> None:
    with torch.device("meta"), torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert str(genolift.plan(MODEL, X)) == str(genolift.plan(MODEL, X))
        assert genolift.check_plan(MODEL, X, REFERENCE.expand_as(X)).exact
        check_model(MODEL, X, (), ["one", "two", "three"])


class InHalf(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = network()

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.model(x).float()


def test_a_forwards_own_autocast_gives_way_to_the_precision_asked_for() -> None:
    found = genolift.deeplift(InHalf(), X, REFERENCE)
    assert_same(expected("deeplift"), found)
    assert not torch.equal(InHalf()(X)[:, 0], found.output)
    check_model(InHalf(), X, (), ["one", "two", "three"])


def test_tensors_made_in_inference_mode_are_taken() -> None:
    with torch.inference_mode():
        model, x, reference = network(), X.clone(), REFERENCE.clone()
    assert_same(expected("deeplift"), genolift.deeplift(model, x, reference))


def test_threads_get_what_one_thread_gets() -> None:
    methods = ["deeplift", "in double", "mutagenesis"] * 2
    wanted = {method: expected(method) for method in methods}
    found: list[Any] = [None] * len(methods)

    def call(number: int) -> None:
        found[number] = METHODS[methods[number]](MODEL, X, REFERENCE)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(methods))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for method, result in zip(methods, found, strict=True):
        # While one thread captures, torch uses its own convolutions in others too, which round differently.
        assert_same(wanted[method], result, rtol=1e-5)
    assert torch.get_default_dtype() == torch.float32


DRAWS: dict[str, Callable[..., Tensor]] = {
    "rand": lambda self, h: self.out(h) + torch.rand(1),
    "randn": lambda self, h: self.out(h + torch.randn(8)),
    "normal": lambda self, h: self.out(h + torch.normal(torch.zeros(8), torch.ones(8))),
    "bernoulli": lambda self, h: self.out(h * torch.bernoulli(torch.full((8,), 0.5))),
    "randperm": lambda self, h: self.out(h[:, torch.randperm(8)]),
    "native_dropout": lambda self, h: self.out(functional.dropout(h, training=True)),
    "rand_like": lambda self, h: self.out(h + torch.rand_like(h)),
}


@pytest.mark.parametrize("operation", list(DRAWS))
def test_an_operation_that_draws_at_random_is_refused_with_its_line(operation: str) -> None:
    with pytest.raises(genolift.UnsupportedOperation, match="draws at random") as raised:
        genolift.plan(Of(DRAWS[operation]), X)
    # torch decomposes some into operations that draw too
    assert f'"{operation}": lambda self, h' in str(raised.value)


def test_mutagenesis_which_needs_no_rule_refuses_it_too() -> None:
    with pytest.raises(genolift.UnsupportedOperation, match="the operation randn draws at random"):
        genolift.in_silico_mutagenesis(Of(DRAWS["randn"]), X)


@pytest.mark.parametrize(
    "draw",
    [
        lambda self, h: self.out(h) + random.random(),
        lambda self, h: self.out(h) * float(np.random.rand()),  # noqa: NPY002
        lambda self, h: self.out(functional.rrelu(h, training=True)),
    ],
    ids=["random", "numpy", "rrelu"],
)
def test_what_the_graph_does_not_show_is_refused_too(draw: Callable[..., Tensor]) -> None:
    with pytest.raises(
        genolift.UnsupportedOperation, match="the model gives another output when called again"
    ):
        genolift.plan(Of(draw), X)


def test_random_numbers_that_nothing_depends_on_are_no_matter() -> None:
    quiet = Of(lambda self, h: (torch.randn(8), self.out(functional.dropout(h, 0.5, self.training)))[1])
    assert genolift.deeplift(quiet, X, REFERENCE).convergence_error.max() < 1e-6


def test_complex_inputs_references_and_outputs_are_refused() -> None:
    for inputs, references, where in ((X + 0j, REFERENCE, "inputs"), (X, REFERENCE + 0j, "references")):
        with pytest.raises(genolift.InputError, match=f"{where}: hold complex numbers"):
            genolift.deeplift(MODEL, inputs, references)
    transformed = Of(lambda self, h: torch.fft.fft(h))
    for explain in (
        lambda: genolift.plan(transformed, X),
        lambda: genolift.in_silico_mutagenesis(transformed, X),
    ):
        with pytest.raises(genolift.InputError, match="the target is a complex number"):
            explain()
    size = genolift.deeplift(transformed, X, REFERENCE, target=lambda output: output.abs()[:, 0])
    assert size.convergence_error.max() < 1e-6


def test_complex_numbers_that_are_held_keep_their_imaginary_part() -> None:
    model = Of(lambda self, h, turn: self.out((h * turn).real + (h * turn).imag))
    turn = torch.complex(torch.zeros(3, 8), torch.ones(3, 8)).to(torch.complex128)
    found = genolift.deeplift(model, X, REFERENCE, extra_inputs=(turn,))
    torch.testing.assert_close(found.output, model(X, turn.to(torch.complex64))[:, 0].detach())
    assert found.convergence_error.max() < 1e-6
