"""Every operation of the registry is exact by itself: summation-to-delta, and autograd's where linear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from operation_table import LINEAR_ROWS, OVER_ALL_ROWS, ROWS, Draw, Row
from operation_values import held, made_of_input
from torch import Tensor

from genolift.engine.backward import multipliers
from genolift.engine.graph import (
    Graph,
    Name,
    Operation,
    Result,
    UnsupportedOperation,
    aten,
    execute,
    names_in,
    with_dependence,
)
from genolift.engine.kinds import Elementwise, Linear
from genolift.engine.operations import FIRST, JOINT, PRODUCTS, RECURRENT, SUMS, SUMS_BUT, entry_of
from genolift.engine.plan import make_plan
from genolift.engine.run import Pairs, Runner

EXAMPLES = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SPECIAL = torch.tensor([0.0, 0.5, -0.5, 3.0, -3.0, 1.0], dtype=torch.float64)
BAR = {torch.float64: 1e-9, torch.float32: 1e-5}
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
    """Return references that equal some of the inputs' values, and miss others by a hair."""
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
    """Return operations as a graph, with the axis of the rows found by running 2 and 3 of them."""
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


def make(target: Any, row: Row, data: st.DataObject, dtype: torch.dtype, *, special: bool = True) -> Made:
    draw = Draw(data, dtype)
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


def largest_loss(made: Made, rule: str, *, shared: bool = False) -> float:
    """The largest difference of sum m dx and sum seed dy, over the size of what is summed."""
    runner, (n, r) = made.runner(rule), made.references.shape[:2]
    with torch.no_grad():
        sequences = runner.forward(made.inputs(made.x), carry=shared)
        flat = made.references[0] if shared else made.references.flatten(0, 1)
        compared = runner.forward(made.inputs(flat), carry=not shared)
        y, y0 = runner.output(sequences), runner.output(compared)
        generator = torch.Generator().manual_seed(0)
        axis, worst = runner.known.axis[runner.graph.output], 0.0

        def each(tensor: Tensor, rows: int) -> Tensor:
            facing = runner.facing(tensor, runner.graph.output, rows, 1)
            return facing.movedim(axis + 1, 0).flatten(1).double()

        for k in range(r) if shared else (None,):
            number = n if shared else n * r
            pairs = Pairs(sequences, compared, sequences if shared else compared, 1 if shared else r, k)
            like = y if shared else y0
            seed = torch.randn(like.shape, generator=generator, dtype=like.dtype)
            m = multipliers(runner, pairs, seed, again=shared and k < r - 1).double()
            x = made.x if shared else made.x.repeat_interleave(r, 0)
            x0 = made.references[0, k : k + 1] if shared else flat
            outgoing = (m * (x - x0).double()).flatten(1).sum(1)
            one, two = each(y, n), each(y0, r if shared else n * r)
            one = one if shared else one.repeat_interleave(r, 0)
            two = two[k : k + 1] if shared else two
            weights = each(seed, number)
            incoming = (weights * (one - two)).sum(1)
            scale = (weights.abs() * (one.abs() + two.abs())).sum(1) + 1
            assert torch.isfinite(m).all()
            worst = max(worst, float(((outgoing - incoming).abs() / scale).max()))
    return worst


def named(target: Any) -> str:
    """Return an operation's name, and which of its results."""
    return f"{target.operation} {target.index}" if isinstance(target, Result) else str(target)


EVERY = pytest.mark.parametrize("target", ROWS, ids=named)


@EVERY
@given(data=st.data())
@EXAMPLES
def test_contributions_sum_to_the_difference(target: Any, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([torch.float64, torch.float32]))
    made = make(target, ROWS[target], data, dtype)
    for rule in ("rescale", "revealcancel"):
        assert largest_loss(made, rule) < BAR[dtype]
    assert largest_loss(made, "rescale", shared=True) < BAR[dtype]


@pytest.mark.parametrize("target", [each for each in ROWS if each is not aten.heaviside.default], ids=named)
@given(data=st.data())
@EXAMPLES
def test_the_gradient_rule_and_every_linear_operation_are_those_of_autograd(
    target: Any, data: st.DataObject
) -> None:
    # torch has no derivative of heaviside.
    made = make(target, ROWS[target], data, torch.float64, special=False)
    leaf = made.x.clone().requires_grad_()
    run: dict[str, Any] = dict(made.graph.constants)
    run.update(zip(made.graph.inputs, made.inputs(leaf), strict=True))
    for operation in made.graph.operations:
        run[operation.name] = execute(operation, run)
    y = run[made.graph.output]
    seed = torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=y.dtype)
    expected = torch.zeros_like(leaf)
    if y.requires_grad:
        (found,) = torch.autograd.grad(y, leaf, seed, allow_unused=True)
        expected = expected if found is None else found
    entries = [
        entry_of(operation, made.graph.dependent)
        for operation in made.graph.operations
        if operation.name in made.graph.dependent
    ]
    linear = target in LINEAR_ROWS and all(isinstance(entry, Linear) for entry in entries)
    for rule in ("gradient", "rescale", "revealcancel") if linear else ("gradient",):
        runner = made.runner(rule)
        with torch.no_grad():
            sequences = runner.forward(made.inputs(made.x), carry=True)
            m = multipliers(runner, Pairs(sequences, sequences, sequences, 1), seed)
        torch.testing.assert_close(m, expected, rtol=1e-9, atol=1e-9)


BETWEEN = [
    target
    for target in ROWS
    if isinstance(FIRST.get(target) or JOINT.get(target) or SUMS.get(target), (Linear, Elementwise))
]


@pytest.mark.parametrize("target", BETWEEN, ids=named)
@given(data=st.data())
@EXAMPLES
def test_the_spread_passes_between_a_weighted_layer_and_revealcancel(
    target: Any, data: st.DataObject
) -> None:
    made = make(target, ROWS[target], data, torch.float64)
    y = next(operation for operation in made.graph.operations if operation.name == "y")
    if made.graph.output != "y" or made.x.dim() != 3:
        return  # complex values, truth values and windows over two axes have no activation behind them
    channels = made.x.shape[1]
    weight = torch.randn(
        channels, channels, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    if ROWS[target].domain != "real":
        return  # a weighted layer's values leave the domain of such a function
    first = Operation(
        Name("weighted"), aten.convolution.default,
        (Name("x"), Name("weight"), None, [1], [0], [1], False, [0], 1), {}, "", 0, made.x[0].numel(),
        torch.float64,
    )  # fmt: skip
    rename = {Name("x"): Name("weighted")}
    behind = [_renamed(operation, rename) for operation in made.graph.operations]
    last = Operation(
        Name("end"), aten.tanh.default, (Name("y"),), {}, "", y.batch_axis, y.row_numel, torch.float64
    )
    graph = Graph(
        (first, *behind, last), {**made.graph.constants, "weight": weight}, made.graph.inputs, Name("end"),
        Name("x"), frozenset(),
    )  # fmt: skip
    made = Made(with_dependence(graph), made.x, made.references, made.held, made.dtype)
    assert largest_loss(made, "revealcancel") < 1e-9
    assert largest_loss(made, "genomics-default") < 1e-9


def _renamed(operation: Operation, names: dict[Name, Name]) -> Operation:
    def renamed(value: Any) -> Any:
        if isinstance(value, Name):
            return names.get(value, value)
        return type(value)(map(renamed, value)) if isinstance(value, (list, tuple)) else value

    return Operation(
        operation.name, operation.target, renamed(operation.args), operation.kwargs, "",
        operation.batch_axis, operation.row_numel, operation.dtype,
    )  # fmt: skip


def test_every_operation_of_the_registry_has_a_row_and_no_other_has() -> None:
    registered = set().union(FIRST, SUMS, SUMS_BUT, PRODUCTS, JOINT, RECURRENT) | {aten.div.Tensor}
    assert registered - OVER_ALL_ROWS == set(ROWS)


def refused(target: Any, *args: Any, dtype: torch.dtype = torch.float32, axis: int | None = 0) -> str:
    operation = Operation(Name("y"), target, args, {}, "model.py:3 `y = ...`", axis, 4, dtype)
    with pytest.raises(UnsupportedOperation) as error:
        entry_of(operation, frozenset({Name("x"), Name("u")}))
    return str(error.value)


def test_what_has_no_exact_rule_is_refused_by_name() -> None:
    x, u = Name("x"), Name("u")
    assert "model.py:3 `y = ...`: no exact rule is known for the operation cumprod" in refused(
        aten.cumprod.default, x, 1
    )
    assert "with whole numbers as its result" in refused(aten._to_copy.default, x, dtype=torch.int64)
    assert "with whole numbers" in refused(aten.sum.dim_IntList, x, [1], dtype=torch.int64)
    assert "more than one argument that depends on the input" in refused(aten.gather.default, x, 1, u)
    assert "more than one argument" in refused(aten.index_put.default, x, [None, u], Name("constant"))
