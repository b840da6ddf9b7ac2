"""Converts weights from the layouts of Keras before 3 to that of Keras 3.

With Theano's axis order, Keras 1 stored a convolution's filters first; Theano itself flips the kernel;
recurrent layers of Keras 1 stored each gate separately; CuDNN's have two biases; batch normalization stored a
standard deviation before Keras 1.0.6.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")
_FIRST_WITH_VARIANCE = (1, 0, 6)
_GATES = {"LSTM": (0, 2, 1, 3), "GRU": (0, 1, 2), "SimpleRNN": (0,)}
"""Where Keras 1 has each gate of Keras 3: its LSTM's gates were input, cell, forget, output."""


def modern_weights(
    weights: list[Array],
    layer: keras.layers.Layer,
    release: tuple[int, ...],
    backend: str | None,
) -> list[Array]:
    """Return a layer's weights in the form that Keras 3 takes.

    Parameters
    ----------
    release, backend
        Release and backend of the Keras that wrote them.
    """
    if isinstance(layer, keras.layers.Bidirectional):
        half = len(weights) // 2
        return [
            *modern_weights(weights[:half], layer.forward_layer, release, backend),
            *modern_weights(weights[half:], layer.backward_layer, release, backend),
        ]
    if isinstance(layer, keras.layers.SpectralNormalization):
        return _by_shape(weights, layer)
    if isinstance(layer, keras.layers.TimeDistributed):
        return modern_weights(weights, layer.layer, release, backend)
    kind, major = type(layer).__name__, release[0]
    if kind == "BatchNormalization" and (1,) != release < _FIRST_WITH_VARIANCE and len(weights) == 4:
        deviation = weights[3].astype("float64") + layer.epsilon
        return [*weights[:3], deviation**2 - layer.epsilon]
    if kind in _CONVOLUTIONS:
        return _kernel_first(weights, layer, kind, major, backend)
    if kind in _GATES:
        if len(weights) == 3 and weights[2].shape == (2 * len(_GATES[kind]) * layer.units,):
            return _of_cudnn(weights, kind, layer.units)
        if major < 2:
            return _gates_joined(weights, kind)
    return weights


def _by_shape(weights: list[Array], layer: Any) -> list[Array]:
    """Return weights in a layer's order: Keras 2 puts the vector of a spectral norm last."""
    left, made = list(weights), []
    for variable in layer.weights:
        place = next((at for at, each in enumerate(left) if each.shape == tuple(variable.shape)), 0)
        made += [left.pop(place)] if left else []
    return made + left


def number_saved(layer: keras.layers.Layer, release: tuple[int, ...]) -> int:
    """Return how many arrays a release of Keras saved for a layer: Keras 1 stored each gate separately."""
    if isinstance(layer, keras.layers.Bidirectional):
        return number_saved(layer.forward_layer, release) + number_saved(layer.backward_layer, release)
    if isinstance(layer, keras.layers.TimeDistributed):
        return number_saved(layer.layer, release)
    kind = type(layer).__name__
    return 3 * len(_GATES[kind]) if release[0] < 2 and kind in _GATES else len(layer.weights)


def pads_alike(layer: Any) -> bool:
    """Whether a Keras layer pads on Theano as it does on torch.

    Theano pads "same" by half the size on either side, which differs for even sizes, for strides, and in
    pooling for sizes over 3.
    """
    if getattr(layer, "padding", None) != "same":
        return True
    pooled = hasattr(layer, "pool_size")
    sizes = layer.pool_size if pooled else layer.kernel_size
    return set(layer.strides) == {1} and all(size % 2 == 1 and (size <= 3 or not pooled) for size in sizes)


def _kernel_first(
    weights: list[Array], layer: Any, kind: str, major: int, backend: str | None
) -> list[Array]:
    kernel = weights[0]
    filters_first = kernel.shape[0] == layer.filters and kernel.shape[-2:] != kernel.shape[:2]
    if major < 2 and kind == "Conv1D":
        if filters_first and kernel.shape[2:] == (layer.kernel_size[0], 1):
            kernel = kernel.transpose(2, 3, 1, 0)
        kernel = kernel[:, 0]  # Keras 1 convolved in two dimensions, one of them of size 1
    elif major < 2 and kind == "Conv2D" and layer.data_format == "channels_first":
        kernel = kernel.transpose(2, 3, 1, 0)
    elif major < 2 and kind == "Conv2DTranspose":
        kernel = kernel.transpose((2, 3, 0, 1) if layer.data_format == "channels_first" else (0, 1, 3, 2))
    if backend == "theano":
        kernel = np.flip(kernel, tuple(range(kernel.ndim - 2)))
    return [np.ascontiguousarray(kernel), *weights[1:]]


def _gates_joined(weights: list[Array], kind: str) -> list[Array]:
    """Join the gates' weights, which are three arrays per gate: input, recurrent, bias."""
    order = _GATES[kind]
    if len(weights) != 3 * len(order):
        return weights
    return [np.concatenate([weights[3 * gate + each] for gate in order], -1) for each in range(3)]


def _of_cudnn(weights: list[Array], kind: str, units: int) -> list[Array]:
    kernel, recurrent, bias = weights
    gates = len(_GATES[kind])

    def turned(gate: Array) -> Array:
        return gate.T.reshape(gate.shape, order="F")

    kernel = np.concatenate([turned(gate) for gate in np.split(kernel, gates, 1)], 1)
    recurrent = np.concatenate([gate.T for gate in np.split(recurrent, gates, 1)], 1)
    both = bias.reshape(2, gates * units)
    return [kernel, recurrent, both.sum(0) if kind == "LSTM" else both]
