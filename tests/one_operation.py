"""A graph of one operation from the table, with inputs and references for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from operation_table import Draw, Row
from operation_values import held, made_of_input
from torch import Tensor

from genolift.engine.graph.graph import (
    Graph,
    Name,
    Operation,
    Result,
    aten,
    execute,
    names_in,
    with_dependence,
)
from genolift.engine.kinds.pairs import Pairs
from genolift.engine.plan import make_plan
from genolift.engine.run.backward import multipliers
from genolift.engine.run.run import Runner

SPECIAL = torch.tensor([0.0, 0.5, -0.5, 3.0, -3.0, 1.0], dtype=torch.float64)


CPU = torch.device("cpu")


def values(shape: tuple[int, ...], domain: str, seed: int, special: bool) -> Tensor:
    """Return normal values with ties, repeats and kinks among them, within a function's domain."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    if special:
        kinks = SPECIAL[torch.randint(len(SPECIAL), shape, generator=generator)]
        x = torch.where(torch.rand(shape, generator=generator) < 0.4, kinks, x)
    if domain == "positive":
        return x.abs() + 0.2
    if domain == "unit":
        return 0.9 * torch.tanh(x)
    return x.abs() + 1.2 if domain == "above one" else x


def near(x: Tensor, other: Tensor, seed: int) -> Tensor:
    """Return references of which some equal the inputs' values and some differ from them very slightly."""
    choice = torch.rand(other.shape, generator=torch.Generator().manual_seed(seed))
    same = x.expand_as(other)
    return torch.where(choice < 0.2, same, torch.where(choice < 0.4, same + 1e-7, other))


@dataclass
class Made:
    """A graph of one operation, with inputs and references for it."""

    graph: Graph
    x: Tensor
    references: Tensor
    held: dict[str, Tensor]
    dtype: torch.dtype

    def inputs(self, rows: Tensor) -> tuple[Tensor, ...]:
        names = self.graph.inputs[1:]
        return rows, *(self.held[name].repeat_interleave(len(rows), 0) for name in names)

    def runner(self, rule: str) -> Runner:
        return Runner(make_plan(self.graph, rule), CPU, self.dtype)


def graph_of(made: list[tuple[str, Any, Any, dict[str, Any]]], draw: Draw, x: Tensor) -> tuple[Graph, Any]:
    """Return operations as a graph, finding the axis of the rows by running 2 and 3 rows."""
    runs = []
    for rows in (2, 3):
        run: dict[str, Any] = dict(draw.constants)
        run["x"] = x[:1].repeat_interleave(rows, 0)
        run |= held(rows, draw.channels, draw.positions, draw.dtype)
        runs.append(run)
    operations = []
    for name, target, args, kwargs in made:
        operation = Operation(Name(name), target, args, kwargs, "", None, 0)
        for run in runs:
            run[name] = execute(operation, run)
        small, large = (run[name] for run in runs)
        axis = [
            k for k, sizes in enumerate(zip(small.shape, large.shape, strict=True)) if sizes[0] != sizes[1]
        ]
        if axis:
            numel = small.numel() // 2
            operation = Operation(Name(name), target, args, kwargs, "", axis[0], numel, small.dtype)
        operations.append(operation)
    inputs = tuple(map(Name, ("x", *held(1, 1, 1, draw.dtype))))
    output = Name(made[-1][0])
    graph = Graph(tuple(operations), draw.constants, inputs, output, inputs[0], frozenset())
    return with_dependence(graph), runs[0][output]


def make(target: Any, row: Row, draw: Draw, *, special: bool = True) -> Made:
    """Return the graph of an operation, with arguments that ``draw`` draws for its row of the table."""
    dtype = draw.dtype
    channels, positions = row.shape or (2, 2)
    draw.channels = draw.integer(channels, 3)
    draw.positions = draw.integer(max(positions, 4 if row.square else 2), 5)
    shape = (draw.channels, *([4] if row.square else []), draw.positions)
    n, r, seed = draw.integer(1, 3), draw.integer(1, 3), draw.integer(0, 2**31)
    x = values((n, *shape), row.domain, seed, special)
    references = values((n, r, *shape), row.domain, seed + 1, special)
    if special:
        references = near(x[:, None], references, seed + 2)
    args, kwargs = row.arguments(draw), row.options(draw)
    available = made_of_input(draw, row.square)
    needed, ahead = set(), list(names_in([args]))
    while ahead:
        name = ahead.pop()
        if name in available and name not in needed:
            needed.add(name)
            ahead += names_in([available[name][1]])
    made = [(name, *operation, {}) for name, operation in available.items() if name in needed]
    made.append(("y", target, args, kwargs))
    x, references = x.to(dtype), references.to(dtype)
    graph, y = graph_of(made, draw, x)
    if y.dtype == torch.bool:
        made.append(("number", aten._to_copy.default, (Name("y"),), {"dtype": dtype}))
        graph, _ = graph_of(made, draw, x)
    elif y.is_complex():
        made.append(("parts", aten.view_as_real.default, (Name("y"),), {}))
        graph, _ = graph_of(made, draw, x)
    return Made(graph, x, references, held(1, draw.channels, draw.positions, dtype), dtype)


def named(target: Any) -> str:
    """Return an operation's name, and the number of the result if there are several."""
    return f"{target.operation} {target.index}" if isinstance(target, Result) else str(target)


def both_sides(made: Made, runner: Runner, *, shared: bool = False) -> tuple[Any, Any]:
    """Return the runs of the sequences and of their references, or of the first's if they are ``shared``."""
    sequences = runner.forward(made.inputs(made.x), carry=shared)
    flat = made.references[0] if shared else made.references.flatten(0, 1)
    return sequences, runner.forward(made.inputs(flat), carry=not shared)


def multipliers_of(made: Made, rule: str) -> Tensor:
    """Return the multipliers of all pairs, (n r, ...), for one random weighting of the outputs."""
    runner, r = made.runner(rule), made.references.shape[1]
    with torch.no_grad():
        sequences, compared = both_sides(made, runner)
        y0 = runner.output(compared)
        seed = torch.randn(y0.shape, generator=torch.Generator().manual_seed(0), dtype=y0.dtype)
        return multipliers(runner, Pairs(runner.layout, sequences, compared, compared, r), seed)
