"""Standard output and standard error where they cannot be written to: a full disk, a reader that has gone."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from genolift.errors import InputError


class _Stream:
    """A stream whose errors are handed to ``on_error``, which may raise another."""

    def __init__(self, stream: TextIO, on_error: Callable[[OSError], None]) -> None:
        self._stream, self._on_error = stream, on_error

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError as error:
            self._on_error(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._on_error(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def written_streams() -> Iterator[None]:
    """Within the block, what standard error does not take is lost, since the work is worth more than its log;
    what standard output does not take is an `InputError`, but for a reader that has gone.
    """
    output, errors = sys.stdout, sys.stderr
    if output is not None:  # as with >&-
        sys.stdout = cast(TextIO, _Stream(output, _refuse))
    if errors is not None:
        sys.stderr = cast(TextIO, _Stream(errors, lambda error: None))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = output, errors
        for stream in filter(None, (output, errors)):
            try:
                stream.flush()
            except OSError:  # Python writes what a stream holds when the process ends, so it goes nowhere
                with suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _refuse(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        raise error
    what = f"what the command says cannot be written: {error.strerror}"
    raise InputError(what, where="standard output", remedy="make room on its disk, or send it elsewhere")


def flush_printed() -> None:
    """Write what was printed now, so that an error of it is this command's."""
    if sys.stdout is not None:
        sys.stdout.flush()
