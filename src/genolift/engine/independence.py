"""A check, by running a plan, that no row of a batch depends on another. Knows nothing of rules."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph import UnsupportedOperation, default_dtype
from genolift.engine.run import Runner


def check_rows_are_independent(runner: Runner, example: tuple[Tensor, ...]) -> None:
    """Run two made-up rows, changing one at a time; no value of the other may change.

    Raises
    ------
    UnsupportedOperation
        If a row's value depends on another row, naming the operation.
    """
    runs = [_probe(runner, example, seeds) for seeds in ((0, 1), (0, 2), (2, 1))]
    for operation in runner.known.operations:
        with default_dtype(runner.dtype):
            for run in runs:
                run[operation.name] = runner.value(operation, run)
        if operation.name not in runner.graph.dependent:
            continue
        axis = runner.known.axis[operation.name] + 1
        both, first, second = (
            runner.facing(runner.number(run[operation.name]), operation.name, 2, 1) for run in runs
        )
        scale = float(both.abs().max()) if both.numel() and bool(torch.isfinite(both).all()) else 1.0
        near: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-4 * max(scale, 1e-30), "equal_nan": True}
        kept = torch.allclose(both.select(axis, 0), first.select(axis, 0), **near)
        if not kept or not torch.allclose(both.select(axis, 1), second.select(axis, 1), **near):
            raise UnsupportedOperation(
                f"{operation.title} mixes the rows of a batch with each other",
                where=operation.source or f"model, value {operation.name}",
                remedy="a row's output may depend on that row alone",
            )


def _probe(runner: Runner, example: tuple[Tensor, ...], seeds: tuple[int, ...]) -> dict[str, Any]:
    """Return the values to start from, for a row of random frequencies for each seed."""
    event = example[0].shape[1:]
    rows = [torch.rand(event, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    values: dict[str, Any] = dict(runner.constants)
    held = (torch.cat([tensor[:1]] * len(seeds)) for tensor in example[1:])
    first = torch.stack([row / row.sum(0, keepdim=True) if row.dim() > 1 else row for row in rows])
    values.update(zip(runner.graph.inputs, (first.to(example[0]), *held), strict=True))
    return values
