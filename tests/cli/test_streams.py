"""A log on a full disk ends no work; a result that cannot be printed is told in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lacking
import pytest

FULL = Path("/dev/full")
REFUSED = (
    "genolift: error: standard output: what the command says cannot be written: No space left on device; "
    "make room on its disk, or send it elsewhere\n"
)


@pytest.fixture(autouse=True)
def full_device() -> None:
    if not FULL.exists():
        lacking.skip("there is no /dev/full", lacking="dev-full")


def genolift(*words: object, out: object = subprocess.PIPE, errors: object = subprocess.PIPE) -> tuple:
    command = [sys.executable, "-m", "genolift", *map(str, words)]
    done = subprocess.run(command, stdout=out, stderr=errors, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def encoded(folder: Path) -> list[object]:
    """Return the arguments of an encode that warns of a sequence."""
    (folder / "two.fa").write_text(">a\nACGTACGTAC\n>b\nNNNNNNNNNN\n")
    out = ("--table", folder / "sequences.tsv", "--out", folder / "sequences.h5")
    return ["encode", "--fasta", folder / "two.fa", *out]


def test_a_log_on_a_full_disk_ends_no_work(tmp_path: Path) -> None:
    with FULL.open("w") as full:
        code, said, _ = genolift(*encoded(tmp_path), errors=full)
    assert (code, said.count("\n")) == (0, 1)
    assert (tmp_path / "sequences.h5").is_file()


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["plan", "--help"], []])
def test_what_cannot_be_printed_is_told(tmp_path: Path, words: list[str]) -> None:
    with FULL.open("w") as full:
        code, _, said = genolift(*(words or encoded(tmp_path)), out=full)
    assert code == 2
    assert said.endswith(REFUSED)
    assert "Traceback" not in said


def test_the_exit_code_tells_where_nothing_can_be_said() -> None:
    with FULL.open("w") as full:
        assert genolift("--help", out=full, errors=full)[0] == 2
        assert genolift("check-config", "none.yaml", out=full, errors=full)[0] == 2


def test_a_reader_that_has_gone_is_no_fault() -> None:
    command = [sys.executable, "-m", "genolift", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate()
    assert (process.returncode, said) == (1, b"")
