"""The names that the config and the flags offer are those in the registries."""

from __future__ import annotations

from typing import get_args

from genolift.engine.rules.composites import COMPOSITES
from genolift.explain.explainer import PRECISIONS
from genolift.references.makers import KINDS
from genolift.settings.sections import AnyRule, Precision, ReferenceKind, Rule


def test_the_config_offers_the_rules_that_sum_up_and_a_command_all() -> None:
    assert set(get_args(Rule)) == {name for name, composite in COMPOSITES.items() if composite.rule.sums_up}
    assert set(get_args(AnyRule)) == set(COMPOSITES)


def test_the_config_offers_every_precision() -> None:
    assert get_args(Precision) == PRECISIONS


def test_the_config_offers_every_kind_of_reference() -> None:
    assert set(get_args(ReferenceKind)) == set(KINDS)
