"""aggregate, killed between its stages and run again: nothing is merged twice, and all files are equal."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from faults.equal import difference
from run_steps import Study, study

from genolift.errors import InputError
from genolift.steps import aggregate as step
from genolift.steps.aggregate import aggregate

_KILLED = """
import os, signal, sys
from pathlib import Path
from genolift.steps import aggregate as step
def end(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(step, sys.argv[1], end)
out, table, *shards = map(Path, sys.argv[2:])
step.aggregate(shards=shards, sequences=table, out=out)
"""
ONE, TWO = ("a.h5",), ("a-0.h5", "a-1.h5", "b.h5")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Shards on a genome: of one model, and of two models, one of them in two shards; both aggregated."""
    made = study(tmp_path_factory.mktemp("windows"), windows=True)
    made.attribute("a.h5", model_name="a")
    made.attribute("a-0.h5", model_name="a", shard=(0, 2))
    made.attribute("a-1.h5", model_name="a", shard=(1, 2))
    made.attribute("b.h5", model_name="b", model=made.fold(1))
    for shards in (ONE, TWO):
        _aggregate(made, made.folder / str(len(shards)), shards)
    return made


def _aggregate(made: Study, out: Path, shards: tuple[str, ...]) -> None:
    files = [made.folder / shard for shard in shards]
    aggregate(shards=files, sequences=made.folder / "sequences.tsv", out=out)


def _kill(made: Study, out: Path, shards: tuple[str, ...], at: str) -> None:
    files = [out, made.folder / "sequences.tsv", *(made.folder / shard for shard in shards)]
    ended = subprocess.run([sys.executable, "-c", _KILLED, at, *map(str, files)], capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


def _no_merging(monkeypatch: pytest.MonkeyPatch) -> None:
    def merged(*_: object) -> None:
        raise AssertionError("the shards are merged again")

    monkeypatch.setattr(step, "merged_blocks", merged)


def _same(out: Path, undisturbed: Path) -> None:
    left = {file.name for file in out.iterdir()} - {file.name for file in undisturbed.iterdir()}
    assert [name for name in left if not name.startswith(".genolift-unfinished-")] == []
    for file in undisturbed.iterdir():
        assert difference(out / file.name, file) == ""


@pytest.mark.parametrize("shards", [ONE, TWO], ids=["one model", "two models"])
@pytest.mark.parametrize("at", ["write_bigwig", "write_per_base", "_finish_merged", "write_record"])
def test_killed_and_run_again_it_goes_on_and_writes_the_same(
    made: Study, at: str, shards: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kill(made, tmp_path, shards, at)
    if at != "write_record":  # by then contributions.h5 has its name, and nothing is kept
        assert not (tmp_path / "contributions.h5").exists()
        _no_merging(monkeypatch)
    _aggregate(made, tmp_path, shards)
    _same(tmp_path, made.folder / str(len(shards)))


def test_killed_while_it_merges_it_begins_anew_and_leaves_nothing(made: Study, tmp_path: Path) -> None:
    _kill(made, tmp_path, ONE, "per_sequence")
    assert [file.suffix for file in (tmp_path / "aggregate.kept").iterdir()] == [".h5"]
    _aggregate(made, tmp_path, ONE)
    _same(tmp_path, made.folder / "1")


def test_a_model_that_was_merged_is_not_merged_again(
    made: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kill(made, tmp_path, TWO, "mean_of")
    (tmp_path / "aggregate.kept" / "model.b.h5").unlink()
    merged = []
    blocks = step.merged_blocks
    monkeypatch.setattr(step, "merged_blocks", lambda shards: merged.append(len(shards)) or blocks(shards))
    _aggregate(made, tmp_path, TWO)
    assert merged == [1]  # b's
    _same(tmp_path, made.folder / "3")


def test_what_is_kept_of_other_shards_is_not_used(made: Study, tmp_path: Path) -> None:
    _kill(made, tmp_path, ("b.h5",), "write_bigwig")
    _aggregate(made, tmp_path, ONE)
    _same(tmp_path, made.folder / "1")


def test_what_is_kept_and_damaged_is_refused_with_a_remedy_that_works(made: Study, tmp_path: Path) -> None:
    _kill(made, tmp_path, ONE, "write_bigwig")
    kept = tmp_path / "aggregate.kept" / "contributions.h5"
    with h5py.File(kept, "r+") as file:
        file["shap/seq"][3, 0, 0] += 1
    with pytest.raises(InputError, match=r"changed in row 3.*remove it, and run genolift aggregate again"):
        _aggregate(made, tmp_path, ONE)
    kept.unlink()
    _aggregate(made, tmp_path, ONE)
    _same(tmp_path, made.folder / "1")


def test_a_kept_file_that_is_none_is_replaced(made: Study, tmp_path: Path) -> None:
    (tmp_path / "aggregate.kept").mkdir()
    (tmp_path / "aggregate.kept" / "contributions.h5").write_text("no contributions")
    _aggregate(made, tmp_path, ONE)
    _same(tmp_path, made.folder / "1")
