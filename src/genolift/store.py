"""The file contributions.h5, written in blocks, read in slices, and merged from one model's shards.

Knows nothing of models. The layout is in docs/architecture.md: what TF-MoDISco, Fi-NeMo and ChromBPNet's
tools read stands where they look for it, and the rest beside it in the group ``genolift``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from genolift.errors import InputError
from genolift.files import existing_file
from genolift.hdf5 import whole_hdf5

FORMAT, VERSION = "genolift-contributions", 1
_CHUNK_BYTES = 2**20

Block = Mapping[str, NDArray[Any]]
"""Rows of some sequences: an array for each name of the file's layout."""


@dataclass(frozen=True)
class Field:
    """A dataset of the file: its type, and its axes after the first, which is the sequence."""

    dtype: Any
    axes: tuple[str, ...]


LAYOUT: Mapping[str, Field] = {
    "raw/seq": Field(np.int8, ("base", "position")),
    "shap/seq": Field(np.float32, ("base", "position")),
    "projected_shap/seq": Field(np.float32, ("base", "position")),
    "genolift/key": Field(np.int64, ()),
    "genolift/id": Field(h5py.string_dtype("utf-8"), ()),
    "genolift/output": Field(np.float32, ()),
    "genolift/reference_output": Field(np.float32, ("reference",)),
    "genolift/convergence_error": Field(np.float32, ("reference",)),
    "genolift/standard_error": Field(np.float32, ("position",)),
}

MODELS_LAYOUT: Mapping[str, Field] = {
    "genolift/model_sd": Field(np.float32, ("position",)),
    "genolift/model_output": Field(np.float32, ("model",)),
}
"""What the file has besides where it holds the mean over several models."""


def _layout(several: bool) -> Mapping[str, Field]:
    return {**LAYOUT, **MODELS_LAYOUT} if several else LAYOUT


class Contributions:
    """An open contributions.h5, or a shard of one.

    Attributes
    ----------
    n, length, r
        Numbers of sequences, of positions, and of references for each sequence.
    key
        int64 (sequence,).
    provenance
        What was run.
    chromosomes
        The lengths of the genome's chromosomes in bases; empty for sequences from FASTA.
    models
        The names of the models that it holds the mean over; empty for one model.
    """

    def __init__(self, file: h5py.File) -> None:
        if file.attrs.get("format") != FORMAT or file.attrs.get("version") != VERSION:
            raise ValueError(f"its format is not {FORMAT} version {VERSION}")
        missing = [name for name in LAYOUT if name not in file]
        if missing:
            raise ValueError(f"it has no {missing[0]}")
        self.file = file
        self.n, _, self.length = file["shap/seq"].shape
        self.r = file["genolift/reference_output"].shape[1]
        self.key: NDArray[np.int64] = file["genolift/key"][:]
        self.id: list[str] = list(file["genolift/id"].asstr()[:])
        self.provenance: dict[str, Any] = json.loads(file.attrs["provenance"])
        self.chromosomes: dict[str, int] = json.loads(file.attrs["chromosomes"])
        several = "genolift/model_output" in file
        self.models = tuple(map(str, file["genolift/model_output"].attrs["models"])) if several else ()
        self.layout = _layout(several)

    def __getitem__(self, name: str) -> h5py.Dataset:
        return self.file[name]

    def blocks(self, rows: int = 256) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield every dataset of ``rows`` sequences at a time."""
        for start in range(0, self.n, rows):
            yield {name: self.file[name][start : start + rows] for name in self.layout}


@contextmanager
def open_contributions(path: str | os.PathLike[str]) -> Iterator[Contributions]:
    """Open contributions.h5 for reading.

    Raises
    ------
    InputError
        If the file is missing, damaged, or something else.
    """
    file = existing_file(path)
    try:
        opened = h5py.File(file, "r")
    except OSError as error:
        raise _not_contributions(file, error) from error
    with opened:
        try:
            contributions = Contributions(opened)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise _not_contributions(file, error) from error
        yield contributions


def _not_contributions(file: Path, why: Exception) -> InputError:
    return InputError(
        f"is no file of contributions ({why})", where=str(file), remedy="make it anew with genolift attribute"
    )


def write_contributions(
    path: str | os.PathLike[str],
    blocks: Iterator[Block],
    *,
    n: int,
    length: int,
    r: int,
    provenance: Mapping[str, Any],
    chromosomes: Mapping[str, int],
    models: Sequence[str] = (),
) -> None:
    """Write contributions.h5 from blocks of rows that are ``n`` sequences together, whole or not at all.

    ``models`` are named where the blocks are of the mean over several, and have what `MODELS_LAYOUT` says.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    sizes = {"base": 4, "position": length, "reference": r, "model": len(models)}
    layout = _layout(bool(models))
    with whole_hdf5(path) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["provenance"] = json.dumps(provenance, sort_keys=True)
        file.attrs["chromosomes"] = json.dumps(chromosomes)
        for name, field in layout.items():
            shape = (n, *(sizes[axis] for axis in field.axes))
            if n == 0:  # a shard of fewer sequences than there are shards; HDF5 has no chunks of nothing
                file.create_dataset(name, shape, dtype=field.dtype)
                continue
            row_bytes = 4 * int(np.prod(shape[1:], dtype=np.int64))
            chunks = (max(1, min(n, _CHUNK_BYTES // row_bytes)), *shape[1:])
            file.create_dataset(
                name,
                shape,
                dtype=field.dtype,
                chunks=chunks,
                compression="gzip",
                compression_opts=1,
                shuffle=True,
            )
        if models:
            file["genolift/model_output"].attrs["models"] = list(models)
        start = 0
        for block in blocks:
            stop = start + len(block["genolift/key"])
            for name in layout:
                file[name][start:stop] = block[name]
            start = stop
        if start != n:
            raise RuntimeError(f"{start} rows were written, {n} promised")


@dataclass(frozen=True)
class Head:
    """What tells a shard from another, without its scores."""

    path: str
    key: NDArray[np.int64]
    length: int
    r: int
    provenance: dict[str, Any]
    chromosomes: dict[str, int]


def read_heads(shards: Sequence[str | os.PathLike[str]]) -> list[Head]:
    """Return the heads of shards, in the order of their keys."""
    heads = []
    for path in shards:
        with open_contributions(path) as shard:
            sizes = shard.length, shard.r
            heads.append(Head(str(path), shard.key, *sizes, shard.provenance, shard.chromosomes))
    return sorted(heads, key=lambda head: int(head.key[0]) if len(head.key) else -1)


def merge_shards(heads: Sequence[Head], out: str | os.PathLike[str]) -> None:
    """Write contributions.h5 from shards that `check_shards` let pass."""
    seconds = sum(head.provenance.get("seconds", 0) for head in heads)
    provenance = {**heads[0].provenance, "seconds": round(seconds, 3), "shards": len(heads)}
    provenance.pop("shard", None)  # which a merged file, given as the one shard, does not have

    def blocks() -> Iterator[Block]:
        for head in heads:
            with open_contributions(head.path) as shard:
                yield from shard.blocks()

    write_contributions(
        out,
        blocks(),
        n=sum(len(head.key) for head in heads),
        length=heads[0].length,
        r=heads[0].r,
        provenance=provenance,
        chromosomes=heads[0].chromosomes,
    )


_PER_SHARD = {"seconds", "shard", "shards"}


def check_shards(heads: Sequence[Head], keys: NDArray[np.int64], called: str = "the shards") -> None:
    """Check that shards of one run hold each of ``keys`` once, in order.

    Raises
    ------
    InputError
        If a shard is missing or stands twice, or shards were made by different runs.
    """
    one = heads[0]
    for head in heads[1:]:
        for name in sorted((head.provenance.keys() | one.provenance.keys()) - _PER_SHARD):
            if head.provenance.get(name) != one.provenance.get(name):
                named = " (models of an ensemble are told apart by --model-name)"
                raise InputError(
                    f"was made with {name} {head.provenance.get(name)}, "
                    f"{one.path} with {one.provenance.get(name)}",
                    where=head.path,
                    remedy="remove the shards and attribute again"
                    + (named if name.startswith("model") else ""),
                )
    found = np.concatenate([head.key for head in heads])
    if np.array_equal(found, keys):
        return
    missing = np.setdiff1d(keys, found)
    if len(missing):
        what = f"{called} lack {len(missing)} of {len(keys)} sequences, key {missing[0]} first"
    else:
        what = f"{called} hold {len(found)} sequences, {len(keys)} are kept"
    where = ", ".join(head.path for head in heads)
    raise InputError(what, where=where, remedy="give every shard of these sequences once")
