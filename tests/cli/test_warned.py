"""A step's warnings reach a Python caller as warnings, once."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import pytest
import torch
from torch import nn

import genolift

REPEAT = nn.functional.one_hot(torch.zeros(20, dtype=torch.int64), 4).T.float()  # AAAA..., its only shuffle
CODES = torch.randint(4, (20,), generator=torch.Generator().manual_seed(0))
MIXED = nn.functional.one_hot(CODES, 4).T.float()
X = torch.stack([MIXED, REPEAT, MIXED.flip(0)])
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(80, 1))


@pytest.mark.parametrize("given", ["a reference", "a function", "tensors", "shared"])
def test_a_sequence_that_equals_its_references_is_warned_of_once(given: str) -> None:
    shuffle = genolift.references.dinucleotide_shuffle(r=3)
    references = {
        "a reference": shuffle,
        "a function": lambda x: shuffle(x),
        "tensors": shuffle(X),
        "shared": REPEAT[None],
    }[given]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        genolift.deeplift(MODEL, X, references, batch_size=1)
    (warning,) = [each for each in caught if issubclass(each.category, genolift.GenoliftWarning)]
    assert str(warning.message) == (
        "1 of 3 sequences equal all their references: their contributions are 0 (first: number 1)"
    )


def test_contributions_that_are_zero_for_another_reason_are_not_warned_of() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(80, 1))
    nn.init.zeros_(flat[1].weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error", genolift.GenoliftWarning)
        genolift.deeplift(flat, X, torch.full((1, 4, 20), 0.25))


def test_what_is_logged_is_one_line_that_no_quoted_character_can_change() -> None:
    with pytest.warns(genolift.GenoliftWarning) as caught:
        logging.getLogger("genolift").warning("%s: has %s", "a\nfile", "\x1b[31mred \u202edesrever")
    assert str(caught[0].message) == "a file: has \\x1b[31mred \\u202edesrever"


def run(*command: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "genolift", *map(str, command)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_command_prints_a_warning_once_and_files_carry_it_on(tmp_path: Path) -> None:
    (tmp_path / "x.fa").write_text(">one\nACGGTACGTAC\n>two\nNNNNNNNNNNN\n>three\nAAAAAAAAAAA\n")
    made, references = tmp_path / "x.h5", tmp_path / "references.h5"
    printed = run("encode", "--fasta", tmp_path / "x.fa", "--table", tmp_path / "x.tsv", "--out", made)
    assert printed.count("1 of 3 records dropped") == 1
    assert "GenoliftWarning" not in printed
    printed = run("reference", "--sequences", made, "--number", 3, "--out", references)
    assert printed.count("1 of 2 sequences equal all their shuffles") == 1
    assert "records dropped" not in printed
    with h5py.File(references) as file:
        dropped, equal = json.loads(file.attrs["warnings"])
    assert "1 of 3 records dropped" in dropped
    assert "1 of 2 sequences equal all their shuffles" in equal
