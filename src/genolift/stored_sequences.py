"""What the encode step wrote, read back: the table and the store of sequences. Knows nothing of FASTA."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.alphabet import N_CODE
from genolift.errors import InputError
from genolift.files import existing_file

FORMAT, VERSION = "genolift-sequences", 1
COLUMNS = ("key", "id", "chrom", "start", "end", "strand", "length", "gc", "n_count", "kept", "reason")
_WHOLE_NUMBERS = {"key": "int64", "start": "Int64", "end": "Int64", "length": "int64", "n_count": "Int64"}


@dataclass(frozen=True)
class Places:
    """Where sequences lie on a genome, one value for each: ``start`` int64 (sequence,), 0-based; ``strand``
    is ``-`` where the sequence is the reverse complement of what stands there.
    """

    chrom: list[str]
    start: NDArray[np.int64]
    strand: list[str]


@dataclass(frozen=True)
class Sequences:
    """The kept sequences, in input order.

    ``key`` int64 (sequence,); ``id``, one for each; ``codes`` uint8 (sequence, position), 0-3 for A C G T and
    4 for N.
    """

    key: NDArray[np.int64]
    id: list[str]
    codes: NDArray[np.uint8]
    chromosomes: Mapping[str, int]
    """The lengths of the genome's chromosomes, in bases; empty for sequences from FASTA."""
    places: Places | None = None
    """None for sequences from FASTA."""


def read_sequence_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return ``sequences.tsv``, a row for every record of the input, in its order.

    ``key`` and ``length`` are int64; ``start``, ``end`` (0-based half-open) and ``n_count`` Int64, missing
    where there are none; ``gc`` float64, NaN where there is none; ``kept`` bool; the others str, empty where
    there is nothing.

    Raises
    ------
    InputError
        If the file is missing or is not such a table.
    """
    file = existing_file(path)
    try:
        text = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
        if list(text.columns) != list(COLUMNS):
            raise ValueError(f"its columns are not {' '.join(COLUMNS)}")
        if not text["kept"].isin(["true", "false"]).all():
            raise ValueError("a value of kept is neither true nor false")
        frame = text.assign(kept=text["kept"] == "true")
        for name in (*_WHOLE_NUMBERS, "gc"):
            frame[name] = pd.to_numeric(text[name].replace("", None))
        frame = frame.astype({**_WHOLE_NUMBERS, "gc": "float64"})
        if not frame["key"].is_unique:
            raise ValueError("a key stands twice")
    except (ValueError, TypeError, UnicodeError) as error:
        raise InputError(
            f"is no table of sequences ({error})", where=str(file), remedy="make it anew with genolift encode"
        ) from error
    return frame


def read_sequences(path: str | os.PathLike[str]) -> Sequences:
    """Return the kept sequences of ``sequences.h5``.

    Raises
    ------
    InputError
        If the file is missing or is no such store.
    """
    file = existing_file(path)
    try:
        with h5py.File(file, "r") as stored:
            if stored.attrs.get("format") != FORMAT or stored.attrs.get("version") != VERSION:
                raise ValueError(f"its format is not {FORMAT} version {VERSION}")
            chromosomes = json.loads(stored.attrs["chromosomes"])
            ids = list(stored["id"].asstr()[:])
            places = _places(stored) if "start" in stored else None
            sequences = Sequences(stored["key"][:], ids, stored["codes"][:], chromosomes, places)
        key, codes = sequences.key, sequences.codes
        no_codes = codes.dtype != np.uint8 or codes.ndim != 2 or codes.max(initial=0) > N_CODE
        if key.dtype != np.int64 or no_codes:
            raise ValueError("key is not int64 or codes are not uint8 (sequence, position), 0 to 4")
        if not len(key) == len(sequences.id) == len(codes) or len(np.unique(key)) != len(key):
            raise ValueError("key, id and codes do not match")
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"is no store of sequences ({error})", where=str(file), remedy="make it anew with genolift encode"
        ) from error
    return sequences


def _places(stored: h5py.File) -> Places:
    chrom, strand = (list(stored[name].asstr()[:]) for name in ("chrom", "strand"))
    places = Places(chrom, stored["start"][:], strand)
    if not len(chrom) == len(places.start) == len(strand) == len(stored["key"]):
        raise ValueError("key and places do not match")
    return places
