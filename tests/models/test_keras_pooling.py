"""Pooling with padding "same" uses the real positions, as TensorFlow does, in every layout."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import genolift
from genolift.models.keras import keras

k = keras.layers
LENGTH = 11


def windows(length: int, size: int, stride: int) -> list[slice]:
    """The real positions of each window: TensorFlow pads as little as it can, and more after than before."""
    number = -(-length // stride)
    before = max((number - 1) * stride + size - length, 0) // 2
    starts = [place * stride - before for place in range(number)]
    return [slice(max(start, 0), min(start + size, length)) for start in starts]


def pooled(x: np.ndarray, size: int, stride: int, kind: str) -> np.ndarray:
    """Pool the last axis."""
    taken = [x[..., window] for window in windows(x.shape[-1], size, stride)]
    return np.stack([each.mean(-1) if kind == "Average" else each.max(-1) for each in taken], -1)


def read(folder: Path, shape: tuple[int, ...], *layers: Any) -> Any:
    dna = x = keras.Input(shape, name="dna")
    for layer in layers:
        x = layer(x)
    keras.Model(dna, x).save(folder / "model.keras")
    return genolift.load_model(folder / "model.keras")


DNA = torch.nn.functional.one_hot(torch.arange(22).reshape(2, LENGTH) * 7 % 5 % 4, 4).movedim(1, 2).float()
BELOW = DNA.numpy() * -3 - 1
"""Return a layer's output for inputs that are all negative, so that zero padding would be the maximum."""


@pytest.mark.parametrize("kind", ["Average", "Max"])
def test_each_window_is_of_its_real_positions(tmp_path: Path, kind: str) -> None:
    below = k.Rescaling(-3.0, offset=-1.0)
    settings = list(product((2, 3, 4), (1, 2, 3)))
    dna = keras.Input((LENGTH, 4), name="dna")
    pool = getattr(k, f"{kind}Pooling1D")
    outputs = [pool(size, stride, padding="same")(below(dna)) for size, stride in settings]
    keras.Model(dna, outputs).save(tmp_path / "model.keras")
    with torch.no_grad():
        given = genolift.load_model(tmp_path / "model.keras")(DNA)
    for (size, stride), ours in zip(settings, given.values(), strict=True):
        expected = pooled(BELOW, size, stride, kind).swapaxes(1, 2)
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-6, err_msg=f"{size}, {stride}")


@pytest.mark.parametrize("first", [False, True], ids=["channels last", "channels first"])
@pytest.mark.parametrize("kind", ["Average", "Max"])
def test_so_it_is_in_two_dimensions_and_with_channels_first(tmp_path: Path, kind: str, first: bool) -> None:
    shape = (1, 4, LENGTH) if first else (4, LENGTH, 1)
    data_format = "channels_first" if first else "channels_last"
    pool = getattr(k, f"{kind}Pooling2D")((3, 4), (2, 1), padding="same", data_format=data_format)
    model = read(tmp_path, shape, k.Rescaling(-3.0, offset=-1.0), pool)
    along = pooled(pooled(BELOW, 4, 1, kind).swapaxes(1, 2), 3, 2, kind).swapaxes(1, 2)
    with torch.no_grad():
        ours = model(DNA)
    np.testing.assert_allclose(ours.numpy().squeeze(1 if first else 3), along, atol=1e-6)


def test_contributions_of_an_average_sum_to_the_difference(tmp_path: Path) -> None:
    pool = k.AveragePooling1D(4, 3, padding="same")
    layers = (k.Conv1D(3, 3, activation="relu"), pool, k.Flatten(), k.Dense(1))
    model = read(tmp_path, (LENGTH, 4), *layers)
    found = genolift.deeplift(model, DNA, DNA.flip(0)[:, None], precision="float64")
    assert float(found.convergence_error.max()) < 1e-12
