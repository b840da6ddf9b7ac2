"""Correct BED and narrowPeak files, and the faults that are refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from genolift.data.intervals import Interval, read_intervals
from genolift.errors import InputError


def write(folder: Path, text: str) -> Path:
    path = folder / "peaks.bed"
    path.write_bytes(text.encode())
    return path


def test_bed_layouts_give_the_same_intervals(tmp_path: Path) -> None:
    text = "chr1\t5\t9\tp\t0\t-\nchr2\t0\t1\t.\t0\t+\n"
    expected = [Interval(1, "chr1", 5, 9, "p", "-"), Interval(2, "chr2", 0, 1, "", "+")]
    assert list(read_intervals(write(tmp_path, text)).intervals) == expected
    assert list(read_intervals(write(tmp_path, text.replace("\n", "\r\n"))).intervals) == expected
    assert list(read_intervals(write(tmp_path, text.replace("\t", "  "))).intervals) == expected
    (tmp_path / "packed").write_bytes(gzip.compress(text.encode()))
    assert list(read_intervals(tmp_path / "packed").intervals) == expected


def test_comments_headers_and_blank_lines_are_skipped_but_counted_as_lines(tmp_path: Path) -> None:
    text = 'browser position chr1:1-9\ntrack name="a b"\n#chrom\tstart\n\nchr1\t5\t9\n  \nchr1\t6\t9\n'
    assert [interval.line for interval in read_intervals(write(tmp_path, text)).intervals] == [5, 7]


def test_narrow_peak_summits_are_offsets_and_minus_one_is_none(tmp_path: Path) -> None:
    row = "chr1\t100\t200\tp{}\t0\t.\t5.2\t-1\t-1\t{}\n"
    text = "".join(row.format(n, offset) for n, offset in enumerate((0, 40, 99, -1)))
    assert [i.summit for i in read_intervals(write(tmp_path, text)).intervals] == [100, 140, 199, None]


def test_summit_names_are_positions_and_not_ids(tmp_path: Path) -> None:
    [interval] = read_intervals(write(tmp_path, "chr1\t947\t1307\tsummit=1146\t0\t.\n")).intervals
    assert (interval.summit, interval.name) == (1146, "")


def test_the_summits_of_the_shared_peaks_lie_in_their_intervals_as_positions(shared: Path) -> None:
    for name, n in (("ctcf_macs_peaks.bed", 18), ("h1_dnase_peaks.bed", 53)):
        intervals = read_intervals(shared / "human" / name).intervals
        assert len(intervals) == n
        for interval in intervals:
            assert interval.summit is not None
            assert interval.start + 18 <= interval.summit < interval.end - 18
            assert interval.summit > interval.end - interval.start


def test_ten_columns_without_a_number_in_the_tenth_are_ordinary_bed(tmp_path: Path) -> None:
    [interval] = read_intervals(write(tmp_path, "chr1\t10\t20\ta\t0\t+\tx\ty\tz\tpromoter\n")).intervals
    assert interval.summit is None


PEAK = "chr1\t100\t200\tp\t0\t.\t5\t-1\t-1\t"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("chr1\t5\n", ":1: has 2 columns where BED has at least 3"),
        ("chr1,5,9\n", ":1: has 1 column where BED has at least 3"),
        ("chr1\t5\t9\tp\n#\nchr1\t5\t9\n", ":3: has 3 columns, line 1 has 4"),
        ("chr1\t5\t9\n\nchr1\t5\t9\tp\n", ":3: has 4 columns, line 1 has 3"),
        ("chrom\tstart\tend\n", ":1: is not an interval: column 2 is 'start'; if it is a header"),
        ("chr1\t5\t9.0\n", ":1: the end '9.0' is not a whole number"),
        ("chr1\t1e3\t2000\n", ":1: the start '1e3' is not a whole number"),
        ("chr1\t1_0\t2000\n", ":1: the start '1_0' is not a whole number"),
        ("chr1\t5\t9\nchr1\t9\t5\n", ":2: the end 5 is not after the start 9"),
        ("chr1\t9\t9\n", ":1: the end 9 is not after the start 9"),
        ("chr1\t-3\t9\n", ":1: the start -3 is negative"),
        ("\t3\t9\n", ":1: the chromosome is empty"),
        ("chr1\t5\t9\tsummit=3\n", ":1: the summit 3 is outside the interval 5-9"),
        ("chr1\t5\t9\tsummit=9\n", ":1: the summit 9 is outside the interval 5-9"),
        ("chr1\t5\t9\tsummit=x\n", ":1: the summit (column 4) 'x' is not a whole number"),
        (PEAK + "100\n", ":1: the summit offset (column 10) '100' is outside the interval 100-200"),
        (PEAK + "-2\n", ":1: the summit offset (column 10) '-2' is outside the interval 100-200"),
        (PEAK + "3\n" + PEAK + "top\n", ":2: the summit offset (column 10) 'top' is not a whole number"),
        ("", ": holds no intervals"),
        ("track name=x\n#\n", ": holds no intervals"),
        (">chr1\nACGT\n", ":1: is FASTA, not intervals; give it as sequences.fasta"),
        ("chr1\t5\t9223372036854775808\n", ":1: the end 9223372036854775808 is beyond the end of any"),
        ("chr1\t5\t" + "9" * 44, ":1: the end 99999999999999999999... (44 digits) is beyond the end of any"),
    ],
)
def test_a_bad_row_is_refused_with_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_intervals(path)
    assert str(caught.value).startswith(f"{path}{words}")


@pytest.mark.parametrize(
    ("row", "words"),
    [("chr1\t5\t9\n", "has no strand (column 6)"), ("chr1\t5\t9\tp\t0\t*\n", "the strand (column 6) is '*'")],
)
def test_a_strand_that_is_needed_must_be_there(tmp_path: Path, row: str, words: str) -> None:
    path = write(tmp_path, row)
    assert len(read_intervals(path).intervals) == 1
    with pytest.raises(InputError) as caught:
        read_intervals(path, with_strand=True)
    assert f"{path}:1: {words}" in str(caught.value)
