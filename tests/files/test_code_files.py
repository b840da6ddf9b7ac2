"""Files that the user's code imports from its folder are found without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from genolift.files.code import code_files
from genolift.settings.model import ModelSpec

RAISES = "raise RuntimeError('this file was run')\n"


def tree(folder: Path, **texts: str) -> Path:
    """Write files, each given by its name with Z for / and no suffix; return the folder."""
    for name, text in texts.items():
        path = folder / (name.replace("Z", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def found(folder: Path) -> list[str]:
    return list(code_files(f"{folder}/model.py"))


@pytest.mark.parametrize(
    ("statement", "files"),
    [
        ("import parts", ["parts/__init__.py"]),
        ("import parts.blocks as b", ["parts/__init__.py", "parts/blocks.py"]),
        ("from parts import blocks", ["parts/__init__.py", "parts/blocks.py"]),
        ("from parts.blocks import Block", ["parts/__init__.py", "parts/blocks.py"]),
        ("from . import one", ["one.py"]),
        ("from .one import A", ["one.py"]),
        ("def f():\n  class A:\n    def g(self):\n      import one", ["one.py"]),
        ("try:\n  import absent\nexcept ImportError:\n  import one", ["one.py"]),
        ("import importlib\nimportlib.import_module('one')", ["one.py"]),
        ("from importlib import import_module as m, import_module\nimport_module('parts.blocks')",
         ["parts/__init__.py", "parts/blocks.py"]),
        ("import importlib\nimportlib.import_module('.blocks', package='parts')",
         ["parts/__init__.py", "parts/blocks.py"]),
        ("__import__('one')", ["one.py"]),
        ("from loose import thing", ["loose/thing.py"]),  # a folder without __init__
        ("import os, sys, torch, absent", []),
        ("import one.absent", ["one.py"]),
        ("'import one'", []),
    ],
)  # fmt: skip
def test_every_way_to_import_a_neighbour_is_found(tmp_path: Path, statement: str, files: list[str]) -> None:
    tree(tmp_path, model=statement, one=RAISES, unused=RAISES, looseZthing=RAISES, torchZnotes=RAISES)
    tree(tmp_path, partsZblocks=RAISES, partsZ__init__=RAISES, partsZunused=RAISES)
    assert found(tmp_path) == ["model.py", *files]


def test_files_are_found_through_others_and_round_in_circles(tmp_path: Path) -> None:
    tree(tmp_path, model="import parts", partsZ__init__="from .a import *\n__all__ = ['e']", partsZe=RAISES)
    tree(
        tmp_path,
        partsZa="from ..b import x\nfrom . import c",
        b="import model, d",
        partsZc="import b",
        d="",
    )
    assert found(tmp_path) == [
        *("model.py", "b.py", "d.py", "parts/__init__.py", "parts/a.py", "parts/c.py", "parts/e.py")
    ]  # fmt: skip


@pytest.mark.parametrize("source", ["def (", "\0", "(" * 9000, "x = " + "-" * 99999 + "1"])
def test_a_neighbour_that_is_no_python_is_still_hashed(tmp_path: Path, source: str) -> None:
    assert found(tree(tmp_path, model="import one", one=source)) == ["model.py", "one.py"]


def test_an_odd_name_is_no_file(tmp_path: Path) -> None:
    assert found(tree(tmp_path, model=f"import {'a' * 5000}, sys\n__import__('../one')", one="")) == [
        "model.py"
    ]
    assert found(tmp_path / "nowhere") == ["model.py"]


def test_a_link_is_followed_to_the_files_beside_what_it_leads_to(tmp_path: Path) -> None:
    tree(tmp_path / "real", model="import one", one="")
    (tmp_path / "model.py").symlink_to(tmp_path / "real" / "model.py")
    (tmp_path / "one.py").write_text("")
    assert code_files(f"{tmp_path}/model.py")["one.py"] == tmp_path / "real" / "one.py"


def test_a_module_of_the_working_folder_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree(tmp_path, mineZ__init__="", mineZnet="from . import layers", mineZlayers=RAISES))
    assert list(code_files("mine.net")) == ["mine/__init__.py", "mine/layers.py", "mine/net.py"]
    assert not code_files("torch.nn")
    assert not code_files("genolift.demo.simulate")
    assert not code_files("no.such.package")


def test_the_files_of_a_model_are_those_that_its_code_imports_too(tmp_path: Path) -> None:
    tree(tmp_path, model="import one", one="", layers="from helpers import f", helpers="")
    spec = ModelSpec(
        path="m.h5", class_name=f"{tmp_path}/model.py:Net", custom_layers=f"{tmp_path}/layers.py"
    )
    names = ("model.py", "one.py", "layers.py", "helpers.py")
    assert spec.files == ("m.h5", *(f"{tmp_path}/{name}" for name in names))
