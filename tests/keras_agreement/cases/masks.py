"""Masks: where they come from, which layers use them, and which pass them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_agreement.case import BOTH, KERAS_2, KERAS_3, LENGTH, model


def _masked(settings: str, make: Callable[[Any, Any], Any], generations: tuple[int, ...] = BOTH) -> None:
    """Add the model that ``make`` makes with ``keras.layers`` from DNA after a Masking layer."""

    @model("Masking", f"before {settings}" if settings else "", generations=generations)
    def build(keras: Any) -> Any:
        dna = keras.layers.Input((LENGTH, 4), name="dna")
        return keras.Model(dna, make(keras.layers, keras.layers.Masking()(dna)))


def _twice(layers: Any, x: Any) -> Any:
    return layers.GRU(2)(layers.LSTM(3, return_sequences=True)(x))


_masked("", lambda layers, x: x)
for kind in ("LSTM", "GRU", "SimpleRNN"):
    for more in (
        {},
        {"return_sequences": True},
        {"go_backwards": True},
        {"go_backwards": True, "return_sequences": True},
    ):
        said = "".join(f", {key}={value}" for key, value in more.items())
        _masked(
            f"{kind}(3{said})", lambda layers, x, kind=kind, more=more: getattr(layers, kind)(3, **more)(x)
        )
    for sequences in (False, True):
        _masked(
            f"Bidirectional({kind}(3, return_sequences={sequences}))",
            lambda layers, x, kind=kind, sequences=sequences: layers.Bidirectional(
                getattr(layers, kind)(3, return_sequences=sequences)
            )(x),
        )
    _masked(f"{kind}(3, unroll=True)", lambda layers, x, kind=kind: getattr(layers, kind)(3, unroll=True)(x))
_masked(
    "LSTM(3, return_sequences=True, zero_output_for_mask=True)",
    lambda layers, x: layers.LSTM(3, return_sequences=True, zero_output_for_mask=True)(x),
)
_masked(
    "GRU(3, reset_after=False, recurrent_activation='hard_sigmoid')",
    lambda layers, x: layers.GRU(3, reset_after=False, recurrent_activation="hard_sigmoid")(x),
)
_masked("LSTM(3, return_sequences=True) before GRU(2)", _twice)
_masked("GlobalAveragePooling1D()", lambda layers, x: layers.GlobalAveragePooling1D()(x))
_masked(
    "GlobalAveragePooling1D(keepdims=True)", lambda layers, x: layers.GlobalAveragePooling1D(keepdims=True)(x)
)
_masked(
    "Dense and GlobalAveragePooling1D", lambda layers, x: layers.GlobalAveragePooling1D()(layers.Dense(3)(x))
)
_masked("Dense and GlobalMaxPooling1D", lambda layers, x: layers.GlobalMaxPooling1D()(layers.Dense(3)(x)))
_masked(
    "Conv1D and GlobalAveragePooling1D",
    lambda layers, x: layers.GlobalAveragePooling1D()(layers.Conv1D(3, 5)(x)),
)
_masked(
    "Conv1D(padding='same') and LSTM(3)",
    lambda layers, x: layers.LSTM(3)(layers.Conv1D(3, 5, padding="same")(x)),
)
_masked(
    "BatchNormalization and GlobalAveragePooling1D",
    lambda layers, x: layers.GlobalAveragePooling1D()(layers.BatchNormalization()(x)),
)
_masked("LayerNormalization and LSTM(3)", lambda layers, x: layers.LSTM(3)(layers.LayerNormalization()(x)))
_masked(
    "Dropout, Activation and LSTM(3)",
    lambda layers, x: layers.LSTM(3)(layers.Activation("tanh")(layers.Dropout(0.3)(x))),
)
for name in (
    "ReLU",
    "LeakyReLU",
    "ELU",
    "PReLU",
    "SpatialDropout1D",
    "GaussianNoise",
    "UnitNormalization",
):
    given = {"SpatialDropout1D": (0.3,), "GaussianNoise": (0.3,)}.get(name, ())
    _masked(
        f"{name} and GlobalAveragePooling1D",
        lambda layers, x, name=name, given=given: layers.GlobalAveragePooling1D()(
            getattr(layers, name)(*given)(layers.Dense(3)(x))
        ),
    )
_masked("TimeDistributed(Dense(3))", lambda layers, x: layers.TimeDistributed(layers.Dense(3))(x))
_masked(
    "TimeDistributed(Dense(3)) and LSTM(2)",
    lambda layers, x: layers.LSTM(2)(layers.TimeDistributed(layers.Dense(3))(x)),
)
_masked("Flatten and Dense", lambda layers, x: layers.Dense(2)(layers.Flatten()(x)))
_masked("Permute and Dense", lambda layers, x: layers.Dense(2)(layers.Permute((2, 1))(x)))
_masked("Reshape and LSTM(3)", lambda layers, x: layers.LSTM(3)(layers.Reshape((LENGTH // 2, 8))(x)))
_masked("MaxPooling1D and LSTM(3)", lambda layers, x: layers.LSTM(3)(layers.MaxPooling1D(2)(x)))
_masked("ZeroPadding1D and LSTM(3)", lambda layers, x: layers.LSTM(3)(layers.ZeroPadding1D(2)(x)))
_masked("Cropping1D and GRU(3)", lambda layers, x: layers.GRU(3)(layers.Cropping1D(2)(x)))
for merge in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract", "Concatenate"):
    _masked(
        f"{merge} of two Denses, and GlobalAveragePooling1D",
        lambda layers, x, merge=merge: layers.GlobalAveragePooling1D()(
            getattr(layers, merge)()([layers.Dense(3)(x), layers.Dense(3)(x)])
        ),
    )
_masked(
    "Concatenate(axis=1) and LSTM(3)",
    lambda layers, x: layers.LSTM(3)(layers.Concatenate(axis=1)([layers.Dense(3)(x), layers.Dense(3)(x)])),
)
_masked("Attention of itself", lambda layers, x: layers.Attention()([layers.Dense(3)(x), layers.Dense(3)(x)]))
_masked(
    "AdditiveAttention of itself",
    lambda layers, x: layers.AdditiveAttention()([layers.Dense(3)(x), layers.Dense(3)(x)]),
)
_masked(
    "Attention and GlobalAveragePooling1D",
    lambda layers, x: layers.GlobalAveragePooling1D()(
        layers.Attention()([layers.Dense(3)(x), layers.Dense(3)(x)])
    ),
)
_masked("MultiHeadAttention of itself", lambda layers, x: layers.MultiHeadAttention(2, 3)(x, x))
_masked(
    "MultiHeadAttention of itself, causal",
    lambda layers, x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True),
)
_masked(
    "MultiHeadAttention and GlobalAveragePooling1D",
    lambda layers, x: layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 3)(x, x)),
)
_masked("GroupQueryAttention of itself", lambda layers, x: layers.GroupQueryAttention(3, 4, 2)(x, x), KERAS_3)
_masked("RNN(LSTMCell(3))", lambda layers, x: layers.RNN(layers.LSTMCell(3))(x))


@model("Masking", "mask_value=0.25, before LSTM(3)")
def of_quarters(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    return keras.Model(dna, layers.LSTM(3)(layers.Masking(mask_value=0.25)(dna)))


@model("Masking", "of one of two branches, and Add, GlobalAveragePooling1D")
def of_one_branch(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    both = layers.Add()([layers.Dense(3)(layers.Masking()(dna)), layers.Dense(3)(dna)])
    return keras.Model(dna, layers.GlobalAveragePooling1D()(both))


@model("Masking", "of one of two branches, and Concatenate, LSTM(3)")
def of_one_branch_concatenated(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    both = layers.Concatenate()([layers.Dense(3)(layers.Masking()(dna)), layers.Dense(3)(dna)])
    return keras.Model(dna, layers.LSTM(3)(both))


@model("Masking", "in a Sequential, before LSTM(3) and Dense(2)")
def in_a_sequential(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential([layers.Input((LENGTH, 4)), layers.Masking(), layers.LSTM(3), layers.Dense(2)])


@model("Masking", "inside a nested model, whose LSTM(3) is outside")
def inside(keras: Any) -> Any:
    layers = keras.layers
    within = layers.Input((LENGTH, 4), name="within")
    part = keras.Model(within, layers.Dense(3)(layers.Masking()(within)), name="part")
    dna = layers.Input((LENGTH, 4), name="dna")
    return keras.Model(dna, layers.LSTM(3)(part(dna)))


@model("Masking", "before a nested model with an LSTM(3)")
def outside(keras: Any) -> Any:
    layers = keras.layers
    within = layers.Input((LENGTH, 4), name="within")
    part = keras.Model(within, layers.LSTM(3)(within), name="part")
    dna = layers.Input((LENGTH, 4), name="dna")
    return keras.Model(dna, layers.Dense(2)(part(layers.Masking()(dna))))


@model("Masking", "before a nested Sequential with Dense(3) and LSTM(2)")
def outside_a_sequential(keras: Any) -> Any:
    layers = keras.layers
    part = keras.Sequential([layers.Input((LENGTH, 4)), layers.Dense(3), layers.LSTM(2)], name="part")
    dna = layers.Input((LENGTH, 4), name="dna")
    return keras.Model(dna, layers.Dense(2)(part(layers.Masking()(dna))))


@model("Masking", "its mask given to LSTM(3) by mask=", generations=KERAS_2)
def by_argument(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    masking = layers.Masking()
    mask = masking.compute_mask(dna)
    return keras.Model(dna, layers.LSTM(3)(layers.Dense(3)(dna), mask=mask))
