"""What the workflow's steps said last in their logs."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

_OURS = re.compile(r"genolift( [a-z-]+)?: error: .+|genolift [a-z-]+: .+; see genolift [a-z-]+ --help")
_OTHERS = re.compile(r"^[\w.]*(Error|Exception|Interrupt)\b|\berror: |\b[Kk]illed\b|stopped by SIG")
_END_OF_LOG = 2**16  # bytes: an error is the last thing that a step says


def error_in(logs: Sequence[Path], since: float = 0.0) -> tuple[Path, str] | None:
    """Return the first log of a failed step that says what is wrong, and the line in which it does.

    Our own word goes before that of a fault or of a cluster. Logs that were last written before the time
    ``since``, in seconds since 1970, are of an earlier run.
    """
    said = {log: _lines_of(log, since) for log in logs}
    tells: tuple[Callable[[str], object], ...] = (_OURS.fullmatch, _OTHERS.search)
    for telling in tells:
        for log, lines in said.items():
            found = [line for line in lines if telling(line)]
            if found:
                return log, found[-1]
    return None


def ended_with(log: Path) -> str:
    """Return the last line of a log if it says what is wrong, after which a step says no more; else ""."""
    last = _lines_of(log)[-1:]
    return next((line for line in last if _OURS.fullmatch(line) or _OTHERS.search(line)), "")


def _lines_of(log: Path, since: float = 0.0) -> list[str]:
    """Return the last lines of a log that has been written to since then."""
    try:
        if log.stat().st_mtime < since:
            return []
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _END_OF_LOG))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
