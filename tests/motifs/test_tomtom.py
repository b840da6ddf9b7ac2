"""The known motifs that a matrix resembles, by Tomtom."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from genolift.motifs.databases import read_database
from genolift.motifs.known import Database, KnownMotif
from genolift.motifs.tomtom import closest_motif_of_seqlets, closest_motifs, seqlet_ppm, tell_rough


def onehot(letters: str) -> np.ndarray:
    return np.eye(4)[["ACGT".index(letter) for letter in letters]].T


@pytest.fixture(scope="module")
def vertebrates() -> Database:
    return read_database("jaspar:vertebrates")


def test_a_database_s_own_motif_is_its_closest_in_either_orientation(vertebrates: Database) -> None:
    known = next(motif for motif in vertebrates.motifs if motif.accession == "MA0139.2")
    forward, reverse = closest_motifs([known.ppm, known.ppm[::-1, ::-1]], vertebrates, n=2)
    for matches, strand in ((forward, "+"), (reverse, "-")):
        assert (matches[0].accession, matches[0].name, matches[0].strand) == ("MA0139.2", "CTCF", strand)
        assert matches[0].pvalue < 1e-12
        assert matches[0].pvalue <= matches[0].qvalue <= matches[1].qvalue


def test_matches_do_not_depend_on_threads_or_on_the_other_queries(vertebrates: Database) -> None:
    ppms = [0.8 * onehot(letters) + 0.05 for letters in ("AGATAAGG", "GCCACGTGGC", "TGACTCA")]
    # More threads than the machine has cores, which numba refuses.
    together = closest_motifs(ppms, vertebrates, n=3, threads=1000)
    assert together == [closest_motifs([ppm], vertebrates, n=3)[0] for ppm in ppms]


def test_a_small_database_is_said_to_give_rough_pvalues(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    few = Database("mine.meme", (KnownMotif("m1", "GATA1", 0.8 * onehot("AGATAAG") + 0.05),) * 2)
    with caplog.at_level(logging.WARNING, "genolift"):
        tell_rough(few)
        (matches,) = closest_motifs([0.8 * onehot("CTTATCT") + 0.05], few, n=3)
    assert caplog.text.count("mine.meme has only 2 motifs: Tomtom's p-values are rough") == 1
    assert not [one for one in recwarn if "tomtom" in str(one.message)]
    assert [(match.name, match.strand) for match in matches] == [("GATA1", "-")] * 2


def test_a_motif_of_one_base_has_matches(vertebrates: Database) -> None:
    assert len(closest_motifs([onehot("A")], vertebrates, n=3)[0]) == 3


def test_qvalues_are_benjamini_and_hochberg_s(vertebrates: Database) -> None:
    m = len(vertebrates.motifs)
    (matches,) = closest_motifs([0.8 * onehot("AGATAAGG") + 0.05], vertebrates, n=m)
    pvalues, qvalues = np.array([(match.pvalue, match.qvalue) for match in matches]).T
    assert (np.diff(pvalues) >= 0).all()
    expected = [min(1.0, *(pvalues[k:] * m / np.arange(k + 1, m + 1))) for k in range(m)]
    np.testing.assert_allclose(qvalues, expected, rtol=1e-12)


def test_a_seqlet_s_ppm_is_cut_to_what_contributes_and_firmer_there() -> None:
    scores = onehot("CAGATAAGC") * np.array([0.1, 0.5, 1, 1, 1, 0.2, 1, 0.4, 0.0])
    ppm = seqlet_ppm(onehot("CAGATAAGC"), scores)
    assert ppm.shape == (4, 7)
    np.testing.assert_allclose(ppm.sum(0), 1)
    np.testing.assert_allclose(ppm[0, 0], 0.75 + 0.25 / 4)  # half of the largest: a weight of 0.75
    np.testing.assert_allclose(ppm[2, 1], 1.0)


def test_seqlets_are_named_by_what_contributes(vertebrates: Database) -> None:
    seqlets = []
    for letters, at in (("TTGCCAGATAAGTTCCAGTC", 5), ("TGACGTCCACGTGGATTCAG", 6)):
        weight = np.full(len(letters), 0.05)
        weight[at : at + 8] = 1.0
        seqlets.append((onehot(letters), onehot(letters) * weight))
    gata, ebox = closest_motif_of_seqlets(seqlets, vertebrates)
    assert "GATA" in gata.name.upper()
    (named,) = (motif for motif in vertebrates.motifs if motif.accession == ebox.accession)
    assert "CACGTG" in "".join("ACGT"[base] for base in named.ppm.argmax(0))
    assert max(gata.pvalue, ebox.pvalue) < 1e-3


def test_random_letters_are_seldom_called_anything(vertebrates: Database) -> None:
    """Weighting letters by contributions down to zero would call 90 % of random seqlets CTCF."""
    random = np.random.default_rng(0)
    seqlets = []
    for _ in range(60):
        letters = np.eye(4)[random.integers(0, 4, 30)].T
        seqlets.append((letters, letters * np.exp(-np.square((np.arange(30) - 15) / 5))))
    matches = closest_motif_of_seqlets(seqlets, vertebrates)
    assert sum("CTCF" in match.name for match in matches) <= 4
    assert sum(match.pvalue * len(vertebrates.motifs) < 0.01 for match in matches) <= 4


def test_no_query_needs_no_database_search(vertebrates: Database) -> None:
    assert closest_motifs([], vertebrates, n=3) == []
    assert closest_motif_of_seqlets([], vertebrates) == []
