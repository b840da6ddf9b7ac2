"""What is said where something is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import genolift


def refused_by(run: Callable[[], Any], error_type: type[Exception] = genolift.InputError) -> str:
    """Return the one line that a call is refused with."""
    with pytest.raises(error_type) as error:
        run()
    assert "\n" not in str(error.value)
    return str(error.value)


def refused(given: Any) -> str:
    """Return the one line that `genolift.load_model` refuses a model with."""
    return refused_by(lambda: genolift.load_model(given))
