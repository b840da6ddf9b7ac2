"""The text of a target: what it means, and how what cannot be read is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused_by

from genolift.targets.grammar import Reduction, Term, parsed

READ = {
    "3": [Term(("3",))],
    "[3]": [Term((), (3,))],
    '["3"]': [Term((), ("3",))],
    "GATA1": [Term(("GATA1",))],
    " [3, sum(:)] ": [Term((), (3, Reduction("sum")))],
    "[3,sum( 2 : 5 )]": [Term((), (3, Reduction("sum", 2, 5)))],
    "human[mean(440:456), 12]": [Term(("human",), (Reduction("mean", 440, 456), 12))],
    "[logsumexp(:7), mean(2:)]": [Term((), (Reduction("logsumexp", 0, 7), Reduction("mean", 2)))],
    "atac.128[1] - atac.128[0]": [Term(("atac", "128"), (1,)), Term(("atac", "128"), (0,))],
    "'GATA1 rep-2' - \"K562, 24 h\"": [Term(("GATA1 rep-2",)), Term(("K562, 24 h",))],
    "head['a, b', c]": [Term(("head",), ("a, b", "c"))],
    "a.'b.c'[0]": [Term(("a", "b.c"), (0,))],
    "'a[0] - b'[1]": [Term(("a[0] - b",), (1,))],
}

NOT_READ = {
    "": "cannot be read at its end; write a target such as 3",
    "[3, 2:4]": "'2:4' is a slice, and not one number; write sum(2:4), mean(2:4), logsumexp(2:4)",
    "[:]": "':' is a slice, and not one number; write sum(:), mean(:), logsumexp(:)",
    "[-1, 2]": "-1 has a sign; count from the axis's start, from 0",
    "[sum(-4:)]": "sum(-4:) has a sign",
    "[sum(4:4)]": "sum(4:4) is empty; give a slice a:b with a below b",
    "[sum(4)]": "sum(4) names no slice; write sum(a:b), or sum(:) for all",
    "[sum(0:9:2)]": "names no slice",
    "[max(:)]": "there is no max(...); choose one of sum, mean, logsumexp",
    "[3, 2]-[1, 2]": "spaces around a difference's -",
    "a - b - c": "subtracts more than once; give a difference of two",
    "a -": "cannot be read",
    "GATA1 rep-2": "quotes around a name with . [ ] ( ) , : - or spaces",
    "[3": "a bracket is not closed",
    "[3,]": "a place in its brackets is empty",
    "[]": "a place in its brackets is empty",
    "a.[0]": "write a name or a number behind each dot",
    ".a": "cannot be read at '.a'",
    "a]": "cannot be read at ']'",
    "[1.5]": "'1.5' is not a place on an axis",
    "[a b]": "'a b' is not a place on an axis",
    "a[0][1]": "cannot be read at '[1]'",
}


@pytest.mark.parametrize("text", READ)
def test_a_text_means_what_the_grammar_says(text: str) -> None:
    assert list(parsed(text)) == READ[text]


@pytest.mark.parametrize("text", NOT_READ)
def test_what_cannot_be_read_is_told_with_a_remedy(text: str) -> None:
    assert NOT_READ[text] in refused_by(lambda: parsed(text))


NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=9).filter(
    lambda name: name.strip() == name and not ("'" in name and '"' in name)
)
SLICES = st.tuples(st.integers(0, 9), st.integers(1, 9) | st.none()).map(
    lambda of: (of[0], None if of[1] is None else of[0] + of[1])
)
INDICES = (
    st.integers(0, 99)
    | NAMES
    | st.builds(lambda how, of: Reduction(how, *of), st.sampled_from(["sum", "mean", "logsumexp"]), SLICES)
)
TERMS = st.builds(
    Term,
    st.lists(NAMES, max_size=3).map(tuple),
    st.lists(INDICES, min_size=1, max_size=3).map(tuple),
)


@given(st.lists(TERMS, min_size=1, max_size=2))
def test_what_is_written_out_is_read_back(terms: list[Term]) -> None:
    assert list(parsed(" - ".join(map(str, terms)))) == terms
