"""Norms: axes, epsilon, scale and centre, groups; and norms of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_agreement.case import KERAS_2, KERAS_3, LENGTH, layer, made, model
from keras_agreement.cases.convolutions import ROWS_OF_ONE
from keras_agreement.data import dna

layer("BatchNormalization")
layer("BatchNormalization", axis=1)
layer("BatchNormalization", axis=2, epsilon=0.1)
layer("BatchNormalization", scale=False)
layer("BatchNormalization", center=False, epsilon=1e-5)
layer("BatchNormalization", center=False, scale=False)
layer("BatchNormalization", axis=[1, 2], generations=KERAS_2)
layer("BatchNormalization", shape=ROWS_OF_ONE)
layer("BatchNormalization", axis=1, shape=(4, 1, LENGTH))
layer("BatchNormalization", renorm=True, generations=KERAS_2)
layer("BatchNormalization", renorm=True, renorm_clipping={"rmax": 2.0, "rmin": 0.5}, generations=KERAS_2)
layer("BatchNormalization", virtual_batch_size=3, generations=KERAS_2)
layer("BatchNormalization", fused=False, generations=KERAS_2)
layer("BatchNormalization", trainable=False)
layer("BatchNormalization", synchronized=True)
layer("LayerNormalization")
layer("LayerNormalization", axis=1)
layer("LayerNormalization", axis=[1, 2], epsilon=0.1)
layer("LayerNormalization", axis=-2)
made(
    "LayerNormalization",
    "axis=1, of as many channels as positions",
    lambda keras: keras.layers.LayerNormalization(axis=1),
    before=lambda keras: keras.layers.Dense(LENGTH),
)
layer("LayerNormalization", scale=False)
layer("LayerNormalization", center=False)
layer("LayerNormalization", rms_scaling=True, generations=KERAS_3)
layer("LayerNormalization", shape=ROWS_OF_ONE)
layer("GroupNormalization", groups=2)
layer("GroupNormalization", groups=-1)
layer("GroupNormalization", groups=1, scale=False)
layer("GroupNormalization", groups=4, epsilon=0.1, center=False)
layer("GroupNormalization", groups=6, axis=1)
layer("GroupNormalization", groups=2, shape=ROWS_OF_ONE)
layer("RMSNormalization", generations=KERAS_3)
layer("RMSNormalization", epsilon=0.1, generations=KERAS_3)
layer("UnitNormalization")
layer("UnitNormalization", axis=1)
layer("UnitNormalization", axis=[1, 2])
layer("Normalization", mean=0.3, variance=0.07)
layer("Normalization", mean=[0.1, 0.2, 0.3, 0.4], variance=[0.5, 1.5, 2.0, 0.7])
layer("Normalization", mean=0.2, variance=0.5, invert=True)
layer("Normalization", axis=None, mean=0.2, variance=0.5)
layer("Rescaling", scale=0.3, offset=-0.2)
layer("Rescaling", scale=[0.3, 1.0, 2.0, -1.0], offset=[0.0, 0.1, 0.2, 0.3])
made(
    "Rescaling",
    "scale of numpy",
    lambda keras: keras.layers.Rescaling(np.float32(0.07), offset=np.float32(0.1)),
)
for axis in (-1, 1, None):

    @model("Normalization", f"adapted, axis={axis}")
    def adapted(keras: Any, axis: int | None = axis) -> Any:
        norm = keras.layers.Normalization(axis=axis)
        norm.adapt(dna() * np.array([1, 2, 3, 4], "float32"))
        inputs = keras.layers.Input((LENGTH, 4), name="dna")
        return keras.Model(inputs, norm(inputs))


made(
    "SpectralNormalization",
    "Conv1D(3, 5)",
    lambda keras: keras.layers.SpectralNormalization(keras.layers.Conv1D(3, 5)),
)
made(
    "SpectralNormalization",
    "Dense(3), power_iterations=2",
    lambda keras: keras.layers.SpectralNormalization(keras.layers.Dense(3), power_iterations=2),
)


@model("BatchNormalization", "behind a convolution, frozen")
def frozen(keras: Any) -> Any:
    layers = keras.layers
    inputs = layers.Input((LENGTH, 4), name="dna")
    norm = layers.BatchNormalization()
    norm.trainable = False
    x = layers.Activation("relu")(norm(layers.Conv1D(3, 5, use_bias=False)(inputs)))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
