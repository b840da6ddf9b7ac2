"""TensorFlow functions in functional models of Keras 2, which writes their names and arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_agreement.case import KERAS_2, LENGTH, model
from keras_agreement.cases.operators import MATRIX, ROW, two_of

OfOne = Callable[[Any, Any], Any]
_OF_ONE: dict[str, OfOne] = {
    **{
        f"math.{name}(x)": lambda tf, x, name=name: getattr(tf.math, name)(x)
        for name in (
            *("abs", "atan", "cos", "cosh", "erf", "exp", "expm1", "log_sigmoid", "negative", "sigmoid"),
            *("sign", "sin", "sinh", "softplus", "square", "tanh"),
        )
    },
    **{
        f"math.{name}(x * x + 1)": lambda tf, x, name=name: getattr(tf.math, name)(x * x + 1)
        for name in ("log", "log1p", "reciprocal", "rsqrt", "sqrt")
    },
    **{
        f"math.{name}(3 * x)": lambda tf, x, name=name: getattr(tf.math, name)(3 * x)
        for name in ("ceil", "floor", "round")
    },
    **{
        f"nn.{name}(x)": lambda tf, x, name=name: getattr(tf.nn, name)(x)
        for name in (
            *("elu", "gelu", "leaky_relu", "log_softmax", "relu", "relu6", "selu", "silu", "softmax"),
            "softsign",
        )
    },
    "nn.gelu(x, approximate=True)": lambda tf, x: tf.nn.gelu(x, approximate=True),
    "nn.leaky_relu(x, alpha=0.1)": lambda tf, x: tf.nn.leaky_relu(x, alpha=0.1),
    "nn.silu(x, beta=0.5)": lambda tf, x: tf.nn.silu(x, beta=0.5),
    "nn.softmax(x, axis=1)": lambda tf, x: tf.nn.softmax(x, axis=1),
    "nn.log_softmax(x, axis=1)": lambda tf, x: tf.nn.log_softmax(x, axis=1),
    "nn.bias_add(x, an array)": lambda tf, x: tf.nn.bias_add(x, ROW),
    "add(x, 1.5)": lambda tf, x: tf.add(x, 1.5),
    "subtract(an array, x)": lambda tf, x: tf.subtract(ROW, x),
    "divide(2.0, x * x + 1)": lambda tf, x: tf.divide(2.0, x * x + 1),
    "math.divide_no_nan(x, relu(x))": lambda tf, x: tf.math.divide_no_nan(x, tf.nn.relu(x)),
    "pow(2.0, x)": lambda tf, x: tf.pow(2.0, x),
    "maximum(x, 0.1)": lambda tf, x: tf.maximum(x, 0.1),
    "minimum(0.1, x)": lambda tf, x: tf.minimum(0.1, x),
    "maximum(x, an array)": lambda tf, x: tf.maximum(x, ROW),
    "x // 2": lambda tf, x: x // 2,
    "x % 2": lambda tf, x: x % 2,
    "clip_by_value(x, -0.5, 0.5)": lambda tf, x: tf.clip_by_value(x, -0.5, 0.5),
    "where(x > 0, x, 0.2 * x)": lambda tf, x: tf.where(x > 0, x, 0.2 * x),
    "where(x > 0, x, 0.0)": lambda tf, x: tf.where(x > 0, x, 0.0),
    "where(x > 0, 1.0, -2.0)": lambda tf, x: tf.where(x > 0, 1.0, -2.0),
    "cast(x > 0, tf.float32) * x": lambda tf, x: tf.cast(x > 0, tf.float32) * x,
    "cast(x >= 0.5, 'float32')": lambda tf, x: tf.cast(x >= 0.5, "float32"),
    "cast(x < 0, tf.float32)": lambda tf, x: tf.cast(x < 0, tf.float32),
    "cast(x <= 0, tf.float32)": lambda tf, x: tf.cast(x <= 0, tf.float32),
    "cast(equal(relu(x), 0.0), tf.float32)": lambda tf, x: tf.cast(tf.equal(tf.nn.relu(x), 0.0), tf.float32),
    "cast(not_equal(relu(x), 0.0), tf.float32)": lambda tf, x: tf.cast(
        tf.not_equal(tf.nn.relu(x), 0.0), tf.float32
    ),
    "cast((x > 0) & (x < 1), tf.float32)": lambda tf, x: tf.cast((x > 0) & (x < 1), tf.float32),
    "cast((x < 0) | (x > 1), tf.float32)": lambda tf, x: tf.cast((x < 0) | (x > 1), tf.float32),
    "cast((x < 0) ^ (x < 1), tf.float32)": lambda tf, x: tf.cast((x < 0) ^ (x < 1), tf.float32),
    "reduce_mean(x, 1)": lambda tf, x: tf.reduce_mean(x, 1),
    "reduce_mean(x, [1, -1], keepdims=True)": lambda tf, x: tf.reduce_mean(x, [1, -1], keepdims=True),
    "reduce_mean(input_tensor=x, axis=-1)": lambda tf, x: tf.reduce_mean(input_tensor=x, axis=-1),
    "reduce_sum(x, -1)": lambda tf, x: tf.reduce_sum(x, -1),
    "reduce_max(x, 1)": lambda tf, x: tf.reduce_max(x, 1),
    "reduce_min(x, 1)": lambda tf, x: tf.reduce_min(x, 1),
    "reduce_prod(x, [2])": lambda tf, x: tf.reduce_prod(x, [2]),
    "reduce_logsumexp(x, 1)": lambda tf, x: tf.reduce_logsumexp(x, 1),
    "math.reduce_variance(x, 1)": lambda tf, x: tf.math.reduce_variance(x, 1),
    "math.reduce_std(x, 1)": lambda tf, x: tf.math.reduce_std(x, 1),
    "cast(reduce_any(x > 1, 1), tf.float32)": lambda tf, x: tf.cast(tf.reduce_any(x > 1, 1), tf.float32),
    "cast(reduce_all(x > 0, 2), tf.float32)": lambda tf, x: tf.cast(tf.reduce_all(x > 0, 2), tf.float32),
    "norm(x, axis=1)": lambda tf, x: tf.norm(x, axis=1),
    "math.l2_normalize(x, -1)": lambda tf, x: tf.math.l2_normalize(x, -1),
    "cumsum(x, axis=1)": lambda tf, x: tf.cumsum(x, axis=1),
    "cumsum(x, axis=1, reverse=True)": lambda tf, x: tf.cumsum(x, axis=1, reverse=True),
    "matmul(x, an array)": lambda tf, x: tf.matmul(x, MATRIX),
    "tensordot(x, an array, 1)": lambda tf, x: tf.tensordot(x, MATRIX, 1),
    "tensordot(x, an array, [[2], [0]])": lambda tf, x: tf.tensordot(x, MATRIX, [[2], [0]]),
    "linalg.matrix_transpose(x)": lambda tf, x: tf.linalg.matrix_transpose(x),
    "transpose(x, [0, 2, 1])": lambda tf, x: tf.transpose(x, [0, 2, 1]),
    "expand_dims(x, 1)": lambda tf, x: tf.expand_dims(x, 1),
    "squeeze(x[:, :1], 1)": lambda tf, x: tf.squeeze(x[:, :1], 1),
    "reshape(x, (-1, 60))": lambda tf, x: tf.reshape(x, (-1, 60)),
    "reshape(x, (tf.shape(x)[0], 10, 6))": lambda tf, x: tf.reshape(x, (tf.shape(x)[0], 10, 6)),
    "reverse(x, [1])": lambda tf, x: tf.reverse(x, [1]),
    "reverse(x, axis=[1, -1])": lambda tf, x: tf.reverse(x, axis=[1, -1]),
    "concat([x, x], -1)": lambda tf, x: tf.concat([x, x], -1),
    "stack([x, 2 * x], axis=1)": lambda tf, x: tf.stack([x, 2 * x], axis=1),
    "unstack(x, axis=2)[1]": lambda tf, x: tf.unstack(x, axis=2)[1],
    "split(x, 2, axis=1)[1]": lambda tf, x: tf.split(x, 2, axis=1)[1],
    "split(x, [4, -1], axis=1)[1]": lambda tf, x: tf.split(x, [4, -1], axis=1)[1],
    "tile(x, [1, 2, 1])": lambda tf, x: tf.tile(x, [1, 2, 1]),
    "repeat(x, 2, axis=1)": lambda tf, x: tf.repeat(x, 2, axis=1),
    "pad(x, [[0, 0], [1, 2], [0, 0]])": lambda tf, x: tf.pad(x, [[0, 0], [1, 2], [0, 0]]),
    "pad(x, [[0, 0], [0, 2], [1, 0]], constant_values=1.5)": lambda tf, x: tf.pad(
        x, [[0, 0], [0, 2], [1, 0]], constant_values=1.5
    ),
    "roll(x, 2, axis=1)": lambda tf, x: tf.roll(x, 2, axis=1),
    "gather(x, [2, 0], axis=2)": lambda tf, x: tf.gather(x, [2, 0], axis=2),
    "gather(x, 5, axis=1)": lambda tf, x: tf.gather(x, 5, axis=1),
    "slice(x, [0, 2, 0], [-1, 5, 2])": lambda tf, x: tf.slice(x, [0, 2, 0], [-1, 5, 2]),
    "identity(x)": lambda tf, x: tf.identity(x),
    "zeros_like(x) + x": lambda tf, x: tf.zeros_like(x) + x,
    "ones_like(x) - x": lambda tf, x: tf.ones_like(x) - x,
}
_OF_WHOLE_NUMBERS: dict[str, OfOne] = {
    "cast(where(x > 0, 1, 2), tf.float32)": lambda tf, x: tf.cast(tf.where(x > 0, 1, 2), tf.float32),
    "cast(3 * x, tf.int32) / 2": lambda tf, x: tf.cast(tf.cast(3 * x, tf.int32) / 2, tf.float32),
}
"""Functions that are read but not explained."""
_OF_SIZES: dict[str, OfOne] = {
    "squeeze(x[:, :1])": lambda tf, x: tf.squeeze(x[:, :1]),
    "keras.backend.batch_flatten(x)": lambda tf, x: tf.keras.backend.batch_flatten(x),
    "reshape(2 * x, tf.shape(x))": lambda tf, x: tf.reshape(2 * x, tf.shape(x)),
    "keras.backend.dot(x, an array)": lambda tf, x: tf.keras.backend.dot(x, tf.constant(MATRIX)),
    "x[:, : tf.shape(x)[1] // 2]": lambda tf, x: x[:, : tf.shape(x)[1] // 2],
    "reduce_sum(x, 1) / cast(tf.shape(x)[1], tf.float32)": lambda tf, x: (
        tf.reduce_sum(x, 1) / tf.cast(tf.shape(x)[1], tf.float32)
    ),
}
"""Functions whose output shape Keras does not know."""
_OF_TWO: dict[str, Callable[[Any, Any, Any], Any]] = {
    "math.squared_difference(x, y)": lambda tf, x, y: tf.math.squared_difference(x, y),
    "maximum(x, y)": lambda tf, x, y: tf.maximum(x, y),
    "minimum(x, y)": lambda tf, x, y: tf.minimum(x, y),
    "multiply(x=x, y=y)": lambda tf, x, y: tf.multiply(x=x, y=y),
    "pow(x * x + 1, y)": lambda tf, x, y: tf.pow(x * x + 1, y),
    "add_n([x, y, x])": lambda tf, x, y: tf.add_n([x, y, x]),
    "matmul(x, y, transpose_b=True)": lambda tf, x, y: tf.matmul(x, y, transpose_b=True),
    "matmul(x, y, transpose_a=True)": lambda tf, x, y: tf.matmul(x, y, transpose_a=True),
    "concat(values=[x, y], axis=1)": lambda tf, x, y: tf.concat(values=[x, y], axis=1),
    "clip_by_value(x, -abs(y), abs(y))": lambda tf, x, y: tf.clip_by_value(x, -abs(y), abs(y)),
    "where(x > y, x, 2 * y)": lambda tf, x, y: tf.where(x > y, x, 2 * y),
    "x * reduce_mean(y, 1, keepdims=True)": lambda tf, x, y: x * tf.reduce_mean(y, 1, keepdims=True),
}
_REFUSED: dict[str, OfOne] = {
    "einsum('bij,bkj->bik', x, x)": lambda tf, x: tf.einsum("bij,bkj->bik", x, x),
    "sort(x, axis=1)": lambda tf, x: tf.sort(x, axis=1),
    "pad(x, [[0, 0], [1, 2], [0, 0]], 'REFLECT')": lambda tf, x: tf.pad(
        x, [[0, 0], [1, 2], [0, 0]], "REFLECT"
    ),
    "cumsum(x, axis=1, exclusive=True)": lambda tf, x: tf.cumsum(x, axis=1, exclusive=True),
    "nn.dropout(x, 0.2)": lambda tf, x: tf.nn.dropout(x, 0.2),
}
"""Functions or arguments that genolift does not support."""


def _of_one(shown: str, operate: OfOne) -> None:
    @model("tf", shown, generations=KERAS_2)
    def build(keras: Any) -> Any:
        import tensorflow as tf

        dna, one, _ = two_of(keras)
        return keras.Model(dna, operate(tf, one))


for shown, operate in (_OF_ONE | _OF_WHOLE_NUMBERS | _OF_SIZES | _REFUSED).items():
    _of_one(shown, operate)
for shown, operate_on_two in _OF_TWO.items():

    @model("tf", shown, generations=KERAS_2)
    def of_two(keras: Any, operate: Callable[[Any, Any, Any], Any] = operate_on_two) -> Any:
        import tensorflow as tf

        dna, one, other = two_of(keras)
        return keras.Model(dna, operate(tf, one, other))


@model("tf", "several functions in a chain", generations=KERAS_2)
def chained(keras: Any) -> Any:
    import tensorflow as tf

    dna, x, y = two_of(keras)
    gate = tf.nn.sigmoid(1 - x)
    z = gate * y + (1.0 - gate) * x[:, ::-1]
    z = tf.concat([z, tf.nn.relu(z) ** 2], -1)
    z = tf.where(z > 0.1, z, 0.1 * z) - tf.reduce_mean(z, axis=1, keepdims=True)
    one, other = tf.split(z, 2, axis=-1)
    weights = tf.nn.softmax(tf.matmul(one, other, transpose_b=True) / 3)
    z = tf.pad(weights[:, 2:10], [[0, 0], [1, 0], [0, 0]]) @ y
    z = z * tf.cast(tf.reduce_max(z, -1, keepdims=True) > 0, tf.float32)
    z = tf.reshape(z, (tf.shape(z)[0], 27))
    return keras.Model(dna, tf.stack([z, 2.0 / (1.0 + tf.exp(z))], axis=1))


@model("Add", "of a tensor and an array", generations=KERAS_2)
def of_array(keras: Any) -> Any:
    import tensorflow as tf

    dna, one, _ = two_of(keras)
    return keras.Model(dna, keras.layers.Add()([one, tf.constant(ROW[None, None])]))


_MASKED: dict[str, OfOne] = {
    "tf.cast(x, tf.float32)": lambda tf, x: tf.cast(x, tf.float32),
    "tf.identity(x)": lambda tf, x: tf.identity(x),
    "tf.reverse(x, [1])": lambda tf, x: tf.reverse(x, [1]),
    "tf.concat([x, x], -1)": lambda tf, x: tf.concat([x, x], -1),
    "tf.add_n([x])": lambda tf, x: tf.add_n([x]),
    "tf.reshape(x, [-1, 24, 4])": lambda tf, x: tf.reshape(x, [-1, LENGTH, 4]),
}
for shown, operate in _MASKED.items():

    @model("Masking", f"before {shown} and LSTM(3)", generations=KERAS_2)
    def masked(keras: Any, operate: OfOne = operate) -> Any:
        import tensorflow as tf

        layers = keras.layers
        dna = layers.Input((LENGTH, 4), name="dna")
        return keras.Model(dna, layers.LSTM(3)(operate(tf, layers.Masking(0.0)(dna))))
