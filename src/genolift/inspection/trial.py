"""The layout and length in which a module takes DNA, found by running it.

If several lengths work, any does. If a layer fixes the number of positions, its error message says whether
the input was too short or too long, and the length is found by bisection.
"""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genolift.engine.graph.outputs import tensors_of
from genolift.engine.graph.source import first_line, model_line
from genolift.engine.graph.trial_model import not_imported, shapes_in_words
from genolift.errors import InputError
from genolift.inspection.words import SHORTEST
from genolift.models.layout import shape_of
from genolift.settings.model import AXES, BASES_FIRST, axes_of

_ROWS = 2
_TRIED = (1000, 1300)
_TYPICAL = (1024, 2048, 2114, 500, 512, 200, 4096, 8192)
"""Tried if no message shows the direction, as for a model whose pools and upsampling must match."""
_LONGEST = 2**18
_SECONDS = 60.0
_TOO_SHORT = re.compile(
    r"can't be greater than actual input|too small|[Pp]adding size should be less|smaller than kernel"
)
# Two numbers that should be equal: in a dense layer, two tensors, or a reshape.
_UNEQUAL = (
    re.compile(r"\(\d+x(\d+) and (\d+)x\d+\)"),
    re.compile(r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)"),
    re.compile(r"shape '\[([-\d, ]+)\]' is invalid for input of size (\d+)"),
    re.compile(r"must match except in dimension \d+\. Expected size (\d+) but got size (\d+)"),
)

Run = Callable[[Tensor], object]
"""Runs the model on its first input, (row, *axes), with the same extra inputs each time."""


@dataclass(frozen=True)
class Length:
    """The lengths of input, in bases, that a model takes."""

    bases: int
    """The length with which it was run."""
    smallest: int
    largest: int | None
    """None: any length from the smallest."""
    found: str
    """The source: "the model", "the user" or "trial"; "typical" if others may work too."""


@dataclass(frozen=True)
class Layout:
    """How a model reads DNA: ``axes``, other axes that work ``also``, and the length."""

    axes: str
    also: tuple[str, ...]
    length: Length


def find_layout(run: Run, channels: int, *, axes: str | None, length: int | None, found: str) -> Layout:
    """Return the layout in which a model runs.

    Parameters
    ----------
    channels
        Of its input.
    axes, length
        What is known about them; ``found`` is the source of the length.

    Raises
    ------
    InputError
        If it runs in none.
    """
    trial = _Trial(run, channels)
    fitting: dict[str, Length] = {}
    for each in AXES if axes is None else (axes,):
        if length is None:
            lengths = trial.lengths(each)
        else:
            works = trial.failure(each, length) is None
            lengths = Length(length, length, length, found) if works else None
        if lengths is not None:
            fitting[each] = lengths
    if not fitting:
        raise trial.refused(axes, length)
    first, *also = fitting
    return Layout(first, tuple(also), fitting[first])


def smallest_length(run: Run, channels: int, axes: str, length: int) -> int:
    """Return the smallest length for a model that takes any, and runs with ``length``."""
    trial = _Trial(run, channels)
    return _first(SHORTEST, length, lambda tried: trial.failure(axes, tried) is None)


class _Trial:
    """Runs of a model, for a limited time."""

    def __init__(self, run: Run, channels: int) -> None:
        self.run, self.channels = run, channels
        self.changing: dict[str, int] = {}
        self.stop = time.monotonic() + _SECONDS

    def input(self, axes: str, length: int) -> Tensor:
        """Return rows of only the first base."""
        x = torch.zeros(_ROWS, *(size or 0 for size in shape_of(axes_of(axes), self.channels, length)))
        x.select(axes_of(axes).index("bases") + 1, 0).fill_(1)
        return x

    def failure(self, axes: str, length: int) -> Exception | int | None:
        """Return what is wrong with an input with these axes and length; None if it works."""
        return self.failure_on(self.input(axes, length))

    def failure_on(self, x: Tensor) -> Exception | int | None:
        """Return the error, or the first output's rows if no output has the input's; None if it works."""
        if time.monotonic() > self.stop:
            return TimeoutError("trials of the model's input took too long")
        try:
            output = self.run(x)
        except ImportError as error:  # which no other layout or length fixes
            raise not_imported(error) from error
        except Exception as error:
            return error
        rows = [len(values) if values.dim() else 0 for values in tensors_of(output)]
        return None if _ROWS in rows or not rows else rows[0]

    def lengths(self, axes: str) -> Length | None:
        """Return the lengths that work with these axes."""
        one, other = (self.failure(axes, length) for length in _TRIED)
        if one is None and other is None:
            return self._any(axes, _TRIED[0])
        if _unequal(one) and _unequal(other) and self._changing(axes, *_TRIED) is None:
            for length in _TYPICAL:
                if self.failure(axes, length) is None:
                    return Length(length, length, length, "typical")
            return None
        if not any(each is None or _says_which_way(each) for each in (one, other)):
            return None
        highest = _TRIED[1]
        while highest < _LONGEST and self.excess(axes, highest) <= 0:
            if self.failure(axes, highest) is None and self.failure(axes, highest + highest // 3) is None:
                return self._any(axes, highest)
            highest *= 2
        low = _first(SHORTEST, highest, lambda length: self.excess(axes, length) >= 0)
        if self.failure(axes, low) is not None or low == self.channels:
            return None
        high = _first(low, highest, lambda length: self.excess(axes, length) > 0) - 1
        return Length(_roundest(low, high), low, high, "trial")

    def excess(self, axes: str, length: int) -> int:
        """Return a number below 0 if an input is too short, above 0 if it is too long."""
        failure = self.failure(axes, length)
        if failure is None:
            return 0
        if isinstance(failure, int):
            return 1 if failure > _ROWS else -1
        unequal = _unequal(failure)
        changing = None if unequal is None else self._changing(axes, length, length + 300)
        if unequal is None or changing is None:
            return -1
        return unequal[changing] - unequal[1 - changing]

    def _changing(self, axes: str, length: int, other: int) -> int | None:
        """Return which of two numbers that should be equal depends on the length: that is the input's."""
        if axes not in self.changing:
            one, its_other = _unequal(self.failure(axes, length)), _unequal(self.failure(axes, other))
            if one is None or its_other is None:
                return None
            changed = [place for place in (0, 1) if one[place] != its_other[place]]
            if len(changed) != 1:
                return None
            self.changing[axes] = changed[0]
        return self.changing[axes]

    def _any(self, axes: str, length: int) -> Length:
        smallest = _first(SHORTEST, length, lambda tried: self.failure(axes, tried) is None)
        return Length(length, smallest, None, "trial")

    def refused(self, axes: str | None, length: int | None) -> InputError:
        """Return the error for a model that runs in no layout; arguments are None if not known."""
        x = self.input(axes or BASES_FIRST, length or _TRIED[0])
        error = self.failure_on(x)
        said = first_line(error) if isinstance(error, Exception) else f"it gives {error} rows for {_ROWS}"
        others = [name for name, known in (("layout", axes), ("length", length)) if known is None]
        return InputError(
            f"the model does not take an input of shape {shapes_in_words([x])}: {said}"
            + (f"; nor one of another {' or '.join(others)}" if others else ""),
            where=model_line(error) if isinstance(error, Exception) else "model",
            remedy="give --input-length, --axes, --alphabet or the model's further inputs (--extra-input)",
        )


def _says_which_way(failure: object) -> bool:
    return isinstance(failure, int) or _unequal(failure) is not None or bool(_TOO_SHORT.search(str(failure)))


def _unequal(failure: object) -> tuple[int, int] | None:
    if not isinstance(failure, Exception):
        return None
    for pattern in _UNEQUAL:
        found = pattern.search(str(failure))
        if found:
            sizes = [int(size) for size in found[1].split(",")]
            first = math.prod(_ROWS if size < 0 else size for size in sizes)
            return first, int(found[2])
    return None


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the smallest number from ``low`` to ``high`` with a property that all larger ones have."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _roundest(low: int, high: int) -> int:
    """Return the number from ``low`` to ``high`` that a person would choose."""
    for step in (1000, 500, 100, 128, 64, 50, 10, 5):
        if high // step * step >= low:
            return high // step * step
    return low
