"""The messages at the end of a failed run: each mistake once, after its logs, whatever the cause."""

from __future__ import annotations

import html
import logging
import os
from pathlib import Path
from typing import Any

import h5py
import pytest

from genolift.cli.failed_steps import FailedSteps, how_to_unlock, summary
from genolift.report.record import Shown, record


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(*jobs: dict[str, Any], event: str = "job_error") -> list[str]:
    """Return the messages at the end, if Snakemake has logged that these jobs failed."""
    steps = FailedSteps([])
    logger = logging.Logger("snakemake")
    logger.addHandler(steps)
    logger.info("Building DAG of jobs...")
    for job in jobs if event == "job_error" else [{"job_error_info": jobs}]:
        logger.error(None, extra={"event": event} | job)
    return list(steps.lines())


def step(name: str, text: str) -> dict[str, Any]:
    """A failed job as Snakemake logs it, with this text in its log."""
    Path(f"{name}.log").write_text(text)
    return {"rule_name": name, "log": [f"{name}.log"]}


def test_the_line_that_says_what_is_wrong_is_the_last() -> None:
    text = "genolift: 3 windows dropped\nattribute:  40%\rgenolift: error: weights.pt: no such file\n\n"
    assert told(step("attribute", text)) == ["In attribute.log:", "genolift: error: weights.pt: no such file"]


def test_a_mistake_that_several_steps_made_is_said_once() -> None:
    mistake = "genolift: error: memory: 96 MiB are too few\n"
    jobs = [step(f"shard-{i}", mistake) for i in range(3)] + [step("inspect", "genolift: error: another\n")]
    assert told(*jobs) == [
        "In shard-0.log and 2 more:",
        mistake.strip(),
        "In inspect.log:",
        "genolift: error: another",
    ]


def test_a_job_that_is_tried_again_is_told_once_and_not_at_all_once_it_is_done() -> None:
    first, second = (
        step(name, f"genolift: error: {name}\n") | {"jobid": i} for i, name in enumerate("ab", 7)
    )
    assert told(first, second, first, second, first) == [
        *("In a.log:", "genolift: error: a", "In b.log:", "genolift: error: b"),
    ]
    assert told(first, second, second, {"event": "job_finished", "job_id": 8}) == [
        *("In a.log:", "genolift: error: a"),
    ]


def test_jobs_that_were_submitted_as_one_are_told_as_others_are() -> None:
    jobs = [step("check", "genolift: error: one\n"), step("encode", "genolift: error: two\n")]
    assert told(*jobs, event="group_error") == told(*jobs)


def test_a_mistake_on_the_command_line_is_one_too() -> None:
    line = "genolift check: argument --bed: expected one argument; see genolift check --help"
    assert told(step("check", f"{line}\n"))[-1] == line


def test_of_a_fault_the_last_line_is_told() -> None:
    assert (
        told(step("motifs", "Traceback (most recent call last):\n  ...\nKeyError: 'x'\n"))[-1]
        == "KeyError: 'x'"
    )


def test_what_a_step_said_of_its_success_is_no_reason() -> None:
    job = step("attribute", "2 sequences in 1 s, largest relative convergence error 1e-07: shard.h5\n")
    assert "ended without a word of error" in told(job)[-1]
    assert told(step("check", "genolift: stopped by SIGTERM\n"))[-1] == "genolift: stopped by SIGTERM"


def test_a_cluster_s_own_log_is_read_where_the_step_s_says_nothing() -> None:
    job = step("attribute", "")
    job["log"].append(step("slurm", "slurmstepd: error: Detected 1 oom_kill event\n")["log"][0])
    assert told(job) == ["In slurm.log:", "slurmstepd: error: Detected 1 oom_kill event"]


def test_a_step_that_was_killed_is_told_as_that_and_no_line_of_an_earlier_run() -> None:
    job = step("attribute", "genolift: error: of yesterday\n")
    os.utime("attribute.log", (1, 1))
    ended = (
        "The step attribute ended without a word of error: it was killed, perhaps for its memory or its time."
    )
    assert told(job) == ["In attribute.log:", ended]
    Path("attribute.log").unlink()
    assert told(job)[-1] == ended
    assert told({"rule_name": "attribute"})[-1] == ended


def test_a_run_without_a_failed_step_adds_nothing() -> None:
    assert told() == []


def test_the_command_that_unlocks_is_the_user_s_own() -> None:
    arguments = [
        "--cores",
        "2",
        "--configfile",
        "my peaks.yaml",
        "--config",
        "defaults={target: 1}",
        "--",
        "all",
    ]
    assert how_to_unlock(arguments)[-1] == (
        "snakemake --unlock --cores 2 --configfile 'my peaks.yaml' --config 'defaults={target: 1}' -- all"
    )


def done(*names: str) -> None:
    """Write reports that belong to the files that are there."""
    for name in names:
        folder = Path("results", name)
        (folder / "logos").mkdir(parents=True)
        with h5py.File(folder / "contributions.h5", "w") as file:
            file.attrs["digest"] = "0"
        for each in ("aggregate.json", "motifs.json", "logos/logos.json"):
            (folder / each).write_text("{}")
        shown = Shown(title=name, target="", sequences=1, quality="", motifs=[], number_of_motifs=0)
        page = html.escape(record(folder, shown))
        (folder / "report.html").write_text(f'<meta name="genolift-report" content="{page}">')


def end_of(analyses: list[str], *failed: str) -> list[str]:
    """Return what the end of a run says in which the check of these analyses failed."""
    steps = FailedSteps([])
    for name in failed:
        log = Path("results", name, "logs", "check.log")
        log.parent.mkdir(parents=True)
        log.write_text(f"genolift: error: {name}.bed: no such file\n")
        record = logging.makeLogRecord({"event": "job_error", "rule_name": "check", "log": [str(log)]})
        steps.emit(record)
    return summary(steps, Path("results"), analyses, {})


def test_a_step_that_analyses_share_fails_for_all_of_them() -> None:
    done("a", "b", "c")
    log = Path("results", ".sequences", "01ab", "encode.log")
    log.parent.mkdir(parents=True)
    log.write_text("genolift: error: peaks.bed: no such file\n")
    steps = FailedSteps([])
    steps.emit(logging.makeLogRecord({"event": "job_error", "rule_name": "encode", "log": [str(log)]}))
    said = summary(steps, Path("results"), ["a", "b", "c"], {".sequences/01ab": ["a", "b"]})
    assert said[0] == "1 of 3 analyses is done, 2 failed."
    assert said[-2:] == [f"In {log}:", "genolift: error: peaks.bed: no such file"]
    assert 'href=".sequences/01ab/encode.log"' in Path("results/index.html").read_text()


def test_a_run_ends_with_the_reports_and_the_list_of_all() -> None:
    done("a", "b")
    reports = ["  results/a/report.html", "  results/b/report.html"]
    assert end_of(["a", "b"]) == ["2 analyses are done.", *reports, "All in one list: results/index.html"]
    assert Path("results/index.html").is_file()


def test_analyses_of_other_configs_are_in_the_list_alone() -> None:
    done("a", "b", "other")
    assert end_of(["a", "b"])[0] == "2 analyses are done."
    assert "other/report.html" in Path("results/index.html").read_text()


def test_of_many_reports_the_first_are_named() -> None:
    names = [f"a{number:02}" for number in range(12)]
    done(*names)
    said = end_of(names)
    assert said[1:6] == [f"  results/{name}/report.html" for name in names[:5]]
    assert said[6:] == ["  and 7 more", "All in one list: results/index.html"]


def test_what_failed_stands_last_with_its_log_and_line() -> None:
    done("a", "b")
    assert end_of(["a", "c", "d"], "c") == [
        "1 of 3 analyses is done, 1 failed, 1 is not run yet.",
        "  results/a/report.html",
        "All in one list: results/index.html",
        "",
        "In results/c/logs/check.log:",
        "genolift: error: c.bed: no such file",
    ]
    assert "genolift: error: c.bed: no such file" in Path("results/index.html").read_text()


def test_a_run_that_was_to_make_no_report_says_nothing_of_reports() -> None:
    assert end_of(["a"]) == []
    Path("results/a/logs").mkdir(parents=True)
    assert end_of(["a"]) == []


def test_a_list_that_cannot_be_written_hides_no_mistake() -> None:
    done("a")
    Path("results/index.html").write_text("mine")
    said = end_of(["a", "c"], "c")
    assert said[0].startswith("genolift: error: results/index.html: is not a list of analyses")
    assert said[-1] == "genolift: error: c.bed: no such file"
