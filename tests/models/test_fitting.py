"""Weights fit the class under the names that trainers give them; other errors say how to fix the misfit."""

from __future__ import annotations

import argparse
import logging
import random
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused_by
from safetensors.torch import save_file
from torch import Tensor, nn

import genolift
from genolift.models import make_module

SOURCE = """
from torch import nn
from torch.nn.utils import weight_norm
from torch.nn.utils.parametrizations import weight_norm as new_weight_norm


class Net(nn.Module):
    def __init__(self, filters: int = 3, n_layers: int = 2, tasks: int = 2):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, filters, 5), nn.BatchNorm1d(filters)
        self.blocks = nn.ModuleList(nn.Conv1d(filters, filters, 3, padding=1) for _ in range(n_layers))
        self.out = nn.Linear(filters, tasks)

    def forward(self, x):
        h = self.norm(self.conv(x)).relu()
        for block in self.blocks:
            h = h + block(h).relu()
        return self.out(h.mean(-1))


class Required(Net):
    def __init__(self, filters: int):
        super().__init__(filters)


class Wrapper(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Net()

    def forward(self, x):
        return self.inner(x)


class Renamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.head = nn.Conv1d(4, 3, 5), nn.Linear(3, 2)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight


class Untied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)


class Larger(Net):
    def __init__(self):
        super().__init__()
        self.more = nn.Linear(2, 5)


class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.LazyConv1d(3, 5), nn.LazyLinear(2)


class OldNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(4, 3, 5))


class NewNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = new_weight_norm(nn.Conv1d(4, 3, 5))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(SOURCE)
    torch.manual_seed(0)
    return tmp_path


def made(folder: Path, name: str = "Net", **arguments: Any) -> nn.Module:
    return make_module(f"{folder}/model.py:{name}", arguments)


def loaded(folder: Path, saved: Any, name: str = "Net", **more: Any) -> nn.Module:
    torch.save(saved, folder / "saved.pt")
    model = genolift.load_model({"path": f"{folder}/saved.pt", "class": f"{folder}/model.py:{name}", **more})
    assert isinstance(model, nn.Module)
    return model


def refused(folder: Path, saved: Any, name: str = "Net", **more: Any) -> str:
    return refused_by(lambda: loaded(folder, saved, name, **more))


def check_same(model: nn.Module, weights: dict[str, Tensor]) -> None:
    found = model.state_dict()
    assert all(torch.equal(found[key], value) for key, value in weights.items())


def prefixed(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return OrderedDict((prefix + key, value) for key, value in weights.items())


@pytest.mark.parametrize(
    "prefix",
    ["module.", "model.", "module.model.", "_orig_mod.", "model._orig_mod.", "net.", "any.thing.of.mine."],
)
def test_a_prefix_that_all_keys_share_is_taken_off(folder: Path, prefix: str) -> None:
    weights = made(folder).state_dict()
    check_same(loaded(folder, prefixed(weights, prefix)), weights)


def test_what_compiling_a_layer_puts_into_its_keys_is_taken_out(folder: Path) -> None:
    weights = made(folder).state_dict()
    saved = {key.replace("blocks.", "blocks._orig_mod."): value for key, value in weights.items()}
    check_same(loaded(folder, saved), weights)


def test_a_wrappers_class_takes_the_weights_of_what_is_in_it(folder: Path) -> None:
    weights = made(folder).state_dict()
    check_same(loaded(folder, weights, "Wrapper").inner, weights)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_a_trainers_checkpoint_holds_weights_among_others(folder: Path, key: str) -> None:
    weights = made(folder).state_dict()
    saved = {key: weights, "epoch": 3, "optimizer": {"state": {0: {"step": 1}}, "param_groups": []}}
    check_same(loaded(folder, saved), weights)


def test_of_two_sets_of_weights_in_a_checkpoint_the_one_left_out_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights, other = made(folder).state_dict(), made(folder).state_dict()
    with caplog.at_level(logging.WARNING, "genolift"):
        check_same(loaded(folder, {"model": weights, "ema": other}), weights)
    assert "using the weights under 'model'; ignored: ema" in caplog.text


def test_a_checkpoint_without_weights_says_what_it_holds(folder: Path) -> None:
    message = refused(folder, {"ema": made(folder).state_dict(), "epoch": 3})
    assert (
        "holds ema, epoch, but no state dict; save model.state_dict(), alone or under 'state_dict'" in message
    )
    assert "holds no weights" in refused(folder, {})


def test_a_lightning_modules_other_keys_are_left_out_and_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = made(folder).state_dict()
    saved = {"state_dict": prefixed(weights, "model.") | {"criterion.weight": torch.ones(2)}}
    with caplog.at_level(logging.WARNING, "genolift"):
        check_same(loaded(folder, saved), weights)
    assert "ignored keys that are not the model's: criterion.*" in caplog.text


def test_a_loss_beside_a_models_own_keys_is_left_out_and_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = made(folder).state_dict()
    with caplog.at_level(logging.WARNING, "genolift"):
        check_same(loaded(folder, weights | {"loss_fn.pos_weight": torch.ones(2)}), weights)
    assert "ignored keys that are not the model's: loss_fn.*" in caplog.text
    assert "1 unexpected (head.weight)" in refused(folder, weights | {"head.weight": torch.ones(2)})


def test_of_several_models_in_a_file_none_is_guessed(folder: Path) -> None:
    weights = made(folder).state_dict()
    message = refused(folder, prefixed(weights, "teacher.") | prefixed(weights, "student."))
    assert "several sets of weights that fit" in message
    assert "(student.*, teacher.*); save only the one to explain" in message
    check_same(loaded(folder, prefixed(weights, "model.") | prefixed(weights, "teacher.")), weights)


def test_a_lightning_checkpoint_with_pickled_settings_is_refused_naming_them(folder: Path) -> None:
    saved = {"state_dict": made(folder).state_dict(), "hyper_parameters": {"folder": folder}}
    message = refused(folder, saved)
    assert "holds pickled objects besides tensors (pathlib.PosixPath), which could run code" in message
    assert "set trust: true" in message
    check_same(loaded(folder, saved, trust=True), saved["state_dict"])  # type: ignore[arg-type]


def test_a_batch_norms_count_may_be_missing(folder: Path) -> None:
    weights = made(folder).state_dict()
    del weights["norm.num_batches_tracked"]
    check_same(loaded(folder, weights), weights)


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.parametrize(("saved", "wanted"), [("OldNorm", "NewNorm"), ("NewNorm", "OldNorm")])
def test_weight_norm_is_read_under_its_old_and_its_new_names(folder: Path, saved: str, wanted: str) -> None:
    model = made(folder, saved)
    x = torch.rand(2, 4, 9)
    assert torch.allclose(loaded(folder, model.state_dict(), wanted).conv(x), model.conv(x), atol=1e-6)


def test_a_tensor_that_layers_share_may_be_saved_once(folder: Path) -> None:
    weights = made(folder, "Shared").state_dict()
    del weights["second.weight"]
    save_file(weights, folder / "shared.safetensors")
    model = genolift.load_model(
        {"path": f"{folder}/shared.safetensors", "class": f"{folder}/model.py:Shared"}
    )
    assert torch.equal(model.second.weight, weights["first.weight"])


def test_two_weights_for_a_tensor_that_layers_share_are_refused(folder: Path) -> None:
    weights = {key: value.clone() for key, value in made(folder, "Shared").state_dict().items()}
    check_same(loaded(folder, weights, "Shared"), weights)
    weights["second.weight"] += 1
    assert "first.weight and second.weight differ, but are one weight in" in refused(
        folder, weights, "Shared"
    )


@pytest.mark.parametrize(
    ("trained", "named", "said"),
    [
        (
            "Net",
            "Larger",
            "the class has layers without weights in the file: name the class that was trained",
        ),
        ("Larger", "Net", "name the class that has them"),
        (
            "Larger",
            "Untied",
            "none of the keys belongs to the class: name the class that the weights were trained in",
        ),
        ("Untied", "Shared", "name the class that was trained, in which they are separate"),
    ],
)
def test_naming_the_class_that_was_trained_mends_what_another_is_refused_for(
    folder: Path, trained: str, named: str, said: str
) -> None:
    weights = {key: value.clone() for key, value in made(folder, trained).state_dict().items()}
    assert said in refused(folder, weights, named)
    check_same(loaded(folder, weights, trained), weights)


def test_layers_that_learn_their_sizes_take_those_of_the_weights(folder: Path) -> None:
    weights = {
        "conv.weight": torch.rand(3, 4, 5),
        "conv.bias": torch.rand(3),
        "out.weight": torch.rand(2, 3),
        "out.bias": torch.rand(2),
    }
    check_same(loaded(folder, weights, "Lazy"), weights)


def test_half_precision_weights_are_read_in_the_classs_own(folder: Path) -> None:
    weights = made(folder).half().state_dict()
    assert loaded(folder, weights).conv.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        ({"filters": 7}, "set arguments: {filters: 7}"),
        ({"n_layers": 4}, "set arguments: {n_layers: 4}"),
        ({"n_layers": 1}, "set arguments: {n_layers: 1}"),
        ({"filters": 7, "tasks": 5}, "set arguments: {filters: 7, tasks: 5}"),
    ],
)
def test_the_arguments_that_would_fit_are_said(folder: Path, arguments: dict[str, int], mend: str) -> None:
    message = refused(folder, prefixed(made(folder, **arguments).state_dict(), "model."))
    assert "weights do not fit" in message
    assert mend in message
    assert len(message) < 600


def test_the_arguments_that_a_checkpoint_says_are_hinted_at(folder: Path) -> None:
    said = {"state_dict": made(folder, filters=7).state_dict(), "hyper_parameters": {"filters": 7, "lr": 0.1}}
    assert "set arguments: {filters: 7}" in refused(folder, said)
    message = refused(folder, said, "Required")
    assert "Required() raises TypeError" in message
    assert "it takes (filters: int)" in message
    assert "the checkpoint's hyper_parameters say {'filters': 7}" in message


def test_renamed_layers_are_said_by_their_names(folder: Path) -> None:
    weights = made(folder, "Renamed").state_dict()
    saved = {key.replace("c1", "conv1"): value for key, value in weights.items()}
    message = refused(folder, saved, "Renamed")
    assert "2 missing (c1.weight, c1.bias), 2 unexpected (conv1.weight, conv1.bias)" in message
    assert "the file has conv1.* where the class has c1.*: rename the keys" in message


def test_the_weights_of_another_model_are_said(folder: Path) -> None:
    message = refused(folder, {"encoder.weight": torch.rand(2, 2)})
    assert "none of the keys belongs to the class: name the class that the weights were trained in" in message


def as_numpy_1_writes(path: Path) -> None:
    """Name numpy's functions in a file as numpy 1 did."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in held.items():
            archive.writestr(name, data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))


@pytest.mark.parametrize("old", [False, True], ids=["numpy 2", "numpy 1"])
@pytest.mark.parametrize(
    "beside",
    [
        np.float64(0.25),
        np.int64(3),
        np.bool_(True),
        np.str_("val"),
        np.datetime64("2026-01-01"),
        np.arange(6.0).reshape(2, 3).T,
        np.array(["first", "second"]),
        {"numpy": np.random.RandomState(0).get_state(), "python": random.getstate()},
        {"torch": torch.get_rng_state(), "generator": np.random.default_rng(0).bit_generator.state},
    ],
    ids=["float", "int", "bool", "text", "date", "array", "texts", "random states", "generators' states"],
)
def test_what_numpy_counted_or_drew_in_training_may_stand_beside_weights(
    folder: Path, beside: Any, old: bool
) -> None:
    weights = made(folder).state_dict()
    torch.save({"state_dict": weights, "beside": beside}, folder / "saved.pt")
    if old:
        as_numpy_1_writes(folder / "saved.pt")
    given = {"path": f"{folder}/saved.pt", "class": f"{folder}/model.py:Net"}
    check_same(genolift.load_model(given), weights)  # type: ignore[arg-type]


def test_a_checkpoint_that_holds_other_objects_too_is_refused_and_each_remedy_works(folder: Path) -> None:
    weights = made(folder).state_dict()
    for beside in (argparse.Namespace(lr=0.1), np.random.default_rng(0), np.array([None, {}], dtype=object)):
        saved = {"state_dict": weights, "loss": np.float64(1.5), "beside": beside}
        message = refused(folder, saved)
        assert "holds pickled objects besides tensors" in message
        assert "numpy._core" not in message
        assert "save its state_dict() and name its class, or, if you trust its source, set trust" in message
        check_same(loaded(folder, saved, trust=True), weights)
        again = torch.load(folder / "saved.pt", weights_only=False)["state_dict"]
        check_same(loaded(folder, again), weights)


def test_weights_that_are_arrays_are_read(folder: Path) -> None:
    weights = made(folder).state_dict()
    arrays = {key: value.numpy().astype(">f8") for key, value in weights.items()}
    check_same(loaded(folder, arrays), weights)
    check_same(loaded(folder, {"model": arrays, "loss": np.float32(3)}), weights)
    message = refused(folder, {"loss": np.float64(1.5), "net": weights})
    assert (
        "holds loss, net, but no state dict; save model.state_dict(), alone or under 'state_dict'" in message
    )
    assert "no state dict" in refused(folder, {key: np.array(["text"]) for key in weights})
    np.savez(folder / "arrays.npz", weight=np.zeros(3))
    with pytest.raises(genolift.InputError, match="holds no weights that can be read: it is numpy arrays"):
        genolift.load_model(folder / "arrays.npz")


def test_numbers_of_numpys_in_hyper_parameters_are_said_as_a_config_takes_them(folder: Path) -> None:
    given = {"filters": np.int64(7), "lr": np.float64(0.1)}
    said = {"state_dict": made(folder, filters=7).state_dict(), "hyper_parameters": given}
    assert "set arguments: {filters: 7}" in refused(folder, said)


def test_a_pointer_of_git_lfs_is_said(folder: Path) -> None:
    (folder / "saved.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(
        genolift.InputError, match="is a Git LFS pointer, not the file itself; run git lfs pull"
    ):
        genolift.load_model(folder / "saved.pt")
