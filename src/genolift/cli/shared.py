"""Sequences and references that analyses share: a folder for each in the results, under a digest of the keys
that determine them.
"""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from genolift.cli.handed import handed
from genolift.settings.sections import Analysis

SHARED = ".sequences"
"""The folder, in the results."""
STORE = "sequences.h5"
_DIGITS = 16


def shared_key(analysis: Analysis, command: str) -> str:
    """Return the name of what ``encode`` or ``reference`` makes of an analysis: 16 hexadecimal digits."""
    return _digest(handed(analysis, command)[0])


@lru_cache(10_000)
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def users_of(keys: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the folders of sequences, each with the analyses that share it; ``keys`` are by analysis."""
    found: dict[str, list[str]] = {}
    for name, each in keys.items():
        found.setdefault(f"{SHARED}/{each['sequences']}", []).append(name)
    return found


def remove_unused(results: Path, used: Iterable[str]) -> None:
    """Remove folders of sequences that no analysis's link points to, except those ``used``, named as by
    `users_of`.
    """
    kept = {(results / folder).resolve() for folder in used}
    linked = {link.resolve().parent for link in results.glob(f"*/{STORE}") if link.is_symlink()}
    for folder in (results / SHARED).glob("*"):
        if folder.resolve() not in linked | kept:
            shutil.rmtree(folder, ignore_errors=True)
