"""A user's file is run with the files beside it, separately from all others; each is in the provenance."""

from __future__ import annotations

import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import pytest
import torch
from run_steps import SOURCE, Study, study

import genolift
from genolift.inspection.model_check import check_model
from genolift.models import ModelSpec, make_module, model_provenance
from genolift.steps import work as step

WITHIN = """
import importlib
from torch import nn


class Small(nn.Module):
    input_length = 30

    def __init__(self):
        super().__init__()
        from parts import FILTERS
        self.conv = nn.Conv1d(4, FILTERS, 5)

    def forward(self, x):
        from .late import factor
        return factor() * importlib.import_module("later").FACTOR * self.conv(x).relu().mean(-1)
"""


def lazy(folder: Path, filters: int, source: str = WITHIN) -> str:
    """Write a model whose file imports its neighbours when it is built and when it is run."""
    folder.mkdir(exist_ok=True)
    (folder / "model.py").write_text(source)
    (folder / "parts.py").write_text(f"FILTERS = {filters}\n")
    (folder / "late.py").write_text("def factor():\n    from deepest import FACTOR\n    return FACTOR\n")
    (folder / "deepest.py").write_text(f"FACTOR = {filters}.0\n")
    (folder / "later.py").write_text("FACTOR = 1.0\n")
    return f"{folder}/model.py:Small"


def one_hot(n: int, length: int = 30) -> torch.Tensor:
    codes = torch.randint(4, (n, length), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.one_hot(codes, 4).mT.float()


def test_a_neighbour_may_be_imported_while_a_model_is_made_and_run_and_two_models_do_not_mix(
    tmp_path: Path,
) -> None:
    path = list(sys.path)
    models = [make_module(lazy(tmp_path / name, filters), {}) for name, filters in (("a", 3), ("b", 5))]
    x = one_hot(4)
    for _ in range(2):  # alternating, since a second call finds what the first has imported
        for model, filters in zip(models, (3, 5), strict=True):
            result = genolift.deeplift(model, x[:2], x[2:], target=filters - 1)
            expected = filters * model.conv(x[:2]).relu().mean(-1)[:, -1]
            torch.testing.assert_close(result.output, expected.detach())
    assert sys.path == path
    assert sys.modules.keys().isdisjoint(["model", "parts", "late", "later", "deepest"])


def test_threads_that_load_models_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = list(sys.path)
    names = [lazy(tmp_path / str(filters), filters) for filters in range(1, 5)] * 3
    with ThreadPoolExecutor(6) as threads:
        models = list(threads.map(lambda name: make_module(name, {}), names))
    assert [model.conv.out_channels for model in models] == [1, 2, 3, 4] * 3
    assert sys.path == path


def test_a_neighbour_goes_before_what_has_been_imported_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "parts.py").write_text("FILTERS = 9\n")
    monkeypatch.syspath_prepend(tmp_path / "other")
    __import__("parts")
    try:
        assert make_module(lazy(tmp_path / "a", 3), {}).conv.out_channels == 3
        assert sys.modules["parts"].FILTERS == 9
    finally:
        del sys.modules["parts"]


def test_a_neighbour_that_was_changed_is_run_anew_whatever_its_date(tmp_path: Path) -> None:
    class_name = lazy(tmp_path, 3)
    parts = tmp_path / "parts.py"
    __import__("py_compile").compile(str(parts))  # bytecode that Python would trust by its date and size
    date = parts.stat()
    assert make_module(class_name, {}).conv.out_channels == 3
    parts.write_text("FILTERS = 5\n")
    os.utime(parts, ns=(date.st_atime_ns, date.st_mtime_ns))
    assert make_module(class_name, {}).conv.out_channels == 5


def test_a_module_that_is_missing_is_said_by_its_own_name(tmp_path: Path) -> None:
    class_name = lazy(tmp_path, 3)
    (tmp_path / "parts.py").unlink()
    with pytest.raises(
        genolift.InputError, match=r"raises ModuleNotFoundError: No module named 'parts'; install"
    ):
        make_module(class_name, {})
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("from .blocks import FILTERS")
    with pytest.raises(genolift.InputError, match=r"No module named 'parts\.blocks'"):
        make_module(class_name, {})
    (tmp_path / "parts" / "blocks.py").write_text("")
    with pytest.raises(genolift.InputError, match=r"cannot import name 'FILTERS' from 'parts\.blocks'"):
        make_module(class_name, {})
    (tmp_path / "model.py").write_text("import sys\nsys.exit('bye')")
    with pytest.raises(genolift.InputError, match="running it raises SystemExit: bye"):
        make_module(class_name, {})


def test_a_module_that_forward_lacks_is_said_with_its_line(tmp_path: Path) -> None:
    model = make_module(lazy(tmp_path, 3), {})
    (tmp_path / "late.py").unlink()
    said = "cannot import what it needs: ModuleNotFoundError: No module named 'late'; install the module"
    with pytest.raises(genolift.InputError, match=rf"model\.py:15 `from \.late import factor`: .* {said}"):
        genolift.deeplift(model, one_hot(2), one_hot(2))
    with pytest.raises(genolift.InputError, match=said):
        check_model(model, one_hot(2), (), ["a", "b"])


def test_every_file_that_a_model_imports_is_in_the_provenance(tmp_path: Path) -> None:
    class_name = lazy(tmp_path, 3)
    said = model_provenance(ModelSpec(path=f"{tmp_path}/model.py", class_name=class_name))["model_imports"]
    assert list(said) == ["deepest.py", "late.py", "later.py", "parts.py"]
    (tmp_path / "late.py").write_text("def factor():\n    return 1\n")
    again = model_provenance(ModelSpec(path=f"{tmp_path}/model.py", class_name=class_name))["model_imports"]
    assert list(again) == ["late.py", "later.py", "parts.py"]
    assert again["late.py"] != said["late.py"]


def test_a_file_that_is_changed_while_the_model_is_used_is_said(tmp_path: Path) -> None:
    spec = ModelSpec(path=f"{tmp_path}/model.py", class_name=lazy(tmp_path, 3))
    make_module(str(spec.class_name), {})
    (tmp_path / "late.py").write_text("def factor():\n    return 1\n")
    with pytest.raises(genolift.InputError, match=r"late\.py: was changed while the model was in use"):
        model_provenance(spec)


@pytest.mark.parametrize(
    "statement",
    [
        "__import__('importlib').import_module('par' + 'ts')",
        "import os, sys; sys.path.insert(0, os.path.dirname(__file__) + '/lib'); import blocks as parts",
    ],
    ids=["a name that is computed", "a folder put on the path"],
)
def test_an_import_that_no_statement_tells_is_warned_of_and_in_the_provenance(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, statement: str
) -> None:
    path = list(sys.path)
    source = SOURCE.replace("\n\n\nclass", f"\n{statement}\n\n\nclass", 1)
    (tmp_path / "lib").mkdir()
    for file in ("parts.py", "lib/blocks.py"):
        (tmp_path / file).write_text("FILTERS = 3\n")
    (tmp_path / "model.py").write_text(source)
    weights = make_module(f"{tmp_path}/model.py:Small", {}).state_dict()
    torch.save(weights, tmp_path / "weights.pt")
    spec = ModelSpec(path=f"{tmp_path}/weights.pt", class_name=f"{tmp_path}/model.py:Small")
    with caplog.at_level(logging.WARNING, "genolift"):
        for _ in range(2):
            genolift.load_model(spec)
    (name,) = model_provenance(spec)["model_imports"]
    (warned,) = caplog.messages
    assert f"{tmp_path}/model.py imports {name}, but not by an import statement" in warned
    assert sys.path == path
    (tmp_path / "model.py").write_text(
        source + "\n\ndef seen():\n    import parts\n    from lib import blocks\n"
    )
    caplog.clear()
    genolift.load_model(spec)
    assert not caplog.messages


def test_two_models_of_one_package_are_not_laid_to_each_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("of_two").mkdir()
    for name in ("one", "other"):
        Path(f"of_two/{name}.py").write_text(f"from of_two import parts_of_{name}\n{SOURCE}")
        Path(f"of_two/parts_of_{name}.py").write_text("FILTERS = 3\n")
    Path("of_two/__init__.py").write_text("")
    for name in ("one", "other"):
        torch.save(make_module(f"of_two.{name}:Small", {}).state_dict(), f"{name}.pt")
    specs = {
        name: ModelSpec(path=f"{name}.pt", class_name=f"of_two.{name}:Small") for name in ("one", "other")
    }
    with caplog.at_level(logging.WARNING, "genolift"):
        for spec in specs.values():
            genolift.load_model(spec)
    assert caplog.messages == []
    for name, spec in specs.items():
        assert f"of_two/parts_of_{name}.py" in model_provenance(spec)["model_imports"]
        assert len([each for each in model_provenance(spec)["model_imports"] if "parts_of" in each]) == 1


@pytest.fixture(scope="module")
def with_neighbour(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = study(tmp_path_factory.mktemp("study"), n=6)
    (made.folder / "model.py").write_text(SOURCE.replace("nan else y", "nan else scaled(y)") + SCALED)
    (made.folder / "scale.py").write_text("FACTOR = 1.0\n")
    return made


SCALED = "\n\ndef scaled(y):\n    from scale import FACTOR\n    return FACTOR * y\n"


def test_shards_between_which_a_neighbour_was_changed_are_refused(with_neighbour: Study) -> None:
    made = with_neighbour
    made.attribute("one.h5", shard=(0, 2))
    (made.folder / "scale.py").write_text("FACTOR = 2.0\n")
    made.attribute("two.h5", shard=(1, 2))
    with h5py.File(made.folder / "one.h5") as one, h5py.File(made.folder / "two.h5") as two:
        assert one.attrs["provenance"] != two.attrs["provenance"]
    with pytest.raises(genolift.InputError, match=r"was made with model_imports scale\.py [0-9a-f]{64}, "):
        made.aggregate("one.h5", "two.h5")
    made.attribute("one.h5", shard=(0, 2))
    made.aggregate("one.h5", "two.h5")


class StopError(Exception):
    """Raised by a test to stop a run."""


def stopped(pairs: int, total: int) -> None:
    """Stop a run in its second block."""
    if pairs > 6:
        raise StopError


def test_pieces_that_were_made_with_another_neighbour_are_not_used(
    with_neighbour: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = with_neighbour
    monkeypatch.setattr(step, "PIECE_ROWS", 2)
    resumed = []
    for changed in (False, True):
        with pytest.raises(StopError):
            made.attribute(progress=stopped)
        if changed:
            (made.folder / "scale.py").write_text("FACTOR = 3.0\n")
        resumed.append(made.attribute().n_resumed)
    assert resumed[0] > 0
    assert resumed[1] == 0
