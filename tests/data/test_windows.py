"""Windows around intervals, their ids, and chromosomes that have other names in the genome."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolift.data.intervals import Interval, Intervals
from genolift.data.windows import WindowsAround, check_chromosomes
from genolift.errors import InputError


@pytest.mark.parametrize("length", [1, 2, 5, 400])
def test_windows_have_the_length_and_are_centred_as_documented(length: int) -> None:
    interval = Interval(1, "chr1", 100, 201, summit=110)
    for center, middle in (("summit", 110), ("midpoint", 150)):
        [window] = WindowsAround(Intervals([interval]), length=length, center=center)
        assert (window.start, window.end) == (middle - length // 2, middle - length // 2 + length)
    [window] = WindowsAround(Intervals([Interval(1, "chr1", 77, 78)]), length=length)
    assert window.start == 77 - length // 2


def test_ids_are_names_where_they_are_unique_and_otherwise_places_with_a_suffix_for_repeats() -> None:
    names = ["own", "ctcf", "ctcf", "", "", "", "c:20-30"]
    starts = [0, 0, 50, 50, 50, 20, 90]
    intervals = [
        Interval(line, "c", start, start + 10, name)
        for line, (name, start) in enumerate(zip(names, starts, strict=True))
    ]
    ids = [window.id for window in WindowsAround(Intervals(intervals), length=10)]
    assert ids == ["own", "c:0-10", "c:50-60", "c:50-60.2", "c:50-60.3", "c:20-30.2", "c:20-30"]


@pytest.mark.parametrize(
    ("chrom", "names", "hint"),
    [
        ("chr1", ["2", "1"], "the genome calls it '1'"),
        ("1", ["chr2", "chr1"], "the genome calls it 'chr1'"),
        ("chrM", ["chr1", "MT"], "the genome calls it 'MT'"),
        ("ChrX", ["chrX"], "the genome calls it 'chrX'"),
        ("chr9", ["chr1", "chr2"], "check the genome"),
    ],
)
def test_a_missing_chromosome_is_named_with_what_the_genome_has(
    chrom: str, names: list[str], hint: str
) -> None:
    intervals = [Interval(4, names[0], 0, 5), Interval(7, chrom, 0, 5), Interval(8, "zz", 0, 5)]
    with pytest.raises(InputError) as caught:
        check_chromosomes(Intervals(intervals), names, "peaks.bed", "genome.fa")
    message = str(caught.value)
    assert message.startswith(f"peaks.bed:7: the chromosome {chrom!r} (and 1 more of the file's) is not in ")
    assert f"which has {', '.join(names)}; {hint}" in message


def test_chromosomes_that_are_all_there_pass() -> None:
    check_chromosomes(Intervals([Interval(4, "chr1", 0, 5)]), {"chr1": 9}, "peaks.bed", "genome.fa")


@given(
    names=st.lists(
        st.sampled_from(["", "a", "b", "own", "c:0-10", "c:0-10.2", "c:5-15", "c:5-15.3"]), max_size=12
    ),
    starts=st.lists(st.sampled_from([5, 10]), min_size=12, max_size=12),
)
def test_ids_are_those_that_a_plain_reading_of_the_rule_gives(names: list[str], starts: list[int]) -> None:
    intervals = [
        Interval(line, "c", start - 5, start + 5, name)
        for line, (name, start) in enumerate(zip(names, starts, strict=False))
    ]
    windows = WindowsAround(Intervals(intervals), length=10)
    taken = {name for name in names if name and names.count(name) == 1}
    expected, suffix = [], Counter[str]()
    for interval in intervals:
        if interval.name in taken and names.count(interval.name) == 1:
            expected.append(interval.name)
            continue
        place = name = f"c:{interval.start}-{interval.start + 10}"
        while name in taken:
            suffix[place] = max(suffix[place], 1) + 1
            name = f"{place}.{suffix[place]}"
        taken.add(name)
        expected.append(name)
    assert [window.id for window in windows] == expected
    assert len(set(expected)) == len(expected)


def test_windows_on_a_chromosome_come_by_their_start() -> None:
    intervals = [Interval(1, "b", 50, 60), Interval(2, "a", 9, 10), Interval(3, "b", 20, 30)]
    windows = WindowsAround(Intervals(intervals), length=4)
    assert [windows.on(chrom, 99).tolist() for chrom in ("a", "b", "c")] == [[1], [2, 0], []]
