"""What the terminal shows of a run: of a failed step a line, and all else as Snakemake shows it."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.exceptions import RuleException, print_exception
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

FAILED = {
    "event": LogEvent.JOB_ERROR,
    "rule_name": "attribute",
    "rule_msg": None,
    "jobid": 3,
    "input": ["sequences.h5"],
    "output": ["shard.h5"],
    "log": ["results/mine/logs/attribute.log"],
    "conda_env": None,
    "aux": {},
    "indent": False,
    "shellcmd": "genolift attribute --settings '{}'",
}
LINE = "The step attribute failed: see results/mine/logs/attribute.log"
STARTED = {
    "event": LogEvent.JOB_INFO,
    "rule_msg": "mine: shards to contributions.h5",
    "jobid": 4,
    "reason": "Missing output files: a, b, c",
    "indent": False,
}


def shown(capsys: pytest.CaptureFixture[str], *records: logging.LogRecord, **settings: Any) -> list[str]:
    """Return the lines that the terminal shows of records."""
    usual = dict.fromkeys(("quiet", "debug_dag", "verbose", "show_failed_logs", "stdout", "dryrun"), False)
    common = SimpleNamespace(**usual | {"printshellcmds": True, "nocolor": True} | settings)
    handler = LoggerPluginRegistry().get_plugin("genolift").log_handler(common, None)
    for each in records:
        handler.emit(each)
    return capsys.readouterr().err.splitlines()


def record(message: str = "", level: int = logging.INFO, **said: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"msg": message, "levelno": level, "levelname": logging.getLevelName(level), **said}
    )


def command_failed() -> logging.LogRecord:
    """Return what Snakemake logs of a command that failed."""
    caught: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = caught.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        error = RuleException("CalledProcessError: Command 'genolift check' returned non-zero exit status 2.")
        print_exception(error)
    finally:
        logger.removeHandler(handler)
    return caught[-1]


def test_of_a_failed_step_one_line_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    final = record("Exiting because a job execution failed. Look above for error messages", logging.ERROR)
    records = [command_failed(), record(level=logging.ERROR, **FAILED), final]
    assert shown(capsys, *records) == [LINE]


def test_steps_that_were_submitted_as_one_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    group = record(level=logging.ERROR, event=LogEvent.GROUP_ERROR, job_error_info=[FAILED, FAILED])
    assert shown(capsys, group) == [LINE, LINE]


def test_a_step_without_a_log_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, record(level=logging.ERROR, **FAILED | {"log": []})) == ["The step attribute failed"]


def test_all_else_is_as_snakemake_shows_it_without_commands_and_reasons(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = record(event=LogEvent.SHELLCMD, cmd="genolift aggregate")
    said = shown(capsys, record("Building DAG of jobs..."), record(**STARTED), command)
    assert said[0] == "Building DAG of jobs..."
    assert said[-1] == "Job 4: mine: shards to contributions.h5"
    other = record("WorkflowError:\nnothing fits", logging.ERROR, event="error", exception="WorkflowError")
    assert shown(capsys, other) == ["WorkflowError:", "nothing fits"]


def test_a_dry_run_shows_commands_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    command = record(event=LogEvent.SHELLCMD, cmd="genolift aggregate")
    said = shown(capsys, record(**STARTED), command, dryrun=True)
    assert said[-2:] == ["Reason: Missing output files: a, b, c", "genolift aggregate"]


def test_verbose_shows_everything_of_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    records = [command_failed(), record(level=logging.ERROR, msg="x", **FAILED)]
    said = "\n".join(shown(capsys, *records, verbose=True))
    assert "returned non-zero exit status 2" in said
    assert "Error in rule attribute:" in said
