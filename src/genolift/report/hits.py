"""The hits of an analysis, read in blocks, with as little of each as the report needs."""

import gzip
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.data.window_places import WindowPlaces
from genolift.errors import InputError, Refusal, refused_as
from genolift.files.whole import existing_file
from genolift.motifs.hit_files import HIT_FILE

PLUS, MINUS = "+", "-"
_STRANDS = (PLUS, MINUS)
_AGAIN = "run genolift motifs again"
_HITS = 10_000
"""Lines that are read at once."""


def read_hits(path: Path, keys: NDArray[np.int64], places: WindowPlaces, length: int) -> pd.DataFrame:
    """Return the hits of ``hits.bed.gz`` as positions in their sequences, as the model read them.

    Parameters
    ----------
    path
        The file.
    keys, places, length
        The kept sequences: int64 (sequence,); where they are; and their length in bases.

    Returns
    -------
    pandas.DataFrame
        ``key``, ``motif``, ``strand`` and ``center``, the hit's midpoint, 0-based.

    Raises
    ------
    InputError
        If it is no such file, or is of other sequences.
    """
    file = existing_file(path)
    order = np.argsort(keys, kind="stable")
    numbers: dict[str, int] = {}
    types = {"key": np.int64, "motif": np.int16, "strand": np.int8, "center": np.float64}
    parts: dict[str, list[NDArray[Any]]] = {name: [np.empty(0, type)] for name, type in types.items()}
    with refused_as(
        Refusal("cannot be read as hits", file, _AGAIN), (OSError, EOFError, zlib.error, ValueError)
    ):
        for hits in _blocks(file):
            key = hits["key"].to_numpy(copy=True)
            row = order[np.searchsorted(keys, key, sorter=order).clip(max=len(keys) - 1)]
            unknown = keys[row] != key
            if unknown.any():
                raise InputError(
                    f"key {key[unknown][0]} is not a kept sequence of sequences.tsv",
                    where=str(file),
                    remedy=f"it is of another run: {_AGAIN}",
                )
            turned = places.turned[row]
            center = (hits["start"] + hits["end"]).to_numpy() / 2 - places.start[row]
            strand = np.array([_STRANDS.index(each) for each in hits["strand"]], np.int8)
            motif = [numbers.setdefault(name, len(numbers)) for name in hits["motif"]]
            parts["key"].append(key)
            parts["motif"].append(np.array(motif, np.int16))
            parts["strand"].append(strand ^ turned)
            parts["center"].append(np.where(turned, length - center, center))
    whole: dict[str, Any] = {name: np.concatenate(parts.pop(name)) for name in types}
    for name, texts in (("motif", numbers), ("strand", _STRANDS)):
        whole[name] = pd.Categorical.from_codes(whole[name], pd.Index(list(texts)))
    return pd.DataFrame(whole, copy=False)


def _blocks(file: Path) -> Iterator[pd.DataFrame]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        while rows := [line.rstrip("\n").split("\t") for line in islice(lines, _HITS)]:
            yield pd.DataFrame(rows, columns=HIT_FILE).astype({"start": int, "end": int, "key": int})
