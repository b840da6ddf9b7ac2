"""What a run of the workflow ends with, behind all that Snakemake says: what is done and what went wrong.

Knows Snakemake by what it logs alone.
"""

import atexit
import logging
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genolift.errors import InputError
from genolift.report.index import INDEX, LOGS, Failure, in_words
from genolift.results.step_logs import error_in
from genolift.settings.workflow import whole_of
from genolift.steps.index import write_index

_SHOWN_REPORTS = 5
_CLOCKS = 60  # seconds by which the clocks of two machines may differ


class FailedSteps(logging.Handler):
    """Collects the failed steps that Snakemake logs, and says at the end what each of them said."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Collect from now on; ``arguments`` are those that snakemake was called with."""
        super().__init__()
        self._arguments = arguments
        self._since = time.time() - _CLOCKS
        self._failed: dict[object, tuple[str, list[str]]] = {}
        """The rule and the logs of each job whose last attempt failed."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what a record says of a failed step, or of a folder that is locked; drop a step that was tried
        again and is done.
        """
        event = str(getattr(record, "event", ""))
        if event == "job_error":
            self._keep(vars(record))
        elif event == "group_error":
            for job in getattr(record, "job_error_info", ()):
                self._keep(job)
        elif event == "job_finished":
            self._failed.pop(getattr(record, "job_id", None), None)
        elif event == "error" and getattr(record, "exception", "") == "LockException":
            say_at_exit(how_to_unlock(self._arguments))

    def _keep(self, job: Mapping[str, Any]) -> None:
        logs = [str(log) for log in job.get("log") or ()]
        self._failed[job.get("jobid", str(logs))] = (str(job.get("rule_name", "a step")), logs)

    def by_folder(self, results: Path) -> dict[str, Failure]:
        """Return the first mistake in each analysis, or in one of its targets, by its folder in ``results``:
        the one that the folder of a step's log is in.
        """
        found: dict[str, Failure] = {}
        for rule, logs in self._failed.values():
            for log in filter(lambda log: Path(log).is_relative_to(results), logs[:1]):
                folder = Path(log).relative_to(results).parent
                name = (folder.parent if folder.name == LOGS else folder).as_posix()
                found.setdefault(name, Failure(*self._last_word(rule, logs)))
        return found

    def lines(self) -> Iterator[str]:
        """Yield for each mistake the logs of the steps that made it, and then its line; each mistake once."""
        logs_of: dict[str, list[str]] = {}
        for rule, logs in self._failed.values():
            log, line = self._last_word(rule, logs)
            logs_of.setdefault(line, []).append(log)
        for line, logs in logs_of.items():
            more = f" and {len(logs) - 1} more" if len(logs) > 1 else ""
            yield f"In {logs[0]}{more}:"
            yield line

    def _last_word(self, rule: str, logs: list[str]) -> tuple[str, str]:
        """Return a step's log, and the line in it that says what is wrong."""
        found = error_in([Path(log) for log in logs], self._since)
        if found is not None:
            return str(found[0]), found[1]
        where = logs[0] if logs else f"the step {rule}"
        ended = "ended without a word of error: it was killed, perhaps for its memory or its time."
        return where, f"The step {rule} {ended}"


def how_to_unlock(arguments: Sequence[str]) -> list[str]:
    """Return lines that say how the folder of a run that was killed is unlocked; the last is the command."""
    command = shlex.join(["snakemake", "--unlock", *arguments])
    return [
        "If no other snakemake runs in this folder, unlock it with the following, and run again:",
        command,
    ]


def summary(
    failed: FailedSteps, results: Path, folders: Sequence[str], shared: Mapping[str, Sequence[str]]
) -> list[str]:
    """Write the list of all analyses, and return what the end of a run says: what is done, what failed, why.

    Parameters
    ----------
    folders
        The folders of the analyses and targets of this run's config, as `genolift.report.index.entries`
        takes them.
    shared
        Folders in ``results`` that several of them share, each with the analyses' names.
    """
    wrong = list(failed.lines())
    try:
        failures = failed.by_folder(results)
        for folder in failures.keys() & shared.keys():
            failures = dict.fromkeys(shared[folder], failures[folder]) | failures
        found = write_index(results, folders, failures) if results.is_dir() else []
    except (InputError, OSError) as error:
        return [f"genolift: error: {error}", "", *wrong]
    names = {whole_of(folder)[0] for folder in folders}
    ours = [entry for entry in found if entry.name in names]
    reports = [f"  {results / entry.report}" for entry in ours if entry.report]
    if not reports and not wrong:  # what was asked for is no report
        return []
    more = len(reports) - _SHOWN_REPORTS
    listed = [*reports[:_SHOWN_REPORTS], *([f"  and {more} more"] if more > 0 else [])]
    done = [in_words(ours), *listed, *([f"All in one list: {results / INDEX}"] if len(found) > 1 else [])]
    return [*done, "", *wrong] if wrong else done


def say_at_exit(lines: Sequence[str], *, apart: bool = True) -> None:
    """Say something when Python ends, which is behind Snakemake's last word; a thread of its may yet be busy.

    It stands ``apart`` from that by an empty line.
    """
    told = ["", *lines] if apart else lines
    if lines:
        atexit.register(lambda: print(*told, sep="\n", file=sys.stderr, flush=True))
