"""What a kind sees of a run: the values of sequences and of their references, as rows or to broadcast."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from genolift.engine.backends import channels_last, loops
from genolift.engine.backends.choice import Forms
from genolift.engine.graph.graph import Name, Operation

Transpose = channels_last.Transpose | tuple[dict[str, Tensor], Tensor]
"""A convolution's, or for autograd an operation's arguments as leaves and its result above them."""
BROADCAST_AXES = 3
"""How many more axes a value has in the shape in which sequences and references broadcast."""


@dataclass
class Activations:
    """What one forward pass leaves behind."""

    rows: int
    values: dict[str, Tensor]
    carries: bool
    """Whether a backward pass can start from it, by the transposes."""
    transposes: dict[str, Transpose] = field(default_factory=dict)
    """For each linear operation, the way back through it, if it carries."""
    chosen: dict[str, Tensor] = field(default_factory=dict)
    """For each pool that takes a maximum: where on the window's axis."""


@dataclass
class Layout:
    """What is known of a run's values before there are rows."""

    constants: Mapping[str, Any]
    stays_half: frozenset[str]
    """The results that stay in half precision."""
    forms: Forms
    """The fast forms that may be used."""
    dtype: torch.dtype
    axis: Mapping[str, int]
    """The axis of a value that holds the rows."""
    outer: Mapping[str, int]
    """How many times that axis runs through the rows."""
    dependent: Mapping[str, list[Name]]
    """The arguments of an operation that depend on the attributed input."""
    carries_spread: frozenset[Name]
    uses_reference: bool
    share_of_product: float
    absolute: dict[str, dict[int, Any]] = field(default_factory=dict)
    """The absolute weights of each layer by their place among its arguments, made once for all batches."""

    def number(self, tensor: Tensor) -> Tensor:
        """Return truth values as 0 and 1, what stays in half precision in full, other values as they are."""
        return tensor.to(self.dtype) if tensor.dtype in (torch.bool, torch.bfloat16) else tensor

    def rows_first(self, name: str) -> bool:
        """Whether the rows of a value are its first axis, and this runs through them once."""
        return self.axis[name] == 0 and self.outer.get(name, 1) == 1

    def broadcast(self, tensor: Tensor, name: str, n: int, r: int) -> Tensor:
        """View (..., n r k, ...) rows as (..., outer, n, r, k, ...): sequence and reference then broadcast.

        ``outer`` is 1 but for values whose rows are not the slowest index of their batch axis.
        """
        axis, outer, shape = self.axis[name], self.outer.get(name, 1), tensor.shape
        more = shape[axis] // (outer * n * r)
        return tensor.reshape(*shape[:axis], outer, n, r, more, *shape[axis + 1 :])

    def rows(self, tensor: Tensor, name: str, n: int, r: int) -> Tensor:
        """Undo `broadcast`, repeating what broadcasts."""
        axis, shape = self.axis[name], tensor.shape
        full = tensor.expand(*shape[: axis + 1], n, r, *shape[axis + 3 :])
        return full.reshape(*shape[:axis], shape[axis] * n * r * shape[axis + 3], *shape[axis + 4 :])


@dataclass
class Pairs:
    """Sequences and references whose values are compared, every sequence with r references.

    Where multipliers depend on no reference, each sequence is its own.
    """

    layout: Layout
    sequences: Activations
    references: Activations
    carrying: Activations
    """The one of the two forward passes that has the transposes."""
    r: int
    """References of each sequence."""
    shared: int | None = None
    """The number of the one reference that all sequences are compared with; None where each has its own."""
    frees: bool = False
    """Whether a backward pass may drop the references' values as it goes."""
    again: bool = False
    """Whether another backward pass comes, which the transposes stay for."""
    spread: dict[str, Tensor] = field(default_factory=dict)
    """Of values whose parts are told apart, dx+ - dx- of every pair; made by the first backward pass."""
    spread_transposes: dict[str, Transpose] = field(default_factory=dict)
    _last: tuple[str, loops.Sides | None] = "", None

    @property
    def n(self) -> int:
        """Number of sequences."""
        return self.sequences.rows

    def dependent(self, operation: Operation) -> list[Name]:
        """Return the arguments of an operation that depend on the input."""
        return self.layout.dependent[operation.name]

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that an operation may take: those that are given, else those of `carrying`."""
        return {**self.layout.constants, **self.carrying.values, **given}

    # To broadcast ---------------------------------------------------------------------------------------

    def broadcast(self, tensor: Tensor, name: str) -> Tensor:
        """View the rows of every pair so that they broadcast: see `Layout.broadcast`."""
        return self.layout.broadcast(tensor, name, self.n, self.r)

    def both(self, name: str) -> tuple[Tensor, Tensor]:
        """Return a value of the sequences and of their references, to broadcast; truth values as numbers."""
        x, x0 = (self.layout.number(each.values[name]) for each in (self.sequences, self.references))
        return self._both(x, x0, name)

    def both_chosen(self, name: str) -> tuple[Tensor, Tensor]:
        """Return where a pool's maxima were, of the sequences and of their references, to broadcast."""
        return self._both(self.sequences.chosen[name], self.references.chosen[name], name)

    def _both(self, x: Tensor, x0: Tensor, name: str) -> tuple[Tensor, Tensor]:
        x = self.layout.broadcast(x, name, self.n, 1)
        if self.shared is None:
            return x, self.broadcast(x0, name)
        every = self.layout.broadcast(x0, name, 1, self.references.rows)
        return x, every.narrow(self.layout.axis[name] + 2, self.shared, 1)

    # As rows, one for every pair ------------------------------------------------------------------------

    def rows(self, tensor: Tensor, name: str) -> Tensor:
        """Undo `broadcast`, repeating what broadcasts."""
        return self.layout.rows(tensor, name, self.n, self.r)

    def both_rows(self, name: str) -> tuple[Tensor, Tensor]:
        """Return a value of both, truth values as they are."""
        x, x0 = self._both(self.sequences.values[name], self.references.values[name], name)
        return self.rows(x, name), self.rows(x0, name)

    def difference(self, name: str) -> Tensor:
        """Return dx of every pair."""
        x, x0 = self.both(name)
        return self.rows(x - x0, name)

    def size_of_difference(self, name: str) -> Tensor:
        """Return abs(dx) of every pair."""
        return self.difference(name).abs()

    def signed(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        """Return a + sign(dx) b: the multipliers of a value whose one part is dx itself."""
        return torch.addcmul(a, self.difference(name).sign_(), b)

    def spread_of(self, name: str) -> Tensor:
        """Return dx+ - dx- of every pair; where parts are not told apart, abs(dx)."""
        return self.spread[name] if name in self.spread else self.size_of_difference(name)

    # For compiled loops ---------------------------------------------------------------------------------

    def fast(self, name: str) -> loops.Sides | None:
        """Return a value of both sides for compiled loops; None where there are none, or not yet."""
        if self._last[0] != name:
            self._last = name, self._made(name)
        return self._last[1]

    def _made(self, name: str) -> loops.Sides | None:
        x, x0 = self.sequences.values[name], self.references.values[name]
        takes = name in self.layout.stays_half or loops.fit(x, x0)
        if not (self.layout.rows_first(name) and takes and self.layout.forms.loops and x0.numel()):
            return None
        if not loops.worth_loading(x.numel() * self.r):
            return None
        return loops.Sides(x, self.flat_references(x0), self.n, self.r)

    def flat_references(self, values: Tensor) -> Tensor:
        """Return the rows of the one reference that all sequences share; all rows, if they share none."""
        if self.shared is None:
            return values
        more = values.shape[0] // self.references.rows
        return values[self.shared * more : (self.shared + 1) * more]
