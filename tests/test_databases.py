"""Databases of known motifs, MEME files, and Tomtom."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from genolift.databases import (
    Database,
    KnownMotif,
    benjamini_hochberg,
    closest_motif_of_seqlets,
    closest_motifs,
    read_database,
    read_meme,
    seqlet_ppm,
    write_meme,
)
from genolift.errors import InputError

HEAD = "MEME version 4\n\nALPHABET= ACGT\n\n"
MATRIX = "letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0\n 0.25 0.25 0.5 0.0\n1 0 0 0\n"


def onehot(letters: str) -> np.ndarray:
    return np.eye(4)[["ACGT".index(letter) for letter in letters]].T


@pytest.fixture(scope="module")
def vertebrates() -> Database:
    return read_database("jaspar:vertebrates")


def test_jaspar_is_its_newest_release_with_each_motif_once(vertebrates: Database, shared: Path) -> None:
    assert vertebrates.source == "JASPAR2026 CORE vertebrates"
    from_file = {
        motif.accession: motif for motif in read_meme(shared / "human/jaspar_vertebrates.meme").motifs
    }
    assert len(vertebrates.motifs) == len(from_file)
    for motif in vertebrates.motifs:
        assert motif.name == from_file[motif.accession].name
        np.testing.assert_allclose(motif.ppm, from_file[motif.accession].ppm, atol=2e-6)


def test_other_groups_of_jaspar_are_read_too(shared: Path) -> None:
    fungi = {motif.accession for motif in read_database("JASPAR:Fungi").motifs}
    assert fungi == {motif.accession for motif in read_meme(shared / "yeast/jaspar_fungi.meme").motifs}


def test_an_unknown_group_is_refused_with_the_nearest_right_one() -> None:
    with pytest.raises(
        InputError, match=r"no taxonomic group 'vertebrate'; did you mean jaspar:vertebrates\?"
    ):
        read_database("jaspar:vertebrate")
    with pytest.raises(InputError, match=r"its groups are .*fungi.*plants.*vertebrates"):
        read_database("jaspar")


def test_a_missing_database_is_named() -> None:
    with pytest.raises(InputError, match=r"motif database: nowhere\.meme: no such file"):
        read_database("nowhere.meme")


def test_the_papers_meme_file_is_read(shared: Path) -> None:
    database = read_meme(shared / "paper/motifs.meme")
    assert [motif.accession for motif in database.motifs][:2] == ["TAL1_known1", "GATA_disc1"]
    assert database.motifs[0].ppm.shape == (4, 16)
    np.testing.assert_allclose(database.motifs[0].ppm[:, 5], [0.00025, 0.99925, 0.00025, 0.00025], atol=1e-6)


def test_meme_files_in_every_allowed_layout_are_read(tmp_path: Path) -> None:
    path = tmp_path / "loose.meme"
    head = HEAD.replace("ALPHABET= ACGT", 'ALPHABET "DNA"') + "strands: + -\r\n\n"
    one = "MOTIF one first\nlog-odds matrix: alength= 4 w= 1\n -3 2 2 1\n" + MATRIX + "URL http://x\n"
    two = "MOTIF two\n\n" + MATRIX.replace(" w= 2", "")
    path.write_text("\n" + head + one + two)
    first, second = read_meme(path).motifs
    assert (first.accession, first.name) == ("one", "first")
    assert (second.accession, second.name) == ("two", "two")
    np.testing.assert_allclose(first.ppm, [[0.25, 1], [0.25, 0], [0.5, 0], [0, 0]])
    np.testing.assert_array_equal(first.ppm, second.ppm)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: is no MEME file"),
        (">fasta\nACGT\n", "line 1: is no MEME file"),
        (HEAD, "holds no motif"),
        (
            HEAD.replace("ACGT", "ACDEFGHIKLMNPQRSTVWY"),
            "line 3: the alphabet is 'ACDEFGHIKLMNPQRSTVWY', not ACGT",
        ),
        (HEAD + MATRIX, "line 5: a matrix before the first MOTIF line"),
        (HEAD + "MOTIF\n" + MATRIX, "line 5: a MOTIF line without a name"),
        (HEAD + "MOTIF a\nMOTIF b\n" + MATRIX, "line 6: motif a has no letter-probability matrix"),
        (HEAD + "MOTIF a\n", "line 5: motif a has no letter-probability matrix"),
        (HEAD + "MOTIF a\n" + MATRIX.replace("w= 2", "w= 3"), "line 6: the matrix has 2 rows, not w= 3"),
        (HEAD + "MOTIF a\n" + MATRIX.replace("1 0 0 0", "1 0 0"), "line 8: a row of 3 numbers"),
        (
            HEAD + "MOTIF a\n" + MATRIX.replace("1 0 0 0", "1 0 0 O"),
            "line 8: not a row of numbers: '1 0 0 O'",
        ),
        (HEAD + "MOTIF a\n" + MATRIX.replace("1 0 0 0", "7 0 2 9"), "line 8: no probabilities that sum to 1"),
    ],
)
def test_a_damaged_meme_file_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "motifs.meme"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_database(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_binary_file_is_no_meme_file(tmp_path: Path) -> None:
    path = tmp_path / "motifs.meme"
    path.write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(InputError, match="is an HDF5 file"):
        read_database(str(path))


def test_a_written_meme_file_reads_back(tmp_path: Path) -> None:
    ppm = np.array([[0.1, 0.7], [0.2, 0.1], [0.3, 0.1], [0.4, 0.1]])
    write_meme(tmp_path / "out.meme", [("pos_patterns.pattern_0", "GATA1", ppm, 41)])
    (motif,) = read_meme(tmp_path / "out.meme").motifs
    assert (motif.accession, motif.name) == ("pos_patterns.pattern_0", "GATA1")
    np.testing.assert_allclose(motif.ppm, ppm, atol=1e-6)
    assert "nsites= 41" in (tmp_path / "out.meme").read_text()


def test_a_database_s_own_motif_is_its_closest_in_either_orientation(vertebrates: Database) -> None:
    known = next(motif for motif in vertebrates.motifs if motif.accession == "MA0139.2")
    forward, reverse = closest_motifs([known.ppm, known.ppm[::-1, ::-1]], vertebrates, n=2)
    for matches, strand in ((forward, "+"), (reverse, "-")):
        assert (matches[0].accession, matches[0].name, matches[0].strand) == ("MA0139.2", "CTCF", strand)
        assert matches[0].pvalue < 1e-12
        assert matches[0].pvalue <= matches[0].qvalue <= matches[1].qvalue


def test_matches_do_not_depend_on_threads_or_on_the_other_queries(vertebrates: Database) -> None:
    ppms = [0.8 * onehot(letters) + 0.05 for letters in ("AGATAAGG", "GCCACGTGGC", "TGACTCA")]
    together = closest_motifs(ppms, vertebrates, n=3, threads=2)
    assert together == [closest_motifs([ppm], vertebrates, n=3)[0] for ppm in ppms]


def test_a_small_database_is_said_to_give_rough_pvalues(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    few = Database("mine.meme", (KnownMotif("m1", "GATA1", 0.8 * onehot("AGATAAG") + 0.05),) * 2)
    with caplog.at_level(logging.WARNING, "genolift"):
        (matches,) = closest_motifs([0.8 * onehot("CTTATCT") + 0.05], few, n=3)
    assert "mine.meme has only 2 motifs: Tomtom's p-values are rough" in caplog.text
    assert not [one for one in recwarn if "tomtom" in str(one.message)]
    assert [(match.name, match.strand) for match in matches] == [("GATA1", "-")] * 2


def test_a_motif_of_one_base_has_matches(vertebrates: Database) -> None:
    assert len(closest_motifs([onehot("A")], vertebrates, n=3)[0]) == 3


def test_qvalues_are_benjamini_and_hochberg_s() -> None:
    pvalues = np.random.default_rng(0).uniform(size=200) ** 3
    np.testing.assert_allclose(benjamini_hochberg(pvalues), false_discovery_control(pvalues))


def test_a_seqlet_s_ppm_is_cut_to_what_contributes_and_firmer_there() -> None:
    scores = onehot("CAGATAAGC") * np.array([0.1, 0.5, 1, 1, 1, 0.2, 1, 0.4, 0.0])
    ppm = seqlet_ppm(onehot("CAGATAAGC"), scores)
    assert ppm.shape == (4, 7)
    np.testing.assert_allclose(ppm.sum(0), 1)
    np.testing.assert_allclose(ppm[0, 0], 0.75 + 0.25 / 4)  # half of the largest: a share of 0.75
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
    """Letters weighted by contributions down to nothing call 90 % of random seqlets CTCF."""
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
