"""On a GPU: each rule on each kind of operation, each precision, a full card, and two processes on one card.

`make gpu-check` runs these on a real card, `make pretend` on a pretended one, which computes as the CPU does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from gpus import nearly_full
from places import TESTS
from torch import Tensor, nn
from zoo import network, onehot, seeded

import genolift
from genolift.engine.kinds.kind import Kind, NoKind
from genolift.engine.kinds.registered import Registered
from genolift.engine.registry import kind_of
from genolift.engine.rules.composites import COMPOSITES
from genolift.explain.explainer import Explainer

gpu = pytest.mark.gpu


class Recurrent(nn.Module):
    """(n, 4, length) -> (n, 2) by an LSTM in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.lstm = nn.Conv1d(4, 6, 5, 3), nn.LSTM(6, 5, batch_first=True, bidirectional=True)
        self.out = nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lstm(torch.tanh(self.stem(x)).transpose(1, 2))[0].mean(1))


class Attending(nn.Module):
    """(n, 4, length) -> (n, 2) by an encoder layer: attention, its softmax, layer norms and GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 8, 5)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.nn.functional.max_pool1d(self.stem(x), 4)
        return self.out(self.encoder(h.transpose(1, 2)).mean(1))


class Gated(nn.Module):
    """(n, 4, length) -> (n, 2) by a gate, the larger of two branches, and a norm over groups."""

    def __init__(self) -> None:
        super().__init__()
        self.values, self.gates = nn.Conv1d(4, 6, 5), nn.Conv1d(4, 6, 5)
        self.norm, self.out = nn.GroupNorm(2, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(torch.tanh(self.values(x)) * torch.sigmoid(self.gates(x)))
        return self.out(torch.maximum(h, h.flip(-1)).mean(-1))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "convolutions, a batch norm, max pools": lambda: network("relu", "overlapping max, padded, ceil mode"),
    "smooth activations, average pools": lambda: network("gelu", "average"),
    "recurrent": lambda: seeded(Recurrent),
    "attention": lambda: seeded(Attending),
    "gates": lambda: seeded(Gated),
}


def _work(n: int = 3, r: int = 2, length: int = 50) -> tuple[Tensor, Tensor]:
    return onehot(n, length), onehot(n * r, length, seed=1).view(n, r, 4, length)


def _error(found: Tensor, exact: Tensor) -> float:
    """The largest difference over the largest contribution."""
    return float((found.double() - exact).abs().max() / exact.abs().max())


def test_the_models_have_every_kind_of_operation() -> None:
    kinds = set()
    for make in MODELS.values():
        graph = Explainer(make(), _work()[0], device="cpu").graph
        kinds |= {
            type(kind_of(operation, graph.dependent))
            for operation in graph.operations
            if operation.name in graph.dependent
        }
    assert kinds >= set(Kind.__subclasses__()) - {NoKind, Registered}


@gpu
@pytest.mark.parametrize("name", MODELS)
def test_every_rule_gives_on_a_gpu_what_it_gives_on_a_cpu_in_float64(name: str) -> None:
    model, (x, references) = MODELS[name](), _work()
    on_cpu = Explainer(model, x, device="cpu", precision="float64")
    on_gpu = Explainer(model, x, device="cuda")
    for rule in COMPOSITES:
        exact = on_cpu.with_rule(rule).explain(x, references)
        for compared in (references, references[0]):
            if compared is not references:
                exact = on_cpu.with_rule(rule).explain(x, compared)
            result = on_gpu.with_rule(rule).explain(x, compared)
            assert result.contributions.device.type == "cpu"
            assert _error(result.contributions, exact.contributions) < 1e-4, rule


@contextmanager
def _allowing_tf32(allowed: bool) -> Iterator[None]:
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = allowed
        yield
        assert [backend.allow_tf32 for backend in backends] == [allowed, allowed]
    finally:
        for backend, was in zip(backends, before, strict=True):
            backend.allow_tf32 = was


@gpu
@pytest.mark.parametrize("allowed", [False, True], ids=["tf32 off", "tf32 on"])
@pytest.mark.parametrize(
    ("precision", "bar"), [("float64", 1e-9), ("float32", 1e-4), ("tf32", 2e-2), ("bfloat16", 2e-1)]
)
def test_a_precision_is_what_is_asked_for_whatever_the_process_allows(
    precision: str, bar: float, allowed: bool
) -> None:
    model, (x, references) = network("relu", "average"), _work()
    exact = genolift.deeplift(model, x, references, device="cpu", precision="float64").contributions
    with _allowing_tf32(allowed):
        result = genolift.deeplift(model, x, references, device="cuda", precision=precision)
    assert _error(result.contributions, exact) < bar


@gpu
def test_a_model_and_tensors_that_lie_on_a_gpu_are_explained_anywhere() -> None:
    model, (x, references) = network(), _work()
    exact = genolift.deeplift(model, x, references, device="cpu", precision="float64").contributions
    there = model.to("cuda")
    for device in ("cuda", "cpu", None):
        result = genolift.deeplift(there, x.to("cuda"), references.to("cuda"), device=device)
        assert _error(result.contributions, exact) < 1e-4
    assert {parameter.device.type for parameter in there.parameters()} == {"cuda"}


@gpu
def test_batches_that_do_not_fit_a_gpu_are_halved_until_they_do() -> None:
    model, (x, references) = network("relu", "average"), _work(4, 40, 2000)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.hidden = nn.Linear(16 * 500, 6)
    explainer = Explainer(model, x, device="cuda")
    whole = explainer.explain(x, references, batch_size=8)
    with nearly_full(128 * 2**20):
        halved = explainer.explain(x, references, batch_size=10**6)
        chosen = explainer.explain(x, references)
    for result in (halved, chosen):
        torch.testing.assert_close(result.contributions, whole.contributions, rtol=0, atol=1e-6)


PROGRAM = """
import json, sys
if sys.argv[1] == "pretended":
    import pretend
    pretend.install()
import genolift
from zoo import network, onehot

x, references = onehot(3), onehot(6, seed=1).view(3, 2, 4, -1)
for _ in range(3):
    result = genolift.deeplift(network(), x, references, device="cuda")
print(json.dumps(result.contributions.tolist()))
"""


@gpu
def test_two_processes_share_a_gpu() -> None:
    x, references = _work()
    exact = genolift.deeplift(network(), x, references, device="cpu", precision="float64").contributions
    card = "pretended" if "pretend" in sys.modules else "real"
    both = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, card], stdout=subprocess.PIPE, text=True, cwd=TESTS)
        for _ in range(2)
    ]
    for each in both:
        said, _ = each.communicate(timeout=200)
        assert each.returncode == 0
        assert _error(torch.tensor(json.loads(said.splitlines()[-1])), exact) < 1e-4
