"""The shards of one model: identified, checked to be from one run, and merged into contributions.h5."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genolift.errors import InputError
from genolift.results.convergence import check_scores
from genolift.results.provenance import Provenance
from genolift.results.store import Block, Head, begun_digest, open_contributions


@dataclass(frozen=True)
class Shard:
    """What identifies a shard, without its scores: ``key`` int64 (sequence,)."""

    path: str
    key: NDArray[np.int64]
    head: Head

    @property
    def provenance(self) -> Provenance:
        """What was run."""
        return self.head.provenance


def read_shards(paths: Sequence[str | os.PathLike[str]]) -> list[Shard]:
    """Return what identifies shards, in the order of their keys."""
    shards = []
    for path in paths:
        with open_contributions(path) as opened:
            shards.append(Shard(str(path), opened.key, opened.head))
    return sorted(shards, key=lambda shard: int(shard.key[0]) if len(shard.key) else -1)


def merged_head(shards: Sequence[Shard]) -> Head:
    """Return the head of contributions.h5 from shards that passed `check_shards`."""
    made = Provenance.of_shards([shard.provenance for shard in shards])
    return replace(shards[0].head, n=sum(len(shard.key) for shard in shards), provenance=made, models=())


def merged_blocks(shards: Sequence[Shard]) -> Iterator[Block]:
    """Yield the rows of contributions.h5, checked, from shards that passed `check_shards`.

    Raises
    ------
    InputError
        If contributions are inconsistent (`check_scores`).
    """
    for shard in shards:
        with open_contributions(shard.path) as opened:
            for block in opened.blocks():
                check_scores(block, opened.provenance, shard.path)
                yield block


def is_merged(path: Path, shards: Sequence[Shard]) -> bool:
    """Whether a file is there that says it has the head and the rows that are merged from these shards.

    Its rows are checked against that when they are read.
    """
    if not path.is_file():
        return False
    digest = begun_digest(merged_head(shards))
    for shard in shards:
        with open_contributions(shard.path) as opened:
            opened.add_rows_to(digest)
    try:
        with open_contributions(path) as found:
            return found.digest == digest.hex()
    except InputError:
        return False


def check_shards(shards: Sequence[Shard], keys: NDArray[np.int64], called: str = "the shards") -> None:
    """Check that the shards of one run contain each of ``keys`` once, in order.

    Raises
    ------
    InputError
        If a shard is missing or given twice, or shards come from different runs.
    """
    one = shards[0]
    for shard in shards[1:]:
        difference = shard.provenance.run.difference(one.provenance.run)
        if difference is not None:
            key, said, other = difference
            named = " (for several models, give each its --model-name)" if key.startswith("model") else ""
            raise InputError(
                f"was made with {key} {said}, {one.path} with {other}",
                where=shard.path,
                remedy=f"remove the shards and attribute again{named}",
            )
    found = np.concatenate([shard.key for shard in shards])
    if np.array_equal(found, keys):
        return
    missing = np.setdiff1d(keys, found)
    if len(missing):
        what = f"{called} lack {len(missing)} of {len(keys)} sequences, key {missing[0]} first"
    else:
        what = f"{called} hold {len(found)} sequences, not the {len(keys)} that are kept"
    where = ", ".join(shard.path for shard in shards)
    raise InputError(what, where=where, remedy="give every shard of these sequences once")
