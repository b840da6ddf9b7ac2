"""Models saved by TensorFlow's own Keras (2.4 to 2.15), which writes some things differently from Keras 2."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import genolift
from genolift.models.keras import keras, operators
from genolift.models.keras.tensorflow_functions import FUNCTIONS

LENGTH, FILTERS = 12, 3
CONFIG: dict[str, Any] = {"trainable": True, "dtype": "float32"}


def layer(class_name: str, name: str, inbound: list[Any], **config: Any) -> dict[str, Any]:
    return {
        "class_name": class_name,
        "name": name,
        "config": {"name": name, **CONFIG, **config},
        "inbound_nodes": inbound,
    }


def value(name: str, **keywords: Any) -> list[Any]:
    return [[[name, 0, 0, keywords]]]


def architecture(*layers: dict[str, Any], output: str) -> str:
    start = layer("InputLayer", "dna", [], batch_input_shape=[None, LENGTH, 4], sparse=False, ragged=False)
    config = {
        "name": "model",
        "trainable": True,
        "layers": [start, *layers],
        "input_layers": [["dna", 0, 0]],
        "output_layers": [[output, 0, 0]],
    }
    return json.dumps({"class_name": "Functional", "config": config})


def write(path: Path, config: str, weights: dict[str, dict[str, np.ndarray]]) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.10.0", "tensorflow"
        file.attrs["model_config"] = config
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            own = group.create_group(name)
            own.attrs["weight_names"] = [f"{name}/{key}:0".encode() for key in arrays]
            for key, array in arrays.items():
                own.create_dataset(f"{name}/{key}:0", data=array)


def small_weights() -> dict[str, dict[str, np.ndarray]]:
    random = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    return {
        "dna": {},
        "conv": {"kernel": some(3, 4, FILTERS), "bias": some(FILTERS)},
        "bn": {
            "gamma": some(FILTERS),
            "beta": some(FILTERS),
            "moving_mean": some(FILTERS),
            "moving_variance": np.exp(some(FILTERS)),
        },
        "out": {"kernel": some(FILTERS, 2), "bias": some(2)},
    }


def batch_normed(
    weights: dict[str, dict[str, np.ndarray]], onehot: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The model's convolution, and its batch norm, in double precision."""
    conv, bn = (
        {key: torch.tensor(array).double() for key, array in weights[name].items()} for name in ("conv", "bn")
    )
    y = torch.nn.functional.conv1d(onehot.double(), conv["kernel"].permute(2, 1, 0), conv["bias"])
    scale = bn["gamma"] / (bn["moving_variance"] + 1e-3).sqrt()
    return y, (y - bn["moving_mean"][:, None]) * scale[:, None] + bn["beta"][:, None]


LAYERS = (
    layer("Conv1D", "conv", value("dna"), filters=FILTERS, kernel_size=[3], strides=[1], padding="valid",
          data_format="channels_last", dilation_rate=[1], groups=1, activation="linear", use_bias=True),
    # TensorFlow's Keras writes the axis as a list
    layer("BatchNormalization", "bn", value("conv"), axis=[2], momentum=0.99, epsilon=0.001, center=True,
          scale=True),
)  # fmt: skip
DENSE = {
    "units": 2,
    "use_bias": True,
    "activation": {"class_name": "ReLU", "config": {"name": "re_lu", "max_value": 6.0}},
}


@pytest.fixture
def onehot() -> torch.Tensor:
    codes = torch.randint(4, (5, LENGTH), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.one_hot(codes, 4).transpose(1, 2).float()


def test_a_listed_axis_and_an_activation_that_is_a_layer_are_read(
    tmp_path: Path, onehot: torch.Tensor
) -> None:
    weights = small_weights()
    pooled = layer("GlobalAveragePooling1D", "pool", value("bn"), data_format="channels_last", keepdims=False)
    write(
        tmp_path / "m.h5",
        architecture(*LAYERS, pooled, layer("Dense", "out", value("pool"), **DENSE), output="out"),
        weights,
    )
    model = genolift.load_model(tmp_path / "m.h5")
    out = {key: torch.tensor(array).double() for key, array in weights["out"].items()}
    expected = (batch_normed(weights, onehot)[1].mean(2) @ out["kernel"] + out["bias"]).clamp(0, 6)
    with torch.no_grad():
        torch.testing.assert_close(model(onehot).double(), expected, atol=1e-6, rtol=0)
    result = genolift.deeplift(model, onehot, onehot.flip(0)[:, None], precision="float64")
    assert float(result.convergence_error.max()) < 1e-12


def function(name: str, inbound: list[Any], number: int | None = None) -> dict[str, Any]:
    """A TensorFlow function as a layer, whose name comes from the function's."""
    layer_name = f"tf.{name}" if number is None else f"tf.{name}_{number}"
    return layer("TFOpLambda", layer_name, [inbound], function=name)


POOLED = layer("GlobalMaxPooling1D", "pool", value("result"), data_format="channels_last")


def pooled_of(name: str) -> dict[str, Any]:
    return {**POOLED, "inbound_nodes": value(name)}


def without_out() -> dict[str, dict[str, np.ndarray]]:
    return {name: arrays for name, arrays in small_weights().items() if name != "out"}


def test_functions_of_tensorflow_are_read_with_a_tensor_in_any_argument(
    tmp_path: Path, onehot: torch.Tensor
) -> None:
    layers = (
        function("math.subtract", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["conv", 0, 0], "name": None}]),
        function("math.maximum", ["bn", 0, 0, {"y": ["tf.math.subtract", 0, 0], "name": None}]),
        function("__operators__.add", ["tf.math.maximum", 0, 0, {"y": [0.5, -1.0, 2.0], "name": None}]),
    )
    write(
        tmp_path / "m.h5",
        architecture(*LAYERS, *layers, pooled_of("tf.__operators__.add"), output="pool"),
        without_out(),
    )
    model = genolift.load_model(tmp_path / "m.h5")
    convolved, normed = batch_normed(small_weights(), onehot)
    expected = (torch.maximum(normed, 1 - convolved) + torch.tensor([0.5, -1, 2])[:, None]).amax(2)
    with torch.no_grad():
        torch.testing.assert_close(model(onehot).double(), expected, atol=1e-6, rtol=0)
    result = genolift.deeplift(model, onehot, onehot.flip(0)[:, None], precision="float64", target=0)
    assert float(result.convergence_error.max()) < 1e-12


@pytest.mark.parametrize(
    ("call", "shown", "own", "right"),
    [
        (
            function("sort", ["bn", 0, 0, {"axis": 1}]),
            r'TFOpLambda tf.sort \(config {"call": {"axis": 1}, "function": "sort"}\); write a Python file '
            r'with LAYERS = {"tf.sort": FUNCTION}',
            'LAYERS = {"tf.sort": lambda values, axis: values.sort(axis)[0]}',
            lambda x: x.sort(2)[0].amax(2),
        ),
        (
            function("math.cumsum", ["bn", 0, 0, {"axis": 1, "exclusive": True}]),
            r'"call": {"axis": 1, "exclusive": true}, "function": "math.cumsum"',
            'LAYERS = {"tf.math.cumsum*": lambda x, axis: x.cumsum(axis) - x}',
            lambda x: (x.cumsum(2) - x).amax(2),
        ),
        (
            function("compat.v1.norm", ["bn", 0, 0, {"ord": 1, "axis": 1, "keepdims": True}]),
            r'"call": {"axis": 1, "keepdims": true, "ord": 1}, "function": "compat.v1.norm"',
            'LAYERS = {"tf.compat.v1.norm": lambda x, axis, **kept: x.abs().sum(axis, keepdim=True)}',
            lambda x: x.abs().sum(2),
        ),
    ],
    ids=["of no name in the table", "of an argument not in the table", "of a value not in the table"],
)
def test_a_function_of_tensorflow_that_is_not_read_is_the_users_to_supply(
    tmp_path: Path, onehot: torch.Tensor, call: Any, shown: str, own: str, right: Any
) -> None:
    pooled = pooled_of(call["name"])
    write(tmp_path / "m.h5", architecture(*LAYERS, call, pooled, output="pool"), without_out())
    with pytest.raises(genolift.InputError, match="TensorFlow functions that are not supported.*" + shown):
        genolift.load_model(tmp_path / "m.h5")
    (tmp_path / "mine.py").write_text(own + "\n")
    model = genolift.load_model({"path": tmp_path / "m.h5", "custom_layers": str(tmp_path / "mine.py")})
    with torch.no_grad():
        expected = right(batch_normed(small_weights(), onehot)[1])
        torch.testing.assert_close(model(onehot).double(), expected, atol=1e-5, rtol=0)


def test_no_function_of_the_table_takes_an_argument_whose_other_values_are_refused() -> None:
    for name, function_of_name in FUNCTIONS.items():
        taken = inspect.signature(function_of_name.compute).parameters
        assert not taken.keys() & operators._WITHOUT_EFFECT.keys(), name


def test_a_users_function_stands_for_one_of_tensorflow_that_is_read_too(
    tmp_path: Path, onehot: torch.Tensor
) -> None:
    add = function("__operators__.add", ["bn", 0, 0, {"y": ["conv", 0, 0], "name": None}])
    pooled = pooled_of("tf.__operators__.add")
    write(tmp_path / "m.h5", architecture(*LAYERS, add, pooled, output="pool"), without_out())
    (tmp_path / "mine.py").write_text('LAYERS = {"tf.__operators__.add*": lambda x, y: x - y}\n')
    model = genolift.load_model({"path": tmp_path / "m.h5", "custom_layers": str(tmp_path / "mine.py")})
    convolved, normed = batch_normed(small_weights(), onehot)
    with torch.no_grad():
        expected = (normed - convolved).amax(2)
        torch.testing.assert_close(model(onehot).double(), expected, atol=1e-6, rtol=0)


def test_a_function_whose_inputs_keras_left_out_of_the_file_is_refused_with_what_to_write(
    tmp_path: Path,
) -> None:
    equal = function("__operators__.eq", ["bn", 0, 0, {}])
    pooled = pooled_of("tf.__operators__.eq")
    write(tmp_path / "m.h5", architecture(*LAYERS, equal, pooled, output="pool"), without_out())
    with pytest.raises(genolift.InputError, match=r"does not save all of its inputs; use tf\.equal instead"):
        genolift.load_model(tmp_path / "m.h5")


def test_attention_says_shapes_that_its_weights_say_too(tmp_path: Path, onehot: torch.Tensor) -> None:
    given = keras.Input((LENGTH, 4))
    made = keras.Model(given, keras.layers.MultiHeadAttention(2, 3, name="mha")(given, given))
    names = ("query/kernel", "query/bias", "key/kernel", "key/bias", "value/kernel", "value/bias",
             "attention_output/kernel", "attention_output/bias")  # fmt: skip
    shape = [None, LENGTH, 4]
    attention = layer(
        "MultiHeadAttention", "mha", [["dna", 0, 0, {"value": ["dna", 0, 0]}]], num_heads=2, key_dim=3,
        value_dim=3, dropout=0.0, use_bias=True, output_shape=None, attention_axes=[1],
        query_shape=shape, key_shape=shape, value_shape=shape,
    )  # fmt: skip
    arrays = [np.asarray(variable.numpy()) for variable in made.layers[1].weights]
    weights = {"dna": {}, "mha": dict(zip(names, arrays, strict=True))}
    write(tmp_path / "m.h5", architecture(attention, output="mha"), weights)
    model = genolift.load_model(tmp_path / "m.h5")
    with torch.no_grad():
        torch.testing.assert_close(model(onehot), made(onehot.transpose(1, 2)), atol=1e-6, rtol=0)
