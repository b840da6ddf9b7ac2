"""The windows that motifs are looked for in: a few rows of contributions.h5 at a time, and where each is."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.data.stored_sequences import check_table
from genolift.data.window_places import WindowPlaces, read_places
from genolift.errors import InputError
from genolift.files.whole import sha256
from genolift.motifs.method import method_of
from genolift.results.one_run import check_keys
from genolift.results.store import Contributions, open_contributions
from genolift.settings.motifs import Motifs

_NO_END = 2**62
"""The length of a chromosome whose length is not known."""
_BLOCK_BASES = 2**20
"""Bases of the rows that are read at once: with working copies about 0.1 GB."""


class Block(NamedTuple):
    """Some windows: their ``rows`` in contributions.h5, int64; ``onehot`` int8 and ``hypothetical``
    contributions float32, both (row, base, position).
    """

    rows: NDArray[np.int64]
    onehot: NDArray[np.int8]
    hypothetical: NDArray[np.float32]

    @property
    def track(self) -> NDArray[np.float64]:
        """The contribution of each base, float64 (row, position)."""
        return np.einsum("rbp,rbp->rp", self.onehot, self.hypothetical, dtype=np.float64)

    def pieces(self, most: int) -> "Iterator[Block]":
        """Yield these windows, ``most`` at a time."""
        for first in range(0, len(self.rows), most):
            part = slice(first, first + most)
            yield Block(self.rows[part], self.onehot[part], self.hypothetical[part])


@dataclass(frozen=True)
class Windows:
    """The analysed windows: ``width`` positions of each sequence, from ``offset`` on.

    Rows are those of ``contributions.h5``, positions those of the window, 0-based half-open.

    Attributes
    ----------
    path, store
        ``contributions.h5``, and the same open.
    places
        Where its sequences are.
    made_from
        The digests of ``contributions.h5`` and ``sequences.tsv``.
    """

    path: Path
    store: Contributions
    offset: int
    width: int
    places: WindowPlaces
    made_from: Mapping[str, str]

    def __len__(self) -> int:
        return self.store.n

    @property
    def on_genome(self) -> bool:
        """Whether the windows are on a genome; those from FASTA are not."""
        return bool(self.places.chromosomes)

    @property
    def rows_at_a_time(self) -> int:
        """How many windows a block has."""
        return max(1, _BLOCK_BASES // self.width)

    def blocks(self) -> Iterator[Block]:
        """Yield all windows, block by block.

        Raises
        ------
        InputError
            If contributions are not finite.
        """
        for first in range(0, len(self), self.rows_at_a_time):
            yield self._read(np.arange(first, min(first + self.rows_at_a_time, len(self))))

    def read(self, rows: NDArray[np.int64]) -> Block:
        """Return windows by their rows, ascending and different; errors as in `blocks`."""
        read = Block(rows, *self._empty(len(rows)))
        ends = np.arange(self.rows_at_a_time, len(self) + self.rows_at_a_time, self.rows_at_a_time)
        of_block = np.searchsorted(rows, np.concatenate([[0], ends]))
        for first, last in pairwise(of_block):
            if first < last:
                part = self._read(np.arange(rows[first], rows[last - 1] + 1))
                wanted = rows[first:last] - rows[first]
                read.onehot[first:last], read.hypothetical[first:last] = (
                    part.onehot[wanted],
                    part.hypothetical[wanted],
                )
        return read

    @cached_property
    def origin(self) -> NDArray[np.int64]:
        """Where each window starts in `shared` coordinates, int64 (row,)."""
        length = self.store.length
        if not self.on_genome:
            return self._contents("raw/seq") * (length + 1) + self.offset
        places = self.places
        furthest = np.zeros(len(places.chromosomes), np.int64)
        np.maximum.at(furthest, places.chromosome, places.start + length)
        first = np.zeros(len(places.chromosomes), np.int64)  # negative with a window over the start
        np.minimum.at(first, places.chromosome, places.start)
        before = np.concatenate([[0], np.cumsum(furthest - first + 1)[:-1]]) - first
        within = np.where(places.turned, length - self.offset - self.width, self.offset)
        return before[places.chromosome] + places.start + within

    def shared(
        self, rows: NDArray[np.integer], start: NDArray[np.int64], end: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return stretches of windows in coordinates that all windows share.

        These are on one line, on which the chromosomes follow one another. For sequences from FASTA it has
        each different sequence once, so that identical ones are at the same place.
        """
        turned, origin = self.places.turned[rows], self.origin[rows]
        return (
            origin + np.where(turned, self.width - end, start),
            origin + np.where(turned, self.width - start, end),
        )

    @cached_property
    def rank(self) -> NDArray[np.int32]:
        """The place of each row in an order that does not depend on that of the input, int32 (row,)."""
        # Copies come in the order of what they contribute.
        order = np.lexsort((self._contents("shap/seq"), self.places.turned, self.origin))
        rank = np.empty(len(self), np.int32)
        rank[order] = np.arange(len(self), dtype=np.int32)
        return rank

    @property
    def different(self) -> NDArray[np.int64]:
        """The rows of different windows, one of exact copies, in an order that is not the input's."""
        order = np.argsort(self.rank)
        place = (self.origin * 2 + self.places.turned)[order]
        return order[np.unique(place, return_index=True)[1]]

    def located(
        self,
        rows: NDArray[np.integer],
        start: NDArray[np.int64],
        end: NDArray[np.int64],
        strand: NDArray[np.str_],
    ) -> pd.DataFrame:
        """Return where stretches of windows are on the genome or, for FASTA, in their sequences.

        Parameters
        ----------
        rows
            The window of each stretch.
        strand
            ``+``, ``-`` or ``.``, as the stretch reads in the window.

        Returns
        -------
        DataFrame
            ``chrom``, for FASTA the sequence's id; ``start`` and ``end``, int64, 0-based half-open; and
            ``strand``.
        """
        start, end = start + self.offset, end + self.offset
        if not self.on_genome:
            return pd.DataFrame({"chrom": self.names(rows), "start": start, "end": end, "strand": strand})
        places, length = self.places, self.store.length
        turned = places.turned[rows]
        other = np.where(strand == "+", "-", np.where(strand == "-", "+", strand))
        return pd.DataFrame(
            {
                "chrom": np.array(places.chromosomes, object)[places.chromosome[rows]],
                "start": places.start[rows] + np.where(turned, length - end, start),
                "end": places.start[rows] + np.where(turned, length - start, end),
                "strand": np.where(turned, other, strand),
            }
        )

    def on_bases(
        self, rows: NDArray[np.integer], start: NDArray[np.int64], end: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return whether stretches of windows are on their chromosomes, bool (stretch,): a window that was
        padded has some that are not.
        """
        if not self.on_genome:
            return np.ones(len(rows), bool)
        sizes = [self.store.chromosomes.get(name, _NO_END) for name in self.places.chromosomes]
        place = self.located(rows, start, end, np.full(len(rows), "."))
        size = np.array(sizes, np.int64)[self.places.chromosome[rows]]
        return (place["start"].to_numpy() >= 0) & (place["end"].to_numpy() <= size)

    def names(self, rows: NDArray[np.integer]) -> list[str]:
        """Return the ids of windows."""
        if not len(rows):
            return []
        if not self.on_genome:  # any are asked for again and again, since files are sorted by them
            return self.store.texts(self._ids[rows])
        first = int(rows.min())
        found = self.store["genolift/id"][first : int(rows.max()) + 1]
        return self.store.texts(found[rows - first])

    @cached_property
    def _ids(self) -> NDArray[np.bytes_]:
        return self.store["genolift/id"][:]

    @cached_property
    def reference_order(self) -> NDArray[np.int32]:
        """The place of each window's chromosome, or for FASTA of its id, among their names, int32 (row,)."""
        if self.on_genome:
            return self.places.chromosome
        _, number = np.unique(self._ids, return_inverse=True)
        return number.astype(np.int32)

    def _contents(self, dataset: str) -> NDArray[np.int64]:
        """Return a number for each row, the same where sequences have the same in a dataset, int64 (row,)."""
        digests = self.store[dataset].digests().view("V16").ravel()
        return np.unique(digests, return_inverse=True)[1]

    def _empty(self, n: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        shape = (n, 4, self.width)
        return np.empty(shape, np.int8), np.empty(shape, np.float32)

    def _read(self, rows: NDArray[np.int64]) -> Block:
        """Return consecutive rows."""
        from genolift.engine.torch_internals import give_back_freed_memory  # here, since it imports torch

        # Between blocks others of all sizes are allocated, which leave no gap that a block fits in. Without
        # this 30,000 windows of 400 bp peaked at 823 MB instead of 804, and ended at 822 instead of 770.
        give_back_freed_memory()
        within, middle = slice(int(rows[0]), int(rows[-1]) + 1), slice(self.offset, self.offset + self.width)
        onehot, hypothetical = (
            np.ascontiguousarray(self.store[name][within][:, :, middle]) for name in ("raw/seq", "shap/seq")
        )
        wrong = np.flatnonzero(~np.isfinite(hypothetical).all(axis=(1, 2)))
        if len(wrong):
            key = self.store.key[rows[wrong[0]]]
            (name,) = self.names(rows[wrong[:1]])
            raise InputError(
                f"contributions of {name} are not finite",
                where=f"{self.path}, shap/seq, key {key}",
                remedy="look at the model's output for it, and attribute again",
            )
        return Block(rows, onehot, hypothetical)


@contextmanager
def open_windows(contributions: Path, sequences: Path, settings: Motifs) -> Iterator[Windows]:
    """Open the windows that the config's section ``motifs`` asks for, for reading.

    Raises
    ------
    InputError
        If a file is missing or damaged, the two are from different runs, or the window, or a seqlet or motif
        of the settings, does not fit in the sequences.
    """
    keys, places = read_places(sequences)
    with open_contributions(contributions) as store:
        check_keys(store.key, keys, contributions, f"kept ones of {sequences}")
        del keys
        if settings.window is not None and settings.window > store.length:
            raise InputError(
                f"{settings.window} bases are not within the sequences' {store.length}",
                where="motifs.window",
                remedy=f"give {store.length} at most, or leave it out",
            )
        settings.check_widths(store.length, "motifs.")
        width = method_of(settings).width(store.length)
        check_table(sequences, store.provenance, str(contributions))
        made_from = {"contributions.h5": store.digest, "sequences.tsv": sha256(sequences)}
        yield Windows(contributions, store, (store.length - width) // 2, width, places, made_from)
