"""What steps ask for: the formulas and their documentation."""

from __future__ import annotations

import re

import pytest
from places import ROOT

from genolift.settings.costs import COSTS, Size, as_markdown


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
    cost, size = COSTS[step], Size(1000, 400, 2, 1, 2000, 12)
    more = Size(500_000, 2114, 20, 5, 20_000, 3100)
    assert cost.mem_mb(more) >= cost.mem_mb(size) > 0
    assert cost.runtime(more) >= cost.runtime(size) > 0
    assert cost.mem_mb(size, attempt=3) >= 3 * (cost.mem_mb(size) - 1)
    assert cost.runtime(size, attempt=3) >= 3 * (cost.runtime(size) - 1)


def test_seqlets_are_no_more_than_windows_or_than_motifs_are_made_of() -> None:
    assert Size(windows=100, seqlets=2000).quantities["seqlets"] == 100
    assert Size(windows=10**6, seqlets=2000).quantities["seqlets"] == 4000
