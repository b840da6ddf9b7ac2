"""What the engine asks of a target: how it is read off an output, and what goes back from it."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Explained(Protocol):
    """How a target is read off the values that a graph puts out. Rows are on the first axis."""

    def of(self, output: Tensor) -> Tensor:
        """Return the target, (n,), of outputs (n, ...).

        Raises
        ------
        InputError
            If outputs of this shape have no such target.
        """
        ...

    def of_reference(self, reference_output: Tensor, output: Tensor) -> Tensor:
        """Return the target, (n, r), of references' outputs (n or 1, r, ...); the sequences' are (n, ...)."""
        ...

    def seed(self, output: Tensor, r: int) -> Tensor:
        """Return the multipliers of the outputs of n r pairs, (n r, ...), given the sequences' (n, ...)."""
        ...
