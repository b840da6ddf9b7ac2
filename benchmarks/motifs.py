"""TF-MoDISco's two lines of versions on five sets of contributions: what they find, and what they cost.

    python benchmarks/motifs.py --python 2.5.2=OLD/bin/python --python 3.0.0=NEW/bin/python \
        --folder build/motifs --out benchmarks/results/motifs

`make benchmark-motifs` makes both Pythons: modisco 2.5.2 and modisco-lite 3.0.0, with the other versions of
constraints.txt. Each run is a process with one thread: first with an empty numba cache (cold), then with the
one that it left (warm), in turns. CPU seconds (user and system) and peak resident memory are of the process
with its children. Contributions are made once, and kept in the folder. Of the simulated set the sites are
known: one is found if a motif made mostly of its kind has a seqlet, or Fi-NeMo a hit, over half of it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import one_thread
import pandas as pd
import torch
from machine import machine
from measure import said
from motif_data import DATA, PLANTED, contributions
from motif_run import SETTINGS
from numpy.typing import NDArray

from genolift.motifs.discovery import trim
from genolift.motifs.hits import SoughtMotifs, call_hits
from genolift.motifs.method import method_of
from genolift.motifs.windows import Block
from genolift.settings.motifs import Motifs

_RUN = Path(__file__).with_name("motif_run.py")
_WHOLE = 0.5  # of a site that must be covered; of a motif's sites that must be of one kind
COSTS = [
    "contributions",
    "settings",
    "version",
    "motifs, + and -",
    "seqlets of each",
    "cosine with the other's motifs",
    "CPU s, cold",
    "CPU s, warm",
    "peak MB",
]
TRUTH = [
    "settings",
    "version",
    "planted motifs found",
    "false motifs",
    "motifs found twice",
    "sites in seqlets: recall",
    "precision",
    "sites in hits: recall",
    "precision of hits",
]


@dataclass(frozen=True)
class Found:
    """A motif: its sign, its CWM (base, position), and its seqlets ``row start end``."""

    sign: str
    cwm: NDArray[np.float64]
    seqlets: pd.DataFrame


@dataclass(frozen=True)
class Cost:
    """CPU seconds, and bytes of the largest of the process and its children."""

    seconds: float
    bytes: int


def run(python: str, data: Path, settings: str, cache: Path, out: Path) -> Cost:
    """Run TF-MoDISco in a process of its own, with one thread."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": ""}
    words = [python, str(_RUN), str(data), settings, str(out)]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        sys.exit(f"{' '.join(words)} failed:\n{error.decode(errors='replace')}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def read_found(path: Path) -> list[Found]:
    """Read what `motif_run.py` wrote."""
    with np.load(path) as file:
        names = [name.removesuffix("_cwm") for name in file if name.endswith("_cwm")]
        return [
            Found(
                name[:3],
                file[f"{name}_cwm"],
                pd.DataFrame(file[f"{name}_seqlets"][:, :3], columns=["row", "start", "end"]),
            )
            for name in names
        ]


def cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the largest cosine of two CWMs, (base, position), over shifts and strands."""
    width = other.shape[1]
    padded = np.pad(one, ((0, 0), (width - 1, width - 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)
    norms = np.linalg.norm(one) * np.linalg.norm(other)
    return max(
        float(np.einsum("bpw,bw->p", windows, strand).max() / norms) for strand in (other, other[::-1, ::-1])
    )


def matched(ones: Sequence[Found], others: Sequence[Found]) -> list[float]:
    """Return the cosines of motifs paired one to one within a sign, the most alike first."""
    pairs = sorted(
        (
            (cosine(one.cwm, other.cwm), at, its)
            for at, one in enumerate(ones)
            for its, other in enumerate(others)
            if one.sign == other.sign
        ),
        reverse=True,
    )
    cosines, taken, given = [], set(), set()
    for value, at, its in pairs:
        if at not in taken and its not in given:
            cosines.append(value)
            taken.add(at)
            given.add(its)
    return cosines


def covered(places: pd.DataFrame, sites: pd.DataFrame) -> list[int | None]:
    """Return for each place (``row start end``) the number of the site most of which it covers, or None."""
    of_row: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for number, row, start, end in sites[["row", "start", "end"]].itertuples(name=None):
        of_row[row].append((number, start, end))

    def best(row: int, start: int, end: int) -> int | None:
        shares = (
            ((min(end, its_end) - max(start, its_start)) / min(its_end - its_start, end - start), number)
            for number, its_start, its_end in of_row[row]
        )
        share, number = max(shares, default=(0.0, -1))
        return number if share > _WHOLE else None

    return [best(*place) for place in places[["row", "start", "end"]].itertuples(index=False, name=None)]


@dataclass(frozen=True)
class Judged:
    """Motifs against the truth: each motif's own kind of site, or None; recall and precision of places."""

    kinds: list[str | None]
    recall: float
    precision: float

    @classmethod
    def of(
        cls, places: Sequence[pd.DataFrame], sites: pd.DataFrame, kinds: list[str | None] | None
    ) -> Judged:
        """Judge each motif's places (``row start end``); ``kinds`` are found from them if they are None."""
        numbers = [covered(each, sites) for each in places]
        if kinds is None:
            kinds = []
            for found in numbers:
                of = Counter(sites["motif"][number] for number in found if number is not None)
                kind, count = of.most_common(1)[0] if of else (None, 0)
                kinds.append(kind if count > _WHOLE * len(found) else None)
        right = [
            [number for number in found if number is not None and sites["motif"][number] == kind]
            for found, kind in zip(numbers, kinds, strict=True)
        ]
        sites_found = {number for each in right for number in each}
        placed = max(1, sum(map(len, numbers)))
        return cls(kinds, len(sites_found) / len(sites), sum(map(len, right)) / placed)

    @property
    def counts(self) -> list[str]:
        """How many planted motifs are found, how many motifs are false, and how many are found again."""
        known = [kind for kind in self.kinds if kind is not None]
        return [
            f"{len(set(known))} of {len(PLANTED)}",
            str(len(self.kinds) - len(known)),
            str(len(known) - len(set(known))),
        ]


def truth(found: Sequence[Found], data: Path) -> list[str]:
    """Return the columns of `TRUTH` after the version."""
    with np.load(data) as file:
        sites = pd.DataFrame({name[5:]: file[name] for name in file if name.startswith("site_")})
        onehot, hypothetical = file["onehot"], file["hypothetical"]
    judged = Judged.of([each.seqlets for each in found], sites, None)
    cwms, method = [each.cwm for each in found], method_of(Motifs())
    sought = SoughtMotifs(cwms, [trim(cwm, method.trim_fraction) for cwm in cwms])
    called, _ = call_hits(sought, Block(np.arange(len(onehot)), onehot, hypothetical), method)
    hits = pd.DataFrame(called)
    hits["end"] = hits["start"] + sought.widths[hits["motif"]]
    of_motif = [hits[hits["motif"] == number] for number in range(len(found))]
    of_hits = Judged.of(of_motif, sites, judged.kinds)
    shares = [judged.recall, judged.precision, of_hits.recall, of_hits.precision]
    return [*judged.counts, *(f"{share:.3f}" for share in shares)]


def compared(
    name: str, settings: str, pythons: Mapping[str, str], folder: Path, rounds: int
) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of `COSTS` and, where the truth is known, of `TRUTH`."""
    data = contributions(name, folder)
    found: dict[str, list[Found]] = {}
    cold: dict[str, Cost] = {}
    warm: dict[str, list[Cost]] = {version: [] for version in pythons}
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        for round_number in range(rounds + 1):
            for version, python in pythons.items():
                said(f"{name}, {settings}, {version}, {'warm' if round_number else 'cold'}")
                cost = run(python, data, settings, work / version, work / f"{version}.npz")
                if round_number:
                    warm[version].append(cost)
                else:
                    cold[version] = cost
        found = {version: read_found(work / f"{version}.npz") for version in pythons}
    rows = []
    for version, motifs in found.items():
        other = next((its for each, its in found.items() if each != version), [])
        cosines = matched(motifs, other)
        rows.append(
            [
                *(name, settings, version),
                " and ".join(str(sum(each.sign == sign for each in motifs)) for sign in ("pos", "neg")),
                ", ".join(str(len(each.seqlets)) for each in motifs) or "-",
                f"{min(cosines):.3f} to {max(cosines):.3f}" if cosines else "-",
                f"{cold[version].seconds:.1f}",
                f"{statistics.median(cost.seconds for cost in warm[version]):.1f}",
                f"{max(cost.bytes for cost in [cold[version], *warm[version]]) / 2**20:.0f}",
            ]
        )
    if name != "simulated":
        return rows, []
    return rows, [[settings, version, *truth(motifs, data)] for version, motifs in found.items()]


def named_python(text: str) -> tuple[str, str]:
    """Return the name and path of NAME=PATH."""
    name, given, path = text.partition("=")
    if not given or not Path(path).exists():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH of a Python that is there")
    return name, path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", type=named_python, action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=["published", "genolift"])
    parser.add_argument("--rounds", type=int, default=1, help="warm runs of each (1)")
    parser.add_argument(
        "--folder", type=Path, default=Path("build/motifs"), help="where contributions are kept"
    )
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT-truth.md, and both as JSON")
    a = parser.parse_args()
    torch.set_num_threads(1)
    a.folder.mkdir(parents=True, exist_ok=True)
    facts = machine(torch.device("cpu"))
    judged_out = a.out and a.out.with_name(f"{a.out.name}-truth")
    rows: list[list[str]] = []
    judged: list[list[str]] = []
    for name in a.data:
        for settings in a.settings:
            costs, truths = compared(name, settings, dict(a.python), a.folder, a.rounds)
            rows += costs
            judged += truths
            one_thread.report(a.out, "Motifs", COSTS, rows, facts)
    if judged:
        one_thread.report(judged_out, "Motifs: 12 planted ones", TRUTH, judged, facts)


if __name__ == "__main__":
    main()
