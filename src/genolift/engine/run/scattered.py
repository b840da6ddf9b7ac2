"""A convolution of windows by what each position of its argument adds to the result, not by what it takes.

Where a window grows much, as at a wide dilation, most of what a position of the result takes is unchanged: of
BPNet's last layer half of the multiplications are left, and no window is copied with its surroundings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from genolift.engine.kinds.kind import Kind
from genolift.engine.run.ways import Compute, KeptByPosition, OnWindow, Values, Way
from genolift.engine.run.windows import Interval, Part, Positions

_GROWS = 1.2
"""From how many times as wide a result on this is faster (benchmarks/README.md)."""


@dataclass(frozen=True)
class Scattered(OnWindow):
    """A convolution of stride 1: the unchanged row's, and what each position's difference adds to it."""

    by_difference = True
    weight: Tensor = field(default_factory=lambda: torch.zeros(0), repr=False)
    """(tap, channel, out)."""
    dilation: int = 1

    def apply(self, compute: Compute, values: Values, before: KeptByPosition, reached: Interval) -> Part:
        """See `Way.apply`."""
        (part,) = self.parts(values)
        width = min(reached.width, self.length)
        if width < _GROWS * part.width:
            return super().apply(compute, values, before, reached)
        starts = reached.starts(width, self.length)
        window = before.result.window(starts, width)
        at = part.unchanged.spread((part.starts - self.first - starts)[:, None])
        self._add(part.difference(), at.ravel(), window)
        return Part(before.result, starts, window)

    def _add(self, difference: Tensor, at: Positions, window: Tensor) -> None:
        """Add what a difference adds, each row's first position of it from position ``at`` on."""
        width, wide = difference.shape[1], window.shape[1]
        ends = [0, *(np.diff(at).nonzero()[0] + 1).tolist(), len(at)]
        for start, stop in pairwise(ends):
            for tap, weight in enumerate(self.weight):
                first = int(at[start]) - tap * self.dilation
                begun, ended = max(first, 0), min(first + width, wide)
                if begun < ended:
                    of = difference[start:stop, begun - first : ended - first]
                    window[start:stop, begun:ended].baddbmm_(of, weight.expand(stop - start, -1, -1))


def scattered(ways: Iterator[Way], kind: Kind, values: Values) -> Iterator[Way]:
    """Yield ways, each of a convolution after that which scatters, where the convolution is such."""
    for way in ways:
        if isinstance(way, OnWindow) and kind.weighted == "convolution" and way.span > 1 == way.step:
            _, weight, _, _, _, dilation, transposed, _, groups = way.operation.args
            found = values.get(weight)
            if isinstance(found, Tensor) and found.dim() == 3 and not transposed and groups == 1:
                taps = found.permute(2, 1, 0).contiguous()
                known = {each.name: getattr(way, each.name) for each in fields(OnWindow)}
                yield Scattered(**known, weight=taps, dilation=dilation[0])
        yield way
