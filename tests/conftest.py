"""Fixtures that several test modules use."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from lacking import skip
from places import SHARED


def pytest_configure(config: pytest.Config) -> None:
    """Obey Ctrl-C where a shell has the tests ignore it, as it does for what it runs in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes by their argument: workers must collect the same names, and a gzip holds the time of day."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that none of them is what the others have to wait for."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin every test with the same random numbers, whatever ran before it: what passes once passes always.

    A hook, since a fixture would come after those of the module.
    """
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global generator is what is seeded
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models and data beside the checkout; without it, see `lacking.skip`."""
    if not SHARED.is_dir():
        skip(f"needs the real models and data in {SHARED.name}/ beside the checkout", lacking="shared")
    return SHARED


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Compute with one thread of torch, whatever ran before: tests run side by side, a process a core.

    numba, which the motif steps run in parallel, sets OpenMP's number of threads for torch too.
    """
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Leave the environment as it was: benchmarks, when imported, set numbers of threads in it."""
    before = dict(os.environ)
    yield
    if os.environ != before:
        os.environ.clear()
        os.environ.update(before)
