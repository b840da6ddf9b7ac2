"""Any model that can be loaded is written as a program, which can be explained without the model's source."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from modules import module as of_zoo
from modules_with_weights import LAYERS, MODELS
from refusals import refused
from zoo import onehot

import genolift
from genolift.cli.main import main
from genolift.engine.graph.capture import exported
from genolift.models import ModelSpec, input_length, make_module
from genolift.steps.export import write_program
from genolift.targets import task_names

SOURCE = """
import torch
from torch import nn

TASKS = ["one", "two"]


class Lengthwise(nn.Module):
    "Takes (n, length, bases), A G C T N, and a track; ends in a sigmoid."

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv1d(6, 3, 5), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.conv(x.transpose(1, 2)).relu().mean(-1)).sigmoid()


class Recurrent(nn.Module):
    input_length = 60

    def __init__(self):
        super().__init__()
        self.conv, self.lstm = nn.Conv1d(4, 6, 5), nn.LSTM(6, 4, bidirectional=True, batch_first=True)
        self.gru, self.out = nn.GRU(8, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        h, _ = self.lstm(self.conv(x).relu().transpose(1, 2))
        return self.out(self.gru(h)[0][:, -1])


class Double(nn.Module):
    input_length = 30

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(120, 2).double()

    def forward(self, x):
        return self.out(x.flatten(1))


class Two(nn.Module):
    input_length = 30

    def forward(self, x):
        return x.sum(1), x.sum((1, 2))
"""

OF_CONSTANTS_AND_TEXT = ["constant mask as an index", "interpolate", "filter by fft", "conv2d made inside"]
EXPLAINED = ["lstm, two ways, two layers", "encoder layer, batch first", "multihead attention", "layer norm"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(SOURCE)
    return tmp_path


def saved(folder: Path, name: str, *, extra_channels: int = 0, **more: Any) -> ModelSpec:
    torch.manual_seed(0)
    model = make_module(f"{folder}/model.py:{name}", {})
    torch.save(model.state_dict(), folder / "weights.pt")
    spec = ModelSpec(path=str(folder / "weights.pt"), class_name=f"{folder}/model.py:{name}", **more)
    return spec.within(extra_channels)


def written(spec: ModelSpec, folder: Path) -> Any:
    write_program(spec, folder / "model.pt2")
    return genolift.load_model(folder / "model.pt2")


def check_same(program: Any, model: Any, length: int, **more: Any) -> None:
    rows = onehot(6, length)
    found = genolift.deeplift(program, rows[:3], rows[3:], **more)
    expected = genolift.deeplift(model, rows[:3], rows[3:], **more)
    assert torch.equal(found.contributions, expected.contributions)
    assert torch.equal(found.output, expected.output)


def test_a_program_is_explained_as_the_model_that_it_was_written_from(folder: Path) -> None:
    spec = saved(folder, "Recurrent")
    program = written(spec, folder)
    check_same(program, genolift.load_model(spec), 60)
    assert input_length(program, ModelSpec(path="model.pt2")) == 60
    assert task_names(program) == ["one", "two"]
    check_same(program, genolift.load_model(spec), 60, target="two")


def test_a_program_is_read_by_torch_alone(folder: Path) -> None:
    """In the file, recurrent layers that genolift keeps whole under its own name have torch's."""
    spec = saved(folder, "Recurrent")
    write_program(spec, folder / "model.pt2")
    rows = onehot(3, 60)
    torch.save((rows, genolift.load_model(spec)(rows)), folder / "expected.pt")
    read = (
        "import sys, torch; rows, output = torch.load('expected.pt'); "
        "found = torch.export.load('model.pt2').module()(rows); "
        "assert torch.allclose(found, output, atol=1e-6); assert 'genolift' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", read], cwd=folder, check=True)


def test_a_models_layout_and_channels_are_written_with_it(folder: Path) -> None:
    spec = saved(
        folder, "Lengthwise", axes="length,bases", alphabet="AGCTN", extra_channels=1, input_length=30
    )
    write_program(spec, folder / "model.pt2")
    assert "1 extra channels; set extra_channels: 1" in refused(folder / "model.pt2")
    program = genolift.load_model({"path": str(folder / "model.pt2"), "extra_channels": 1})
    model = genolift.load_model(spec)
    tracks = (torch.rand(3, 1, 30),)
    rows = onehot(6, 30)
    found = genolift.deeplift(program, rows[:3], rows[3:], extra_inputs=tracks)
    expected = genolift.deeplift(model, rows[:3], rows[3:], extra_inputs=tracks)
    assert torch.equal(found.contributions, expected.contributions)
    assert torch.equal(found.output, expected.output)
    assert task_names(program) == ["one", "two"]


def test_a_written_programs_layout_is_not_changed_twice(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A user who names the program instead of the weights may leave the rest of the config as it was."""
    spec = saved(folder, "Double", alphabet="AGCT")
    write_program(spec, folder / "model.pt2")
    with caplog.at_level(logging.WARNING, "genolift"):
        program = genolift.load_model({"path": str(folder / "model.pt2"), "alphabet": "AGCT"})
    check_same(program, genolift.load_model(spec), 30, precision="float64")
    assert "as genolift export wrote it; model.axes and model.alphabet are ignored" in caplog.text


def test_a_model_in_double_precision_is_written_in_it(folder: Path) -> None:
    spec = saved(folder, "Double")
    check_same(written(spec, folder), genolift.load_model(spec), 30, precision="float64")


def test_a_model_of_several_outputs_is_written_with_all(folder: Path) -> None:
    torch.save({}, folder / "weights.pt")
    model = make_module(f"{folder}/model.py:Two", {})
    torch.save(model, folder / "whole.pt")
    program = written(ModelSpec(path=str(folder / "whole.pt"), trust=True), folder)
    check_same(program, model, 30, target=lambda output: output[1])


def test_a_program_is_written_again_as_it_was(folder: Path) -> None:
    spec = saved(folder, "Recurrent")
    first = written(spec, folder)
    shutil.copy(folder / "model.pt2", folder / "first.pt2")
    again = written(ModelSpec(path=str(folder / "first.pt2")), folder)
    check_same(again, first, 60)
    assert task_names(again) == ["one", "two"]


def test_a_program_says_where_it_comes_from(folder: Path) -> None:
    write_program(saved(folder, "Double"), folder / "model.pt2")
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        said = json.loads(archive.read("archive/extra/genolift.json"))
    assert said["provenance"]["model_class"].endswith("model.py:Double")
    assert len(said["provenance"]["model_sha256"]) == len(said["provenance"]["model_class_sha256"]) == 64
    assert said["provenance"]["genolift"] == genolift.__version__


@pytest.mark.parametrize("name", [*LAYERS, *MODELS, *OF_CONSTANTS_AND_TEXT])
def test_modules_of_every_kind_are_read_again_as_they_were(tmp_path: Path, name: str) -> None:
    module = of_zoo(name).eval()
    rows = onehot(6, 30)
    program = exported(module, (rows,))
    torch.export.save(program, tmp_path / "model.pt2")
    read = genolift.load_model(tmp_path / "model.pt2")
    with torch.no_grad():
        assert torch.equal(read.module()(rows), program.module()(rows))
    if name in EXPLAINED:
        check_same(read, module, 30)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_yeast_model_is_explained_without_its_source(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("model.py", "model_state_dict.pt"):
        shutil.copy(shared / "yeast" / name, tmp_path)
    files = {"model": f"{tmp_path}/model_state_dict.pt", "model-class": f"{tmp_path}/model.py:YeastTF"}
    flags = [text for key, value in files.items() for text in (f"--{key}", value)]
    letters = np.random.default_rng(0).choice(list("ACGT"), (3, 400))
    records = [f">s{i}\n{''.join(row)}\n" for i, row in enumerate(letters)]
    (tmp_path / "sequences.fa").write_text("".join(records))
    sequences, references = f"{tmp_path}/sequences.h5", f"{tmp_path}/references.h5"
    fasta = ["--fasta", f"{tmp_path}/sequences.fa", "--table", f"{tmp_path}/sequences.tsv"]
    assert run("encode", *fasta, "--out", sequences) == 0
    assert run("reference", "--sequences", sequences, "--number", "4", "--out", references) == 0
    given = ["attribute", "--sequences", sequences, "--references", references, "--device", "cpu"]
    assert run(*given, "--target", "Rap1", *flags, "--out", f"{tmp_path}/module.h5") == 0
    program = f"{tmp_path}/written.pt2"
    assert run("export", *flags, "--input-length", "400", "--out", program) == 0
    said = capsys.readouterr().out
    assert "input (n, 4, 400), tasks Reb1, Abf1, Rap1, Mcm1, Cbf1, Gcn4: " in said
    for name in ("model.py", "model_state_dict.pt"):
        (tmp_path / name).unlink()
    command = [sys.executable, "-m", "genolift", *given, "--target", "Rap1", "--model", program]
    subprocess.run([*command, "--out", f"{tmp_path}/program.h5"], cwd=tmp_path, check=True)
    with h5py.File(tmp_path / "module.h5") as module, h5py.File(tmp_path / "program.h5") as other:
        for key in ("shap/seq", "genolift/output", "genolift/reference_output"):
            np.testing.assert_array_equal(other[key][:], module[key][:])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--out", "model.pt"], "is not the name of an exported program; end it in .pt2"),
        ([], "the model does not say its input length; give it, in bases"),
        (["--input-length", "3"], "does not take an input of shape (n, 4, 3)"),
    ],
)
def test_a_mistake_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], changed: list[str], said: str
) -> None:
    (folder / "model.py").write_text(SOURCE.replace("input_length = 60", "pass"))
    spec = saved(folder, "Recurrent")
    flags = ["--model", spec.path, "--model-class", str(spec.class_name), "--out", f"{folder}/model.pt2"]
    assert run("export", *flags, *changed) == 2
    assert said in capsys.readouterr().err
    assert not list(folder.glob("*.pt2")) + list(folder.glob(".*.pt2"))
