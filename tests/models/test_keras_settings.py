"""Settings and architectures in the formats of older Keras are read as plain values, or refused."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from refusals import refused

import genolift
from genolift.models.keras import keras
from genolift.models.keras.values import plain_value

k = keras.layers
LENGTH = 12


def one_hot(rows: int) -> torch.Tensor:
    codes = torch.randint(4, (rows, LENGTH), generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.one_hot(codes, 4).mT.float().contiguous()


@pytest.fixture
def model() -> Any:
    layers = [k.Conv1D(3, 3), k.LeakyReLU(0.07), k.BatchNormalization(), k.Flatten(), k.Dense(2)]
    return keras.Sequential([k.Input((LENGTH, 4)), *layers])


def spec(folder: Path, architecture: str = "model.json") -> dict[str, str]:
    return {"path": f"{folder}/{architecture}", "weights": f"{folder}/model.weights.h5"}


@pytest.mark.parametrize(
    ("saved", "plain"),
    [
        ({"type": "ndarray", "value": 0.07}, 0.07),
        ({"type": "float32", "value": 0.07}, 0.07),
        ({"class_name": "__numpy__", "config": {"value": [1, 2], "dtype": "int64"}}, [1, 2]),
        ({"class_name": "__tuple__", "items": [1, {"class_name": "__tuple__", "items": [2]}]}, [1, [2]]),
        ({"class_name": "TensorShape", "items": [None, 12, 4]}, [None, 12, 4]),
        ({"type": "os.system", "value": 3}, {"type": "os.system", "value": 3}),
        ({"a": [{"type": "int64", "value": 3}]}, {"a": [3]}),
    ],
    ids=str,
)
def test_a_setting_is_a_plain_value_whatever_it_was(saved: Any, plain: Any) -> None:
    assert plain_value(saved) == plain


def test_settings_saved_as_arrays_and_tuples_are_read(tmp_path: Path, model: Any) -> None:
    model.save_weights(tmp_path / "model.weights.h5")
    text = model.to_json()
    changed = text.replace('"negative_slope": 0.07', '"negative_slope": {"type": "ndarray", "value": 0.07}')
    changed = changed.replace(
        '"kernel_size": [3]', '"kernel_size": {"class_name": "__tuple__", "items": [3]}'
    ).replace(
        '"batch_shape": [null, 12, 4]', '"batch_shape": {"class_name": "TensorShape", "items": [null, 12, 4]}'
    )
    assert changed.count("ndarray") == changed.count("__tuple__") == changed.count("TensorShape") == 1
    (tmp_path / "model.json").write_text(changed)
    torch.testing.assert_close(genolift.load_model(spec(tmp_path))(one_hot(2)), model(one_hot(2).mT))


def test_every_module_of_a_function_that_keras_has_no_longer_can_be_copied(tmp_path: Path) -> None:
    """Keras copies its layers through their settings, where our function would become a path to import."""
    layers = [
        k.Conv1D(3, 3, activation="hard_sigmoid"),
        k.SeparableConv1D(3, 2, activation="hard_sigmoid"),
        k.Conv1DTranspose(3, 2, activation="hard_sigmoid"),
        k.EinsumDense("abc,cd->abd", (None, 4), activation="hard_sigmoid"),
        k.TimeDistributed(k.Dense(4, activation="hard_sigmoid")),
        k.Reshape((2, 10, 2)),
        k.Bidirectional(k.ConvLSTM1D(2, 3, recurrent_activation="hard_sigmoid", return_sequences=True)),
        k.Reshape((-1, 4)),
        k.Bidirectional(k.LSTM(3, activation="hard_sigmoid")),
        k.Activation("hard_sigmoid"),
    ]
    model = keras.Sequential([k.Input((LENGTH, 4)), *layers])
    model.save_weights(tmp_path / "model.weights.h5")
    text = json.dumps(json.loads(model.to_json()) | {"keras_version": "2.15.0"})
    for only_in_3, in_2 in (("DTypePolicy", "Policy"), ("batch_shape", "batch_input_shape")):
        text = text.replace(only_in_3, in_2)
    (tmp_path / "model.json").write_text(text)
    ours = genolift.load_model(spec(tmp_path))
    x = one_hot(2)
    assert float((ours(x) - model(x.mT)).abs().max()) > 1e-4  # its hard sigmoid is different
    for again in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        torch.testing.assert_close(again(x), ours(x))


def as_yaml(model: Any, **given: Any) -> str:
    return yaml.dump(json.loads(model.to_json()), **given)


def test_an_architecture_in_plain_yaml_is_read_with_its_tuples(tmp_path: Path, model: Any) -> None:
    model.save_weights(tmp_path / "model.weights.h5")
    text = as_yaml(model).replace(
        "batch_shape:\n      - null\n      - 12\n      - 4", "batch_shape: !!python/tuple [null, 12, 4]"
    )
    assert "!!python/tuple" in text
    for name in ("model.yaml", "model.yml"):
        (tmp_path / name).write_text(text)
        ours = genolift.load_model(spec(tmp_path, name))
        torch.testing.assert_close(ours(one_hot(2)), model(one_hot(2).mT))


def test_yaml_that_makes_objects_is_refused_and_the_same_in_json_is_read(tmp_path: Path, model: Any) -> None:
    model.save_weights(tmp_path / "model.weights.h5")
    gadget = f"!!python/object/apply:os.system ['touch {tmp_path}/written']"
    (tmp_path / "model.yaml").write_text(as_yaml(model).replace("0.07", gadget))
    message = refused(spec(tmp_path, "model.yaml"))
    assert "model.yaml, line " in message
    assert "is not an architecture in plain YAML: " in message
    assert "write it as JSON with the Keras that wrote it: " in message
    assert not (tmp_path / "written").exists()
    (tmp_path / "model.json").write_text(model.to_json())
    assert genolift.load_model(spec(tmp_path)) is not None
    (tmp_path / "model.yaml").write_text("class_name: &a [*a, *a]\n")
    assert "is not an architecture in plain YAML: " in refused(spec(tmp_path, "model.yaml"))
