"""Warnings: shown to the user, and kept for the report.

Steps log them with ``logging.getLogger("genolift").warning``. The command line prints them and records them
for the report in the attribute ``warnings`` of the HDF5 file that the command writes. For a Python caller who
has not configured the logger they become `warnings.warn`, with the category `GenoliftWarning`.
"""

import logging
import warnings
from collections.abc import Iterable

from genolift.errors import in_one_line


class GenoliftWarning(UserWarning):
    """Something to look at in the input or the results; the results are still what was asked for."""


class AsWarnings(logging.Handler):
    """Passes logged warnings on to `warnings.warn`."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Warn with a record's text, attributed to the line that logged it."""
        warnings.warn_explicit(record.getMessage(), GenoliftWarning, record.pathname, record.lineno)


def _shown_as_it_is(record: logging.LogRecord) -> bool:
    """Escape control characters in a record, such as an escape code in a file's name."""
    text = record.getMessage()
    if not text.isprintable():
        record.msg, record.args = in_one_line(text), None
    return True


def warn_python_callers() -> None:
    """Turn logged warnings into Python warnings, until somebody configures the logger."""
    logger = logging.getLogger("genolift")
    logger.addFilter(_shown_as_it_is)
    if not any(isinstance(each, AsWarnings) for each in logger.handlers):
        logger.addHandler(AsWarnings())


_MOST = 30
_LONGEST = 500
"""The most warnings kept, and characters of each: an HDF5 attribute has 64 KiB."""


class Kept(logging.Handler):
    """Keeps a command's warnings, and those recorded in the files that it reads."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a record."""
        self.add([record.getMessage()])

    def add(self, texts: Iterable[str]) -> None:
        """Keep new texts, up to a limit."""
        for text in texts:
            short = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
            if short not in self.texts and len(self.texts) < _MOST:
                self.texts.append(short)


def _kept() -> Kept | None:
    handlers = logging.getLogger("genolift").handlers
    return next((each for each in handlers if isinstance(each, Kept)), None)


def kept_warnings() -> list[str]:
    """Return the running command's warnings so far, in order; none if no command is running."""
    kept = _kept()
    return [] if kept is None else list(kept.texts)


def keep_warnings(texts: Iterable[str]) -> None:
    """Keep the warnings recorded in a file that the running command reads."""
    kept = _kept()
    if kept is not None:
        kept.add(texts)
