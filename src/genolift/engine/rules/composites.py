"""The names that ``rule=`` takes: which rule an activation gets, by the weighted layer that feeds it.

Most give every activation the same rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from genolift.engine.rules.rules import (
    GRADIENT,
    RESCALE,
    REVEALCANCEL,
    Deconvnet,
    GuidedBackprop,
    LrpEpsilon,
    Rule,
)
from genolift.errors import InputError


@dataclass(frozen=True)
class Composite:
    """The rule of an activation: that of the one kind of weighted layer that feeds it, else ``rule``."""

    rule: Rule
    fed_by: Mapping[str, Rule] = field(default_factory=dict)
    """The rules of activations that only one kind of weighted layer feeds: "convolution", "dense"."""

    def of_activation(self, fed_by: set[str]) -> tuple[Rule, str]:
        """Return the rule of an activation that these kinds of weighted layer feed, and why it has that."""
        if not self.fed_by:
            return self.rule, "everywhere"
        if not fed_by:
            return self.rule, "fed by no weighted layer"
        rule = self.fed_by.get(next(iter(fed_by)), self.rule) if len(fed_by) == 1 else self.rule
        layers = (f"a {layer}" if layer == "convolution" else f"a {layer} layer" for layer in sorted(fed_by))
        return rule, "fed by " + " and ".join(layers)

    def of_arithmetic(self) -> tuple[Rule, str]:
        """Return the rule of a root, a logarithm and the like, and why it has that."""
        rule = self.rule.for_arithmetic
        return rule, "" if rule is self.rule and not rule.uses_reference else "arithmetic"

    def within(self) -> Rule:
        """Return the rule of the functions that an operation, such as a recurrent layer, is composed of."""
        return self.rule if self.rule.uses_reference else GRADIENT


GENOMICS_DEFAULT = "genomics-default"
COMPOSITES: Mapping[str, Composite] = {
    # The authors' choice for genomics: Shrikumar et al. 2017, section 3.5.
    GENOMICS_DEFAULT: Composite(RESCALE, {"dense": REVEALCANCEL}),
    "rescale": Composite(RESCALE),
    "revealcancel": Composite(REVEALCANCEL),
    "gradient": Composite(GRADIENT),
    "guided-backprop": Composite(GuidedBackprop()),
    "deconvnet": Composite(Deconvnet()),
    "lrp-epsilon": Composite(LrpEpsilon()),
}


def composite_named(name: str) -> Composite:
    """Return what a name stands for.

    Raises
    ------
    InputError
        If there is no rule of that name.
    """
    if name not in COMPOSITES:
        raise InputError(
            f"there is no rule {name!r}", where="rule", remedy=f"choose one of {', '.join(COMPOSITES)}"
        )
    return COMPOSITES[name]
