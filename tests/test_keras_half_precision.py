"""A policy of half precision is read in float32, and said."""

from __future__ import annotations

from typing import Any

import pytest

from genolift.models.from_keras.written_by import half_precision


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
