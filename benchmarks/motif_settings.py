"""What each setting of the motifs changes in what ``genolift motifs`` finds, on sites that are known.

    python benchmarks/motif_settings.py --folder build/motifs --out benchmarks/results/motif_settings

Both presets, and genolift's with one setting after the other as in the tools' own commands or as it was
before. Contributions are those of `motif_data.py`, made once in the folder. Recall and precision are of the
demo's sites and of the simulated ones, and judged as in `motifs.py`. "In 200" is the middle of simulated
windows, where sites lie at the ends too; "30 of it" are as many of the demo's sequences. CPU seconds (user
and system) and peak memory are of the whole command, after a first run that compiled TF-MoDISco's functions.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import one_thread
import pandas as pd
import torch
from machine import machine
from made_up import write_files
from measure import said
from motif_data import DATA, ROOT, contributions
from motifs import Judged
from numpy.typing import NDArray

from genolift.motifs.hit_files import HIT_FILE
from genolift.settings.motifs import OWN, PRESETS, PUBLISHED

COLUMNS = [
    "contributions",
    "settings",
    "seqlets, + and -",
    "motifs, + and -",
    "seqlets in motifs",
    "hits",
    "CPU s",
    "peak MB",
    "planted motifs found",
    "false motifs",
    "found twice",
    "sites in seqlets: recall",
    "precision",
    "sites in hits: recall",
    "precision of hits",
]
FURTHER = (
    {"target_seqlet_fdr": 0.2},
    {"max_seqlets": 2000},
    {"nearest_neighbors_to_compute": 350},
    {"n_leiden_runs": 50},
    {"window": 200},
)
"""What genolift, or TF-MoDISco's function, took before; and half of a simulated window."""
PARTS: dict[str, dict[str, dict[str, int]]] = {
    "demo": {"": {}, ", 30 of it": {"every": 8}},
    "simulated": {"": {}, ", in 200": {"width": 200}},
}
"""What is measured of a data set, by what is added to its name."""


def variants() -> Iterator[tuple[str, list[str]]]:
    """Yield what is compared, with the command's flags for it."""
    yield OWN, []
    yield PUBLISHED, ["--preset", PUBLISHED]
    tools = PRESETS[PUBLISHED]
    other = [name for name, value in PRESETS[OWN].items() if value != tools[name] and name != "window"]
    motif = {name: tools[name] for name in other if name in ("trim_to_window_size", "initial_flank_to_add")}
    for keys in (*({name: tools[name]} for name in other if name not in motif), motif, *FURTHER):
        flags = [word for name, value in keys.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        yield ", ".join(f"{name} {value:,}" for name, value in keys.items()), flags


def write_inputs(folder: Path, onehot: NDArray[np.int8], hypothetical: NDArray[np.float32]) -> None:
    """Write contributions.h5 and sequences.tsv of sequences from a FASTA."""
    keys = np.arange(len(onehot))
    table = pd.DataFrame(
        {"key": keys, "id": [f"s{key}" for key in keys], "chrom": "", "start": "", "end": ""}
    )
    write_files(folder, onehot, hypothetical, table.assign(strand="."))


def part(
    name: str, folder: Path, *, width: int | None = None, every: int = 1
) -> tuple[NDArray[np.int8], NDArray[np.float32], pd.DataFrame]:
    """Return contributions, and the sites within them: of one sequence in ``every`` so many, its middle."""
    with np.load(contributions(name, folder)) as file:
        sites = pd.DataFrame({key[5:]: file[key] for key in file if key.startswith("site_")})
        onehot, hypothetical = file["onehot"][::every], file["hypothetical"][::every]
    side = (onehot.shape[2] - (width or onehot.shape[2])) // 2
    inside = np.s_[:, :, side : onehot.shape[2] - side]
    if name == "demo":
        sites = _demo_sites()
    if len(sites):
        sites = sites[sites["row"] % every == 0].assign(row=sites["row"] // every)
        sites[["start", "end"]] -= side
        sites = sites[(sites["start"] >= 0) & (sites["end"] <= onehot[inside].shape[2])]
    return onehot[inside], hypothetical[inside], sites.reset_index(drop=True)


def _demo_sites() -> pd.DataFrame:
    """Return where the demo's motifs were put: ``row start end motif``."""
    with gzip.open(ROOT / "data/demo/sequences.fa.gz", "rt") as file:
        ids = [line[1:].split()[0] for line in file if line.startswith(">")]
    sites = pd.read_csv(ROOT / "data/demo/instances.tsv", sep="\t", dtype={"id": str})
    return sites.assign(row=sites["id"].map({name: row for row, name in enumerate(ids)}))


def measured(inputs: Path, flags: Sequence[str], sites: pd.DataFrame) -> list[str]:
    """Run ``genolift motifs`` and return the columns behind the settings."""
    with tempfile.TemporaryDirectory() as out:
        words = [sys.executable, "-m", "genolift", "motifs", "--contributions", inputs / "contributions.h5"]
        words += ["--sequences", inputs / "sequences.tsv", "--out", out, "--quiet", *flags]
        process = subprocess.Popen([*map(str, words)], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            sys.exit(f"{' '.join(map(str, words))} failed")
        motifs, seqlets = (_table(Path(out) / f"{name}.tsv") for name in ("motifs", "seqlets"))
        hits = pd.read_csv(Path(out) / "hits.bed.gz", sep="\t", header=None, names=HIT_FILE)
    hits = hits.rename(columns={"key": "row"})
    signs = ("pos", "neg")
    positive = seqlets["contribution"] > 0
    row = [
        f"{positive.sum()} and {(~positive).sum()}",
        " and ".join(str((motifs["sign"] == sign).sum()) for sign in signs),
        str((seqlets["motif"] != "").sum()),
        str(len(hits)),
        f"{usage.ru_utime + usage.ru_stime:.1f}",
        f"{usage.ru_maxrss / 1024:.0f}",
    ]
    if sites.empty:
        return row + ["-"] * (len(COLUMNS) - 2 - len(row))
    return row + _truth(motifs["motif"].tolist(), seqlets, hits, sites)


def _table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", keep_default_na=False).rename(columns={"key": "row"})


def _truth(
    motifs: Sequence[str], seqlets: pd.DataFrame, hits: pd.DataFrame, sites: pd.DataFrame
) -> list[str]:
    in_seqlets, in_hits = ([each[each["motif"] == motif] for motif in motifs] for each in (seqlets, hits))
    judged = Judged.of(in_seqlets, sites, None)
    of_hits = Judged.of(in_hits, sites, judged.kinds)
    shares = [judged.recall, judged.precision, of_hits.recall, of_hits.precision]
    known = [kind for kind in judged.kinds if kind is not None]
    counts = [
        f"{len(set(known))} of {sites['motif'].nunique()}",
        str(len(judged.kinds) - len(known)),
        str(len(known) - len(set(known))),
    ]
    return [*counts, *(f"{share:.3f}" for share in shares)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=DATA, default=["demo", "simulated"])
    parser.add_argument("--only", nargs="+", help="settings to measure, by their names in the table")
    parser.add_argument(
        "--folder", type=Path, default=Path("build/motifs"), help="where contributions are kept"
    )
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    a = parser.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    rows: list[list[str]] = []
    for name in a.data:
        for called, how in PARTS.get(name, {"": {}}).items():
            onehot, hypothetical, sites = part(name, a.folder, **how)
            with tempfile.TemporaryDirectory() as inputs:
                write_inputs(Path(inputs), onehot, hypothetical)
                if not rows:
                    measured(Path(inputs), ["--max-seqlets", "200"], sites)  # compiles
                for settings, flags in variants():
                    if a.only is None or settings in a.only:
                        rows.append([name + called, settings, *measured(Path(inputs), flags, sites)])
                        said(" | ".join(rows[-1]))
    one_thread.report(a.out, "Motifs: settings", COLUMNS, rows, machine(torch.device("cpu")))


if __name__ == "__main__":
    main()
