"""Names that other programs give a meaning to, and settings given as numpy numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_agreement.case import KERAS_2, LENGTH, made, model

_NAMES = (
    *("conv1.a", "a b", "forward", "training", "call", "layers", "graph", "order", "attribute", "weights"),
    *("eval", "modules", "build", "name", "1", "-"),
)
for name in _NAMES:

    @model("Conv1D", f"named {name!r}, and a Dense {name + '.b'!r}")
    def named(keras: Any, name: str = name) -> Any:
        layers = keras.layers
        dna = layers.Input((LENGTH, 4), name="dna")
        x = layers.BatchNormalization()(layers.Conv1D(3, 5, name=name)(dna))
        return keras.Model(dna, layers.Dense(2, name=f"{name}.b")(layers.Flatten()(x)))


@model("Dense", "three of names that differ in a dot alone")
def alike(keras: Any) -> Any:
    x = dna = keras.layers.Input((LENGTH, 4), name="dna")
    for name in ("a.b", "a_b", "a_b_"):
        x = keras.layers.Dense(3, name=name)(x)
    return keras.Model(dna, x)


@model("Conv1D", "in a model named with a slash", generations=KERAS_2)
def with_slash(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    inside = keras.Sequential(
        [layers.Input((LENGTH, 4)), layers.Conv1D(3, 5, name="c/1.a")], name="model/inside"
    )
    return keras.Model(dna, layers.Dense(2, name="out/b")(layers.Flatten()(inside(dna))))


made("LeakyReLU", "np.float32(0.07)", lambda keras: keras.layers.LeakyReLU(np.float32(0.07)))
made("LeakyReLU", "np.array(0.07)", lambda keras: keras.layers.LeakyReLU(np.array(0.07)))
made("Dense", "np.int64(3)", lambda keras: keras.layers.Dense(np.int64(3)))
made(
    "Conv1D",
    "np.int32(3), (np.int64(3),), strides=np.int64(2)",
    lambda keras: keras.layers.Conv1D(np.int32(3), (np.int64(3),), strides=np.int64(2)),
)
made("Reshape", "np.array([4, 24])", lambda keras: keras.layers.Reshape(np.array([4, 24])))
made(
    "BatchNormalization",
    "epsilon=np.float32(0.01)",
    lambda keras: keras.layers.BatchNormalization(epsilon=np.float32(0.01)),
)
made(
    "ReLU",
    "np.float32's",
    lambda keras: keras.layers.ReLU(
        max_value=np.float32(0.5), negative_slope=np.float32(0.1), threshold=np.float64(0.05)
    ),
)
