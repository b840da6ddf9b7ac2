"""Occurrences of motifs by Fi-NeMo, and where they are on the genome."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from Bio import bgzf

from genolift.motifs.hits import HIT_COLUMNS, call_hits, place_on_genome, write_hits
from genolift.motifs.method import method_of
from genolift.settings.motifs import Motifs

SITES = ("AGATAAG", "CCACGTGG")
METHOD = method_of(Motifs())
WIDTH, LENGTH, N = 20, 150, 40


def onehot(letters: str) -> np.ndarray:
    return np.eye(4)[["ACGT".index(letter) for letter in letters]].T


def cwm(letters: str) -> tuple[np.ndarray, tuple[int, int]]:
    start = (WIDTH - len(letters)) // 2
    matrix = np.zeros((4, WIDTH))
    matrix[:, start : start + len(letters)] = onehot(letters)
    return matrix, (start, start + len(letters))


@pytest.fixture(scope="module")
def planted() -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, int, int, str]]]:
    """Sequences with one of each site, in either orientation, and contributions there."""
    random = np.random.default_rng(4)
    codes = random.integers(0, 4, (N, LENGTH))
    hypothetical = random.normal(0, 0.03, (N, 4, LENGTH)).astype(np.float32)
    where = []
    for row in range(N):
        for number, site in enumerate(SITES):
            reverse = bool(random.integers(2)) and number == 0  # the E-box is its own reverse complement
            letters = onehot(site)[::-1, ::-1] if reverse else onehot(site)
            start = int(random.integers(10, 60)) + 70 * number
            stop = start + len(site)
            codes[row, start:stop] = letters.argmax(0)
            hypothetical[row, :, start:stop] += letters - 0.3
            where.append((row, number, start, stop, "-" if reverse else "+"))
    sequences = np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1).copy()
    return sequences, hypothetical, where


def test_hits_are_the_planted_sites_with_their_strand(planted: tuple) -> None:
    sequences, hypothetical, where = planted
    matrices, trims = zip(*(cwm(site) for site in SITES), strict=True)
    hits = call_hits(matrices, trims, sequences, hypothetical, METHOD)
    found = list(hits[["row", "motif", "start", "end", "strand"]].itertuples(index=False, name=None))
    gata = {one for one in where if one[1] == 0}
    assert {one for one in found if one[1] == 0} == gata
    # A palindrome has one hit per position, on either strand.
    ebox = [one[:4] for one in found if one[1] == 1]
    assert ebox == [one[:4] for one in where if one[1] == 1]
    assert hits["similarity"].between(0.9, 1).all()
    assert found == sorted(found)


def test_hits_do_not_depend_on_the_other_sequences(planted: tuple) -> None:
    sequences, hypothetical, _ = planted
    matrices, trims = zip(*(cwm(site) for site in SITES), strict=True)
    together = call_hits(matrices, trims, sequences, hypothetical, METHOD)
    alone = call_hits(matrices, trims, sequences[7:8], hypothetical[7:8], METHOD)
    here = together[together["row"] == 7].reset_index(drop=True)
    assert here[HIT_COLUMNS[1:5]].equals(alone[HIT_COLUMNS[1:5]])
    np.testing.assert_allclose(here["similarity"], alone["similarity"], atol=1e-3)


def test_a_motif_that_lowers_the_output_is_found_by_its_negative_cwm(planted: tuple) -> None:
    sequences, hypothetical, where = planted
    matrix, trim = cwm(SITES[0])
    hits = call_hits([-matrix], [trim], sequences, -hypothetical, METHOD)
    assert len(hits) == sum(one[1] == 0 for one in where)


def test_hits_are_as_similar_to_their_motif_as_is_asked_for(planted: tuple) -> None:
    sequences, hypothetical, _ = planted
    blurred = hypothetical.copy()
    blurred[: N // 2] += np.random.default_rng(1).normal(0, 0.2, blurred[: N // 2].shape)
    matrix, trim = cwm(SITES[0])
    asked = [Motifs(hit_similarity=least) for least in (0.7, 0.95)]
    loose, strict = (call_hits([matrix], [trim], sequences, blurred, method_of(keys)) for keys in asked)
    assert loose.equals(call_hits([matrix], [trim], sequences, blurred, METHOD))
    assert 0 < len(strict) < len(loose)
    pd.testing.assert_frame_equal(strict, loose[loose["similarity"] >= 0.95].reset_index(drop=True))


def test_nothing_to_find_gives_no_hits(planted: tuple) -> None:
    sequences, hypothetical, _ = planted
    matrix, trim = cwm(SITES[0])
    for hits in (
        call_hits([], [], sequences, hypothetical, METHOD),
        call_hits([matrix], [trim], sequences, np.zeros_like(hypothetical), METHOD),
    ):
        assert list(hits.columns) == HIT_COLUMNS
        assert hits.empty


def places(**columns: object) -> pd.DataFrame:
    frame = pd.DataFrame({"key": [3, 8], "id": ["a", "b"], **columns})
    return frame.astype({"start": "Int64", "end": "Int64"})


def test_a_sequence_on_the_minus_strand_is_counted_from_its_windows_end() -> None:
    window = places(chrom=["chr1", "chr1"], start=[1000, 1000], end=[1100, 1100], strand=["+", "-"])
    start, end = np.array([10, 10]), np.array([17, 17])
    placed = place_on_genome(np.array([0, 1]), start, end, np.array(["+", "+"]), window)
    assert placed["genome_start"].tolist() == [1010, 1083]
    assert placed["genome_end"].tolist() == [1017, 1090]
    assert placed["strand"].tolist() == ["+", "-"]


def hit(row: int, motif: int, start: int, strand: str, similarity: float) -> tuple:
    return row, motif, start, start + 7, strand, similarity, 1.0


def read_bed(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def test_the_bed_file_is_bgzf_and_sorted_by_place(tmp_path: Path) -> None:
    hits = pd.DataFrame([hit(0, 0, 50, "+", 0.9), hit(1, 1, 80, "-", 0.71236)], columns=HIT_COLUMNS)
    window = places(chrom=["chr2", "chr1"], start=[1000, 1000], end=[1100, 1100], strand=["+", "-"])
    names = [("GATA1", "pos_patterns.pattern_0"), ("pos_patterns.pattern_1", "pos_patterns.pattern_1")]
    write_hits(tmp_path / "hits.bed.gz", hits, window, names)
    assert read_bed(tmp_path / "hits.bed.gz") == [
        [
            "chr1",
            "1013",
            "1020",
            *["pos_patterns.pattern_1", "712", "+", "pos_patterns.pattern_1", "0.7124", "8"],
        ],
        ["chr2", "1050", "1057", "GATA1", "900", "+", "pos_patterns.pattern_0", "0.9000", "3"],
    ]
    assert [block[1] > 0 for block in bgzf.BgzfBlocks((tmp_path / "hits.bed.gz").open("rb"))]


def test_sequences_from_fasta_are_their_own_chromosome(tmp_path: Path) -> None:
    hits = pd.DataFrame([hit(1, 0, 5, "-", 1.0), hit(0, 0, 9, "+", 1.0)], columns=HIT_COLUMNS)
    plain = places(chrom=["", ""], start=[None, None], end=[None, None], strand=[".", "."])
    write_hits(tmp_path / "hits.bed.gz", hits, plain, [("GATA1", "pos_patterns.pattern_0")])
    assert [line[:3] + line[5:6] for line in read_bed(tmp_path / "hits.bed.gz")] == [
        ["a", "9", "16", "+"],
        ["b", "5", "12", "-"],
    ]


def test_no_hit_is_an_empty_bgzf_file(tmp_path: Path) -> None:
    path = tmp_path / "hits.bed.gz"
    plain = places(chrom=["", ""], start=[None, None], end=[None, None], strand=[".", "."])
    write_hits(
        path,
        call_hits([], [], np.zeros((2, 4, 9), np.int8), np.zeros((2, 4, 9), np.float32), METHOD),
        plain,
        [],
    )
    assert read_bed(path) == []
    assert path.read_bytes() == bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
