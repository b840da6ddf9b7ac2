"""The shards of one model: identified, checked to be from one run, and merged into contributions.h5."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genolift.errors import InputError
from genolift.results.convergence import check_scores
from genolift.results.provenance import Provenance
from genolift.results.store import Block, open_contributions, write_contributions


@dataclass(frozen=True)
class Head:
    """What identifies a shard, without its scores."""

    path: str
    key: NDArray[np.int64]
    length: int
    r: int
    provenance: Provenance
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
    """Write contributions.h5 from shards that passed `check_shards`."""

    def blocks() -> Iterator[Block]:
        for head in heads:
            with open_contributions(head.path) as shard:
                for block in shard.blocks():
                    check_scores(block, shard.provenance, head.path)
                    yield block

    write_contributions(
        out,
        blocks(),
        n=sum(len(head.key) for head in heads),
        length=heads[0].length,
        r=heads[0].r,
        provenance=Provenance.of_shards([head.provenance for head in heads]),
        chromosomes=heads[0].chromosomes,
    )


def check_shards(heads: Sequence[Head], keys: NDArray[np.int64], called: str = "the shards") -> None:
    """Check that the shards of one run contain each of ``keys`` once, in order.

    Raises
    ------
    InputError
        If a shard is missing or given twice, or shards come from different runs.
    """
    one = heads[0]
    for head in heads[1:]:
        difference = head.provenance.run.difference(one.provenance.run)
        if difference is not None:
            key, said, other = difference
            named = " (for several models, give each its --model-name)" if key.startswith("model") else ""
            raise InputError(
                f"was made with {key} {said}, {one.path} with {other}",
                where=head.path,
                remedy=f"remove the shards and attribute again{named}",
            )
    found = np.concatenate([head.key for head in heads])
    if np.array_equal(found, keys):
        return
    missing = np.setdiff1d(keys, found)
    if len(missing):
        what = f"{called} lack {len(missing)} of {len(keys)} sequences, key {missing[0]} first"
    else:
        what = f"{called} hold {len(found)} sequences, not the {len(keys)} that are kept"
    where = ", ".join(head.path for head in heads)
    raise InputError(what, where=where, remedy="give every shard of these sequences once")
