"""What the generations write differently: calls in training, precision, and settings as objects."""

from __future__ import annotations

from typing import Any

from keras_agreement.case import LENGTH, made, model

for kind, given in (("BatchNormalization", ()), ("Dropout", (0.4,)), ("GaussianNoise", (0.3,))):
    for training in (True, False):

        @model(kind, f"called with training={training}")
        def called(
            keras: Any, kind: str = kind, given: tuple[float, ...] = given, training: bool = training
        ) -> Any:
            layers = keras.layers
            dna = layers.Input((LENGTH, 4), name="dna")
            x = getattr(layers, kind)(*given)(layers.Conv1D(3, 5)(dna), training=training)
            return keras.Model(dna, layers.Dense(2)(layers.Flatten()(x)))


made(
    "Conv1D",
    "regularisers, constraints and initialisers as objects",
    lambda keras: keras.layers.Conv1D(
        3,
        5,
        kernel_initializer=keras.initializers.HeNormal(seed=1),
        kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2),
        kernel_constraint=keras.constraints.MaxNorm(3),
        bias_initializer=keras.initializers.Constant(0.1),
        activity_regularizer="l2",
    ),
)


@model("Functional", "compiled and with an optimiser that has state")
def compiled(keras: Any) -> Any:
    layers = keras.layers
    dna = layers.Input((LENGTH, 4), name="dna")
    x = layers.Flatten()(layers.BatchNormalization()(layers.Conv1D(3, 5, activation="relu")(dna)))
    made = keras.Model(dna, layers.Dense(2)(x))
    made.compile("adam", "mse")
    import numpy as np

    made.fit(np.zeros((4, LENGTH, 4), "float32"), np.zeros((4, 2), "float32"), verbose=0)
    return made
