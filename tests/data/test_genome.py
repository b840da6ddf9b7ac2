"""Windows of a genome are the same by its index and by reading it, and a stale index is noticed."""

from __future__ import annotations

import io
import logging
import os
import random
from pathlib import Path

import pytest
from Bio import SeqIO, bgzf
from genome_letters import read_windows
from pyfaidx import Faidx

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
    monkeypatch.setattr("genolift.data.genome.read_fasta", lambda path: pytest.fail("the genome was read"))
    assert read_windows(genome, PLACES)[0] == expected()


def test_a_broken_index_is_said_and_the_genome_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    genome = written(tmp_path / "genome.fa")
    for text in ("no index\n", "", "one\t450\t12\t60\t-3\n", "\0\n", "one\t450\t12\t60\t61\n" * 2):
        Path(f"{genome}.fai").write_text(text)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "genolift"):
            assert read_windows(genome, PLACES)[0] == expected()
        assert "genome.fa: its index (.fai) does not fit it: it is " in caplog.text


Records = list[tuple[str, str]]
"""Headers and letters."""
LONG = "".join(random.Random(0).choices("ACGT", k=150_000))
RECORDS = [("one of three", LONG[:5000]), ("two", LONG[5000:5031]), ("three", LONG)]
WINDOWS = [
    ("one", 0, 90),
    ("one", 2470, 2560),
    ("one", 4910, 5000),
    ("two", 0, 31),
    ("three", 70_000, 70_600),
]


def text_of(records: Records, width: int = 60, end: str = "\n") -> bytes:
    lines = []
    for header, letters in records:
        lines += [f">{header}", *(letters[at : at + width] for at in range(0, len(letters), width))]
    return "".join(line + end for line in lines).encode()


CHANGES = {
    "six bases more at the start of a chromosome": text_of(
        [("one of three", "ACGTAC" + LONG[:5000]), *RECORDS[1:]]
    ),
    "six bases more at its end": text_of([("one of three", LONG[:5000] + "ACGTAC"), *RECORDS[1:]]),
    "lines of 50": text_of(RECORDS, 50),
    "lines of one chromosome each": text_of(RECORDS, 10**6),
    "ends of lines from Windows": text_of(RECORDS, end="\r\n"),
    "a longer header": text_of([("one of 3", LONG[:5000]), *RECORDS[1:]]).replace(b">two", b">two 2"),
    "another name": text_of([RECORDS[0], ("TWO", RECORDS[1][1]), RECORDS[2]]),
    "another order": text_of([RECORDS[1], RECORDS[0], RECORDS[2]]),
    "a chromosome more at the end": text_of([*RECORDS, ("four", "ACGT")]),
    "a chromosome more at the start": text_of([("four", "ACGT"), *RECORDS]),
    "a chromosome less": text_of(RECORDS[:2]),
    "cut off": text_of(RECORDS)[:-100],
    "cut off behind a chromosome": text_of(RECORDS)[: len(text_of(RECORDS[:2]))],
    "a blank line": text_of(RECORDS).replace(
        LONG[60:120].encode() + b"\n", LONG[60:120].encode() + b"\n\n", 1
    ),
}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "bgzf"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_index_that_is_not_of_its_genome_is_not_believed_whatever_its_date(
    tmp_path: Path, change: str, compressed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    genome = tmp_path / ("genome.fa.gz" if compressed else "genome.fa")
    write_genome(genome, text_of(RECORDS))
    Faidx(str(genome)).close()
    write_genome(genome, CHANGES[change])
    os.utime(genome, (0, 0))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    chromosomes = {
        record.id: str(record.seq) for record in SeqIO.parse(io.StringIO(CHANGES[change].decode()), "fasta")
    }
    with caplog.at_level(logging.WARNING, "genolift"):
        letters, lengths = read_windows(genome, WINDOWS)
    assert "genome.fa" in caplog.text
    assert "does not fit it" in caplog.text
    assert letters == [
        chromosomes[chrom][start:end].encode() if end <= len(chromosomes.get(chrom, "")) else None
        for chrom, start, end in WINDOWS
    ]
    assert lengths == {name: len(text) for name, text in chromosomes.items()}
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def write_genome(path: Path, text: bytes, level: int = 6) -> None:
    if path.suffix != ".gz":
        path.write_bytes(text)
        return
    with bgzf.BgzfWriter(str(path), "wb", compresslevel=level) as file:
        file.write(text)


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz"])
@pytest.mark.parametrize("form", ["60", "windows", "one line", "no last newline", "blank lines at the end"])
def test_an_index_that_fits_is_used_though_it_is_older_than_its_genome(
    tmp_path: Path, name: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {
        "60": text_of(RECORDS),
        "windows": text_of(RECORDS, end="\r\n"),
        "one line": text_of(RECORDS, 10**6),
        "no last newline": text_of(RECORDS[:2]).rstrip(),
        "blank lines at the end": text_of(RECORDS) + b"\n\n",
    }[form]
    genome = tmp_path / name
    write_genome(genome, text.rstrip() + b"\n" if "blank" in form else text)
    Faidx(str(genome)).close()
    write_genome(genome, text)
    for index in tmp_path.glob("*.?[az]i"):
        os.utime(index, (0, 0))
    monkeypatch.setattr("genolift.data.genome.read_fasta", lambda path: pytest.fail("the genome was read"))
    letters = {header.split()[0]: text for header, text in RECORDS}
    there = [window for window in WINDOWS if window[0] != "three" or b">three" in text]
    assert read_windows(genome, there)[0] == [
        letters[chrom][start:end].encode() for chrom, start, end in there
    ]


def test_a_window_whose_lines_were_wrapped_anew_is_seen_though_the_chromosome_is_as_long(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = text_of(RECORDS)
    genome = tmp_path / "genome.fa"
    genome.write_bytes(text)
    Faidx(str(genome)).close()
    at = text.index(LONG[2400:2460].encode() + b"\n")  # move one base of this line to the next
    wrapped = text[: at + 59] + b"\n" + text[at + 59 : at + 60] + text[at + 61 :]
    assert len(wrapped) == len(text)
    genome.write_bytes(wrapped)
    places = [("one", 2380, 2480), ("one", 100, 700)]
    with caplog.at_level(logging.WARNING, "genolift"):
        assert read_windows(genome, places)[0] == [LONG[2380:2480].encode(), LONG[100:700].encode()]
    assert "the lines of one are not where it says, near base 2381" in caplog.text


@pytest.mark.parametrize("what", ["other blocks", "cut off", "empty", "one byte"])
def test_an_index_of_blocks_that_is_not_of_its_genome_is_not_believed(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    genome = tmp_path / "genome.fa.gz"
    write_genome(genome, text_of(RECORDS))
    Faidx(str(genome)).close()
    blocks = Path(f"{genome}.gzi")
    if what == "other blocks":
        write_genome(genome, text_of(RECORDS), level=1)
    else:
        blocks.write_bytes({"cut off": blocks.read_bytes()[:-8], "empty": b"", "one byte": b"\1"}[what])
    with caplog.at_level(logging.WARNING, "genolift"):
        letters, _ = read_windows(genome, [("three", 140_000, 140_100)])
    assert letters == [LONG[140_000:140_100].encode()]
    assert "does not fit it" in caplog.text
