"""Models written by Keras 3 give its outputs, in double precision too, and are attributed exactly."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import genolift
from genolift.models.keras import keras  # which it puts on torch

k = keras.layers

LENGTH = 12


def siamese(x: Any) -> Any:
    tower = keras.Sequential([k.Conv1D(3, 4, activation="relu"), k.GlobalMaxPooling1D()])
    return k.Maximum()([tower(x), tower(k.Activation("tanh")(x))])


def nested(x: Any) -> Any:
    y = k.Input((LENGTH, 4))
    inner = keras.Model(y, [k.Conv1D(3, 3, activation="relu")(y), k.GlobalMaxPooling1D()(y)], name="inner")
    first, second = inner(x), inner(k.Activation("tanh")(x))
    return k.Concatenate()([k.Flatten()(first[0]), second[1], first[1]])


def residual(x: Any) -> Any:
    y = k.Conv1D(4, 3, padding="same")(x)
    return k.Add()([x, k.ReLU()(k.BatchNormalization()(y))]) * 2.0 - k.Conv1D(4, 1)(x)


MODELS: dict[str, Callable[[Any], Any]] = {
    "convolution": lambda x: k.Conv1D(3, 3, strides=2, activation="gelu")(x),
    "causal": lambda x: k.Conv1D(3, 3, dilation_rate=2, padding="causal", activation="elu")(x),
    "separable": lambda x: k.SeparableConv1D(3, 3, padding="same", activation="relu")(x),
    "depthwise": lambda x: k.DepthwiseConv1D(3, depth_multiplier=2, activation="softplus")(x),
    "transposed": lambda x: k.Conv1DTranspose(3, 4, strides=2, padding="same", activation="relu")(x),
    "two dimensions": lambda x: k.Conv2D(3, (1, 3), activation="relu")(k.Reshape((1, LENGTH, 4))(x)),
    "batch normalization": lambda x: k.ReLU()(k.BatchNormalization()(k.Conv1D(3, 3)(x))),
    "layer normalization": lambda x: k.LayerNormalization()(k.Conv1D(3, 3)(x)),
    "group normalization": lambda x: k.GroupNormalization(2)(k.Conv1D(4, 3)(x)),
    "LSTM": lambda x: k.LSTM(3)(x),
    "GRU": lambda x: k.Bidirectional(k.GRU(3, return_sequences=True))(x),
    "GRU reset first": lambda x: k.GRU(3, reset_after=False, go_backwards=True)(x),
    "simple recurrent": lambda x: k.SimpleRNN(3)(x),
    "attention": lambda x: k.MultiHeadAttention(2, 3)(x, x),
    "pooling": lambda x: k.AveragePooling1D(2)(k.MaxPooling1D(3, padding="same", strides=2)(k.Dense(3)(x))),
    "shapes": lambda x: k.Cropping1D((1, 2))(k.UpSampling1D(2)(k.ZeroPadding1D(1)(k.Permute((2, 1))(x)))),
    "repeated": lambda x: k.RepeatVector(3)(k.Dense(3, activation="relu")(k.Flatten()(x))),
    "activations": lambda x: k.LeakyReLU()(k.PReLU()(k.Dense(3, activation="hard_sigmoid")(x))),
    "time distributed": lambda x: k.TimeDistributed(k.Dense(3, activation="relu"))(x),
    "operations": residual,
    "shared": siamese,
    "nested": nested,
}


def made(build: Callable[[Any], Any], shape: tuple[int | None, ...] = (LENGTH, 4)) -> Any:
    """Return a model with random weights, including the statistics of batch normalization."""
    x = k.Input(shape, name="dna")
    y = build(x)
    model = keras.Model(x, k.Dense(2, name="out")(k.Flatten()(y) if len(y.shape) > 2 else y))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 0.8, weight.shape) - 0.3 for weight in model.get_weights()])
    for layer in model.layers:
        if isinstance(layer, k.BatchNormalization):
            layer.moving_variance.assign(random.uniform(0.5, 2, layer.moving_variance.shape))
    return model


def one_hot(rows: int, length: int = LENGTH) -> torch.Tensor:
    drawn = np.random.default_rng(1).integers(0, 4, (rows, length))
    return torch.as_tensor(np.eye(4, dtype="float32")[drawn]).mT.contiguous()


def test_the_other_strand_may_be_taken_by_slices_which_torch_has_not(tmp_path: Path) -> None:
    x = k.Input((LENGTH, 4))
    tower = keras.Sequential([k.Conv1D(3, 4, activation="relu"), k.GlobalMaxPooling1D(), k.Dense(1)])
    model = keras.Model(x, k.Maximum()([tower(x), tower(x[..., ::-1, ::-1])]))
    model.save(tmp_path / "model.keras")
    ours = genolift.load_model(f"{tmp_path}/model.keras")
    both = one_hot(3)
    expected = torch.maximum(tower(both.mT), tower(both.flip(1, 2).mT))
    torch.testing.assert_close(ours(both), expected)
    result = genolift.deeplift(ours, both[:2], both[2:], precision="float64")
    assert float(result.convergence_error.max()) < 1e-9


def largest_difference(ours: torch.Tensor, expected: Any) -> float:
    return float(np.abs(ours.detach().numpy() - np.asarray(expected.detach())).max())


@pytest.mark.parametrize("name", MODELS)
def test_a_model_gives_kerass_output_and_is_attributed_exactly(tmp_path: Path, name: str) -> None:
    model = made(MODELS[name])
    x, bases = one_hot(3), one_hot(3).mT
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        ours = genolift.load_model(str(tmp_path / f"model{suffix}"))
        assert largest_difference(ours(x), model(bases)) < 1e-5
    result = genolift.deeplift(ours, x[:2], x[2:], target=1, rule="rescale", precision="float64")
    assert float(result.convergence_error.max()) < 1e-9


def test_an_architecture_in_json_takes_the_weights_of_either_suffix(tmp_path: Path) -> None:
    model = made(nested)
    (tmp_path / "model.json").write_text(model.to_json())
    model.save_weights(tmp_path / "own.weights.h5")
    ours = genolift.load_model({"path": f"{tmp_path}/model.json", "weights": f"{tmp_path}/own.weights.h5"})
    assert largest_difference(ours(one_hot(3)), model(one_hot(3).mT)) < 1e-5


@pytest.mark.parametrize("name", ["nested", "attention", "GRU", "operations"])
def test_weights_named_by_class_and_number_alone_find_their_layers(tmp_path: Path, name: str) -> None:
    model = made(MODELS[name])
    model.save(tmp_path / "model.keras")
    without_names(tmp_path / "model.keras")
    ours = genolift.load_model(f"{tmp_path}/model.keras")
    assert largest_difference(ours(one_hot(3)), model(one_hot(3).mT)) < 1e-5


def test_weights_in_the_layout_of_keras_212_find_their_layers(tmp_path: Path) -> None:
    model = made(lambda x: k.Conv1D(3, 3)(k.Conv1D(3, 3)(k.Dropout(0.1)(k.Conv1D(3, 3)(x)))))
    model.save(tmp_path / "model.keras")
    # each layer with weights was counted twice there, but listed once
    moved = {"conv1d": "conv1d", "conv1d_1": "conv1d_2", "conv1d_2": "conv1d_4", "dense": "dense"}
    without_names(tmp_path / "model.keras", moved)
    ours = genolift.load_model(f"{tmp_path}/model.keras")
    assert largest_difference(ours(one_hot(3)), model(one_hot(3).mT)) < 1e-5


def without_names(path: Path, moved: dict[str, str] | None = None) -> None:
    """Rewrite a .keras without the layers' names, which older versions of Keras left out."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    weights = path.with_suffix(".h5")
    weights.write_bytes(files["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        groups: list[h5py.Group] = []
        file.visititems(lambda _, each: groups.append(each))
        for group in groups:
            group.attrs.pop("name", None)
        if moved is not None:
            for old, new in moved.items():
                file.copy(f"layers/{old}", f"_layer_checkpoint_dependencies/{new}")
            del file["layers"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, weights.read_bytes() if name == "model.weights.h5" else content)


def test_double_precision_is_not_rounded_on_the_way(tmp_path: Path) -> None:
    model = made(lambda x: k.Dense(3, activation="tanh")(k.BatchNormalization()(k.Conv1D(3, 3)(x))))
    model.save(tmp_path / "model.keras")
    result = genolift.deeplift(
        genolift.load_model(f"{tmp_path}/model.keras"), one_hot(2), one_hot(3)[2:], precision="float64"
    )
    kernel, bias, gamma, beta, mean, variance, inner, inner_bias, outer, outer_bias = (
        torch.as_tensor(weight).double() for weight in model.get_weights()
    )
    y = torch.nn.functional.conv1d(one_hot(2).double(), kernel.permute(2, 1, 0), bias).mT
    y = torch.tanh(((y - mean) / (variance + 1e-3).sqrt() * gamma + beta) @ inner + inner_bias)
    expected = (y.flatten(1) @ outer + outer_bias)[:, 0]
    torch.testing.assert_close(result.output.double(), expected, rtol=0, atol=1e-12)
    own = genolift.load_model(f"{tmp_path}/model.keras").double()
    torch.testing.assert_close(own(one_hot(2).double())[:, 0], expected, rtol=0, atol=1e-12)


def test_an_output_of_several_is_named_by_its_layer(tmp_path: Path) -> None:
    x = k.Input((LENGTH, 4))
    y = k.Flatten()(k.Conv1D(3, 3, activation="relu")(x))
    keras.Model(x, [k.Dense(3, name="counts")(y), k.Dense(1, name="score")(y)]).save(tmp_path / "model.keras")
    model = genolift.load_model(f"{tmp_path}/model.keras")
    inputs = one_hot(2)
    output = model(inputs)
    assert output.keys() == {"counts", "score"}
    for target, expected in {"counts[2]": output["counts"][0, 2], "score": output["score"][0, 0]}.items():
        result = genolift.deeplift(model, inputs[:1], inputs[1:], target=target)
        assert float(result.output[0]) == pytest.approx(float(expected.detach()), abs=1e-6)
    with pytest.raises(genolift.InputError, match="no output 'other'; choose one of counts, score"):
        genolift.deeplift(model, inputs[:1], inputs[1:], target="other[0]")
