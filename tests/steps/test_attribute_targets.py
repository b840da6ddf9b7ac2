"""The attribute step with several targets: the same numbers as of each alone, in a file for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command_line import run
from passes import passes_counted
from refusals import refused_by
from run_steps import Study, study

from genolift.models import ModelSpec
from genolift.settings.extra_inputs import Extras
from genolift.steps import work as step

NUMBERS = (
    *("raw/seq", "shap/seq", "projected_shap/seq"),
    *(
        "genolift/output",
        "genolift/reference_output",
        "genolift/convergence_error",
        "genolift/standard_error",
    ),
)
HEADS = """
import torch
from torch import nn

from model import Small


class Heads(Small):
    def forward(self, x, scale=None):
        y = super().forward(x)
        if scale is not None:
            y = y * scale
        return {"counts": y[:, :1], "profile": torch.stack([y, y.sigmoid()], 2)}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    found = study(tmp_path_factory.mktemp("several"), n=10)
    (found.folder / "heads.py").write_text(HEADS)
    return found


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "PIECE_ROWS", 4)


def of_heads(made: Study) -> ModelSpec:
    return ModelSpec(path=made.model.path, class_name=f"{made.folder}/heads.py:Heads")


def numbers(file: Path) -> dict[str, np.ndarray]:
    with h5py.File(file) as stored:
        return {name: stored[name][:] for name in NUMBERS}


def provenance(file: Path) -> dict[str, Any]:
    with h5py.File(file) as stored:
        told: dict[str, Any] = json.loads(stored.attrs["provenance"])
    return told


def assert_each_is_as_alone(made: Study, folder: str, targets: dict[str, int | str], **keys: Any) -> None:
    assert sorted(file.stem for file in (made.folder / folder).glob("*.h5")) == sorted(targets)
    for slug, target in targets.items():
        made.attribute(f"{folder}-alone.h5", target=target, **keys)
        together, alone = made.folder / folder / f"{slug}.h5", made.folder / f"{folder}-alone.h5"
        for name, values in numbers(alone).items():
            np.testing.assert_allclose(numbers(together)[name], values, rtol=0, atol=1e-6, err_msg=name)
        one, other = provenance(together), provenance(alone)
        assert one | {"seconds": 0} == other | {"seconds": 0}
        assert one["target"] == target


@pytest.mark.usefixtures("small_pieces")
def test_each_target_has_the_numbers_that_it_has_alone_from_one_forward_pass(made: Study) -> None:
    with passes_counted() as of_one:
        made.attribute("one.h5")
    with passes_counted() as of_two:
        summary = made.attribute("two", targets=(1, "first"))
    assert (summary.n_targets, summary.n_pairs) == (2, 30)
    assert "(30 pairs, 2 targets)" in str(summary)
    assert of_two["rows forward"] == of_one["rows forward"]
    assert of_two["backward passes"] == 2 * of_one["backward passes"]
    assert not (made.folder / "two.pieces").exists()
    assert_each_is_as_alone(made, "two", {"1": 1, "first": "first"})


@pytest.mark.parametrize("extra", [(), ({"values": [3.0]},)], ids=["alone", "with an extra input"])
def test_targets_of_several_outputs_have_the_numbers_that_each_has_alone(
    made: Study, extra: tuple[dict[str, Any], ...]
) -> None:
    folder, keys = f"heads{len(extra)}", {"model": of_heads(made), "held": Extras.of([*extra], [])}
    targets = {"counts-0": "counts[0]", "profile-1-sum": "profile[1, sum(:)]"}
    targets["profile-1-0-counts-0"] = "profile[1, 0] - counts[0]"
    made.attribute(folder, targets=tuple(targets.values()), **keys)
    assert_each_is_as_alone(made, folder, targets, **keys)
    stepped_over = {slug: provenance(made.folder / folder / f"{slug}.h5")["stepped_over"] for slug in targets}
    assert stepped_over == dict.fromkeys(targets, "sigmoid") | {"counts-0": ""}


def test_one_target_in_a_list_is_one_file(made: Study) -> None:
    made.attribute("listed.h5", targets=(1,))
    made.attribute("plain.h5", target=1)
    for name, values in numbers(made.folder / "plain.h5").items():
        np.testing.assert_array_equal(numbers(made.folder / "listed.h5")[name], values)


class StopError(Exception):
    """Raised by a test to stop a run."""


def stopped(made: Study, out: str, **changed: Any) -> None:
    """Run until two pieces of three are written."""

    def progress(pairs: int, total: int) -> None:
        if pairs > 24:
            raise StopError

    with pytest.raises(StopError):
        made.attribute(out, progress=progress, **changed)


@pytest.mark.usefixtures("small_pieces")
def test_a_run_that_was_stopped_goes_on_with_all_its_targets(made: Study) -> None:
    stopped(made, "stopped", targets=(0, 1))
    assert not (made.folder / "stopped").exists()
    assert made.attribute("stopped", targets=(0, 1)).n_resumed == 8
    assert_each_is_as_alone(made, "stopped", {"0": 0, "1": 1})


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("others", [{"targets": (0, "second")}, {"targets": (1, 0)}, {"target": 0}])
def test_other_targets_are_another_work(made: Study, tmp_path: Path, others: dict[str, Any]) -> None:
    out = str(tmp_path / "shard")
    stopped(made, out, targets=(0, 1))
    assert made.attribute(out, **others).n_resumed == 0
    assert [each.name for each in tmp_path.iterdir()] == ["shard"]


@pytest.mark.usefixtures("small_pieces")
def test_a_damaged_piece_is_computed_again_for_all_targets(made: Study) -> None:
    stopped(made, "damaged", targets=(0, 1))
    piece = sorted((made.folder / "damaged.pieces").glob("*.npz"))[0]
    stored = dict(np.load(piece))
    stored["1/shap/seq"][0, 0, 0] += 1
    np.savez(piece, **stored)
    assert made.attribute("damaged", targets=(0, 1)).n_resumed == 4
    assert_each_is_as_alone(made, "damaged", {"0": 0, "1": 1})


def test_what_misses_the_tolerance_is_named_with_its_target(made: Study) -> None:
    said = refused_by(lambda: made.attribute("missed", targets=("second", 0), tolerance=0.0))
    assert "), target second: contributions miss the output difference" in said
    assert not (made.folder / "missed").exists()


def test_a_target_that_is_not_there_is_named(made: Study) -> None:
    assert "there is no target 5" in refused_by(lambda: made.attribute("missing", targets=(0, 5)))
    assert "'third'" in refused_by(lambda: made.attribute("missing", targets=(0, "third")))


def test_a_folder_with_files_of_the_user_s_is_not_replaced(made: Study) -> None:
    (made.folder / "mine").mkdir()
    (made.folder / "mine" / "notes.txt").write_text("mine")
    said = refused_by(lambda: made.attribute("mine", targets=(0, 1)))
    assert "mine: already exists" in said
    assert (made.folder / "mine" / "notes.txt").read_text() == "mine"


def test_the_command_takes_several_targets(made: Study, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["attribute", "--sequences", made.folder / "sequences.h5", *made.flags(), "--device", "cpu"]
    given += ["--number", "2", "--out", made.folder / "command"]
    code, _, said = run(capsys, *given, "--target", "second", "--target", "0")
    assert code == 0, said
    assert {file.name for file in (made.folder / "command").glob("*.h5")} == {"second.h5", "0.h5"}
    code, _, said = run(capsys, *given, "--target", "0", "--target", "0")
    assert code == 2
    assert "--target: the target '0' is there twice; name each once" in said
