"""The messages at the end of a failed run: each mistake once, after its logs, whatever the cause."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from genolift.cli.failed_steps import FailedSteps, how_to_unlock


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
    arguments = ["--cores", "2", "--configfile", "my peaks.yaml", "--config", "defaults={target: 1}"]
    assert how_to_unlock(arguments)[-1] == (
        "snakemake --cores 2 --configfile 'my peaks.yaml' --config 'defaults={target: 1}' --unlock"
    )
