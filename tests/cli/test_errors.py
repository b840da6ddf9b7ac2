"""The error for users' mistakes is one line that any terminal displays correctly."""

from __future__ import annotations

import pytest

from genolift.errors import InputError


@pytest.mark.parametrize(
    ("quoted", "shown"),
    [
        ("two\nlines", "two lines"),
        ("a\r\n\tb", "a b"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x00", "\\x00"),
        ("\u2028", ""),
        ("\u202edesrever", "\\u202edesrever"),
        ("\udc80", "\\udc80"),
        ("\ufeff", "\\ufeff"),
        ("日本 é", "日本 é"),
        ("C:\\new", "C:\\new"),
    ],
)
def test_a_message_is_one_line_that_no_quoted_character_can_change(quoted: str, shown: str) -> None:
    error = InputError(f"holds {quoted}", where="file", remedy="mend it")
    assert str(error) == f"file: holds {shown}; mend it"
    assert str(error).isprintable()
