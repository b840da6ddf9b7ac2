"""Captures of this process, kept by model for the next call on one that has not changed.

Models are held weakly: what is kept of a model goes when the model does.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from genolift.engine.devices import HOST
from genolift.explain.fingerprint import Fingerprint

_SHARE_OF_FREE_MEMORY = 0.25


class Sized(Protocol):
    """Something that takes memory."""

    def size(self) -> int:
        """Return its bytes."""
        ...


@dataclass(frozen=True)
class _Entry:
    model: weakref.ref[Any]
    key: Hashable
    state: Fingerprint
    value: Sized


class Kept:
    """What was made of models, the latest last.

    Its list is never changed, only replaced: if two threads do so at once, one entry is lost and made anew.
    """

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def get(self, model: object, key: Hashable, state: Fingerprint) -> Any:
        """Return what was made of a model in this state; None if nothing is kept, or of another state."""
        for entry in self._entries:
            if entry.model() is model and entry.key == key and not entry.state.change(state):
                self._entries = [*self._without(model, key), entry]
                return entry.value
        return None

    def put(self, model: object, key: Hashable, state: Fingerprint, value: Sized) -> None:
        """Keep what was made of a model instead of what was made of its earlier states, if there is room."""
        entry = _Entry(weakref.ref(model, self._gone), key, state, value)
        kept, room = [*self._without(model, key), entry], int(_SHARE_OF_FREE_MEMORY * HOST.free())
        while kept and sum(each.value.size() for each in kept) > room:
            del kept[0]
        self._entries = kept

    def _without(self, model: object, key: Hashable) -> list[_Entry]:
        return [each for each in self._entries if not (each.model() is model and each.key == key)]

    def _gone(self, _: object) -> None:
        self._entries = [each for each in self._entries if each.model() is not None]

    def clear(self) -> None:
        """Forget all."""
        self._entries = []


KEPT = Kept()


def clear_captures() -> None:
    """Forget the captured models that genolift keeps for further calls, and free their memory.

    Up to a quarter of the free memory is kept, the latest captures of models that are still in use.
    """
    KEPT.clear()
