"""The command line: says what was done or what is wrong, and exits. Only this module exits.

Exit codes: 0, 2 for the user's mistake (one line on standard error), 1 for a fault, 128 + its number for a
signal that ended the command.
"""

import atexit
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from genolift.cli.streams import flush_printed, written_streams
from genolift.errors import InputError, did_you_mean
from genolift.files.stopping import ended_by_signals
from genolift.files.whole import remove_unfinished
from genolift.warned import Kept

HELP = Path(__file__).with_name("help.txt")
"""What ``genolift --help`` says: written beforehand by `genolift.cli.commands`, to be there at once."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command given in ``argv`` and exit."""
    # Python looks for garbage at every 700th new object, and among all objects when the process ends. Of the
    # million that importing torch makes nearly none is garbage, and looking takes a second in all.
    gc.set_threshold(500_000)
    atexit.register(gc.freeze)
    with ended_by_signals(_last_words), written_streams():
        code = _run(sys.argv[1:] if argv is None else argv)
    sys.exit(code)


def _run(argv: Sequence[str]) -> int:
    if not argv:
        print("genolift: name a command; see genolift --help", file=sys.stderr)
        return 2
    try:
        _call(argv)
        flush_printed()
    except InputError as error:
        print(f"genolift: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    return 0


def _call(argv: Sequence[str]) -> None:
    if argv[0] in ("-h", "--help"):
        print(HELP.read_text(encoding="utf-8"), end="")
        return
    if argv[0] == "--version":
        from genolift import __version__

        print(f"genolift {__version__}")
        return
    from genolift.cli.commands import COMMANDS

    if argv[0] not in COMMANDS:
        remedy = did_you_mean(argv[0], COMMANDS, "see genolift --help")
        raise InputError(f"'{argv[0]}' is not a command", remedy=remedy)
    command = COMMANDS[argv[0]]
    given = command.parsed(argv[1:])
    with _logged_to_stderr(given["quiet"]):
        command.call(given)


def _last_words(signum: int) -> None:
    """Leave nothing unfinished behind, and say why the command ends, if anybody can still be told."""
    remove_unfinished()
    with suppress(OSError, ValueError):
        # not by print: the signal may have come within a write to the same stream
        os.write(2, f"genolift: stopped by {signal.Signals(signum).name}\n".encode())


@contextmanager
def _logged_to_stderr(quiet: bool) -> Iterator[None]:
    """Print what is logged in the block; after it the logger is as a Python caller has it."""
    logger = logging.getLogger("genolift")
    before = logger.handlers, logger.level, logger.propagate
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("genolift: %(message)s"))
    logger.handlers = [handler, Kept()]
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.handlers, level, logger.propagate = before
        logger.setLevel(level)


if __name__ == "__main__":
    main()
