"""What a user should look at: told to a Python caller, and kept for the report.

Steps log it, ``logging.getLogger("genolift").warning``. The command line prints that, and notes it for the
report in the attribute ``warnings`` of the HDF5 file that the command writes. Where nobody has set up the
logger in another way it becomes Python's `warnings.warn`, of the category `GenoliftWarning`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable

from genolift.errors import in_one_line


class GenoliftWarning(UserWarning):
    """Something to look at in what was given or found; the result is what was asked for."""


class AsWarnings(logging.Handler):
    """Hands what is logged as a warning on to `warnings.warn`."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Warn with the text of a record, from the line that logged it."""
        warnings.warn_explicit(record.getMessage(), GenoliftWarning, record.pathname, record.lineno)


def _shown_as_it_is(record: logging.LogRecord) -> bool:
    """Write out what a terminal would obey of a record, such as an escape code that a file's name holds."""
    text = record.getMessage()
    if not text.isprintable():
        record.msg, record.args = in_one_line(text), None
    return True


def warn_python_callers() -> None:
    """Make warnings of what is logged, until somebody sets up the logger in another way."""
    logger = logging.getLogger("genolift")
    logger.addFilter(_shown_as_it_is)
    if not any(isinstance(each, AsWarnings) for each in logger.handlers):
        logger.addHandler(AsWarnings())


_MOST = 30
_LONGEST = 500
"""Warnings that are kept, and letters of each: an attribute of HDF5 has 64 KiB."""


class Kept(logging.Handler):
    """Keeps what a command warns of, and what the files that it reads say was warned of before."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a record."""
        self.add([record.getMessage()])

    def add(self, texts: Iterable[str]) -> None:
        """Keep texts that are not kept yet, up to a number."""
        for text in texts:
            short = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
            if short not in self.texts and len(self.texts) < _MOST:
                self.texts.append(short)


def _kept() -> Kept | None:
    handlers = logging.getLogger("genolift").handlers
    return next((each for each in handlers if isinstance(each, Kept)), None)


def kept_warnings() -> list[str]:
    """Return what the running command has warned of, in order; nothing where none is running."""
    kept = _kept()
    return [] if kept is None else list(kept.texts)


def keep_warnings(texts: Iterable[str]) -> None:
    """Keep what a file that the running command reads says was warned of."""
    kept = _kept()
    if kept is not None:
        kept.add(texts)
