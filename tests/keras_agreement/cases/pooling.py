"""Pooling: windows, strides, padding, data formats; adaptive and global pooling."""

from __future__ import annotations

from keras_agreement.case import KERAS_3, LENGTH, layer
from keras_agreement.cases.convolutions import COLUMNS_OF_ONE, ROWS_OF_ONE

FIRST = (4, LENGTH)

for kind in ("AveragePooling1D", "MaxPooling1D"):
    for padding in ("valid", "same"):
        for size, strides in ((3, 1), (2, None), (5, None), (4, 3), (5, 2), (3, 7)):
            layer(kind, pool_size=size, strides=strides, padding=padding)
    layer(kind, pool_size=3, strides=2, padding="same", data_format="channels_first", shape=FIRST)
    layer(kind, pool_size=3, data_format="channels_first", shape=FIRST)
for kind in ("AveragePooling2D", "MaxPooling2D"):
    for shape, size in ((ROWS_OF_ONE, (1, 5)), (COLUMNS_OF_ONE, (5, 1))):
        for padding in ("valid", "same"):
            layer(kind, pool_size=size, padding=padding, shape=shape)
            layer(
                kind,
                pool_size=size,
                strides=tuple(2 if n > 1 else 1 for n in size),
                padding=padding,
                shape=shape,
            )
    layer(kind, pool_size=3, strides=2, padding="same", shape=ROWS_OF_ONE)
    layer(kind, pool_size=3, strides=1, padding="same", shape=(LENGTH, 4, 1))
    layer(kind, pool_size=(1, 4), padding="same", data_format="channels_first", shape=(4, 1, LENGTH))
for kind in ("GlobalAveragePooling1D", "GlobalMaxPooling1D"):
    layer(kind)
    layer(kind, keepdims=True)
    layer(kind, data_format="channels_first", shape=FIRST)
for kind in ("GlobalAveragePooling2D", "GlobalMaxPooling2D"):
    layer(kind, shape=ROWS_OF_ONE)
    layer(kind, keepdims=True, shape=COLUMNS_OF_ONE)
    layer(kind, data_format="channels_first", shape=(4, 1, LENGTH))
for kind in ("AdaptiveAveragePooling1D", "AdaptiveMaxPooling1D"):
    for size in (5, 8, LENGTH):
        layer(kind, output_size=size, generations=KERAS_3)
    layer(kind, output_size=7, data_format="channels_first", shape=FIRST, generations=KERAS_3)
for kind in ("AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D"):
    layer(kind, output_size=(1, 7), shape=ROWS_OF_ONE, generations=KERAS_3)
# for max pooling to one position, TensorFlow 2.21 divides by zero and ends the process
layer("AdaptiveAveragePooling1D", output_size=1, generations=KERAS_3)
layer("AdaptiveAveragePooling2D", output_size=(6, 1), shape=COLUMNS_OF_ONE, generations=KERAS_3)
