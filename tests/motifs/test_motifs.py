"""The motifs step, on contributions with planted sites (found, named, placed) and on too little for any."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from made_up import write_files
from made_up_windows import chromosome, opened

from genolift import GenoliftWarning, __version__
from genolift.errors import InputError
from genolift.motifs.discovery import Discovered, discover, trim
from genolift.motifs.hit_files import HIT_FILE
from genolift.motifs.meme import read_meme, write_meme
from genolift.motifs.method import Method, method_of
from genolift.motifs.seqlets import find_seqlets
from genolift.motifs.sites import Records
from genolift.motifs.tables import SEQLETS, consensus, motifs_table
from genolift.settings.mistakes import checked
from genolift.settings.motifs import Motifs
from genolift.steps.motifs import MotifSummary, find_motifs

LENGTH = 150
METHOD, FEW = method_of(Motifs()), method_of(Motifs(final_min_cluster_size=10))
SITES = {"gata": "AGATAAG", "ebox": "CCACGTGG"}
COLUMNS = ["motif", "name", "sign", "n_seqlets", "n_hits", "trim_start", "trim_end", "consensus"]
FILES = ["hits.bed.gz", "motif_matrices.tsv", "motifs.h5", "motifs.meme", "motifs.tsv", "motifs_cwm.meme"]
FILES += ["seqlets.tsv", "seqlets_by_window.tsv", "hits_by_window.bed.gz", "hits_by_window.tsv.gz"]


def reverse_complement(letters: str) -> str:
    return letters[::-1].translate(str.maketrans("ACGT", "TGCA"))


def planted(n: int, seed: int = 0, length: int = LENGTH) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """One-hot and hypothetical contributions, (sequence, base, position), and where the sites are."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (n, length))
    hypothetical = random.normal(0, 0.05, (n, length, 4))
    half, where = length // 2, []
    for row in range(n):
        for number, (name, site) in enumerate(SITES.items()):
            strand = "+-"[random.integers(2)]
            letters = site if strand == "+" else reverse_complement(site)
            start = number * half + int(random.integers(12, half - 20))
            bases = ["ACGT".index(letter) for letter in letters]
            codes[row, start : start + len(site)] = bases
            height = 1 + 0.1 * random.normal(size=len(site))
            hypothetical[row, start : start + len(site)] -= 0.3
            hypothetical[row, np.arange(start, start + len(site)), bases] += 0.3 + height
            where.append((row, name, start, start + len(site), strand))
    onehot = np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1)
    frame = pd.DataFrame(where, columns=["row", "site", "start", "end", "strand"])
    return onehot, hypothetical.transpose(0, 2, 1).astype(np.float32), frame


def write_inputs(
    folder: Path, onehot: np.ndarray, hypothetical: np.ndarray, *, genomic: bool = False
) -> dict[str, Path]:
    """Write contributions.h5 and sequences.tsv: record 1 is dropped, every third is on the minus strand."""
    n, _, length = onehot.shape
    key = np.arange(n + 1)
    table = pd.DataFrame({"key": key, "id": [f"peak {one}" for one in key]})
    table["chrom"] = "chr22" if genomic else ""
    table["start"] = 5000 + 1000 * key if genomic else ""
    table["end"] = 5000 + 1000 * key + length if genomic else ""
    table["strand"] = np.where(key % 3 == 0, "-", "+") if genomic else "."
    table = table.assign(kept="true", reason="")
    table.loc[1, ["kept", "reason"]] = ["false", "over a chromosome's end"]
    return write_files(folder, onehot, hypothetical, table)


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", keep_default_na=False)


def read_hits(path: Path) -> pd.DataFrame:
    with gzip.open(path, "rt") as file:
        return pd.DataFrame([line.rstrip("\n").split("\t") for line in file], columns=HIT_FILE)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MotifSummary, pd.DataFrame]:
    """Motifs of 60 genomic windows."""
    folder = tmp_path_factory.mktemp("found")
    onehot, hypothetical, where = planted(60)
    inputs = write_inputs(folder, onehot, hypothetical, genomic=True)
    summary = find_motifs(Motifs(), **inputs, out=folder)
    return folder, summary, where


def site_of(folder: Path) -> dict[str, str]:
    """The site that each motif represents, by its consensus."""
    kinds = {}
    for motif, letters in read(folder / "motifs.tsv")[["motif", "consensus"]].itertuples(index=False):
        both = letters.upper() + " " + reverse_complement(letters.upper())
        kinds[motif] = "gata" if "GATAAG" in both else "ebox" if "CACGTG" in both else ""
    return kinds


def test_both_planted_sites_are_found_and_named(found: tuple) -> None:
    folder, summary, _ = found
    motifs = read(folder / "motifs.tsv")
    assert sorted(site_of(folder).values()) == ["ebox", "gata"]
    assert (summary.n_motifs, summary.note) == (2, "")
    for _, motif in motifs.iterrows():
        name, sought = motif["match1_name"].upper(), site_of(folder)[motif["motif"]]
        assert motif["match1"].startswith("MA")
        assert ("GATA" in name or "TRPS1" in name) if sought == "gata" else motif["match1_qvalue"] < 0.01
        assert motif["match1_pvalue"] <= motif["match1_qvalue"] <= motif["match2_qvalue"]
        assert motif["match1_strand"] in ("+", "-")
        assert motif["sign"] == "pos"
        assert len(motif["consensus"]) == motif["trim_end"] - motif["trim_start"] <= 10


def test_the_tables_have_the_promised_columns(found: tuple) -> None:
    folder, _, _ = found
    ends = ("", "_name", "_qvalue", "_pvalue", "_strand")
    matches = [f"match{rank}{end}" for rank in (1, 2, 3) for end in ends]
    assert list(read(folder / "motifs.tsv").columns) == [*COLUMNS, *matches] == list(motifs_table(3).columns)
    assert list(read(folder / "seqlets.tsv").columns) == list(SEQLETS.columns)
    assert list(read(folder / "motif_matrices.tsv").columns) == ["motif", "kind", "position", *"ACGT"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*FILES, "contributions.h5", "motifs.json", "sequences.tsv"]
    )


def test_hits_are_the_planted_sites_in_genome_coordinates(found: tuple) -> None:
    folder, summary, where = found
    table = read(folder / "sequences.tsv")
    table = table[table["kept"].astype(str).str.lower() == "true"].reset_index(drop=True)
    hits, kinds = read_hits(folder / "hits.bed.gz"), site_of(folder)
    assert len(hits) == summary.n_hits
    near = 0
    for _, site in where.iterrows():
        window = table.loc[site["row"]]
        turned = window["strand"] == "-"
        start = window["end"] - site["end"] if turned else window["start"] + site["start"]
        of = hits[(hits["key"] == str(window["key"])) & (hits["motif"].map(kinds) == site["site"])]
        near += bool(((of["start"].astype(int) - start).abs() <= 2).any())
    assert near >= 0.95 * len(where)
    assert len(hits) <= 1.1 * len(where)
    counted = read(folder / "motifs.tsv").set_index("motif")["n_hits"]
    assert counted.to_dict() == hits["motif"].value_counts().to_dict()
    assert hits["start"].astype(int).is_monotonic_increasing


def test_seqlets_read_as_their_motif_where_the_table_says(found: tuple) -> None:
    folder, summary, _ = found
    seqlets, kinds = read(folder / "seqlets.tsv"), site_of(folder)
    assert len(seqlets) == summary.n_seqlets
    counts = read(folder / "motifs.tsv").set_index("motif")["n_seqlets"].to_dict()
    assert seqlets.loc[seqlets["motif"] != "", "motif"].value_counts().to_dict() == counts
    with h5py.File(folder / "contributions.h5") as file:
        codes, key = file["raw/seq"][:].argmax(1), file["genolift/key"][:].tolist()
    table = read(folder / "sequences.tsv").set_index("key")
    for _, seqlet in seqlets[seqlets["motif"] != ""].iterrows():
        window = table.loc[seqlet["key"]]
        piece = codes[key.index(seqlet["key"]), seqlet["start"] : seqlet["end"]]
        letters = "".join("ACGT"[base] for base in piece)
        assert SITES[kinds[seqlet["motif"]]] in (letters + " " + reverse_complement(letters))
        on_genome = seqlet["end"] if window["strand"] == "-" else seqlet["start"]
        expected = window["end"] - on_genome if window["strand"] == "-" else window["start"] + on_genome
        assert seqlet["genome_start"] == expected
        assert seqlet["genome_end"] - seqlet["genome_start"] == seqlet["end"] - seqlet["start"] == 30
        assert seqlet["match1"] == ""
    loose = seqlets[seqlets["motif"] == ""]
    assert (loose["match1"] != "").all()
    assert (loose["strand"] == ".").all()


def test_the_seqlets_of_a_motif_all_read_along_it(found: tuple) -> None:
    """A seqlet's strand is on the genome; combined with the window's strand, it is that in the sequence."""
    folder, _, where = found
    seqlets = read(folder / "seqlets.tsv")
    table = read(folder / "sequences.tsv").set_index("key")
    gata = next(motif for motif, kind in site_of(folder).items() if kind == "gata")
    rows = {key: row for row, key in enumerate([0, *range(2, 61)])}
    planted_strand = where[where["site"] == "gata"].set_index("row")["strand"]
    same = []
    for _, seqlet in seqlets[seqlets["motif"] == gata].iterrows():
        in_sequence = seqlet["strand"] == ("-" if table.loc[seqlet["key"], "strand"] == "-" else "+")
        same.append(in_sequence == (planted_strand[rows[seqlet["key"]]] == "+"))
    assert len(set(same)) == 1


def test_motifs_h5_is_in_tf_modiscos_own_layout(found: tuple, tmp_path: Path) -> None:
    from modiscolite.io import write_meme_from_h5
    from modiscolite.util import MemeDataType

    folder, _, _ = found
    write_meme_from_h5(folder / "motifs.h5", MemeDataType.PFM, tmp_path / "theirs.meme", is_quiet=True)
    assert {motif.accession for motif in read_meme(tmp_path / "theirs.meme").motifs} == set(site_of(folder))
    with h5py.File(folder / "motifs.h5") as file:
        assert file.attrs["window_size"] == LENGTH
        assert file.attrs["note"] == ""
        made = json.loads(file.attrs["provenance"])
    assert (made["genolift"], made["database"]) == (__version__, "JASPAR2026 CORE vertebrates")
    assert {"modisco-lite", "finemo", "memelite"} <= made.keys()


def test_matrices_are_the_untrimmed_ones_and_meme_files_the_trimmed(found: tuple) -> None:
    folder, _, _ = found
    matrices = read(folder / "motif_matrices.tsv")
    ppms = {motif.accession: motif for motif in read_meme(folder / "motifs.meme").motifs}
    for _, motif in read(folder / "motifs.tsv").iterrows():
        of = matrices[matrices["motif"] == motif["motif"]]
        ppm, cwm = (of.loc[of["kind"] == kind, list("ACGT")].to_numpy().T for kind in ("ppm", "cwm"))
        assert ppm.shape == cwm.shape == (4, 30)
        assert trim(cwm, 0.3) == (motif["trim_start"], motif["trim_end"])
        inside = slice(motif["trim_start"], motif["trim_end"])
        np.testing.assert_allclose(ppms[motif["motif"]].ppm, ppm[:, inside], atol=1e-4)
        assert ppms[motif["motif"]].name == motif["name"] == motif["match1_name"]
        assert consensus(ppm[:, inside]) == motif["consensus"]
    assert (folder / "motifs_cwm.meme").read_text().count("MOTIF ") == 2


def discovered(folder: Path, windows: tuple[Any, ...], method: Method, threads: int = 1) -> Discovered:
    """Return what is found in windows that are given as for `write_windows`."""
    with opened(folder, *windows) as here:
        seqlets = find_seqlets(here, method, lambda done, total: None)
        return discover(seqlets, here, method, threads=threads)


def test_flanks_that_no_seqlet_has_room_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"motifs.final_flank_to_add: a motif has no seqlet with 60 more bases"
    ):
        discovered(
            tmp_path, planted(30)[:2], method_of(Motifs(final_min_cluster_size=10, final_flank_to_add=60))
        )


def test_motifs_do_not_depend_on_threads(tmp_path: Path) -> None:
    made = planted(30)[:2]
    one, two = (discovered(tmp_path, made, FEW, threads) for threads in (1, 2))
    assert len(one.motifs) == 2
    for first, second in zip(one.motifs, two.motifs, strict=True):
        assert first.name == second.name
        assert [str(seqlet) for seqlet in first.seqlets] == [str(seqlet) for seqlet in second.seqlets]
        np.testing.assert_array_equal(first.matrices["cwm"], second.matrices["cwm"])


def test_motifs_do_not_depend_on_the_order_of_windows_that_overlap(tmp_path: Path) -> None:
    made = chromosome(9000, every=100)
    starts = list(range(0, 8800, 70))
    strands = "".join(np.random.default_rng(0).choice(["+", "-"], len(starts)))
    order = np.random.default_rng(1).permutation(len(starts))
    onehot, hypothetical = made.cut(starts, strands, 200)
    shuffled = ([starts[at] for at in order], "".join(strands[at] for at in order))
    first = discovered(tmp_path / "first", (onehot, hypothetical, starts, strands), FEW)
    second = discovered(tmp_path / "second", (onehot[order], hypothetical[order], *shuffled), FEW)
    assert len(first.motifs) == 2
    middles = []
    for one, other in zip(first.motifs, second.motifs, strict=True):
        np.testing.assert_array_equal(one.matrices["cwm"], other.matrices["cwm"])
        assert one.trim == other.trim
        places = [(seqlet.example_idx, seqlet.start, seqlet.is_revcomp) for seqlet in one.seqlets]
        again = [(order[seqlet.example_idx], seqlet.start, seqlet.is_revcomp) for seqlet in other.seqlets]
        assert places == again
        for row, start, _ in places:
            at = start + 15
            middles.append(starts[row] + (200 - at if strands[row] == "-" else at))
    # Each of 88 sites is in two or three windows; it is a seqlet of one.
    assert 80 <= len(middles) <= 100
    near = [sum(abs(middle - other) <= 4 for other in middles) for middle in middles]
    assert max(near) == 1


def test_a_seqlet_that_was_shifted_onto_another_windows_site_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TF-MoDISco moves seqlets to align them, and knows of no window but their own."""
    made = chromosome(6000)
    starts = list(range(0, 5800, 150))
    strands = "+" * len(starts)
    windows = (*made.cut(starts, strands, 200), starts, strands)
    before = discovered(tmp_path / "before", windows, FEW).motifs[0]

    def one_by_one(found: Iterable[Records], *_: object) -> Iterator[tuple[Records, np.ndarray]]:
        """Return the copies in other windows as sites of their own."""
        return ((seqlets, np.arange(len(seqlets))) for seqlets in found)

    monkeypatch.setattr("genolift.motifs.seqlets.each_site_once", one_by_one)
    after = discovered(tmp_path / "after", windows, FEW).motifs[0]
    places = [starts[seqlet.example_idx] + seqlet.start for seqlet in after.seqlets]
    assert all(abs(one - other) > 4 for at, one in enumerate(places) for other in places[:at])
    assert len(after.seqlets) <= len(before.seqlets) + 1
    assert after.matrices["cwm"].shape == before.matrices["cwm"].shape


def test_the_published_preset_finds_what_modiscos_command_finds(tmp_path: Path) -> None:
    from modiscolite.tfmodisco import TFMoDISco

    onehot, hypothetical, _ = planted(60)
    one_hot, hypothetical_contribs = (
        np.ascontiguousarray(array.transpose(0, 2, 1), dtype=np.float32) for array in (onehot, hypothetical)
    )
    with np.errstate(all="ignore"):
        theirs = TFMoDISco(
            one_hot,
            hypothetical_contribs,
            sliding_window_size=20,
            flank_size=5,
            trim_to_window_size=30,
            initial_flank_to_add=10,
            target_seqlet_fdr=0.05,
            n_leiden_runs=2,
        )
    method = method_of(Motifs(preset="published"))
    ours = discovered(tmp_path, (onehot, hypothetical), method).patterns

    def places(pattern: Any) -> list[tuple[int, int, int, bool]]:
        return sorted((each.example_idx, each.start, each.end, each.is_revcomp) for each in pattern.seqlets)

    for sign, patterns in zip(("pos", "neg"), theirs, strict=True):
        assert len(ours[sign]) == len(patterns or [])
        for mine, its in zip(ours[sign], patterns or [], strict=True):
            assert places(mine) == places(its)
            np.testing.assert_allclose(mine.contrib_scores, its.contrib_scores, atol=1e-6)
    assert len(ours["pos"]) == 2


def database_without_the_ebox(path: Path) -> str:
    """Write GATA's motif among 40 random ones, none of which resembles the other planted site."""
    random = np.random.default_rng(3)
    gata = 0.8 * np.eye(4)[["ACGT".index(letter) for letter in "AGATAAG"]].T + 0.05
    chance = [(f"chance_{at}", "", random.dirichlet([0.3] * 4, 9).T, 20) for at in range(40)]
    write_meme(path, [("known_1", "GATA", gata, 20), *chance])
    return str(path)


def assert_called_alike(folder: Path, hits: pd.DataFrame) -> None:
    """One motif is named GATA everywhere; the other, whose best match is too unlike it, keeps its name."""
    motifs = read(folder / "motifs.tsv").set_index("motif")
    kinds = site_of(folder)
    for own, motif in motifs.iterrows():
        known = kinds[str(own)] == "gata"
        assert (motif["match1_qvalue"] <= 0.05) == known
        assert motif["match1_name"] != ""
        assert motif["name"] == ("GATA" if known else own)
    assert set(map(tuple, hits[["motif", "name"]].to_numpy())) == set(motifs["name"].items())
    for file in ("motifs.meme", "motifs_cwm.meme"):
        lines = [line for line in (folder / file).read_text().splitlines() if line.startswith("MOTIF")]
        assert lines == [
            f"MOTIF {own} GATA" if name == "GATA" else f"MOTIF {own}" for own, name in motifs["name"].items()
        ]


def test_sites_that_lower_the_output_make_negative_motifs(tmp_path: Path) -> None:
    onehot, hypothetical, _ = planted(30)
    inputs = write_inputs(tmp_path, onehot, -hypothetical)
    database = database_without_the_ebox(tmp_path / "known.meme")
    summary = find_motifs(Motifs(database=database, final_min_cluster_size=10), **inputs, out=tmp_path)
    motifs = read(tmp_path / "motifs.tsv")
    assert summary.n_motifs == 2
    assert set(motifs["sign"]) == {"neg"}
    assert motifs["motif"].str.startswith("neg_patterns.pattern_").all()
    assert (read(tmp_path / "seqlets.tsv")["contribution"] < 0).all()
    hits = read_hits(tmp_path / "hits.bed.gz")
    assert_called_alike(tmp_path, hits)
    assert hits["chrom"].str.startswith("peak ").all()
    assert len(hits) >= 55


def test_a_window_is_the_middle_and_coordinates_stay_the_sequences(tmp_path: Path, shared: Path) -> None:
    onehot, hypothetical, _ = planted(10)
    database = str(shared / "paper/motifs.meme")
    inputs = write_inputs(tmp_path, onehot, hypothetical)
    summary = find_motifs(Motifs(window=71, database=database), **inputs, out=tmp_path)
    seqlets = read(tmp_path / "seqlets.tsv")
    assert 0 < len(seqlets) == summary.n_seqlets
    assert seqlets["start"].min() >= 39
    assert seqlets["end"].max() <= 39 + 71
    with h5py.File(tmp_path / "contributions.h5") as file:
        scores, key = file["projected_shap/seq"][:].sum(1), file["genolift/key"][:].tolist()
    for _, seqlet in seqlets.iterrows():
        sums = scores[key.index(seqlet["key"]), seqlet["start"] : seqlet["end"]].sum()
        assert seqlet["contribution"] == pytest.approx(sums, rel=1e-4)
    with pytest.raises(InputError, match=r"window: 151 bases are not within the sequences' 150"):
        find_motifs(Motifs(window=151, database=database), **inputs, out=tmp_path)


def assert_empty(folder: Path, summary: MotifSummary) -> None:
    """Every file exists and can be read, and contains no motif."""
    assert (summary.n_motifs, summary.n_hits) == (0, 0)
    with h5py.File(folder / "motifs.h5") as file:
        assert list(file) == []
        assert file.attrs["note"] == summary.note
        assert "window_size" in file.attrs
    assert read(folder / "motifs.tsv").columns.tolist() == list(motifs_table(3).columns)
    assert read(folder / "motifs.tsv").empty
    assert read(folder / "motif_matrices.tsv").empty
    assert read_hits(folder / "hits.bed.gz").empty
    for name in ("motifs.meme", "motifs_cwm.meme"):
        text = (folder / name).read_text()
        assert text.startswith("MEME version 4\n")
        assert "MOTIF" not in text
    assert len(read(folder / "seqlets.tsv")) == summary.n_seqlets


@pytest.mark.parametrize("n", [1, 3, 9])
def test_few_sequences_give_named_seqlets_and_a_sentence(tmp_path: Path, n: int) -> None:
    onehot, hypothetical, where = planted(n, seed=n)
    summary = find_motifs(Motifs(), **write_inputs(tmp_path, onehot, hypothetical), out=tmp_path)
    assert_empty(tmp_path, summary)
    seqlets = read(tmp_path / "seqlets.tsv")
    assert f"TF-MoDISco found no motif in {n} sequence{'s' * (n > 1)}: it had" in summary.note
    assert "a motif takes 20 alike" in summary.note
    strongest = seqlets.head(len(where))
    found_sites = 0
    for _, seqlet in strongest.iterrows():
        row = 0 if seqlet["key"] == 0 else seqlet["key"] - 1
        of = where[where["row"] == row]
        found_sites += bool(((of["start"] >= seqlet["start"]) & (of["end"] <= seqlet["end"])).any())
    assert found_sites >= 0.8 * len(strongest) > 0
    assert (
        strongest["match1_name"]
        .str.upper()
        .str.contains("GATA|USF|MYC|MAX|MLX|TRPS1|BHLH|TFE|HEY|CREB3|ARNT")
        .mean()
        > 0.6
    )
    assert (seqlets["match1_pvalue"] > 0).all()


@pytest.mark.parametrize(("n", "length"), [(1, 30), (1, 31), (1, 60), (4, 35), (20, 40), (2, 200)])
@pytest.mark.parametrize("kind", ["noise", "positive", "steps"])
def test_noise_of_any_size_is_never_a_crash(tmp_path: Path, n: int, length: int, kind: str) -> None:
    """With one seqlet, or none of a sign, or identical windows, TF-MoDISco fails internally."""
    random = np.random.default_rng(n)
    onehot = np.eye(4, dtype=np.int8)[random.integers(0, 4, (n, length))].transpose(0, 2, 1)
    hypothetical = random.normal(size=(n, 4, length)).astype(np.float32)
    if kind == "positive":
        hypothetical = np.abs(hypothetical) + 1
    if kind == "steps":
        hypothetical = np.ones_like(hypothetical)
    found = discovered(tmp_path, (onehot, hypothetical), method_of(Motifs(final_min_cluster_size=1)))
    assert all(len(motif.seqlets) >= 1 for motif in found.motifs)
    for seqlets in found.seqlets.strongest.values():
        assert (seqlets["start"] >= 0).all()
        assert (seqlets["start"] + METHOD.seqlet_width <= length).all()


def test_contributions_of_one_sign_still_have_their_motifs(tmp_path: Path) -> None:
    """Without a negative window there is no null for TF-MoDISco's seqlets; the strongest windows serve."""
    onehot, hypothetical, _ = planted(30)
    found = discovered(tmp_path, (onehot, np.maximum(hypothetical, 0) + np.float32(0.2)), FEW)
    assert len(found.seqlets.strongest["pos"]) >= 30
    assert len(found.motifs) >= 1


def test_sequences_shorter_than_a_seqlet_are_said_to_be(tmp_path: Path) -> None:
    onehot = np.eye(4, dtype=np.int8)[np.zeros((5, 20), int)].transpose(0, 2, 1)
    inputs = write_inputs(tmp_path, onehot, np.ones((5, 4, 20), np.float32))
    with pytest.warns(GenoliftWarning, match="4 of 5 sequences are copies of others"):
        summary = find_motifs(Motifs(database="jaspar:fungi"), **inputs, out=tmp_path)
    assert_empty(tmp_path, summary)
    assert summary.note == (
        "No motif was looked for in 5 sequences of 20 bases: a seqlet has 30 (motifs.sliding_window_size 20, "
        "motifs.flank_size 5)."
    )


def test_contributions_that_are_all_zero_are_said_to_be(tmp_path: Path) -> None:
    onehot, hypothetical, _ = planted(5)
    inputs = write_inputs(tmp_path, onehot, np.zeros_like(hypothetical))
    summary = find_motifs(Motifs(database="jaspar:fungi"), **inputs, out=tmp_path)
    assert_empty(tmp_path, summary)
    assert summary.note == "No motif was looked for: every contribution is 0."


def test_contributions_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    onehot, hypothetical, _ = planted(5)
    hypothetical[3, 0, 7] = np.nan
    inputs = write_inputs(tmp_path, onehot, hypothetical)
    with pytest.raises(
        InputError, match=r"contributions\.h5, shap/seq, key 4: contributions of peak 4 are not finite"
    ):
        find_motifs(Motifs(), **inputs, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_two_runs_are_refused(tmp_path: Path) -> None:
    first = write_inputs(tmp_path / "one", *planted(5)[:2])
    second = write_inputs(tmp_path / "two", *planted(6)[:2])
    with pytest.raises(
        InputError, match=r"contributions\.h5: has 5 sequences that are not the 6 kept ones of"
    ):
        find_motifs(
            Motifs(), contributions=first["contributions"], sequences=second["sequences"], out=tmp_path
        )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_seqlets", 0, "max_seqlets: 0 is less than 1"),
        ("window", 0, "window: 0 is less than 1"),
        ("database", "jaspar:vertebrate", "did you mean 'jaspar:vertebrates'"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(
    tmp_path: Path, name: str, value: Any, message: str
) -> None:
    nowhere = {"contributions": tmp_path / "none.h5", "sequences": tmp_path / "none.tsv", "out": tmp_path}
    with pytest.raises(InputError, match=message):
        find_motifs(checked(Motifs, {name: value}, "motifs"), **nowhere)


def test_a_cwm_is_trimmed_where_less_than_a_fraction_of_the_largest_is_left() -> None:
    cwm = np.array([[0.1, 0, 1, 0], [0, -0.5, 0, 0], [0, 0, 0, 0.29], [0, 0, 0, 0]])
    assert trim(cwm, 0.3) == (1, 3)
    assert trim(cwm, 0.25) == (1, 4)
    assert trim(cwm, 0.05) == (0, 4)
    assert trim(np.zeros((4, 6)), 0.3) == (0, 6)


def test_a_consensus_is_lower_case_where_no_base_has_half() -> None:
    assert consensus(np.array([[1, 0.4, 0], [0, 0.3, 0.5], [0, 0.2, 0.25], [0, 0.1, 0.25]])) == "AaC"
