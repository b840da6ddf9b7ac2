"""How an operation goes over positions: what of its argument one position of its result takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Along:
    """Along an axis, position j of a result takes ``step`` j + ``first`` and so on, ``span`` positions."""

    step: int
    first: int
    span: int
    unpadded: list[int]
    """The padding to give where what lies beyond the ends of this axis is among the values."""


@dataclass(frozen=True)
class Window:
    """How an operation goes over positions; places are those among its arguments."""

    called: str = ""
    """In words; "" for the operation's own name."""
    whole: bool = False
    """Whether it takes all positions of an axis together."""
    padding: int | None = None
    kernel: int | None = None
    """The place of the kernel's sizes, or of the weight whose last axes they are; None without a kernel."""
    stride: int | None = None
    dilation: int | None = None
    outside: float = 0.0
    """What is read beyond the ends."""

    def along(self, arguments: Sequence[Any], axis: int, axes: int) -> Along | None:
        """Return how it goes along an axis of an argument that has so many ``axes``; None if it does not."""
        if self.kernel is None:
            return None
        given = arguments[self.kernel]
        sizes = given.shape[2:] if isinstance(given, Tensor) else given
        at = axis - (axes - len(sizes))
        if at < 0:
            return None

        def of(place: int | None, otherwise: Sequence[int]) -> Sequence[int]:
            found = arguments[place] if place is not None and place < len(arguments) else ()
            return (found * len(sizes) if len(found) == 1 else found) or otherwise

        padding = of(self.padding, [0] * len(sizes))
        return Along(
            step=of(self.stride, sizes)[at],
            first=-padding[at],
            span=(sizes[at] - 1) * of(self.dilation, [1] * len(sizes))[at] + 1,
            unpadded=[0 if place == at else each for place, each in enumerate(padding)],
        )
