"""A captured model in a file: the same graph and results, taken only where it is what it says it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import modules
import numpy as np
import pytest
import safetensors.torch
import torch
from checked_models import check
from run_steps import LENGTH, Study, source_of, study
from zoo import onehot

from genolift.engine.graph import capture as capture_module
from genolift.errors import InputError
from genolift.explain import handed_on as files
from genolift.explain.explainer import Explainer
from genolift.explain.handed_on import HandedOn, hand_on, handed_on
from genolift.models import load_model
from genolift.steps import attribute as attribute_step

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
    assert hand_on(tmp_path, "key", HandedOn(graph, "sigmoid", ("a",), 30, {"error": 0.5}))
    found = handed_on(tmp_path, "key")
    assert found is not None
    assert (found.stepped_over, found.tasks, found.input_length) == ("sigmoid", ("a",), 30)
    assert found.graph.operations == graph.operations
    assert found.graph.constants.keys() == graph.constants.keys()
    for name, value in graph.constants.items():
        assert torch.equal(found.graph.constants[name], value)
        assert found.graph.constants[name].dtype == value.dtype


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


@pytest.mark.parametrize(
    "damaged",
    [
        other_weights,
        other_operation,
        another_key,
        unsafe,
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
    assert not hand_on(tmp_path, "key", HandedOn(explainer.graph, "", (), None, None))
