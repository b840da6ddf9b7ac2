"""Counts what a call computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import Tensor

from genolift.engine.run import job
from genolift.engine.run.run import Runner


@contextmanager
def passes_counted() -> Iterator[dict[str, int]]:
    """Count the rows that go forward through the engine in this block, and the backward passes."""
    found = {"rows forward": 0, "backward passes": 0}
    forward, multipliers = Runner.forward, job.multipliers_of

    def counted(self: Runner, inputs: tuple[Tensor, ...], *, carry: bool) -> Any:
        found["rows forward"] += len(inputs[0])
        return forward(self, inputs, carry=carry)

    def counted_back(*args: Any, **options: Any) -> Tensor:
        found["backward passes"] += 1
        return multipliers(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "forward", counted)
        patch.setattr(job, "multipliers_of", counted_back)
        yield found
