"""Masks of Keras models are passed on as in Keras, or the layer that cannot do so is named.

tests/models/test_keras_agreement.py and test_keras_odd.py check that outputs are those of TensorFlow's Keras.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
from refusals import refused

import genolift
from genolift.engine.graph import recurrent_operations
from genolift.engine.graph.capture import capture
from genolift.models.keras import keras

k = keras.layers
LENGTH = 12


@pytest.fixture
def onehot() -> torch.Tensor:
    codes = torch.randint(4, (4, LENGTH), generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.one_hot(codes, 4).transpose(1, 2).float()
    x[1, :, :3] = x[2, :, 5:7] = x[3, :, -4:] = 0
    return x


def written(folder: Path, *layers: Any) -> dict[str, str]:
    """Write a Sequential model as an architecture and its weights."""
    model = keras.Sequential([k.Input((LENGTH, 4)), *layers])
    (folder / "m.json").write_text(model.to_json())
    model.save_weights(folder / "m.weights.h5")
    return {"path": f"{folder}/m.json", "weights": f"{folder}/m.weights.h5"}


def with_custom_layer(folder: Path, name: str, code: str) -> dict[str, str]:
    """Turn a layer into the user's class Mine, and give a file with a function for it."""
    config = json.loads((folder / "m.json").read_text())
    for layer in config["config"]["layers"]:
        if layer["config"]["name"] == name:
            layer.update(module="mine", class_name="Mine", registered_name="mine>Mine")
    (folder / "m.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(code)
    return {
        "path": f"{folder}/m.json",
        "weights": f"{folder}/m.weights.h5",
        "custom_layers": f"{folder}/mine.py",
    }


def outputs(spec: dict[str, str], onehot: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return genolift.load_model(spec)(onehot)


def test_a_function_of_the_users_says_what_becomes_of_a_mask(tmp_path: Path, onehot: torch.Tensor) -> None:
    doubled, masked, plain = (tmp_path / name for name in ("doubled", "masked", "plain"))
    for folder in (doubled, masked, plain):
        folder.mkdir()
    keras.utils.set_random_seed(0)
    last = k.LSTM(3, name="last")
    written(doubled, k.Masking(), k.ReLU(name="mine"), last)
    right = written(masked, k.Masking(), k.ReLU(), last)
    unmasked = written(plain, k.ReLU(), last)
    code = "def Mine(x):\n    return x + 0\n"
    message = refused(with_custom_layer(doubled, "mine", code))
    assert "layer mine: is given a mask, and its function does not say what happens to it" in message
    assert "write FUNCTION.supports_masking = True below the function" in message
    handed_on = outputs(with_custom_layer(doubled, "mine", code + "Mine.supports_masking = True\n"), onehot)
    ended = outputs(with_custom_layer(doubled, "mine", code + "Mine.supports_masking = False\n"), onehot)
    torch.testing.assert_close(handed_on, outputs(right, onehot))
    torch.testing.assert_close(ended, outputs(unmasked, onehot))
    assert (handed_on - ended).abs().max() > 0.01


def test_a_function_of_the_users_that_has_a_parameter_mask_is_given_it(
    tmp_path: Path, onehot: torch.Tensor
) -> None:
    written(tmp_path, k.Masking(), k.ReLU(name="mine"), k.Flatten())
    code = "def Mine(x, mask):\n    return x + 5 * mask[..., None]\nMine.supports_masking = False\n"
    found = outputs(with_custom_layer(tmp_path, "mine", code), onehot)
    channels_last = onehot.transpose(1, 2)
    expected = channels_last + 5 * channels_last.any(2, keepdim=True)
    torch.testing.assert_close(found, expected.flatten(1))


def test_masks_in_a_merge_of_an_early_keras_3_are_refused(tmp_path: Path) -> None:
    dna = k.Input((LENGTH, 4))
    masked = k.Masking()(dna)
    model = keras.Model(dna, k.LSTM(2)(k.Add(name="both")([masked, k.ReLU()(masked)])))
    (tmp_path / "m.json").write_text(json.dumps({**json.loads(model.to_json()), "keras_version": "3.3.3"}))
    model.save_weights(tmp_path / "m.weights.h5")
    spec = {"path": f"{tmp_path}/m.json", "weights": f"{tmp_path}/m.weights.h5"}
    message = refused(spec)
    assert "layer both: is given a mask, and was written by Keras 3.3.3, which handles masks" in message
    assert (
        "load it in the newest Keras 3, check that its outputs are still right, and save it again" in message
    )


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ((k.Softmax(name="odd"),), "is given a mask of 2 axes for 3"),
        (
            (k.Reshape((3, 4, 4)), k.Masking(), k.TimeDistributed(k.LSTM(2), name="odd")),
            "applies a layer that uses masks to every step of a masked sequence",
        ),
    ],
    ids=["softmax", "steps"],
)
def test_a_mask_that_cannot_be_handed_on_is_refused_before_weights_are_read(
    tmp_path: Path, layers: tuple[Any, ...], said: str
) -> None:
    spec = written(tmp_path, k.Masking(), *layers)
    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        for layer in file["layers"].values():
            for each in list(layer.get("vars", {})):
                del layer["vars"][each]
    message = refused(spec)
    assert "layer odd: " in message
    assert said in message


def test_without_masks_a_recurrent_layer_stays_one_operation(tmp_path: Path, onehot: torch.Tensor) -> None:
    model = genolift.load_model(
        written(tmp_path, k.LSTM(3, return_sequences=True), k.Bidirectional(k.GRU(2)))
    )
    graph = capture(
        model, (onehot,), device=torch.device("cpu"), dtype=torch.float32, after=lambda y: y[:, 0]
    )
    named = [operation.full_name for operation in graph.operations]
    assert sum("lstm" in name or "gru" in name for name in named) == 3
    assert not any("where" in name or "any" in name for name in named)


@pytest.mark.parametrize(
    "layers",
    [
        (k.Masking(), k.LSTM(3)),
        (k.LSTM(3, activation="relu", recurrent_activation="hard_sigmoid"),),
        (k.GRU(2, reset_after=False), k.RepeatVector(4), k.SimpleRNN(2, go_backwards=True)),
    ],
    ids=["masked", "other activations", "other cells"],
)
def test_a_recurrent_layer_that_torch_has_not_is_one_operation_too_and_explained_as_its_steps(
    tmp_path: Path, onehot: torch.Tensor, layers: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = genolift.load_model(written(tmp_path, *layers))
    references = torch.stack([onehot.roll(1, 0), onehot.flip(0, -1)], 1)
    whole = genolift.deeplift(model, onehot, references, rule="rescale", precision="float64")
    graph = capture(
        model, (onehot,), device=torch.device("cpu"), dtype=torch.float32, after=lambda y: y[:, 0]
    )
    recurrent = sum(isinstance(layer, (k.LSTM, k.GRU, k.SimpleRNN)) for layer in layers)
    names = [operation.full_name for operation in graph.operations]
    assert sum(name == "genolift.stepped.default" for name in names) == recurrent
    monkeypatch.setattr(recurrent_operations, "_NAMES", {})
    steps = genolift.deeplift(model, onehot, references, rule="rescale", precision="float64")
    torch.testing.assert_close(whole.contributions, steps.contributions, rtol=1e-9, atol=1e-12)
    assert whole.relative_convergence_error.max() < 1e-9
