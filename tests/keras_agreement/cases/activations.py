"""Activations of each generation, by name, as layers, and inside other layers."""

from __future__ import annotations

from typing import Any

from keras_agreement.case import BOTH, KERAS_2, KERAS_3, LENGTH, layer, made, model

NAMES = (
    *("elu", "exponential", "gelu", "hard_sigmoid", "linear", "mish", "relu", "selu", "sigmoid"),
    *("softmax", "softplus", "softsign", "swish", "tanh"),
)
NAMES_OF_3 = (
    *("celu", "glu", "hard_shrink", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "log_sigmoid"),
    *("log_softmax", "relu6", "silu", "soft_shrink", "sparse_plus", "sparse_sigmoid", "sparsemax"),
    *("squareplus", "tanh_shrink"),
)


def convolution(keras: Any) -> Any:
    """Return a layer whose outputs are of both signs, and large and small."""
    return keras.layers.Conv1D(6, 5)


for name in NAMES:
    layer("Activation", activation=name, before=convolution)
for name in NAMES_OF_3:
    layer("Activation", activation=name, before=convolution, generations=KERAS_3)
for name in ("relu", "sigmoid", "hard_sigmoid", "gelu", "softmax", "elu", "swish", "mish", "exponential"):
    layer("Conv1D", filters=3, kernel_size=5, activation=name)
    layer("Dense", units=3, activation=name)
for name in ("hard_silu", "leaky_relu", "relu6", "log_softmax", "sparsemax"):
    layer("Dense", units=3, activation=name, generations=KERAS_3)
for name, generations in (("elu", BOTH), ("gelu", BOTH), ("leaky_relu", KERAS_3), ("relu6", KERAS_3)):

    @model("Dense", f"activation=keras.activations.{name}, as a function", generations=generations)
    def as_function(keras: Any, name: str = name) -> Any:
        dna = keras.layers.Input((LENGTH, 4), name="dna")
        return keras.Model(dna, keras.layers.Dense(3, activation=getattr(keras.activations, name))(dna))


made(
    "Dense",
    "activation=LeakyReLU()",
    lambda keras: keras.layers.Dense(3, activation=keras.layers.LeakyReLU()),
)
made(
    "Conv1D",
    "activation=ReLU(max_value=1.0)",
    lambda keras: keras.layers.Conv1D(3, 5, activation=keras.layers.ReLU(max_value=1.0)),
)
made(
    "Conv1D",
    "activation=PReLU()",
    lambda keras: keras.layers.Conv1D(3, 5, activation=keras.layers.PReLU()),
)
layer("ReLU", before=convolution)
layer("ReLU", max_value=1.0, negative_slope=0.2, threshold=0.3, before=convolution)
layer("ReLU", threshold=0.4, before=convolution)
layer("LeakyReLU", before=convolution)
layer("LeakyReLU", alpha=0.07, before=convolution, generations=KERAS_2)
layer("LeakyReLU", negative_slope=0.07, before=convolution, generations=KERAS_3)
layer("PReLU", before=convolution)
layer("PReLU", shared_axes=[1], before=convolution)
layer("PReLU", shared_axes=[1, 2], before=convolution)
layer("ELU", before=convolution)
layer("ELU", alpha=0.3, before=convolution)
layer("Softmax", before=convolution)
layer("Softmax", axis=1, before=convolution)
layer("Softmax", axis=[1, 2], before=convolution)
layer("ThresholdedReLU", theta=0.3, before=convolution, generations=KERAS_2)
layer("ThresholdedReLU", before=convolution, generations=KERAS_2)
for name in ("Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout1D"):
    layer(name, rate=0.4)
layer("GaussianNoise", stddev=0.4)
layer("Dropout", rate=0.4, noise_shape=[None, 1, 4])
layer("SpatialDropout2D", rate=0.4, shape=(1, LENGTH, 4))
layer("ActivityRegularization", l1=0.1, l2=0.1)
layer("Identity")


def celu(x: Any) -> Any:
    """A user's function whose name Keras 2 does not have, and Keras 3 has for another function."""
    return x * 0.5


@model("Activation", "a function of the user's named celu", generations=KERAS_2)
def named_as_a_later_one(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    return keras.Model(dna, layers.Dense(2)(layers.Flatten()(layers.Conv1D(3, 5, activation=celu)(dna))))


@model("Attention", "a class of the user's of this name", generations=KERAS_2)
def class_of_the_users(keras: Any) -> Any:
    layers = keras.layers
    own = type("Attention", (layers.Layer,), {"call": lambda self, x: x[0] * 2 + x[1]})
    dna = layers.Input((LENGTH, 4), name="dna")
    x = layers.Conv1D(3, 5)(dna)
    return keras.Model(dna, own(name="mine")([x, x]))
