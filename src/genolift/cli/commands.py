"""Every command by its name, and what ``genolift --help`` says of them.

``python -m genolift.cli.commands`` prints that, for help.txt.
"""

from __future__ import annotations

import difflib
import textwrap

from genolift.cli import (  # noqa: F401 - each adds its commands
    commands_input,
    commands_inspect,
    commands_model,
    commands_results,
    commands_workflow,
)
from genolift.cli.command import COMMANDS, Command
from genolift.errors import InputError

_OVERVIEW = """\
usage: genolift [-h] [--version] COMMAND ...

Which bases made the model say that: DeepLIFT for models of DNA.

commands (genolift COMMAND --help says more):
"""


def command_named(name: str) -> Command:
    """Return a command.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        remedy = f"did you mean '{near[0]}'?" if near else "see genolift --help"
        raise InputError(f"'{name}' is not a command", remedy=remedy)
    return COMMANDS[name]


def overview() -> str:
    """Return what ``genolift --help`` says."""
    width = max(map(len, COMMANDS)) + 4
    told = (
        textwrap.fill(
            command.about, 100, initial_indent=f"  {name}".ljust(width), subsequent_indent=" " * width
        )
        for name, command in COMMANDS.items()
    )
    return _OVERVIEW + "\n".join(told) + "\n"


if __name__ == "__main__":
    print(overview(), end="")
