"""Each site is one row of ``seqlets.tsv``, whatever TF-MoDISco makes of its seqlets, in any order."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_windows import chromosome, write_database, write_windows

from genolift.errors import InputError
from genolift.settings.motifs import Motifs
from genolift.steps import motifs as motifs_step
from genolift.steps.motifs import find_motifs

LENGTH = 200
SETTINGS = {
    "default": {},
    "narrow": {"trim_to_window_size": 6, "initial_flank_to_add": 0},
    "wide": {"trim_to_window_size": 30, "final_flank_to_add": 5},
}


def tables(folder: Path, files: dict[str, Path], **settings: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find motifs, and return seqlets.tsv and seqlets_by_window.tsv."""
    motifs = Motifs(final_min_cluster_size=10, database=write_database(folder), **settings)
    find_motifs(motifs, **files, out=folder)
    names = ("seqlets.tsv", "seqlets_by_window.tsv")
    return tuple(pd.read_csv(folder / name, sep="\t", keep_default_na=False) for name in names)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_site_is_one_row_and_has_the_windows_that_show_it(tmp_path: Path, name: str) -> None:
    made = chromosome(8000, every=100)
    starts = list(range(0, 7800, 70))
    strands = "".join("+-"[number % 2] for number in range(len(starts)))
    files = write_windows(tmp_path, *made.cut(starts, strands, LENGTH), starts, strands)
    seqlets, by_window = tables(tmp_path, files, **SETTINGS[name])
    assert (seqlets["motif"] != "").sum() > 50
    assert name != "default" or (seqlets["motif"] == "").any()
    assert seqlets["site"].is_unique
    assert set(by_window["site"]) == set(seqlets["site"])
    told = seqlets.set_index("site")
    assert by_window.groupby("site")["key"].nunique().to_dict() == told["windows"].to_dict()
    assert (by_window["motif"] == by_window["site"].map(told["motif"])).all()
    rows = seqlets.sort_values(["genome_start", "genome_end"])
    for (_, one), (_, other) in pairwise(rows.iterrows()):
        shared = min(one["genome_end"], other["genome_end"]) - other["genome_start"]
        shorter = min(each["genome_end"] - each["genome_start"] for each in (one, other))
        assert 2 * shared <= shorter or one["key"] == other["key"], (one, other)
        assert one["site"] + 1 == other["site"]  # numbered by place


def test_sequences_that_agree_within_the_window_alone_are_not_copies(tmp_path: Path) -> None:
    """As constructs that differ outside of it; nor does their order count."""
    made = chromosome(9000, every=100)
    starts = list(range(0, 8800, LENGTH))
    onehot, hypothetical = made.cut(starts, "+" * len(starts), LENGTH)
    other = onehot.copy()
    other[:, :, 0] = np.roll(other[:, :, 0], 1, axis=1)
    noise = np.random.default_rng(0).normal(0, 0.02, hypothetical.shape).astype(np.float32)
    onehot, hypothetical = (
        np.concatenate([onehot, other]),
        np.concatenate([hypothetical, hypothetical + noise]),
    )
    found = []
    for order in (np.arange(len(onehot)), np.arange(len(onehot))[::-1]):
        folder = tmp_path / str(order[0])
        files = write_windows(folder, onehot[order], hypothetical[order])
        seqlets, _ = tables(folder, files, window=180)
        named = seqlets.assign(row=order[seqlets["key"]])
        assert (named["windows"] == 1).all()
        assert len(set(named["row"] >= len(starts))) == 2
        columns = ["row", "motif", "start", "end", "strand", "contribution"]
        found.append(named[columns].sort_values(["row", "start"]).reset_index(drop=True))
    pd.testing.assert_frame_equal(*found)


def test_the_same_interval_with_other_contributions_is_one_place_in_any_order(tmp_path: Path) -> None:
    made = chromosome(9000, every=100)
    starts = list(range(0, 8800, LENGTH)) * 2
    onehot, hypothetical = made.cut(starts, "+" * len(starts), LENGTH)
    hypothetical += np.random.default_rng(0).normal(0, 0.02, hypothetical.shape).astype(np.float32)
    found = []
    for order in (np.arange(len(starts)), np.random.default_rng(1).permutation(len(starts))):
        folder = tmp_path / str(len(found))
        ordered = [starts[at] for at in order]
        files = write_windows(folder, onehot[order], hypothetical[order], ordered, "+" * len(starts))
        seqlets, _ = tables(folder, files)
        found.append(seqlets.assign(row=order[seqlets["key"]]).drop(columns=["key", "id"]))
    pd.testing.assert_frame_equal(*found)


@pytest.mark.parametrize("out", ["a file", "a file/in it"])
def test_a_folder_that_cannot_be_written_to_is_told_before_motifs_are_looked_for(
    tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    made = chromosome(1000, every=100)
    files = write_windows(tmp_path, *made.cut([0, 300], "++", LENGTH), [0, 300], "++")
    monkeypatch.setattr(motifs_step, "find_seqlets", lambda *_: pytest.fail("work was done"))
    with pytest.raises(InputError, match="a file: is a file, not a folder; choose another output folder"):
        find_motifs(Motifs(database=write_database(tmp_path)), **files, out=tmp_path / out)
