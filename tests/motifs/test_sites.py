"""Stretches that several windows show are one site."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_windows import opened

from genolift.motifs import sites
from genolift.motifs.seqlets import SEQLET
from genolift.motifs.sites import Extent, Records, Stretches, each_site_once, unique_sites


def stretches(*rows: tuple[int, int, int, int, float], kind: int = 0) -> Stretches:
    """Return stretches of window, start, end, distance from the window's middle, and strength."""
    window, start, end, off, strength = (np.array(each) for each in zip(*rows, strict=True))
    return Stretches(window, np.full(len(window), kind), start, end, off, strength.astype(float))


def test_the_stretch_nearest_its_windows_middle_stands_for_a_site() -> None:
    stands, windows = unique_sites(stretches((0, 100, 110, 7, 1), (1, 101, 111, 3, 1), (2, 99, 109, 9, 5)))
    assert stands.tolist() == [1, 1, 1]
    assert windows[1] == 3


def test_of_equally_near_ones_the_strongest_stands_for_a_site() -> None:
    stands, _ = unique_sites(stretches((0, 100, 110, 3, 1), (1, 100, 110, 3, 2), (2, 100, 110, 3, 2)))
    assert stands.tolist() == [1, 1, 1]


def test_half_of_the_shorter_is_not_yet_the_same_site() -> None:
    half, more = (
        stretches((0, 0, 30, 0, 1), (1, 25, 35, 0, 1)),
        stretches((0, 0, 30, 0, 1), (1, 24, 34, 0, 1)),
    )
    assert unique_sites(half)[0].tolist() == [0, 1]
    assert unique_sites(more)[0].tolist() == [0, 0]


def test_stretches_of_one_window_are_different_sites() -> None:
    # A tandem repeat, told apart by both windows; the second repeat of window 1 goes with that of window 0.
    stands, windows = unique_sites(
        stretches((0, 0, 10, 1, 1), (0, 4, 14, 2, 1), (1, 0, 10, 5, 1), (1, 4, 14, 6, 1))
    )
    assert stands.tolist() == [0, 1, 0, 1]
    assert windows.tolist()[:2] == [2, 2]


def test_stretches_of_different_kinds_are_different_sites() -> None:
    two = stretches((0, 5, 15, 0, 1), (1, 5, 15, 0, 1))
    apart = Stretches(two.window, np.array([0, 1]), two.start, two.end, two.off_centre, two.strength)
    assert unique_sites(apart)[0].tolist() == [0, 1]
    assert unique_sites(two)[0].tolist() == [0, 0]


def test_no_stretch_is_no_site() -> None:
    none = np.empty(0, np.int64)
    stands, windows = unique_sites(Stretches(none, none, none, none, none, none.astype(float)))
    assert len(stands) == len(windows) == 0


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 1), st.integers(0, 60), st.integers(1, 12), st.integers(0, 5)
    ),
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_sites_are_apart_and_every_stretch_belongs_to_one(rows: list, random: np.random.Generator) -> None:
    # Different strengths, so that the order of the stretches never decides.
    table = np.array([(*row, n) for n, row in enumerate(rows)], np.int64).reshape(len(rows), 6)
    window, kind, start, length, off, strength = table.T
    found = Stretches(window, kind, start, start + length, off, strength.astype(float))
    stands, windows = unique_sites(found)

    def same_site(one: int, other: int) -> bool:
        shared = min(found.end[one], found.end[other]) - max(start[one], start[other])
        near = 2 * shared > min(length[one], length[other])
        return bool(near and kind[one] == kind[other] and window[one] != window[other])

    kept = np.flatnonzero(stands == np.arange(len(rows)))
    assert not any(same_site(one, other) for one in kept for other in kept if one != other)
    for one, site in enumerate(stands):
        assert stands[site] == site
        assert one == site or same_site(one, site)
    for site in kept:
        assert windows[site] == len({window[one] for one in np.flatnonzero(stands == site)})
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)
    again = Stretches(*(values[shuffled] for values in vars(found).values()))
    assert sorted(shuffled[at] for at in set(unique_sites(again)[0].tolist())) == kept.tolist()


def test_sites_are_found_in_order_of_place_with_only_what_overlaps_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The windows of a chromosome all overlap in a chain, and are in no order."""
    random = np.random.default_rng(0)
    starts = random.permutation(np.arange(0, 20_000, 50)).tolist()
    strands = random.choice(["+", "-"], len(starts)).tolist()
    codes = random.integers(0, 4, (len(starts), 100))
    onehot = np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1)
    found = np.zeros(3 * len(starts), SEQLET)
    found["row"], found["start"] = np.repeat(np.arange(len(starts)), 3), random.integers(0, 91, len(found))
    found["score"] = random.normal(size=len(found))

    def extent(each: Records) -> Extent:
        start = each["start"].astype(np.int64)
        return Extent(each["score"] > 0, start, start + 10, np.abs(each["score"]))

    monkeypatch.setattr(sites, "_AT_A_TIME", 20)
    with opened(tmp_path, onehot, onehot.astype(np.float32), starts, strands) as windows:
        parts = [each for each, _ in each_site_once(np.array_split(found, 7), windows, extent)]
        expected = found.copy()
        _, expected["windows"] = unique_sites(sites.stretches(windows, found["row"], extent(found)))
        places = [windows.shared(part["row"], *extent(part)[1:3])[0] for part in parts]
    assert (np.diff(np.concatenate(places)) >= 0).all()
    assert max(map(len, parts)) < 60 < len(found)
    assert sorted(np.concatenate(parts).tolist()) == sorted(expected.tolist())
