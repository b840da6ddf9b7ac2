"""The kept rows of ``sequences.tsv``, and where they are on the genome, in little memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genolift.data.stored_sequences import SEQUENCES

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("key", "chrom", "start", "end", "strand", "kept")


@dataclass(frozen=True)
class WindowPlaces:
    """Where each kept sequence is, one value for each in every array.

    Attributes
    ----------
    chromosomes
        Names; empty for sequences from FASTA.
    chromosome
        int32, which of them; -1 for sequences from FASTA.
    start
        int64, 0-based.
    turned
        bool, whether the sequence is the reverse complement of the genome there.
    """

    chromosomes: tuple[str, ...]
    chromosome: NDArray[np.int32]
    start: NDArray[np.int64]
    turned: NDArray[np.bool_]


def read_places(sequences: str | os.PathLike[str]) -> tuple[NDArray[np.int64], WindowPlaces]:
    """Return the keys, int64, and places of the kept rows of ``sequences.tsv``, in its order.

    Raises
    ------
    InputError
        If the file is missing or is not such a table.
    """
    numbers: dict[str, int] = {}
    parts = []
    for table in SEQUENCES.blocks(sequences, _COLUMNS):
        kept = table[table["kept"] == "true"]
        on_genome = (kept["chrom"] != "").to_numpy(bool)
        number = [numbers.setdefault(name, len(numbers)) for name in kept["chrom"][on_genome]]
        chromosome = np.full(len(kept), -1, np.int32)
        chromosome[on_genome] = number
        start = kept["start"].fillna(0).to_numpy(np.int64)
        turned = (kept["strand"] == "-").to_numpy(bool) & on_genome
        parts.append((kept["key"].to_numpy(np.int64), chromosome, start, turned))
    key, chromosome, start, turned = map(np.concatenate, zip(*parts, strict=True))
    # Numbered in the order of their names, which does not depend on that of the rows.
    names = sorted(numbers)
    place = {name: number for number, name in enumerate(names)}
    renumbered = np.array([*(place[name] for name in numbers), -1], np.int32)
    return key, WindowPlaces(tuple(names), renumbered[chromosome], start, turned)


class KeptRows:
    """What tables repeat of the kept rows of ``sequences.tsv``, handed out in its order."""

    columns = ("key", "id", "chrom", "start", "end", "strand")

    def __init__(self, sequences: str | os.PathLike[str]) -> None:
        self._blocks = SEQUENCES.blocks(sequences, (*self.columns, "kept"))
        self._left: pd.DataFrame | None = None

    def next(self, number: int) -> pd.DataFrame:
        """Return the next rows; fewer at the end. Errors as in `read_places`."""
        import pandas as pd

        parts, missing = [], number
        while missing > 0:
            if self._left is None or not len(self._left):
                block = next(self._blocks, None)
                if block is None:
                    break
                self._left = block.loc[block["kept"] == "true", [*self.columns]]
            parts.append(self._left.iloc[:missing])
            self._left = self._left.iloc[missing:]
            missing -= len(parts[-1])
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*self.columns])
