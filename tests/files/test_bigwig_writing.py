"""bigWigs, as pyBigWig reads them: values, chromosomes, zoom levels and the summary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from genolift.files import bigwig_writing
from genolift.files.bigwig_writing import whole_bigwig

LONG = 2**20
SIZES = {"chr1": LONG, "chr10": LONG // 4} | {f"scaffold_{number}": 40 + number for number in range(300)}


def _write(path: Path, seed: int = 0) -> dict[str, np.ndarray]:
    """Write stretches of random values, with and without gaps; return each chromosome's, NaN without one."""
    random, values = np.random.default_rng(seed), {}
    with whole_bigwig(path, SIZES) as file:
        for chrom in sorted(SIZES):
            there = values.setdefault(chrom, np.full(SIZES[chrom], np.nan, np.float32))
            end = 0
            while True:
                start = end + int(random.integers(0, 2 if random.random() < 0.2 else 900))
                end = start + int(random.integers(1, 20_000 if random.random() < 0.1 else 500))
                if end > SIZES[chrom]:
                    break
                there[start:end] = random.normal(-3, 1, end - start)
                file.add(chrom, start, there[start:end])
    assert file.covered == sum(np.isfinite(each).sum() for each in values.values())
    return values


@pytest.mark.parametrize(("waiting", "children"), [(1000, 5), (2**16, 256)])
def test_values_and_their_summary_are_those_written(
    waiting: int, children: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigwig_writing, "_WAITING_BASES", waiting)
    monkeypatch.setattr(bigwig_writing, "_CHILDREN", children)
    monkeypatch.setattr(bigwig_writing, "_SECTION_BASES", 3 * waiting)
    values = _write(tmp_path / "made.bw")
    with pyBigWig.open(str(tmp_path / "made.bw")) as track:
        assert track.chroms() == SIZES
        for chrom, there in values.items():
            np.testing.assert_array_equal(track.values(chrom, 0, SIZES[chrom], numpy=True), there)
        told = track.header()
    every = np.concatenate(list(values.values()))
    every = every[np.isfinite(every)].astype(np.float64)
    assert told["nBasesCovered"] == len(every)
    rounded = {
        "minVal": every.min(),
        "maxVal": every.max(),
        "sumData": every.sum(),
    }  # pyBigWig drops decimals
    rounded["sumSquared"] = np.square(every).sum()
    assert {name: told[name] for name in rounded} == {name: int(value) for name, value in rounded.items()}


@pytest.mark.parametrize("level", [64, 256, 1024, 4096, 16_384, 65_536, 262_144])
def test_zoom_levels_tell_what_the_bases_in_them_are(level: int, tmp_path: Path) -> None:
    _write(tmp_path / "made.bw")
    with pyBigWig.open(str(tmp_path / "made.bw")) as track:
        assert track.header()["nLevels"] == 8
        end = min(LONG, 512 * level)
        where = {"nBins": end // (2 * level)}  # from the level of half the bases of a bin
        for kind in ("coverage", "mean", "min", "max", *(["std"] if level > 256 else [])):
            found, exact = (
                np.array(track.stats("chr1", 0, end, type=kind, exact=exact, **where), np.float64)
                for exact in (False, True)
            )
            # Of few bases the standard deviation is not known from sums in float32, which the format has.
            np.testing.assert_allclose(found, exact, rtol=1e-3 if kind == "std" else 1e-5)


def test_without_values_there_is_a_file_without_values(tmp_path: Path) -> None:
    with whole_bigwig(tmp_path / "made.bw", {"chr1": 100}) as file:
        file.add("chr1", 50, np.empty(0, np.float32))
    assert file.covered == 0
    with pyBigWig.open(str(tmp_path / "made.bw")) as track:
        assert (track.chroms(), track.header()["nBasesCovered"]) == ({"chr1": 100}, 0)
        assert track.intervals("chr1") is None
        assert track.stats("chr1", 0, 100) == [None]


def test_no_file_is_left_of_one_that_was_not_completed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole_bigwig(tmp_path / "made.bw", {"chr1": 100}) as file:
        file.add("chr1", 50, np.full(10, 1 / 0, np.float32))
    assert list(tmp_path.iterdir()) == []
