"""What steps ask for: the formulas and their documentation."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from places import ROOT

from genolift.settings.costs import COSTS, Size, as_markdown, bytes_of

MEASURED = pd.read_csv(ROOT / "benchmarks" / "any_size.tsv", sep="\t")
"""By benchmarks/any_size.py: peak memory in MiB, CPU seconds, and MB of the files that each step writes."""
ANY_MODEL = {"check": 8000, "attribute": 8000}
"""Megabytes that are asked for models of any size, though the measured one is small."""
LIBRARIES = 1000
WRITES = {
    "encode": ["sequences.tsv"],
    "reference": ["references.h5"],
    "attribute": ["attribution"],
    "aggregate": ["contributions.h5", "contributions.bw"],
    "per_base": ["per_base.parquet"],
    "motifs": ["motifs.h5"],
    "logos and report": ["report.html"],
}


def _size(row: pd.Series) -> Size:
    shard = row.windows / min(20, max(1, row.windows // 2500)) if row.step == "attribute" else row.windows
    return Size(shard, row.length, row.references, seqlets=2000, megabases=100)


@pytest.mark.parametrize("step", sorted(set(MEASURED["step"])))
def test_what_is_asked_for_is_enough_for_what_was_measured_and_not_far_more(step: str) -> None:
    for row in MEASURED[MEASURED["step"] == step].itertuples():
        asked = COSTS[step].mem_mb(_size(row)) * 1e6 / 2**20
        assert row.peak_mb <= asked <= 4 * row.peak_mb + ANY_MODEL.get(step, LIBRARIES), row
        assert 4 * row.cpu_s / 60 <= COSTS[step].runtime(_size(row)), row


def test_every_step_that_grows_with_the_windows_was_measured_at_several_sizes() -> None:
    sizes = MEASURED.groupby("step")["windows"].nunique()
    assert set(sizes.index) == set(COSTS) - {"compile", "index", "references", "sequences"}
    assert sizes.min() >= 3


@pytest.mark.parametrize("n", sorted(set(MEASURED["windows"])))
def test_files_take_no_more_than_is_said_and_all_of_them_half_of_it_at_least(n: int) -> None:
    rows = {row.step: row for row in MEASURED[MEASURED["windows"] == n].itertuples()}
    said = taken = 0.0
    for steps, files in WRITES.items():
        written = sum(rows[step].disk_mb for step in steps.split(" and "))
        most = sum(bytes_of(file, _size(rows[steps.split()[0]])) for file in files) / 1e6
        assert written <= most + 0.05, steps
        said, taken = said + most, taken + written
    assert said <= 2 * taken


def test_the_docs_give_the_formulas() -> None:
    assert (ROOT / "docs" / "costs.md").read_text() == as_markdown()


def test_every_rule_of_the_workflow_asks_by_its_own_formula() -> None:
    asked = {}
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"(?m)^rule ", file.read_text())[1:]:
            name = rule.split(":")[0]
            asked[name] = re.findall(r'(\w+)=cost_of\("(\w+)", "(\w+)"\)', rule)
    assert asked == {step: [(name, step, name) for name in ("mem_mb", "runtime")] for step in COSTS}


@pytest.mark.parametrize("step", COSTS)
def test_more_of_anything_and_another_attempt_never_ask_for_less(step: str) -> None:
    cost, size = COSTS[step], Size(1000, 400, 2, seqlets=2000, megabases=12)
    more = Size(500_000, 2114, 20, 5, 6, 20_000, 3100)
    assert cost.mem_mb(more) >= cost.mem_mb(size) > 0
    assert cost.runtime(more) >= cost.runtime(size) > 0
    assert cost.mem_mb(size, attempt=3) >= 3 * (cost.mem_mb(size) - 1)
    assert cost.runtime(size, attempt=3) >= 3 * (cost.runtime(size) - 1)


def test_seqlets_are_no_more_than_windows_or_than_motifs_are_made_of() -> None:
    assert Size(windows=100, seqlets=2000).quantities["seqlets"] == 300
    assert Size(windows=10**6, seqlets=2000).quantities["seqlets"] == 4000
