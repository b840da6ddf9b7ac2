"""Both sides of the pairs of a backward pass, a value of the sequences facing that of their references."""

from __future__ import annotations

import torch
from torch import Tensor

from genolift.engine.backends import fused, loops
from genolift.engine.run.run import Activations, Pairs, Runner


class Sides:
    """Values of sequences and references that are compared."""

    def __init__(self, runner: Runner, pairs: Pairs) -> None:
        self.runner, self.pairs = runner, pairs
        self.n, self.r = pairs.sequences.rows, pairs.r
        self._last: tuple[str, loops.Facing | fused.Facing | None] = "", None

    def facing(self, name: str) -> loops.Facing | fused.Facing | None:
        """Return a value of both sides for compiled loops; None where there are none for it."""
        if self._last[0] != name:
            self._last = name, self._made(name)
        return self._last[1]

    def _made(self, name: str) -> loops.Facing | fused.Facing | None:
        runner, pairs = self.runner, self.pairs
        x, x0 = pairs.sequences.values[name], pairs.references.values[name]
        if not runner.plan.uses_reference or not (x.is_floating_point() and x0.numel()):
            return None
        if runner.device.type == "cuda":
            return self.on_device(name)
        if not self.is_flat(name) or not (name in runner.known.stays_half or loops.fit(x, x0)):
            return None
        return loops.Facing(x, self.of_references(x0), self.n, self.r)

    def on_device(self, name: str) -> fused.Facing:
        """Return a value of both sides for the formulas of a GPU, which broadcast."""
        runner, pairs = self.runner, self.pairs
        return fused.Facing(
            runner.sequence(pairs, name),
            runner.reference(pairs, name),
            lambda rows: runner.facing(rows, name, self.n, self.r),
            lambda facing: runner.rows(facing, name, self.n, self.r),
            runner.compiles,
        )

    def is_flat(self, name: str) -> bool:
        """Whether a value's rows are its slowest axis, and in the order of the pairs."""
        return self.runner.known.axis[name] == 0 and self.runner.known.outer.get(name, 1) == 1

    def of_references(self, values: Tensor) -> Tensor:
        """Return the rows of the one reference that all sequences share; all rows, if they share none."""
        if self.pairs.shared is None:
            return values
        more = values.shape[0] // self.pairs.references.rows
        return values[self.pairs.shared * more : (self.pairs.shared + 1) * more]

    def size_of_difference(self, name: str) -> Tensor:
        """Return abs(dx) of every pair, as rows."""
        facing = self.facing(name)
        if facing is not None:
            return facing.size_of_difference()
        return self.runner.difference(self.pairs, name).abs()

    def signed(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        """Return a + sign(dx) b: the multipliers of a value whose one part is dx itself."""
        facing = self.facing(name)
        if facing is not None:
            return facing.add_signed(a, b)
        return a + torch.sign(self.runner.difference(self.pairs, name)) * b

    def rows(self, activations: Activations, name: str) -> Tensor:
        """Return a value of the sequences or of the references for every pair, truth values as they are."""
        return self.every_pair(activations.values[name], activations, name)

    def every_pair(self, value: Tensor, activations: Activations, name: str) -> Tensor:
        """Return what the sequences or the references have, laid out as ``name`` is, for every pair."""
        references = activations is self.pairs.references and self.runner.plan.uses_reference
        facing = (self.runner.of_references if references else self.runner.of_sequences)(
            self.pairs, value, name
        )
        return self.runner.rows(facing, name, self.n, self.r)
