"""Linear (or affine) operations: multipliers pass by the transpose."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from genolift.engine.backends import channels_last
from genolift.engine.graph.graph import Name, Operation, fill_in, names_in
from genolift.engine.kinds.coefficients import Part
from genolift.engine.kinds.kind import Arguments, Computing, Kind, Sent, Step, Values
from genolift.engine.kinds.pairs import Activations, Layout, Pairs, Transpose
from genolift.engine.kinds.reach import Reach
from genolift.engine.kinds.window import Window
from genolift.engine.torch_internals import gradients


@dataclass(frozen=True)
class Linear(Kind):
    """Linear in the arguments that depend on the input.

    ``coefficients`` is a table of `kinds.coefficients`: their absolute values carry the spread, and are the
    |W| of a weighted layer. None where they are not at hand; the spread is then made afresh behind it.
    """

    coefficients: tuple[Part, ...] | None = field(default=None, repr=False)
    weighted: str | None = None
    factor: int | None = None
    mask: int | None = None
    """The place of a mask or index, which may not depend on the input."""
    moves: bool = False
    pointwise: bool = False
    window: Window | None = None
    sizes: int | None = None

    label = "linear"
    passes = "transpose"
    takes_complex = adds_up = True
    numbers = 6

    @property
    def looked_through(self) -> bool:  # type: ignore[override]
        """Whether it is no weighted layer itself."""
        return not self.weighted

    @property
    def carries_spread(self) -> bool:  # type: ignore[override]
        """Whether the coefficients are at hand."""
        return self.coefficients is not None

    @property
    def matrix(self) -> bool:  # type: ignore[override]
        """Whether it is a dense layer."""
        return self.weighted == "dense"

    def note(self) -> str:
        """Return which weighted layer it is."""
        return f"a {self.weighted} layer" if self.weighted else ""

    def called(self, operation: Operation) -> str:
        """Return "dense layer" for a matrix product."""
        return "dense layer" if self.matrix else super().called(operation)

    def keeps(self, step: Step, *, spread: bool) -> set[Name]:
        """Return the arguments where the spread is made of them: the transpose needs none."""
        return set(step.operation.inputs) if spread else set()

    def forward(self, step: Step, computing: Computing, values: Values, activations: Activations) -> Any:
        """Return the result; a pass that carries keeps the transpose."""
        operation, layout = step.operation, computing.layout
        if not activations.carries:
            return computing.value(operation, values)
        dependent = {str(name): values[name] for name in layout.dependent[operation.name]}
        result, activations.transposes[operation.name] = computing.with_transpose(
            operation, dependent, values, lambda every: self._arguments(operation, every, layout)
        )
        if operation.name not in layout.stays_half:
            result = _whole(result, layout.dtype)
        return result.bool() if operation.dtype == torch.bool else result

    def _arguments(self, operation: Operation, values: Values, layout: Layout) -> Arguments:
        """Return an operation's arguments; where it moves truth values, those are numbers, but for a mask."""
        args: Arguments = fill_in(operation.args, values)
        if operation.dtype != torch.bool or self.mask is None:
            return args
        return tuple(
            layout.number(arg) if isinstance(arg, Tensor) and place != self.mask else arg
            for place, arg in enumerate(args)
        )

    def spread(self, step: Step, pairs: Pairs, computing: Computing) -> Tensor:
        """Return |W| s; of a weighted layer |W| |dx|, since it splits its net difference afresh."""
        operation, layout = step.operation, pairs.layout
        source = pairs.size_of_difference if self.weighted else pairs.spread_of
        names, known = pairs.dependent(operation), layout.absolute.setdefault(operation.name, {})

        def absolute(values: Values) -> Arguments:
            args = list(self._arguments(operation, values, layout))
            for place, (part, given) in enumerate(zip(self.coefficients or (), operation.args, strict=False)):
                if place in known:
                    args[place] = known[place]
                    continue
                args[place] = part(args[place], any(name in names for name in names_in([given])))
                if self.weighted and isinstance(given, Name) and given in layout.constants:
                    known[place] = args[place]
            return tuple(args)

        result, pairs.spread_transposes[operation.name] = computing.with_transpose(
            operation, {name: source(name) for name in names}, pairs.values({}), absolute
        )
        return _whole(result, layout.dtype)

    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """m(dx) = W^T a + sign(dx) |W|^T b; where the parts of dx are told apart too, each by its own."""
        operation, dtype, weighted = step.operation, pairs.layout.dtype, self.weighted is not None
        names = pairs.dependent(operation)
        carried = pairs.carrying.transposes
        # A sum of values alike has no transpose.
        back = _passed_back(carried, operation, a, pairs) if operation.name in carried else (a,) * len(names)
        back_b: tuple[Tensor | None, ...] = (None,) * len(names)
        if b is not None:
            halves = _passed_back(pairs.spread_transposes, operation, b, pairs)
            back_b = tuple(_whole(each, dtype) for each in halves)
        for name, a_in, b_in in zip(names, back, back_b, strict=True):
            if b_in is not None and weighted:
                a_in, b_in = pairs.signed(name, _whole(a_in, dtype), b_in), None
            yield Sent(name, a_in, b_in, anew=weighted)

    def reached(self, operation: Operation, reach: Reach) -> Tensor:
        """Run it with weights that are 1 where they are not 0: so none adds up to nothing with another."""
        if self.pointwise:
            return super().reached(operation, reach)
        made = {}
        for name in [] if self.factor is None else operation.args[self.factor : self.factor + 2]:
            if isinstance(name, Name) and name not in reach.graph.dependent:
                there = (reach.values[name] != 0).to(reach.values[name].dtype)
                made[str(name)] = there if bool(there.any()) else torch.ones_like(there)
        return reach.by_running(operation, given=made)


def _passed_back(
    transposes: dict[str, Transpose], operation: Operation, a: Tensor, pairs: Pairs
) -> tuple[Tensor, ...]:
    transpose = transposes[operation.name] if pairs.again else transposes.pop(operation.name)
    if isinstance(transpose, channels_last.Transpose):
        return (transpose(a),)
    leaves, result = transpose
    return gradients(result, list(leaves.values()), a.to(result.dtype), again=pairs.again)


def _whole(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what was computed in half precision in that of the rest."""
    return tensor.to(dtype) if tensor.dtype == torch.bfloat16 else tensor
