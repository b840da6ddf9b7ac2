"""Made-up contributions: one long chromosome with planted sites, and the files of windows cut from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from made_up import write_files

from genolift.motifs.meme import write_meme
from genolift.motifs.windows import Windows, open_windows
from genolift.settings.motifs import Motifs

SITES = {"gata": "AGATAAG", "ebox": "CCACGTGG"}


@contextmanager
def opened(
    folder: Path,
    onehot: np.ndarray,
    hypothetical: np.ndarray,
    starts: Sequence[int] | None = None,
    strands: str = "",
) -> Iterator[Windows]:
    """Write windows as `write_windows` does, and open them."""
    files = write_windows(folder, onehot, hypothetical, starts, strands)
    with open_windows(files["contributions"], files["sequences"], Motifs()) as windows:
        yield windows


@dataclass(frozen=True)
class Chromosome:
    """A chromosome: ``onehot`` and ``hypothetical`` contributions, (base, position), with sites of `SITES`
    planted on either strand; ``starts``, where they are.
    """

    onehot: np.ndarray
    hypothetical: np.ndarray
    starts: dict[str, list[int]]

    def cut(self, starts: Sequence[int], strands: str, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return windows, one-hot int8 and hypothetical float32, (window, base, position)."""
        return tuple(
            np.stack(
                [
                    values[:, start : start + length][
                        :: -1 if strand == "-" else 1, :: -1 if strand == "-" else 1
                    ]
                    for start, strand in zip(starts, strands, strict=True)
                ]
            )
            for values in (self.onehot, self.hypothetical)
        )


def chromosome(length: int, every: int = 150, seed: int = 0) -> Chromosome:
    """Return a chromosome with a site about every so many bases."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, length)
    hypothetical = random.normal(0, 0.05, (4, length))
    where: dict[str, list[int]] = {name: [] for name in SITES}
    for number, at in enumerate(range(every // 2, length - every, every)):
        name = list(SITES)[number % len(SITES)]
        start = at + int(random.integers(every // 4))
        bases = ["ACGT".index(letter) for letter in SITES[name]]
        if random.integers(2):
            bases = [3 - base for base in reversed(bases)]
        here = np.arange(start, start + len(bases))
        codes[here] = bases
        hypothetical[:, here] -= 0.3
        hypothetical[bases, here] += 1.3 + 0.1 * random.normal(size=len(bases))
        where[name].append(start)
    onehot = np.eye(4, dtype=np.int8)[codes].T
    return Chromosome(onehot, hypothetical.astype(np.float32), where)


def write_windows(
    folder: Path,
    onehot: np.ndarray,
    hypothetical: np.ndarray,
    starts: Sequence[int] | None = None,
    strands: str = "",
) -> dict[str, Path]:
    """Write contributions.h5 and sequences.tsv of windows on chr1, or of sequences from FASTA."""
    n, _, length = onehot.shape
    table = pd.DataFrame({"key": np.arange(n), "id": [f"window {key}" for key in range(n)]})
    placed = starts is not None
    table["chrom"] = "chr1" if placed else ""
    table["start"] = np.array(starts) if placed else ""
    table["end"] = np.array(starts) + length if placed else ""
    table["strand"] = list(strands) if placed else "."
    return write_files(folder, onehot, hypothetical, table)


def write_database(folder: Path) -> str:
    """Write a database of motifs that are like nothing in particular, and return its path."""
    random = np.random.default_rng(0)
    known = [(f"chance_{at}", "", random.dirichlet([0.3] * 4, 9).T, 20) for at in range(30)]
    write_meme(folder / "known.meme", known)
    return str(folder / "known.meme")
