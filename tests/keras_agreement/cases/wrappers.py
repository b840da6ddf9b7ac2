"""Layers that apply another layer or a model."""

from __future__ import annotations

from typing import Any

from keras_agreement.case import made


def in_four(keras: Any) -> Any:
    """Return a layer that folds 24 positions into four rows of six."""
    return keras.layers.Reshape((4, 6, 4))


def _sequential(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [layers.Input((6, 4)), layers.Conv1D(3, 2, activation="relu"), layers.Flatten(), layers.Dense(3)]
    )


def _functional(keras: Any) -> Any:
    layers = keras.layers
    given = layers.Input((6, 4))
    x = layers.BatchNormalization()(layers.Conv1D(3, 2, activation="relu")(given))
    x = layers.Flatten()(x)
    return keras.Model(given, layers.Concatenate()([layers.Dense(3)(x), layers.Dense(2)(x)]))


def _nested(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential([layers.Input((6, 4)), _sequential(keras), layers.Dense(3)])


for shown, model in (
    ("a Sequential with a Conv1D", _sequential),
    ("a functional model", _functional),
    ("a Sequential of a Sequential", _nested),
):
    made(
        "TimeDistributed",
        shown,
        lambda keras, model=model: keras.layers.TimeDistributed(model(keras)),
        before=in_four,
    )
made(
    "TimeDistributed",
    "Conv1D, padding='same'",
    lambda keras: keras.layers.TimeDistributed(keras.layers.Conv1D(3, 4, strides=2, padding="same")),
    before=in_four,
)
made(
    "TimeDistributed",
    "MaxPooling1D(2)",
    lambda keras: keras.layers.TimeDistributed(keras.layers.MaxPooling1D(2)),
    before=in_four,
)
made(
    "TimeDistributed",
    "TimeDistributed(Dense(3))",
    lambda keras: keras.layers.TimeDistributed(keras.layers.TimeDistributed(keras.layers.Dense(3))),
    before=in_four,
)
made(
    "Bidirectional",
    "ConvLSTM1D(2, 3, return_sequences=True)",
    lambda keras: keras.layers.Bidirectional(keras.layers.ConvLSTM1D(2, 3, return_sequences=True)),
    before=in_four,
)
made(
    "Bidirectional",
    "ConvLSTM1D(2, 3), merge_mode='sum'",
    lambda keras: keras.layers.Bidirectional(keras.layers.ConvLSTM1D(2, 3), merge_mode="sum"),
    before=in_four,
)
made(
    "ConvLSTM1D",
    "go_backwards=True, recurrent_activation='hard_sigmoid', dilation_rate=2",
    lambda keras: keras.layers.ConvLSTM1D(
        2, 2, go_backwards=True, recurrent_activation="hard_sigmoid", dilation_rate=2, padding="same"
    ),
    before=in_four,
)
