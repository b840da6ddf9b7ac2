"""The rules that give multipliers to a nonlinear function, one small object each.

Every rule answers one question: what is the multiplier of a function's input, from the input x, its
reference x0, and the outputs y and y0?
Notation and sources: Shrikumar et al. 2017 (arXiv 1704.02685), sections 3.1 to 3.6.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from genolift.engine.devices import may_hold

Multipliers = tuple[Tensor, Tensor | None]
"""a = (m+ + m-) / 2, and b = (m+ - m-) / 2 where a value's parts are told apart."""
ROUNDING_UNITS = 8
"""Of the values that a part of dx comes from; a smaller part is rounding."""


@dataclass(frozen=True)
class Function:
    """An elementwise function with what a rule needs to know of it."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    curved: str | None
    """The scale on which the slope changes: "absolute", "relative" or None; see `kinds.elementwise`."""
    kinks: tuple[float, ...] = ()
    """Where the slope of a curved function jumps."""

    def changed(self, x: Tensor, x0: Tensor) -> Change:
        """Return the change from reference x0 to input x."""
        return Change(self, x, x0, self.value(x), self.value(x0))


class Change(NamedTuple):
    """A function at an input x and at its reference x0, where it is y and y0; all broadcast to one shape."""

    function: Function
    x: Tensor
    x0: Tensor
    y: Tensor
    y0: Tensor


@dataclass(frozen=True)
class Rule(ABC):
    """A rule for elementwise functions: a subclass with `multiply`, and a line in composites.py."""

    name: ClassVar[str]
    """What the rule is called in a plan."""
    uses_reference: ClassVar[bool] = True
    """Whether the multiplier depends on the reference; if not, one pass serves all references."""
    sums_up: ClassVar[bool] = True
    """Whether contributions sum to the difference in output; the workflow takes no others."""
    uses_spread: ClassVar[bool] = False
    """Whether the positive and negative parts of the input's difference are told apart; then a rule says
    `pass_back`, `spread` and `changed` in its own way.
    """
    share_of_product: ClassVar[float] = 1.0
    """What part of the derivative each factor of a product gets where no reference is used."""
    numbers_at_once: ClassVar[int] = 8
    """Tensors of the function's size that the rule holds at once, for the estimate of memory."""
    loops: ClassVar[str] = ""
    """The compiled loops that compute the rule, by name, where there are some."""

    @property
    def for_arithmetic(self) -> Rule:
        """The rule that arithmetic (a root, a logarithm) gets where activations get this one.

        RevealCancel evaluates a function where neither input nor reference is, and a root may not be defined
        there: so it is Rescale for every rule that uses the reference.
        """
        return RESCALE if self.uses_reference else self

    @abstractmethod
    def multiply(self, change: Change, a: Tensor) -> Tensor:
        """Return the multiplier of x, given the multiplier ``a`` of y."""

    def pass_back(self, change: Change, of_y: Multipliers, spread: Tensor | None) -> Multipliers:
        """Return the multipliers of x from those of y; ``spread`` is that of x."""
        a, b = of_y
        return self.multiply(change, a), None if b is None else b * self.ratio_of(change).abs()

    def spread(self, change: Change, spread: Tensor) -> Tensor:
        """Return dy+ - dy-, given dx+ - dx-."""
        return spread * self.ratio_of(change).abs()

    def changed(self, change: Change, dx: Tensor, spreads: tuple[Tensor, Tensor] | None) -> Tensor:
        """Return what a change ``dx`` of x, a part of the whole one, makes of y, within a composed operation.

        ``spreads`` are those of the whole change and of ``dx``, where they are known.
        """
        return self.ratio_of(change) * dx

    def ratio_of(self, change: Change) -> Tensor:
        """Return the multiplier of x where that of y is 1."""
        return self.multiply(change, change.x.new_ones(()))


@dataclass(frozen=True)
class Rescale(Rule):
    """m(dx) = dy / dx; where dx is tiny, the derivative (section 3.5.2).

    For a curved function and a small dx, dy / dx is rounding noise of size eps y / dx, while the derivative
    half way is off by f''' dx^2 / 24 only; the two are equal at about dx = eps^(1/3).
    """

    name = "Rescale"
    loops = "rescale"

    def ratio(self, change: Change) -> Tensor:
        """Return dy / dx, its limit where dx is tiny."""
        function, x, x0, y, y0 = change
        dx = x - x0
        tiny = dx.abs() <= _tiny(function, x, x0)
        for kink in function.kinks:
            tiny &= (x >= kink) == (x0 >= kink)
        return quotient(y - y0, dx, tiny, lambda: self.slope(change))

    def slope(self, change: Change) -> Tensor:
        """Return what stands in for dy / dx where dx is tiny."""
        function, x, x0, *_ = change
        middle = (x + x0) / 2 if function.curved else x0.expand(torch.broadcast_shapes(x.shape, x0.shape))
        # A root's slope at 0 is infinite; where dx is 0 any finite multiplier is exact.
        return torch.nan_to_num(function.slope(middle), nan=0.0, posinf=0.0, neginf=0.0)

    def multiply(self, change: Change, a: Tensor) -> Tensor:
        """Return ``a`` dy / dx."""
        return a * self.ratio(change)


@dataclass(frozen=True)
class RevealCancel(Rule):
    """The average effect of the positive part of dx before and after the negative part (section 3.5.3).

    dy+ = 1/2 [f(x0 + dx+) - f(x0)] + 1/2 [f(x0 + dx) - f(x0 + dx-)], m+ = dy+ / dx+, and likewise dy-. The
    parts are told by the spread s = dx+ - dx-: dx+ = (dx + s) / 2, dx- = (dx - s) / 2.
    """

    name = "RevealCancel"
    uses_spread = True
    numbers_at_once = 24  # the function is evaluated at six points
    loops = "reveal_cancel"

    def parts(self, change: Change, spread: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (m+, m-, dy+, dy-)."""
        function, x, x0, y, y0 = change
        dx = x - x0
        plus, minus = (dx + spread) / 2, (dx - spread) / 2
        at_plus, at_minus = function.value(x0 + plus), function.value(x0 + minus)
        dy_plus = ((at_plus - y0) + (y - at_minus)) / 2
        dy_minus = ((at_minus - y0) + (y - at_plus)) / 2
        # The parts come from a difference, so below this they are rounding noise, and the limit stands in.
        largest = torch.maximum(torch.maximum(x.abs(), x0.abs()), spread.abs())
        noise = ROUNDING_UNITS * torch.finfo(dx.dtype).eps * largest

        def multiplier(dy: Tensor, part: Tensor, other: Tensor) -> Tensor:
            slope, at = function.slope, x0.expand_as(part)
            return quotient(dy, part, part.abs() <= noise, lambda: (slope(at) + slope(x0 + other)) / 2)

        m_plus, m_minus = multiplier(dy_plus, plus, minus), multiplier(dy_minus, minus, plus)
        return m_plus, m_minus, dy_plus, dy_minus

    def pass_back(self, change: Change, of_y: Multipliers, spread: Tensor | None) -> Multipliers:
        """Return half the sum and half the difference of the multipliers of dx+ and dx-."""
        assert spread is not None
        a, b = of_y
        m_plus, m_minus, *_ = self.parts(change, spread)
        m_plus, m_minus = m_plus * (a if b is None else a + b), m_minus * (a if b is None else a - b)
        return (m_plus + m_minus) / 2, (m_plus - m_minus) / 2

    def spread(self, change: Change, spread: Tensor) -> Tensor:
        """Return dy+ - dy-."""
        _, _, plus, minus = self.parts(change, spread)
        return plus - minus

    def changed(self, change: Change, dx: Tensor, spreads: tuple[Tensor, Tensor] | None) -> Tensor:
        """Return m+ dx+ + m- dx-; where no spreads are known, as Rescale does."""
        if spreads is None:
            return super().changed(change, dx, None)
        m_plus, m_minus, *_ = self.parts(change, spreads[0])
        return (m_plus * (dx + spreads[1]) + m_minus * (dx - spreads[1])) / 2

    def multiply(self, change: Change, a: Tensor) -> Tensor:
        """Return the multiplier where dx has one part only: that of Rescale."""
        return RESCALE.multiply(change, a)


def quotient(dy: Tensor, dx: Tensor, tiny: Tensor, limit: Callable[[], Tensor]) -> Tensor:
    """Return dy / dx, and its limit where dx is too small to divide by."""
    ratio = dy / torch.where(tiny, torch.ones_like(dx), dx)
    return torch.where(tiny, limit(), ratio) if may_hold(tiny) else ratio


def small_difference(curved: str | None, dtype: torch.dtype) -> tuple[float, float]:
    """Return below what |dx| a slope stands in for a quotient: a number, and a share of |x| and |x0|."""
    limit = 0.5 * torch.finfo(dtype).eps ** (1 / 3)
    return (0.0, limit) if curved == "relative" else (limit if curved else 0.0, 0.0)


def _tiny(function: Function, x: Tensor, x0: Tensor) -> Tensor | float:
    absolute, relative = small_difference(function.curved, x.dtype)
    return relative * torch.minimum(x.abs(), x0.abs()) if relative else absolute


@dataclass(frozen=True)
class Gradient(Rule):
    """The derivative at the input, f'(x): plain backpropagation."""

    name = "gradient"
    uses_reference = sums_up = False

    def multiply(self, change: Change, a: Tensor) -> Tensor:
        """Return ``a`` f'(x)."""
        return a * change.function.slope(change.x)


@dataclass(frozen=True)
class _CutOff(Rule):
    """A rule that at an activation passes back positive values alone."""

    uses_reference = sums_up = False

    @property
    def for_arithmetic(self) -> Rule:
        """The derivative: only at activations is what comes back cut off."""
        return GRADIENT


@dataclass(frozen=True)
class GuidedBackprop(_CutOff):
    """The derivative at the input, where what comes back is positive (Springenberg et al. 2014)."""

    name = "guided-backprop"

    def multiply(self, change: Change, a: Tensor) -> Tensor:
        """Return max(``a``, 0) f'(x)."""
        return a.clamp(min=0) * change.function.slope(change.x)


@dataclass(frozen=True)
class Deconvnet(_CutOff):
    """What comes back, where it is positive (Zeiler & Fergus 2013)."""

    name = "deconvnet"

    def multiply(self, change: Change, a: Tensor) -> Tensor:
        """Return max(``a``, 0)."""
        return a.clamp(min=0)


@dataclass(frozen=True)
class LrpEpsilon(Rule):
    """Layer-wise relevance propagation with a stabiliser (Bach et al. 2015, equation 58).

    Relevance is multiplier x value. A linear layer shares its relevance by w x / z, z its sum with the bias;
    a nonlinear function hands it on, so that its multiplier is y / z (Ancona et al. 2018, proposition 1). On
    relu networks without bias this is gradient x input, but for ``epsilon``.
    """

    name = "lrp-epsilon"
    uses_reference = sums_up = False
    share_of_product = 0.5
    epsilon: float = 1e-7

    def multiply(self, change: Change, a: Tensor) -> Tensor:
        """Return ``a`` y / (x + epsilon sign(x))."""
        return a * change.y / (change.x + torch.where(change.x < 0, -self.epsilon, self.epsilon))


RESCALE = Rescale()
REVEALCANCEL = RevealCancel()
GRADIENT = Gradient()
