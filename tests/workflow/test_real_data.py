"""Complete runs on real models, genomes and peaks find the motifs that are known to be there."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import ctcf_model
import h5py
import numpy as np
import pandas as pd
import pyBigWig
import pytest
import workflows


def snakemake(folder: Path, config: str, *wanted: str) -> str:
    """Run the workflow in ``folder`` for the files that are wanted, and return its output."""
    (folder / "config.yaml").write_text(config)
    code, said = workflows.snakemake(*wanted, "--cores", "2", "--configfile", "config.yaml", folder=folder)
    assert code == 0, said
    return said


@pytest.mark.slow
def test_so_few_human_peaks_that_there_is_no_motif_still_show_ctcf(shared: Path, tmp_path: Path) -> None:
    shutil.copy(ctcf_model.__file__, tmp_path / "ctcf.py")
    human = shared / "human"
    printed = snakemake(
        tmp_path,
        f"""
analyses:
  peaks:
    model: {{path: {human}/ctcf_hela_state_dict.pt, class: "ctcf.py:CTCF", input_length: 1000}}
    sequences: {{bed: {human}/ctcf_macs_peaks.bed, genome: {human}/chr22_20M.fa.gz}}
    references: {{number: 5}}
    motifs: {{database: {human}/jaspar_vertebrates.meme}}
    logos: {{number: 3}}
""",
    )
    results = tmp_path / "results" / "peaks"
    assert "TF-MoDISco found no motif in 18 sequences" in printed
    assert len(pd.read_csv(results / "motifs.tsv", sep="\t")) == 0
    seqlets = pd.read_csv(results / "seqlets.tsv", sep="\t").sort_values("contribution", ascending=False)
    assert seqlets["match1_name"].head(5).str.startswith("CTCF").sum() >= 4
    report = (results / "report.html").read_text()
    assert "TF-MoDISco found no motif in 18 sequences" in report
    assert report.count("<img") >= 3
    scores = pd.read_csv(results / "per_sequence.tsv", sep="\t")
    assert len(scores) == 18
    assert scores["convergence_error_relative_max"].max() < 1e-4


@pytest.mark.slow
def test_reb1_is_the_top_motif_of_yeast_reb1_peaks_and_the_track_agrees(shared: Path, tmp_path: Path) -> None:
    yeast = shared / "yeast"
    peaks = pd.read_csv(yeast / "Reb1_peaks.bed", sep="\t", header=None).nlargest(160, 4)
    peaks.to_csv(tmp_path / "peaks.bed", sep="\t", header=False, index=False)
    snakemake(
        tmp_path,
        f"""
analyses:
  reb1:
    model: {{path: {yeast}/model_state_dict.pt, class: "{yeast}/model.py:YeastTF", input_length: 400}}
    sequences: {{bed: peaks.bed, genome: {yeast}/sacCer_R64.fa.gz}}
    target: Reb1
    references: {{number: 5}}
    attribution: {{shards: 2}}
    motifs: {{database: "jaspar:fungi", max_seqlets: 300}}
""",
        "results/reb1/contributions.bw",
        "results/reb1/motifs.tsv",
    )
    results = tmp_path / "results" / "reb1"
    exact = pd.read_csv(results / "per_sequence.tsv", sep="\t")["convergence_error_relative_max"]
    assert exact.max() < 1e-4
    motifs = pd.read_csv(results / "motifs.tsv", sep="\t")
    assert motifs["match1_name"][0] == "REB1"
    assert motifs["n_hits"][0] > 60
    with gzip.open(results / "hits.bed.gz", "rt") as file:
        assert sum(1 for _ in file) == motifs["n_hits"].sum()
    windows = pd.read_csv(results / "sequences.tsv", sep="\t")
    with h5py.File(results / "contributions.h5") as file:
        scores = file["projected_shap/seq"][:].sum(1).astype(float)
    track = pyBigWig.open(str(results / "contributions.bw"))
    for chrom, length in track.chroms().items():
        total, count = np.zeros(length), np.zeros(length)
        for row in np.flatnonzero(windows["chrom"] == chrom):
            start = windows["start"][row]
            total[start : start + 400] += scores[row]
            count[start : start + 400] += 1
        values = track.values(chrom, 0, length, numpy=True)
        assert np.isnan(values[count == 0]).all()
        np.testing.assert_allclose(values[count > 0], total[count > 0] / count[count > 0], atol=1e-6)
