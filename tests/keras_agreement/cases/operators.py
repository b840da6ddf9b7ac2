"""Operations on the tensors of a functional model: Python's operators, and the functions of keras.ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_agreement.case import KERAS_3, LENGTH, model

ROW = np.array([0.5, -1.25, 2], "float32")
MATRIX = np.array([[0.5, -1], [0.25, 2], [-0.75, 1]], "float32")


def two_of(keras: Any) -> tuple[Any, Any, Any]:
    """Return the DNA and two convolutions of it, with 20 positions and 3 channels."""
    dna = keras.layers.Input((LENGTH, 4), name="dna")
    return dna, keras.layers.Conv1D(3, 5)(dna), keras.layers.Conv1D(3, 5)(dna)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x * y": lambda x, y: x * y,
    "x / (y * y + 1)": lambda x, y: x / (y * y + 1),
    "x * 2 + 1": lambda x, y: x * 2 + 1,
    "1 - x": lambda x, y: 1 - x,
    "2 - x / y.shape[-1]": lambda x, y: 2 - x / y.shape[-1],
    "1 / (x * x + 1)": lambda x, y: 1 / (x * x + 1),
    "0.5 ** x": lambda x, y: 0.5**x,
    "x / 3": lambda x, y: x / 3,
    "-x": lambda x, y: -x,
    "abs(x)": lambda x, y: abs(x),
    "x ** 2": lambda x, y: x**2,
    "(x * x + 1) ** -0.5": lambda x, y: (x * x + 1) ** -0.5,
    "x // 2": lambda x, y: x // 2,
    "x % 2": lambda x, y: x % 2,
    "x * an array of 3": lambda x, y: x * ROW,
    "x @ an array of (3, 2)": lambda x, y: x @ MATRIX,
    "x + x[:, :1]": lambda x, y: x + x[:, :1],
    "x[:, 2:10]": lambda x, y: x[:, 2:10],
    "x[:, ::-1, ::-1]": lambda x, y: x[:, ::-1, ::-1],
    "x[:, 12:3:-4]": lambda x, y: x[:, 12:3:-4],
    "x[:, 3]": lambda x, y: x[:, 3],
    "x[:, -2]": lambda x, y: x[:, -2],
    "x[..., 1]": lambda x, y: x[..., 1],
    "x[..., ::-1]": lambda x, y: x[..., ::-1],
    "x[:, ::3, -1:]": lambda x, y: x[:, ::3, -1:],
    "x[:, None]": lambda x, y: x[:, None],
    "x[..., None]": lambda x, y: x[..., None],
    "x[:, None, ::-1]": lambda x, y: x[:, None, ::-1],
    "x[:, 3, None, ::-1]": lambda x, y: x[:, 3, None, ::-1],
    "x[:, -100:100]": lambda x, y: x[:, -100:100],
}
for shown, compute in _OPERATORS.items():

    @model("operators", shown)
    def operated(keras: Any, compute: Callable[[Any, Any], Any] = compute) -> Any:
        dna, one, other = two_of(keras)
        return keras.Model(dna, compute(one, other))


@model("operators", "within a model that is called twice")
def within(keras: Any) -> Any:
    layers = keras.layers
    inner_in = layers.Input((LENGTH, 4))
    x = layers.Conv1D(3, 5)(inner_in)
    inner = keras.Model(inner_in, 1 - x * x[:, :1], name="inner")
    dna = layers.Input((LENGTH, 4), name="dna")
    return keras.Model(dna, inner(dna) / (2 + abs(inner(dna[:, ::-1, ::-1]))))


for shown, compute in {
    "x * 2": lambda x, y: x * 2,
    "x + y": lambda x, y: x + y,
    "x[:, 2:]": lambda x, y: x[:, 2:],
}.items():

    @model("Masking", f"before {shown} and LSTM(3)")
    def masked(keras: Any, compute: Callable[[Any, Any], Any] = compute) -> Any:
        layers = keras.layers
        dna = layers.Input((LENGTH, 4), name="dna")
        x = layers.Masking(0.0)(dna)
        return keras.Model(dna, layers.LSTM(3)(compute(x, dna)))


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "mean(x, axis=1)": lambda ops, x: ops.mean(x, axis=1),
    "mean(x, (1, 2), keepdims=True)": lambda ops, x: ops.mean(x, (1, 2), keepdims=True),
    "sum(x, axis=-1)": lambda ops, x: ops.sum(x, axis=-1),
    "max(x, axis=1)": lambda ops, x: ops.max(x, axis=1),
    "min(x, axis=1)": lambda ops, x: ops.min(x, axis=1),
    "prod(x, axis=2)": lambda ops, x: ops.prod(x, axis=2),
    "var(x, axis=1)": lambda ops, x: ops.var(x, axis=1),
    "std(x, axis=1)": lambda ops, x: ops.std(x, axis=1),
    "logsumexp(x, axis=1)": lambda ops, x: ops.logsumexp(x, axis=1),
    "cumsum(x, axis=1)": lambda ops, x: ops.cumsum(x, axis=1),
    "norm(x, axis=1)": lambda ops, x: ops.norm(x, axis=1),
    "relu(x)": lambda ops, x: ops.relu(x),
    "relu6(x)": lambda ops, x: ops.relu6(x),
    "elu(x)": lambda ops, x: ops.elu(x),
    "selu(x)": lambda ops, x: ops.selu(x),
    "gelu(x, approximate=False)": lambda ops, x: ops.gelu(x, approximate=False),
    "silu(x)": lambda ops, x: ops.silu(x),
    "softplus(x)": lambda ops, x: ops.softplus(x),
    "leaky_relu(x)": lambda ops, x: ops.leaky_relu(x),
    "log_softmax(x)": lambda ops, x: ops.log_softmax(x),
    "exp(x)": lambda ops, x: ops.exp(x),
    "expm1(x)": lambda ops, x: ops.expm1(x),
    "log1p(x * x)": lambda ops, x: ops.log1p(x * x),
    "rsqrt(x * x + 1)": lambda ops, x: ops.rsqrt(x * x + 1),
    "square(x)": lambda ops, x: ops.square(x),
    "sigmoid(x)": lambda ops, x: ops.sigmoid(x),
    "tanh(x)": lambda ops, x: ops.tanh(x),
    "sin(x)": lambda ops, x: ops.sin(x),
    "erf(x)": lambda ops, x: ops.erf(x),
    "sign(x)": lambda ops, x: ops.sign(x),
    "floor(3 * x)": lambda ops, x: ops.floor(3 * x),
    "round(3 * x)": lambda ops, x: ops.round(3 * x),
    "abs(x)": lambda ops, x: ops.abs(x),
    "flip(x, axis=1)": lambda ops, x: ops.flip(x, axis=1),
    "transpose(x, (0, 2, 1))": lambda ops, x: ops.transpose(x, (0, 2, 1)),
    "reshape(x, (-1, 60))": lambda ops, x: ops.reshape(x, (-1, 60)),
    "concatenate([x, x], axis=1)": lambda ops, x: ops.concatenate([x, x], axis=1),
    "stack([x, 2 * x], axis=1)": lambda ops, x: ops.stack([x, 2 * x], axis=1),
    "split(x, 2, axis=1)": lambda ops, x: ops.split(x, 2, axis=1),
    "tile(x, (1, 2, 1))": lambda ops, x: ops.tile(x, (1, 2, 1)),
    "repeat(x, 2, axis=1)": lambda ops, x: ops.repeat(x, 2, axis=1),
    "roll(x, 2, axis=1)": lambda ops, x: ops.roll(x, 2, axis=1),
    "pad(x, ((0, 0), (1, 2), (0, 0)))": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 0))),
    "take(x, [2, 0], axis=2)": lambda ops, x: ops.take(x, [2, 0], axis=2),
    "expand_dims(x, 1)": lambda ops, x: ops.expand_dims(x, 1),
    "matmul(x, transpose(x))": lambda ops, x: ops.matmul(x, ops.transpose(x, (0, 2, 1))),
    "einsum('bij,bkj->bik', x, x)": lambda ops, x: ops.einsum("bij,bkj->bik", x, x),
    "softmax(x, axis=1)": lambda ops, x: ops.softmax(x, axis=1),
    "maximum(x, 0.1)": lambda ops, x: ops.maximum(x, 0.1),
    "minimum(x, 0.1)": lambda ops, x: ops.minimum(x, 0.1),
    "where(x > 0, x, 0.2 * x)": lambda ops, x: ops.where(x > 0, x, 0.2 * x),
    "cast(x > 0, 'float32') * x": lambda ops, x: ops.cast(x > 0, "float32") * x,
    "cast(logical_and(x > 0, x <= 1), 'float32')": lambda ops, x: ops.cast(
        ops.logical_and(x > 0, x <= 1), "float32"
    ),
    "log(1 + exp(x))": lambda ops, x: ops.log(1 + ops.exp(x)),
    "clip(x, -0.5, 0.5)": lambda ops, x: ops.clip(x, -0.5, 0.5),
    "sqrt(x * x + 1)": lambda ops, x: ops.sqrt(x * x + 1),
    "squeeze(x[:, :1], 1)": lambda ops, x: ops.squeeze(x[:, :1], 1),
    "zeros_like(x) + ones_like(x) - x": lambda ops, x: ops.zeros_like(x) + ops.ones_like(x) - x,
}
for shown, operate in _OPERATIONS.items():

    @model("keras.ops", shown, generations=KERAS_3)
    def of_ops(keras: Any, operate: Callable[[Any, Any], Any] = operate) -> Any:
        dna, one, _ = two_of(keras)
        return keras.Model(dna, operate(keras.ops, one))
