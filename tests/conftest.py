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

from genolift.engine.backends import loops


def pytest_configure(config: pytest.Config) -> None:
    """React to Ctrl-C even if a shell has set it to be ignored, as it does for jobs in the background.

    The engine uses its compiled loops from the first value on, for which tests' values would be too few.
    """
    loops.FEW = 0
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes by their argument: workers must collect the same names, and a gzip holds the time of day."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that the others do not have to wait for one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin every test with the same random seed, whatever ran before, so that it passes always or never.

    This is a hook, since a fixture would run after those of the module. A test of a GPU needs one.
    """
    if item.get_closest_marker("gpu") is not None and not torch.cuda.is_available():
        pytest.skip("needs a GPU: make gpu-check; make pretend tries it on one that is pretended")
    _seed()


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Import every module with the same random seed: layers of Keras that a module makes draw their seeds."""
    _seed()


def _seed() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global generator is what is seeded
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models and data beside the checkout; if it is missing, see `lacking.skip`."""
    if not SHARED.is_dir():
        skip(f"needs the real models and data in {SHARED.name}/ beside the checkout", lacking="shared")
    return SHARED


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Use one thread of torch, whatever ran before: tests run in parallel, one process per core.

    numba, which the motif steps run in parallel, sets OpenMP's number of threads for torch too.
    """
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Leave the environment unchanged: benchmarks set numbers of threads in it when they are imported."""
    before = dict(os.environ)
    yield
    if os.environ != before:
        os.environ.clear()
        os.environ.update(before)
