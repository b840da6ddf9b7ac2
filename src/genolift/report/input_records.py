"""The records of the input: how many were kept, and why others were dropped."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genolift.data.stored_sequences import SEQUENCES
from genolift.errors import InputError
from genolift.report import words

_MOST_DROPPED = 20
_NUMBER = re.compile(r"\d[\d.,]*")
_COLUMNS = ("key", "id", "chrom", "start", "end", "gc", "kept", "reason")


@dataclass(frozen=True)
class Records:
    """What the report says of the records of the input.

    Attributes
    ----------
    read, kept
        How many there are, and how many of them were kept.
    kinds
        Why others were dropped, and how many for that, most first.
    first
        The id, the place and the reason of the first dropped ones.
    gc
        The mean share of G and C in those that were kept; NaN if none was.
    """

    read: int
    kept: int
    kinds: Sequence[tuple[str, int]]
    first: Sequence[tuple[str, str, str]]
    gc: float

    @property
    def dropped(self) -> int:
        """How many were not kept."""
        return self.read - self.kept


def read_records(sequences: Path) -> Records:
    """Return what ``sequences.tsv`` says of the records, which are read a block at a time.

    Raises
    ------
    InputError
        If the file is missing or is not such a table.
    """
    kept, gc = 0, 0.0
    keys = []
    number_of_kind: Counter[str] = Counter()
    reason_of_kind: dict[str, str] = {}
    first: list[tuple[str, str, str]] = []
    for block in SEQUENCES.blocks(sequences, _COLUMNS):
        if not block["kept"].isin(["true", "false"]).all():
            raise _no_table(sequences, "a value of kept is neither true nor false")
        keys.append(block["key"].to_numpy(copy=True))
        is_kept = (block["kept"] == "true").to_numpy(bool)
        kept += int(is_kept.sum())
        gc += float(block["gc"].to_numpy()[is_kept].sum())
        dropped = block[~is_kept]
        for reason in dropped["reason"]:
            # "has 199 bases, not 200" is one kind with "has 12 bases, not 200": apart from the numbers.
            kind = _NUMBER.sub("…", reason)
            number_of_kind[kind] += 1
            reason_of_kind.setdefault(kind, reason)
        for row in dropped.head(_MOST_DROPPED - len(first)).to_dict("records"):
            first.append((row["id"], words.place(row["chrom"], row["start"], row["end"]), row["reason"]))
    every = np.concatenate(keys)
    if len(np.unique(every)) != len(every):
        raise _no_table(sequences, "a key occurs twice")
    kinds = [
        (reason_of_kind[kind] if number == 1 else kind, number)
        for kind, number in number_of_kind.most_common()
    ]
    return Records(len(every), kept, kinds, first, gc / kept if kept else float("nan"))


def _no_table(sequences: Path, wrong: str) -> InputError:
    what = f"is not the sequences.tsv that genolift encode writes ({wrong})"
    return InputError(what, where=str(sequences), remedy="run genolift encode again")
