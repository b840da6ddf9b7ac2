"""How soon the command line answers: help and mistakes need no model and do not wait for torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genolift.cli.commands import COMMANDS, overview
from genolift.cli.main import HELP

HEAVY = ("torch", "numpy", "pandas", "h5py", "yaml", "numba")


def test_the_text_of_help_is_that_of_the_commands() -> None:
    assert HELP.read_text(encoding="utf-8") == overview(), "python -m genolift.cli.commands > " + str(HELP)


@pytest.mark.parametrize(
    "arguments", ["--help", "attribute --help", "inspect --nothing", "logos --results . --out o --number -3"]
)
def test_help_and_mistakes_import_nothing_that_takes_long(arguments: str) -> None:
    program = (
        "import sys\nfrom genolift.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments.split()], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "genolift.cli.main" in loaded
    assert not loaded & set(HEAVY)
    assert ("pydantic" in loaded) == (arguments != "--help")


def test_every_command_says_what_it_does_in_the_overview() -> None:
    lines = [line for line in overview().splitlines() if line.startswith("  ") and line[2] != " "]
    assert [line.split()[0] for line in lines] == list(COMMANDS)
