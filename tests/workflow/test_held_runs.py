"""Runs of a model with extra inputs: the numbers of a direct call, and the messages to a user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
from refusals import refused_by
from run_steps import LENGTH, Study, study
from safetensors.torch import save_file
from sequence_tables import read_sequence_table

import genolift
from genolift.cli import main as cli
from genolift.compare.methods import METHODS, compare
from genolift.data.alphabet import onehot_of_codes
from genolift.data.stored_sequences import read_sequences
from genolift.models import ModelSpec, make_module
from genolift.references.store import open_references
from genolift.settings.config import resolve_config
from genolift.settings.extra_inputs import Extras
from genolift.settings.of_commands import Comparison
from genolift.steps import work as step

ALPHABET, AXES, LIBRARY = "UGCA", "length,bases", 3
SOURCE = """
import torch
from torch import nn


class Held(nn.Module):
    input_length = 60

    def __init__(self, channels: int = 6, library: int = 3):
        super().__init__()
        self.conv, self.hidden = nn.Conv1d(channels, 6, 7), nn.Linear(6 + library, 5)
        self.out = nn.Linear(5, 2)

    def forward(self, x, library):
        y = torch.relu(self.conv(x.transpose(1, 2))).amax(-1)
        return self.out(torch.relu(self.hidden(torch.cat([y, library], 1))))
"""


def write_model(folder: Path) -> dict[str, Any]:
    """Write the model and its inputs; return the config's keys for them."""
    (folder / "held.py").write_text(SOURCE)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        save_file(make_module(f"{folder}/held.py:Held", {}).state_dict(), folder / "held.safetensors")
    random = np.random.default_rng(5)
    table = read_sequence_table(folder / "sequences.tsv")
    library = pd.DataFrame(random.normal(size=(len(table), LIBRARY)), columns=["x", "y", "z"])
    library.insert(0, "id", table["id"])
    library = pd.concat([library, pd.DataFrame({"id": ["other"], "x": [0], "y": [0], "z": [0]})])
    library.sample(frac=1, random_state=0).to_csv(folder / "library.tsv", sep="\t", index=False)
    with pyBigWig.open(f"{folder}/track.bw", "w") as track:
        track.addHeader([("chrB", 900), ("chrA", 900)])
        for chrom in ("chrB", "chrA"):
            track.addEntries(chrom, 100, values=random.normal(size=780).tolist(), span=1, step=1)
    return {
        "model": {
            "path": f"{folder}/held.safetensors",
            "class": f"{folder}/held.py:Held",
            "alphabet": ALPHABET,
            "axes": AXES,
        },
        "extra_inputs": [{"table": f"{folder}/library.tsv", "columns": ["z", "x", "y"]}],
        "extra_channels": [0.25, {"bigwig": f"{folder}/track.bw", "missing": -0.5}],
    }


def flags(config: dict[str, Any], folder: Path, *names: str) -> list[str]:
    files = {name: f"{folder}/{name}.h5" for name in names}
    model = config["model"]
    found = ["--model", model["path"], "--model-class", model["class"], "--alphabet", ALPHABET]
    found += ["--axes", AXES, *(f"--extra-input={json.dumps(item)}" for item in config["extra_inputs"])]
    found += [f"--extra-channel={json.dumps(item)}" for item in config["extra_channels"]]
    return [*found, *(word for name, file in files.items() for word in (f"--{name}", file))]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, dict[str, Any]]:
    made = study(tmp_path_factory.mktemp("held"), windows=True)
    return made, write_model(made.folder)


def spec_of(config: dict[str, Any], **changed: Any) -> tuple[ModelSpec, Extras]:
    config = config | changed
    held = Extras.of(config["extra_inputs"], config["extra_channels"], "")
    return ModelSpec.of(config["model"]).within(len(held.channels)), held


def directly(folder: Path, config: dict[str, Any]) -> genolift.Attribution:
    """Return the contributions by `genolift.deeplift`, with extra inputs that are read in another way."""
    stored = read_sequences(folder / "sequences.h5")
    table = read_sequence_table(folder / "sequences.tsv").set_index("id")
    library = pd.read_csv(folder / "library.tsv", sep="\t").set_index("id")
    channels = np.full((len(stored.id), 2, LENGTH), 0.25, np.float32)
    with pyBigWig.open(f"{folder}/track.bw") as track:
        for row, name in enumerate(stored.id):
            window = table.loc[name]
            values = np.array(track.values(window["chrom"], int(window["start"]), int(window["end"])))
            values[np.isnan(values)] = -0.5
            channels[row, 1] = values[::-1] if window["strand"] == "-" else values
    values = library.loc[stored.id, ["z", "x", "y"]].to_numpy(np.float32)
    with open_references(folder / "references.h5") as references:
        compared = torch.from_numpy(references.onehot(0, len(stored.id)))
    return genolift.deeplift(
        genolift.load_model(ModelSpec.of(config["model"]).within(2)),
        torch.from_numpy(onehot_of_codes(stored.codes)).float(),
        compared,
        extra_inputs=(torch.from_numpy(channels), torch.from_numpy(values)),
        device="cpu",
    )


def assert_equal(path: Path, expected: genolift.Attribution) -> None:
    assert expected.hypothetical is not None
    with h5py.File(path) as file:
        np.testing.assert_allclose(file["shap/seq"][:], expected.hypothetical, rtol=0, atol=1e-6)
        np.testing.assert_allclose(file["genolift/output"][:], expected.output, rtol=0, atol=1e-6)


def test_the_file_holds_what_deeplift_returns_with_the_same_values_held(
    made: tuple[Study, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, config = made
    monkeypatch.setattr(step, "PIECE_ROWS", 6)
    model, held = spec_of(config)
    there.attribute("held.h5", model=model, held=held)
    expected = directly(there.folder, config)
    table = read_sequence_table(there.folder / "sequences.tsv")
    assert set(table["strand"]) == {"+", "-"}
    assert_equal(there.folder / "held.h5", expected)
    with h5py.File(there.folder / "held.h5") as file:
        told = json.loads(file.attrs["provenance"])
    assert len(told["extra_inputs"][0].pop("sha256")) == 64
    assert told["extra_inputs"] == config["extra_inputs"]
    assert told["extra_channels"][0] == 0.25
    assert told["model_extra_channels"] == 2


def test_other_values_are_another_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = study(tmp_path, n=8, windows=True)
    config = write_model(tmp_path)
    monkeypatch.setattr(step, "PIECE_ROWS", 2)

    class StopError(Exception):
        pass

    def stopped(pairs: int, total: int) -> None:
        if pairs >= 12:
            raise StopError

    def run(**changed: Any) -> int:
        model, held = spec_of(config, **changed)
        with pytest.raises(StopError):
            there.attribute(model=model, held=held, progress=stopped)
        return len(list((tmp_path / "shard.h5.pieces").glob("0*.npz")))

    assert run() == 1
    model, held = spec_of(config)
    other = Extras.of(config["extra_inputs"], [0.5, config["extra_channels"][1]], "")
    assert there.attribute("shard.h5", model=model, held=other).n_resumed == 0
    run()
    (tmp_path / "library.tsv").write_text((tmp_path / "library.tsv").read_text() + "more\t0\t0\t0\n")
    assert there.attribute("shard.h5", model=model, held=held).n_resumed == 0
    run()
    assert there.attribute("shard.h5", model=model, held=held).n_resumed >= 2


def test_every_method_takes_what_is_held(made: tuple[Study, dict[str, Any]], tmp_path: Path) -> None:
    there, config = made
    model, held = spec_of(config)
    files = {name: there.folder / f"{name}.h5" for name in ("sequences", "references")}
    settings = there.settings({"model": model, "held": held})
    summary = compare(settings, Comparison(number=4, steps=5), **files, out=tmp_path / "compared")
    assert (summary.n_methods, summary.n_refused) == (len(METHODS), 0)
    about = json.loads((tmp_path / "compared" / "comparison.json").read_text())
    assert about["extra_channels"][0] == 0.25
    assert about["extra_inputs"][0]["columns"] == ["z", "x", "y"]
    table = pd.read_csv(tmp_path / "compared" / "methods.tsv", sep="\t").set_index("method")
    assert (table["convergence_error_relative_max"][list(METHODS)[:3]] < 1e-4).all()


@pytest.mark.parametrize("check", [False, True])
def test_a_plan_needs_no_sequences(
    made: tuple[Study, dict[str, Any]], capsys: pytest.CaptureFixture[str], check: bool
) -> None:
    there, config = made
    with pytest.raises(SystemExit) as left:
        cli.main(["plan", *flags(config, there.folder), *(["--check"] if check else [])])
    printed = capsys.readouterr()
    assert not left.value.code, printed.err
    assert "every operation is exact" in printed.out or not check


def test_the_command_line_says_the_same_in_short_and_in_full(
    made: tuple[Study, dict[str, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    there, config = made

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as left:
            cli.main(["attribute", *arguments, "--device", "cpu", "--out", f"{tmp_path}/out.h5"])
        printed = capsys.readouterr()
        assert len(printed.err.splitlines()) <= 1, printed.err
        return "" if not left.value.code else printed.err

    files = "sequences", "references"
    assert run(*flags(config, there.folder, *files)) == ""
    assert_equal(tmp_path / "out.h5", directly(there.folder, config))
    full = {
        "extra_inputs": [{"values": [0, 1, 0]}],
        "extra_channels": [-1, {"bigwig": f"{there.folder}/track.bw"}],
    }
    assert run(*flags(config | full, there.folder, *files)) == ""
    with h5py.File(tmp_path / "out.h5") as file:
        in_full = file["shap/seq"][:]
    short = flags(config | {"extra_inputs": [], "extra_channels": []}, there.folder, *files)
    short += ["--extra-input", "[0, 1, 0]", "--extra-channel", "-1"]
    assert run(*short, "--extra-channel", f"{there.folder}/track.bw") == ""
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["shap/seq"][:], in_full)
    for flag, said in {
        '{"tabel": "x"}': "--extra-input[1].tabel: unknown key; did you mean 'table'?",
        "nowhere.tsv": "nowhere.tsv: no such file",
        "[1, 2": '"[1, 2" is not JSON',
        "3": "--extra-input[1]: 3 is a whole number; give keys with values",
    }.items():
        assert said in run(*short, "--extra-input", flag)


def test_what_the_model_does_not_take_is_said(made: tuple[Study, dict[str, Any]]) -> None:
    there, config = made

    def message(**changed: Any) -> str:
        model, held = spec_of(config, **changed)
        return refused_by(lambda: there.attribute("x.h5", model=model, held=held))

    two, none = [{"values": [0, 1]}], list[Any]()
    assert "does not take an input of shape (n, 4, 60) and (n, 2, 60) and (n, 2): " in message(
        extra_inputs=two
    )
    said = message(extra_inputs=none)
    assert "missing 1 required positional argument: 'library'" in said
    assert said.endswith("further inputs as extra_inputs")
    three = [*config["extra_inputs"], {"values": [1]}]
    assert "takes 3 positional arguments but 4 were given" in message(extra_inputs=three)
    said = message(extra_channels=[0])
    assert "expected input[2, 5, 60] to have 6 channels" in said
    assert "give 2 as extra_channels, not 1" in said
    (there.folder / "few.tsv").write_text("id\ta\tb\tc\nx\t1\t2\t3\n")
    few = [{"table": f"{there.folder}/few.tsv"}]
    assert "few.tsv: has no row for 20 of 20 sequences, 'peak0' first" in message(extra_inputs=few)


# The config ------------------------------------------------------------------------------------------------


def config_of(tmp_path: Path, **changed: Any) -> dict[str, Any]:
    for name in ("m.pt", "m.py", "s.fa", "p.bed", "t.tsv", "t.bw"):
        (tmp_path / name).touch()
    model = {"path": f"{tmp_path}/m.pt", "class": f"{tmp_path}/m.py:M"}
    sequences = {"bed": f"{tmp_path}/p.bed", "genome": f"{tmp_path}/s.fa"}
    return {"analyses": {"mine": {"model": model, "sequences": sequences, **changed}}}


def test_the_config_says_what_is_held_and_counts_the_channels(tmp_path: Path) -> None:
    items = [{"table": f"{tmp_path}/t.tsv", "columns": ["a"]}, {"values": ["1e-3", 2], "shape": [2, 1]}]
    channels = [1, "2e-1", {"bigwig": f"{tmp_path}/t.bw", "missing": 1}]
    config = config_of(tmp_path, extra_inputs=items, extra_channels=channels)
    mine = resolve_config(config, "my.yaml").analyses["mine"]
    assert mine.models["model"].extra_channels == 3
    assert mine.extra_inputs[1].values == (1e-3, 2)
    assert mine.extra_channels[:2] == (1, 0.2)
    assert mine.extras.files == (f"{tmp_path}/t.tsv", f"{tmp_path}/t.bw")
    assert resolve_config(config_of(tmp_path), "my.yaml").analyses["mine"].extras == Extras()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"extra_inputs": [{"tabel": "x"}]}, "extra_inputs[0].tabel: unknown key; did you mean 'table'?"),
        ({"extra_inputs": {"table": "x"}}, 'extra_inputs: {"table": "x"} is keys with values; give a list'),
        ({"extra_inputs": [{"values": ["a"]}]}, 'extra_inputs[0].values[0]: "a" is text; give a number'),
        ({"extra_inputs": [{"values": []}]}, "extra_inputs[0].values: is empty; give the same values"),
        ({"extra_inputs": [{"table": "x"}]}, "extra_inputs[0].table: x: no such file; check the path"),
        (
            {"extra_channels": ["x"]},
            'extra_channels[0]: "x" is text; give a number from -1e+38 to 1e+38 or keys with values',
        ),
        ({"extra_channels": [{"bigwig": "x"}]}, "extra_channels[0].bigwig: x: no such file; check the path"),
        ({"extra_channels": [{}]}, "extra_channels[0]: neither 'bigwig' nor 'table' is given"),
    ],
)
def test_a_mistake_in_the_config_is_said(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    message = refused_by(lambda: resolve_config(config_of(tmp_path, **changed), "my.yaml"))
    assert message.startswith(f"my.yaml: analyses.mine.{said}")


def test_a_track_needs_windows_on_a_genome(tmp_path: Path) -> None:
    channel = {"bigwig": f"{tmp_path}/t.bw"}
    config = config_of(tmp_path, extra_channels=[channel], sequences={"fasta": f"{tmp_path}/s.fa"})
    assert refused_by(lambda: resolve_config(config, "my.yaml")) == (
        "my.yaml: analyses.mine.extra_channels: a bigWig is given, "
        "but the sequences are not windows on a genome; give 'bed' and 'genome', or the values as a table"
    )
