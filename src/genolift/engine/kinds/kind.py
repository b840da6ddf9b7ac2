"""What every kind of operation says of itself; see the package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from genolift.engine.graph.graph import Name, Operation, execute
from genolift.engine.kinds.pairs import Activations, Layout, Pairs, Transpose
from genolift.engine.kinds.reach import Reach
from genolift.engine.kinds.window import Window
from genolift.engine.rules.composites import Composite
from genolift.engine.rules.rules import Rule

Values = Mapping[str, Any]
Arguments = tuple[Any, ...]
Taken = Callable[[Values], Arguments]
"""Makes an operation's arguments of values."""
FedBy = Callable[[], set[str]]
"""Returns the kinds of weighted layer that feed an operation."""


@dataclass(frozen=True)
class Step:
    """One operation that depends on the input, and how multipliers pass through it."""

    operation: Operation
    kind: Kind
    rule: Rule | None
    """The rule of an elementwise function, or of those that a recurrent layer is composed of; else None."""
    reason: str


class Sent(NamedTuple):
    """Multipliers for an argument: a = (m+ + m-) / 2, and b = (m+ - m-) / 2 where parts are told apart."""

    name: Name
    a: Tensor
    b: Tensor | None = None
    anew: bool = False
    """Whether a is memory of its own, which may be written over."""


class Computing(Protocol):
    """How a run computes one operation: in its layout of memory, and in its precision."""

    layout: Layout

    def value(self, operation: Operation, values: Values) -> Any:
        """Compute an operation from the values of its arguments."""
        ...

    def with_transpose(
        self, operation: Operation, dependent: Mapping[str, Tensor], values: Values, arguments: Taken
    ) -> tuple[Tensor, Transpose]:
        """Compute a linear operation of ``dependent`` and other values, as ``arguments`` makes them its.

        Returns the result, in the precision that it was computed in, and the way back through it.
        """
        ...


def by_derivative(operation: Operation, at: Mapping[str, Tensor], pairs: Pairs, a: Tensor) -> Iterator[Sent]:
    """Yield the multipliers that an operation's derivative gives, with its arguments ``at`` some values."""
    leaves = {
        name: value.detach().requires_grad_(True) for name, value in at.items() if value.dtype != torch.bool
    }
    with torch.enable_grad():
        result = execute(operation, pairs.values({**at, **leaves}))
    if result.requires_grad:
        back = torch.autograd.grad(result, list(leaves.values()), a, materialize_grads=True)
        yield from (Sent(Name(name), each) for name, each in zip(leaves, back, strict=True))


class Kind(ABC):
    """A kind of operation; what is said here holds for most of them."""

    label: str
    """What it is called."""
    passes: str = ""
    """What a plan says of how multipliers pass, where no rule does."""
    weighted: str | None = None
    """The kind of layer that splits its net difference afresh (section 3.5.1): "convolution" or "dense"."""
    activation: bool = False
    """Whether it is a neuron's activation, in the eyes of a rule."""
    moves: bool = False
    """Whether it only places values elsewhere."""
    of_one: bool = False
    """Whether it takes one argument that depends on the input, not several."""
    looked_through: bool = False
    """Whether a weighted layer before it feeds what comes after it."""
    carries_spread: bool = False
    """Whether the parts of its argument tell those of its result."""
    takes_complex: bool = False
    """Whether it is exact for complex numbers: a rule divides by, and compares, real ones."""
    made_anew: bool = False
    """Whether its result is always memory of its own."""
    matrix: bool = False
    """Whether it is a product of matrices."""
    pointwise: bool = False
    """Whether each element of its result depends on those at its place alone."""
    window: Window | None = None
    factor: int | None = None
    """The place of the first of two factors that lie side by side among a weighted layer's arguments."""
    sizes: int | None = None
    """The place of the result's sizes among its arguments."""
    adds_up: bool = False
    """Whether a difference of its arguments makes the same difference to its result, whatever they are."""
    numbers: int = 12
    """Tensors of the size of the result or an argument that there are at once while multipliers pass."""
    values: int = 1
    """Values of its steps for one of its result."""

    @property
    def shown(self) -> str:
        """What it is called in a plan."""
        return f"{self.label} ({self.weighted})" if self.weighted else self.label

    def note(self) -> str:
        """Return what the table of operations says beside the label."""
        return ""

    def called(self, operation: Operation) -> str:
        """Return an operation's name in words."""
        return (self.window and self.window.called) or operation.title.replace("_", " ")

    def of_truth_value(self) -> Kind:
        """Return what it is where its one argument is a truth value."""
        return self

    def rule(self, composite: Composite, fed_by: FedBy) -> tuple[Rule | None, str]:
        """Return the rule that it gets, None where it takes none, and why."""
        return None, ""

    def keeps(self, step: Step, *, spread: bool) -> set[Name]:
        """Return the values of the forward pass that `back` needs, and `spread` where that is called."""
        return set(step.operation.inputs)

    def forward(self, step: Step, computing: Computing, values: Values, activations: Activations) -> Any:
        """Return the result, and keep in ``activations`` what else `back` needs of it."""
        return computing.value(step.operation, values)

    def spread(self, step: Step, pairs: Pairs, computing: Computing) -> Tensor:
        """Return dy+ - dy- of every pair: abs(dy) where parts are not told apart."""
        return pairs.size_of_difference(step.operation.name)

    @abstractmethod
    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """Yield the multipliers of the arguments from those of the result."""

    def numbers_at_once(self, step: Step, numel: Mapping[str, int], layout: Layout) -> int:
        """Return the numbers of a row that there are at once while multipliers pass; then they are freed."""
        names = step.operation.name, *layout.dependent[step.operation.name]
        return self.numbers * max(numel[name] for name in names)

    def numbers_kept(self, step: Step) -> int:
        """Return the numbers of a row that a forward pass leaves behind, beside values."""
        return 0

    def reached(self, operation: Operation, reach: Reach) -> Tensor:
        """Return what of the result some positions reach: 0 where none does."""
        return reach.pointwise(operation) if self.pointwise else reach.everywhere(operation)


class NoKind(Kind):
    """Of an operation that does not depend on the input, or is refused: multipliers end there."""

    label = "none"

    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """Yield nothing."""
        yield from ()
