"""Operations whose rule is a user's own: see `genolift.register_rule`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from genolift.engine.graph.graph import execute
from genolift.engine.kinds.kind import Kind, Sent, Step
from genolift.engine.kinds.pairs import Pairs

OwnRule = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Registered(Kind):
    """An operation of one argument; ``multiplier(compute, x, x0, multiplier)`` is that of the argument."""

    multiplier: OwnRule

    label = passes = "registered"
    of_one = takes_complex = True

    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """Yield what the user's rule gives."""
        (name,) = pairs.dependent(step.operation)
        values = pairs.values({})
        x, x0 = pairs.both_rows(name)
        yield Sent(name, self.multiplier(lambda z: execute(step.operation, values | {name: z}), x, x0, a))
