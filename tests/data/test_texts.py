"""Texts kept in little memory are what was put in, and names that must differ are told apart exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from genolift.data.texts import Names, Texts, occurring_once

TEXTS = st.lists(st.text(max_size=3))


@given(TEXTS)
def test_texts_are_a_list(given_texts: list[str]) -> None:
    texts = Texts()
    for text in given_texts:
        texts.append(text)
    assert list(texts) == given_texts
    assert texts[1:3] == given_texts[1:3]
    assert len(texts) == len(given_texts)


@given(TEXTS)
def test_texts_that_occur_once_are_those_that_counting_finds(texts: list[str]) -> None:
    assert occurring_once(texts).tolist() == [bool(text) and texts.count(text) == 1 for text in texts]


@given(st.lists(st.sampled_from(["a", "ab", "b", "ba", "a b", "\u00e9"])))
def test_a_name_that_was_there_is_found_with_its_number(given_names: list[str]) -> None:
    names, seen = Names(), []
    for name in given_names:
        assert names.add(name) == (seen.index(name) if name in seen else None)
        seen += [name] if name not in seen else []


def test_names_of_one_hash_are_told_apart(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("genolift.data.texts.hash", lambda text: 7, raising=False)
    names = Names()
    assert [names.add(name) for name in ("a", "b", "a", "c", "b")] == [None, None, 0, None, 1]
    assert occurring_once(["a", "b", "a", "", "c"]).tolist() == [False, True, False, False, True]
