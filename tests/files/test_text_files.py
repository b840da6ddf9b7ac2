"""Text files as every editor and system writes them are read alike, and files that are not text are named."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from Bio import bgzf
from snakemake.common.configfile import load_configfile
from snakemake_interface_common.exceptions import WorkflowError

from genolift.data.fasta import read_fasta
from genolift.data.intervals import read_intervals
from genolift.data.number_table import read_number_table
from genolift.errors import InputError
from genolift.files.text import read_lines, read_text
from genolift.motifs.databases import read_database
from genolift.settings.reading import read_yaml

FASTA = ">one é\nACGT\nAC\n>two\nGG\n"
BED = "chr1\t5\t9\tp1\nchr2\t0\t1\tp2\n"
TABLE = "id,a,b\nx,1,2\ny,3,4\n"
MEME = (
    "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF m1 GATA\nletter-probability matrix: w= 2\n1 0 0 0\n0 0 1 0\n"
)
YAML = "results: r\nanalyses:\n  a: {target: 1}\n"


def read_all(path: Path, kind: str) -> object:
    match kind:
        case "fasta":
            return [(record.name, record.letters) for record in read_fasta(path)]
        case "bed":
            return [(row.chrom, row.start, row.end, row.name) for row in read_intervals(path).intervals]
        case "table":
            table = read_number_table(path)
            return table.columns, table.row_of, table.values.tolist()
        case "meme":
            return [
                (motif.accession, motif.name, motif.ppm.tolist()) for motif in read_database(str(path)).motifs
            ]
    return read_yaml(path)


CONTENT = {
    "fasta": (FASTA, [("one", b"ACGTAC"), ("two", b"GG")]),
    "bed": (BED, [("chr1", 5, 9, "p1"), ("chr2", 0, 1, "p2")]),
    "table": (TABLE, (("a", "b"), {"x": 0, "y": 1}, [[1, 2], [3, 4]])),
    "meme": (MEME, [("m1", "GATA", [[1, 0], [0, 0], [0, 1], [0, 0]])]),
    "yaml": (YAML, {"results": "r", "analyses": {"a": {"target": 1}}}),
}


def bgzip(content: bytes) -> bytes:
    packed = io.BytesIO()
    writer = bgzf.BgzfWriter(fileobj=packed, mode="wb")
    writer.write(content)
    writer.flush()
    return packed.getvalue() + bgzf._bgzf_eof


FORMS = {
    "plain": str.encode,
    "carriage return and newline": lambda text: text.replace("\n", "\r\n").encode(),
    "carriage return alone": lambda text: text.replace("\n", "\r").encode(),
    "UTF-8 with its mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-8 with its mark, from Windows": lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
    "UTF-16 little": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 big, from Windows": lambda text: (
        codecs.BOM_UTF16_BE + text.replace("\n", "\r\n").encode("utf-16-be")
    ),
    "UTF-32": lambda text: text.encode("utf-32"),
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip of UTF-16": lambda text: gzip.compress(text.encode("utf-16")),
    "BGZF": lambda text: bgzip(text.encode()),
    "no newline at the end": lambda text: text.rstrip("\n").encode(),
}


SNAKEMAKE_CANNOT_READ = (
    "UTF-16 little",
    "UTF-16 big, from Windows",
    "UTF-32",
    "gzip",
    "gzip of UTF-16",
    "BGZF",
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", CONTENT)
def test_every_reader_takes_text_in_every_form_whatever_its_name(
    tmp_path: Path, kind: str, form: str
) -> None:
    text, expected = CONTENT[kind]
    path = tmp_path / "file"
    path.write_bytes(FORMS[form](text))
    if kind == "yaml" and form in SNAKEMAKE_CANNOT_READ:
        with pytest.raises(InputError, match=r"file: is (UTF-16|UTF-32|compressed with gzip); (save|unpack)"):
            read_yaml(path)
        return
    assert read_all(path, kind) == expected


@pytest.mark.parametrize("form", FORMS)
def test_a_config_is_read_in_those_forms_that_snakemake_reads(tmp_path: Path, form: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(FORMS[form](YAML))
    if form in SNAKEMAKE_CANNOT_READ:
        with pytest.raises((UnicodeDecodeError, WorkflowError)):
            load_configfile(path)
    else:
        assert load_configfile(path) == read_yaml(path)


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("xl/workbook.xml", content)
    return packed.getvalue()


def hdf5() -> bytes:
    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        file["a"] = np.zeros(3)
    return packed.getvalue()


NO_TEXT = {
    "bzip2": (bz2.compress(b"text"), "is compressed with bzip2; unpack it with bunzip2"),
    "xz": (lzma.compress(b"text"), "is compressed with xz; unpack it with unxz"),
    "zstandard": (b"\x28\xb5\x2f\xfd\0\0", "is compressed with zstandard"),
    "xlsx": (zipped(b"text"), "is a zip archive (as Excel's .xlsx is)"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a Microsoft Office file; save the sheet as text"),
    "hdf5": (hdf5(), "is an HDF5 file"),
    "gzip twice": (gzip.compress(gzip.compress(b"text")), "is compressed with gzip twice"),
    "BAM": (gzip.compress(b"BAM\x01\0\0"), "is BAM; convert it to BED with bedtools bamtobed"),
    "bigBed": (b"\xeb\xf2\x89\x87\0", "is bigBed; convert it to BED with bigBedToBed"),
    "2bit": (b"\x43\x27\x41\x1a\0", "is 2bit; convert it to FASTA with twoBitToFa"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    "web page": (b"<!DOCTYPE html>\n<html>", "is a web page; download the file itself"),
    "binary": (bytes(range(256)), "is a binary file, not text"),
    "UTF-16 without its mark": (
        "chr1\t5\t9\n".encode("utf-16-le"),
        "is UTF-16 text without a byte order mark",
    ),
    "half of a UTF-16 letter": ("chr1\t5\t9\n".encode("utf-16")[:-1], "begins like UTF-16"),
}


@pytest.mark.parametrize("kind", CONTENT)
@pytest.mark.parametrize("what", NO_TEXT)
def test_every_reader_names_what_is_no_text(tmp_path: Path, kind: str, what: str) -> None:
    content, words = NO_TEXT[what]
    path = tmp_path / "file"
    path.write_bytes(content)
    if kind == "yaml":  # as plain text only
        words = {"gzip twice": "is compressed with gzip", "BAM": "is compressed with gzip"}.get(what, words)
        words = words.replace("begins like UTF-16", "is UTF-16")
    with pytest.raises(InputError) as caught:
        read_all(path, kind)
    assert f"{path}: {words}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", CONTENT)
def test_every_reader_names_the_line_of_a_nul_byte(tmp_path: Path, kind: str) -> None:
    text, _ = CONTENT[kind]
    first, rest = text.split("\n", 1)
    path = tmp_path / "file"
    # beyond the part that decides whether a file is text
    path.write_bytes(f"{first}{' ' * 9000}\n{rest[:-1]}\0\n".encode())
    with pytest.raises(InputError, match=f"file:{text.count(chr(10))}: holds a NUL byte"):
        read_all(path, kind)


@pytest.mark.parametrize("kind", [kind for kind in CONTENT if kind != "yaml"])
def test_a_small_file_that_unpacks_to_more_than_memory_is_refused_without_unpacking_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("files.text", "data.fasta"):
        monkeypatch.setattr(f"genolift.{module}.available_memory", lambda: 2_000_000)
    first = CONTENT[kind][0].split("\n", 1)[0]
    row = {"fasta": ">{}\nACGT\n", "bed": "c\t1\t{}2\tp1\n", "table": "{},1,2\n"}.get(kind, "#{}\n")
    path = tmp_path / "file"
    # one endless line, and endlessly many
    for bomb in (f"{first}\n" + "A" * 3_000_000, f"{first}\n" + "".join(map(row.format, range(20_000)))):
        path.write_bytes(gzip.compress(bomb.encode(), 1))
        with pytest.raises(InputError, match="is too large, uncompressed, for the available memory"):
            read_all(path, kind)


def test_a_genome_larger_than_memory_is_read_a_chromosome_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("files.text", "data.fasta"):
        monkeypatch.setattr(f"genolift.{module}.available_memory", lambda: 1_000_000)
    path = tmp_path / "genome.fa.gz"
    path.write_bytes(gzip.compress(b"".join(b">c%d\n%s\n" % (n, b"ACGT" * 25_000) for n in range(20)), 1))
    assert [len(record.letters) for record in read_fasta(path)] == [100_000] * 20


def test_bytes_that_are_no_utf_8_are_read_as_latin_1_so_that_no_two_names_become_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xe9\n\xe8\n" + "é\n".encode())
    assert list(read_lines(path)) == ["é\n", "è\n", "é\n"]


def test_a_config_that_is_no_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"results: a\nanalyses: {caf\xe9: 1}\n")
    with pytest.raises(InputError, match="file:2: the byte 0xe9 is not UTF-8; save it as UTF-8"):
        read_yaml(path)


def test_lines_end_in_a_newline_and_only_where_the_file_ends_them(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a\r\n\r\nb\x0b\x0c\xc2\x85\rc")
    assert list(read_lines(tmp_path / "a")) == ["a\n", "\n", "b\x0b\x0c\x85\n", "c"]


def test_a_text_that_is_read_whole_has_an_upper_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc\n" * 4)
    assert read_text(tmp_path / "a", most=16) == "abc\n" * 4
    with pytest.raises(InputError, match=r"section: .*has more than 15 characters"):
        read_text(tmp_path / "a", most=15, where="section")
