"""Recurrent layers that return their states, or take initial ones."""

from __future__ import annotations

from typing import Any

from keras_agreement.case import LENGTH, model

for kind in ("LSTM", "GRU", "SimpleRNN"):
    for more in ({}, {"return_sequences": True}, {"go_backwards": True}):
        said = "".join(f", {key}={value}" for key, value in more.items())

        @model(kind, f"units=3, return_state=True{said}")
        def states(keras: Any, kind: str = kind, more: dict[str, bool] = more) -> Any:
            layers = keras.layers
            dna = layers.Input((LENGTH, 4), name="dna")
            return keras.Model(dna, getattr(layers, kind)(3, return_state=True, **more)(dna))

    @model(kind, "units=3, return_state=True, of which one is used")
    def one_state(keras: Any, kind: str = kind) -> Any:
        layers = keras.layers
        dna = layers.Input((LENGTH, 4), name="dna")
        *_, last = getattr(layers, kind)(3, return_state=True)(dna)
        return keras.Model(dna, layers.Dense(2)(last))

    @model(kind, "units=3, initial_state= of another")
    def begun(keras: Any, kind: str = kind) -> Any:
        layers = keras.layers
        dna = layers.Input((LENGTH, 4), name="dna")
        _, *found = getattr(layers, kind)(3, return_state=True)(dna)
        return keras.Model(dna, getattr(layers, kind)(3)(layers.Dense(2)(dna), initial_state=found))

    @model(kind, "units=3, called with a list of inputs and states")
    def begun_by_list(keras: Any, kind: str = kind) -> Any:
        layers = keras.layers
        dna = layers.Input((LENGTH, 4), name="dna")
        pooled = layers.GlobalMaxPooling1D()(dna)
        found = [layers.Dense(3)(pooled) for _ in range(2 if kind == "LSTM" else 1)]
        if keras.__version__ < "3":
            return keras.Model(dna, getattr(layers, kind)(3, return_sequences=True)([dna, *found]))
        return keras.Model(dna, getattr(layers, kind)(3, return_sequences=True)(dna, initial_state=found))

    @model("Bidirectional", f"{kind}(3, return_state=True)")
    def both(keras: Any, kind: str = kind) -> Any:
        layers = keras.layers
        dna = layers.Input((LENGTH, 4), name="dna")
        made = layers.Bidirectional(getattr(layers, kind)(3, return_sequences=True, return_state=True))(dna)
        return keras.Model(dna, made)

    @model("Bidirectional", f"{kind}(3), initial_state= of another")
    def both_begun(keras: Any, kind: str = kind) -> Any:
        layers = keras.layers
        dna = layers.Input((LENGTH, 4), name="dna")
        _, *found = layers.Bidirectional(getattr(layers, kind)(3, return_state=True))(dna)
        made = layers.Bidirectional(getattr(layers, kind)(3, return_sequences=True))(dna, initial_state=found)
        return keras.Model(dna, made)

    @model("Masking", f"before {kind}(3, return_state=True)")
    def masked(keras: Any, kind: str = kind) -> Any:
        layers = keras.layers
        dna = layers.Input((LENGTH, 4), name="dna")
        return keras.Model(dna, getattr(layers, kind)(3, return_state=True)(layers.Masking()(dna)))


@model("LSTM", "an encoder and a decoder")
def decoder(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    _, h, c = layers.LSTM(3, return_state=True, name="encoder")(dna)
    x = layers.RepeatVector(5)(h)
    x = layers.LSTM(3, return_sequences=True, name="decoder")(x, initial_state=[h, c])
    return keras.Model(dna, layers.TimeDistributed(layers.Dense(2))(x))


@model("LSTM", "units=3, stateful=True")
def stateful(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), batch_size=6, name="dna")
    return keras.Model(dna, layers.LSTM(3, stateful=True)(dna))
