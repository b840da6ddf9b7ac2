"""Activations with what a rule needs to know of each, for the registry and for what is composed of them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from genolift.engine.rules.rules import Function


def _sigmoid_slope(z: Tensor) -> Tensor:
    y = torch.sigmoid(z)
    return y * (1 - y)


def _linear(x: Tensor) -> Tensor:
    return x


def _hard_sigmoid(x: Tensor) -> Tensor:
    return (x / 6 + 0.5).clamp(0, 1)  # the slope of torch's own is off by rounding in float64


def _hard_sigmoid_before_keras_3(x: Tensor) -> Tensor:
    return (0.2 * x + 0.5).clamp(0, 1)


RELU = Function(torch.relu, lambda z: (z > 0).to(z.dtype), None)
SIGMOID = Function(torch.sigmoid, _sigmoid_slope, "absolute")
TANH = Function(torch.tanh, lambda z: 1 - torch.tanh(z) ** 2, "absolute")
HARD_SIGMOID_BEFORE_KERAS_3 = Function(
    _hard_sigmoid_before_keras_3, lambda z: (z.abs() < 2.5).to(z.dtype) / 5, "absolute", (-2.5, 2.5)
)
"""(0.2 x + 0.5) cut to 0 and 1: Keras 3 and torch have x / 6."""
ACTIVATIONS: Mapping[str, Function] = {
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "relu": RELU,
    "linear": Function(_linear, torch.ones_like, None),
    "hard_sigmoid": Function(_hard_sigmoid, lambda z: (z.abs() < 3).to(z.dtype) / 6, "absolute", (-3.0, 3.0)),
    "hard_sigmoid_before_keras_3": HARD_SIGMOID_BEFORE_KERAS_3,
}
"""The activations that a recurrent layer may have and stay one operation, by the names it is given."""
