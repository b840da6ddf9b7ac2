"""The motifs step, on contributions with planted sites (found, named, placed) and on too little for any."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from genolift import __version__
from genolift.errors import InputError
from genolift.files.whole import sha256
from genolift.motifs.discovery import discover, trim
from genolift.motifs.meme import read_meme, write_meme
from genolift.motifs.method import method_of
from genolift.motifs.tables import SEQLETS, consensus, motifs_table
from genolift.results.store import Head, write_contributions
from genolift.settings.mistakes import checked
from genolift.settings.motifs import Motifs
from genolift.steps.motifs import MotifSummary, find_motifs

LENGTH = 150
FEW = method_of(Motifs(min_seqlets=10))
SITES = {"gata": "AGATAAG", "ebox": "CCACGTGG"}
COLUMNS = ["motif", "name", "sign", "n_seqlets", "n_hits", "trim_start", "trim_end", "consensus"]
FILES = ["hits.bed.gz", "motif_matrices.tsv", "motifs.h5", "motifs.meme", "motifs.tsv", "motifs_cwm.meme"]
FILES.append("seqlets.tsv")


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
    folder.mkdir(parents=True, exist_ok=True)
    n, _, length = onehot.shape
    keys = np.array([0, *range(2, n + 1)])
    ids = np.array([f"peak {key}" for key in keys], object)
    zeros = np.zeros((n, 2), np.float32)
    block = {
        "raw/seq": onehot,
        "shap/seq": hypothetical,
        "projected_shap/seq": onehot * hypothetical,
        "genolift/key": keys,
        "genolift/id": ids,
        "genolift/output": zeros[:, 0],
        "genolift/reference_output": zeros,
        "genolift/convergence_error": zeros,
        "genolift/standard_error": np.zeros((n, length), np.float32),
        "genolift/sequence_digest": np.zeros((n, 16), np.uint8),
        "genolift/reference_digest": np.zeros((n, 16), np.uint8),
    }
    key = np.arange(n + 1)
    table = pd.DataFrame({"key": key, "id": [f"peak {one}" for one in key]})
    table["chrom"] = "chr22" if genomic else ""
    table["start"] = 5000 + 1000 * key if genomic else ""
    table["end"] = 5000 + 1000 * key + length if genomic else ""
    table["strand"] = np.where(key % 3 == 0, "-", "+") if genomic else "."
    table = table.assign(length=length, gc=0.5, n_count=0, kept="true", reason="")
    table.loc[1, ["kept", "reason"]] = ["false", "over a chromosome's end"]
    table.to_csv(folder / "sequences.tsv", sep="\t", index=False)
    told = {"sequences_table_sha256": sha256(folder / "sequences.tsv")}
    sizes: dict[str, Any] = {"n": n, "length": length, "r": 2, "provenance": told, "chromosomes": {}}
    write_contributions(folder / "contributions.h5", Head(**sizes), iter([block]))
    return {"contributions": folder / "contributions.h5", "sequences": folder / "sequences.tsv"}


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", keep_default_na=False)


def read_hits(path: Path) -> pd.DataFrame:
    columns = ["chrom", "start", "end", "name", "score", "strand", "motif", "similarity", "key"]
    with gzip.open(path, "rt") as file:
        return pd.DataFrame([line.rstrip("\n").split("\t") for line in file], columns=columns)


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


def test_motifs_do_not_depend_on_threads() -> None:
    onehot, hypothetical, _ = planted(30)
    one, two = (discover(onehot, hypothetical, FEW, threads=threads) for threads in (1, 2))
    assert len(one.motifs) == 2
    for first, second in zip(one.motifs, two.motifs, strict=True):
        assert first.name == second.name
        assert [str(seqlet) for seqlet in first.seqlets] == [str(seqlet) for seqlet in second.seqlets]
        np.testing.assert_array_equal(first.matrices["cwm"], second.matrices["cwm"])


def test_of_more_seqlets_than_wanted_the_strongest_are_taken() -> None:
    onehot, hypothetical, _ = planted(30)
    every, some = (
        discover(onehot, hypothetical, method_of(Motifs(min_seqlets=10, max_seqlets=most))).seqlets["pos"]
        for most in (2000, 15)
    )

    def strength(seqlet: Any) -> float:
        return float(seqlet.contrib_scores[5:-5].sum(dtype=np.float64))

    strongest = sorted(every, key=strength, reverse=True)[:15]
    assert [str(seqlet) for seqlet in some] == [str(seqlet) for seqlet in every if seqlet in strongest]


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
    summary = find_motifs(Motifs(database=database, min_seqlets=10), **inputs, out=tmp_path)
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
def test_noise_of_any_size_is_never_a_crash(n: int, length: int, kind: str) -> None:
    """With one seqlet, or none of a sign, or identical windows, TF-MoDISco fails internally."""
    random = np.random.default_rng(n)
    onehot = np.eye(4, dtype=np.int8)[random.integers(0, 4, (n, length))].transpose(0, 2, 1)
    hypothetical = random.normal(size=(n, 4, length)).astype(np.float32)
    if kind == "positive":
        hypothetical = np.abs(hypothetical) + 1
    if kind == "steps":
        hypothetical = np.ones_like(hypothetical)
    found = discover(onehot, hypothetical, method_of(Motifs(min_seqlets=1)))
    assert all(len(motif.seqlets) >= 1 for motif in found.motifs)
    for seqlet in [*found.seqlets["pos"], *found.seqlets["neg"]]:
        assert 0 <= seqlet.start < seqlet.end <= length


def test_contributions_of_one_sign_still_have_their_motifs() -> None:
    """Without a negative window there is no null for TF-MoDISco's seqlets; the strongest windows serve."""
    onehot, hypothetical, _ = planted(30)
    found = discover(onehot, np.maximum(hypothetical, 0) + np.float32(0.2), FEW)
    assert len(found.seqlets["pos"]) >= 30
    assert len(found.motifs) >= 1


def test_sequences_shorter_than_a_seqlet_are_said_to_be(tmp_path: Path) -> None:
    onehot = np.eye(4, dtype=np.int8)[np.zeros((5, 20), int)].transpose(0, 2, 1)
    inputs = write_inputs(tmp_path, onehot, np.ones((5, 4, 20), np.float32))
    summary = find_motifs(Motifs(database="jaspar:fungi"), **inputs, out=tmp_path)
    assert_empty(tmp_path, summary)
    assert summary.note == (
        "No motif was looked for in 5 sequences of 20 bases: a seqlet has 30 (motifs.seqlet_core 20, "
        "motifs.seqlet_flank 5)."
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
        InputError, match=r"key 4: contributions of 1 of 5 sequences are not finite, peak 4 first"
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
