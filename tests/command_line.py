"""Runs a command in this process, as the command line would."""

from __future__ import annotations

import pytest

from genolift.cli import main as cli


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Return the exit code, standard output and standard error of a command run in this process."""
    with pytest.raises(SystemExit) as left:
        cli.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return int(left.value.code or 0), printed.out, printed.err
