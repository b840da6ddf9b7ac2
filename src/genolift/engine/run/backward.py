"""The backward pass: multipliers from the output to the input, each operation by its kind and rule.

Sources: Shrikumar et al. 2017 (arXiv 1704.02685), sections 3.3 to 3.5; the multipliers of a value's
positive and negative parts are carried as their mean and half difference.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genolift.engine.backends import loops
from genolift.engine.graph.graph import Name, aten, execute, fill_in
from genolift.engine.kinds.composed import Compared
from genolift.engine.kinds.kinds import Composed, Elementwise, Joint, Linear, Product, Registered, Selection
from genolift.engine.kinds.shapley import shapley_values
from genolift.engine.plan import Step
from genolift.engine.rules.rules import RESCALE, Function
from genolift.engine.run.preparation import computes_again
from genolift.engine.run.run import FACING_AXES, Activations, Pairs, Runner, Transpose, as_leaf, passed_back
from genolift.engine.run.sides import Sides


def multipliers(runner: Runner, pairs: Pairs, seed: Tensor, *, again: bool = False) -> Tensor:
    """Return the multipliers of the value that contributions are read at, (pairs, *event).

    ``seed`` is those of the output, (pairs, ...); with ``again`` what is carried stays for another backward.
    """
    return Backward(runner, pairs, again).run(seed)


class Backward:
    """One pass: of every value a = (m+ + m-) / 2, and b = (m+ - m-) / 2 where its spread is kept."""

    def __init__(self, runner: Runner, pairs: Pairs, again: bool) -> None:
        self.runner, self.pairs, self.again = runner, pairs, again
        self.plan = runner.plan
        self.n, self.r = pairs.sequences.rows, pairs.r
        self.waiting: dict[str, tuple[Tensor, Tensor | None]] = {}
        self.spread = pairs.spread
        self.spread_transposes = pairs.spread_transposes
        self.sides = Sides(runner, pairs)

    def run(self, seed: Tensor) -> Tensor:
        """Return the multipliers of the value that contributions are read at."""
        for step in self.plan.steps:
            name = step.operation.name
            if name in self.plan.carries_spread and name not in self.spread:
                self._spread_forward(step)
        output, start = self.plan.graph.output, self.plan.graph.read
        self.waiting[output] = seed, None
        for step in reversed(self.plan.steps):
            arrived = self.waiting.pop(step.operation.name, None)
            if arrived is None:
                continue
            self._pass(step, *arrived)
            if not self.again:
                self._free(step.operation.name)
        if start in self.waiting:
            return self.waiting[start][0]
        return torch.zeros_like(self.runner.difference(self.pairs, start))  # cut off, as by a comparison

    def _free(self, name: Name) -> None:
        """Drop a value of the pairs that no operation needs any more, so that its memory is used again."""
        self.spread.pop(name, None)
        if name not in (self.plan.graph.output, self.plan.graph.read) and self.pairs.frees:
            self.pairs.references.values.pop(name, None)

    def _pass(self, step: Step, a: Tensor, b: Tensor | None) -> None:
        """Bring the multipliers of an operation's result to its arguments."""
        passing = {
            Linear: self._linear,
            Elementwise: self._elementwise,
            Product: self._product,
            Selection: self._selection,
            Joint: self._joint,
            Composed: self._composed,
            Registered: self._registered,
        }[type(step.entry)]
        passing(step, a, b)

    def _send(self, name: str, a: Tensor, b: Tensor | None = None, *, anew: bool = False) -> None:
        """Add to the multipliers of ``name``; where its spread is not kept, its one part is dx itself.

        ``anew`` says that a is memory of its own, which may be written over.
        """
        if b is not None and name not in self.plan.carries_spread:
            a, b = self.sides.signed(name, a, b), None
        if name in self.waiting:
            before_a, before_b = self.waiting[name]
            # A sum is laid out as its first term; what went through a layer last is laid out as values are.
            if a.dtype == torch.bfloat16:
                a = loops.add_half(before_a, a) if loops.fit(before_a) else a + before_a
            else:
                a = a.add_(before_a) if anew and a.dtype == before_a.dtype else a + before_a
            b = before_b if b is None else b if before_b is None else b + before_b
        elif name not in self.runner.known.stays_half:
            a = self._whole(a)
        self.waiting[name] = a, b

    def _whole(self, a: Tensor) -> Tensor:
        """Return multipliers that a weighted layer passed in half precision in that of the rest."""
        return a.to(self.runner.dtype) if a.dtype == torch.bfloat16 else a

    def _spread_of(self, name: str) -> Tensor:
        return self.spread[name] if name in self.spread else self.sides.size_of_difference(name)

    def _spread_forward(self, step: Step) -> None:
        operation, entry = step.operation, step.entry
        if isinstance(entry, Elementwise):
            self.spread[operation.name] = self._elementwise_spread(step)
            return
        assert isinstance(entry, Linear)
        # A weighted layer splits its net difference afresh: the parts of dx are not used (section 3.5.1).
        source = self.sides.size_of_difference if entry.weighted else self._spread_of
        spreads: dict[str, Tensor] = {name: source(name) for name in self.runner.dependent(operation)}
        values: dict[str, Any] = {**self.runner.constants, **self.pairs.carrier.values}
        self.spread[operation.name], self.spread_transposes[operation.name] = self.runner.absolute(
            step, spreads, values
        )

    def _linear(self, step: Step, a: Tensor, b: Tensor | None) -> None:
        name = step.operation.name
        transposes = self.pairs.carrier.transposes
        sources = self.runner.dependent(step.operation)
        # A sum of values alike has no transpose.
        back = self._passed_back(transposes, name, a) if name in transposes else (a,) * len(sources)
        back_b: tuple[Tensor | None, ...] = (None,) * len(back)
        if b is not None:
            back_b = tuple(self._whole(each) for each in self._passed_back(self.spread_transposes, name, b))
        weighted = isinstance(step.entry, Linear) and step.entry.weighted is not None
        for source, a_in, b_in in zip(sources, back, back_b, strict=True):
            if b_in is not None and weighted:
                a_in, b_in = self.sides.signed(source, self._whole(a_in), b_in), None
            self._send(source, a_in, b_in, anew=weighted)

    def _passed_back(self, transposes: dict[str, Transpose], name: str, a: Tensor) -> tuple[Tensor, ...]:
        transpose = transposes[name] if self.again else transposes.pop(name)
        return passed_back(transpose, a, again=self.again)

    def _compared(self, step: Step) -> tuple[Name, Function, Tensor, Tensor, Tensor, Tensor]:
        operation, runner, pairs = step.operation, self.runner, self.pairs
        (name,) = runner.dependent(operation)
        function = self._function(step, name)
        again = computes_again(step) and operation.name not in pairs.sequences.values
        x = runner.sequence(pairs, name)
        y = function.value(x) if again else runner.sequence(pairs, operation.name)
        if self.plan.uses_reference:
            x0 = runner.reference(pairs, name)
            y0 = function.value(x0) if again else runner.reference(pairs, operation.name)
        else:
            x0, y0 = x, y
        return name, function, x, x0, y, y0

    def _function(self, step: Step, name: Name) -> Function:
        entry, operation = step.entry, step.operation
        assert isinstance(entry, Elementwise)

        def value(z: Tensor) -> Tensor:
            # On rows, as the model computes it, since its constants broadcast against those.
            at = self.runner.known.axis[name] + 1
            count = z.shape[at], z.shape[at + 1]
            values = {
                **self.runner.constants,
                **self.pairs.carrier.values,
                name: self.runner.rows(z, name, *count),
            }
            result = self.runner.number(execute(operation, values))
            return self.runner.facing(result, operation.name, *count)

        def slope(z: Tensor) -> Tensor:
            if entry.derivative is not None:
                return entry.derivative(z)
            with torch.enable_grad():
                leaf = as_leaf(z)
                return torch.autograd.grad(value(leaf).sum(), leaf)[0]

        return Function(value, slope, entry.curved, entry.kinks)

    def _elementwise_spread(self, step: Step) -> Tensor:
        name, function, x, x0, y, y0 = self._compared(step)
        spread = self.runner.facing(self._spread_of(name), name, self.n, self.r)
        assert step.rule is not None
        if step.rule.uses_spread:
            _, _, plus, minus = step.rule.parts(function, x, x0, y, y0, spread)
            result = plus - minus
        else:
            result = spread * self._ratio(step, function, x, x0, y, y0).abs()
        return self.runner.rows(result, step.operation.name, self.n, self.r)

    def _ratio(self, step: Step, function: Function, *values: Tensor) -> Tensor:
        assert step.rule is not None
        x, x0, y, y0 = values
        return step.rule.multiply(function, x, x0, y, y0, torch.ones((), dtype=x.dtype, device=x.device))

    def _elementwise(self, step: Step, a: Tensor, b: Tensor | None) -> None:
        if self._elementwise_by_loops(step, a, b):
            return
        name, function, x, x0, y, y0 = self._compared(step)
        output, n, r = step.operation.name, self.n, self.r
        a = self.runner.facing(a, output, n, r)
        b = None if b is None else self.runner.facing(b, output, n, r)
        assert step.rule is not None
        if step.rule.uses_spread:
            spread = self.runner.facing(self._spread_of(name), name, n, r)
            m_plus, m_minus, *_ = step.rule.parts(function, x, x0, y, y0, spread)
            m_plus, m_minus = m_plus * (a if b is None else a + b), m_minus * (a if b is None else a - b)
            a, b = (m_plus + m_minus) / 2, (m_plus - m_minus) / 2
        else:
            a = step.rule.multiply(function, x, x0, y, y0, a)
            b = None if b is None else b * self._ratio(step, function, x, x0, y, y0).abs()
        self._send(
            name, self.runner.rows(a, name, n, r), None if b is None else self.runner.rows(b, name, n, r)
        )

    def _elementwise_by_loops(self, step: Step, a: Tensor, b: Tensor | None) -> bool:
        """Pass multipliers through a function by one compiled loop, where there is one for it."""
        (name,) = self.runner.dependent(step.operation)
        relu = step.operation.target is aten.relu.default
        assert step.rule is not None
        reveals = relu and step.rule.loops == "reveal_cancel"
        rescales = step.rule.loops == "rescale" and b is None
        facing = self.sides.facing(name) if reveals or rescales else None
        if facing is None:
            return False
        if reveals:
            self._send(name, *facing.reveal_cancel_relu(self._spread_of(name), a, b))
        elif relu:
            self._send(name, facing.rescale_relu(a), anew=True)
        elif isinstance(facing, loops.Facing) and facing.takes(a) and not getattr(step.entry, "kinks", ()):
            self._send(name, self._rescaled_by_loops(step, facing, a))
        else:
            return False
        return True

    def _rescaled_by_loops(self, step: Step, facing: loops.Facing, a: Tensor) -> Tensor:
        operation, pairs = step.operation, self.pairs
        y, y0 = (
            self.runner.number(each.values[operation.name]) for each in (pairs.sequences, pairs.references)
        )
        name, function, x, x0, *_ = self._compared(step)
        y0 = self.sides.of_references(y0)
        result, tiny = facing.rescale(function, y, y0, a)
        if not tiny:
            return result
        by_slope = self.runner.facing(a, operation.name, self.n, self.r) * RESCALE.slope(function, x, x0)
        return torch.where(result.isnan(), self.runner.rows(by_slope, name, self.n, self.r), result)

    def _product(self, step: Step, a: Tensor, b: Tensor | None) -> None:
        """d(u v) = (u + u0)/2 dv + (v + v0)/2 du: the derivative half way, exact for what is bilinear."""
        runner, pairs, operation = self.runner, self.pairs, step.operation
        leaves: dict[str, Tensor] = {}
        for source in runner.dependent(operation):
            x = runner.sequence(pairs, source)
            if self.plan.uses_reference:
                middle = (x + runner.reference(pairs, source)) / 2
            else:
                middle = x * self.plan.share_of_product
            leaves[source] = as_leaf(runner.rows(middle, source, self.n, self.r))
        values: dict[str, Any] = {**runner.constants, **pairs.carrier.values, **leaves}
        with torch.enable_grad():
            result = execute(operation, values)
        for name, a_in in zip(leaves, torch.autograd.grad(result, list(leaves.values()), a), strict=True):
            self._send(name, a_in)

    def _joint(self, step: Step, a: Tensor, b: Tensor | None) -> None:
        """Credit each argument with its Shapley value: its change, averaged over orders of changing them."""
        runner, operation = self.runner, step.operation
        names = runner.dependent(operation)
        values: dict[str, Any] = {**runner.constants, **self.pairs.carrier.values}
        if not self.plan.uses_reference:
            self._derivative(step, a, values)
            return
        inputs: dict[str, Tensor] = {name: self.sides.rows(self.pairs.sequences, name) for name in names}
        references: dict[str, Tensor] = {name: self.sides.rows(self.pairs.references, name) for name in names}

        def compute(changed: frozenset[str]) -> Tensor:
            there = {name: (inputs if name in changed else references)[name] for name in names}
            return runner.number(execute(operation, values | there))

        for name, change in shapley_values(names, compute).items():
            self._send(
                name, a * _share(change, runner.number(inputs[name]) - runner.number(references[name]))
            )

    def _derivative(self, step: Step, a: Tensor, values: dict[str, Any]) -> None:
        names = self.runner.dependent(step.operation)
        rows = {name: self.sides.rows(self.pairs.sequences, name) for name in names}
        leaves = {name: as_leaf(row) for name, row in rows.items() if row.is_floating_point()}
        with torch.enable_grad():
            result = execute(step.operation, values | rows | leaves)
        if not result.requires_grad:
            return
        back = torch.autograd.grad(result, list(leaves.values()), a, allow_unused=True)
        for name, gradient in zip(leaves, back, strict=True):
            self._send(name, torch.zeros_like(leaves[name]) if gradient is None else gradient)

    def _composed(self, step: Step, a: Tensor, b: Tensor | None) -> None:
        """Run the operation's program on input and reference at once; autograd follows the change."""
        runner, pairs, operation = self.runner, self.pairs, step.operation
        entry = step.entry
        assert isinstance(entry, Composed)
        assert step.rule is not None
        leaves: dict[str, Tensor] = {}
        compared: dict[str, Any] = {**runner.constants}
        axis = 0
        for name in operation.inputs:
            if name in runner.constants:
                continue
            x = runner.sequence(pairs, name)
            x0 = runner.reference(pairs, name) if self.plan.uses_reference else x
            change = torch.zeros(torch.broadcast_shapes(x.shape, x0.shape), dtype=x.dtype, device=x.device)
            if name in runner.graph.dependent:
                axis = runner.known.axis[name]
                leaves[name] = change.requires_grad_(True)
            compared[name] = Compared(x, x0, change)
        with torch.enable_grad():
            result = entry.program(fill_in(operation.args, compared), axis, FACING_AXES, step.rule).change
        seed = runner.facing(a, operation.name, self.n, self.r)
        back = torch.autograd.grad(result, list(leaves.values()), seed.expand_as(result))
        for source, change in zip(leaves, back, strict=True):
            self._send(source, runner.rows(change, source, self.n, self.r))

    def _registered(self, step: Step, a: Tensor, b: Tensor | None) -> None:
        runner, operation = self.runner, step.operation
        entry = step.entry
        assert isinstance(entry, Registered)
        (name,) = runner.dependent(operation)
        values: dict[str, Any] = {**runner.constants, **self.pairs.carrier.values}
        x = self.sides.rows(self.pairs.sequences, name)
        x0 = self.sides.rows(self.pairs.references, name) if self.plan.uses_reference else x
        result = entry.multiplier(lambda z: execute(operation, values | {name: z}), x, x0, a)
        self._send(name, result)

    def _selection(self, step: Step, a: Tensor, b: Tensor | None) -> None:
        """Credit the input's maximum with what raises the output, the reference's with what lowers it.

        With i the input's maximum and j the reference's, y - y0 = [max(y, y0) - y0] + [y - max(y, y0)]; the
        first bracket goes to i, where dx is at least as large, the second to j (Lundberg & Lee 2017,
        DeepExplainer); of minima the other way round. Where i is j both are the whole of dx.
        """
        entry, operation, runner = step.entry, step.operation, self.runner
        assert isinstance(entry, Selection)
        (name,) = runner.dependent(operation)
        args = (None, *fill_in(operation.args[1:], runner.constants))
        if entry.pool:
            facing, chosen = self.sides.facing(name), self._chosen(step)
            if isinstance(facing, loops.Facing) and facing.selects_in(entry.spatial):
                self._send(name, facing.select_largest(*chosen, a, entry.spatial))
                return
        x = self.sides.rows(self.pairs.sequences, name)
        flat = entry.window(x, args)
        back = entry.flatten_output(a, x, args)
        i = self._index(entry, step, self.pairs.sequences, x, args)
        if self.plan.uses_reference:
            x0 = self.sides.rows(self.pairs.references, name)
            flat0 = entry.window(x0, args)
            j = self._index(entry, step, self.pairs.references, x0, args)
            y, y0 = runner.number(flat.gather(-1, i)), runner.number(flat0.gather(-1, j))
            flat, flat0 = runner.number(flat), runner.number(flat0)
            if entry.smallest:
                i, j = j, i
            higher = torch.maximum(y, y0)
            gained = _share(higher - y0, (flat - flat0).gather(-1, i))
            lost = _share(y - higher, (flat - flat0).gather(-1, j))
            gained = torch.where(i == j, torch.ones_like(gained), gained)
            lost = torch.where(i == j, torch.zeros_like(lost), lost)
            result = (
                torch.zeros_like(flat).scatter_add_(-1, i, back * gained).scatter_add_(-1, j, back * lost)
            )
        else:
            result = torch.zeros_like(runner.number(flat)).scatter_add_(-1, i, back)
        self._send(name, entry.unwindow(result, x, args).contiguous())

    def _chosen(self, step: Step) -> tuple[Tensor, Tensor]:
        """Return where a pool's maxima of sequences and of references were."""
        name, pairs = step.operation.name, self.pairs
        chosen0 = pairs.references.chosen[name]
        return pairs.sequences.chosen[name], chosen0 if pairs.shared is None else chosen0[[pairs.shared]]

    def _index(
        self, entry: Selection, step: Step, activations: Activations, x: Tensor, args: tuple[Any, ...]
    ) -> Tensor:
        """Return where the outputs of every pair were chosen on the window's axis."""
        if not entry.pool:
            return entry.choose(x, args)
        chosen = activations.chosen[step.operation.name]
        return entry.flatten_output(self.sides.every_pair(chosen, activations, step.operation.name), x, args)


def _share(part: Tensor, dx: Tensor) -> Tensor:
    # Where dx is 0 a part is rounding noise: the same numbers may be added up in another order.
    none = (part == 0) | (dx == 0)
    return torch.where(none, torch.zeros_like(part), part / torch.where(none, torch.ones_like(dx), dx))
