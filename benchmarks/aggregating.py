"""CPU time, memory and disk of ``genolift aggregate``, on shards that are made up on a genome of 100 Mb.

``python benchmarks/aggregating.py --windows 1000 10000 --length 400`` writes shards of that many windows with
two references each, in an order of their own, a third of them overlapping another, and runs the command in a
process of its own. It prints the CPU time for each window of the run, which contains Python's start, and
for each window more than in the row before; the peak of resident memory and how much more that is for each
window more; and the size of what was written.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import one_thread
import torch
from commands import Cost, cost_of
from machine import machine

from genolift.files.whole import sha256
from genolift.results.provenance import Provenance
from genolift.results.store import Block, Head, write_contributions

COLUMNS = [
    *("windows", "bp", "CPU ms a window", "CPU ms a window more", "peak MB", "bytes more a window"),
    *("wall s", "written MB"),
]
BLOCK = 1000
REFERENCES = 2
CHROMOSOMES = 10


@dataclass(frozen=True)
class Made:
    """What is made up: windows of some length in so many shards, on a genome of so many bases in all, a
    tenth of them on each of ten chromosomes, with so many scaffolds more on which there is none.
    """

    windows: int
    length: int
    shards: int = 4
    bases: int = 100_000_000
    scaffolds: int = 0
    models: int = 1
    in_order: bool = False

    @property
    def chromosomes(self) -> dict[str, int]:
        """The chromosomes' lengths."""
        named = {f"chr{number + 1}": self.bases // CHROMOSOMES for number in range(CHROMOSOMES)}
        return named | {f"scaffold_{number}": 5000 for number in range(self.scaffolds)}

    def places(self) -> list[tuple[str, int, str]]:
        """Return the windows' chromosomes, starts and strands in the input's order."""
        random = np.random.default_rng(self.windows)
        starts = np.linspace(0, self.bases - CHROMOSOMES * 2 * self.length, self.windows).astype(int)
        starts[::3] += self.length // 2
        room = self.bases // CHROMOSOMES
        order = np.arange(self.windows) if self.in_order else random.permutation(self.windows)
        return [
            (
                f"chr{starts[at] // room + 1}",
                int(min(starts[at] % room, room - self.length)),
                "-" if at % 2 else "+",
            )
            for at in order
        ]


def blocks(length: int, keys: range, seed: int) -> Iterator[Block]:
    """Yield rows of a shard that pass the step's checks."""
    for first in range(keys.start, keys.stop, BLOCK):
        key = np.arange(first, min(first + BLOCK, keys.stop))
        random = np.random.default_rng([seed, first])
        n = len(key)
        onehot = np.eye(4, dtype=np.int8)[random.integers(0, 4, (n, length))].transpose(0, 2, 1)
        hypothetical = random.normal(0, 0.03, (n, 4, length)).astype(np.float32)
        projected = onehot * hypothetical
        reference_output = random.normal(0, 0.1, (n, REFERENCES)).astype(np.float32)
        total = projected.sum((1, 2), dtype=np.float64)
        yield {
            "raw/seq": onehot,
            "shap/seq": hypothetical,
            "projected_shap/seq": projected,
            "genolift/key": key,
            "genolift/id": np.array([f"peak_{number}" for number in key], object),
            "genolift/output": (total + reference_output.mean(1, dtype=np.float64)).astype(np.float32),
            "genolift/reference_output": reference_output,
            "genolift/convergence_error": np.zeros((n, REFERENCES), np.float32),
            "genolift/standard_error": np.abs(random.normal(0, 0.01, (n, length))).astype(np.float32),
            "genolift/sequence_digest": np.zeros((n, 16), np.uint8),
            "genolift/reference_digest": np.zeros((n, 16), np.uint8),
        }


def write(folder: Path, made: Made) -> None:
    """Write sequences.tsv and the shards of each model."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "sequences.tsv"
    with table.open("w") as file:
        file.write("key id chrom start end strand length gc n_count kept reason\n".replace(" ", "\t"))
        for key, (chrom, start, strand) in enumerate(made.places()):
            stop = start + made.length
            row = (key, f"peak_{key}", chrom, start, stop, strand, made.length, 0.5, 0, "true", "")
            file.write("\t".join(map(str, row)) + "\n")
    bounds = [made.windows * number // made.shards for number in range(made.shards + 1)]
    for model in range(made.models):
        told = Provenance(
            model_name=f"fold{model}",
            model_sha256=str(model),
            tolerance=1e-3,
            sums_up=True,
            reference_kind="dinucleotide_shuffle",
            sequences_table_sha256=sha256(table),
        )
        for number, (first, last) in enumerate(pairwise(bounds)):
            shard = folder / f"shard-{model}-{number}.h5"
            head = Head(last - first, made.length, REFERENCES, told, made.chromosomes)
            write_contributions(shard, head, blocks(made.length, range(first, last), model))


def measured(folder: Path, arguments: list[str]) -> Cost:
    """Run ``genolift aggregate`` on what was made up."""
    flags = ("--sequences", folder / "sequences.tsv", "--out", folder / "out", *arguments)
    return cost_of(["aggregate", "--shards", *sorted(folder.glob("shard-*.h5")), *flags])


def main() -> None:
    """Measure each number of windows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--length", type=int, default=400)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--models", type=int, default=1)
    parser.add_argument("--scaffolds", type=int, default=0)
    parser.add_argument("--bases", type=int, default=100_000_000)
    parser.add_argument("--in-order", action="store_true", help="windows in the genome's order")
    parser.add_argument("--folder", type=Path, help="where to keep the made-up files")
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    parser.add_argument("arguments", nargs="*", help="for genolift aggregate, after --")
    given = parser.parse_args()
    table: list[list[str]] = []
    last: tuple[int, float, float] | None = None
    with tempfile.TemporaryDirectory() as scratch:
        for n in given.windows:
            made = Made(
                *(n, given.length, given.shards, given.bases),
                *(given.scaffolds, given.models, given.in_order),
            )
            folder = (given.folder or Path(scratch)) / f"{n}-{given.length}"
            if not (folder / "sequences.tsv").exists():
                write(folder, made)
            peak, cpu, wall, *_ = measured(folder, given.arguments)
            more, bytes_more = "", ""
            if last is not None:
                more = f"{1000 * (cpu - last[1]) / (n - last[0]):.2f}"
                bytes_more = f"{(peak - last[2]) * 2**20 / (n - last[0]):.0f}"
            last = n, cpu, peak
            size = sum(file.stat().st_size for file in (folder / "out").rglob("*") if file.is_file())
            table.append(
                [
                    *(f"{n:,}", str(given.length), f"{1000 * cpu / n:.2f}", more),
                    *(f"{peak:,.0f}", bytes_more, f"{wall:.0f}", f"{size / 1e6:,.0f}"),
                ]
            )
            one_thread.report(given.out, "Aggregating", COLUMNS, table, machine(torch.device("cpu")))


if __name__ == "__main__":
    main()
