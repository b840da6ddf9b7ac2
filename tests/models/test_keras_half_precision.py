"""A model with a half-precision policy is read in float32, with a warning."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

import genolift
from genolift.models.keras import keras
from genolift.models.keras.written_by import half_precision


@pytest.mark.parametrize(
    ("dtype", "found"),
    [
        ("float32", None),
        ("float16", "float16"),
        ({"class_name": "Policy", "config": {"name": "mixed_float16"}}, "mixed_float16"),
        ({"class_name": "DTypePolicy", "config": {"name": "mixed_bfloat16"}}, "mixed_bfloat16"),
        ({"class_name": "DTypePolicy", "config": {"name": "float64"}}, None),
        (None, None),
    ],
)
def test_a_policy_of_half_precision_is_told(dtype: Any, found: str | None) -> None:
    layer = {"class_name": "Dense", "config": {"name": "out", "trainable": True, "dtype": dtype, "units": 1}}
    given = {"class_name": "InputLayer", "config": {"name": "dna", "dtype": "float16"}}
    assert half_precision({"class_name": "Sequential", "config": {"layers": [given, layer]}}) == found


def test_a_model_of_mixed_precision_is_loaded_with_a_word_and_computes_in_float32(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layers = [
        keras.layers.Conv1D(3, 3, dtype="mixed_bfloat16"),
        keras.layers.Flatten(),
        keras.layers.Dense(1),
    ]
    keras.Sequential([keras.layers.Input((12, 4)), *layers]).save(tmp_path / "model.keras")
    with caplog.at_level(logging.WARNING, logger="genolift"):
        model = genolift.load_model(tmp_path / "model.keras")
    assert "its author's Keras computes it in mixed_bfloat16, but genolift in float32" in caplog.text
    with torch.no_grad():
        assert model(torch.rand(2, 4, 12)).dtype == torch.float32
