"""If a file names no version, its keywords tell which Keras wrote it, or the assumption is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from places import TESTS

import genolift
from genolift.cli.main import main
from genolift.inspection.described import inspect_model
from genolift.models import assumption
from genolift.models.keras import keras
from genolift.models.keras.written_by import generation
from genolift.settings.model import ModelSpec

k = keras.layers
LENGTH = 6
DNA = torch.eye(4).repeat(2, 1, 2)[:, :, :LENGTH]


def pair(
    folder: Path, architecture: dict[str, Any], layers: dict[str, list[str]], **attributes: str
) -> dict[str, str]:
    """Write an architecture and weights in the layout before Keras 3; return the config's section."""
    (folder / "model.json").write_text(json.dumps(architecture))
    with h5py.File(folder / "weights.h5", "w") as file:
        file.attrs.update(attributes)
        file.attrs["layer_names"] = list(layers)
        for name, weights in layers.items():
            own = file.create_group(name)
            own.attrs["weight_names"] = [f"{name}/{weight}:0" for weight in weights]
            for weight in weights:
                own[f"{name}/{weight}:0"] = KERNEL if weight == "kernel" else np.zeros(1, "float32")
    return {"path": f"{folder}/model.json", "weights": f"{folder}/weights.h5"}


KERNEL = np.array([[-4.0], [-2.7], [1.0], [2.7]], "float32")


def dense(words: str) -> dict[str, Any]:
    """Return a model of one dense layer with a hard sigmoid, with the keywords of Keras 1, 2 or 3."""
    of_words: dict[str, Any] = {
        "1": {
            "output_dim": 1,
            "init": "glorot_uniform",
            "bias": True,
            "batch_input_shape": [None, LENGTH, 4],
        },
        "2": {"units": 1, "use_bias": True, "batch_input_shape": [None, LENGTH, 4]},
        "3": {"units": 1, "use_bias": True},
    }
    layer = {
        "class_name": "Dense",
        "config": {"name": "dense", "trainable": True, "activation": "hard_sigmoid", **of_words[words]},
    }
    start = {"class_name": "InputLayer", "config": {"name": "dna", "batch_shape": [None, LENGTH, 4]}}
    layers = [start, layer] if words == "3" else [layer]
    return {"class_name": "Sequential", "config": {"name": "model", "layers": layers}}


def hard_sigmoid(words: str) -> np.ndarray:
    slope = 1 / 6 if words == "3" else 0.2
    return np.clip(slope * (DNA.movedim(1, 2).numpy() @ KERNEL) + 0.5, 0, 1)


def outputs(spec: dict[str, str]) -> np.ndarray:
    with torch.no_grad():
        return genolift.load_model(spec)(DNA).numpy()


@pytest.mark.parametrize("words", ["1", "2", "3"])
def test_a_hard_sigmoid_is_that_of_the_keras_whose_words_the_file_has(
    tmp_path: Path, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    spec = pair(tmp_path, dense(words), {"dense": ["kernel", "bias"]})
    np.testing.assert_allclose(outputs(spec), hard_sigmoid(words), atol=1e-6)
    assert "no version" not in caplog.text
    said = assumption(genolift.load_model(spec))
    assert said is not None
    assert f"written by Keras {words}" in said


def test_settings_are_read_by_the_version_of_the_architecture_and_weights_by_their_own(
    tmp_path: Path,
) -> None:
    spec = pair(tmp_path, dense("3"), {"dense": ["kernel", "bias"]}, keras_version="2.15.0")
    np.testing.assert_allclose(outputs(spec), hard_sigmoid("3"), atol=1e-6)
    spec = pair(tmp_path, dense("2") | {"keras_version": "2.15.0"}, {"dense": ["kernel", "bias"]})
    np.testing.assert_allclose(outputs(spec), hard_sigmoid("2"), atol=1e-6)
    assert assumption(genolift.load_model(spec)) is None


def test_an_architecture_of_keras_3_is_known_with_its_operations(tmp_path: Path) -> None:
    dna = keras.Input((LENGTH, 4), name="dna")
    x = k.Dense(3, activation="hard_sigmoid")(dna)
    model = keras.Model(dna, k.Flatten()(x[:, 1:4] + 1.0))
    model.save_weights(tmp_path / "model.weights.h5")
    (tmp_path / "model.json").write_text(model.to_json())
    spec = {"path": f"{tmp_path}/model.json", "weights": f"{tmp_path}/model.weights.h5"}
    with torch.no_grad():
        np.testing.assert_allclose(outputs(spec), model(DNA.movedim(1, 2)).numpy(), atol=1e-6)


def real_architectures() -> list[Any]:
    records = TESTS / "old_keras"
    return [
        pytest.param(record["architecture"], version[0], id=f"{version} {name}")
        for version in ("1.2.2", "2.3.1")
        for name, record in json.loads((records / f"keras-{version}.json").read_text()).items()
    ]


@pytest.mark.parametrize(("architecture", "words"), real_architectures())
def test_what_old_keras_wrote_is_told_without_its_version(architecture: dict[str, Any], words: str) -> None:
    assert generation({key: value for key, value in architecture.items() if key != "keras_version"}) == words


def test_where_nothing_tells_the_plan_and_the_inspection_say_what_was_assumed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = {"batch_input_shape": [None, LENGTH, 4]}
    flat = {"class_name": "Flatten", "config": {"name": "flat", **shape}}
    soft = {"class_name": "Activation", "config": {"name": "soft", "activation": "softmax"}}
    spec = pair(tmp_path, {"class_name": "Sequential", "config": [flat, soft]}, {"flat": [], "soft": []})
    said = (
        "names no version of Keras, and is read as if written by Keras 1, though nothing in it confirms that"
    )
    genolift.load_model(spec)
    assert said in caplog.text
    assert any(said in note for note in inspect_model(ModelSpec.of(spec)).taken.notes)
    with pytest.raises(SystemExit) as left:
        main(["plan", "--model", spec["path"], "--model-weights", spec["weights"]])
    assert not left.value.code
    assert said in capsys.readouterr().out.splitlines()[0]
