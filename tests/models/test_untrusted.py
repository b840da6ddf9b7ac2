"""No code in a model file is run by any way of reading it, whatever its name, unless it is trusted."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import h5py
import pytest
import torch
import yaml
from run_steps import Study, study
from tampered_programs import TAMPERED, Writes, members, save_program, write
from test_torchscript import WritesWhenRead
from workflows import snakemake

import genolift
from genolift.cli.commands import COMMANDS
from genolift.cli.main import main
from genolift.models import ModelSpec

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
SUFFIXES = [".pt", ".pth", ".ckpt", ".bin", ".pt2", ".safetensors", ".h5", ".keras", ".json", ""]
LATER = ["archive of protocol 4", "old file of protocol 5"]
KINDS = ["archive", *LATER, "pickle", "whole module", "program", "script"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(tmp_path_factory.mktemp("study"), n=3, windows=True)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The file that a malicious model would write."""
    return tmp_path / "written"


def malicious(kind: str, path: Path, written: Path) -> Path:
    """Write a file that would write another when it is read as ``kind``."""
    checkpoint = {"state_dict": {"conv.weight": torch.ones(1)}, "more": Writes(written)}
    if kind == "archive":
        torch.save(checkpoint, path)
    elif kind == "archive of protocol 4":
        torch.save(checkpoint, path, pickle_protocol=4)
    elif kind == "old file of protocol 5":
        torch.save(checkpoint, path, pickle_protocol=5, _use_new_zipfile_serialization=False)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Writes(written), protocol=2))
    elif kind == "whole module":
        module = torch.nn.Linear(1, 1)
        module.more = Writes(written)  # type: ignore[assignment]
        torch.save(module, path)
    elif kind == "program":
        program = path.with_name("plain.pt2")
        save_program(program)
        held = members(program)
        for place in ("a size", "a pickled constant", "sample inputs", "a guard"):
            TAMPERED[place][0](held, written)
        write(path, held)
    else:
        torch.jit.save(torch.jit.script(WritesWhenRead(str(written))), str(path))
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_class", [False, True])
def test_a_malicious_model_is_not_run_whatever_it_is_called(
    made: Study, tmp_path: Path, written: Path, kind: str, suffix: str, with_class: bool
) -> None:
    path = malicious(kind, tmp_path / f"model{suffix}", written)
    spec: dict[str, object] = {"path": str(path), "input_length": 60, "trust": "true"}  # no trust
    if with_class:
        spec["class"] = made.model.class_name
    with pytest.raises(genolift.InputError) as error:
        genolift.load_model(spec)
    assert "\n" not in str(error.value)
    assert not written.exists()


@pytest.mark.parametrize("kind", ["archive", *LATER, "whole module", "script"])
def test_the_same_model_runs_where_it_is_trusted(tmp_path: Path, written: Path, kind: str) -> None:
    """So that the others would see it."""
    path = malicious(kind, tmp_path / "model.pt", written)
    with suppress(genolift.InputError):  # there may be no model in it
        genolift.load_model({"path": str(path), "input_length": 60, "trust": True})
    assert written.exists()


def commands(made: Study) -> dict[str, list[str]]:
    """Return every command that takes a model."""
    folder = made.folder
    given = ["--sequences", f"{folder}/sequences.h5", "--references", f"{folder}/references.h5"]
    windows = ["--bed", f"{folder}/peaks.bed", "--genome", f"{folder}/genome.fa"]
    return {
        "attribute": [*given, "--out", "out.h5"],
        "check": [*windows, "--out", "out.json"],
        "compare": [*given, "--out", "out"],
        "encode": [*windows, "--table", "out.tsv", "--out", "out.h5"],
        "plan": ["--input-length", "60"],
        "export": ["--input-length", "60", "--out", "out.pt2"],
        "inspect": ["--input-length", "60", "--out", "out.json", "--write-config", "out.yaml"],
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["attribute", "check", "compare", "encode", "plan", "export", "inspect"])
def test_no_command_runs_a_malicious_model(
    made: Study,
    tmp_path: Path,
    written: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    kind: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = malicious(kind, tmp_path / "model.pt", written)
    model = [str(path)] if command == "inspect" else ["--model", str(path)]
    with pytest.raises(SystemExit) as ended:
        main([command, *commands(made)[command], *model])
    said = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert len(said) == 1
    assert said[0].startswith(f"genolift: error: model.path: {path}: ")
    assert not written.exists()
    assert not list(tmp_path.glob("out*"))


def test_a_trusted_pickle_is_in_the_provenance(made: Study, tmp_path: Path) -> None:
    torch.save(genolift.load_model(made.model), tmp_path / "whole.pt")
    for trusted, model in ((True, ModelSpec(path=f"{tmp_path}/whole.pt", trust=True)), (False, made.model)):
        made.attribute(out="shard.h5", model=model)
        with h5py.File(made.folder / "shard.h5") as file:
            assert json.loads(file.attrs["provenance"])["model_trusted"] is trusted


def test_every_command_that_takes_a_model_is_tested(made: Study) -> None:
    shown = {
        command: subprocess.run(
            [sys.executable, "-m", "genolift", command, "--help"], capture_output=True, text=True, check=True
        ).stdout
        for command in COMMANDS
    }
    assert {command for command, said in shown.items() if "--trust-pickle" in said} == commands(made).keys()


def test_the_workflow_does_not_run_a_malicious_model(made: Study, tmp_path: Path, written: Path) -> None:
    sequences = tmp_path / "sequences.fa"
    sequences.write_text(">one\n" + "ACGTTGCATG" * 6 + "\n")
    analyses, paths = {}, []
    for kind, suffix in (("archive", ".pt"), ("program", ".pt2"), ("script", ".pt")):
        paths.append(malicious(kind, tmp_path / f"{kind}{suffix}", written))
        model = {"path": str(paths[-1]), "class": made.model.class_name, "input_length": 60}
        analyses[kind] = {"model": model, "sequences": {"fasta": str(sequences)}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"analyses": analyses}))
    code, said = snakemake("--cores", "1", "--keep-going", "--configfile", "my.yaml", folder=tmp_path)
    assert code != 0
    for path in paths:
        assert f"genolift: error: model.path: {path.name}: " in said
    assert not written.exists()
