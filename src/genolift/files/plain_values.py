"""Limits on the size and depth of a config and of JSON on the command line, checked before anything else.

Knows no key by name.
"""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from genolift.errors import InputError

MOST_CHARACTERS = 2_000_000
"""Of a config file; the YAML reader, written in Python, takes seconds for this many."""
MOST_LEVELS = 50
"""Levels of mappings and lists; a config needs about ten."""
MOST_VALUES = 200_000
"""Values in a config, counting an alias's values wherever it is used."""
MOST_DIGITS = 100
"""Of a number as written: a double has 17, the largest seed 19."""
MOST_LETTERS = 10_000
"""Of one text."""
_SHOWN = 80
_OTHER_TEXT = "\n\t"
_WHOLE_BITS = int(MOST_DIGITS * 3.33)


def check_plain(value: Any, where: str) -> None:
    """Raise `InputError` if a value, or one inside it, is larger, deeper or longer than any real one.

    A value that contains itself, through a YAML alias, exceeds every limit on depth. ``where`` is the place
    of ``value`` itself; messages add the keys that lead to the mistake.
    """
    count = 0
    waiting = [(value, where, 1)]
    while waiting:
        item, place, level = waiting.pop()
        count += 1
        if level > MOST_LEVELS:
            raise too_deep(where)
        if count > MOST_VALUES:
            raise InputError(
                f"holds more than {MOST_VALUES:,} values",
                where=where,
                remedy="put long lists into files; an alias (*name) counts wherever it is used",
            )
        if isinstance(item, Mapping):
            for key, inside in item.items():
                _check_text(str(key), f"{place}: a key")
                waiting.append((inside, f"{place}.{key}" if level > 1 else f"{place}: {key}", level + 1))
        elif isinstance(item, list | tuple | set):
            waiting += [(inside, f"{place}[{i}]", level + 1) for i, inside in enumerate(item)]
        elif isinstance(item, str):
            _check_text(item, place)
        elif isinstance(item, int) and item.bit_length() > _WHOLE_BITS:
            raise too_many_digits(place)


def too_deep(where: str) -> InputError:
    """Return the error for a value of more than `MOST_LEVELS` levels."""
    return InputError(f"goes more than {MOST_LEVELS} levels deep", where=where, remedy="nest it less")


def too_many_digits(where: str) -> InputError:
    """Return the error for a number of more than `MOST_DIGITS` digits."""
    return InputError(
        f"is a number of more than {MOST_DIGITS} digits", where=where, remedy="write a shorter number"
    )


def _check_text(text: str, place: str) -> None:
    if len(text) > MOST_LETTERS:
        raise InputError(
            f"{shown(text)} has {len(text):,} characters, more than the {MOST_LETTERS:,} allowed",
            where=place if len(place) < MOST_LETTERS else "",
            remedy="shorten it",
        )
    for letter in text:
        if letter not in _OTHER_TEXT and unicodedata.category(letter) in ("Cc", "Cs"):
            raise InputError(
                f"holds the character U+{ord(letter):04X}, which is not text",
                where=place,
                remedy="remove it",
            )


def shown(value: Any) -> str:
    """Return a value as JSON, shortened to fit a message."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def as_json(value: Any) -> str:
    """Return a value as the JSON that our own files have: indented, and with a line end."""
    return json.dumps(value, indent=1) + "\n"


def from_json(text: str, where: str) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    json.JSONDecodeError
        If it is not JSON.
    InputError
        If a key is written twice, or the value exceeds a limit of `check_plain`.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(
                f"the key {shown(twice)} is written twice", where=where, remedy="write each key once"
            )
        return keys

    def whole(digits: str) -> int:
        if len(digits) > MOST_DIGITS:
            raise too_many_digits(where)
        return int(digits)

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_int=whole)
    except RecursionError:
        raise too_deep(where) from None
    check_plain(value, where)
    return value
