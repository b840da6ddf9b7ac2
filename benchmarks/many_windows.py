"""Memory and time of ``genolift motifs`` against the number of windows, whose contributions are made up.

``python benchmarks/many_windows.py --windows 10000 100000`` writes that many windows of 400 bp with 12 motifs
planted, a sixth of them overlapping another, and runs the command on each set, ``--runs`` times, in a process
of its own. It prints the peak of resident memory, the median over the runs with the least and the most, how
much more the median is for each window more than in the row before, user and system time, and what was found.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import one_thread
import torch
from commands import Cost, cost_of
from machine import machine
from made_up import rows

from genolift.files.whole import sha256
from genolift.results.store import Block, Head, write_contributions

COLUMNS = ["windows", "peak MB", "of runs", "bytes more a window", "CPU s", "wall s", "what was found"]
LENGTH = 400
BLOCK = 1000
MOTIFS = [
    *("AGATAAGG", "CACGTGAC", "TGACTCATG", "GGGCGGGGC", "TTGCATAACA", "CCGGAAGTG"),
    *("ATTTGCATAT", "GTAAACAAAC", "TAATTAGCT", "CAGCTGTT", "TGCGCATGCGC", "ACCACAGATT"),
]


def starts(n: int) -> np.ndarray:
    """Return where windows start: every sixth overlaps the one before by half."""
    step = np.where(np.arange(n) % 6 == 5, LENGTH // 2, 3 * LENGTH)
    return np.cumsum(step)


def made_up(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one-hot windows and hypothetical contributions; those that overlap have a half in common."""
    random = np.random.default_rng(first)
    n = last - first
    codes = random.integers(0, 4, (n, LENGTH))
    hypothetical = random.normal(0, 0.03, (n, 4, LENGTH)).astype(np.float32)
    for row in range(n):
        for half in range(2):
            if random.random() < 0.7:
                site = MOTIFS[random.integers(len(MOTIFS))]
                bases = np.array(["ACGT".index(letter) for letter in site])
                if random.random() < 0.5:
                    bases = 3 - bases[::-1]
                at = half * LENGTH // 2 + int(random.integers(20, LENGTH // 2 - 40))
                here = np.arange(at, at + len(bases))
                codes[row, here] = bases
                height = random.normal(0.35, 0.05)
                hypothetical[row][:, here] -= height / 4
                hypothetical[row][bases, here] += height
    repeated = np.flatnonzero((np.arange(first, last) % 6 == 5) & (np.arange(n) > 0))
    half = LENGTH // 2
    codes[repeated, :half] = codes[repeated - 1, half:]
    hypothetical[repeated, :, :half] = hypothetical[repeated - 1, :, half:]
    onehot = np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1)
    return onehot, hypothetical


def blocks(n: int) -> Iterator[Block]:
    """Yield the rows of contributions.h5."""
    for first in range(0, n, BLOCK):
        last = min(first + BLOCK, n)
        onehot, hypothetical = made_up(first, last)
        keys = np.arange(first, last)
        yield rows(onehot, hypothetical, keys, [f"peak_{key}" for key in keys])


def write(folder: Path, n: int) -> None:
    """Write sequences.tsv and contributions.h5."""
    table = folder / "sequences.tsv"
    with table.open("w") as file:
        file.write("key id chrom start end strand length gc n_count kept reason\n".replace(" ", "\t"))
        for key, start in enumerate(starts(n).tolist()):
            row = (key, f"peak_{key}", "chr1", start, start + LENGTH, "+", LENGTH, 0.5, 0, "true", "")
            file.write("\t".join(map(str, row)) + "\n")
    told = {"sequences_table_sha256": sha256(table)}
    write_contributions(folder / "contributions.h5", Head(n, LENGTH, 2, told, {}), blocks(n))


def measured(folder: Path, arguments: list[str]) -> Cost:
    """Run ``genolift motifs`` on what was made up."""
    flags = ("--sequences", folder / "sequences.tsv", "--out", folder / "out", *arguments)
    return cost_of(["motifs", "--contributions", folder / "contributions.h5", *flags])


def main() -> None:
    """Measure each number of windows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--runs", type=int, default=1, help="of each number, in turns with the others")
    parser.add_argument("--folder", type=Path, help="where to keep the made-up files")
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    parser.add_argument("arguments", nargs="*", help="for genolift motifs, after --")
    given = parser.parse_args()
    facts = machine(torch.device("cpu"))
    every: dict[int, list[Cost]] = {n: [] for n in sorted(given.windows)}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(given.runs):
            for n, runs in every.items():
                folder = (given.folder or Path(scratch)) / str(n)
                if not (folder / "contributions.h5").exists():
                    folder.mkdir(parents=True, exist_ok=True)
                    write(folder, n)
                runs.append(measured(folder, given.arguments))
                one_thread.report(given.out, "Motifs of many windows", COLUMNS, tabled(every), facts)


def tabled(every: Mapping[int, Sequence[Cost]]) -> list[list[str]]:
    """Return the rows of `COLUMNS` for those numbers of windows that were run."""
    table: list[list[str]] = []
    last: tuple[int, float] | None = None
    for n, runs in every.items():
        if not runs:
            continue
        peaks = [run.peak for run in runs]
        peak = median(peaks)
        more = "" if last is None else f"{(peak - last[1]) * 2**20 / (n - last[0]):.0f}"
        last = n, peak
        of_runs = f"{min(peaks):,.0f} to {max(peaks):,.0f}, {len(runs)} runs" if len(runs) > 1 else "one run"
        found = runs[0].said.strip().splitlines()[-1].rpartition(": ")[0]
        times = [f"{median(getattr(run, name) for run in runs):.0f}" for name in ("cpu", "wall")]
        table.append([f"{n:,}", f"{peak:,.0f}", of_runs, more, *times, found])
    return table


if __name__ == "__main__":
    main()
