"""A captured model in a file: the same graph and results, taken only where it is what it says it is."""

from __future__ import annotations

import errno
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import modules
import numpy as np
import pytest
import safetensors.torch
import torch
from checked_models import check
from places import ROOT
from run_steps import LENGTH, Study, source_of, study
from zoo import network, onehot

from genolift.engine.graph import capture as capture_module
from genolift.errors import InputError
from genolift.explain import handed_on as files
from genolift.explain.explainer import Explainer
from genolift.explain.handed_on import HandedOn, hand_on, handed_on
from genolift.files.output_paths import UNFINISHED
from genolift.models import load_model
from genolift.steps import attribute as attribute_step

EXPLAIN = ROOT / "tests" / "explain"
SOME = ["scaled_dot_product_attention with a mask", "interpolate", "slices written into zeros", "moments"]
SOME += ["LSTM", "batch norm, left in training"]


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every model that torch exports."""
    found: list[int] = []
    export = torch.export.export
    counted = lambda *a, **k: found.append(1) or export(*a, **k)  # noqa: E731
    monkeypatch.setattr(capture_module.torch.export, "export", counted)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(tmp_path_factory.mktemp("handed on"), n=3, r=2)


def ran(made: Study, captures: Path, **changed: Any) -> Any:
    source = source_of(fasta=made.folder / "sequences.fa")
    return check(made, source, captures=captures, **changed)


def numbers(made: Study, name: str) -> dict[str, Any]:
    with h5py.File(made.folder / name) as file:
        names = ("shap/seq", "genolift/output", "genolift/reference_output", "genolift/convergence_error")
        return {each: file[each][:] for each in names}


@pytest.mark.parametrize("name", [name for name in SOME if name in modules.NAMES])
def test_a_graph_that_is_read_is_the_one_that_was_written(name: str, tmp_path: Path) -> None:
    def total(output: Any) -> torch.Tensor:
        return (output[0] if isinstance(output, tuple) else output).flatten(1).sum(1)

    graph = Explainer(modules.module(name), onehot(2, modules.LENGTH), target=total, device="cpu").graph
    assert hand_on(tmp_path, "key", HandedOn(graph, ("sigmoid",), ("a",), [1], 30, {"error": 0.5}))
    found = handed_on(tmp_path, "key")
    assert found is not None
    assert (found.stepped_over, found.tasks, found.input_length) == (("sigmoid",), ("a",), 30)
    assert found.graph.operations == graph.operations
    assert found.graph.constants.keys() == graph.constants.keys()
    for name, value in graph.constants.items():
        assert torch.equal(found.graph.constants[name], value)
        assert found.graph.constants[name].dtype == value.dtype


def test_a_capture_is_not_taken_when_code_that_was_loaded_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = tmp_path / "imported_from_elsewhere.py"
    code.write_text("SCALE = 1.0\n")
    importlib.import_module("imported_from_elsewhere")
    loaded = files.loaded_code()
    assert str(code) in loaded
    assert not any("site-packages" in path or path.startswith(sys.base_prefix) for path in loaded)
    graph, seen = Explainer(network(), onehot(2), device="cpu").graph, {str(code): loaded[str(code)]}
    assert hand_on(tmp_path, "key", HandedOn(graph, (), (), [1], None, None, "", seen))
    assert handed_on(tmp_path, "key") is not None
    code.write_text("SCALE = 3.0\n")
    assert handed_on(tmp_path, "key") is None
    code.unlink()
    assert handed_on(tmp_path, "key") is None


def test_attribute_takes_the_check_s_capture_and_computes_the_same_to_the_last_bit(
    made: Study, tmp_path: Path, captured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made.attribute("alone.h5", target=1)
    before = len(captured)
    ran(made, tmp_path, target=1)
    assert len(captured) == before + 1
    with monkeypatch.context() as patch:
        patch.setattr(attribute_step, "load_model", lambda spec: pytest.fail("the model was loaded"))
        made.attribute("taken.h5", target=1, captures=tmp_path)
        ran(made, tmp_path, target=0)
        made.attribute("other.h5", target=0, captures=tmp_path)
    assert len(captured) == before + 1
    for name, values in numbers(made, "alone.h5").items():
        np.testing.assert_array_equal(numbers(made, "taken.h5")[name], values)
    assert (
        numbers(made, "other.h5")["genolift/output"] != numbers(made, "alone.h5")["genolift/output"]
    ).all()
    with h5py.File(made.folder / "alone.h5") as alone, h5py.File(made.folder / "taken.h5") as taken:
        one, other = (json.loads(file.attrs["provenance"]) for file in (alone, taken))
    assert {**one, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.parametrize("target", [5, "nothing"])
def test_a_target_that_is_not_there_is_said_as_of_a_model_that_is_loaded(
    target: int | str, made: Study, tmp_path: Path
) -> None:
    ran(made, tmp_path)
    said = []
    for captures in (None, tmp_path):
        with pytest.raises(InputError) as raised:
            made.attribute("wrong.h5", target=target, captures=captures)
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_a_changed_model_and_another_setting_are_captured_anew(
    made: Study, tmp_path: Path, captured: list[int]
) -> None:
    ran(made, tmp_path)
    for number, changed in enumerate(
        ({"model": made.fold(3)}, {"keep_final_activation": True}, {"precision": "float64"}), 1
    ):
        made.attribute("anew.h5", captures=tmp_path, **changed)
        assert len(captured) == 1 + number
    (made.folder / "other.py").write_text((made.folder / "model.py").read_text() + "\n# changed\n")
    other = made.model.model_copy(update={"class_name": f"{made.folder}/other.py:Small"})
    made.attribute("anew.h5", captures=tmp_path, model=other)
    assert len(captured) == 5


def other_weights(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def other_operation(content: bytes) -> bytes:
    return content.replace(b"aten.relu.default", b"aten.tanh.default")


def another_key(content: bytes) -> bytes:
    told = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    constants = safetensors.torch.load(content)
    text = told["told"].replace('"key": "', '"key": "x')
    return safetensors.torch.save(constants, {"told": text, "digest": files._digest(text, constants)})


def unsafe(content: bytes) -> bytes:
    told = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    constants = safetensors.torch.load(content)
    text = told["told"].replace("torch.ops.aten.relu.default", "torch.ops.aten.from_file.default")
    assert text != told["told"]
    return safetensors.torch.save(constants, {"told": text, "digest": files._digest(text, constants)})


def other_shape(content: bytes) -> bytes:
    """Return a file in which an operation makes an impossible shape."""
    told = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    constants = safetensors.torch.load(content)
    inside = json.loads(told["told"])
    relu = next(each for each in inside["graph"]["operations"] if "relu" in each["target"])
    relu |= {"target": "torch.ops.aten.reshape.default"}
    relu["args"]["tuple"].append([2**40, -7])
    text = json.dumps(inside)
    return safetensors.torch.save(constants, {"told": text, "digest": files._digest(text, constants)})


def nested(content: bytes) -> bytes:
    text = '{"graph": ' + "[" * 100_000 + "]" * 100_000 + "}"
    return safetensors.torch.save({}, {"told": text, "digest": files._digest(text, {})})


@pytest.mark.parametrize(
    "damaged",
    [
        other_weights,
        other_operation,
        another_key,
        unsafe,
        other_shape,
        nested,
        lambda whole: whole[:200],
        lambda _: b"",
        lambda _: b"{" * 99,
    ],
)
def test_a_damaged_or_foreign_file_is_not_believed_and_stops_nothing(
    damaged: Any, made: Study, tmp_path: Path, captured: list[int]
) -> None:
    ran(made, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damaged(file.read_bytes()))
    made.attribute("again.h5", captures=tmp_path)
    assert len(captured) == 2


def test_a_model_that_is_too_large_is_not_written(
    made: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    ran(made, tmp_path)
    assert not list(tmp_path.iterdir())
    explainer = Explainer(load_model(made.model), onehot(2, LENGTH), device="cpu")
    assert not hand_on(tmp_path, "key", HandedOn(explainer.graph, (), (), [1], None, None))


def fifo(file: Path) -> None:
    os.mkfifo(file)


def link_to_nowhere(file: Path) -> None:
    file.symlink_to("nowhere")


def link_to_endless_zeros(file: Path) -> None:
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize("instead", [fifo, Path.mkdir, link_to_nowhere, link_to_endless_zeros])
def test_what_is_no_file_in_its_place_stops_nothing(
    instead: Any, made: Study, tmp_path: Path, captured: list[int]
) -> None:
    ran(made, tmp_path)
    (file,) = tmp_path.iterdir()
    file.unlink()
    instead(file)
    ran(made, tmp_path)
    made.attribute("again.h5", captures=tmp_path)
    assert len(captured) == 3
    assert file.is_symlink() or not file.is_file()


def test_a_folder_that_cannot_be_written_or_a_full_disk_stops_nothing(
    made: Study, tmp_path: Path, captured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    ran(made, tmp_path / "file" / "captures")
    made.attribute("again.h5", captures=tmp_path / "file" / "captures")
    assert len(captured) == 2

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        ran(made, tmp_path / "captures")
    assert not list((tmp_path / "captures").iterdir())


READING = """

class Reading(Small):
    def __init__(self):
        super().__init__()
        self.scale = float(open("{scale}").read())

    def forward(self, x):
        return super().forward(x) * self.scale
"""


def test_a_model_whose_code_reads_a_file_is_captured_anew_when_the_file_changes(
    made: Study, tmp_path: Path, captured: list[int]
) -> None:
    scale, code = tmp_path / "scale.txt", tmp_path / "reading.py"
    code.write_text((made.folder / "model.py").read_text() + READING.format(scale=scale))
    model = made.model.model_copy(update={"class_name": f"{code}:Reading"})
    outputs = []
    for written in ("1", "1", "3"):
        scale.write_text(written)
        ran(made, tmp_path / "captures", models={"model": model})
        made.attribute("read.h5", captures=tmp_path / "captures", model=model)
        outputs.append(numbers(made, "read.h5")["genolift/output"])
    assert len(captured) == 2
    np.testing.assert_allclose(outputs[2], 3 * outputs[1], rtol=1e-5)


def test_another_installed_package_and_other_code_of_genolift_are_another_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = files.key_of("model")
    (tmp_path / "somebodys_model-2.0.dist-info").mkdir()
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        files._installed.cache_clear()
        assert files.key_of("model") != before
    files._installed.cache_clear()
    assert files.key_of("model") == before
    monkeypatch.setattr(files, "_own_code", lambda: "other")
    assert files.key_of("model") != before


def test_files_that_no_analysis_needs_any_more_are_removed(made: Study, tmp_path: Path) -> None:
    captures = tmp_path / ".captures"

    def checked(analysis: str, **changed: Any) -> str:
        (tmp_path / analysis).mkdir(exist_ok=True)
        ran(made, captures, out=tmp_path / analysis / "check.json", **changed)
        return json.loads((tmp_path / analysis / "check.json").read_text())["captures"]["model"]

    first, other = checked("one"), checked("other", models={"model": made.fold(3)})
    (captures / "of the user.txt").touch()
    (captures / f"{UNFINISHED}0123456789abcdef.{first}.safetensors").touch()
    assert checked("third") == first
    names = {each.name for each in captures.iterdir()}
    assert names == {f"{first}.safetensors", f"{other}.safetensors", "of the user.txt"}
    assert checked("other", keep_final_activation=True) != other
    assert f"{other}.safetensors" not in {each.name for each in captures.iterdir()}
    (captures / f"{first}.safetensors").unlink()
    checked("third")
    shutil.rmtree(tmp_path / "one")
    (tmp_path / "other" / "check.json").write_text("{")
    checked("third", models={"model": made.fold(4)})
    assert f"{first}.safetensors" in {each.name for each in captures.iterdir()}


def test_a_model_s_state_is_told_alike_in_every_process() -> None:
    code = (
        "import test_captures\nfrom genolift.explain.fingerprint import fingerprint\n"
        "print(fingerprint(test_captures.model()).digest())"
    )
    told = []
    for seed in ("0", "1"):
        place = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([*sys.path, str(EXPLAIN)]),
        }
        done = subprocess.run(
            [sys.executable, "-c", code], env=place, capture_output=True, text=True, check=True
        )
        told.append(done.stdout)
    assert len(told[0].strip()) == 64
    assert told[0] == told[1]


HEADS = """

class Heads(Small):
    def forward(self, x):
        y = super().forward(x)
        return {"counts": y[:, :1], "profile": torch.stack([y, y.tanh()], 2)}
"""


def files_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_columns_of_one_output_share_a_file_however_many_are_asked_for(
    made: Study, tmp_path: Path, captured: list[int]
) -> None:
    ran(made, tmp_path, target=1)
    (file,) = files_in(tmp_path)
    ran(made, tmp_path, targets=(0, "second"))
    assert files_in(tmp_path) == {file}
    made.attribute("both", targets=("first", 1), captures=tmp_path)
    assert len(captured) == 1
    made.attribute("alone", targets=("first", 1))
    assert len(captured) == 2
    for slug in ("first", "1"):
        for name, values in numbers(made, f"alone/{slug}.h5").items():
            np.testing.assert_array_equal(numbers(made, f"both/{slug}.h5")[name], values)


def test_targets_of_several_outputs_have_a_file_of_their_own(
    made: Study, tmp_path: Path, captured: list[int]
) -> None:
    (made.folder / "heads.py").write_text((made.folder / "model.py").read_text() + HEADS)
    model = made.model.model_copy(update={"class_name": f"{made.folder}/heads.py:Heads"})
    targets = ("counts[0]", "profile[1, sum(:)]")
    ran(made, tmp_path, models={"model": model}, targets=targets)
    of_both = files_in(tmp_path)
    made.attribute("heads", model=model, targets=targets, captures=tmp_path)
    assert len(captured) == 1, "what the check captured is what attribute takes"
    ran(made, tmp_path, models={"model": model}, targets=targets[:1])
    assert len(files_in(tmp_path)) == 1
    assert files_in(tmp_path) != of_both
    made.attribute("turned", model=model, targets=targets[::-1], captures=tmp_path)
    made.attribute("not captured", model=model, targets=targets)
    for slug in ("counts-0", "profile-1-sum"):
        for name, values in numbers(made, f"not captured/{slug}.h5").items():
            np.testing.assert_array_equal(numbers(made, f"heads/{slug}.h5")[name], values)
            np.testing.assert_allclose(numbers(made, f"turned/{slug}.h5")[name], values, atol=1e-6)
