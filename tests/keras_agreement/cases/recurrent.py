"""Recurrent layers: activations, directions, sequences, states inside, cells and wrappers."""

from __future__ import annotations

from typing import Any

from keras_agreement.case import LENGTH, layer, made
from keras_agreement.cases.wrappers import in_four

KINDS = ("LSTM", "GRU", "SimpleRNN")

for kind in KINDS:
    layer(kind, units=3)
    layer(kind, units=3, return_sequences=True)
    layer(kind, units=3, go_backwards=True)
    layer(kind, units=3, go_backwards=True, return_sequences=True)
    layer(kind, units=3, use_bias=False)
    layer(kind, units=3, activation="relu")
    layer(kind, units=3, activation="softsign", return_sequences=True)
    layer(kind, units=3, unroll=True)
    layer(kind, units=3, dropout=0.2, recurrent_dropout=0.3)
for kind in ("LSTM", "GRU"):
    for gate in ("hard_sigmoid", "softsign", "tanh"):
        layer(kind, units=3, recurrent_activation=gate)
    layer(kind, units=3, implementation=1)
layer("LSTM", units=3, unit_forget_bias=False)
layer("GRU", units=3, reset_after=False)
layer("GRU", units=3, reset_after=False, return_sequences=True, go_backwards=True)
layer("GRU", units=3, reset_after=False, use_bias=False)

for kind in KINDS:
    for mode in ("concat", "sum", "mul", "ave"):
        for sequences in (False, True):
            made(
                "Bidirectional",
                f"{kind}(3, return_sequences={sequences}), merge_mode={mode!r}",
                lambda keras, kind=kind, mode=mode, sequences=sequences: keras.layers.Bidirectional(
                    getattr(keras.layers, kind)(3, return_sequences=sequences), merge_mode=mode
                ),
            )
for sequences in (False, True):
    made(
        "Bidirectional",
        f"LSTM(3, return_sequences={sequences}), merge_mode=None",
        lambda keras, sequences=sequences: keras.layers.Bidirectional(
            keras.layers.LSTM(3, return_sequences=sequences), merge_mode=None
        ),
    )


def _two_layers(keras: Any) -> Any:
    layers = keras.layers
    return layers.Bidirectional(
        layers.LSTM(3, return_sequences=True),
        backward_layer=layers.GRU(2, return_sequences=True, go_backwards=True),
    )


made("Bidirectional", "LSTM(3) and backward_layer=GRU(2)", _two_layers)
made(
    "Bidirectional",
    "LSTM(3, activation='relu', recurrent_activation='hard_sigmoid')",
    lambda keras: keras.layers.Bidirectional(
        keras.layers.LSTM(3, activation="relu", recurrent_activation="hard_sigmoid")
    ),
)
made(
    "Bidirectional",
    "GRU(3, go_backwards=True)",
    lambda keras: keras.layers.Bidirectional(keras.layers.GRU(3, go_backwards=True, return_sequences=True)),
)

for kind in KINDS:
    made(
        "RNN",
        f"{kind}Cell(3)",
        lambda keras, kind=kind: keras.layers.RNN(getattr(keras.layers, f"{kind}Cell")(3)),
    )
    made(
        "RNN",
        f"{kind}Cell(3), return_sequences=True, go_backwards=True",
        lambda keras, kind=kind: keras.layers.RNN(
            getattr(keras.layers, f"{kind}Cell")(3), return_sequences=True, go_backwards=True
        ),
    )
    made(
        f"{kind}Cell",
        "in an RNN, activation='relu'",
        lambda keras, kind=kind: keras.layers.RNN(getattr(keras.layers, f"{kind}Cell")(3, activation="relu")),
    )
made(
    "StackedRNNCells",
    "of an LSTMCell(3) and a GRUCell(2), in an RNN",
    lambda keras: keras.layers.RNN(
        keras.layers.StackedRNNCells([keras.layers.LSTMCell(3), keras.layers.GRUCell(2)])
    ),
)
made(
    "RNN",
    "a list of two LSTMCells, return_sequences=True",
    lambda keras: keras.layers.RNN(
        [keras.layers.LSTMCell(3), keras.layers.LSTMCell(2)], return_sequences=True
    ),
)

for padding in ("valid", "same"):
    layer("ConvLSTM1D", filters=2, kernel_size=3, padding=padding, before=in_four)
layer("ConvLSTM1D", filters=2, kernel_size=3, return_sequences=True, strides=2, before=in_four)
made(
    "ConvLSTM2D",
    "filters=2, kernel_size=(1, 3), padding='same'",
    lambda keras: keras.layers.ConvLSTM2D(2, (1, 3), padding="same"),
    before=lambda keras: keras.layers.Reshape((4, 1, 6, 4)),
)

made("TimeDistributed", "Dense(3)", lambda keras: keras.layers.TimeDistributed(keras.layers.Dense(3)))
made(
    "TimeDistributed",
    "Dense(3, activation='softmax')",
    lambda keras: keras.layers.TimeDistributed(keras.layers.Dense(3, activation="softmax")),
)
made(
    "TimeDistributed",
    "Conv1D(2, 3)",
    lambda keras: keras.layers.TimeDistributed(keras.layers.Conv1D(2, 3)),
    shape=(1, LENGTH, 4),
)
made(
    "TimeDistributed",
    "LSTM(3)",
    lambda keras: keras.layers.TimeDistributed(keras.layers.LSTM(3)),
    shape=(1, LENGTH, 4),
)
made(
    "TimeDistributed",
    "BatchNormalization()",
    lambda keras: keras.layers.TimeDistributed(keras.layers.BatchNormalization()),
)
made(
    "TimeDistributed",
    "Sequential of Dense(3) and Dense(2)",
    lambda keras: keras.layers.TimeDistributed(
        keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(2)])
    ),
)
made(
    "TimeDistributed",
    "Bidirectional(GRU(2))",
    lambda keras: keras.layers.TimeDistributed(keras.layers.Bidirectional(keras.layers.GRU(2))),
    shape=(1, LENGTH, 4),
)
