"""How a subcommand is added to the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], about: str, example: str
) -> argparse.ArgumentParser:
    """Return the parser of a new subcommand, which calls ``run`` with its arguments.

    Parameters
    ----------
    commands
        What ``argparse.ArgumentParser.add_subparsers`` returned.
    about
        One sentence: what it does.
    example
        A command line that works.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quiet", action="store_true", help="say warnings and errors only")
    parser.set_defaults(run=run)
    return parser
