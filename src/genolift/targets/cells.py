"""Targets that are numbers among a tensor's, or sums over slices of it: how each is read off the values.

A target is a weighted sum of the graph's outputs, with the same weights for the references: one task has the
weight 1 and the others 0; the weights of a profile's logits are the profile itself.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from genolift.targets.grammar import Reduction

Places = tuple[int | Reduction, ...]
"""A place on each axis of a row, or a slice of it that is reduced to one number."""


@dataclass(frozen=True)
class Cells:
    """One number of each row of an output, or a sum or mean of several; the first of two such less the other.

    There is no `Reduction` by logsumexp, which is no weighted sum.
    """

    terms: tuple[Places, ...]

    def of(self, output: Tensor) -> Tensor:
        """Return the values, (rows,), of outputs (rows, ...)."""
        first, *others = (reduced(output, places) for places in self.terms)
        return first - others[0] if others else first

    def of_reference(self, reference_output: Tensor, output: Tensor) -> Tensor:
        """Return the values, (n or 1, r)."""
        return self.of(reference_output.flatten(0, 1)).view(reference_output.shape[:2])

    def seed(self, output: Tensor, r: int) -> Tensor:
        """Return the weight of each number, (n r, ...): 0 for most."""
        seed = output.new_zeros((len(output) * r, *output.shape[1:]))
        for sign, places in zip((1, -1), self.terms, strict=False):
            axes = (slice(each.start, each.stop) if isinstance(each, Reduction) else each for each in places)
            seed[(slice(None), *axes)] += sign / math.prod(
                len(range(size)[each.start : each.stop])
                for size, each in zip(output.shape[1:], places, strict=True)
                if isinstance(each, Reduction) and each.how == "mean"
            )
        return seed


def reduced(output: Tensor, places: Places) -> Tensor:
    """Return one number of each row of an output, (rows, ...), taking its last axis first."""
    for place in reversed(places):
        if isinstance(place, int):
            output = output[..., place]
        else:
            sliced = output[..., place.start : place.stop]
            output = sliced.logsumexp(-1) if place.how == "logsumexp" else getattr(sliced, place.how)(-1)
    return output
