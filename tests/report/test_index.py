"""The list of analyses: each with its state as the files have it, its motifs, or what made it fail."""

from __future__ import annotations

import os
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from chromium import Chromium
from made_up_results import make_results, write_records
from refusals import refused_by

from genolift.report.index import DONE, FAILED, UNFINISHED, WAITING, Failure, entries, in_words
from genolift.steps.index import write_index
from genolift.steps.report import write_report

LINE = "genolift: error: peaks.bed:3: the end is before the start; swap them"
STICKS_OUT = "document.documentElement.scrollWidth - window.innerWidth"


def write_log(results: Path, name: str, text: str, step: str = "check") -> Path:
    log = results / name / "logs" / f"{step}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text)
    return log


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of which one analysis is done, one failed, one has no motif, and one is not finished."""
    results = tmp_path_factory.mktemp("runs") / "my results"
    for name in ("both", "none"):
        make_results(results / name, motifs=name == "both")
        title = "Peaks & <b>motifs</b>" if name == "both" else name
        write_report(results=results / name, out=results / name / "report.html", title=title)
        write_log(results, name, "a page of 40 sequences\n", step="report")
    write_log(results, "broken", f"genolift: 3 windows dropped\n{LINE}\n")
    write_log(results, "under_way", "attribute:  40%")
    (results / ".captures").mkdir()
    (results / "notes").mkdir()
    return results


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(made, tmp_path / "results")


def states(results: Path, *names: str) -> dict[str, str]:
    return {entry.name: entry.state for entry in entries(results, names)}


def page_of(results: Path) -> str:
    write_index(results)
    return (results / "index.html").read_text()


def text_of(page: str) -> str:
    body = page.split("<body>")[1]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_every_analysis_is_listed_with_its_state_and_what_failed_first(results: Path) -> None:
    found = states(results, "next")
    assert found == {
        "broken": FAILED,
        "under_way": UNFINISHED,
        "next": WAITING,
        "both": DONE,
        "none": DONE,
    }
    assert [*found] == ["broken", "under_way", "next", "both", "none"]


def test_the_page_shows_what_was_found_and_links_to_it(results: Path) -> None:
    page = page_of(results)
    text = text_of(page)
    assert "2 of 4 analyses are done, 1 failed, 1 is not finished." in text
    assert "Peaks & <b>motifs</b>" in text
    assert re.search(r"both target GATA1 done 40 all pass, largest error \d", text)
    assert "none target GATA1 done 40 all pass" in text
    assert "no motif" in text
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    paths = {link.partition("#")[0] for link in links if not link.startswith(("data:", "#"))}
    assert {"both/report.html", "none/report.html", "broken/logs/check.log"} <= paths
    assert sum(path.startswith("both/logos/") for path in paths) == 2
    assert [path for path in paths if not (results / path).is_file()] == []
    anchors = [link.partition("#")[2] for link in links if link.startswith("both/report.html#")]
    report = (results / "both" / "report.html").read_text()
    assert anchors == ["motif-1", "motif-2"]
    assert all(f'id="{anchor}"' in report for anchor in anchors)


def test_an_analysis_that_failed_is_shown_with_its_one_line_and_log(results: Path) -> None:
    page = page_of(results)
    assert LINE in text_of(page)
    assert 'href="broken/logs/check.log"' in page


def test_what_the_run_itself_knows_of_a_failure_goes_before_logs(results: Path) -> None:
    killed = Failure("results/both/logs/motifs.log", "The step motifs ended without a word of error")
    found = {entry.name: entry for entry in entries(results, failures={"both": killed})}
    assert (found["both"].state, found["both"].failure) == (FAILED, killed)


@pytest.mark.parametrize("changed", ["contributions.h5", "motifs.json", "aggregate.json", "logos/logos.json"])
def test_a_report_of_other_files_than_those_that_are_there_is_not_done(results: Path, changed: str) -> None:
    if changed == "contributions.h5":
        shutil.copy(results / "none" / changed, results / "both" / changed)
        other = make_results(results.parent / "other", windows=False)
        shutil.copy(other / changed, results / "both" / changed)
    else:
        with (results / "both" / changed).open("a") as file:
            file.write(" ")
    assert states(results)["both"] == UNFINISHED
    write_log(results, "both", f"{LINE}\n", step="motifs")
    assert states(results)["both"] == FAILED


def test_dates_say_nothing(results: Path) -> None:
    for file in (results / "both").rglob("*"):
        os.utime(file, (1, 1) if file.suffix == ".html" else None)
    assert states(results)["both"] == DONE


def test_an_error_that_was_mended_counts_no_more(results: Path) -> None:
    write_log(results, "both", f"{LINE}\n", step="attribute-model-3-of-20")
    assert states(results)["both"] == DONE
    write_log(results, "under_way", f"{LINE}\ngenolift: once more\n2 sequences in 1 s\n")
    assert states(results)["under_way"] == UNFINISHED


@pytest.mark.parametrize("text", ["", "<p>mine</p>", '<meta name="genolift-report" content="{&#34;a&#34;">'])
def test_a_page_that_is_no_report_is_taken_for_none(results: Path, text: str) -> None:
    (results / "both" / "report.html").write_text(text)
    assert states(results)["both"] == UNFINISHED


@pytest.mark.parametrize(
    ("what", "changed"), [("number_of_motifs", "number"), ('"positive"', '"sideways"'), ('"shown"', '"show"')]
)
def test_a_record_that_says_something_else_is_taken_for_none(results: Path, what: str, changed: str) -> None:
    page = results / "both" / "report.html"
    text, quote = page.read_text(), "&#34;"
    page.write_text(text.replace(what.replace('"', quote), changed.replace('"', quote), 1))
    assert page.read_text() != text
    assert states(results)["both"] == UNFINISHED
    write_index(results)


def test_each_of_several_targets_is_listed(results: Path) -> None:
    (results / "both" / "targets").mkdir()
    for name in ("gata1", "tal1"):
        folder = results / "both" / "targets" / name
        shutil.copytree(results / "none", folder)
        write_records(folder)
        write_report(results=folder, out=folder / "report.html", title=name)
    found = [entry for entry in entries(results) if entry.name == "both"]
    assert [(entry.state, entry.target) for entry in found] == [(DONE, ""), (DONE, "gata1"), (DONE, "tal1")]
    assert "both/targets/tal1/report.html" in page_of(results)
    (results / "both" / "report.html").unlink()
    names = ["both/targets/gata1", "both/targets/new"]
    found = [entry for entry in entries(results, names) if entry.name == "both"]
    assert [(entry.state, entry.target) for entry in found] == [(UNFINISHED, "new"), (DONE, "gata1")]
    assert in_words(found) == "1 of 2 targets is done, 1 is not finished."


def test_a_target_fails_alone_and_all_of_them_with_what_they_share(results: Path) -> None:
    for name in ("gata1", "tal1"):
        shutil.copytree(results / "none", results / "both" / "targets" / name)
        write_records(results / "both" / "targets" / name)
        folder = results / "both" / "targets" / name
        write_report(results=folder, out=folder / "report.html", title=name)
    names = ["both/targets/gata1", "both/targets/tal1"]

    def failed(of: str) -> list[str]:
        told = {of: Failure("results/both/logs/encode.log", LINE)}
        return [each.target for each in entries(results, names, told) if each.failure and each.name == "both"]

    assert failed("both/targets/tal1") == ["tal1"]
    assert failed("both") == ["gata1", "tal1"]


def test_how_many_are_in_which_state_is_said_in_words(results: Path) -> None:
    assert in_words([each for each in entries(results) if each.state == DONE]) == "2 analyses are done."
    failed = [each for each in entries(results) if each.state == FAILED]
    assert in_words(failed) == "The analysis failed."
    assert in_words(failed * 2) == "None of 2 analyses is done, 2 failed."
    assert in_words([]) == "There is no analysis."


def test_a_page_of_the_user_s_is_not_replaced(results: Path) -> None:
    (results / "index.html").write_text("<h1>my site</h1>")
    message = refused_by(lambda: write_index(results))
    assert message.startswith(
        f"{results}/index.html: is not a list of analyses, and would be replaced; move it"
    )
    (results / "index.html").unlink()
    page = page_of(results)
    assert page_of(results) == page


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert refused_by(lambda: write_index(tmp_path / "none")).startswith(f"{tmp_path}/none: is not a folder")


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True)])
def test_the_page_fits_shows_its_logos_and_is_quiet(
    chromium: Chromium, results: Path, width: int, dark: bool
) -> None:
    write_log(results, "broken", f"genolift: error: {'long_name_of_a_file_' * 20}: no such file\n")
    write_index(results)
    seen = chromium.show((results / "index.html").as_uri(), width=width, dark=dark)
    assert chromium.evaluate("window.innerWidth") == width
    assert chromium.evaluate(STICKS_OUT) <= 0
    assert seen.complaints == []
    assert len(seen.requests) == 2
    assert all("/both/logos/" in request for request in seen.requests)
    assert chromium.evaluate("Array.from(document.images).every(image => image.naturalWidth > 0)")
