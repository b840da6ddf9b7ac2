"""Contributions are the same whether references are stored or made again in each job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command_line import run
from refusals import refused_by
from run_steps import Study, make_references, section, study

from genolift.results.store import LAYOUT, open_contributions
from genolift.settings.config import resolve_config
from genolift.settings.sections import References
from genolift.settings.workflow import final_files
from genolift.steps import blocks
from genolift.steps import work as step
from genolift.steps.aggregate import aggregate


def compared(**keys: Any) -> References:
    return section(References, **keys)


def assert_same(one: Path, other: Path) -> None:
    """Check that every dataset is equal bit for bit."""
    with open_contributions(one) as first, open_contributions(other) as second:
        for name in LAYOUT:
            np.testing.assert_array_equal(first[name][:], second[name][:], err_msg=name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(tmp_path_factory.mktemp("made"), windows=True)


@pytest.mark.parametrize(
    "keys",
    [
        {"kind": "dinucleotide_shuffle", "number": 3, "seed": 7},
        {"kind": "uniform_shuffle", "number": 2},
        {"kind": "zeros"},
        {"kind": "base_frequencies", "frequencies": [0.3, 0.2, 0.2, 0.3]},
    ],
    ids=lambda keys: keys["kind"],
)
def test_results_are_those_of_stored_references_bit_for_bit(
    made: Study, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "PIECE_ROWS", 4)
    file = made.folder / "these.h5"
    make_references(made.folder / "sequences.h5", file, **keys)
    for shard in ((0, 1), (1, 3)):
        made.attribute("read.h5", references=file, shard=shard)
        made.attribute("made.h5", references=None, compared=compared(**keys), shard=shard)
        assert_same(made.folder / "read.h5", made.folder / "made.h5")
    with (
        open_contributions(made.folder / "read.h5") as read,
        open_contributions(made.folder / "made.h5") as again,
    ):
        apart = {"references_digest", "references_stored", "seconds"}
        assert {key: read.provenance[key] for key in read.provenance.keys() - apart} == {
            key: again.provenance[key] for key in again.provenance.keys() - apart
        }
        assert (read.provenance["references_stored"], again.provenance["references_stored"]) == (True, False)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"kind": "base_frequencies"},
            "references.kind: references of the kind base_frequencies are not made from a job's sequences "
            "alone without frequencies; write them with genolift reference, and give the file (--references)",
        ),
        ({"kind": "fasta", "fasta": __file__}, "references.kind: references of the kind fasta are not made"),
    ],
)
def test_what_one_job_cannot_make_is_refused(made: Study, keys: dict[str, Any], said: str) -> None:
    message = refused_by(lambda: made.attribute("none.h5", references=None, compared=compared(**keys)))
    assert message.startswith(said)
    assert not (made.folder / "none.h5").exists()


def test_a_file_and_how_to_make_it_are_not_given_together(made: Study) -> None:
    message = refused_by(lambda: made.attribute("none.h5", compared=compared(number=3)))
    assert "a file of references is given, and how to make them; leave --references out, or" in message


def test_other_references_are_another_work(made: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks.Pieces, "remove", lambda self: None)
    first = made.attribute("work.h5", references=None, compared=compared(number=2))
    again = made.attribute("work.h5", references=None, compared=compared(number=2))
    other = made.attribute("work.h5", references=None, compared=compared(number=2, seed=1))
    assert [each.n_resumed for each in (first, again, other)] == [0, 20, 0]


@pytest.mark.parametrize("resumed", [False, True])
def test_sequences_that_equal_their_shuffles_are_told_in_the_shard(
    tmp_path: Path,
    resumed: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = study(tmp_path, n=4)
    (tmp_path / "sequences.fa").write_text(f">same\n{'A' * 60}\n>other\n{'ACGTTGCATC' * 6}\n")
    flags = ["encode", "--fasta", f"{tmp_path}/sequences.fa", "--table", f"{tmp_path}/sequences.tsv"]
    assert run(capsys, *flags, "--out", f"{tmp_path}/sequences.h5")[0] == 0
    if resumed:
        with monkeypatch.context() as patched:
            patched.setattr(blocks.Pieces, "remove", lambda self: None)
            there.attribute("shard.h5", references=None, compared=compared(number=3))
    command = ["attribute", "--sequences", f"{tmp_path}/sequences.h5", *there.flags(), "--number", "3"]
    code, printed, _ = run(capsys, *command, "--device", "cpu", "--out", f"{tmp_path}/shard.h5")
    assert (code, "2 of them from an earlier run" in printed) == (0, resumed)
    said = "1 of 2 sequences equal all their shuffles, so their contributions are 0 (first: key 0)"
    with h5py.File(tmp_path / "shard.h5") as file:
        assert json.loads(file.attrs["warnings"]) == [said]


def test_the_command_line_makes_the_references_that_it_is_told(
    made: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    make_references(made.folder / "sequences.h5", made.folder / "two.h5", "uniform_shuffle", number=2, seed=9)
    command = ["attribute", "--sequences", f"{made.folder}/sequences.h5", *made.flags(), "--device", "cpu"]
    told = ["--kind", "uniform_shuffle", "--number", "2", "--seed", "9", "--out", f"{made.folder}/told.h5"]
    assert run(capsys, *command, *told)[0] == 0
    read = ["--references", f"{made.folder}/two.h5", "--out", f"{made.folder}/read.h5"]
    assert run(capsys, *command, *read)[0] == 0
    assert_same(made.folder / "told.h5", made.folder / "read.h5")
    code, _, error = run(capsys, *command, *read, "--number", "2")
    assert (code, "a file of references is given, and how to make them" in error) == (2, True)


@pytest.mark.parametrize(
    ("keys", "stored"),
    [
        ({}, False),
        ({"keep": True}, True),
        ({"kind": "zeros"}, False),
        ({"kind": "base_frequencies"}, True),
        ({"kind": "base_frequencies", "frequencies": [0.25] * 4}, False),
        ({"kind": "fasta", "fasta": "references.fa"}, True),
    ],
)
def test_references_are_stored_where_it_is_asked_for_or_they_are_of_all_sequences(
    keys: dict[str, Any], stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("references.fa", "sequences.fa", "weights.pt"):
        Path(name).write_text(">a\nACGT\n")
    analysis = {"model": {"path": "weights.pt"}, "sequences": {"fasta": "sequences.fa"}, "references": keys}
    found = resolve_config({"analyses": {"mine": analysis}}, "my.yaml").analyses["mine"]
    assert found.references.stored is stored
    assert ("references.h5" in final_files(found)) is stored


def test_stored_references_of_an_earlier_run_go_where_these_are_not_stored(
    made: Study, tmp_path: Path
) -> None:
    file, mine = tmp_path / "references.h5", compared(kind="dinucleotide_shuffle", number=2, seed=1)
    made.attribute("these.h5", references=None, compared=mine)

    def left(**keys: Any) -> bool:
        make_references(made.folder / "sequences.h5", file, **keys)
        aggregate(shards=[made.folder / "these.h5"], sequences=made.folder / "sequences.tsv", out=tmp_path)
        return file.exists()

    assert left(kind="dinucleotide_shuffle", number=2, seed=1), "the same ones"
    assert not left(kind="dinucleotide_shuffle", number=2, seed=2)
    assert not left(kind="zeros")
    file.write_text("no references of ours")
    aggregate(shards=[made.folder / "these.h5"], sequences=made.folder / "sequences.tsv", out=tmp_path)
    assert file.exists()
