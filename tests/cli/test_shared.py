"""Sequences that analyses share: who shares them, and when their folder goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genolift.cli.shared import remove_unused, shared_key, users_of
from genolift.settings.config import resolve_config
from genolift.settings.sections import Analysis

MODEL = {"path": "weights.pt", "input_length": 50}
SAME: list[dict[str, Any]] = [
    {"target": 1},
    {"targets": [0, 1]},
    {"rule": "rescale"},
    {"model": MODEL | {"path": "other.pt"}},
    {"attribution": {"shards": 20}},
    {"sequences": {"fasta": "./a.fa"}},
]
OTHER: list[dict[str, Any]] = [
    {"sequences": {"fasta": "b.fa"}},
    {"sequences": {"fasta": "a.fa", "max_n_fraction": 0.5}},
    {"model": MODEL | {"input_length": 60}},
    {"model": MODEL | {"alphabet": "ACGU"}},
]


def analysis(folder: Path, monkeypatch: pytest.MonkeyPatch, **keys: Any) -> Analysis:
    for name in ("weights.pt", "other.pt", "a.fa", "b.fa"):
        (folder / name).touch()
    monkeypatch.chdir(folder)
    given = {"model": MODEL, "sequences": {"fasta": "a.fa"}} | keys
    return resolve_config({"analyses": {"mine": given}}, "my.yaml").analyses["mine"]


CASES = [*((keys, True) for keys in SAME), *((keys, False) for keys in OTHER)]


@pytest.mark.parametrize(("changed", "same"), CASES)
def test_what_determines_the_sequences_says_who_shares_them(
    changed: dict[str, Any], same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [shared_key(analysis(tmp_path, monkeypatch, **each), "encode") for each in ({}, changed)]
    assert (keys[0] == keys[1]) is same
    assert all(len(key) == 16 for key in keys)


def test_references_are_shared_where_their_keys_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(**references: Any) -> str:
        return shared_key(analysis(tmp_path, monkeypatch, references=references), "reference")

    assert key() == key(keep=True)
    assert len({key(), key(number=3), key(seed=1), key(kind="uniform_shuffle")}) == 4


def test_a_folder_goes_when_no_analysis_of_the_config_or_on_disk_uses_it(tmp_path: Path) -> None:
    for name in ("used", "linked", "left"):
        (tmp_path / ".sequences" / name).mkdir(parents=True)
        (tmp_path / ".sequences" / name / "sequences.h5").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sequences.h5").symlink_to("../.sequences/linked/sequences.h5")
    (tmp_path / "by_hand").mkdir()
    (tmp_path / "by_hand" / "sequences.h5").touch()
    users = users_of({"a": {"sequences": "used"}, "b": {"sequences": "used"}, "c": {"sequences": "new"}})
    assert users == {".sequences/used": ["a", "b"], ".sequences/new": ["c"]}
    remove_unused(tmp_path, users)
    assert sorted(path.name for path in (tmp_path / ".sequences").iterdir()) == ["linked", "used"]
    assert (tmp_path / "by_hand" / "sequences.h5").exists()
