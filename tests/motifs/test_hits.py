"""Occurrences of motifs by Fi-NeMo, and where they are on the genome."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from Bio import bgzf
from made_up import write_files
from made_up_windows import chromosome, opened

from genolift.motifs.hit_files import FINEMO_FILE, HIT_FILE, HitFiles
from genolift.motifs.hits import HIT, SoughtMotifs, call_hits, unique_hits
from genolift.motifs.method import Method, method_of
from genolift.motifs.sites import Records
from genolift.motifs.windows import Block, Windows, open_windows
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


def called(
    sought: SoughtMotifs, onehot: np.ndarray, hypothetical: np.ndarray, method: Method = METHOD
) -> Records:
    hits, _ = call_hits(sought, Block(np.arange(len(onehot)), onehot, hypothetical), method)
    return hits


BOTH = SoughtMotifs(*zip(*map(cwm, SITES), strict=True))
GATA = SoughtMotifs(BOTH.cwms[:1], BOTH.trims[:1])


def test_hits_are_the_planted_sites_with_their_strand(planted: tuple) -> None:
    sequences, hypothetical, where = planted
    hits = called(BOTH, sequences, hypothetical)
    ends = hits["start"] + BOTH.widths[hits["motif"]]
    columns = (hits["row"], hits["motif"], hits["start"], ends, np.where(hits["reverse"], "-", "+"))
    found = list(zip(*(values.tolist() for values in columns), strict=True))
    gata = {one for one in where if one[1] == 0}
    assert {one for one in found if one[1] == 0} == gata
    # A palindrome has one hit per position, on either strand.
    ebox = [one[:4] for one in found if one[1] == 1]
    assert ebox == [one[:4] for one in where if one[1] == 1]
    assert hits["similarity"].min() >= 0.9
    assert hits["similarity"].max() <= 1
    places = hits[["row", "start", "motif", "reverse"]].tolist()
    assert places == sorted(places)


def test_what_fi_nemo_says_of_a_hit_is_in_the_units_of_the_contributions(planted: tuple) -> None:
    sequences, hypothetical, _ = planted
    hits = called(GATA, sequences, hypothetical)
    for hit in hits[:5]:
        part = (hit["row"], slice(None), slice(hit["start"], hit["start"] + 7))
        contributions = sequences[part] * hypothetical[part]
        assert hit["importance"] == pytest.approx(np.abs(contributions).sum(), rel=1e-4)
        assert hit["importance_sq"] == pytest.approx(np.square(contributions).sum(), rel=1e-3)
    tenfold = called(GATA, sequences, 10 * hypothetical)
    np.testing.assert_allclose(tenfold["coefficient"], hits["coefficient"], rtol=1e-3)
    np.testing.assert_allclose(tenfold["coefficient_global"], 100 * hits["coefficient_global"], rtol=1e-3)


def test_hits_do_not_depend_on_the_other_sequences(planted: tuple) -> None:
    sequences, hypothetical, _ = planted
    together = called(BOTH, sequences, hypothetical)
    alone = called(BOTH, sequences[7:8], hypothetical[7:8])
    here = together[together["row"] == 7]
    where = ["motif", "start", "reverse"]
    assert here[where].tolist() == alone[where].tolist()
    np.testing.assert_allclose(here["similarity"], alone["similarity"], atol=1e-3)


def test_a_motif_that_lowers_the_output_is_found_by_its_negative_cwm(planted: tuple) -> None:
    sequences, hypothetical, where = planted
    hits = called(SoughtMotifs([-GATA.cwms[0]], GATA.trims), sequences, -hypothetical)
    assert len(hits) == sum(one[1] == 0 for one in where)


def test_hits_are_as_similar_to_their_motif_as_is_asked_for(planted: tuple) -> None:
    sequences, hypothetical, _ = planted
    blurred = hypothetical.copy()
    blurred[: N // 2] += np.random.default_rng(1).normal(0, 0.2, blurred[: N // 2].shape)
    asked = [method_of(Motifs(hit_similarity=least)) for least in (0.7, 0.95)]
    loose, strict = (called(GATA, sequences, blurred, method) for method in asked)
    assert loose.tolist() == called(GATA, sequences, blurred).tolist()
    assert 0 < len(strict) < len(loose)
    assert strict.tolist() == loose[loose["similarity"] >= 0.95].tolist()


def every_hit(windows: Windows, sought: SoughtMotifs) -> tuple[Records, Records]:
    """Return the hits of sites, and those of every window."""
    found: list[Records] = [np.empty(0, HIT)]
    sites = unique_hits(sought, windows, METHOD, on_hits=found.append, progress=lambda done, total: None)
    return np.concatenate([np.empty(0, HIT), *sites]), np.concatenate(found)


def test_a_hit_in_windows_that_overlap_is_one_whatever_their_strands(tmp_path: Path) -> None:
    made = chromosome(1500)
    starts = [start for start in range(0, 1400, 50) for _ in "+-"]
    strands = "+-" * (len(starts) // 2)
    with opened(tmp_path, *made.cut(starts, strands, 100), starts, strands) as windows:
        sites, of_windows = every_hit(windows, BOTH)
        start = sites["start"].astype(np.int64)
        at, _ = windows.shared(sites["row"], start, start + BOTH.widths[sites["motif"]])
    # A site is in two windows, each on both strands, except those whose CWM one of them cuts off.
    assert len(of_windows) > 2 * len(sites)
    assert set(sites["windows"].tolist()) <= {2, 4}
    for motif, planted_starts in enumerate(made.starts.values()):
        for first in planted_starts:
            assert ((sites["motif"] == motif) & (np.abs(at - first) <= 1)).sum() == 1


def test_fits_that_did_not_converge_are_told_once(
    tmp_path: Path, planted: tuple, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sequences, hypothetical, _ = planted
    monkeypatch.setattr("genolift.motifs.windows._BLOCK_BASES", 15 * LENGTH)
    with opened(tmp_path, sequences, hypothetical) as windows, caplog.at_level(logging.WARNING, "genolift"):
        assert len(list(windows.blocks())) == 3
        found = unique_hits(
            BOTH, windows, method_of(Motifs(hit_steps=1)), on_hits=lambda hits: None, progress=lambda *_: None
        )
        list(found)
    assert caplog.messages == [f"Fi-NeMo's fit did not converge for {N} of {N} windows"]


def test_nothing_to_find_gives_no_hits(tmp_path: Path, planted: tuple) -> None:
    sequences, hypothetical, _ = planted
    with opened(tmp_path, sequences, hypothetical) as windows:
        sites, of_windows = every_hit(windows, SoughtMotifs([], []))
    assert len(sites) == len(of_windows) == 0
    assert len(called(GATA, sequences, np.zeros_like(hypothetical))) == 0


def hits_of(*rows: tuple[int, int, int, bool, float]) -> Records:
    """Return hits of window, motif, start, reverse and similarity."""
    hits = np.zeros(len(rows), HIT)
    for name, values in zip(HIT.names or (), zip(*rows, strict=True), strict=False):
        hits[name] = values
    hits["coefficient_global"], hits["importance"], hits["windows"] = 0.25, 1.5, 2
    return hits


NAMES = [("GATA1", "pos_patterns.pattern_0"), ("pos_patterns.pattern_1", "pos_patterns.pattern_1")]
WIDE = SoughtMotifs([np.zeros((4, 20)), np.zeros((4, 20))], [(5, 12), (6, 13)])


def read_lines(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt") as file:
        return [line.rstrip("\n").split("\t") for line in file]


@pytest.fixture(scope="module")
def two(planted: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Two windows of 100 bases."""
    return planted[0][:2, :, :100], planted[1][:2, :, :100]


def test_the_bed_file_is_bgzf_and_sorted_by_place(tmp_path: Path, two: tuple) -> None:
    hits = hits_of((0, 0, 50, False, 0.9), (1, 1, 80, True, 0.71236))
    path = tmp_path / "hits.bed.gz"
    with opened(tmp_path, *two, [1000, 500], "+-") as windows:
        HitFiles(windows, WIDE, NAMES).write_sites(path, [hits])
    assert read_lines(path) == [
        [
            *(
                "chr1",
                "513",
                "520",
                "pos_patterns.pattern_1",
                "712",
                "+",
                "pos_patterns.pattern_1",
                "0.71236",
            ),
            *("0.25", "1.5", "2", "1"),
        ],
        [
            "chr1",
            "1050",
            "1057",
            "GATA1",
            "900",
            "+",
            "pos_patterns.pattern_0",
            "0.9",
            "0.25",
            "1.5",
            "2",
            "0",
        ],
    ]
    assert [block[1] > 0 for block in bgzf.BgzfBlocks(path.open("rb"))]


def test_sequences_from_fasta_are_their_own_chromosome(tmp_path: Path, two: tuple) -> None:
    hits = hits_of((1, 0, 5, True, 1.0), (0, 0, 9, False, 1.0))
    with opened(tmp_path, *two) as windows:
        HitFiles(windows, WIDE, NAMES).write_sites(tmp_path / "hits.bed.gz", [hits])
    assert [line[:3] + line[5:6] for line in read_lines(tmp_path / "hits.bed.gz")] == [
        ["window 0", "9", "16", "+"],
        ["window 1", "5", "12", "-"],
    ]


def test_hits_of_every_window_are_in_fi_nemos_own_columns(tmp_path: Path, two: tuple) -> None:
    import polars as pl
    from finemo.data_io import HITS_DTYPES, load_hits

    assert list(HITS_DTYPES) == FINEMO_FILE
    bed, path = tmp_path / "hits_by_window.bed.gz", tmp_path / "hits_by_window.tsv.gz"
    with (
        opened(tmp_path, *two, [1000, 500], "+-") as windows,
        HitFiles(windows, WIDE, NAMES).by_window(bed, path) as write,
    ):
        write(hits_of((0, 0, 50, False, 0.9), (0, 1, 60, True, 0.8)))
        write(hits_of((1, 1, 80, True, 0.71236)))
    (tmp_path / "hits.tsv").write_bytes(gzip.decompress(path.read_bytes()))
    read = load_hits(str(tmp_path / "hits.tsv"))
    assert read["start"].to_list() == [1050, 1060, 513]
    assert read["end"].to_list() == [1057, 1067, 520]
    # The whole CWM: 5 bases before the first, 7 before the second, which is reversed like the third's window.
    assert read["start_untrimmed"].to_list() == [1045, 1053, 507]
    assert (read["end_untrimmed"] - read["start_untrimmed"]).to_list() == [20] * 3
    assert read["strand"].to_list() == ["+", "-", "+"]
    assert read["motif_name"].to_list() == [NAMES[0][1], NAMES[1][1], NAMES[1][1]]
    assert read["peak_name"].to_list() == ["window 0", "window 0", "window 1"]
    assert read["peak_id"].to_list() == [0, 0, 1]
    assert read.schema["hit_similarity"] == pl.Float32
    lines = read_lines(bed)
    assert [len(line) for line in lines] == [len(HIT_FILE) - 1] * 3
    assert [line[:3] for line in lines] == [
        ["chr1", "1050", "1057"],
        ["chr1", "1060", "1067"],
        ["chr1", "513", "520"],
    ]
    assert [line[-1] for line in lines] == ["0", "0", "1"]


def test_no_hit_is_an_empty_bgzf_file(tmp_path: Path, two: tuple) -> None:
    path = tmp_path / "hits.bed.gz"
    with opened(tmp_path, *two) as windows:
        HitFiles(windows, SoughtMotifs([], []), []).write_sites(path, [])
    assert read_lines(path) == []
    assert path.read_bytes() == bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def test_hits_over_a_chromosomes_end_in_padded_windows_are_left_out(planted: tuple, tmp_path: Path) -> None:
    sequences, hypothetical, where = planted
    site = {row: (start, stop) for row, number, start, stop, _ in where if number == 0}
    size = 200 * N
    starts = [200 * row for row in range(N)]
    starts[:4] = [-site[0][0], -site[1][0] - 1, size - site[2][1], size - site[3][1] + 1]
    with opened(tmp_path, sequences, hypothetical, starts, "+" * N) as windows:
        windows.store.chromosomes["chr1"] = size
        by_window: list[Records] = []
        found = unique_hits(GATA, windows, METHOD, on_hits=by_window.append, progress=lambda *_: None)
        files = HitFiles(windows, GATA, [("GATA", "pos_patterns.pattern_0")])
        files.write_sites(tmp_path / "hits.bed.gz", found)
    expected = sorted(set(range(N)) - {1, 3})
    assert np.concatenate(by_window)["row"].tolist() == expected, "hits with a base before 0 or at the end"
    with gzip.open(tmp_path / "hits.bed.gz", "rt") as file:
        rows = [line.split("\t") for line in file]
    places = [(int(row[1]), int(row[2])) for row in rows]
    assert places == sorted((starts[row] + site[row][0], starts[row] + site[row][1]) for row in expected)
    assert (places[0][0], places[-1][1]) == (0, size)


def test_windows_of_two_chromosomes_have_no_place_in_common_where_one_begins_before_its_own(
    planted: tuple, tmp_path: Path
) -> None:
    sequences, hypothetical, _ = planted
    table = pd.DataFrame({"key": range(3), "id": ["a", "b", "c"], "chrom": ["chr1", "chr2", "chr2"]})
    table = table.assign(start=[500, -100, 30], strand="+")
    table["end"] = table["start"] + LENGTH
    files = write_files(tmp_path, sequences[:3], hypothetical[:3], table)
    with open_windows(files["contributions"], files["sequences"], Motifs()) as windows:
        start, end = windows.shared(np.arange(3), np.zeros(3, np.int64), np.full(3, LENGTH))
    assert start[1] >= end[0]
    assert start[2] - start[1] == 130
