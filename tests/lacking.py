"""A test that needs what not every machine has."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip(why: str) -> NoReturn:
    """Skip a test for what this machine lacks; CI has it, so that there it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
