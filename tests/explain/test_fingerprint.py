"""A fingerprint sees whatever a model's result can depend on, or says that it does not see all."""

from __future__ import annotations

import logging
import operator
import os
import random
import re
import sys
import threading
import time
from array import array
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from enum import Enum
from functools import lru_cache, wraps
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import genolift
from genolift.engine.graph.own_state import one_capture_at_a_time
from genolift.explain.fingerprint import fingerprint

X = F.one_hot(torch.arange(20) * 7 % 4, 4).T[None].float()
LOG = logging.getLogger("genolift.tests")
LOCK = threading.Lock()
USERS = ModuleType("users_module")
BASE = 2.0
Change = Callable[[Any], object]


class Holding(nn.Module):
    """Holds something beside its layer."""

    def __init__(self, held: object) -> None:
        super().__init__()
        self.layer, self.held = nn.Linear(20, 1), held

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).flatten(1)


class Words(dict[str, int]):
    pass


class Level(int):
    pass


class Kind(Enum):
    ONE = 1


class Private:
    __slots__ = ("__value",)

    def set(self, value: float) -> None:
        self.__value = value


class Scales(type):
    scale = 1.0


class Scaled(metaclass=Scales):
    pass


def put(name: str, value: object) -> Change:
    return lambda held: setattr(held, name, value)


HELD: dict[str, tuple[Callable[[], object], Change]] = {
    "an array of Python": (lambda: array("d", [1, 2]), lambda held: operator.setitem(held, 0, 3.0)),
    "a table": (lambda: pd.DataFrame({"a": [1.0]}), lambda held: operator.setitem(held, "a", [2.0])),
    "a masked array": (
        lambda: np.ma.MaskedArray(np.arange(3.0), mask=[0, 0, 1]),
        lambda held: operator.setitem(held.mask, 0, True),
    ),
    "a generator of Python": (lambda: random.Random(0), lambda held: held.seed(1)),
    "a generator of torch": (torch.Generator, lambda held: held.manual_seed(1)),
    "an attribute of a dict": (Words, put("scale", 2)),
    "an attribute of a number": (Level, put("scale", 2)),
    "an attribute of a choice": (lambda: Kind.ONE, put("scale", object)),
    "a default": (lambda: defaultdict(int), put("default_factory", float)),
    "a private slot": (Private, lambda held: held.set(3.0)),
    "an attribute of a tensor": (lambda: nn.Parameter(torch.ones(2)), put("scale", 2)),
    "a namespace": (lambda: SimpleNamespace(scale=1), put("scale", 2)),
    "an attribute of a metaclass": (lambda: Scaled, lambda held: setattr(Scales, "scale", 5.0)),
}


@pytest.mark.parametrize("what", HELD)
def test_what_a_model_holds_is_seen_to_change_or_said_to_be_unseen(what: str) -> None:
    make, change = HELD[what]
    one = Holding(make())
    before = fingerprint(one)
    assert before.change(fingerprint(one)) == ""
    change(one.held)
    assert before.change(fingerprint(one)) or not before.whole


OTHERS: dict[str, tuple[object, object]] = {
    "method": (operator.methodcaller("relu"), operator.methodcaller("tanh")),
    "pattern": (re.compile("A+"), re.compile("C+")),
    "slice": (slice(torch.tensor(1.000001)), slice(torch.tensor(1.000002))),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_object_of_the_same_type_is_another(what: str) -> None:
    one, other = map(Holding, OTHERS[what])
    other.load_state_dict(one.state_dict())
    assert fingerprint(one).whole
    assert fingerprint(one).change(fingerprint(other)) == "attribute held"
    other.held = one.held
    assert fingerprint(one).change(fingerprint(other)) == ""


class Reading(nn.Module):
    """Applies a function of the tests that reads something from outside."""

    def __init__(self, read: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.read = read
        self.layer = nn.Conv1d(4, 1, 20)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.layer(x).flatten(1))


def by_module_within(x: Tensor) -> Tensor:
    return x * USERS.inner.scale  # type: ignore[attr-defined]


def by_text(x: Tensor) -> Tensor:
    return x * getattr(USERS, "sca" + "le")


def by_globals(x: Tensor) -> Tensor:
    return x * globals()["BASE"]


def by_modules_of_sys(x: Tensor) -> Tensor:
    return x * sys.modules[__name__].BASE  # type: ignore[attr-defined]


def by_environment(x: Tensor) -> Tensor:
    return x * float(os.environ.get("GENOLIFT_TEST_SCALE", "1"))


def by_getenv(x: Tensor) -> Tensor:
    return x * float(os.getenv("GENOLIFT_TEST_SCALE", "1"))


def by_torch(x: Tensor) -> Tensor:
    return F.softplus(x)


@wraps(F.softplus)
def other_softplus(x: Tensor, *_: float) -> Tensor:
    return x * 3


READ: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[pytest.MonkeyPatch], None]]] = {
    "a module within a module": (by_module_within, lambda patch: patch.setattr(USERS.inner, "scale", 3.0)),
    "by its name as text": (by_text, lambda patch: patch.setattr(USERS, "scale", 3.0)),
    "all globals": (by_globals, lambda patch: patch.setattr(sys.modules[__name__], "BASE", 3.0)),
    "all modules": (by_modules_of_sys, lambda patch: patch.setattr(sys.modules[__name__], "BASE", 3.0)),
    "the environment": (by_environment, lambda patch: patch.setenv("GENOLIFT_TEST_SCALE", "3")),
    "a variable of it": (by_getenv, lambda patch: patch.setenv("GENOLIFT_TEST_SCALE", "3")),
    "a function of torch": (by_torch, lambda patch: patch.setattr(F, "softplus", other_softplus)),
    "one that a layer calls": (nn.Softplus(), lambda patch: patch.setattr(F, "softplus", other_softplus)),
    "a method of a layer": (
        torch.relu,
        lambda patch: patch.setattr(nn.Conv1d, "_conv_forward", lambda self, x, w, b: F.conv1d(x, w * 3, b)),
    ),
    "hooks of all modules": (
        torch.relu,
        lambda patch: patch.setitem(
            nn.modules.module._global_forward_hooks,
            0,
            lambda module, given, output: output * 3 if isinstance(module, nn.Conv1d) else None,
        ),
    ),
}


@pytest.mark.parametrize("what", READ)
def test_no_capture_is_stale_when_what_forward_reads_from_outside_changes(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, change = READ[what]
    monkeypatch.setattr(USERS, "scale", 1.0, raising=False)
    monkeypatch.setattr(USERS, "inner", ModuleType("users_module.inner"), raising=False)
    monkeypatch.setattr(USERS.inner, "scale", 1.0, raising=False)  # type: ignore[attr-defined]
    torch.manual_seed(0)
    one = Reading(read).eval()
    nn.init.constant_(one.layer.bias, 0.5)  # type: ignore[arg-type]
    before = genolift.deeplift(one, X, X.flip(1)[:, None])
    change(monkeypatch)
    now = genolift.deeplift(one, X, X.flip(1)[:, None])
    assert torch.allclose(now.output, one(X)[:, 0])
    assert not torch.allclose(now.output, before.output)


def test_what_is_imported_within_a_package_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    package, inner = ModuleType("users_package"), ModuleType("users_package.settings")
    package.settings, inner.SCALE = inner, 1  # type: ignore[attr-defined]
    for module in (package, inner):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    space: dict[str, Any] = {"__name__": "users_package.models", "__package__": "users_package"}
    exec(
        "def one(x):\n from . import settings\n return x * settings.SCALE\n"
        "def other(x):\n from .settings import SCALE\n return x * SCALE\n",
        space,
    )
    for function in (space["one"], space["other"]):
        inner.SCALE = 1  # type: ignore[attr-defined]
        one = Reading(function)
        before = fingerprint(one)
        assert before.whole
        inner.SCALE = 2  # type: ignore[attr-defined]
        assert before.change(fingerprint(one)) == "attribute read"


class Ordinary(nn.Module):
    """Does what models do that no result depends on."""

    __slots__ = ("scale",)

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.lock, self.table = 2.0, threading.Lock(), OrderedDict(a=1)
        self.blocks = nn.ModuleList([nn.Linear(20, 20)])

    @lru_cache  # noqa: B019
    def positions(self, n: int) -> Tensor:
        return torch.arange(n)

    def show(self) -> None:
        print(len(self.blocks), file=sys.stderr)

    def save(self, path: Path) -> None:
        with LOCK, path.open("wb") as file:
            torch.save(self.state_dict(), file)

    def forward(self, x: Tensor) -> Tensor:
        LOG.debug("called at %s", time.time())
        return self.blocks[0](x).sum(1) * self.scale + self.positions(20)


def test_a_log_a_lock_and_files_do_not_hinder_a_capture_from_being_kept() -> None:
    one = Ordinary()
    before = fingerprint(one)
    assert before.whole
    LOG.setLevel(logging.INFO)
    one(X)
    assert before.change(fingerprint(one)) == ""
    one.scale = 3.0
    assert before.change(fingerprint(one)) == "attribute scale"


def test_the_submodules_of_an_exported_program_are_seen() -> None:
    class Choosing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cond(x.sum() > 0, lambda x: x * 2, lambda x: x * 3, (x,))

    program = torch.export.export(Choosing(), (X,))
    before = fingerprint(program)
    assert before.change(fingerprint(program)) == ""
    branch = program.graph_module.true_graph_0
    (node,) = [each for each in branch.graph.nodes if each.op == "call_function"]
    node.args = (node.args[0], 5)
    assert before.change(fingerprint(program)) == "graph of the program"


def test_an_explainer_is_not_misled_by_what_tracing_replaces_for_a_while() -> None:
    one = nn.Sequential(nn.Conv1d(4, 1, 20), nn.Flatten())
    explainer = genolift.Explainer(one, X)
    traced = threading.Event()

    def trace() -> None:
        with one_capture_at_a_time(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(F, "conv1d", lambda *given: F.conv2d(*given))
            traced.set()
            time.sleep(0.3)

    thread = threading.Thread(target=trace)
    thread.start()
    traced.wait()
    assert explainer.explain(X, X.flip(1)[:, None]).contributions.shape == X.shape
    thread.join()
