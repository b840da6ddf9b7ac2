"""The models' inputs, and random weights, since Keras's initial norms would have no effect."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_agreement.case import LENGTH, Case

ROWS = 6
_OF_THE_DATA = "Normalization"
"""The layer whose numbers are not trained but computed from data."""


def random_of(name: str) -> np.random.Generator:
    """Return the random numbers for a name, always the same."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def dna() -> NDArray[np.float32]:
    """Return one-hot sequences (row, position, base), with some zeros, and N as a quarter each.

    The zeros are inside, before and after, like padding; no row is all zeros.
    """
    random = random_of("dna")
    x = np.eye(4, dtype="float32")[random.integers(4, size=(ROWS, LENGTH))]
    x[1, 7] = 0
    x[2, 17:] = 0
    x[3, :5] = 0
    x[3, 11:13] = 0.25
    x[4, 3] = x[4, 20:22] = 0.25
    x[4, -1] = 0
    x[5, 0] = x[5, 9:12] = 0
    return x


def inputs_of(case: Case) -> dict[str, NDArray[np.float32]]:
    """Return a case's inputs by name, the DNA first."""
    random = random_of(case.name)
    found = {"dna": dna()}
    for name, shape in (case.further or {}).items():
        if isinstance(shape, int):
            values = random.integers(shape, size=(ROWS, 6))
        else:
            values = random.normal(size=(ROWS, *shape))
        found[name] = values.astype("float32")
    return found


def randomise(model: Any, name: str) -> None:
    """Give all weights of a model random values, about as large as those of a trained one."""
    random = random_of(name)
    kept = {
        id(weight)
        for layer in _layers(model)
        if type(layer).__name__ == _OF_THE_DATA
        for weight in layer.weights
    }
    for weight in model.weights:
        if id(weight) in kept or "float" not in str(weight.dtype):
            continue
        shape = tuple(weight.shape)
        if "variance" in weight.name:
            values = random.uniform(0.4, 2, shape)
        elif "gamma" in weight.name or weight.name == "scale":
            values = random.normal(1, 0.3, shape)
        elif len(shape) > 1:
            values = random.normal(0, 1.5 / np.sqrt(np.prod(shape[:-1])), shape)
        else:
            values = random.normal(0, 0.5, shape)
        weight.assign(values.astype("float32"))


def _layers(model: Any) -> list[Any]:
    return list(model._flatten_layers())
