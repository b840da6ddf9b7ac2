"""Products of two values that both depend on the input."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from genolift.engine.graph.graph import Operation, fill_in
from genolift.engine.kinds.kind import Kind, Sent, Step, by_derivative
from genolift.engine.kinds.linear import Linear
from genolift.engine.kinds.pairs import Pairs
from genolift.engine.kinds.reach import Reach


@dataclass(frozen=True)
class Product(Kind):
    """Bilinear in two arguments that both depend on the input (and linear in a third, the added one)."""

    linear: Linear
    """What the operation is where only one factor depends on the input."""

    label = "bilinear"
    passes = "symmetric split"
    takes_complex = True
    numbers = 8

    @property
    def matrix(self) -> bool:  # type: ignore[override]
        """Whether it is a product of matrices."""
        return self.linear.matrix

    def called(self, operation: Operation) -> str:
        """Return "product of two values" for a matrix product."""
        return "product of two values" if self.matrix else super().called(operation)

    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """d(u v) = (u + u0)/2 dv + (v + v0)/2 du: the derivative half way, exact for what is bilinear."""
        halfway: dict[str, Tensor] = {}
        for name in pairs.dependent(step.operation):
            x, x0 = pairs.both(name)
            halfway[name] = pairs.rows((x + x0) / 2 * pairs.layout.share_of_product, name)
        yield from by_derivative(step.operation, halfway, pairs, a)

    def reached(self, operation: Operation, reach: Reach) -> Tensor:
        """A place of a product of matrices is reached by what reaches its row or its column."""
        if self.linear.pointwise:
            return reach.pointwise(operation)
        if not self.matrix:
            return reach.everywhere(operation)
        place = self.linear.factor or 0
        args = fill_in(operation.args, reach.values)
        one, other = args[place].float(), args[place + 1].float()
        made = one @ torch.ones_like(other) + torch.ones_like(one) @ other
        added = place > 0 and operation.args[0] in reach.graph.dependent
        return ((made + args[0].float() if added else made) != 0).float()
