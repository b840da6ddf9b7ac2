"""CPU time, peak memory and disk of every step, on any number of windows, with a model that costs little.

``python benchmarks/any_size.py --windows 100 1000 10000`` plants motifs in a made-up genome of 100 Mb, takes
that many windows of 400 bp, and runs the steps on each set, every one a process of its own, whose peak is its
own VmHWM: check, encode, reference, attribute (one shard of several, which makes its references again),
aggregate, per_base, motifs (with at most 2,000 seqlets of a sign), logos and report. What was measured is
kept in ``any_size.tsv`` beside this file, whose rows of other sizes stay, and printed as Markdown.

A window takes 40 kB of disk while it runs, in ``--folder`` (a temporary folder), which is emptied after each
size; 500,000 windows take two hours or three.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import one_thread  # noqa: F401 (first: it sets the number of threads)
import pandas as pd
import torch
import windows
from commands import Cost, cost_of
from machine import machine

TABLE = Path(__file__).with_suffix(".tsv")
KEY = ["step", "windows", "length", "references"]
MEASURED = {"cpu_s": "CPU seconds", "peak_mb": "Peak memory, MiB", "disk_mb": "Disk, MB"}
BYTES_A_WINDOW = 100
"""Of disk, for each base of a window."""
SITES = [
    *("AGATAAGGCA", "CCACGTGACC", "TGACTCATGC", "GGGCGGGGCT", "TTGCATAACA", "ACCGGAAGTG"),
    *("ATTTGCATAT", "GTAAACAAAC"),
]
MODEL = """
import torch
from torch import nn


class Cheap(nn.Module):
    def __init__(self):
        super().__init__()
        self.sites, self.other = nn.Conv1d(4, 8, 10), nn.Conv1d(4, 4, 7)

    def forward(self, x):
        found = torch.relu(self.sites(x)).sum((1, 2)) + 0.05 * torch.relu(self.other(x)).sum((1, 2))
        return found[:, None]
"""
SHARD = 2500
"""Windows of a shard at least, as far as there are 20 shards at most."""


def write_model(folder: Path) -> list[object]:
    """Write a model that sees the planted motifs, and little else; return the flags that name it."""
    (folder / "cheap.py").write_text(MODEL)
    names: dict[str, type[torch.nn.Module]] = {}
    exec(MODEL, names)
    torch.manual_seed(0)
    model = names["Cheap"]()
    for number, site in enumerate(SITES):
        bases = torch.tensor(["ACGT".index(letter) for letter in site])
        model.sites.weight.data[number] = torch.nn.functional.one_hot(bases, 4).T.float()
    model.sites.bias.data[:] = 1.5 - len(SITES[0])
    torch.save(model.state_dict(), folder / "weights.pt")
    return ["--model", folder / "weights.pt", "--model-class", f"{folder}/cheap.py:Cheap"]


def commands(
    folder: Path, source: list[object], model: list[object], shards: int, references: int
) -> Iterator[tuple[str, list[object], list[str]]]:
    """Yield each step, its command, and the patterns of the files that it writes; the shards after the first
    have no step's name.
    """
    store, table, contributions = (
        folder / "sequences.h5",
        folder / "sequences.tsv",
        folder / "contributions.h5",
    )
    checked = ["--inspection", folder / "inspection", "--out", folder / "check.json"]
    yield "check", ["check", *source, *model, *checked], ["check.json", "inspection"]
    written = ["sequences.tsv", "sequences.h5"]
    yield "encode", ["encode", *source, "--table", table, "--out", store], written
    given = ["--sequences", store, "--number", references]
    yield "reference", ["reference", *given, "--out", folder / "references.h5"], ["references.h5"]
    for number in range(shards):
        out = ["--shard", f"{number}/{shards}", "--device", "cpu", "--out", folder / f"shard-{number}.h5"]
        yield "" if number else "attribute", ["attribute", *given, *model, *out], [f"shard-{number}.h5"]
    made = [folder / f"shard-{number}.h5" for number in range(shards)]
    merged = ["--sequences", table, "--out", folder, "--no-per-base"]
    files = ["aggregate.json", "contributions.h5", "contributions.bw", "per_sequence.tsv"]
    yield "aggregate", ["aggregate", "--shards", *made, *merged], files
    yield "per_base", ["per-base", folder, "--parquet", folder / "bases.parquet"], ["bases.parquet"]
    found = ["--contributions", contributions, "--sequences", table, "--max-seqlets", 2000, "--out", folder]
    yield "motifs", ["motifs", *found], ["motif*", "seqlets*", "hits*"]
    yield "logos", ["logos", "--results", folder, "--out", folder / "logos"], ["logos"]
    yield "report", ["report", "--results", folder, "--out", folder / "report.html"], ["report.html"]


GONE_AFTER = {"reference": "references.h5", "aggregate": "shard-*.h5", "per_base": "bases.parquet"}
"""What no later step reads."""


def size_of(folder: Path, patterns: list[str]) -> int:
    """Return the bytes of the files, and of those in the folders, that match."""
    paths = [path for pattern in patterns for path in folder.glob(pattern)]
    every = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return sum(file.stat().st_size for file in every if file.is_file())


def measure(scratch: Path, n: int, given: argparse.Namespace, model: list[object], genome: Path) -> None:
    """Run all steps on ``n`` windows."""
    folder = scratch / str(n)
    folder.mkdir(parents=True)
    try:
        peaks = windows.write_peaks(scratch / f"{n}.narrowPeak", genome, n, given.length)
        source: list[object] = ["--bed", peaks, "--genome", genome, "--length", given.length]
        shards = min(20, max(1, n // SHARD))
        for step, arguments, written in commands(folder, source, model, shards, given.references):
            cost = cost_of(arguments)
            if step:
                keep(given, step, n, cost, size_of(folder, written))
            if step == given.until:
                break
            for file in folder.glob(GONE_AFTER.get(step, "-")):
                file.unlink()
    finally:
        shutil.rmtree(folder)


def keep(given: argparse.Namespace, step: str, n: int, cost: Cost, disk: int) -> None:
    """Put what was measured into the table, in the place of an earlier row of the same size."""
    print(
        f"{n:,} windows, {step}: {cost.cpu:.1f} CPU s, {cost.peak:,.0f} MiB, {disk / 1e6:,.1f} MB", flush=True
    )
    row = dict(zip(KEY, (step, n, given.length, given.references), strict=True))
    figures = {"cpu_s": round(cost.cpu, 1), "wall_s": round(cost.wall, 1)}
    row |= figures | {"peak_mb": round(cost.peak), "disk_mb": round(disk / 1e6, 1)}
    table = pd.DataFrame([row])
    if given.out.exists():
        table = pd.concat([pd.read_csv(given.out, sep="\t"), table]).drop_duplicates(KEY, keep="last")
    table.sort_values([*KEY[1:]], kind="stable").to_csv(given.out, sep="\t", index=False)


def as_markdown(table: pd.DataFrame) -> str:
    """Return a table of each quantity, a row for each step and a column for each number of windows."""
    lines = []
    for column, name in MEASURED.items():
        wide = table.pivot_table(index="step", columns="windows", values=column, sort=False)
        wide = wide[sorted(wide.columns)]
        more = "ms a window more" if column == "cpu_s" else "bytes a window more"
        lines += [f"{name}:", "", f"| step | {' | '.join(f'{n:,}' for n in wide.columns)} | {more} |"]
        lines += ["|" + "---|" * (len(wide.columns) + 2)]
        for step, row in wide.iterrows():
            lines.append(f"| {step} | {' | '.join(_number(each) for each in row)} | {_more(row, column)} |")
        lines.append("")
    return "\n".join(lines)


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _more(row: pd.Series, column: str) -> str:
    """Return how much more each window takes between the two largest numbers of windows."""
    two = row.dropna().iloc[-2:]
    if len(two) < 2:
        return ""
    a_window = (two.iloc[1] - two.iloc[0]) / (two.index[1] - two.index[0])
    unit = {"cpu_s": 1000, "peak_mb": 2**20, "disk_mb": 1e6}[column]
    return f"{unit * a_window:,.2f}" if column == "cpu_s" else f"{unit * a_window:,.0f}"


def main() -> None:
    """Measure each number of windows, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--length", type=int, default=400)
    parser.add_argument("--references", type=int, default=2, help="for each window (2)")
    parser.add_argument("--bases", type=int, default=100_000_000, help="of the genome")
    parser.add_argument("--until", metavar="STEP", help="the last step to run, of each number")
    parser.add_argument("--folder", type=Path, help="where to make a temporary folder")
    parser.add_argument("--out", type=Path, default=TABLE, help="the table to keep (any_size.tsv)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        scratch = Path(name)
        most = max(given.windows, default=0) * given.length * BYTES_A_WINDOW + 3 * given.bases
        if shutil.disk_usage(scratch).free < most:
            sys.exit(f"{most / 1e9:.0f} GB of disk are needed in {scratch.parent}: name another --folder")
        if given.windows:
            genome = windows.write_genome(scratch / "genome.fa", given.bases, SITES)
            model = write_model(scratch)
        for n in given.windows:
            measure(scratch, n, given, model, genome)
    table = pd.read_csv(given.out, sep="\t")
    kept = (table["length"] == given.length) & (table["references"] == given.references)
    print(as_markdown(table[kept]))
    print("\n".join(f"{name}: {value}" for name, value in machine(torch.device("cpu")).items()))


if __name__ == "__main__":
    main()
