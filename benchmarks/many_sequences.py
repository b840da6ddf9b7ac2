"""Memory and time of ``genolift encode`` against the number of windows, on a made-up genome.

``python benchmarks/many_sequences.py --windows 10000 100000`` encodes that many windows of 400 bp, from
narrowPeak with an indexed genome and from FASTA, each in a process of its own. It prints the peak of resident
memory, how much more that is for each window more than in the row before, and user and system time.
``--package`` measures the code in another folder, such as that of an earlier commit.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import one_thread
import torch
import windows
from commands import cost_of
from machine import machine

COLUMNS = ["source", "windows", "peak MB", "bytes more a window", "CPU s", "wall s"]


def arguments_of(source: str, folder: Path, n: int, length: int) -> list[str]:
    """Return the flags that name a source, which is written if it is not there."""
    if source == "FASTA":
        fasta = folder / f"{n}.fa.gz"
        return ["--fasta", str(fasta if fasta.exists() else windows.write_sequences(fasta, n, length))]
    genome, peaks = folder / "genome.fa", folder / f"{n}.narrowPeak"
    if not genome.exists():
        windows.write_genome(genome, 100_000_000)
    if not peaks.exists():
        windows.write_peaks(peaks, genome, n, length)
    return ["--bed", str(peaks), "--genome", str(genome)]


def main() -> None:
    """Measure each number of windows of each source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, nargs="+", default=[1000, 10_000, 100_000, 500_000])
    parser.add_argument("--length", type=int, default=400)
    parser.add_argument("--sources", nargs="+", default=["narrowPeak", "FASTA"])
    parser.add_argument("--folder", type=Path, help="where to keep the made-up files")
    parser.add_argument("--package", type=Path, help="the folder of the package genolift to measure")
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    given = parser.parse_args()
    table: list[list[str]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for source in given.sources:
            last: tuple[int, float] | None = None
            for n in given.windows:
                files = ["--table", f"{scratch}/sequences.tsv", "--out", f"{scratch}/sequences.h5"]
                arguments = arguments_of(source, folder, n, given.length)
                arguments = ["encode", *arguments, "--length", str(given.length), *files]
                peak, cpu, wall, *_ = cost_of(
                    arguments, {"PYTHONPATH": str(given.package)} if given.package else {}
                )
                more = "" if last is None else f"{(peak - last[1]) * 2**20 / (n - last[0]):.0f}"
                last = n, peak
                table.append([source, f"{n:,}", f"{peak:,.0f}", more, f"{cpu:.1f}", f"{wall:.1f}"])
                one_thread.report(
                    given.out, "Encoding many windows", COLUMNS, table, machine(torch.device("cpu"))
                )


if __name__ == "__main__":
    main()
