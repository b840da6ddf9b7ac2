"""Values of windows along the genome, as bigWig."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genolift.data.window_places import WindowPlaces
from genolift.files.bigwig_writing import whole_bigwig
from genolift.files.scratch import Scratch

_BLOCK_BASES = 2**18
"""Bases of the windows that are averaged at once."""


class Stretch(NamedTuple):
    """Consecutive bases of a chromosome from ``start`` on, 0-based: the sum of the values at each, float64
    (base,), and how many there are, int64 (base,).
    """

    start: int
    total: NDArray[np.float64]
    number: NDArray[np.int64]

    @property
    def end(self) -> int:
        """Where it ends, exclusive."""
        return self.start + len(self.total)

    @property
    def mean(self) -> NDArray[np.float32]:
        """The mean of the values at each base."""
        return (self.total / self.number).astype(np.float32)

    def split(self, at: int) -> "tuple[Stretch, Stretch]":
        """Return the bases before a place and those from it on."""
        cut = max(0, min(at - self.start, len(self.total)))
        before, after = slice(None, cut), slice(cut, None)
        return (
            Stretch(self.start, self.total[before], self.number[before]),
            Stretch(self.start + cut, self.total[after], self.number[after]),
        )

    def within(self, size: int) -> "Stretch":
        """Return the bases on a chromosome of ``size`` bases: windows over its ends may be padded."""
        return self.split(0)[1].split(size)[0]


class WindowValues:
    """A value for each base of each window, written in the order of rows and read in any: 4 bytes a base of
    a scratch file. Of windows of ``length`` bases.
    """

    def __init__(self, scratch: Scratch, length: int) -> None:
        self._scratch, self._bytes, self._end = scratch, 4 * length, 0

    def add(self, values: NDArray[np.float32]) -> None:
        """Append rows, (row, position); errors as `Scratch.write`."""
        content = np.ascontiguousarray(values, np.float32).ravel().view(np.uint8).data
        self._scratch.write(self._end, content)
        self._end += len(content)

    def row(self, number: int) -> NDArray[np.float32]:
        """Return a row."""
        return np.frombuffer(self._scratch.read(number * self._bytes, self._bytes), np.float32)


def write_bigwig(
    path: Path, chromosomes: Mapping[str, int], places: WindowPlaces, length: int, values: WindowValues
) -> int:
    """Write the value of each genomic base that a window covers; return the number of bases.

    Where windows overlap, a base gets the mean of its values, which does not depend on the windows' order.
    Windows on the minus strand are reversed. Coordinates are 0-based half-open. The header lists every
    chromosome of the genome.

    Parameters
    ----------
    chromosomes
        The lengths of the genome's chromosomes, in bases.
    places, length
        Where the windows are, all of so many bases.
    values
        A row for each window.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    order = np.lexsort((places.start, places.chromosome))
    first = np.searchsorted(places.chromosome[order], np.arange(len(places.chromosomes) + 1))
    with whole_bigwig(path, chromosomes) as track:
        for number, chrom in enumerate(places.chromosomes):
            rows = order[first[number] : first[number + 1]]
            for whole in _stretches(rows, places, length, values):
                stretch = whole.within(chromosomes[chrom])  # nothing is left if all of it was padded
                track.add(chrom, stretch.start, stretch.mean)
    return track.covered


def _stretches(
    rows: NDArray[np.int64], places: WindowPlaces, length: int, values: WindowValues
) -> Iterator[Stretch]:
    """Yield what the windows of a chromosome cover, from ``rows`` that are sorted by start.

    No more than a block of windows is held: bases before the next window's start are done.
    """
    start = int(places.start[rows[0]])
    left = Stretch(start, np.empty(0), np.empty(0, np.int64))
    step = max(1, _BLOCK_BASES // length)
    for at in range(0, len(rows), step):
        block = rows[at : at + step]
        starts = places.start[block].tolist()
        for first, last in _touching(starts, length):
            if left.end < starts[first]:
                yield from _not_empty(left)
                left = Stretch(starts[first], np.empty(0), np.empty(0, np.int64))
            size = starts[last - 1] + length - left.start
            total, number = np.zeros(size), np.zeros(size, np.int64)
            total[: len(left.total)], number[: len(left.total)] = left.total, left.number
            for row, start in zip(block[first:last].tolist(), starts[first:last], strict=True):
                there = slice(start - left.start, start - left.start + length)
                total[there] += values.row(row)[:: -1 if places.turned[row] else 1]
                number[there] += 1
            left = Stretch(left.start, total, number)
        following = places.start[rows[at + step]] if at + step < len(rows) else left.end
        done, left = left.split(int(following))
        yield from _not_empty(done)


def _touching(starts: list[int], length: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of windows, sorted by start, that overlap or follow one another without a gap."""
    first = 0
    for number in range(1, len(starts) + 1):
        if number == len(starts) or starts[number] > starts[number - 1] + length:
            yield first, number
            first = number


def _not_empty(stretch: Stretch) -> Iterator[Stretch]:
    if len(stretch.total):
        yield stretch
