"""Whether each row of a batch is computed from that row alone."""

from typing import Any

import torch
from torch import Tensor

from genolift.engine.devices import threads_of_torch
from genolift.engine.graph.graph import UnsupportedOperation, freed_after
from genolift.engine.graph.own_state import default_dtype
from genolift.engine.run.run import Runner


def check_rows_are_independent(runner: Runner, example: tuple[Tensor, ...]) -> None:
    """Run two made-up rows, changing one at a time; no value of the other may change.

    A value is dropped when nothing needs it any more: a long sequence takes no more here than in a job.

    Raises
    ------
    UnsupportedOperation
        If a row's value depends on another row, naming the operation.
    """
    runs = [_probe(runner, example, seeds) for seeds in ((0, 1), (0, 2), (2, 1))]
    freed = freed_after(runner.known.operations, runner.constants)
    with torch.no_grad(), default_dtype(runner.dtype):
        for operation in runner.known.operations:
            for run in runs:
                run[operation.name] = runner.value(operation, run)
            if operation.name in runner.graph.dependent and _mixes_rows(runner, operation.name, runs):
                raise UnsupportedOperation(
                    f"{operation.title} mixes the rows of a batch with each other",
                    where=operation.where,
                    remedy="a row's output may depend on that row alone",
                )
            for name in freed.get(operation.name, ()):
                for run in runs:
                    del run[name]


def _mixes_rows(runner: Runner, name: str, runs: list[dict[str, Any]]) -> bool:
    layout = runner.layout
    axis = layout.axis[name] + 1
    # Comparing takes no time, but waiting for another core at each of its small steps does: where others use
    # the cores, 7 s for a BPNet-shaped model, 0.1 s by one thread.
    with threads_of_torch(1):
        both, first, second = (layout.broadcast(layout.number(run[name]), name, 2, 1) for run in runs)
        scale = float(both.abs().max()) if both.numel() and bool(torch.isfinite(both).all()) else 1.0
        near: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-4 * max(scale, 1e-30), "equal_nan": True}
        kept = torch.allclose(both.select(axis, 0), first.select(axis, 0), **near)
        return not kept or not torch.allclose(both.select(axis, 1), second.select(axis, 1), **near)


def _probe(runner: Runner, example: tuple[Tensor, ...], seeds: tuple[int, ...]) -> dict[str, Any]:
    """Return the values to start from, for a row of random frequencies for each seed."""
    event = example[0].shape[1:]
    rows = [torch.rand(event, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    values: dict[str, Any] = dict(runner.constants)
    extra = (torch.cat([tensor[:1]] * len(seeds)) for tensor in example[1:])
    first = torch.stack([row / row.sum(0, keepdim=True) if row.dim() > 1 else row for row in rows])
    values.update(zip(runner.graph.inputs, (first.to(example[0]), *extra), strict=True))
    return values
