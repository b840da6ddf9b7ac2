"""Known positions of motifs, and how well per-base scores find them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from genolift.errors import InputError
from genolift.files.tables import read_table


@dataclass(frozen=True)
class Instances:
    """Motif instances in sequences, int64 (instance,) each; ``start`` and ``end`` are 0-based half-open."""

    sequence: NDArray[np.int64]
    """The sequence's row."""
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    matters: NDArray[np.bool_]
    """Whether the motif matters for what is explained."""

    def true_bases(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which bases are in a motif that matters, (sequence, position)."""
        mask = np.zeros(shape, dtype=bool)
        places = zip(self.sequence, self.start, self.end, self.matters, strict=True)
        for row, start, end, matters in places:
            if matters:
                mask[row, start:end] = True
        return mask

    def sums(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the sum of the scores, (sequence, position), over each instance, (instance,)."""
        before = np.pad(np.cumsum(scores, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
        return before[self.sequence, self.end] - before[self.sequence, self.start]


@dataclass(frozen=True)
class Found:
    """How well scores find the motifs that matter."""

    average_precision: float
    """Average precision of ranking a sequence's bases by score, averaged over sequences with true bases."""
    precision_at_true: float
    """Share of true bases among the top k, for k true bases, averaged over the same sequences."""
    instance_share_not_positive: float
    """Share of the instances that matter whose scores sum to 0 or less, that is, which are missed."""
    instance_mean_score: float
    """Mean of those sums, in the units of the scores."""
    other_instance_mean_score: float
    """The same for motifs that do not matter, where 0 or less is right; NaN if there are none."""


def read_instances(path: Path, ids: Sequence[str], length: int, *, motifs: Sequence[str] = ()) -> Instances:
    """Return the instances in a table that belong to the sequences ``ids``.

    Parameters
    ----------
    path
        Tab-separated, with the columns id, start and end (0-based half-open), and motif if ``motifs`` are
        given; the demo's ``instances.tsv`` is an example. Rows for other sequences are ignored.
    ids
        The ids of the sequences, in order.
    length
        Bases per sequence.
    motifs
        The motifs that matter for the target; empty for all.

    Raises
    ------
    InputError
        If the file is not such a table, an instance is outside its sequence, a motif is not in the table, two
        sequences have the same id, or no instance that matters is in any of the sequences.
    """
    table = _read_table(path, ["id", "start", "end", *(["motif"] if motifs else [])])
    there = set(table["motif"]) if motifs else set()
    for motif in motifs:
        if motif not in there:
            raise InputError(
                f"has no motif {motif!r}", where=str(path), remedy=f"choose from {', '.join(sorted(there))}"
            )
    rows = {name: row for row, name in enumerate(ids)}
    if len(rows) != len(ids):
        raise InputError(
            "two sequences have the same id, so its instances could belong to either",
            where=str(path),
            remedy="give every sequence its own id",
        )
    for line, (start, end) in enumerate(zip(table["start"], table["end"], strict=True), start=2):
        if not 0 <= start < end or (table["id"].iloc[line - 2] in rows and end > length):
            raise InputError(
                f"{start} to {end} is not within a sequence of {length} bases",
                where=f"{path}, line {line}",
                remedy="give 0-based half-open coordinates relative to the sequence's first base",
            )
    table = table[table["id"].isin(list(rows))]
    matters = table["motif"].isin(list(motifs)) if motifs else pd.Series(True, index=table.index)
    if not matters.any():
        raise InputError(
            f"no instance is in any of the {len(ids)} sequences",
            where=str(path),
            remedy="give the table for these sequences; its ids must be theirs",
        )
    return Instances(
        np.array([rows[name] for name in table["id"]], dtype=np.int64),
        table["start"].to_numpy(np.int64),
        table["end"].to_numpy(np.int64),
        matters.to_numpy(bool),
    )


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    table = read_table(
        path, dict.fromkeys(columns, "str"), remedy=f"give {', '.join(columns)}, tab-separated"
    )
    for name in ("start", "end"):
        whole = table[name].str.fullmatch(r"\d+")
        if not whole.all():
            line = int((~whole).to_numpy().argmax()) + 2
            raise InputError(
                f"{name} is {table[name].iloc[line - 2]!r}, not a whole number", where=f"{path}, line {line}"
            )
    return table.astype({"start": "int64", "end": "int64"})


def find(scores: NDArray[np.floating], instances: Instances) -> Found:
    """Return how well ``scores``, (sequence, position), find the motifs that matter."""
    truth = instances.true_bases((scores.shape[0], scores.shape[1]))
    rows = np.flatnonzero(truth.any(axis=1))
    sums = instances.sums(scores)
    mattering, other = sums[instances.matters], sums[~instances.matters]
    return Found(
        float(np.mean([average_precision_score(truth[row], scores[row]) for row in rows])),
        float(np.mean([precision_at_true(scores[row], truth[row]) for row in rows])),
        float((mattering <= 0).mean()),
        float(mattering.mean()),
        float(other.mean()) if len(other) else float("nan"),
    )


def precision_at_true(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Return the share of true bases among the top k, with k the number of true bases, 1 or more.

    If bases with equal scores compete for the last places, it is the share expected when they are drawn at
    random. ``scores`` and ``truth`` are (position,).
    """
    k = truth.sum()
    first, last = rankdata(-scores, "min"), rankdata(-scores, "max")
    chance_to_be_taken = np.clip((k + 1 - first) / (last + 1 - first), 0, 1)
    return float(chance_to_be_taken[truth].mean())
