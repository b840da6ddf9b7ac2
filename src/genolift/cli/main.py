"""The command line: one subcommand for each workflow rule. Parses, says what was done, and exits; no more.

The subcommands are in `commands_*.py`, by theme; only this module exits.

Exit codes: 0, 2 for the user's mistake (one line on standard error), 1 for a fault, 128 + its number for a
signal that ended the command.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn

from genolift.cli.commands_input import add_check, add_encode, add_reference
from genolift.cli.commands_inspect import add_inspect
from genolift.cli.commands_model import add_attribute, add_compare, add_export, add_plan
from genolift.cli.commands_results import add_aggregate, add_logos, add_motifs, add_report
from genolift.cli.commands_workflow import add_check_config, add_train_demo
from genolift.errors import InputError
from genolift.files.stopping import ended_by_signals
from genolift.files.whole import remove_unfinished
from genolift.warned import Kept

_SUBCOMMANDS = (
    add_check,
    add_encode,
    add_reference,
    add_attribute,
    add_aggregate,
    add_motifs,
    add_logos,
    add_report,
    add_compare,
    add_plan,
    add_inspect,
    add_export,
    add_train_demo,
    add_check_config,
)


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command given in ``argv`` and exit."""
    with ended_by_signals(_last_words):
        code = _run(argv)
    sys.exit(code)


def _run(argv: Sequence[str] | None) -> int:
    parser = make_parser()
    arguments = parser.parse_args(argv)
    try:
        with _logged_to_stderr(arguments.quiet):
            arguments.run(arguments)
    except InputError as error:
        print(f"genolift: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


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


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = _Parser(
        prog="genolift", description="Which bases made the model say that: DeepLIFT for models of DNA."
    )
    from genolift import __version__

    parser.add_argument("--version", action="version", version=f"genolift {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for add in _SUBCOMMANDS:
        add(commands)
    return parser


if __name__ == "__main__":
    main()
