"""The tools of the field read our files: Fi-NeMo's commands, in ChromBPNet's format; TF-MoDISco's; MEME's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from Bio import motifs as biopython
from made_up_windows import chromosome, write_database, write_windows

from genolift.settings.motifs import Motifs
from genolift.steps.motifs import find_motifs

LENGTH = 200
PLACE = ["peak_id", "motif_name", "start"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the motifs step, of windows that do not overlap."""
    folder = tmp_path_factory.mktemp("found")
    made = chromosome(16_000, every=100)
    starts = list(range(0, 15_800, LENGTH))
    strands = "+" * len(starts)
    files = write_windows(folder, *made.cut(starts, strands, LENGTH), starts, strands)
    find_motifs(Motifs(database=write_database(folder)), **files, out=folder)
    peaks = pd.DataFrame({"chrom": "chr1", "start": starts, "end": np.array(starts) + LENGTH, "name": "peak"})
    peaks = peaks.assign(score=0, strand=".", signal=0, p=0, q=0, summit=LENGTH // 2)
    peaks.to_csv(folder / "peaks.narrowPeak", sep="\t", header=False, index=False)
    return folder


def run(command: str, *words: object) -> None:
    """Run a command that is installed beside this Python."""
    done = subprocess.run(
        [Path(sys.executable).parent / command, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_fi_nemos_own_commands_find_the_same_hits(found: Path, tmp_path: Path) -> None:
    """From contributions.h5, which is in ChromBPNet's format, and motifs.h5, which is in TF-MoDISco's."""
    regions = tmp_path / "regions.npz"
    peaks = ("--peaks", found / "peaks.narrowPeak", "--region-width", LENGTH)
    run(
        "finemo",
        "extract-regions-chrombpnet-h5",
        "--h5s",
        found / "contributions.h5",
        *peaks,
        "--out-path",
        regions,
    )
    words = ("--regions", regions, "--modisco-h5", found / "motifs.h5", "--out-dir", tmp_path)
    run("finemo", "call-hits", *words, "--device", "cpu")
    theirs = pd.read_csv(tmp_path / "hits.tsv", sep="\t")
    ours = pd.read_csv(found / "hits_by_window.tsv.gz", sep="\t")
    assert len(ours) > 100
    both = ours.merge(theirs, on=[*PLACE, "strand"], suffixes=("", "_theirs"))
    assert len(both) == len(ours)
    for name in ("end", "start_untrimmed", "end_untrimmed"):
        assert (both[name] == both[f"{name}_theirs"]).all()
    names = ["similarity", "correlation", "coefficient", "coefficient_global", "importance", "importance_sq"]
    for name in (f"hit_{name}" for name in names):
        np.testing.assert_allclose(both[name], both[f"{name}_theirs"], rtol=2e-3, atol=1e-6, err_msg=name)
    # A palindrome's hit on the other strand is theirs alone.
    others = theirs.merge(ours[[*PLACE, "strand"]], how="left", indicator=True, on=[*PLACE, "strand"])
    others = others[others["_merge"] == "left_only"]
    for hit in others.itertuples():
        same = ours[(ours["peak_id"] == hit.peak_id) & (ours["motif_name"] == hit.motif_name)]
        shared = same["end"].clip(upper=hit.end) - same["start"].clip(lower=hit.start)
        assert ((shared > (hit.end - hit.start) / 2) & (same["strand"] != hit.strand)).any(), hit


def test_tf_modiscos_own_report_reads_motifs(found: Path, tmp_path: Path) -> None:
    run("modisco", "report", "--h5py", found / "motifs.h5", "--output", f"{tmp_path}/", "--n_examples", 1)
    page = (tmp_path / "report.html").read_text()
    counted = r'class="pattern-title">\s*(\S+)\s*</div>.*?Number of seqlets</td><td class="num_col">(\d+)<'
    told = dict(re.findall(counted, page, re.DOTALL))
    ours = pd.read_csv(found / "motifs.tsv", sep="\t").set_index("motif")["n_seqlets"]
    assert told == ours.astype(str).to_dict()


def test_memes_readers_read_matrices(found: Path) -> None:
    from memelite.io import read_meme

    with h5py.File(found / "motifs.h5") as file:
        sequences = [pattern["sequence"][:] for pattern in file["pos_patterns"].values()]
    with (found / "motifs.meme").open() as lines:
        parsed = biopython.parse(lines, "minimal")
    read = read_meme(str(found / "motifs.meme"))
    names = pd.read_csv(found / "motifs.tsv", sep="\t")["motif"]
    assert len(parsed) == len(read) == len(names) == len(sequences)
    for one, other in zip(parsed, read.values(), strict=True):
        ppm = np.array([one.pwm[base] for base in "ACGT"])
        np.testing.assert_allclose(ppm, np.asarray(other), atol=1e-5)
        assert any(_within(ppm, sequence.T) for sequence in sequences)


def _within(trimmed: np.ndarray, whole: np.ndarray) -> bool:
    """Return whether a trimmed matrix, (base, position), is a part of a whole one."""
    width = trimmed.shape[1]
    parts = np.lib.stride_tricks.sliding_window_view(whole, width, axis=1).transpose(1, 0, 2)
    return bool(np.isclose(parts, trimmed, atol=1e-4).all((1, 2)).any())
