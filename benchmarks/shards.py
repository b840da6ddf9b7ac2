"""Memory, time and reading of one shard of ``genolift attribute`` against the number of windows.

``python benchmarks/shards.py --windows 1000 10000 100000`` writes that many overlapping windows of 400 bp on
a made-up genome, and explains the first of 20 shards with a model that costs next to nothing, in a process of
its own: with stored references and with those that it makes again. It prints the peak of resident memory, how
much more that is for each window more than in the row before, user and system time, and the megabytes that
the process read.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import one_thread
import torch
from commands import Cost, cost_of
from end_to_end import genolift_command
from machine import machine

COLUMNS = ["references", "windows", "peak MB", "bytes more a window", "CPU s", "wall s", "MB read"]
LENGTH, STEP = 400, 100
MODEL = """
import torch
from torch import nn


class Cheap(nn.Module):
    input_length = 400

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 4, 11), nn.Linear(4, 1)

    def forward(self, x):
        return self.out(torch.relu(self.conv(x)).amax(-1))
"""


def write(folder: Path, n: int, references: int) -> None:
    """Write the windows' sequences.h5 and references.h5, and a model."""
    (folder / "cheap.py").write_text(MODEL)
    names: dict[str, type[torch.nn.Module]] = {}
    exec(MODEL, names)
    torch.manual_seed(0)
    torch.save(names["Cheap"]().state_dict(), folder / "weights.pt")
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, n * STEP + LENGTH)]
    (folder / "genome.fa").write_bytes(b">chr1\n" + letters.tobytes() + b"\n")
    with (folder / "windows.bed").open("w") as file:
        file.writelines(f"chr1\t{i * STEP}\t{i * STEP + LENGTH}\twindow{i}\n" for i in range(n))
    store = folder / "sequences.h5"
    genolift_command(
        *("encode", "--bed", folder / "windows.bed", "--genome", folder / "genome.fa", "--length", LENGTH),
        *("--table", folder / "sequences.tsv", "--out", store),
    )
    genolift_command(
        *("reference", "--sequences", store, "--number", references, "--out", folder / "references.h5")
    )


def measured(folder: Path, shards: int, arguments: list[str]) -> Cost:
    """Run ``genolift attribute`` on the first shard."""
    model = ("--model", folder / "weights.pt", "--model-class", f"{folder}/cheap.py:Cheap", *arguments)
    run = ("--shard", f"0/{shards}", "--device", "cpu", "--out", folder / "out.h5")
    return cost_of(["attribute", "--sequences", folder / "sequences.h5", *model, *run])


def main() -> None:
    """Measure each number of windows, with stored references and without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--references", type=int, default=2, help="for each window (2)")
    parser.add_argument("--shards", type=int, default=20, help="of which the first is run (20)")
    parser.add_argument("--folder", type=Path, help="where to keep the made-up files")
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    given = parser.parse_args()
    table: list[list[str]] = []
    facts = machine(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("stored", "made again"):
            last: tuple[int, float] | None = None
            for n in given.windows:
                folder = (given.folder or Path(scratch)) / f"{n}-{given.references}"
                if not (folder / "references.h5").exists():
                    folder.mkdir(parents=True, exist_ok=True)
                    write(folder, n, given.references)
                made = ["--number", str(given.references)]
                arguments = made if kind == "made again" else ["--references", f"{folder}/references.h5"]
                peak, cpu, wall, read, _ = measured(folder, given.shards, arguments)
                more = "" if last is None else f"{(peak - last[1]) * 2**20 / (n - last[0]):.0f}"
                last = n, peak
                row = [kind, f"{n:,}", f"{peak:,.1f}", more, f"{cpu:.1f}", f"{wall:.1f}", f"{read:,.0f}"]
                table.append(row)
                one_thread.report(given.out, "One shard of many windows", COLUMNS, table, facts)


if __name__ == "__main__":
    main()
