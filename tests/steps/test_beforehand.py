"""What the check says beforehand of disk and time, and when it ends an analysis for want of disk."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from checked_models import check
from run_steps import Study, source_of, study

from genolift.errors import InputError
from genolift.inspection import trial_block
from genolift.inspection.trial_block import seconds_a_pair
from genolift.report import words
from genolift.settings.costs import DISK, Size, disk
from genolift.settings.sections import Sequences
from genolift.steps.beforehand import in_time
from genolift.steps.encode import encode, number_of_records

MADE = ["sequences.tsv", "contributions.h5", "contributions.bw", "motifs.h5", "report.html"]


@pytest.fixture
def made(tmp_path: Path) -> Study:
    return study(tmp_path, windows=True)


def _checked(made: Study, **changed: Any) -> Path:
    source = source_of(bed=made.folder / "peaks.bed", genome=made.folder / "genome.fa", use_strand=True)
    folder = made.folder / "results"
    files = {"out": folder / "check.json", "costs": folder / "costs.json", "final": MADE}
    check(made, source, **files, **changed)
    return folder


def _with_free(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    usage = namedtuple("usage", "total used free")(10**9, 0, int(free))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


def test_disk_and_time_are_told_of_all_windows_and_references(
    made: Study, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        folder = _checked(made, references=7)
    told = json.loads((folder / "costs.json").read_text())
    weights = sum(path.stat().st_size for path in map(Path, made.model.files))
    assert told["disk"] == round(disk([*MADE, "per_base.parquet"], Size(20, 60, 7, seqlets=20_000))) + weights
    assert (told["windows"], told["length"], told["references"]) == (20, 60, 7)
    assert told["seconds"] > 0
    assert "20 windows: 1.9 MB of disk at most, about " in caplog.text
    assert "of attribution by " in caplog.text


def test_an_analysis_that_the_disk_has_no_room_for_ends_in_one_line(
    made: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_free(monkeypatch, 1e6)
    with pytest.raises(InputError, match=r"takes up to 1\.9 MB more of disk, and 1\.0 MB") as refused:
        _checked(made)
    assert refused.value.where == str(made.folder)
    assert "free 875 kB there, or name a folder on a larger disk as 'results'" in refused.value.remedy
    assert not (made.folder / "results").exists()
    _with_free(monkeypatch, 2e6)  # the remedy was followed
    assert (_checked(made) / "check.json").exists()


def test_what_is_there_of_the_analysis_counts_as_room(made: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = made.folder / "results" / "attribution"
    shards.mkdir(parents=True)
    (shards / "shard-0-of-1.h5").write_bytes(bytes(1_000_000))
    _with_free(monkeypatch, 1e6)
    assert (_checked(made) / "costs.json").exists()


def test_finished_contributions_are_not_refused_for_want_of_room_to_make_them_again(
    made: Study, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (made.folder / "results").mkdir()
    (made.folder / "results" / "contributions.h5").write_bytes(b"")
    _with_free(monkeypatch, 1e6)
    assert (_checked(made) / "costs.json").exists()
    assert [
        each.levelname for each in caplog.records if "are free, if it is computed again" in each.message
    ] == ["WARNING"]


@pytest.mark.parametrize(
    "keys",
    [
        {"fasta": "sequences.fa"},
        {"bed": "peaks.bed", "genome": "genome.fa", "length": 60},
        {"genome": "genome.fa", "regions": {"tile": {"width": 60, "stride": 7}}},
        {"genome": "genome.fa", "pad": True, "regions": {"tile": {"width": 61, "chromosomes": ["chrA"]}}},
    ],
)
def test_as_many_records_are_counted_as_encode_finds(
    made: Study, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    study(made.folder, n=9)
    monkeypatch.chdir(made.folder)
    source = Sequences.model_validate(keys)
    found = encode(source, table=Path("counted.tsv"), store=Path("counted.h5"))
    assert number_of_records(source) == found.n_records > 0


def test_each_file_that_is_made_takes_its_part_and_shards_go_with_contributions() -> None:
    size = Size(1000, 400, 2, models=3)
    parts = {name: disk([name], size) for name in DISK if name != "attribution"}
    assert parts["contributions.h5"] > parts["models"] > 3 * 1000 * 400 * 25
    assert disk(["references.h5", "models"], size) == parts["references.h5"] + parts["models"]
    several = replace(size, targets=4)
    assert disk(["references.h5", "models"], several) == parts["references.h5"] + 4 * parts["models"]
    assert disk(["logos"], size) == 0


class _Explainer:
    """Takes a time for each pair, by a clock of its own, and more for the first call."""

    def __init__(self, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds, self.now, self.calls = seconds, 0.0, []
        monkeypatch.setattr(
            trial_block, "time", SimpleNamespace(process_time=lambda: self.now * torch.get_num_threads())
        )

    def explain_each(self, inputs: torch.Tensor, references: torch.Tensor, extra_inputs: Any) -> None:
        assert len(inputs) == len(references) == len(extra_inputs[0])
        n, r = references.shape[:2]
        self.now += (0 if self.calls else 0.1) + n * r * self.seconds
        self.calls.append((n, r))


@pytest.mark.parametrize(
    ("seconds", "references", "calls", "found"),
    [(0.001, 20, [(1, 1), (1, 20)], 0.001), (0.001, 2, [(1, 1), (14, 2)], 0.001), (10.0, 20, [(1, 1)], 10.1)],
)
def test_a_block_is_as_large_as_some_seconds_allow(
    seconds: float,
    references: int,
    calls: list[tuple[int, int]],
    found: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    explainer: Any = _Explainer(seconds, monkeypatch)
    rows = torch.zeros(2, 4, 30), (torch.zeros(2, 5),), ["a", "b"]
    assert seconds_a_pair(explainer, rows, references) == pytest.approx(found)
    assert explainer.calls == calls


def test_bytes_and_times_are_told_in_words() -> None:
    assert [words.size(n) for n in (2e4, 2.14e6, 3.61e8, 2.1e9, 5.7e10, 1.2e12)] == [
        *("20 kB", "2.1 MB", "361 MB", "2.1 GB", "57 GB", "1.2 TB"),
    ]
    assert [in_time(n) for n in (7.3, 2400, 36_000, 4e6)] == ["7 s", "40 min", "10 h", "46 days"]
