"""What a model that is refused is refused with."""

from __future__ import annotations

from typing import Any

import pytest

import genolift


def refused(given: Any) -> str:
    """Return the one line that `genolift.load_model` refuses a model with."""
    with pytest.raises(genolift.InputError) as error:
        genolift.load_model(given)
    assert "\n" not in str(error.value)
    return str(error.value)
