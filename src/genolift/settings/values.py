"""Values of command-line flags, from text; numbers in the ranges of the config's keys."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable
from typing import Any

from genolift.errors import InputError
from genolift.files.plain_values import MOST_DIGITS, MOST_LETTERS, from_json, shown

_MEMORY = re.compile(r"([0-9]{1,15}(?:[.][0-9]{1,15})?)\s*([kMGT]?)(i?)B?", re.IGNORECASE)
_MOST_MEMORY = 10**15
_WHOLE = re.compile(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}")


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return the type of a flag that takes a whole number in a range."""

    def read(text: str) -> int:
        number = int(text) if _WHOLE.fullmatch(text) else None
        if number is None or not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{shown(text)} is no whole number from {least:,} to {most:,}")
        return number

    return read


def as_config(key: str) -> Callable[[str], Any]:
    """Return the type of a flag whose number is that of a config's key, such as "references.number".

    The schema says the range. It is read when the flag is used, since reading it takes time at every start.
    """

    def read(text: str) -> int | float:
        from genolift.settings.mistakes import allowed, branches
        from genolift.settings.sections import Analysis

        schema: Any = Analysis.model_json_schema()
        inside = schema
        for name in key.split("."):
            inside = next(each["properties"] for each in branches(inside, schema) if "properties" in each)[
                name
            ]
        numbers = [each.get("items", each) for each in branches(inside, schema)]
        inside = next(each for each in numbers if "maximum" in each)
        whole_number = inside["type"] == "integer"
        try:
            number = (int(text) if _WHOLE.fullmatch(text) else math.nan) if whole_number else float(text)
        except ValueError:
            number = math.nan
        if not inside["minimum"] <= number <= inside["maximum"]:
            raise argparse.ArgumentTypeError(f"{shown(text)} is not {allowed(inside, schema)}")
        return number

    return read


def batch_size(text: str) -> int | None:
    """Return the number of pairs computed at a time, None for "auto"."""
    return None if text == "auto" else int(as_config("attribution.batch_size")(text))


def target(text: str) -> int | str:
    """Return the column of a target that is a number, and any other as it is."""
    if len(text) > MOST_LETTERS:
        raise argparse.ArgumentTypeError(f"{shown(text)} has {len(text):,} letters")
    if not (text.isascii() and text.isdecimal()):
        return text
    # the default, 0, needs no schema, whose reading would be felt at every start
    return int(text) if len(text) == 1 else int(as_config("target")(text))


def json_object(text: str) -> dict[str, Any]:
    """Return the keys and values of a JSON object."""
    value = _json(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{shown(text)} is no JSON object")
    return value


def held(text: str) -> Any:
    """Return the value of JSON; text that is none, such as a file's name, as it is."""
    try:
        return _json(text)
    except json.JSONDecodeError:
        if text[:1] in ("{", "["):
            raise argparse.ArgumentTypeError(f"{shown(text)} is no JSON") from None
        return text


def _json(text: str) -> Any:
    try:
        return from_json(text, "the JSON")
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def shard(text: str) -> tuple[int, int]:
    """Return (i, k) of "i/k", the i-th of k shards, from 0."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not match or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError(f"{shown(text)} is no shard; write 0/4 for the first of four")
    return int(match[1]), int(match[2])


def memory(text: str) -> int:
    """Return the number of bytes of "4GB" (decimal) or "4GiB" (binary)."""
    match = _MEMORY.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{shown(text)} is no amount of memory; write 4GB")
    power = "kmgt".find(match[2].lower()) + 1 if match[2] else 0
    number = int(float(match[1]) * (1024 if match[3] else 1000) ** power)
    if number > _MOST_MEMORY:
        raise argparse.ArgumentTypeError(f"{shown(text)} is more than any machine has; write 1000TB at most")
    return number
