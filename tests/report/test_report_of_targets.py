"""The reports of several targets: each in its own folder, of sequences that all of them share."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from command_line import run
from made_up_results import LENGTH, make_results, tell, write_inspection, write_records
from refusals import refused_by
from test_index import text_of, write_log
from test_report import words_of

from genolift.report.index import DONE, FAILED, UNFINISHED, WAITING, entries
from genolift.steps.index import write_index
from genolift.steps.report import title_of, write_report

SHARED = ("sequences.tsv", "references.h5", "inspection")
TARGETS = {"gata1": "GATA1", "tal1": "TAL1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of an analysis of two targets, whose checked plan is the first's."""
    place = tmp_path_factory.mktemp("targets")
    mine = place / "results" / "mine"
    (mine / "targets").mkdir(parents=True)
    for slug, target in TARGETS.items():
        flat = make_results(place / slug)
        tell(flat / "contributions.h5", target=target)
        write_records(flat)
        for name in SHARED:
            shutil.move(flat / name, mine / name) if not (mine / name).exists() else None
        left = [flat / name for name in SHARED if (flat / name).exists()]
        for file in left:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        shutil.move(flat, mine / "targets" / slug)
    write_inspection(mine, other_targets=["TAL1"])
    return mine


@pytest.fixture
def mine(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    copied: Path = shutil.copytree(made.parent, tmp_path / "results") / "mine"
    return copied


def written(folder: Path) -> str:
    out = folder / "report.html"
    write_report(results=folder, out=out, title=title_of(folder))
    return out.read_text(encoding="utf-8")


def test_the_command_titles_each_report_with_its_target(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = mine / "targets" / "tal1"
    out = folder / "report.html"
    for given, title in ([], "mine, tal1"), (["--title", "My peaks"], "My peaks, tal1"):
        code, _, said = run(capsys, "report", "--results", folder, "--out", out, *given)
        assert code == 0, said
        assert f"<title>{title}" in out.read_text()


def test_a_report_shows_its_target_and_links_to_what_all_share(mine: Path) -> None:
    for name in ("contributions_sd.bw", "models", "per_sequence.tsv"):  # of an earlier run, of one target
        (mine / name).touch()
    page = written(mine / "targets" / "tal1")
    assert "TAL1" in words_of(page)
    links = re.findall(r'href="([^"#]+)"', page)
    files = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert {"../../sequences.tsv", "../../references.h5", "../../inspection/", "contributions.h5"} <= {*files}
    assert not {"../../per_sequence.tsv", "../../models/", "../../contributions_sd.bw"} & {*files}
    assert all((mine / "targets" / "tal1" / link).exists() for link in files)


def test_the_plan_that_was_checked_may_be_of_the_first_target(mine: Path) -> None:
    for slug in TARGETS:
        page = words_of(written(mine / "targets" / slug))
        assert "Target of the plan GATA1" in page, "whose plan it is"
    write_inspection(mine, other_targets=["CTCF"])
    said = refused_by(lambda: written(mine / "targets" / "tal1"))
    assert "is of another model than contributions.h5: its target is GATA1, there TAL1" in said
    write_inspection(mine, other_targets=7)
    assert "cannot be read as an inspection" in refused_by(lambda: written(mine / "targets" / "tal1"))


def test_sequences_of_another_run_are_refused(mine: Path) -> None:
    with (mine / "sequences.tsv").open("a") as table:
        table.write("\n")
    assert "sequences.tsv" in refused_by(lambda: written(mine / "targets" / "tal1"))


def test_each_target_is_in_the_list_of_analyses(mine: Path) -> None:
    results = mine.parent
    written(mine / "targets" / "tal1")
    write_log(results, "mine/targets/gata1", "motifs:  40%", step="motifs")
    found = {(entry.name, entry.target): entry.state for entry in entries(results)}
    assert found == {("mine", "gata1"): UNFINISHED, ("mine", "tal1"): DONE}
    folders = ["mine/targets/tal1", "mine/targets/ctcf"]
    found = {(entry.name, entry.target): entry.state for entry in entries(results, folders)}
    assert found == {("mine", "ctcf"): WAITING, ("mine", "tal1"): DONE}, "those of the config alone"
    write_index(results)
    page = (results / "index.html").read_text()
    assert 'href="mine/targets/tal1/report.html"' in page
    assert re.search(r"mine, tal1", text_of(page))


def test_what_failed_for_all_targets_failed_for_each_that_is_not_done(mine: Path) -> None:
    written(mine / "targets" / "tal1")
    line = "genolift: error: weights.pt: no such file"
    write_log(mine.parent, "mine", f"{line}\n", step="check")
    folders = [f"mine/targets/{slug}" for slug in TARGETS]
    found = {entry.target: entry for entry in entries(mine.parent, folders)}
    assert (found["gata1"].state, found["tal1"].state) == (FAILED, DONE)
    assert found["gata1"].failure is not None
    assert found["gata1"].failure.line == line


def test_bases_of_a_target_are_printed_from_its_folder(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, said = run(capsys, "per-base", mine / "targets" / "tal1", "--sequence", "peak_1")
    assert code == 0, said
    assert len(printed.splitlines()) == 1 + LENGTH
    out = mine / "targets" / "tal1" / "per_base.parquet"
    assert run(capsys, "per-base", mine / "targets" / "tal1", "--parquet", out)[0] == 0
