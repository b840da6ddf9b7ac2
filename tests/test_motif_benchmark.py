"""Tests what the benchmark of motifs computes from what was found: cosines, and what is right of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from motif_data import PLANTED
from motif_run import SETTINGS
from motifs import Found, Judged, cosine, covered, matched, truth

from genolift.motifs.method import method_of
from genolift.settings.motifs import Motifs

MOTIF = np.random.default_rng(0).normal(size=(4, 12))


def motif(cwm: np.ndarray, *places: tuple[int, int, int], sign: str = "pos") -> Found:
    return Found(sign, cwm, pd.DataFrame(places, columns=["row", "start", "end"]))


def test_motifs_are_as_alike_as_at_their_best_shift_and_strand() -> None:
    wide = np.pad(MOTIF, ((0, 0), (5, 3)))
    assert cosine(wide, MOTIF) == pytest.approx(1)
    assert cosine(MOTIF, 3 * wide[::-1, ::-1]) == pytest.approx(1)
    assert cosine(MOTIF, -MOTIF) < 0.9


def test_motifs_are_paired_one_to_one_within_a_sign() -> None:
    other = np.random.default_rng(1).normal(size=(4, 12))
    ones = [motif(MOTIF), motif(other), motif(MOTIF, sign="neg")]
    cosines = matched(ones, [motif(other), motif(MOTIF)])
    assert cosines == pytest.approx([1, 1])


def test_a_site_is_covered_by_over_half() -> None:
    sites = pd.DataFrame(
        {"row": [0, 0, 1], "start": [10, 40, 10], "end": [20, 50, 20], "motif": ["a", "b", "a"]}
    )
    places = pd.DataFrame({"row": [0, 0, 1, 2], "start": [14, 45, 0, 10], "end": [24, 60, 30, 20]})
    assert covered(places, sites) == [0, None, 2, None]


def test_recall_precision_and_false_motifs() -> None:
    sites = pd.DataFrame({"row": range(4), "start": 10, "end": 20, "motif": ["a", "a", "a", "b"]})
    of_a = pd.DataFrame([(0, 10, 20), (1, 10, 20), (3, 10, 20)], columns=["row", "start", "end"])
    false = pd.DataFrame([(0, 50, 60), (1, 70, 80)], columns=["row", "start", "end"])
    judged = Judged.of([of_a, of_a[:1], false], sites, None)
    assert judged.kinds == ["a", "a", None]
    assert judged.counts == [f"1 of {len(PLANTED)}", "1", "1"]
    assert (judged.recall, judged.precision) == (2 / 4, 3 / 6)


def test_the_truth_is_told_of_seqlets_and_of_hits(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    codes = random.integers(0, 4, (8, 60))
    site = random.integers(0, 4, 10)
    codes[:, 20:30] = site
    onehot = np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1)
    values = random.normal(0, 0.02, onehot.shape).astype(np.float32)
    values[:, :, 20:30] += onehot[:, :, 20:30]
    sites = {"row": np.arange(8), "start": np.full(8, 20), "end": np.full(8, 30), "motif": np.full(8, "CTCF")}
    named = {f"site_{name}": column for name, column in sites.items()}
    np.savez(tmp_path / "data.npz", onehot=onehot, hypothetical=values, **named)
    cwm = np.pad(np.eye(4)[site].T, ((0, 0), (4, 4)))
    found = [motif(cwm, *((row, 16, 34) for row in range(6)))]
    of_12 = f"1 of {len(PLANTED)}"
    assert truth(found, tmp_path / "data.npz") == [of_12, "0", "0", "0.750", "1.000", "1.000", "1.000"]


def test_the_settings_compared_are_genolifts_own() -> None:
    method = method_of(Motifs())
    assert SETTINGS["genolift"] == {
        "sliding_window_size": method.sliding_window_size,
        "flank_size": method.flank_size,
        "trim_to_window_size": method.trim_to_window_size,
        "initial_flank_to_add": method.initial_flank_to_add,
        "target_seqlet_fdr": method.target_seqlet_fdr,
        "n_leiden_runs": method.n_leiden_runs,
        "max_seqlets_per_metacluster": method.max_seqlets,
        "min_metacluster_size": method.min_metacluster_size,
    }
