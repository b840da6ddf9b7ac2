"""Fi-NeMo's own report of our files counts what ours does; of every window's hits, what is said of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from made_up_windows import chromosome, write_database, write_windows

from genolift.motifs.hit_files import HIT_FILE
from genolift.settings.motifs import Motifs
from genolift.steps.motifs import find_motifs

LENGTH = 200


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The motifs of windows every 70 bases, which show most sites two or three times."""
    folder = tmp_path_factory.mktemp("found")
    made = chromosome(9000, every=100)
    starts = list(range(0, 8800, 70))
    files = write_windows(folder, *made.cut(starts, "+" * len(starts), LENGTH), starts, "+" * len(starts))
    settings = Motifs(final_min_cluster_size=10, database=write_database(folder))
    find_motifs(settings, **files, out=folder)
    with h5py.File(folder / "contributions.h5") as file:
        onehot, hypothetical = file["raw/seq"][:], file["shap/seq"][:]
    n = np.arange(len(starts))
    places = {
        "chr": np.full(len(n), "chr1"),
        "chr_id": 0 * n.astype(np.uint32),
        "start": np.array(starts, np.int32),
    }
    named = {"peak_id": n.astype(np.uint32), "peak_name": np.array([f"window {row}" for row in n])}
    np.savez(folder / "regions.npz", sequences=onehot, contributions=hypothetical, **places, **named)
    return folder


def of_fi_nemo(folder: Path, hits: pd.DataFrame, out: Path) -> pd.DataFrame:
    """Return the table of Fi-NeMo's report on hits in its own columns, by motif."""
    from finemo.main import report

    out.mkdir()
    hits.to_csv(out / "hits.tsv", sep="\t", index=False)
    files = (str(folder / "regions.npz"), str(out / "hits.tsv"), str(folder / "motifs.h5"))
    report(*files, None, None, None, str(out / "report"), modisco_region_width=LENGTH)
    return pd.read_csv(out / "report" / "motif_report.tsv", sep="\t").set_index("motif_name")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_counts_of_sites_are_those_of_fi_nemos_report(
    found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finemo import visualization

    for name in dir(visualization):
        if name.startswith("plot_"):  # its pictures take seconds each
            monkeypatch.setattr(visualization, name, lambda *_: None)
    motifs = pd.read_csv(found / "motifs.tsv", sep="\t").set_index("motif")
    assert len(motifs) == 2
    by_window = pd.read_csv(found / "hits_by_window.tsv.gz", sep="\t")
    with gzip.open(found / "hits.bed.gz", "rt") as lines:
        sites = pd.DataFrame([line.split("\t") for line in lines], columns=HIT_FILE)
    assert int(sites["windows"].astype(int).sum()) <= len(by_window)
    here = {"motif": "motif_name", "start": "start", "key": "peak_id", "strand": "strand"}
    keys = sites[list(here)].rename(columns=here).astype({"start": int, "peak_id": int})
    of_sites = by_window.merge(keys, on=list(here.values()))
    assert len(of_sites) == len(sites)
    theirs = of_fi_nemo(found, of_sites, tmp_path / "sites")
    assert theirs["num_hits_total"].to_dict() == motifs["n_hits"].to_dict()
    assert theirs["num_seqlets"].to_dict() == motifs["n_seqlets"].to_dict()
    # Given every window's hits it takes those at one place and strand for one, but not those a base apart or,
    # of a palindrome, on the other strand.
    every = of_fi_nemo(found, by_window, tmp_path / "every")["num_hits_total"].loc[motifs.index]
    exact = by_window.drop_duplicates(["start", "strand", "motif_name"])["motif_name"].value_counts()
    assert every.to_dict() == exact.to_dict()
    assert (every >= motifs["n_hits"]).all()
