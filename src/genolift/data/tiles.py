"""Windows of one width side by side along the chromosomes of a genome."""

from bisect import bisect_right
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from genolift.data.windows import Window


class Tiles(Sequence[Window]):
    """The windows that tile those chromosomes that were added, in their order, each named
    ``chrom:start-end``; 0-based half-open.

    A chromosome's windows start at 0, ``stride``, 2 ``stride`` ... as long as they end on it; with ``pad``
    there is one more if it covers further bases. ``chromosomes`` are those to tile, all if there are none.
    """

    def __init__(self, width: int, stride: int, chromosomes: Collection[str] = (), *, pad: bool) -> None:
        self.length, self._stride, self._wanted, self._pad = width, stride, frozenset(chromosomes), pad
        self._names: list[str] = []
        self._first = [0]  # the number of each chromosome's first window, and of the next one's

    def on(self, chrom: str, size: int) -> NDArray[np.int64]:
        """Add a chromosome of ``size`` bases; return the numbers of its windows, int64 (window,)."""
        first = len(self)
        self._names.append(chrom)
        self._first.append(first + (self._number(size) if not self._wanted or chrom in self._wanted else 0))
        return np.arange(first, len(self))

    def _number(self, size: int) -> int:
        whole = max(0, (size - self.length) // self._stride + 1)
        covered = (whole - 1) * self._stride + self.length if whole else 0
        return whole + (self._pad and covered < size and whole * self._stride < size)

    def __len__(self) -> int:
        return self._first[-1]

    def __getitem__(self, row: int) -> Window:  # type: ignore[override]
        chromosome = bisect_right(self._first, row) - 1
        chrom, start = self._names[chromosome], (row - self._first[chromosome]) * self._stride
        return Window(f"{chrom}:{start}-{start + self.length}", chrom, start, start + self.length)
