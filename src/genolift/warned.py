"""What a user should look at, told to a Python caller as a warning. Knows nothing of what it is.

Steps log it, ``logging.getLogger("genolift").warning``. The command line prints that; where nobody has set up
the logger in another way it becomes Python's `warnings.warn`, of the category `GenoliftWarning`.
"""

from __future__ import annotations

import logging
import warnings


class GenoliftWarning(UserWarning):
    """Something to look at in what was given or found; the result is what was asked for."""


class AsWarnings(logging.Handler):
    """Hands what is logged as a warning on to `warnings.warn`."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Warn with the text of a record, from the line that logged it."""
        warnings.warn_explicit(record.getMessage(), GenoliftWarning, record.pathname, record.lineno)


def warn_python_callers() -> None:
    """Make warnings of what is logged, until somebody sets up the logger in another way."""
    logger = logging.getLogger("genolift")
    if not any(isinstance(each, AsWarnings) for each in logger.handlers):
        logger.addHandler(AsWarnings())
