"""Convolutions and dense layers: padding, strides, dilation, groups, data formats."""

from __future__ import annotations

from typing import Any

from keras_agreement.case import KERAS_2, KERAS_3, LENGTH, layer, model

ROWS_OF_ONE, COLUMNS_OF_ONE = (1, LENGTH, 4), (LENGTH, 1, 4)
TWO_BY = (LENGTH // 2, 2)
"""The shape that positions are folded into for layers of two dimensions."""

for padding in ("valid", "same", "causal"):
    for kernel, strides, dilation in ((5, 1, 1), (4, 1, 1), (5, 3, 1), (4, 2, 1), (3, 1, 2), (4, 1, 3)):
        layer(
            "Conv1D", filters=3, kernel_size=kernel, padding=padding, strides=strides, dilation_rate=dilation
        )
layer("Conv1D", filters=4, kernel_size=3, groups=2, padding="same")
layer("Conv1D", filters=8, kernel_size=3, groups=4, strides=2, padding="same")
layer("Conv1D", filters=3, kernel_size=3, use_bias=False, activation="relu")
layer("Conv1D", filters=3, kernel_size=1, activation="softmax")
layer("Conv1D", filters=3, kernel_size=30, padding="same")
layer("Conv1D", filters=3, kernel_size=5, strides=5, padding="valid")
layer("Conv1D", filters=3, kernel_size=5, data_format="channels_first", padding="same", shape=(4, LENGTH))
layer("Conv1D", filters=3, kernel_size=5, data_format="channels_first", strides=2, shape=(4, LENGTH))

for padding in ("valid", "same"):
    for kernel, strides in ((5, 1), (4, 2), (3, 3), (2, 3), (5, 2)):
        layer("Conv1DTranspose", filters=3, kernel_size=kernel, strides=strides, padding=padding)
    layer("Conv1DTranspose", filters=3, kernel_size=4, dilation_rate=2, padding=padding)
    layer("DepthwiseConv1D", kernel_size=4, padding=padding)
    layer("DepthwiseConv1D", kernel_size=5, strides=2, padding=padding, depth_multiplier=2)
    layer("DepthwiseConv1D", kernel_size=3, dilation_rate=2, padding=padding, activation="relu")
    layer("SeparableConv1D", filters=3, kernel_size=4, padding=padding)
    layer("SeparableConv1D", filters=3, kernel_size=5, strides=2, padding=padding, depth_multiplier=2)
    layer("SeparableConv1D", filters=3, kernel_size=3, dilation_rate=2, padding=padding, activation="tanh")
layer("Conv1DTranspose", filters=3, kernel_size=4, strides=3, output_padding=2)
layer("Conv1DTranspose", filters=3, kernel_size=4, strides=3, output_padding=1, padding="same")
layer("Conv1DTranspose", filters=3, kernel_size=3, use_bias=False, activation="relu")
layer("DepthwiseConv1D", kernel_size=3, use_bias=False)
layer("SeparableConv1D", filters=3, kernel_size=4, padding="causal", generations=KERAS_2)
layer("SeparableConv1D", filters=3, kernel_size=4, padding="causal", dilation_rate=2, generations=KERAS_2)
layer("SeparableConv1D", filters=3, kernel_size=3, use_bias=False)
layer("DepthwiseConv1D", kernel_size=4, padding="causal", generations=KERAS_3)

for shape, kernel in ((ROWS_OF_ONE, (1, 5)), (COLUMNS_OF_ONE, (5, 1))):
    strides = tuple(2 if size > 1 else 1 for size in kernel)
    for padding in ("valid", "same"):
        layer("Conv2D", filters=3, kernel_size=kernel, padding=padding, shape=shape)
        layer("Conv2D", filters=3, kernel_size=kernel, padding=padding, strides=strides, shape=shape)
        layer("DepthwiseConv2D", kernel_size=kernel, padding=padding, shape=shape)
        layer("SeparableConv2D", filters=3, kernel_size=kernel, padding=padding, shape=shape)
        layer("Conv2DTranspose", filters=3, kernel_size=kernel, padding=padding, strides=strides, shape=shape)
    layer("Conv2D", filters=3, kernel_size=kernel, dilation_rate=strides, padding="same", shape=shape)
    layer("DepthwiseConv2D", kernel_size=kernel, dilation_rate=strides, padding="same", shape=shape)
    layer("SeparableConv2D", filters=3, kernel_size=kernel, dilation_rate=strides, shape=shape)
layer("Conv2D", filters=3, kernel_size=(LENGTH, 4), shape=(LENGTH, 4, 1))
layer("Conv2D", filters=3, kernel_size=(5, 4), padding="same", shape=(LENGTH, 4, 1))
layer("Conv2D", filters=3, kernel_size=(1, 5), data_format="channels_first", shape=(4, 1, LENGTH))
layer("Conv2D", filters=4, kernel_size=(1, 3), groups=2, padding="same", shape=ROWS_OF_ONE)
layer("DepthwiseConv2D", kernel_size=3, depth_multiplier=2, padding="same", strides=2, shape=ROWS_OF_ONE)
layer("SeparableConv2D", filters=3, kernel_size=3, depth_multiplier=2, padding="same", shape=ROWS_OF_ONE)

for implementation in (1, 2, 3):
    layer(
        "LocallyConnected1D",
        filters=3,
        kernel_size=4,
        strides=2,
        implementation=implementation,
        generations=KERAS_2,
    )
layer("LocallyConnected1D", filters=3, kernel_size=4, padding="same", implementation=2, generations=KERAS_2)
layer("LocallyConnected1D", filters=3, kernel_size=4, padding="same", implementation=3, generations=KERAS_2)
layer("LocallyConnected1D", filters=3, kernel_size=3, use_bias=False, activation="relu", generations=KERAS_2)
for implementation in (1, 2, 3):
    layer(
        "LocallyConnected2D",
        filters=2,
        kernel_size=(1, 4),
        implementation=implementation,
        generations=KERAS_2,
        shape=ROWS_OF_ONE,
    )

layer("Dense", units=3)
layer("Dense", units=3, use_bias=False, activation="relu")
layer("Dense", units=3, activation="softmax", shape=ROWS_OF_ONE)
layer("EinsumDense", equation="abc,cd->abd", output_shape=(None, 3), bias_axes="d")
layer("EinsumDense", equation="abc,bd->adc", output_shape=(5, 4), bias_axes="dc", activation="relu")
layer("EinsumDense", equation="...x,xy->...y", output_shape=3)
layer("EinsumDense", equation="abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de")


@model("Dense", "behind Flatten, without a name of its own for the input, in a Sequential")
def sequential(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [layers.Input((LENGTH, 4)), layers.Conv1D(3, 5), layers.Flatten(), layers.Dense(2)]
    )


@model("Conv1D", "a Sequential that begins with input_shape", generations=KERAS_2)
def sequential_of_input_shape(keras: Any) -> Any:
    layers = keras.layers
    first = layers.Conv1D(3, 5, input_shape=(LENGTH, 4), activation="relu")
    return keras.Sequential([first, layers.GlobalMaxPooling1D(), layers.Dense(2)])


@model("Conv1D", "shared by two branches")
def shared(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    convolution = layers.Conv1D(3, 5, activation="relu")
    other = layers.Cropping1D((2, 3))(dna)
    both = [layers.GlobalMaxPooling1D()(convolution(x)) for x in (dna, other)]
    return keras.Model(dna, layers.Dense(2)(layers.Concatenate()(both)))


@model("Conv1D", "names with a dot and a slash")
def dotted(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    x = layers.Conv1D(3, 5, name="conv1.a")(dna)
    return keras.Model(dna, layers.Dense(2, name="out.b")(layers.Flatten(name="weight")(x)))
