"""Every operation of the registry is exact by itself: summation-to-delta, and autograd where it is linear."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from one_operation import Made, both_sides, make, named
from operation_table import LINEAR_ROWS, OVER_ALL_ROWS, ROWS, Draw
from refusals import refused_by
from torch import Tensor

from genolift.engine.graph.graph import (
    Graph,
    Name,
    Operation,
    UnsupportedOperation,
    aten,
    execute,
    with_dependence,
)
from genolift.engine.kinds.elementwise import Elementwise
from genolift.engine.kinds.linear import Linear
from genolift.engine.kinds.pairs import Pairs
from genolift.engine.registry import FIRST, JOINT, PRODUCTS, RECURRENT, SUMS, SUMS_BUT, kind_of
from genolift.engine.run.backward import multipliers

EXAMPLES = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
BAR = {torch.float64: 1e-9, torch.float32: 1e-5}


def largest_loss(made: Made, rule: str, *, shared: bool = False) -> float:
    """The largest difference between sum m dx and sum seed dy, over the size of the terms."""
    runner, (n, r) = made.runner(rule), made.references.shape[:2]
    with torch.no_grad():
        sequences, compared = both_sides(made, runner, shared=shared)
        y, y0 = runner.output(sequences), runner.output(compared)
        generator = torch.Generator().manual_seed(0)
        axis, worst = runner.layout.axis[runner.graph.output], 0.0

        def each(tensor: Tensor, rows: int) -> Tensor:
            facing = runner.layout.broadcast(tensor, runner.graph.output, rows, 1)
            return facing.movedim(axis + 1, 0).flatten(1).double()

        for k in range(r) if shared else (None,):
            number = n if shared else n * r
            carrier = sequences if shared else compared
            pairs = Pairs(runner.layout, sequences, compared, carrier, 1 if shared else r, k)
            like = y if shared else y0
            seed = torch.randn(like.shape, generator=generator, dtype=like.dtype)
            m = multipliers(runner, pairs, seed, again=shared and k < r - 1).double()
            x = made.x if shared else made.x.repeat_interleave(r, 0)
            x0 = made.references[0, k : k + 1] if shared else made.references.flatten(0, 1)
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


EVERY = pytest.mark.parametrize("target", ROWS, ids=named)


@EVERY
@given(data=st.data())
@EXAMPLES
def test_contributions_sum_to_the_difference(target: Any, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([torch.float64, torch.float32]))
    made = make(target, ROWS[target], Draw(data, dtype))
    for rule in ("rescale", "revealcancel"):
        assert largest_loss(made, rule) < BAR[dtype]
    assert largest_loss(made, "rescale", shared=True) < BAR[dtype]


@pytest.mark.parametrize("target", [each for each in ROWS if each is not aten.heaviside.default], ids=named)
@given(data=st.data())
@EXAMPLES
def test_the_gradient_rule_and_every_linear_operation_are_those_of_autograd(
    target: Any, data: st.DataObject
) -> None:
    # torch has no derivative for heaviside
    made = make(target, ROWS[target], Draw(data, torch.float64), special=False)
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
        kind_of(operation, made.graph.dependent)
        for operation in made.graph.operations
        if operation.name in made.graph.dependent
    ]
    linear = target in LINEAR_ROWS and all(isinstance(entry, Linear) for entry in entries)
    for rule in ("gradient", "rescale", "revealcancel") if linear else ("gradient",):
        runner = made.runner(rule)
        with torch.no_grad():
            sequences = runner.forward(made.inputs(made.x), carry=True)
            m = multipliers(runner, Pairs(runner.layout, sequences, sequences, sequences, 1), seed)
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
    made = make(target, ROWS[target], Draw(data, torch.float64))
    y = next(operation for operation in made.graph.operations if operation.name == "y")
    if made.graph.output != "y" or made.x.dim() != 3:
        return  # complex values, booleans and windows over two axes are not followed by an activation
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
    return refused_by(lambda: kind_of(operation, frozenset({Name("x"), Name("u")})), UnsupportedOperation)


def test_what_has_no_exact_rule_is_refused_by_name() -> None:
    x, u = Name("x"), Name("u")
    assert "model.py:3 `y = ...`: no exact rule is known for the operation cumprod" in refused(
        aten.cumprod.default, x, 1
    )
    assert "with whole numbers as its result" in refused(aten._to_copy.default, x, dtype=torch.int64)
    assert "with whole numbers" in refused(aten.sum.dim_IntList, x, [1], dtype=torch.int64)
    assert "more than one argument that depends on the input" in refused(aten.gather.default, x, 1, u)
    assert "more than one argument" in refused(aten.index_put.default, x, [None, u], Name("constant"))
