"""Returns the message of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import genolift


def refused_by(run: Callable[[], Any], error_type: type[Exception] = genolift.InputError) -> str:
    """Return the one-line message with which a call is refused."""
    with pytest.raises(error_type) as error:
        run()
    assert "\n" not in str(error.value)
    return str(error.value)


def refused(given: Any) -> str:
    """Return the one-line message with which `genolift.load_model` refuses a model."""
    return refused_by(lambda: genolift.load_model(given))
