"""FASTA files in every variant that users have, and the faults that are refused."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest
from Bio import bgzf
from genome_letters import read_windows
from refusals import refused_by

from genolift.data.fasta import codes_of_letters, count_replaced_letters, read_fasta
from genolift.errors import InputError

PLAIN = b">one first\nACGTACGTAC\n>two\nGGGGCCCCAA\n"


def write_bgzf(path: Path, content: bytes) -> None:
    with bgzf.BgzfWriter(str(path), "wb") as file:
        file.write(content)


def records(path: Path) -> list[tuple[int, str, bytes]]:
    return [(record.number, record.name, record.letters) for record in read_fasta(path)]


def refusal(path: Path) -> str:
    message = refused_by(lambda: list(read_fasta(path)))
    assert str(path) in message
    return message


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.replace(b"\n", b"\r"),
        PLAIN.replace(b"TACG", b"T\nAC\nG").replace(b"GGGG", b"GG\nGG"),
        PLAIN.replace(b"TACG", b"T A\tCG"),
        b"\n\n" + PLAIN.replace(b"\n", b"\n\n"),
        PLAIN.rstrip(b"\n"),
        b"\xef\xbb\xbf" + PLAIN,
        gzip.compress(PLAIN),
        gzip.compress(PLAIN[:20]) + gzip.compress(PLAIN[20:]),
    ],
    ids=[
        "plain",
        "crlf",
        "cr",
        "wrapped",
        "blanks",
        "blank-lines",
        "no-last-newline",
        "byte-order-mark",
        "gzip",
        "two-gzips",
    ],
)
def test_every_layout_gives_the_same_records_whatever_the_name(tmp_path: Path, content: bytes) -> None:
    expected = [(0, "one", b"ACGTACGTAC"), (1, "two", b"GGGGCCCCAA")]
    for name in ("a.fa", "a.fa.gz", "a"):
        (tmp_path / name).write_bytes(content)
        assert records(tmp_path / name) == expected


def test_bgzf_of_many_blocks_is_read_whole(tmp_path: Path) -> None:
    letters = b"ACGGT" * 40_000
    write_bgzf(tmp_path / "a.fa", b">a\n" + letters + b"\n")
    assert records(tmp_path / "a.fa") == [(0, "a", letters)]


def test_records_without_letters_are_yielded_empty(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_bytes(b">a\n>b\nAC\n>c\n")
    assert records(tmp_path / "a.fa") == [(0, "a", b""), (1, "b", b"AC"), (2, "c", b"")]


def test_a_name_that_stands_twice_is_refused_naming_both(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_bytes(b">x\nAC\n>a\nAC\nAC\n>b\nAC\n>a again\nAC\n")
    message = refusal(tmp_path / "a.fa")
    assert "'a' occurs twice: record 2 (line 3) and record 4 (line 8)" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ACGT\n>a\nACGT\n", ":1: text before the first record: 'ACGT'"),
        (
            b"chr1\t5\t10\n",
            ":1: text before the first record: 'chr1\\t5\\t10'; this looks like BED: give it as",
        ),
        (b"@read1\nACGT\n+\nIIII\n", ":1: text before the first record: '@read1'; this looks like FASTQ"),
        (b"LOCUS       X 30 bp DNA\n", "this looks like GenBank or EMBL: export it as FASTA"),
        (b"", "holds no FASTA record (it is empty)"),
        (b"\n \n", "holds no FASTA record (it is empty)"),
        (gzip.compress(b""), "holds no FASTA record (it is empty)"),
        (b">a\nAC\n>\nAC\n", ":3: record 2 has no name"),
        (bytes(range(256)), "is a binary file, not text"),
        (bz2.compress(PLAIN), "is compressed with bzip2"),
    ],
    ids=[
        "text-first",
        "bed",
        "fastq",
        "genbank",
        "empty",
        "blank",
        "empty-gzip",
        "no-name",
        "binary",
        "bzip2",
    ],
)
def test_what_is_no_fasta_is_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.fa").write_bytes(content)
    assert words in refusal(tmp_path / "a.fa")


@pytest.mark.parametrize("end", [3, 11, 30, -9, -1])
def test_a_truncated_gzip_is_refused(tmp_path: Path, end: int) -> None:
    (tmp_path / "a.fa.gz").write_bytes(gzip.compress(PLAIN)[:end])
    assert "truncated or damaged" in refusal(tmp_path / "a.fa.gz")


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(PLAIN))
    whole[-6] ^= 255
    (tmp_path / "a.fa.gz").write_bytes(whole)
    assert "truncated or damaged" in refusal(tmp_path / "a.fa.gz")


def test_a_bgzf_cut_between_two_blocks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.fa.gz"
    write_bgzf(path, b">a\n" + b"ACGGT" * 40_000 + b"\n")
    with path.open("rb") as file:
        second_block = list(bgzf.BgzfBlocks(file))[1][0]
    path.write_bytes(path.read_bytes()[:second_block])
    assert gzip.decompress(path.read_bytes())  # gzip itself finds nothing wrong
    assert "BGZF file is truncated" in refusal(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "a.fa")
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("letter", "remedy"),
    [
        ("U", "RNA: set model.alphabet"),
        ("-", "gaps"),
        ("*", "use A C G T"),
        ("7", "use A C G T"),
        ("\xe9", "use A C G T"),
    ],
)
def test_a_letter_that_is_no_dna_is_named_with_its_position(letter: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        codes_of_letters(f"ACG{letter}A".encode("latin-1"), where="x.fa, record 3 'a'", first=100)
    message = str(caught.value)
    assert message.startswith(f"x.fa, record 3 'a': the letter {letter!r} at position 104 ")
    assert remedy in message


def test_u_is_read_as_t_where_rna_is_meant() -> None:
    assert codes_of_letters(b"ACGUTacgutN", where="", rna=True).tolist() == [0, 1, 2, 3, 3, 0, 1, 2, 3, 3, 4]


def test_letters_for_several_bases_become_n_and_are_counted_without_n_itself() -> None:
    letters = b"ACGTacgtNnRrYk"
    codes = codes_of_letters(letters, where="")
    assert codes.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 4, 4, 4, 4, 4]
    assert count_replaced_letters(letters, codes) == {"R": 2, "Y": 1, "K": 1}


def test_windows_are_read_in_any_order_and_only_where_they_are_whole(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_bytes(PLAIN)
    places = [("two", 2, 6), ("one", 0, 10), ("one", -1, 4), ("two", 8, 11), ("three", 0, 1), ("two", 9, 10)]
    letters, lengths = read_windows(tmp_path / "a.fa", places)
    assert letters == [b"GGCC", b"ACGTACGTAC", None, None, None, b"A"]
    assert lengths == {"one": 10, "two": 10}


def test_a_window_at_the_start_of_any_bgzf_block_is_read_right(tmp_path: Path) -> None:
    # pyfaidx 0.9.2 raises here: Biopython writes blocks of the full 65,536 bytes.
    letters = (b"ACGGTTAC" * 20_000)[:150_001]
    write_bgzf(tmp_path / "a.fa.gz", b">a\n" + letters + b"\n")
    starts = [block - 3 + shift for block in (65_536, 131_072) for shift in (-1, 0, 1)]
    found, _ = read_windows(tmp_path / "a.fa.gz", [("a", start, start + 50) for start in starts])
    assert found == [letters[start : start + 50] for start in starts]


def test_reading_writes_nothing_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_bytes(PLAIN)
    read_windows(tmp_path / "a.fa", [("one", 0, 5)])
    assert [path.name for path in tmp_path.iterdir()] == ["a.fa"]
