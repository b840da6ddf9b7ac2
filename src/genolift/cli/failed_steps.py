"""What went wrong in a run of the workflow, said once more behind all that Snakemake says. Knows Snakemake by
what it logs alone.
"""

import atexit
import logging
import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_OURS = re.compile(r"genolift( [a-z-]+)?: error: .+|genolift [a-z-]+: .+; see genolift [a-z-]+ --help")
_OTHERS = re.compile(r"^[\w.]*(Error|Exception|Interrupt)\b|\berror: |\b[Kk]illed\b|stopped by SIG")
_END_OF_LOG = 2**16  # bytes: an error is the last thing that a step says
_CLOCKS = 60  # seconds by which the clocks of two machines may differ


class FailedSteps(logging.Handler):
    """Collects the failed steps that Snakemake logs, and says at the end what each of them said."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Collect from now on; ``arguments`` are those that snakemake was called with."""
        super().__init__()
        self._arguments = arguments
        self._since = time.time() - _CLOCKS
        self._logs: list[tuple[str, list[str]]] = []
        """Of each failed step its rule and its logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what a record says of a failed step, or of a folder that is locked."""
        event = str(getattr(record, "event", ""))
        if event == "job_error":
            self._keep(vars(record))
        elif event == "group_error":
            for job in getattr(record, "job_error_info", ()):
                self._keep(job)
        elif event == "error" and getattr(record, "exception", "") == "LockException":
            atexit.register(_say, how_to_unlock(self._arguments))

    def _keep(self, job: Mapping[str, Any]) -> None:
        self._logs.append((str(job.get("rule_name", "a step")), [str(log) for log in job.get("log") or ()]))

    def say_at_exit(self) -> None:
        """Say what went wrong when Python ends, which is behind Snakemake's last word."""
        atexit.register(lambda: _say(self.lines()))

    def lines(self) -> Iterator[str]:
        """Yield for each mistake the logs of the steps that made it, and then its line; each mistake once."""
        logs_of: dict[str, list[str]] = {}
        for rule, logs in self._logs:
            log, line = self._last_word(rule, logs)
            logs_of.setdefault(line, []).append(log)
        for line, logs in logs_of.items():
            more = f" and {len(logs) - 1} more" if len(logs) > 1 else ""
            yield f"In {logs[0]}{more}:"
            yield line

    def _last_word(self, rule: str, logs: list[str]) -> tuple[str, str]:
        """Return a step's log, and the line in it that says what is wrong."""
        said = {log: _lines_of(Path(log), self._since) for log in logs}
        # genolift's own word first; else that of a fault or of the cluster
        for telling in (_OURS.fullmatch, _OTHERS.search):
            for log, lines in said.items():
                found = [line for line in lines if telling(line)]
                if found:
                    return log, found[-1]
        where = logs[0] if logs else f"the step {rule}"
        ended = "ended without a word of error: it was killed, perhaps for its memory or its time."
        return where, f"The step {rule} {ended}"


def _lines_of(log: Path, since: float) -> list[str]:
    """Return the last lines of a log that has been written to in this run."""
    try:
        if log.stat().st_mtime < since:
            return []
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _END_OF_LOG))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def how_to_unlock(arguments: Sequence[str]) -> list[str]:
    """Return lines that say how the folder of a run that was killed is unlocked; the last is the command."""
    command = shlex.join(["snakemake", *arguments, "--unlock"])
    return [
        "If no other snakemake runs in this folder, unlock it with the following, and run again:",
        command,
    ]


def _say(lines: Iterable[str]) -> None:
    told = list(lines)
    if told:
        print("", *told, sep="\n", file=sys.stderr, flush=True)
