"""Contributions for `motifs.py`: of real models, by genolift's own steps, and simulated with known sites."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
WIDTH = 400
_SEQUENCES = 1500
_NOISE = 0.06  # of a base's contribution; a strong site's bases have about 1
# Name in JASPAR, sites in all, and contribution of a certain base: from frequent and strong to rare or weak.
PLANTED = (
    ("CTCF", 700, 1.0),
    ("GATA1::TAL1", 500, 0.8),
    ("SPI1", 450, 1.2),
    ("FOS::JUN", 400, 0.6),
    ("NRF1", 300, 1.0),
    ("YY1", 250, 0.7),
    ("CEBPA", 200, 1.0),
    ("TP53", 150, 0.5),
    ("HNF4A", 100, 0.8),
    ("REST", 300, -0.8),
    ("ZEB1", 200, -1.0),
    ("GFI1B", 90, -0.7),
)


@dataclass(frozen=True)
class Contributions:
    """One-hot int8 and hypothetical contributions float32, (sequence, base, position), and, where they are
    known, the sites: ``row start end strand motif``, 0-based half-open.
    """

    onehot: NDArray[np.int8]
    hypothetical: NDArray[np.float32]
    sites: pd.DataFrame | None = None


def genolift_step(*words: object) -> None:
    """Run a `genolift` process; if it fails, say so and exit."""
    done = subprocess.run(
        [sys.executable, "-m", "genolift", *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"genolift {words[0]} failed:\n{done.stderr}")


def explained(folder: Path, where: list[object], model: list[object], references: int) -> Contributions:
    """Run encode, reference, attribute and aggregate, and read what they wrote to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    table, store, shuffled = (folder / name for name in ("sequences.tsv", "sequences.h5", "references.h5"))
    genolift_step("encode", *where, "--table", table, "--out", store)
    genolift_step("reference", "--sequences", store, "--number", references, "--out", shuffled)
    inputs = ("--sequences", store, "--references", shuffled)
    genolift_step("attribute", *inputs, *model, "--out", folder / "shard.h5")
    genolift_step("aggregate", "--sequences", table, "--shards", folder / "shard.h5", "--out", folder)
    with h5py.File(folder / "contributions.h5") as file:
        onehot, hypothetical = file["raw/seq"][:], file["shap/seq"][:]
    side = max(0, (onehot.shape[2] - WIDTH) // 2)
    inside = np.s_[:, :, side : onehot.shape[2] - side]
    return Contributions(onehot[inside], hypothetical[inside])


def demo(folder: Path) -> Contributions:
    """The demo, as `make demo` runs it."""
    fasta, weights = ROOT / "data/demo/sequences.fa.gz", ROOT / "data/demo/model.safetensors"
    model = ["--model", weights, "--model-class", "genolift.demo.simulate:DemoModel", "--target", 0]
    return explained(folder, ["--fasta", fasta], model, 20)


def yeast(factor: str) -> Callable[[Path], Contributions]:
    """Return what explains the yeast model in all peaks of a factor."""

    def explain(folder: Path) -> Contributions:
        files = SHARED / "yeast"
        genome = ["--genome", files / "sacCer_R64.fa.gz", "--length", WIDTH]
        model = ["--model", files / "model_state_dict.pt", "--model-class", f"{files / 'model.py'}:YeastTF"]
        where = ["--bed", files / f"{factor}_peaks.bed", *genome]
        return explained(folder, where, [*model, "--input-length", WIDTH, "--target", factor], 5)

    return explain


def human_ctcf(folder: Path) -> Contributions:
    """The CTCF model on the whole human megabase, window by window: too few peaks lie in it for a motif."""
    folder.mkdir(parents=True, exist_ok=True)
    files = SHARED / "human"
    windows = (f"chr22_20M\t{start}\t{start + 1000}\n" for start in range(0, 1_000_000, 400))
    (folder / "windows.bed").write_text("".join(windows))
    where = ["--bed", folder / "windows.bed", "--genome", files / "chr22_20M.fa.gz", "--length", 1000]
    weights, code = files / "ctcf_hela_state_dict.pt", ROOT / "tests/ctcf_model.py"
    model = ["--model", weights, "--model-class", f"{code}:CTCF"]
    return explained(folder, where, [*model, "--input-length", 1000], 2)


def simulated(folder: Path, seed: int = 0) -> Contributions:
    """Random sequences with sites drawn from 12 motifs of JASPAR, on either strand, and noisy contributions.

    A base's hypothetical contribution at a site is the motif's information content there, times its log odds
    over the largest, times the motif's strength and a factor of the site (log-normal, 0.3). Noise is normal,
    and one base in fifty has four times as much.
    """
    from genolift.motifs.databases import read_database

    random = np.random.default_rng(seed)
    motifs = read_database("jaspar:vertebrates").motifs
    known = {motif.name.upper(): np.asarray(motif.ppm) for motif in motifs}
    codes = random.integers(0, 4, (_SEQUENCES, WIDTH))
    values = random.normal(0, _NOISE, (_SEQUENCES, 4, WIDTH))
    values *= np.where(random.random((_SEQUENCES, 1, WIDTH)) < 0.02, 4, 1)
    taken = np.zeros((_SEQUENCES, WIDTH), bool)
    sites = []
    for name, number, strength in PLANTED:
        ppm = known[name]
        width = ppm.shape[1]
        weights = _weights(ppm) * strength
        while number:
            row, start = int(random.integers(_SEQUENCES)), int(random.integers(20, WIDTH - 20 - width))
            if taken[row, start - 10 : start + width + 10].any():
                continue
            taken[row, start : start + width] = True
            site = np.array([random.choice(4, p=column) for column in (ppm / ppm.sum(0)).T])
            added = weights * random.lognormal(0, 0.3)
            strand = "+-"[random.integers(2)]
            if strand == "-":
                site, added = 3 - site[::-1], added[::-1, ::-1]
            codes[row, start : start + width] = site
            values[row, :, start : start + width] += added
            sites.append((row, start, start + width, strand, name))
            number -= 1
    onehot = np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1)
    columns = ["row", "start", "end", "strand", "motif"]
    return Contributions(onehot, values.astype(np.float32), pd.DataFrame(sites, columns=columns))


def _weights(ppm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return hypothetical contributions, (base, position), of a certain base 1, of a column of chance 0."""
    ppm = (ppm + 0.01) / (ppm + 0.01).sum(0)
    odds = np.log2(4 * ppm)
    information = (ppm * odds).sum(0) / 2
    return information * odds / odds.max(0)


DATA: dict[str, Callable[[Path], Contributions]] = {
    "demo": demo,
    "yeast Reb1": yeast("Reb1"),
    "yeast Rap1": yeast("Rap1"),
    "human CTCF": human_ctcf,
    "simulated": simulated,
}


def contributions(name: str, folder: Path) -> Path:
    """Return the file of a data set's contributions, .npz, made if it is not there."""
    path = folder / f"{name.replace(' ', '_')}.npz"
    if not path.exists():
        found = DATA[name](path.with_suffix(""))
        arrays = {"onehot": found.onehot, "hypothetical": found.hypothetical}
        if found.sites is not None:
            arrays |= {f"site_{column}": found.sites[column].to_numpy() for column in found.sites}
            arrays |= {f"site_{column}": found.sites[column].to_numpy(str) for column in ("strand", "motif")}
        np.savez(path, **arrays)
    return path
