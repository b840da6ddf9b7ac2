"""The user's torch functions replace layers that Keras lacks, and the input's layout is recognised."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from refusals import refused
from torch import nn

import genolift
from genolift.models import ModelSpec, input_length, model_provenance
from genolift.models.keras import keras

k = keras.layers
LENGTH = 12


@keras.saving.register_keras_serializable("mine")
class Scaled(k.Layer):
    """A user's own layer, with a weight and a setting."""

    def __init__(self, power: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power = power

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, inputs: Any) -> Any:
        return self.scale * inputs**self.power

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power": self.power}


def folder_with(model: Any, folder: Path, layers: str) -> list[dict[str, str]]:
    """Save a model in both forms; return specs with a file of custom layers."""
    (folder / "layers.py").write_text(layers)
    for suffix in (".keras", ".h5"):
        model.save(folder / f"model{suffix}")
    own = {"custom_layers": f"{folder}/layers.py"}
    return [{"path": f"{folder}/model{suffix}", **own} for suffix in (".keras", ".h5")]


def one_hot(rows: int, length: int = LENGTH) -> torch.Tensor:
    drawn = np.random.default_rng(1).integers(0, 4, (rows, length))
    return torch.as_tensor(np.eye(4, dtype="float32")[drawn]).mT.contiguous()


def scaled() -> Any:
    layers = [k.Input((LENGTH, 4)), k.Dense(3), Scaled(3, name="own"), k.Flatten(), k.Dense(2)]
    model = keras.Sequential(layers)
    model.set_weights([np.random.default_rng(0).uniform(-1, 1, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize(
    "layers",
    [
        "def own(x, weights, config): return next(iter(weights.values())) * x ** config['power']",
        "def Scaled(x, weights, config): return next(iter(weights.values())) * x ** config['power']",
        "def f(x, weights): return next(iter(weights.values())) * x ** 3\nLAYERS = {'own': f}",
        "def f(x, weights): return next(iter(weights.values())) * x ** 3\nLAYERS = {'Sc*': f}",
    ],
    ids=["by its name", "by its class", "in LAYERS", "by a pattern"],
)
def test_a_function_with_weights_and_config_stands_for_a_layer(tmp_path: Path, layers: str) -> None:
    model, x = scaled(), one_hot(3)
    for given in folder_with(model, tmp_path, layers):
        ours = genolift.load_model(given)
        torch.testing.assert_close(ours(x), model(x.mT))
    result = genolift.deeplift(ours, x[:2], x[2:], rule="rescale", precision="float64")
    assert float(result.convergence_error.max()) < 1e-9


def test_weights_are_named_in_h5_and_numbered_in_keras(tmp_path: Path) -> None:
    layers = "def own(x, weights): return weights['{}'] * x ** 3"
    named, numbered = layers.format("scale"), layers.format("0")
    model, x = scaled(), one_hot(3)
    for number, right in enumerate((numbered, named)):
        given = folder_with(model, tmp_path, right)[number]
        torch.testing.assert_close(genolift.load_model(given)(x), model(x.mT))


def test_a_layer_may_be_taken_for_one_of_keras(tmp_path: Path) -> None:
    model = keras.Sequential([k.Input((LENGTH, 4)), k.Conv1D(3, 3, name="conv"), k.Flatten(), k.Dense(2)])
    model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        text = file.attrs["model_config"].replace('"class_name": "Conv1D"', '"class_name": "ConvOfMine"')
        file.attrs["model_config"] = text
    (tmp_path / "layers.py").write_text("LAYERS = {'ConvOfMine': 'Conv1D'}")
    given = {"path": f"{tmp_path}/model.h5", "custom_layers": f"{tmp_path}/layers.py"}
    torch.testing.assert_close(genolift.load_model(given)(one_hot(2)), model(one_hot(2).mT))
    (tmp_path / "layers.py").write_text("LAYERS = {'ConvOfMine': 'Convolved'}")
    assert "has no layer 'Convolved' to replace it; name one of keras.layers" in refused(given)


def test_an_activation_of_the_users_own_is_taken_by_its_name(tmp_path: Path) -> None:
    def squared(x: Any) -> Any:
        return x**2

    model = keras.Sequential([k.Input((LENGTH, 4)), k.Flatten(), k.Dense(2, activation=squared)])
    for given in folder_with(model, tmp_path, "def squared(x): return x ** 2"):
        torch.testing.assert_close(genolift.load_model(given)(one_hot(2)), model(one_hot(2).mT))
        assert '"activation": ' in refused(given["path"])


def lambdas(*names: str) -> Any:
    made = [k.Lambda(lambda x: x * 2, output_shape=(LENGTH, 4), name=name) for name in names]
    return keras.Sequential([k.Input((LENGTH, 4)), *made, k.Flatten(), k.Dense(2)])


def test_layers_that_are_missing_are_named_with_their_config_those_alike_together(tmp_path: Path) -> None:
    names = [f"twice_{number}" for number in range(8)]
    for given in folder_with(lambdas(*names), tmp_path, "def twice_0(x): return 2 * x"):
        assert "Lambda twice_1, twice_2, twice_3 and 4 more (config " in refused(given)
        assert "Lambda twice_0" not in refused(given)
    model = keras.Sequential([k.Input((LENGTH, 4)), Scaled(3, name="own"), k.Flatten(), k.Dense(2)])
    model.save(tmp_path / "model.keras")
    assert 'Scaled own (config {"power": 3})' in refused(f"{tmp_path}/model.keras")


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ("def twice(x):\n    return x.no_such_method()", "AttributeError"),
        ("def twice(x):\n    return x.no_such_method()", "layers.py:2"),
        ("def twice(x) return x", "raises SyntaxError"),
        ("LAYERS = ['twice']", "model.custom_layers: LAYERS is a list; write LAYERS = {"),
        ("LAYERS = {'twice': 3}", "model.custom_layers: twice is a int; give a torch function"),
    ],
    ids=["raises", "where it raises", "syntax", "no mapping", "no function"],
)
def test_a_mistake_in_the_file_of_custom_layers_is_said(tmp_path: Path, layers: str, said: str) -> None:
    for given in folder_with(lambdas("twice"), tmp_path, layers):
        assert said in refused(given)
    assert "no such file" in refused(given | {"custom_layers": f"{tmp_path}/nowhere.py"})


def test_a_function_that_the_file_has_only_imported_is_not_the_models_to_call(tmp_path: Path) -> None:
    for given in folder_with(lambdas("system"), tmp_path, "from os import system"):
        assert 'system is only imported there: to use it, write LAYERS = {"system": system}' in refused(given)
    for given in folder_with(lambdas("relu"), tmp_path, "from torch import relu"):
        assert "relu is only imported there" in refused(given)
    layers = 'from torch import relu\nLAYERS = {"relu": relu}'
    for given in folder_with(lambdas("relu"), tmp_path, layers):
        assert isinstance(genolift.load_model(given), nn.Module)


def test_a_file_of_custom_layers_may_import_others_beside_it(tmp_path: Path) -> None:
    (tmp_path / "factors.py").write_text("TWO = 2\n")
    layers = "def twice(x):\n    from factors import TWO\n    return TWO * x\n"
    given = folder_with(lambdas("twice"), tmp_path, layers)[0]
    said = model_provenance(ModelSpec.of(given))
    assert list(said["model_custom_layers_imports"]) == ["factors.py"]
    assert f"{tmp_path}/factors.py" in ModelSpec.of(given).files
    loaded = genolift.load_model(given)
    torch.testing.assert_close(loaded(one_hot(2)), loaded(one_hot(2)))


def saved(folder: Path, *shapes: tuple[int | None, ...]) -> str:
    """Save a model with inputs of these shapes, whose output is a weighted sum over them."""
    inputs = [k.Input(shape, name=f"input_{number}") for number, shape in enumerate(shapes)]
    flat = [k.GlobalMaxPooling1D()(each) if None in each.shape[1:] else k.Flatten()(each) for each in inputs]
    keras.Model(inputs, k.Dense(1)(k.Concatenate()(flat) if len(flat) > 1 else flat[0])).save(
        folder / "model.keras"
    )
    return f"{folder}/model.keras"


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((LENGTH, 4), "length,bases"),
        ((4, LENGTH), "bases,length"),
        ((1, LENGTH, 4), "1,length,bases"),
        ((1, 4, LENGTH), "1,bases,length"),
        ((4, LENGTH, 1), "bases,length,1"),
        ((LENGTH, 4, 1), "length,bases,1"),
        ((LENGTH, 1, 4), "length,1,bases"),
    ],
    ids=str,
)
def test_the_axes_of_bases_and_length_are_those_of_the_models_input(
    tmp_path: Path, shape: tuple[int, ...], axes: str
) -> None:
    path = saved(tmp_path, shape)
    model = genolift.load_model(path)
    assert input_length(model, ModelSpec.of(path)) == LENGTH
    x = one_hot(2)
    names = axes.split(",")
    laid = x if names.index("bases") < names.index("length") else x.mT
    expected = keras.saving.load_model(path)(laid.reshape(2, *shape))
    torch.testing.assert_close(model(x), expected)
    given = genolift.load_model({"path": path, "axes": axes, "alphabet": "TGCA"})
    torch.testing.assert_close(given(x.flip(1)), expected)


def test_four_positions_of_four_bases_have_the_bases_last_unless_it_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path, (4, 4))
    theirs, x = keras.saving.load_model(path), one_hot(2, 4)
    torch.testing.assert_close(genolift.load_model(path)(x), theirs(x.mT))
    torch.testing.assert_close(genolift.load_model({"path": path, "axes": "bases,length"})(x), theirs(x))


def test_an_input_that_is_no_dna_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path, (LENGTH, 5))
    message = refused(path)
    assert f"none of its inputs is one-hot DNA of 4 channels: input_0 ({LENGTH}, 5); set model" in message
    assert genolift.load_model({"path": path, "alphabet": "ACGTN"})(one_hot(2)).shape == (2, 1)
    assert "with the axes bases,length" in refused({"path": path, "axes": "bases,length"})


def test_the_dna_may_be_any_of_several_inputs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(tmp_path, (3,), (LENGTH, 4))
    theirs, x, held = keras.saving.load_model(path), one_hot(2), torch.rand(2, 3)
    torch.testing.assert_close(genolift.load_model(path)(x, held), theirs([held, x.mT]))
    with caplog.at_level(logging.WARNING):
        two = genolift.load_model(saved(tmp_path, (LENGTH, 4), (LENGTH, 4)))
    assert "the inputs input_0, input_1 could all be DNA; the first is attributed" in caplog.text
    assert two(x, x.mT).shape == (2, 1)


def test_a_model_of_any_length_takes_any(tmp_path: Path) -> None:
    path = saved(tmp_path, (None, 4))
    model = genolift.load_model(path)
    assert input_length(model, ModelSpec.of(path)) is None
    assert input_length(model, ModelSpec(path=path, input_length=20)) == 20
    assert model(one_hot(2, 30)).shape == model(one_hot(2, 20)).shape == (2, 1)


def test_a_length_that_a_model_cannot_take_is_said_with_kerass_reason(tmp_path: Path) -> None:
    layers = [k.Input((None, 4)), k.Conv1D(3, 5, name="conv"), k.GlobalMaxPooling1D(), k.Dense(1)]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    message = refused({"path": f"{tmp_path}/model.keras", "input_length": 3})
    assert "cannot be run on an input of (3, 4): " in message
    assert "(5, 4, 3)" in message  # the shape of the kernel, which is longer
    assert "layer conv" in message
    assert "; set model.input_length to the number of bases that the model was trained on" in message
    assert (
        genolift.load_model({"path": f"{tmp_path}/model.keras", "input_length": LENGTH})(one_hot(2))
        is not None
    )


def test_the_reason_that_keras_gives_below_its_first_line_is_said(tmp_path: Path) -> None:
    x = k.Input((LENGTH, 4))
    model = keras.Model(x, k.Dense(1)(keras.ops.reshape(Scaled(3, name="own")(x), (-1, LENGTH * 4))))
    given = folder_with(model, tmp_path, "def own(x): return x[:, :5]")[0]
    message = refused(given)
    assert "cannot be run on an input of (12, 4): Reshape.call: shape '[-1, 48]' is invalid" in message
    assert (
        "; check that the functions supplied for layers before it return the shapes that the layers did: own"
        in message
    )
    (tmp_path / "layers.py").write_text("def own(x, weights): return next(iter(weights.values())) * x**3")
    torch.testing.assert_close(genolift.load_model(given)(one_hot(2)), model(one_hot(2).mT))


def test_a_function_that_fails_is_said_with_its_line_also_in_a_model_within(tmp_path: Path) -> None:
    inner = keras.Sequential([k.Input((LENGTH, 4)), Scaled(3, name="own")], name="inner")
    model = keras.Sequential([k.Input((LENGTH, 4)), inner, k.Flatten(), k.Dense(2)])
    given = folder_with(model, tmp_path, "def own(x, weights):\n    return x @ weights['nothing']")[0]
    message = refused(given)
    assert "layer inner, layer own, " in message
    assert "layers.py:2 `return x @ weights['nothing']`: the torch function supplied for it fails" in message
    assert "on an input of (12, 4): KeyError: 'nothing'; fix the function in model.custom_layers" in message
    (tmp_path / "layers.py").write_text("def own(x, weights): return next(iter(weights.values())) * x**3")
    torch.testing.assert_close(genolift.load_model(given)(one_hot(2)), model(one_hot(2).mT))


@pytest.mark.parametrize("name", ["conv", "Conv1D"])
def test_a_function_of_a_layers_name_is_taken_where_keras_has_the_layer_too(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = keras.Sequential([k.Input((LENGTH, 4)), k.Conv1D(3, 3, name="conv"), k.Flatten(), k.Dense(2)])
    layers = (
        "import torch\n"
        f"def {name}(x, weights):\n"
        "    kernel, bias = weights.values()\n"
        "    return torch.nn.functional.conv1d(x.mT, 2 * kernel.permute(2, 1, 0), bias).mT\n"
    )
    for given in folder_with(model, tmp_path, layers):
        with caplog.at_level(logging.WARNING):
            ours = genolift.load_model(given)
        assert "layer conv: Keras has this layer, but the function of the same name in model." in caplog.text
        kernel, bias = model.layers[0].get_weights()
        model.layers[0].set_weights([2 * kernel, bias])
        torch.testing.assert_close(ours(one_hot(2)), model(one_hot(2).mT))
        model.layers[0].set_weights([kernel, bias])


def test_a_setting_that_keras_has_not_is_mended_by_a_function_of_the_layers_name(tmp_path: Path) -> None:
    model = keras.Sequential([k.Input((LENGTH, 4)), k.Dense(3, name="own"), k.Flatten(), k.Dense(2)])
    given = folder_with(model, tmp_path, "")[1]
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace(
            '"units": 3', '"units": 3, "power": 3'
        )
    message = refused(given)
    assert "layer own: Dense has no setting power (3) in Keras " in message
    assert "; supply the layer as a torch function, by model.custom_" in message
    (tmp_path / "layers.py").write_text(
        "def own(x, weights): return x @ weights['kernel'] + weights['bias']\n"
    )
    torch.testing.assert_close(genolift.load_model(given)(one_hot(2)), model(one_hot(2).mT))


def test_a_layer_that_cannot_be_run_at_all_can_be_supplied(tmp_path: Path) -> None:
    model = keras.Sequential([k.Input((LENGTH, 4)), k.Reshape((24, 2), name="fold"), k.Flatten(), k.Dense(2)])
    given = folder_with(model, tmp_path, "")[1]
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace("[24, 2]", "[5, 5]")
    message = refused(given)
    assert "layer fold: cannot be run on an input of (12, 4): " in message
    assert message.endswith("; supply the layer as a torch function, by model.custom_layers")
    (tmp_path / "layers.py").write_text("def fold(x): return x.reshape(len(x), 24, 2)\n")
    torch.testing.assert_close(genolift.load_model(given)(one_hot(2)), model(one_hot(2).mT))


def test_a_sequential_model_without_a_shape_needs_its_length_said(tmp_path: Path) -> None:
    model = keras.Sequential([k.Input((LENGTH, 4)), k.Flatten(), k.Dense(1)])
    model.save_weights(tmp_path / "model.weights.h5")
    layers = [layer.get_config() for layer in model.layers]
    listed = [
        {"class_name": name, "config": own} for name, own in zip(["Flatten", "Dense"], layers, strict=True)
    ]
    (tmp_path / "model.json").write_text(json.dumps({"class_name": "Sequential", "config": listed}))
    given = {"path": f"{tmp_path}/model.json", "weights": f"{tmp_path}/model.weights.h5"}
    assert "does not say its input length; give it as model.input_length" in refused(given)
    loaded: nn.Module = genolift.load_model(given | {"input_length": LENGTH})
    torch.testing.assert_close(loaded(one_hot(2)), model(one_hot(2).mT))
