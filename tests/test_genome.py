"""Windows of a genome come out the same by its index and by reading it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from Bio import bgzf
from pyfaidx import Faidx

from genolift.genome import read_windows

LETTERS = {"one": "ACGTNacgt" * 50, "two": "GGCAT" * 31}
PLACES = [
    ("two", 3, 20),
    ("one", 0, 450),
    ("one", 57, 130),
    ("one", -1, 5),
    ("two", 100, 156),
    ("three", 0, 5),
]


def written(path: Path) -> Path:
    lines = []
    for name, letters in LETTERS.items():
        lines += [f">{name} of two", *(letters[i : i + 60] for i in range(0, len(letters), 60))]
    text = "\n".join(lines) + "\n"
    if path.suffix == ".gz":
        with bgzf.open(str(path), "wt") as file:
            file.write(text)
    else:
        path.write_text(text)
    return path


def expected() -> list[bytes | None]:
    return [
        LETTERS[chrom][start:end].encode()
        if chrom in LETTERS and 0 <= start < end <= len(LETTERS[chrom])
        else None
        for chrom, start, end in PLACES
    ]


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz"])
@pytest.mark.parametrize("indexed", [False, True])
def test_windows_are_the_letters_of_their_places(tmp_path: Path, name: str, indexed: bool) -> None:
    genome = written(tmp_path / name)
    if indexed:
        Faidx(str(genome)).close()
    before = sorted(tmp_path.iterdir())
    letters, lengths = read_windows(genome, PLACES)
    assert letters == expected()
    assert lengths == {chrom: len(text) for chrom, text in LETTERS.items()}
    assert sorted(tmp_path.iterdir()) == before


def test_an_index_is_used_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genome = written(tmp_path / "genome.fa")
    Faidx(str(genome)).close()
    monkeypatch.setattr("genolift.genome.read_fasta", lambda path: pytest.fail("the genome was read"))
    assert read_windows(genome, PLACES)[0] == expected()


def test_an_index_older_than_its_genome_is_not_trusted(tmp_path: Path) -> None:
    genome = written(tmp_path / "genome.fa")
    Path(f"{genome}.fai").write_text("one\t1\t5\t60\t61\n")
    os.utime(f"{genome}.fai", (0, 0))
    assert read_windows(genome, PLACES)[0] == expected()


def test_a_broken_index_is_said_and_the_genome_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    genome = written(tmp_path / "genome.fa")
    Path(f"{genome}.fai").write_text("no index\n")
    with caplog.at_level(logging.WARNING, "genolift"):
        assert read_windows(genome, PLACES)[0] == expected()
    assert "its index cannot be used" in caplog.text
