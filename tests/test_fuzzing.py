"""The harness of tests/fuzz reports each kind of fault that it should find, and none for a correct reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fuzz.judging import difference, fault_of_refusal
from fuzz.running import case_of
from fuzz.text_formats import TEXT_FORMATS
from places import TESTS

from genolift.errors import InputError


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The harness's reports for readers with one fault each; in a process without threads, since it forks."""
    folder = tmp_path_factory.mktemp("planted")
    path = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])
    ran = subprocess.run(
        [sys.executable, "-m", "fuzz.planted", str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


@pytest.mark.parametrize(
    ("reader", "kind"),
    [
        ("right", "accepted and equal"),
        ("wrong base", "is read otherwise"),
        ("a record less", "is read otherwise"),
        ("accepts anything", "is read otherwise"),
        ("refuses all", "is refused, though it is valid"),
        ("no place", "is refused without a place"),
        ("escape sequence", "is refused in more than one line, or with characters that cannot be printed"),
        ("long", "is refused in more than 1000 characters"),
        ("log of an escape sequence", "logs more than one line, or what cannot be printed"),
        ("traceback", "raises ZeroDivisionError"),
        ("hang", "takes too long"),
        ("hang in C", "takes too long, and cannot be interrupted"),
        ("memory", "takes too much memory"),
        ("crash", "ends the process, exit code -11"),
        ("quiet end", "ends the process, exit code 0"),
    ],
)
def test_a_planted_fault_is_reported_at_each_file_and_the_run_goes_on(
    found: dict[str, Any], reader: str, kind: str
) -> None:
    assert found["counts"][reader] == {kind: 2}


def test_the_file_of_every_finding_is_kept_with_a_command_that_runs_it_alone(found: dict[str, Any]) -> None:
    assert len(found["files"]) == 2 * (len(found["counts"]) - 1)
    kept = {Path(file).read_text() for _, file, _ in found["files"]}
    assert kept == {">a\nACGT\n>b\nTTTT\n", ">a\nGGGT\n"}
    for reader, file, command in found["files"]:
        assert command in Path(file).with_suffix(".txt").read_text()
        assert command.endswith(f"python -m fuzz --format {reader} --file {file}")


def test_a_seed_gives_the_same_cases_again() -> None:
    for made in TEXT_FORMATS:
        valid = [b"first\n", b"second\n"]
        cases = [case_of(made, valid, 5, number) for number in range(40)]
        assert cases[:2] == valid
        assert cases == [case_of(made, valid, 5, number) for number in range(40)]
        assert cases != [case_of(made, valid, 6, number) for number in range(40)]
        assert len(set(cases)) > 20


@pytest.mark.parametrize("text", ["two\nlines", "a\x1b[0m", "\u2028", "\ud800", "\u202ereversed", "\x00"])
def test_no_refusal_passes_that_a_terminal_would_not_show_in_one_line(text: str) -> None:
    error = InputError("is wrong", where="file")
    error.args = (text,)
    assert fault_of_refusal(error)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        ("1", 1),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({1: "x"}, {"1": "x"}),
        ([1, 2], [1]),
        ([[1.5]], [[1.25]]),
        (None, ""),
    ],
)
def test_values_differ_by_type_too(one: Any, other: Any) -> None:
    assert difference(one, other)
    assert not difference(one, one)
    assert not difference(float("nan"), float("nan"))
