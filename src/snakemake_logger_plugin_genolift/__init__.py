"""What a run of the workflow shows on the terminal: Snakemake's messages, but no wall of text at a failure.

Snakemake finds this package by its name; ``logger: genolift`` in a profile of the workflow asks for it. The
log in ``.snakemake/log`` has everything, with the commands. What a failed step said is repeated at the end of
the run by `genolift.cli.failed_steps`.
"""

import logging
import sys
from collections.abc import Iterator

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase

_SAID_BY_US = ("RuleException", "WorkflowError")
"""Exceptions that say that a step failed, with its whole command."""
_LAST_WORD = "Exiting because a job execution failed"


class LogHandler(LogHandlerBase):
    """Shows on the terminal what Snakemake logs, and of a step that failed one line."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Take Snakemake's own handler, but for commands and reasons, which the log has."""
        told = self.common_settings
        quiet = {*(told.quiet or ())}
        quiet |= set() if told.dryrun else {Quietness.REASON, Quietness.HOST}
        self._terminal = ColorizingTextHandler(
            nocolor=told.nocolor, stream=sys.stdout if told.stdout else sys.stderr
        )
        self._terminal.setFormatter(DefaultFormatter(quiet, told.show_failed_logs))
        commands = told.printshellcmds and told.dryrun
        self._terminal.addFilter(DefaultFilter(quiet, told.debug_dag, told.verbose, told.dryrun, commands))

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record as Snakemake does; that a step failed in one line."""
        if self.common_settings.verbose:
            self._terminal.handle(record)
            return
        for shown in _shortened(record):
            self._terminal.handle(shown)


def _shortened(record: logging.LogRecord) -> Iterator[logging.LogRecord]:
    """Yield what is shown of a record: of a failed step a line, nothing of what is repeated at the end."""
    event = str(getattr(record, "event", ""))
    if event in ("job_error", "group_error"):
        for job in getattr(record, "job_error_info", None) or [vars(record)]:
            logs = ", ".join(map(str, job.get("log") or ()))
            said = f"The step {job.get('rule_name')} failed" + (f": see {logs}" if logs else "")
            yield logging.makeLogRecord(
                {"msg": said, "levelno": record.levelno, "levelname": record.levelname}
            )
    elif not (
        (event == "error" and getattr(record, "exception", "") in _SAID_BY_US and _of_a_command(record))
        or record.getMessage().startswith(_LAST_WORD)
    ):
        yield record


def _of_a_command(record: logging.LogRecord) -> bool:
    return "returned non-zero exit status" in record.getMessage() or "died with" in record.getMessage()
