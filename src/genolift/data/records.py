"""The records of an input without their letters: what ``sequences.tsv`` says of each, and why some are
dropped.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import N_CODE
from genolift.data.blacklist import Blacklist
from genolift.data.stored_sequences import Head, Places, Sequences
from genolift.data.texts import Texts
from genolift.data.tiles import Tiles
from genolift.data.windows import WindowsAround


class Why(IntEnum):
    """Why a record is dropped, or that it is kept."""

    KEPT = 0
    EMPTY = 1
    LENGTH = 2
    MANY_N = 3
    OVER_END = 4
    NO_CHROMOSOME = 5
    BLACKLISTED = 6


_IN_WORDS = {
    Why.EMPTY: "empty record",
    Why.LENGTH: "another length",
    Why.MANY_N: "too many N",
    Why.OVER_END: "over a chromosome's end",
    Why.NO_CHROMOSOME: "chromosome not in the genome",
    Why.BLACKLISTED: "in the blacklist",
}
_NOT_READ = -1


@dataclass
class Records:
    """All records of an input by key, their 0-based number in it, in some 20 bytes each beside their names.

    They are FASTA records with ``names``, or ``windows``; ``length`` is the bases of those that are kept.
    """

    length: int
    max_n_fraction: float
    names: Texts = field(default_factory=Texts)
    windows: WindowsAround | Tiles | None = None
    blacklist: Blacklist | None = None
    chromosomes: dict[str, int] = field(default_factory=dict)
    """The lengths of the genome's chromosomes, in bases; empty for FASTA."""
    replaced: Counter[str] = field(default_factory=Counter)
    """How many letters that stand for several bases were read as N, by letter."""
    lengths: array[int] = field(default_factory=lambda: array("q"))
    """The bases of each FASTA record."""
    why: array[int] = field(default_factory=lambda: array("b"))
    """The `Why` of each."""
    _n: array[int] = field(default_factory=lambda: array("i"))
    _gc: array[int] = field(default_factory=lambda: array("i"))

    def grow(self, number: int, why: Why) -> None:
        """Let there be so many records, the new ones without letters and dropped."""
        more = number - len(self.why)
        if more > 0:
            self.why.extend(array("b", [why]) * more)
            self._n.extend(array("i", [_NOT_READ]) * more)
            self._gc.extend(array("i", [_NOT_READ]) * more)

    def add(self, name: str, codes: NDArray[np.uint8]) -> bool:
        """Add a FASTA record with its letters, codes (position,); return whether it is kept."""
        self.names.append(name)
        self.lengths.append(len(codes))
        self.grow(len(self.names), Why.EMPTY)
        return self.take(len(self.names) - 1, codes)

    def take(self, key: int, codes: NDArray[np.uint8]) -> bool:
        """Count the letters of a record, codes (position,); return whether it is kept."""
        counts = np.bincount(codes, minlength=N_CODE + 1)
        self._n[key], self._gc[key] = int(counts[N_CODE]), int(counts[1] + counts[2])
        self.why[key] = self._judged(len(codes), self._n[key])
        return self.why[key] == Why.KEPT

    def _judged(self, length: int, n_count: int) -> Why:
        if length == 0:
            return Why.EMPTY
        if length != self.length:
            return Why.LENGTH
        return Why.MANY_N if n_count / length > self.max_n_fraction else Why.KEPT

    @property
    def kept(self) -> NDArray[np.int64]:
        """The keys of those that are kept, int64 (kept,)."""
        return np.flatnonzero(np.frombuffer(self.why, np.int8) == Why.KEPT)

    @property
    def dropped(self) -> dict[str, int]:
        """How many are dropped by reason, in the order of the first of each."""
        found, first, counts = np.unique(
            np.frombuffer(self.why, np.int8), return_index=True, return_counts=True
        )
        by_first = sorted(zip(first.tolist(), found.tolist(), counts.tolist(), strict=True))
        return {_IN_WORDS[Why(why)]: n for _, why, n in by_first if why != Why.KEPT}

    def __len__(self) -> int:
        return len(self.why)

    def row(self, key: int) -> tuple[Any, ...]:
        """Return a record's row of ``sequences.tsv``."""
        n, place = self._n[key], self._place(key)
        length = self.lengths[key] if self.windows is None else self.length
        known = length - n if n != _NOT_READ else 0
        gc = round(self._gc[key] / known, 6) if known else None
        kept = "false" if self.why[key] else "true"
        return key, *place, length, gc, None if n == _NOT_READ else n, kept, self._reason(key, length)

    def _place(self, key: int) -> tuple[str, str, int | None, int | None, str]:
        """Return a record's id, chrom, start, end and strand."""
        if self.windows is None:
            return self.names[key], "", None, None, "."
        window = self.windows[key]
        return window.id, window.chrom, window.start, window.end, window.strand

    def _reason(self, key: int, length: int) -> str:
        """Return why a record of so many bases is dropped, in words; empty if it is kept."""
        match self.why[key]:
            case Why.KEPT:
                return ""
            case Why.EMPTY:
                return "the record is empty"
            case Why.LENGTH:
                return f"has {length} bases, not {self.length}"
            case Why.MANY_N:
                fraction = self._n[key] / length
                return f"{fraction:.1%} of its letters are N, more than {self.max_n_fraction:.1%}"
        assert self.windows is not None
        window = self.windows[key]
        if self.why[key] == Why.NO_CHROMOSOME:
            return f"the genome has no chromosome {window.chrom}"
        over = self.blacklist and self.blacklist.over(window.chrom, window.start, window.end)
        if self.why[key] == Why.BLACKLISTED and over:
            return f"overlaps {window.chrom}:{over[0]}-{over[1]} of the blacklist"
        edge = f"{'start' if window.start < 0 else 'end'} of {window.chrom}"
        bases = self.chromosomes[window.chrom]
        return f"the window {window.start}-{window.end} runs over the {edge}, which has {bases} bases"

    @property
    def head(self) -> Head:
        """What ``sequences.h5`` says of all that are kept."""
        kept, longest = self.kept, {"id": 0, "chrom": 0, "strand": 0}
        for key in kept.tolist():
            id_, chrom, _, _, strand = self._place(key)
            for name, text in (("id", id_), ("chrom", chrom), ("strand", strand)):
                longest[name] = max(longest[name], len(text.encode("utf-8")))
        return Head(len(kept), self.length, self.chromosomes, longest)

    def sequences(self, keys: Sequence[int], codes: NDArray[np.uint8]) -> Sequences:
        """Return some of the records with their codes, uint8 (sequence, position)."""
        numbers = np.array(keys, np.int64)
        if self.windows is None:
            return Sequences(numbers, [self.names[key] for key in keys], codes, {})
        windows = [self.windows[key] for key in keys]
        start = np.array([window.start for window in windows], np.int64)
        places = Places([each.chrom for each in windows], start, [each.strand for each in windows])
        return Sequences(numbers, [window.id for window in windows], codes, self.chromosomes, places)
