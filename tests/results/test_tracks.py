"""Values of windows along the genome: as bigWig, whatever the windows' order and the genome's size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from genolift.data.window_places import WindowPlaces
from genolift.errors import InputError
from genolift.files.scratch import Scratch, scratch_beside
from genolift.results import tracks
from genolift.results.tracks import WindowValues, write_bigwig

LENGTH = 30


def _places(chrom: list[str], start: list[int], strand: str) -> WindowPlaces:
    names, number = np.unique(chrom, return_inverse=True)
    turned = np.array([each == "-" for each in strand])
    return WindowPlaces(tuple(names.tolist()), number.astype(np.int32), np.array(start), turned)


def _written(path: Path, sizes: Mapping[str, int], places: WindowPlaces, scores: np.ndarray) -> int:
    with scratch_beside(path) as scratch:
        values = WindowValues(scratch, scores.shape[1])
        for rows in np.array_split(scores, 3):
            values.add(rows)
        return write_bigwig(path, sizes, places, scores.shape[1], values)


def _mean(size: int, places: WindowPlaces, chrom: int, scores: np.ndarray) -> np.ndarray:
    """Return the mean of the windows at each base of a chromosome, NaN where there is none."""
    total, number = np.zeros(size), np.zeros(size)
    for row in np.flatnonzero(places.chromosome == chrom):
        there = slice(places.start[row], places.start[row] + scores.shape[1])
        total[there] += scores[row][:: -1 if places.turned[row] else 1]
        number[there] += 1
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


@pytest.mark.parametrize("held", [1, LENGTH, 3 * LENGTH, 2**18])
def test_a_track_is_the_mean_of_windows_in_any_order_however_few_are_held_at_once(
    held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracks, "_BLOCK_BASES", held)
    random = np.random.default_rng(0)
    tiled, apart = list(range(0, 900, 11)), [0, 0, 0, 30, 60, 61, 150, 181, 970, 970]
    start = [*tiled, *apart, *random.integers(0, 970, 20).tolist()]
    chrom = ["chrB"] * len(tiled) + ["chrA"] * len(apart) + ["chrC"] * 20
    order = random.permutation(len(start))
    strand = "".join(random.choice(["+", "-", "."], len(start)))
    places = _places([chrom[at] for at in order], [start[at] for at in order], strand)
    scores = random.normal(size=(len(start), LENGTH)).astype(np.float32)
    sizes = {"chrB": 1000, "chrEmpty": 50, "chrC": 1000, "chrA": 1000}
    covered = _written(tmp_path / "made.bw", sizes, places, scores)
    with pyBigWig.open(str(tmp_path / "made.bw")) as track:
        assert track.chroms() == sizes
        assert track.intervals("chrEmpty") is None
        found = {name: track.values(name, 0, 1000, numpy=True) for name in places.chromosomes}
    expected = [_mean(1000, places, number, scores) for number in range(3)]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-6)
    assert covered == np.isfinite(expected).sum()
    assert [file.name for file in tmp_path.iterdir()] == ["made.bw"]


@pytest.mark.parametrize("held", [1, 2**18])
def test_a_track_has_no_bases_of_padded_windows_beyond_the_chromosome(
    held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracks, "_BLOCK_BASES", held)
    scores = np.random.default_rng(0).normal(size=(6, LENGTH)).astype(np.float32)
    places = _places(["a", "a", "a", "b", "a", "c"], [85, -5, -28, -10, 20, 200], "+-+-++")
    assert _written(tmp_path / "made.bw", {"a": 100, "b": 12, "c": 200}, places, scores) == 25 + 25 + 15 + 12
    with pyBigWig.open(str(tmp_path / "made.bw")) as track:
        found = track.values("a", 0, 100, numpy=True)
        np.testing.assert_allclose(found[:2], (scores[1, ::-1][5:7] + scores[2, 28:]) / 2, rtol=1e-6)
        np.testing.assert_array_equal(found[2:20], scores[1, ::-1][7:25])
        np.testing.assert_array_equal(found[85:], scores[0, :15])
        np.testing.assert_array_equal(track.values("b", 0, 12), scores[3, ::-1][10:22])
        assert track.intervals("c") is None


def test_windows_from_fasta_are_on_no_chromosome(tmp_path: Path) -> None:
    places = WindowPlaces((), np.full(2, -1, np.int32), np.zeros(2, np.int64), np.zeros(2, bool))
    assert _written(tmp_path / "made.bw", {"chr1": 100}, places, np.zeros((2, LENGTH), np.float32)) == 0


def test_a_full_disk_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        values = WindowValues(Scratch(full.fileno(), tmp_path / "made.bw"), LENGTH)
        with pytest.raises(InputError, match=r"no space left on device.*free some space"):
            values.add(np.zeros((1, LENGTH), np.float32))
