"""A capture is kept for further calls on an unchanged model, is never stale, and keeps no model alive."""

from __future__ import annotations

import copy
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import MethodType, ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import genolift
from genolift.engine.graph import capture as capturing
from genolift.explain import captured as captures
from genolift.explain.fingerprint import fingerprint
from genolift.explain.kept import KEPT

X = nn.functional.one_hot(torch.arange(40).reshape(2, 20) * 7 % 4, 4).transpose(1, 2).float()
REFERENCES = X.flip(2)[:, None]
SCALE = 1.0


def shifted(h: Tensor) -> Tensor:
    return h + OFFSETS[0]


OFFSETS = [0.5]


class Model(nn.Module):
    """Has everything by which a model can change."""

    factor = 1.5

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 3, 5)
        self.norm = nn.BatchNorm1d(3)
        self.dense = nn.Linear(48, 2)
        self.scale, self.table = 2.0, {"powers": [1, 2]}
        self.mask = torch.ones(48)
        self.hidden = [nn.Linear(2, 2)]  # no submodule
        self.after: Callable[[Tensor], Tensor] = torch.tanh

    def forward(self, x: Tensor) -> Tensor:
        h = (
            shifted(torch.relu(self.norm(self.conv(x)))).flatten(1)
            * self.mask
            * self.scale
            * SCALE
            * self.factor
        )
        return self.after(self.hidden[0](self.dense(h))) * self.table["powers"][1]


def model() -> Model:
    torch.manual_seed(0)
    return Model().eval()


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What was captured since the test began."""
    seen: list[Any] = []

    def counted(*args: Any, **options: Any) -> Any:
        seen.append(args[0])
        return capturing.capture(*args, **options)

    monkeypatch.setattr(captures, "capture", counted)
    genolift.clear_captures()
    yield seen
    genolift.clear_captures()


def explained(model: Any, **options: Any) -> Tensor:
    return genolift.deeplift(model, X, REFERENCES, **options).contributions


def test_a_second_call_captures_nothing(captured: list[Any]) -> None:
    one = model()
    first = explained(one)
    assert torch.equal(explained(one), first)
    genolift.plan(one, X, rule="rescale")
    explained(one, rule="revealcancel", precision="bfloat16")
    genolift.integrated_gradients(one, X, REFERENCES, steps=3)
    genolift.in_silico_mutagenesis(one, X)
    genolift.Explainer(one, X).explain(X, REFERENCES)
    assert len(captured) == 1
    for other in ({"target": 1}, {"layer": "conv"}, {"keep_final_activation": True}):
        explained(one, **other)
        explained(one, **other)
    assert len(captured) == 4
    assert torch.equal(explained(model()), first)
    assert len(captured) == 5
    genolift.clear_captures()
    explained(one)
    assert len(captured) == 6


def test_functions_that_do_the_same_are_one_target(captured: list[Any]) -> None:
    one = model()
    squares = []
    for _ in range(2):
        for column in (0, 1):
            squares.append(explained(one, target=lambda output, column=column: output[:, column] ** 2))
    assert len(captured) == 2
    assert torch.equal(squares[0], squares[2])
    assert not torch.allclose(squares[0], squares[1])


def _through_numpy(one: Model) -> None:
    one.conv.weight.detach().numpy()[0, 0, 0] += 1


def _in_place(one: Model) -> None:
    with torch.no_grad():
        one.dense.weight.mul_(2)


def _loaded(one: Model) -> None:
    one.load_state_dict({name: value + 0.1 for name, value in one.state_dict().items()})


def _hooked(one: Model) -> None:
    one.conv.register_forward_hook(lambda _, __, output: output * 2)


def _other_module(one: Model) -> None:
    one.conv = nn.Conv1d(4, 3, 5).eval()


def _forward(self: Model, x: Tensor) -> Tensor:
    return Model.forward(self, x) * 3


CHANGES: dict[str, tuple[Callable[[Model], object], str]] = {
    "a weight, in place": (_in_place, "weight dense.weight"),
    "a weight, by .data": (lambda one: one.conv.bias.data.mul_(3), "weight conv.bias"),  # type: ignore[union-attr]
    "a weight, by numpy": (_through_numpy, "weight conv.weight"),
    "all weights": (_loaded, "weight conv.weight"),
    "a buffer": (lambda one: one.norm.running_mean.add_(0.3), "weight norm.running_mean"),  # type: ignore[union-attr]
    "a tensor beside": (lambda one: one.mask.zero_(), "attribute mask"),
    "the precision": (lambda one: one.dense.double(), "weight dense.weight"),
    "the mode": (lambda one: one.train(), "mode of the model"),
    "an attribute": (lambda one: setattr(one, "scale", 3.0), "attribute scale"),
    "one within": (
        lambda one: one.table["powers"].append(3) or one.table.update(powers=[1, 5]),
        "attribute table",
    ),
    "a module in a list": (lambda one: one.hidden[0].weight.data.add_(1), "weight hidden.weight"),
    "a function": (lambda one: setattr(one, "after", torch.sigmoid), "attribute after"),
    "forward": (lambda one: setattr(one, "forward", MethodType(_forward, one)), "forward of the model"),
    "a submodule": (_other_module, "weight conv.weight"),
    "one of another class": (
        lambda one: setattr(one, "conv", nn.Conv1d(4, 3, 5, bias=False).eval()),
        "weight conv.weight",
    ),
    "a layer's setting": (lambda one: setattr(one.norm, "eps", 0.5), "attribute norm.eps"),
    "a hook": (_hooked, "forward hooks of conv"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_no_capture_is_stale_and_an_explainer_names_what_has_changed(what: str) -> None:
    change, name = CHANGES[what]
    one = model()
    explainer = genolift.Explainer(one, X)
    before = genolift.deeplift(one, X, REFERENCES)
    assert torch.equal(explainer.explain(X, REFERENCES).contributions, before.contributions)
    change(one)
    now = genolift.deeplift(one, X, REFERENCES)
    assert torch.allclose(now.output, copy.deepcopy(one).float().eval()(X)[:, 0], atol=1e-6)
    assert torch.allclose(now.output, before.output) == (what in ("the mode", "the precision"))
    with pytest.raises(
        genolift.InputError, match=f"has changed since it was captured: the {name} is another"
    ):
        explainer.explain(X, REFERENCES)


def test_what_a_forward_reads_outside_of_the_model_is_seen_too(monkeypatch: pytest.MonkeyPatch) -> None:
    one = model()
    results = [explained(one)]
    for owner, name, value in (
        (sys.modules[__name__], "SCALE", 0.5),
        (sys.modules[__name__], "OFFSETS", [0.25]),
        (Model, "factor", 1.25),
        (nn.Linear, "forward", lambda self, x: F.linear(x, self.weight * 2, self.bias)),
    ):
        monkeypatch.setattr(owner, name, value)
        results.append(explained(one))
        genolift.clear_captures()
        assert torch.equal(results[-1], explained(one)), name
    assert not any(torch.allclose(a, b) for a, b in pairwise(results))
    monkeypatch.undo()
    assert torch.equal(explained(one), results[0])


class Importing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        import users_settings  # type: ignore[import-not-found]

        return x * users_settings.SCALE


def test_what_is_read_of_a_module_of_the_user_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    users = ModuleType("users_settings")
    users.SCALE, users.other = 1, 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "users_settings", users)
    before = fingerprint(Importing())
    users.other = 2  # type: ignore[attr-defined]
    assert before.change(fingerprint(Importing())) == ""
    users.SCALE = 2  # type: ignore[attr-defined]
    assert before.change(fingerprint(Importing())) == "class of the model"


def test_what_cannot_be_seen_through_is_captured_at_every_call(captured: list[Any]) -> None:
    one = nn.Sequential(nn.Conv1d(4, 1, 20), nn.Flatten())
    view = memoryview(b"1")  # whose bytes may be another's
    one.register_forward_pre_hook(lambda *_: view and None)
    explainer = genolift.Explainer(one, X)
    assert torch.equal(explained(one), explained(one))
    assert len(captured) == 3
    explainer.explain(X, REFERENCES)
    one[0].weight.data.add_(1)
    with pytest.raises(genolift.InputError, match=r"the weight 0\.weight is another"):
        explainer.explain(X, REFERENCES)


USUAL: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "recurrent": (lambda: nn.LSTM(4, 3), (2, 4, 4)),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2, 8), (3, 4, 8)),
    "weight norm": (lambda: torch.nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 3, 3)), (2, 4, 8)),
    "parallel": (lambda: nn.DataParallel(nn.Linear(4, 3)), (2, 4)),
    "compiled in part": (
        lambda: nn.Sequential(torch.compile(nn.Linear(4, 3), backend="eager"), nn.ReLU()),
        (2, 4),
    ),
    "of this file": (Model, (2, 4, 20)),
}


@pytest.mark.parametrize("what", USUAL)
def test_usual_models_are_seen_through_and_do_not_change_by_being_run(what: str) -> None:
    make, shape = USUAL[what]
    one = make().eval()
    before = fingerprint(one)
    assert before.whole
    one(torch.rand(shape))
    assert before.change(fingerprint(one)) == ""


def test_what_is_too_deep_or_odd_to_be_seen_through_is_no_error() -> None:
    one = nn.Linear(4, 1)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    one.deep = deep  # type: ignore[assignment]
    assert not fingerprint(one).whole
    assert fingerprint(one).change(fingerprint(one)) == ""
    assert not fingerprint(nn.LazyLinear(3)).whole
    assert not fingerprint(nn.Sequential(nn.Linear(2, 2, device="meta"))).whole


def test_no_capture_keeps_its_model_alive() -> None:
    one = model()
    gone = weakref.ref(one)
    explainer = genolift.Explainer(one, X, target=lambda output, one=one: output[:, 0] * one.scale)
    explained(one)
    assert len([each for each in KEPT._entries if each.model() is one]) == 2
    del one
    gc.collect()
    assert gone() is None
    assert not [each for each in KEPT._entries if each.model() is None]
    assert torch.isfinite(explainer.explain(X, REFERENCES).contributions).all()


def test_threads_that_begin_together_capture_once(captured: list[Any]) -> None:
    one, results = model(), []
    begin = threading.Barrier(4)

    def run() -> None:
        begin.wait()
        results.append(explained(one))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(captured) == 1
    assert all(torch.equal(each, results[0]) for each in results)


def test_models_of_several_inputs_and_exported_programs_are_kept(captured: list[Any]) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model()

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.inner(x) + y.sum(1, keepdim=True)

    two = Two().eval()
    for _ in range(2):
        genolift.deeplift(two, (X, X[:, 0]), (REFERENCES, X[:, 1:2]))
    assert len(captured) == 1
    rows = torch.export.Dim("batch", min=2)
    program = torch.export.export(model(), (X,), dynamic_shapes=({0: rows},))
    before = explained(program)
    explained(program)
    assert len(captured) == 2
    program.state_dict["dense.weight"].data.mul_(2)
    assert not torch.allclose(explained(program), before)
    assert len(captured) == 3


def test_what_is_kept_takes_a_quarter_of_the_free_memory_at_most(
    captured: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 4 * sum(each.numel() for each in model().parameters())
    monkeypatch.setattr("genolift.engine.devices.Cpu.free", lambda self: 4 * 5 * size)
    models = [model() for _ in range(6)]
    for one in models:
        captures.captured(one, (X,), captures.CaptureKey(captures.CaptureKey.events_of((X,))))
    kept = [each.model() for each in KEPT._entries]
    assert 1 <= len(kept) < len(models)
    assert kept == models[-len(kept) :]


@pytest.mark.parametrize("other", [X[:0], X[..., :15], X[0], X[:, :3]])
def test_an_explainer_refuses_inputs_of_another_shape_than_its_example(other: Tensor) -> None:
    pooled = nn.Sequential(nn.Conv1d(4, 2, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    with pytest.raises(genolift.InputError, match=r"inputs: have shape \(.*the example was \(n, 4, 20\)"):
        genolift.Explainer(pooled, X).explain(other, X[:1])


def test_a_model_is_copied_for_a_capture_and_not_changed() -> None:
    one = model()
    before = copy.deepcopy(one.state_dict())
    explained(one)
    assert all(torch.equal(value, before[name]) for name, value in one.state_dict().items())
    assert not one.training


def test_projected_and_per_base_are_what_other_tools_return() -> None:
    x = X.clone()
    x[0, :, 3] = 0  # an N
    result = genolift.deeplift(model(), x, REFERENCES)
    assert result.hypothetical is not None
    assert result.projected is not None
    assert torch.equal(result.projected, result.hypothetical * x)
    assert torch.equal(result.per_base, result.contributions.sum(1))
    there = x.sum(1) == 1
    assert torch.allclose(result.per_base[there], result.projected.sum(1)[there], atol=1e-6)
    assert result.projected[0, :, 3].abs().sum() == 0
    mutated = genolift.in_silico_mutagenesis(model(), x)
    assert mutated.projected is not None
    assert torch.equal(mutated.projected, mutated.contributions)
    at_layer = genolift.deeplift(model(), x, REFERENCES, layer="conv")
    assert at_layer.projected is None
    assert at_layer.per_base.shape == (2, 16)
    assert genolift.deeplift(model(), 0.5 * x, REFERENCES).projected is None
    two = genolift.deeplift(model(), (x,), (REFERENCES,))
    assert torch.equal(two[0].projected, result.projected)  # type: ignore[arg-type]


HELD = """
import gc, os, psutil, torch
from torch import nn
import genolift
class Large(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 100, 5, padding=2), nn.Linear(5_000, 1)
        self.dense = nn.Linear(20_000, 5_000)
    def forward(self, x):
        return self.head(torch.relu(self.dense(torch.relu(self.conv(x)).flatten(1))))
x = torch.eye(4)[torch.arange(200) * 7 % 4].T[None]
genolift.Explainer(nn.Sequential(nn.Conv1d(4, 1, 200), nn.Flatten()), x)
model = Large()
gc.collect()
before = psutil.Process().memory_info().rss
explainer = genolift.Explainer(model, x)
gc.collect()
weights = sum(each.nbytes for each in model.parameters())
print(weights, psutil.Process().memory_info().rss - before)
"""


@pytest.mark.slow
def test_a_capture_holds_the_weights_once() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    weights, held = map(int, done.stdout.split())
    assert weights > 400e6
    assert held < 1.1 * weights
