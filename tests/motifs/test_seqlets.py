"""Seqlets are found block by block, each site once, whatever the order of the windows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_windows import chromosome, write_windows

from genolift.motifs import windows as windows_module
from genolift.motifs.method import Method, method_of
from genolift.motifs.seqlets import FoundSeqlets, find_seqlets
from genolift.motifs.windows import open_windows
from genolift.settings.motifs import Motifs

LENGTH = 200
METHOD = method_of(Motifs())
OF_THE_TOOL = {
    "min_passing_windows_frac": 0.03,
    "max_passing_windows_frac": 0.2,
    "weak_threshold_for_counting_sign": 0.8,
}


def found(
    files: dict[str, Path], method: Method = METHOD
) -> tuple[FoundSeqlets, list[tuple[int, int, float, int]]]:
    """Return the seqlets and, of each positive one, shared start and end, score and windows."""
    with open_windows(files["contributions"], files["sequences"], Motifs()) as windows:
        seqlets = find_seqlets(windows, method, lambda done, total: None)
        pos = seqlets.strongest["pos"]
        start = pos["start"].astype(np.int64)
        start, end = windows.shared(pos["row"], start, start + method.seqlet_width)
        columns = (start, end, pos["score"].astype(float), pos["windows"])
        return seqlets, list(zip(*(values.tolist() for values in columns), strict=True))


def test_seqlets_are_those_of_tf_modiscos_own_function(tmp_path: Path) -> None:
    from modiscolite.extract_seqlets import extract_seqlets

    made = chromosome(9000)
    starts = list(range(0, 8700, 200))
    onehot, hypothetical = made.cut(starts, "+" * len(starts), LENGTH)
    hypothetical *= np.random.default_rng(2).choice([-1, 1], (len(starts), 1, 1)).astype(np.float32)
    for method in (METHOD, method_of(Motifs(target_seqlet_fdr=0.05, sliding_window_size=21, flank_size=10))):
        seqlets, _ = found(write_windows(tmp_path, onehot, hypothetical), method)
        ours = [
            (int(row), int(start), sign)
            for sign, each in seqlets.strongest.items()
            for row, start in each[["row", "start"]].tolist()
        ]
        track = (onehot * hypothetical).sum(1, dtype=np.float64)
        core, flank = method.sliding_window_size, method.flank_size
        sizes = {"window_size": core, "flank": flank, "suppress": core // 2 + flank}
        # The other numbers are those of TFMoDISco's defaults.
        placed, threshold = extract_seqlets(
            track, **sizes, target_fdr=method.target_seqlet_fdr, **OF_THE_TOOL
        )
        theirs = []
        for seqlet in placed:
            score = track[seqlet.example_idx, seqlet.start + flank : seqlet.end - flank].sum()
            if abs(score) > threshold:
                theirs.append((int(seqlet.example_idx), int(seqlet.start), "pos" if score > 0 else "neg"))
        assert sorted(ours) == sorted(theirs)
        assert {sign for *_, sign in ours} == {"pos", "neg"}


def test_a_site_in_windows_that_overlap_is_one_seqlet(tmp_path: Path) -> None:
    made = chromosome(3000)
    starts = list(range(0, 2700, 90))
    strands = "+-" * 15
    files = write_windows(tmp_path, *made.cut(starts, strands, LENGTH), starts, strands)
    seqlets, sites = found(files)
    middles = np.array([(start + end) / 2 for start, end, _, _ in sites])
    for name, planted in made.starts.items():
        for start in planted:
            if 120 < start < 2600:
                # TF-MoDISco may place a second one at its edge, 16 bases away.
                assert (np.abs(middles - start - 4) < 8).sum() == 1, name
    assert seqlets.number["pos"] == len(sites)
    # Windows of 200 bases every 90 show a site twice or three times, at their ends without room for a seqlet.
    assert {shown for *_, shown in sites} <= {1, 2, 3}
    assert sum(shown > 1 for *_, shown in sites) > 0.6 * len(sites)


def test_windows_shifted_by_a_base_give_the_seqlets_of_one(tmp_path: Path) -> None:
    made = chromosome(1500)
    starts = list(range(0, 1300, 250))
    alone = write_windows(
        tmp_path / "alone", *made.cut(starts, "+" * len(starts), LENGTH), starts, "+" * len(starts)
    )
    twice = sorted([*starts, *(start + 1 for start in starts)])
    both = write_windows(
        tmp_path / "both", *made.cut(twice, "+-" * len(starts), LENGTH), twice, "+-" * len(starts)
    )
    (_, one), (_, two) = found(alone), found(both)
    assert len(one) == len(two)
    assert all(shown == 2 for *_, shown in two)
    for (start, *_), (other, *_) in zip(sorted(one), sorted(two), strict=True):
        assert abs(start - other) <= 1


@pytest.mark.parametrize("on_genome", [True, False])
def test_seqlets_depend_on_neither_the_order_of_windows_nor_the_size_of_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_genome: bool
) -> None:
    made = chromosome(4000)
    starts = [0, 40, 300, 301, 900, 1000, 1000, 1700, 1750, 1800, 2600, 3500]
    strands = "+-+-+++-++-+"
    onehot, hypothetical = made.cut(starts, strands, LENGTH)
    placed = (starts, strands) if on_genome else ()
    first = found(write_windows(tmp_path / "first", onehot, hypothetical, *placed))[1]
    order = np.random.default_rng(1).permutation(len(starts))
    shuffled = ([starts[at] for at in order], "".join(strands[at] for at in order))
    files = write_windows(
        tmp_path / "second", onehot[order], hypothetical[order], *(shuffled if on_genome else ())
    )
    monkeypatch.setattr(windows_module, "_BLOCK_BASES", 3 * LENGTH)
    assert found(files)[1] == first


def test_the_strongest_are_taken_of_each_sign(tmp_path: Path) -> None:
    made = chromosome(8000)
    starts = list(range(0, 7800, 200))
    files = write_windows(tmp_path, *made.cut(starts, "+" * len(starts), LENGTH), starts, "+" * len(starts))
    every, sites = found(files)
    few, strongest = found(files, replace(METHOD, max_seqlets=7))
    assert strongest == sites[:7]
    scores = [abs(score) for *_, score, _ in sites]
    assert scores == sorted(scores, reverse=True)
    assert few.number == every.number
    assert len(few.strongest["neg"]) <= 7


def test_copies_of_a_sequence_from_fasta_are_one(tmp_path: Path) -> None:
    made = chromosome(1500)
    starts = list(range(0, 1200, 200))
    onehot, hypothetical = made.cut(starts, "+" * len(starts), LENGTH)
    once = found(write_windows(tmp_path / "once", onehot, hypothetical))[1]
    rows = [0] * 30 + list(range(1, len(starts)))
    files = write_windows(tmp_path / "copies", onehot[rows], hypothetical[rows])
    copies = found(files)[1]
    assert [site[:3] for site in copies] == [site[:3] for site in once]
    assert {shown for *_, shown in copies} == {1, 30}
    with open_windows(files["contributions"], files["sequences"], Motifs()) as windows:
        assert len(windows) - len(windows.different) == 29


@pytest.mark.parametrize("width", [METHOD.seqlet_width - 1, METHOD.seqlet_width])
def test_a_window_as_wide_as_a_seqlet_can_have_one(tmp_path: Path, width: int) -> None:
    made = chromosome(3000)
    starts = [start - (width - 8) // 2 for start in made.starts["gata"]]
    files = write_windows(tmp_path, *made.cut(starts, "+" * len(starts), width), starts, "+" * len(starts))
    assert bool(found(files)[1]) == (width >= METHOD.seqlet_width)


def test_no_contribution_gives_no_seqlet(tmp_path: Path) -> None:
    onehot, hypothetical = chromosome(1000).cut([0, 500], "++", LENGTH)
    seqlets, sites = found(write_windows(tmp_path, onehot, 0 * hypothetical))
    assert not sites
    assert seqlets.number == {"pos": 0, "neg": 0}
