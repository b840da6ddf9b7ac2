"""Seqlets: the short stretches that contribute most, found in a few windows at a time, each site once.

They are placed by TF-MoDISco's own functions (Shrikumar et al. 2018, "extract_seqlets"), on window sums whose
distribution is estimated from a sample of the windows if there are many.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genolift.motifs.method import Method
from genolift.motifs.sites import Extent, Records, each_site_once
from genolift.motifs.windows import Windows

_LOG = logging.getLogger("genolift")
SIGNS = {"pos": 1, "neg": -1}
_SAMPLED = 2**22
"""Sums whose distribution is estimated, 0.2 GB with working copies; of more a sample is taken."""
_OF_THE_TOOL = 1_000_000
"""Sums that TF-MoDISco's thresholds are fitted to; it samples more itself."""
_LARGEST_FRACTION, _SMALLEST_FRACTION = 0.2, 0.03  # of the sums that may, and at least do, pass
_WEAK = 0.8  # quantile of the sums that a seqlet's must pass at most
Progress = Callable[[int, int], None]


SEQLET = np.dtype(
    [
        *(("row", np.int32), ("start", np.int32), ("score", np.float32)),
        *(("windows", np.int32), ("site", np.int64)),
    ]
)
"""A seqlet: its window's ``row``; where it starts there, with its flanks; the ``score``, what its core
contributes; the number of ``windows`` that show the site, 0 if that of another window stands for it; and the
number of the ``site``.
"""


@dataclass(frozen=True)
class FoundSeqlets:
    """The seqlets of all windows, by sign, ``pos`` and ``neg``.

    Attributes
    ----------
    strongest
        The strongest, each for a site of its own.
    elsewhere
        Those of other windows at the same sites, in no particular order.
    number
        How many sites were found.
    any_contribution
        Whether any base of the windows contributes.
    """

    strongest: Mapping[str, Records]
    elsewhere: Mapping[str, Records]
    number: Mapping[str, int]
    any_contribution: bool


class _Thresholds(NamedTuple):
    """What a sum has to reach, above and below, for a seqlet to be placed there; what its own has to be."""

    above: float
    below: float
    least: float


def find_seqlets(windows: Windows, method: Method, progress: Progress) -> FoundSeqlets:
    """Return the strongest seqlets of all windows: at most ``method.max_seqlets`` of each sign.

    Where windows overlap, a site is one seqlet: that of the window in which it lies most central. Which of
    equally strong ones are taken depends on their places, so the result depends neither on the order of the
    windows nor on how many are read at a time.
    """
    strongest = {sign: _Strongest(windows, method.max_seqlets) for sign in SIGNS}
    track = _sampled_track(windows, method)
    contributing = bool(track.any())
    if contributing and windows.width >= method.seqlet_width:

        def extent(seqlets: Records) -> Extent:
            start = seqlets["start"].astype(np.int64)
            kind = np.zeros(len(seqlets), np.int8)
            return Extent(kind, start, start + method.seqlet_width, np.abs(seqlets["score"]))

        placed = _placed(windows, method, _thresholds(track, method), progress)
        sites = 0
        for seqlets, stands in each_site_once(placed, windows, extent):
            seqlets["site"] = sites + stands
            sites += len(seqlets)
            for sign, direction in SIGNS.items():
                strongest[sign].add(seqlets[seqlets["score"][stands] * direction > 0])
    kept = {sign: each.kept() for sign, each in strongest.items()}
    return FoundSeqlets(
        {sign: seqlets for sign, (seqlets, _) in kept.items()},
        {sign: seqlets for sign, (_, seqlets) in kept.items()},
        {sign: each.number for sign, each in strongest.items()},
        contributing,
    )


class _Strongest:
    """The strongest of the seqlets that were added, whose sites are of one sign."""

    def __init__(self, windows: Windows, most: int) -> None:
        self._windows, self._most = windows, most
        self._parts = [np.empty(0, SEQLET)]
        self.number = 0

    def add(self, seqlets: Records) -> None:
        self._parts.append(seqlets)
        self.number += int(np.count_nonzero(seqlets["windows"]))
        if sum(map(len, self._parts)) > 4 * self._most + 2**14:
            self._parts = list(self.kept())

    def kept(self) -> tuple[Records, Records]:
        """Return them, the strongest first, and those of other windows at the same sites.

        Of equally strong ones, those are taken that come first on the genome.
        """
        every = np.concatenate(self._parts)
        seqlets = every[every["windows"] > 0]
        row, start = seqlets["row"], seqlets["start"].astype(np.int64)
        place, _ = self._windows.shared(row, start, start)
        order = np.lexsort((self._windows.rank[row], place, -np.abs(seqlets["score"])))
        strongest = seqlets[order[: self._most]]
        others = every[every["windows"] == 0]
        return strongest, others[np.isin(others["site"], strongest["site"])]


def _placed(
    windows: Windows, method: Method, thresholds: _Thresholds, progress: Progress
) -> Iterator[Records]:
    """Yield the seqlets of each block of windows."""
    from modiscolite import extract_seqlets

    flank = method.flank_size
    for block in windows.blocks():
        sums = extract_seqlets._smooth(block.track, method.sliding_window_size)
        reached = (sums >= thresholds.above) | (sums <= thresholds.below)
        candidates = np.where(reached, np.abs(sums), -np.inf)
        candidates[:, :flank] = candidates[:, -flank:] = -np.inf
        placed = extract_seqlets._iterative_extract_seqlets(
            candidates,
            window_size=method.sliding_window_size,
            flank=flank,
            suppress=method.sliding_window_size // 2 + flank,
        )
        within = np.array([seqlet.example_idx for seqlet in placed], np.int64)
        start = np.array([seqlet.start for seqlet in placed], np.int64)
        score = sums[within, start + flank]
        strong = np.abs(score) > thresholds.least
        seqlets = np.empty(int(strong.sum()), SEQLET)
        columns = (block.rows[within], start, score)
        for name, values in zip(("row", "start", "score"), columns, strict=True):
            seqlets[name] = values[strong]
        seqlets["windows"], seqlets["site"] = 1, 0
        yield seqlets
        progress(int(block.rows[-1]) + 1, len(windows))


def _thresholds(track: NDArray[np.float64], method: Method) -> _Thresholds:
    """Return what sums have to reach, by TF-MoDISco's estimate of what chance gives."""
    from modiscolite import extract_seqlets

    sums = extract_seqlets._smooth(track, method.sliding_window_size)
    try:
        with np.errstate(all="ignore"):
            return _by_chance(sums, method)
    except (ZeroDivisionError, IndexError, ValueError) as error:
        # Its null is a Laplace distribution around the mode of window sums, sampled on both sides of 0. With
        # few windows, or windows of one sign, a side is empty: "division by zero", "index -1 is out of
        # bounds", or scikit-learn's "Sample weights must contain ...".
        _LOG.info("no null distribution for seqlets (%s): taking the strongest windows", error)
    threshold = max(np.quantile(np.abs(sums), 1 - _LARGEST_FRACTION), np.finfo(float).tiny)
    return _Thresholds(threshold, -threshold, 0.0)


def _by_chance(sums: NDArray[np.float64], method: Method) -> _Thresholds:
    """Return the thresholds of `modiscolite.extract_seqlets.extract_seqlets`, which returns only the last."""
    from modiscolite import extract_seqlets as tool

    null = tool._laplacian_null(track=sums, window_size=method.sliding_window_size, num_to_samp=10000)
    values = sums.ravel()
    if len(values) > _OF_THE_TOOL:
        values = np.random.RandomState(1234).choice(values, size=_OF_THE_TOOL, replace=False)
    sides = tool._split(values)
    above, below = (
        tool._isotonic_thresholds(side, chance, increasing=increasing, target_fdr=method.target_seqlet_fdr)
        for side, chance, increasing in zip(sides, null, (True, False), strict=True)
    )
    above, below = tool._refine_thresholds(
        vals=np.concatenate(sides),
        pos_threshold=above,
        neg_threshold=below,
        min_passing_windows_frac=_SMALLEST_FRACTION,
        max_passing_windows_frac=_LARGEST_FRACTION,
    )
    sizes = np.sort(np.abs(sums), axis=None)
    quantiles = [np.sign(side) * np.searchsorted(sizes, abs(side)) / len(sizes) for side in (above, below)]
    weakest = min(min(quantiles[0], abs(quantiles[1])) - 0.0001, _WEAK)
    return _Thresholds(float(above), float(below), float(sizes[int(weakest * len(sizes))]))


def _sampled_track(windows: Windows, method: Method) -> NDArray[np.float64]:
    """Return what the bases of different windows contribute, float64 (window, position): of all, or of enough
    of them at random, the same whatever their order is.
    """
    rows = windows.different
    most = max(1, _SAMPLED // max(1, windows.width - method.sliding_window_size + 1))
    if len(rows) > most:
        _LOG.info("the distribution of contributions is estimated from %d of %d windows", most, len(rows))
        rows = np.random.default_rng(0).permutation(rows)[:most]
    rows = np.sort(rows)
    track = np.empty((len(rows), windows.width))
    for first in range(0, len(rows), windows.rows_at_a_time):
        part = slice(first, first + windows.rows_at_a_time)
        track[part] = windows.read(rows[part]).track
    return track
