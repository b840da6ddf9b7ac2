"""The kinds of operation, and what the rules need to know of one of each kind. Data only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from genolift.engine.kinds.composed import Program


class Kind(Enum):
    """What an operation is in what depends on the input; it decides how multipliers pass through it."""

    LINEAR = "linear"
    ELEMENTWISE = "elementwise"
    JOINT = "elementwise of several"
    PRODUCT = "bilinear"
    SELECTION = "selection"
    COMPOSED = "composed"
    REGISTERED = "registered"


@dataclass(frozen=True)
class Linear:
    """Linear (or affine) in the arguments that depend on the input: multipliers pass by its transpose.

    ``absolute(args, dependent)`` gives the arguments of the same operation with its coefficients' absolute
    values and no constant term: what carries the spread, and the |W| of a weighted layer. None where the
    coefficients are not at hand; the spread is then made afresh behind the operation.
    ``weighted`` names the kind of layer that splits its net difference afresh (section 3.5.1).
    """

    absolute: Callable[[tuple[Any, ...], tuple[bool, ...]], tuple[Any, ...]] | None = None
    weighted: str | None = None
    kind: Kind = Kind.LINEAR


@dataclass(frozen=True)
class Elementwise:
    """One function applied to every element of one argument.

    ``derivative`` of the function where a formula is cheaper than autograd. ``curved``: "absolute" where the
    function's slope changes on a scale of about 1, "relative" where it changes on the scale of the argument,
    None where the function only selects and scales, so that differences are exact however small. ``kinks``
    are the arguments where the slope of a curved function jumps. ``activation`` is False for arithmetic (a
    root, a logarithm, an exponential, a comparison), which is no neuron: it may not be defined, or not be
    finite, at what RevealCancel adds up, and guided backprop does not stop there.
    """

    derivative: Callable[[Tensor], Tensor] | None = None
    curved: str | None = "absolute"
    kinks: tuple[float, ...] = ()
    activation: bool = True
    kind: Kind = Kind.ELEMENTWISE


@dataclass(frozen=True)
class Joint:
    """One function applied to every element of several arguments that depend on the input.

    Each argument is credited with its Shapley value: the mean over all orders in which the arguments may go
    from reference to input of the change that it makes.
    """

    kind: Kind = Kind.JOINT


@dataclass(frozen=True)
class Product:
    """Bilinear in two arguments that both depend on the input (and linear in a third, the added one)."""

    kind: Kind = Kind.PRODUCT


@dataclass(frozen=True)
class Selection:
    """Each output is one of a window of inputs.

    ``window(x, args)`` gives the input with the axes that are chosen from flattened into a last axis, and
    ``choose(x, args)`` the index on that axis of every output, (..., outputs of one window axis).
    """

    window: Callable[[Tensor, tuple[Any, ...]], Tensor]
    unwindow: Callable[[Tensor, Tensor, tuple[Any, ...]], Tensor]
    choose: Callable[[Tensor, tuple[Any, ...]], Tensor]
    flatten_output: Callable[[Tensor, Tensor, tuple[Any, ...]], Tensor]
    smallest: bool = False
    """Whether the smallest is chosen, not the largest."""
    spatial: int = 0
    """Of how many axes the window's axis is made, of a pool that itself gives indices on it; else 0."""
    kind: Kind = Kind.SELECTION

    @property
    def pool(self) -> bool:
        """Whether the operation gives, beside the maxima, their indices on the window's axis."""
        return self.spatial > 0


@dataclass(frozen=True)
class Composed:
    """A composition of the kinds above, carried out as a small program on input and reference at once.

    ``pieces`` says what it is composed of. ``recurrent`` is True where activations fed by weighted layers lie
    within, which get the rule that is asked for.
    """

    program: Program
    pieces: str
    recurrent: bool = False
    kind: Kind = Kind.COMPOSED


@dataclass(frozen=True)
class Registered:
    """An operation whose rule is a user's: see `genolift.register_rule`."""

    multiplier: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Tensor], Tensor]
    kind: Kind = Kind.REGISTERED


Entry = Linear | Elementwise | Joint | Product | Selection | Composed | Registered
