"""Nested models, and frozen layers, whose weights are written in a different order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from keras_agreement.case import BOTH, KERAS_2, LENGTH, model


def _block(keras: Any, name: str, x_of: Callable[[Any], Any], shape: tuple[int, int], kind: str) -> Any:
    """Return a model with one input called ``name``."""
    layers = keras.layers
    if kind == "Sequential":
        made = keras.Sequential([layers.Input(shape), *x_of(layers)], name=name)
    else:
        inputs = x = layers.Input(shape, name=f"{name}_input")
        for each in x_of(layers):
            x = each(x)
        made = keras.Model(inputs, x, name=name)
    return made


def _layers_of(number: int) -> Callable[[Any], list[Any]]:
    """Return makers of a convolution, a norm and a dense layer, whose weights would fit if swapped."""
    return lambda layers: [
        layers.Conv1D(4, 3, padding="same", name=f"conv{number}"),
        layers.BatchNormalization(name=f"norm{number}"),
        layers.Dense(4, activation="relu", name=f"dense{number}"),
    ]


def _frozen(keras: Any, made: Any, what: str) -> None:
    """Freeze a part of a block: all of it, a layer in it, or nothing."""
    if what == "all":
        made.trainable = False
    elif what != "none":
        next(each for each in made.layers if each.name.startswith(what)).trainable = False


def _head(keras: Any, dna: Any, x: Any) -> Any:
    return keras.Model(dna, keras.layers.Dense(2, name="out")(keras.layers.Flatten()(x)))


for kind, inner in product(("Functional", "Sequential"), ("none", "all", "conv", "norm", "dense")):

    @model(kind, f"one within a model, frozen: {inner}")
    def one_deep(keras: Any, kind: str = kind, inner: str = inner) -> Any:
        part = _block(keras, "part", _layers_of(1), (LENGTH, 4), kind)
        _frozen(keras, part, inner)
        dna = keras.layers.Input((LENGTH, 4), name="dna")
        return _head(keras, dna, part(dna))


for kind, outer, inner in product(
    ("Functional", "Sequential"), ("none", "all", "conv"), ("none", "all", "conv", "norm")
):

    @model(kind, f"two deep, frozen: {outer} of the outer, {inner} of the inner")
    def two_deep(keras: Any, kind: str = kind, outer: str = outer, inner: str = inner) -> Any:
        within = _block(keras, "inner", _layers_of(1), (LENGTH, 4), kind)
        _frozen(keras, within, inner)
        part = _block(
            keras,
            "outer",
            lambda layers: [*_layers_of(2)(layers), within, *_layers_of(3)(layers)],
            (LENGTH, 4),
            kind,
        )
        _frozen(keras, part, outer)
        dna = keras.layers.Input((LENGTH, 4), name="dna")
        return _head(keras, dna, part(keras.layers.Conv1D(4, 3, padding="same")(dna)))


for outer, middle, inner in product(("none", "all"), ("none", "norm"), ("conv", "all")):

    @model(
        "Functional",
        f"three deep, frozen: {outer} of the outer, {middle} of the middle, {inner} of the inner",
    )
    def three_deep(keras: Any, outer: str = outer, middle: str = middle, inner: str = inner) -> Any:
        within = _block(keras, "inner", _layers_of(1), (LENGTH, 4), "Sequential")
        _frozen(keras, within, inner)
        between = _block(
            keras, "middle", lambda layers: [within, *_layers_of(2)(layers)], (LENGTH, 4), "Functional"
        )
        _frozen(keras, between, middle)
        part = _block(
            keras, "outer", lambda layers: [*_layers_of(3)(layers), between], (LENGTH, 4), "Functional"
        )
        _frozen(keras, part, outer)
        dna = keras.layers.Input((LENGTH, 4), name="dna")
        return _head(keras, dna, part(dna))


@model("Functional", "frozen as a whole, then a layer of the nested trained again")
def unfrozen(keras: Any) -> Any:
    part = _block(keras, "part", _layers_of(1), (LENGTH, 4), "Functional")
    part.trainable = False
    next(each for each in part.layers if each.name == "dense1").trainable = True
    dna = keras.layers.Input((LENGTH, 4), name="dna")
    return _head(keras, dna, part(dna))


@model("Functional", "the whole model frozen, with one within")
def whole_frozen(keras: Any) -> Any:
    part = _block(keras, "part", _layers_of(1), (LENGTH, 4), "Functional")
    next(each for each in part.layers if each.name == "norm1").trainable = False
    dna = keras.layers.Input((LENGTH, 4), name="dna")
    made = _head(keras, dna, part(dna))
    made.trainable = False
    return made


@model("Functional", "one nested called twice")
def called_twice(keras: Any) -> Any:
    layers = keras.layers
    part = _block(keras, "part", _layers_of(1), (LENGTH, 4), "Functional")
    dna = layers.Input((LENGTH, 4), name="dna")
    return _head(keras, dna, layers.Add()([part(dna), part(layers.Dense(4)(dna))]))


@model("Functional", "two nested of the same layers' names")
def same_names(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    parts = [_block(keras, name, _layers_of(1), (LENGTH, 4), "Functional") for name in ("left", "right")]
    _frozen(keras, parts[1], "conv")
    return _head(keras, dna, layers.Concatenate()([part(dna) for part in parts]))


@model("Functional", "a nested of two inputs and two outputs")
def of_two(keras: Any) -> Any:
    layers = keras.layers
    a, b = layers.Input((LENGTH, 4), name="a"), layers.Input((LENGTH, 3), name="b")
    x = layers.Concatenate()([layers.Dense(4)(a), b])
    part = keras.Model([a, b], [layers.Dense(3)(x), layers.Dense(2)(x)], name="part")
    dna = layers.Input((LENGTH, 4), name="dna")
    one, other = part([dna, layers.Dense(3)(dna)])
    return _head(keras, dna, layers.Concatenate()([one, other]))


@model("Functional", "recurrent, norm and attention layers in a nested, frozen in part")
def of_many_kinds(keras: Any) -> Any:
    layers = keras.layers
    inputs = layers.Input((LENGTH, 4), name="inputs")
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")(inputs)
    x = layers.MultiHeadAttention(2, 2, name="heads")(x, x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GRU(4, return_sequences=True, name="gru")(x)
    part = keras.Model(inputs, layers.SeparableConv1D(4, 3, name="separable")(x), name="part")
    part.get_layer("both").trainable = False
    part.get_layer("gru").trainable = False
    dna = layers.Input((LENGTH, 4), name="dna")
    return _head(keras, dna, part(dna))


@model("Functional", "a nested that gives a dict, its keys not in their order")
def giving_by_key(keras: Any) -> Any:
    layers = keras.layers
    inputs = layers.Input((LENGTH, 4), name="inputs")
    given = {"z": layers.Dense(4)(inputs), "m": layers.Conv1D(4, 3, padding="same")(inputs), "b": inputs}
    dna = layers.Input((LENGTH, 4), name="dna")
    found = keras.Model(inputs, given, name="part")(dna)
    product = layers.Multiply()([found["m"], found["b"]])
    return _head(keras, dna, layers.Subtract()([found["z"], product]))


def _of_keys(keras: Any) -> tuple[Any, Any, Any]:
    """Return the DNA, a second sequence computed from it, and a model of inputs by key, not sorted."""
    layers = keras.layers
    one, other = layers.Input((LENGTH, 4), name="x1"), layers.Input((LENGTH, 4), name="x2")
    made = layers.Dense(3)(layers.Subtract()([one, layers.Dense(4)(other)]))
    dna = layers.Input((LENGTH, 4), name="dna")
    part = keras.Model({"x2": other, "x1": one}, made, name="part")
    return dna, layers.Conv1D(4, 3, padding="same")(dna), part


for called in ("by key", "by key, in another order", "by a list"):

    @model(
        "Functional",
        f"a nested of inputs by key, called {called}",
        generations=KERAS_2 if called == "by a list" else BOTH,
    )
    def of_keys(keras: Any, called: str = called) -> Any:
        dna, x, part = _of_keys(keras)
        if called == "by a list":
            return _head(keras, dna, part([dna, x]))
        return _head(keras, dna, part({"x2": x, "x1": dna} if called == "by key" else {"x1": dna, "x2": x}))


@model("Masking", "before a nested of inputs by key")
def masked_by_key(keras: Any) -> Any:
    layers = keras.layers
    one, other = layers.Input((LENGTH, 4), name="x1"), layers.Input((LENGTH, 4), name="x2")
    x = layers.Concatenate()([layers.LSTM(3)(one), layers.GlobalAveragePooling1D()(other)])
    part = keras.Model({"x2": other, "x1": one}, x, name="part")
    dna = layers.Input((LENGTH, 4), name="dna")
    masked = layers.Masking()(dna)
    return keras.Model(dna, part({"x1": layers.Dense(4)(masked), "x2": dna}))
