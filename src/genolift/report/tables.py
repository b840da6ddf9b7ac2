"""What the report needs of the tables with a row for each sequence or hit, which are read in blocks."""

import gzip
import zlib
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.data.window_places import WindowPlaces
from genolift.errors import InputError, Refusal, refused_as
from genolift.files.tables import Table
from genolift.files.whole import existing_file
from genolift.motifs.hit_files import HIT_FILE
from genolift.results.one_run import check_keys

PLUS, MINUS = "+", "-"
_STRANDS = (PLUS, MINUS)
_AGAIN = "run genolift motifs again"
_HITS = 10_000
"""Lines that are read at once."""
_PLOTTED = (
    *("output", "reference_output_mean", "reference_output_sd", "contribution_sum"),
    *("convergence_error_relative_max", "standard_error_mean", "peak_position", "peak_contribution"),
)


def read_scored(
    path: Path, table: Table, keys: NDArray[np.int64], shown: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return of ``per_sequence.tsv`` the columns that are plotted, and the whole rows that are shown.

    Parameters
    ----------
    path, table
        The file, and its columns.
    keys
        int64 (sequence,), of the kept sequences.
    shown
        The keys, as text, of those whose rows are returned.

    Raises
    ------
    InputError
        If it is no such file, or is of other sequences.
    """
    plotted = {name: np.empty(len(keys), table.columns[name]) for name in ("key", *_PLOTTED)}
    shown_rows, rows = [], 0
    for block in table.blocks(path, tuple(table.columns)):
        part = slice(rows, rows + len(block))
        for name, values in plotted.items() if part.stop <= len(keys) else ():
            values[part] = block[name]
        shown_rows.append(block[block["key"].astype(str).isin(shown)])
        rows = part.stop
    found = plotted.pop("key")
    check_keys(found if rows == len(keys) else np.empty(rows), keys, path, "kept ones of sequences.tsv")
    return pd.DataFrame(plotted, copy=False), pd.concat(shown_rows, ignore_index=True)


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
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ("key", "motif", "strand", "center")}
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
    whole: dict[str, Any] = {
        name: np.concatenate(parts.pop(name)) if parts[name] else np.empty(0, int) for name in [*parts]
    }
    for name, texts in (("motif", numbers), ("strand", _STRANDS)):
        whole[name] = pd.Categorical.from_codes(whole[name], pd.Index(list(texts)))
    return pd.DataFrame(whole, copy=False)


def _blocks(file: Path) -> Iterator[pd.DataFrame]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        while rows := [line.rstrip("\n").split("\t") for line in islice(lines, _HITS)]:
            yield pd.DataFrame(rows, columns=HIT_FILE).astype({"start": int, "end": int, "key": int})
