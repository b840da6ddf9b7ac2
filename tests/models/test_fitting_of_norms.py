"""Weights are read however a norm stores them; of extra entries, only those without effect are ignored."""

from __future__ import annotations

import io
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused_by
from torch import Tensor, nn
from torch.nn.utils import prune, weight_norm

import genolift
from genolift.models import make_module
from genolift.models.parametrized import made_plain

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
SOURCE = """
import torch
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm


class Net(nn.Module):
    '''A convolution, a transposed one and a recurrent layer, each with its weight kept in one way.'''

    def __init__(self, norm=lambda layer, name="weight", **options: layer):
        super().__init__()
        self.conv, self.up = norm(nn.Conv1d(4, 6, 5)), norm(nn.ConvTranspose1d(6, 6, 3))
        self.rnn = norm(nn.GRU(6, 4, batch_first=True), name="weight_hh_l0")
        self.out = norm(nn.Linear(4, 2))

    def forward(self, x):
        h = self.up(self.conv(x).relu()).relu()
        return self.out(self.rnn(h.mT)[0][:, -1])


def plain(): return Net()
def old_weight(): return Net(weight_norm)
def new_weight(): return Net(parametrizations.weight_norm)
def old_spectral(): return Net(spectral_norm)
def new_spectral(): return Net(parametrizations.spectral_norm)


class Counted(nn.Module):
    def __init__(self, state=None, places=True):
        super().__init__()
        self.conv, self.state = nn.Conv1d(4, 3, 5), state
        if places:
            self.register_buffer("position_ids", torch.arange(9)[None])
        self.register_buffer("angles", torch.arange(3) / 3, persistent=False)

    def forward(self, x):
        return self.conv(x).mean(-1) * self.angles


class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.state = nn.Conv1d(4, 3, 5), {"scale": 1.0}

    def get_extra_state(self):
        return self.state

    def set_extra_state(self, state):
        self.state = state

    def forward(self, x):
        return self.conv(x).mean(-1) * self.state["scale"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(SOURCE)
    torch.manual_seed(0)
    return tmp_path


def made(folder: Path, name: str, **arguments: Any) -> nn.Module:
    return make_module(f"{folder}/model.py:{name}", arguments)


def trained(folder: Path, name: str) -> nn.Module:
    """Return a model whose weights are not the initial ones; norms with statistics have seen inputs."""
    model = made(folder, name)
    for _ in range(2):
        model(torch.rand(2, 4, 30))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + torch.rand_like(parameter))
    return model.eval()


def loaded(folder: Path, saved: Any, name: str, **more: Any) -> nn.Module:
    torch.save(saved, folder / "saved.pt")
    model = genolift.load_model({"path": f"{folder}/saved.pt", "class": f"{folder}/model.py:{name}", **more})
    assert isinstance(model, nn.Module)
    return model


def refused(folder: Path, saved: Any, name: str, **more: Any) -> str:
    return refused_by(lambda: loaded(folder, saved, name, **more))


def check_outputs(found: nn.Module, expected: nn.Module) -> None:
    x = torch.rand(3, 4, 30)
    with torch.no_grad():
        assert torch.allclose(found(x), expected(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("saved", "wanted"),
    [
        *[
            (f"{age}_{kind}", wanted)
            for kind in ("weight", "spectral")
            for age in ("old", "new")
            for wanted in (f"old_{kind}", f"new_{kind}", "plain")
        ],
        ("plain", "old_weight"),
        ("plain", "new_weight"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_normed_weight_is_read_in_any_way_that_it_is_kept(
    folder: Path, saved: str, wanted: str, prefix: str
) -> None:
    model = trained(folder, saved)
    weights = {prefix + key: value for key, value in model.state_dict().items()}
    check_outputs(loaded(folder, weights, wanted), model)


@pytest.mark.parametrize("name", ["old_weight", "new_spectral"])
def test_a_model_with_a_norm_is_explained(folder: Path, name: str) -> None:
    model = trained(folder, name)
    found = loaded(folder, model.state_dict(), name.replace("new", "old"))
    x = nn.functional.one_hot(torch.randint(4, (4, 30)), 4).mT.float()
    result = genolift.deeplift(found, x[:2], x[2:])
    assert result.convergence_error.max() < 1e-5
    with torch.no_grad():
        assert torch.allclose(result.output, model(x[:2])[:, 0], atol=1e-5)


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_is_undone_along_whatever_axis_it_is(dim: int | None) -> None:
    normed = weight_norm(nn.Conv1d(4, 6, 5), dim=dim)
    weights = dict(normed.state_dict())
    made_plain(weights, ["weight"], [])
    normed(torch.rand(1, 4, 9))
    assert torch.allclose(weights["weight"], normed.weight, atol=1e-6)


def test_a_pruned_weight_is_read_as_it_is_used(folder: Path) -> None:
    model = trained(folder, "plain")
    prune.random_unstructured(model.conv, "weight", 0.5)
    check_outputs(loaded(folder, model.state_dict(), "plain"), model)


def test_a_spectral_norm_that_the_file_has_not_is_refused_with_its_mend(folder: Path) -> None:
    weights = trained(folder, "plain").state_dict()
    message = refused(folder, weights, "old_spectral")
    assert (
        "the file has conv.weight, up.weight, rnn.weight_hh_l0, ... without a norm: remove it from the"
        in message
    )
    check_outputs(loaded(folder, weights, "plain"), loaded(folder, weights, "plain"))


def test_another_models_weights_are_not_taken_for_a_norm(folder: Path) -> None:
    weights = trained(folder, "old_spectral").state_dict()
    assert "missing" in refused(
        folder, {key: value for key, value in weights.items() if "_u" not in key}, "plain"
    )
    weights["conv.weight_u"] = torch.ones(7)
    assert "weights do not fit" in refused(folder, weights, "plain")
    weights = trained(folder, "old_weight").state_dict()
    weights["conv.weight_g"] = torch.ones(3, 1, 1)
    assert "weights do not fit" in refused(folder, weights, "plain")
    assert "missing" in refused(folder, trained(folder, "old_weight").state_dict(), "old_spectral")


SPARE: dict[str, Tensor] = {
    "total_ops": torch.zeros(1, dtype=torch.float64),
    "conv.total_params": torch.zeros(1, dtype=torch.float64),
    "conv.num_batches_tracked": torch.tensor(7),
    "embeddings.position_ids": torch.arange(12)[None],
    "embeddings.token_type_ids": torch.zeros(1, 12, dtype=torch.int64),
    "angles": torch.arange(3) / 3,
}


@pytest.mark.parametrize("key", SPARE)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_what_the_class_does_not_need_is_left_out_and_said(
    folder: Path, key: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = made(folder, "Counted")
    weights = {prefix + name: value for name, value in (model.state_dict() | {key: SPARE[key]}).items()}
    with caplog.at_level(logging.WARNING, "genolift"):
        check_outputs(loaded(folder, weights, "Counted"), model)
    assert (
        f"ignored keys that {folder}/model.py:Counted does not need: {key.rpartition('.')[2]}" in caplog.text
    )


def test_what_only_looks_like_a_constant_is_not_left_out(folder: Path) -> None:
    weights = made(folder, "Counted").state_dict()
    others = {
        "total_ops": torch.zeros(2),
        "embeddings.position_ids": torch.tensor([[0, 2, 1]]),
        "embeddings.token_type_ids": torch.tensor([[0, 1]]),
        "conv2.weight": torch.ones(3, 3, 5),
    }
    for key, value in others.items():
        message = refused(folder, weights | {key: value}, "Counted")
        assert (
            f"1 unexpected ({key}); name the class that has them, or, if its outputs are the same" in message
        )
        assert "delete them from the state dict and save it again" in message
    check_outputs(loaded(folder, weights, "Counted"), loaded(folder, weights, "Counted"))


def test_places_that_a_class_makes_may_be_missing(folder: Path) -> None:
    model = made(folder, "Counted")
    weights = model.state_dict()
    del weights["position_ids"]
    check_outputs(loaded(folder, weights, "Counted"), model)
    del weights["conv.bias"]
    message = refused(folder, weights, "Counted")
    assert "1 missing (conv.bias); the class has layers without weights in the file" in message


def test_a_buffer_that_the_class_computes_otherwise_is_refused_with_its_mend(folder: Path) -> None:
    angles = torch.tensor([1.0, 2.0, 3.0])
    weights = made(folder, "Counted").state_dict() | {"angles": angles}
    message = refused(folder, weights, "Counted")
    assert "the class computes angles with different values: register them with persistent=True" in message
    (folder / "model.py").write_text(SOURCE.replace("persistent=False", "persistent=True"))
    assert torch.equal(loaded(folder, weights, "Counted").angles, angles)


STATES = {
    "tensor": torch.ones(2),
    "bytes": b"abc",
    "mapping": {"scale": 2.0},
    "none": None,
    "stream": io.BytesIO(b"abc"),
    "empty": b"",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("key", ["_extra_state", "conv._extra_state"])
def test_extra_state_that_the_class_does_not_keep_is_left_out_and_said(
    folder: Path, state: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = made(folder, "Counted")
    with caplog.at_level(logging.WARNING, "genolift"):
        found = loaded(folder, {"state_dict": {**model.state_dict(), key: STATES[state]}}, "Counted")
    check_outputs(found, model)
    assert "model.py:Counted does not need: _extra_state" in caplog.text


def test_extra_state_is_given_to_the_class_that_keeps_it(folder: Path) -> None:
    model = made(folder, "Stateful")
    model.state = {"scale": 3.0}
    check_outputs(loaded(folder, model.state_dict(), "Stateful"), model)
    weights = {key: value for key, value in model.state_dict().items() if key != "_extra_state"}
    assert "1 missing (_extra_state)" in refused(folder, weights, "Stateful")


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("kind", ["bytes", "tensor", "stream", "within"])
def test_extra_state_that_may_be_a_pickle_is_given_to_a_class_only_when_trusted(
    folder: Path, kind: str, protocol: int
) -> None:
    held = pickle.dumps({"scale": 3.0}, protocol)
    state = {
        "bytes": held,
        "tensor": torch.frombuffer(bytearray(held), dtype=torch.uint8),
        "stream": io.BytesIO(held),
        "within": {"scale": [held]},
    }[kind]
    weights = {**made(folder, "Stateful").state_dict(), "_extra_state": state}
    message = refused(folder, weights, "Stateful")
    assert "_extra_state may be a pickle" in message
    assert "if you trust its source, set trust: true" in message
    assert type(loaded(folder, weights, "Stateful", trust=True).state) is type(state)
