"""Skips tests that need something that not every machine has."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip(why: str, *, lacking: str) -> NoReturn:
    """Skip a test because this machine is ``lacking`` something ("shared", "chromium", "cpu-torch", ...).

    If ``CI`` is set the test fails instead, unless ``GENOLIFT_TESTS_WITHOUT`` lists what is lacking, so that
    a CI machine cannot lose its data unnoticed.
    """
    if os.environ.get("CI") and lacking not in os.environ.get("GENOLIFT_TESTS_WITHOUT", "").split():
        pytest.fail(why)
    pytest.skip(why)
