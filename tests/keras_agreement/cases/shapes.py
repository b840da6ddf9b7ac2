"""Merges, padding, cropping, repeats and inputs."""

from __future__ import annotations

from typing import Any

from keras_agreement.case import KERAS_3, LENGTH, layer, model
from keras_agreement.cases.convolutions import ROWS_OF_ONE

FIRST = (4, LENGTH)

layer("Flatten")
layer("Flatten", data_format="channels_first")
layer("Flatten", data_format="channels_first", shape=ROWS_OF_ONE)
layer("Reshape", target_shape=(2, LENGTH // 2, 4))
layer("Reshape", target_shape=(-1, 8))
layer("Reshape", target_shape=(LENGTH * 4,))
layer("Permute", dims=(2, 1))
layer("Permute", dims=(2, 3, 1), shape=ROWS_OF_ONE)
layer("ZeroPadding1D", padding=2)
layer("ZeroPadding1D", padding=(1, 3))
layer("ZeroPadding1D", padding=(1, 3), data_format="channels_first", shape=FIRST, generations=KERAS_3)
layer("ZeroPadding2D", padding=((0, 0), (2, 3)), shape=ROWS_OF_ONE)
layer("ZeroPadding2D", padding=(1, 2), shape=ROWS_OF_ONE)
layer("ZeroPadding2D", padding=1, data_format="channels_first", shape=(4, 1, LENGTH))
layer("Cropping1D", cropping=2)
layer("Cropping1D", cropping=(0, 5))
layer("Cropping2D", cropping=((0, 0), (2, 3)), shape=ROWS_OF_ONE)
layer("Cropping2D", cropping=((0, 0), (2, 0)), data_format="channels_first", shape=(4, 1, LENGTH))
layer("UpSampling1D", size=3)
layer("UpSampling2D", size=(1, 2), shape=ROWS_OF_ONE)
layer("UpSampling2D", size=(2, 3), interpolation="bilinear", shape=ROWS_OF_ONE)
layer("UpSampling2D", size=(1, 2), data_format="channels_first", shape=(4, 1, LENGTH))


@model("RepeatVector", "n=5")
def repeated(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    x = layers.RepeatVector(5)(layers.GlobalMaxPooling1D()(layers.Conv1D(3, 5)(dna)))
    return keras.Model(dna, layers.LSTM(2)(x))


def _two(keras: Any) -> tuple[Any, Any, Any]:
    dna = keras.layers.Input((LENGTH, 4), name="dna")
    return dna, keras.layers.Conv1D(3, 5)(dna), keras.layers.Conv1D(3, 5)(dna)


def _merge(kind: str, settings: str = "", three: bool = False, **given: Any) -> None:
    @model(
        kind,
        settings or ", ".join([*(f"{key}={value!r}" for key, value in given.items()), *["of three"] * three]),
    )
    def build(keras: Any) -> Any:
        dna, one, other = _two(keras)
        all_of_them = [one, other, keras.layers.Conv1D(3, 5)(dna)] if three else [one, other]
        return keras.Model(dna, getattr(keras.layers, kind)(**given)(all_of_them))


for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
    _merge(kind)
    _merge(kind, three=True)
_merge("Subtract")
_merge("Concatenate", axis=1)
_merge("Concatenate", axis=-2)
_merge("Dot", axes=1)
_merge("Dot", axes=2)
_merge("Dot", axes=(2, 2), normalize=True)
_merge("Dot", axes=(1, 1))


@model("Dot", "axes=-1, of two vectors")
def of_vectors(keras: Any) -> Any:
    layers = keras.layers
    dna, one, other = _two(keras)
    return keras.Model(
        dna, layers.Dot(axes=-1)([layers.GlobalMaxPooling1D()(one), layers.GlobalMaxPooling1D()(other)])
    )


@model("Add", "of unequal ranks")
def of_unequal_ranks(keras: Any) -> Any:
    layers = keras.layers
    dna, one, other = _two(keras)
    return keras.Model(dna, layers.Add()([one, layers.GlobalMaxPooling1D(keepdims=True)(other)]))


@model("Multiply", "squeeze and excitation")
def excited(keras: Any) -> Any:
    layers = keras.layers
    dna, one, _ = _two(keras)
    gate = layers.Dense(3, activation="sigmoid")(layers.GlobalAveragePooling1D()(one))
    x = layers.Multiply()([one, layers.Reshape((1, 3))(gate)])
    return keras.Model(dna, layers.Dense(2)(layers.Flatten()(x)))


for name in ("add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract"):

    @model(name, "as a function of keras.layers")
    def as_function(keras: Any, name: str = name) -> Any:
        dna, one, other = _two(keras)
        return keras.Model(dna, getattr(keras.layers, name)([one, other]))


@model("Lambda", "x * 2")
def of_code(keras: Any) -> Any:
    dna = keras.layers.Input((LENGTH, 4), name="dna")
    return keras.Model(dna, keras.layers.Lambda(lambda x: x * 2)(keras.layers.Conv1D(3, 5)(dna)))


@model("Input", "of any length")
def any_length(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((None, 4), name="dna")
    return keras.Model(dna, layers.Dense(2)(layers.GlobalMaxPooling1D()(layers.Conv1D(3, 5)(dna))))


@model("Input", "with batch_size=6")
def of_batch(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), batch_size=6, name="dna")
    return keras.Model(dna, layers.Dense(2)(layers.Flatten()(dna)))


@model("InputLayer", "in a Sequential")
def input_layer(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [layers.InputLayer((LENGTH, 4)), layers.Conv1D(3, 5), layers.GlobalMaxPooling1D()]
    )


@model("Input", "a second one, of real numbers", further={"rates": (3,)})
def second(keras: Any) -> Any:
    layers = keras.layers
    dna, rates = layers.Input((LENGTH, 4), name="dna"), layers.Input((3,), name="rates")
    both = layers.Concatenate()([layers.GlobalMaxPooling1D()(layers.Conv1D(3, 5)(dna)), rates])
    return keras.Model([dna, rates], layers.Dense(2)(both))


@model("Input", "the DNA second, and two outputs", further={"rates": (3,)})
def second_and_two(keras: Any) -> Any:
    layers = keras.layers
    rates, dna = layers.Input((3,), name="rates"), layers.Input((LENGTH, 4), name="dna")
    both = layers.Concatenate()([layers.GlobalMaxPooling1D()(layers.Conv1D(3, 5)(dna)), rates])
    return keras.Model([rates, dna], [layers.Dense(2, name="one")(both), layers.Dense(3, name="two")(both)])


@model("Input", "two by name, and outputs by name", further={"rates": (3,)})
def named(keras: Any) -> Any:
    layers = keras.layers
    dna, rates = layers.Input((LENGTH, 4), name="dna"), layers.Input((3,), name="rates")
    both = layers.Concatenate()([layers.GlobalMaxPooling1D()(layers.Conv1D(3, 5)(dna)), rates])
    outputs = {"b": layers.Dense(2, name="one")(both), "a": layers.Dense(3, name="two")(both)}
    return keras.Model({"rates": rates, "dna": dna}, outputs)
