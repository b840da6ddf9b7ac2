"""Models are read without running code, and a mistake is one line that says where it is and what to do."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import pytest
import torch
from refusals import refused
from safetensors.torch import save_file
from torch import nn

import genolift
from genolift.models import ModelSpec, input_length, make_module, model_provenance
from genolift.targets import task_names

SOURCE = """
from torch import nn

TASKS = ["one", "two"]


class Small(nn.Module):
    input_length = 30

    def __init__(self, filters: int = 3):
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, filters, 5), nn.Linear(filters, 2)

    def forward(self, x):
        return self.out(self.conv(x).relu().mean(-1))


def not_a_module():
    return "text"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(SOURCE)
    torch.manual_seed(0)
    weights = genolift.models.make_module(f"{tmp_path}/model.py:Small", {}).state_dict()
    torch.save(weights, tmp_path / "weights.pt")
    save_file(weights, tmp_path / "weights.safetensors")
    torch.save(
        {"state_dict": {f"model.{key}": value for key, value in weights.items()}}, tmp_path / "light.ckpt"
    )
    torch.save(
        OrderedDict((f"module.{key}", value) for key, value in weights.items()), tmp_path / "parallel.pt"
    )
    return tmp_path


def spec(folder: Path, **changed: Any) -> dict[str, Any]:
    return {"path": f"{folder}/weights.pt", "class": f"{folder}/model.py:Small"} | changed


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors", "light.ckpt", "parallel.pt"])
def test_weights_are_read_in_the_forms_that_people_save(folder: Path, name: str) -> None:
    model = genolift.load_model(spec(folder, path=f"{folder}/{name}"))
    expected = torch.load(folder / "weights.pt", weights_only=True)
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    assert not model.training


def test_a_models_length_and_tasks_are_known_where_it_says_them(folder: Path) -> None:
    model = genolift.load_model(spec(folder))
    assert input_length(model, ModelSpec.of(spec(folder))) == 30
    assert input_length(model, ModelSpec.of(spec(folder, input_length=40))) == 40
    assert task_names(model) == ["one", "two"]


def test_a_class_may_be_that_of_a_package() -> None:
    assert isinstance(
        genolift.models.make_module(
            "torch.nn:Conv1d", dict.fromkeys(["in_channels", "out_channels", "kernel_size"], 4)
        ),
        nn.Conv1d,
    )


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "posix:system",
        "subprocess:run",
        "builtins:exec",
        "os.path:os.system",
        f"{os.__file__}:popen",
    ],
    ids=lambda name: name.rpartition("/")[2],
)
def test_nothing_of_pythons_own_is_called(tmp_path: Path, name: str, trust: bool) -> None:
    written = tmp_path / "written"
    with pytest.raises(genolift.InputError, match="is one of Python's own modules; name the module"):
        make_module(name, {"command": f"touch {written}"}, trust=trust)
    assert not written.exists()


@pytest.mark.parametrize("trust", [False, True])
def test_what_a_models_file_has_imported_from_pythons_own_is_not_called(tmp_path: Path, trust: bool) -> None:
    source = "from functools import partial\nfrom os import system\npart = partial(partial(system), 'true')"
    (tmp_path / "model.py").write_text(source)
    for name in ("system", "part"):
        with pytest.raises(genolift.InputError, match=f"{name} belongs to Python's own module posix"):
            make_module(f"{tmp_path}/model.py:{name}", {}, trust=trust)


def test_a_function_of_a_package_is_called_only_when_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "site-packages"):
        folder.mkdir(exist_ok=True)
        (folder / "package_with_maker.py").write_text(SOURCE + "\n\ndef make():\n    return Small()\n")
    (tmp_path / "model.py").write_text("from package_with_maker import *\ndef own(): return make()\n")
    for name in ("package_with_maker:make", "site-packages/package_with_maker.py:make", "torch.hub:load"):
        with pytest.raises(genolift.InputError) as error:
            make_module(name, {})
        assert "could do anything when called; name a torch.nn.Module" in str(error.value)
        if "hub" not in name:
            assert type(make_module(name, {}, trust=True)).__name__ == "Small"
    for name in ("package_with_maker:Small", "model.py:Small", "model.py:make", "model.py:own"):
        assert type(make_module(name, {})).__name__ == "Small"
    torch.save(make_module("model.py:own", {}).state_dict(), "weights.pt")
    given = {"path": "weights.pt", "class": "package_with_maker:make"}
    assert "set trust: true" in refused(given)
    assert isinstance(genolift.load_model(given | {"trust": True}), nn.Module)


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "run")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".pt2", ".safetensors"])
def test_a_malicious_pickle_is_not_run(folder: Path, suffix: str) -> None:
    path = folder / f"model{suffix}"
    torch.save({"weights": Malicious(folder / "written")}, path)
    refused(spec(folder, path=str(path)))
    path.write_bytes(pickle.dumps(Malicious(folder / "written")))
    refused(spec(folder, path=str(path)))
    assert not (folder / "written").exists()


def test_a_whole_pickled_module_is_read_only_when_trusted(folder: Path) -> None:
    path = folder / "whole.pt"
    torch.save(genolift.load_model(spec(folder)), path)
    assert "which could run code when read; save its state_dict()" in refused(str(path))
    assert "trust: true" in refused(str(path))
    assert isinstance(genolift.load_model({"path": str(path), "trust": True}), nn.Module)
    torch.save({"epoch": 3, "model": genolift.load_model(spec(folder))}, path)
    held = genolift.load_model({"path": str(path), "trust": True})
    anew = genolift.load_model(spec(folder, path=str(path), trust=True))
    assert torch.equal(held.conv.weight, anew.conv.weight)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"path": "nowhere.pt"}, "nowhere.pt: no such file"),
        ({"path": "."}, "is a folder"),
        ({"path": ""}, "model.path: is empty text; name the model's file"),
        ({"class": None}, "holds weights but no model; name the class"),
        ({"class": "model.py"}, "write it like path/to/model.py:Class"),
        ({"class": "no.such.package:Model"}, "cannot be imported"),
        ({"class": "nowhere.py:Model"}, "no such file"),
        (
            {"arguments": {"filters": 7}},
            "of another shape (conv.weight is (3, 4, 5), the class has (7, 4, 5)",
        ),
        ({"arguments": {"filter": 7}}, "Small(filter=7) raises TypeError"),
        ({"pth": "x"}, "model.pth: unknown key; did you mean 'path'?"),
    ],
)
def test_a_mistake_in_the_spec_is_said(folder: Path, changed: dict[str, Any], said: str) -> None:
    assert said in refused(spec(folder, **changed))


@pytest.mark.parametrize("given", [None, 3, ["model.pt"]])
def test_what_is_no_path_and_no_mapping_is_said(given: Any) -> None:
    assert f"model: is a {type(given).__name__}; give a path, or a mapping with" in refused(given)


def test_a_mistake_in_the_models_file_is_said(folder: Path) -> None:
    assert "has no Smal; it has Small" in refused(spec(folder, **{"class": f"{folder}/model.py:Smal"}))
    assert "not_a_module makes a str" in refused(spec(folder, **{"class": f"{folder}/model.py:not_a_module"}))
    (folder / "broken.py").write_text("import nothing_like_this\n")
    assert "raises ModuleNotFoundError" in refused(spec(folder, **{"class": f"{folder}/broken.py:Small"}))


def test_a_function_may_make_the_model(folder: Path) -> None:
    with (folder / "model.py").open("a") as file:
        file.write("\n\ndef make(filters=3):\n    return Small(filters)\n\n\nTEXT = 'text'\n")
    model = genolift.load_model(spec(folder, **{"class": f"{folder}/model.py:make"}))
    assert type(model).__name__ == "Small"
    assert "TEXT is a str, not a class" in refused(spec(folder, **{"class": f"{folder}/model.py:TEXT"}))


def test_a_models_file_may_import_others_beside_it(folder: Path, tmp_path: Path) -> None:
    """Two folders may each have a layers.py, and the import path is left unchanged."""
    before, modules = list(sys.path), set(sys.modules)
    for name, filters in (("a", 3), ("b", 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "layers.py").write_text(f"FILTERS = {filters}\n")
        (tmp_path / name / "model.py").write_text(
            "from layers import FILTERS\n" + SOURCE.replace("filters: int = 3", "filters: int = FILTERS")
        )
    made = [make_module(f"{tmp_path}/{name}/model.py:Small", {}) for name in ("a", "b")]
    assert [model.conv.out_channels for model in made] == [3, 5]
    assert sys.path == before
    assert "layers" not in set(sys.modules) - modules


def test_a_mended_file_beside_a_models_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text("FILTERS = 1 / 0\n")
    (tmp_path / "model.py").write_text("from layers import FILTERS\n" + SOURCE)
    with pytest.raises(genolift.InputError, match="raises ZeroDivisionError"):
        make_module(f"{tmp_path}/model.py:Small", {})
    (tmp_path / "layers.py").write_text("FILTERS = 3\n")
    assert make_module(f"{tmp_path}/model.py:Small", {}).conv.out_channels == 3


def test_a_module_may_lie_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_here").mkdir()
    (tmp_path / "mine_here" / "layers.py").write_text("FILTERS = 3\n")
    (tmp_path / "mine_here" / "net.py").write_text("from .layers import FILTERS\n" + SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])  # as in a console script
    assert isinstance(make_module("mine_here.net:Small", {}), nn.Module)
    assert isinstance(make_module("mine_here/net.py:Small", {}), nn.Module)
    (tmp_path / "mine_here" / "net.py").write_text("from ..layers import FILTERS\n" + SOURCE)
    with pytest.raises(genolift.InputError, match=r"name it with its package, package\.module:Class"):
        make_module("mine_here/net.py:Small", {})


def test_a_trusted_pickle_finds_its_module_beside_it(tmp_path: Path) -> None:
    """A module pickled in one folder is read in that folder, and not mixed up with another of its name."""
    (tmp_path / "mine_beside.py").write_text(SOURCE.replace("from torch", "import mine_parts\nfrom torch", 1))
    (tmp_path / "mine_parts.py").write_text("")
    ways = ["", ", _use_new_zipfile_serialization=False", ", pickle_protocol=4"]
    saves = [f"torch.save(mine_beside.Small(), '{number}.pt'{way})" for number, way in enumerate(ways)]
    write = "; ".join(["import torch, mine_beside", *saves])
    subprocess.run([sys.executable, "-c", write], cwd=tmp_path, check=True)
    for number in range(len(ways)):
        whole = {"path": f"{tmp_path}/{number}.pt", "trust": True}
        assert type(genolift.load_model(whole)).__name__ == "Small"
        files = [f"{tmp_path}/{name}" for name in (f"{number}.pt", "mine_beside.py", "mine_parts.py")]
        assert list(ModelSpec.of(whole).files) == files
        assert ModelSpec.of(files[0]).files == (files[0],)
        said = model_provenance(ModelSpec.of(whole))["model_pickled_code"]
        assert list(said) == ["mine_beside.py", "mine_parts.py"]
    del sys.modules["mine_beside"], sys.modules["mine_parts"]
    (tmp_path / "mine_beside.py").unlink()
    assert "was saved with code that cannot be found (No module named 'mine_beside')" in refused(whole)


@pytest.mark.parametrize("way", ["", ", pickle_protocol=4", ", _use_new_zipfile_serialization=False"])
def test_a_module_that_its_own_script_pickled_is_found_in_the_scripts_file(tmp_path: Path, way: str) -> None:
    script, path = tmp_path / "train.py", tmp_path / "whole.pt"
    script.write_text(
        SOURCE.replace("nn.Linear(filters, 2)", "Head(filters, 2)")
        + "\n\nclass Head(nn.Linear):\n    pass\n\n\nif __name__ == '__main__':\n    import torch\n"
        + f"    torch.save(Small(7), {str(path)!r}{way})\n"
    )
    run_as_script(script)
    message = refused({"path": str(path), "trust": True})
    assert "was saved by a script that defines Small; name the class in the file of that script" in message
    assert "class: path/to/script.py:Class" in message
    model = genolift.load_model({"path": str(path), "trust": True, "class": f"{script}:Small"})
    assert (model.conv.out_channels, type(model.out).__name__, model.training) == (7, "Head", False)
    anew = {"path": str(path), "trust": True, "class": f"{script}:Small", "arguments": {"filters": 7}}
    assert torch.equal(genolift.load_model(anew).conv.weight, model.conv.weight)
    (tmp_path / "other.py").write_text(SOURCE)
    other = refused({"path": str(path), "trust": True, "class": f"{tmp_path}/other.py:Small"})
    assert "was saved by a script that defines Head, which other.py does not; name the class in" in other
    assert "could run code when read" in refused({"path": str(path), "class": f"{script}:Small"})


def run_as_script(script: Path) -> None:
    """Run a file as ``python FILE`` does, in this process."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = module = ModuleType("__main__")
    try:
        exec(compile(script.read_text(), str(script), "exec"), vars(module))
    finally:
        sys.modules["__main__"] = main


def test_weights_that_do_not_fit_are_said_key_by_key(folder: Path) -> None:
    weights = torch.load(folder / "weights.pt", weights_only=True)
    weights["other"] = weights.pop("out.bias")
    torch.save(weights, folder / "odd.pt")
    message = refused(spec(folder, path=f"{folder}/odd.pt"))
    assert "1 missing (out.bias), 1 unexpected (other)" in message
    (folder / "text.pt").write_text("no weights")
    assert "weights.pt" not in refused(spec(folder, path=f"{folder}/text.pt"))
    torch.save([1, 2], folder / "list.pt")
    assert "holds a list, not a state dict" in refused(spec(folder, path=f"{folder}/list.pt"))
    (folder / "cut.safetensors").write_bytes((folder / "weights.safetensors").read_bytes()[:-20])
    assert "not a complete safetensors file" in refused(spec(folder, path=f"{folder}/cut.safetensors"))


@pytest.mark.parametrize("key", ["weights", "custom_layers"])
def test_a_key_of_keras_models_is_refused_for_any_other_and_not_passed_over(folder: Path, key: str) -> None:
    other = folder / "weights.safetensors"
    with pytest.raises(genolift.InputError, match=rf"^model\.{key}: applies only to Keras models"):
        genolift.load_model(spec(folder, **{key: str(other)}))


def test_weights_beside_a_whole_keras_model_are_refused_and_not_passed_over(folder: Path) -> None:
    with h5py.File(folder / "model.h5", "w") as file:
        file.attrs["model_config"] = "{}"
    with pytest.raises(
        genolift.InputError, match=r"^model\.weights: is given, but .* already contains weights"
    ):
        genolift.load_model({"path": str(folder / "model.h5"), "weights": str(folder / "weights.pt")})
