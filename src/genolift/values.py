"""Values of command-line flags, from text. Knows nothing of what they are for."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any


def positive(text: str) -> int:
    """Return a whole number of 1 or more."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return number


def positive_or_auto(text: str) -> int | None:
    """Return a whole number of 1 or more, None for "auto"."""
    return None if text == "auto" else positive(text)


def json_object(text: str) -> dict[str, Any]:
    """Return the keys and values of a JSON object."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object")
    return value


def held(text: str) -> Any:
    """Return the value of JSON; text that is none, such as a file's name, as it is."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        if text[:1] in ("{", "["):
            raise argparse.ArgumentTypeError(f"{text!r} is no JSON") from None
        return text


def shard(text: str) -> tuple[int, int]:
    """Return (i, k) of "i/k", the i-th of k shards, from 0."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard; write 0/4 for the first of four")
    return int(match[1]), int(match[2])


def memory(text: str) -> int:
    """Return the number of bytes of "4GB" (decimal) or "4GiB" (binary)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?", text, re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory; write 4GB")
    power = "kmgt".find(match[2].lower()) + 1 if match[2] else 0
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)
