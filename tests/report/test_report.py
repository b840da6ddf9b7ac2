"""The report: one page, true to the folder, escaped, that loads nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from made_up_results import (
    LENGTH,
    NASTY,
    PROVENANCE,
    N,
    make_results,
    rewrite,
    tell,
    write_records,
    write_table,
)

from genolift.errors import InputError
from genolift.motifs.method import method_of
from genolift.report import figures, words
from genolift.report.images import Logos
from genolift.report.motif_section import motif_views
from genolift.report.results import read_results
from genolift.report.sequence_section import top_sequences
from genolift.settings.motifs import Motifs
from genolift.steps.report import write_report


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("windows") / "results")


@pytest.fixture(scope="module")
def without_motifs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("fasta") / "results", windows=False, motifs=False)


@pytest.fixture
def own(results: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a test may damage."""
    return Path(shutil.copytree(results, tmp_path / "own"))


def report(results: Path, out: Path, **options: Any) -> str:
    write_report(results=results, out=out, title="Peaks", **options)
    return out.read_text(encoding="utf-8")


def words_of(page: str) -> str:
    """Return the page's text as a reader sees it."""
    body = re.sub(r"<(script|style)>.*?</\1>", " ", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_page_shows_what_the_steps_warned_of_once(own: Path, tmp_path: Path) -> None:
    said = ["x.fa: 1 of 3 records dropped <by length>", "1 of 2 sequences equal all their shuffles"]
    for name, texts in (("contributions.h5", said), ("motifs.h5", [*said, "no motif has a name"])):
        with h5py.File(own / name, "r+") as file:
            file.attrs["warnings"] = json.dumps(texts)
    write_records(own)
    text = words_of(report(own, tmp_path / "report.html"))
    heading = text.index("Warnings of the steps")
    for each in ("1 of 3 records dropped &lt;by length&gt;", said[1], "no motif has a name"):
        assert text.count(each) == 1
        assert text.index(each) > heading
    assert "Warnings of the steps" not in words_of(report(make_plain(own), tmp_path / "report.html"))


def make_plain(results: Path) -> Path:
    for name in ("contributions.h5", "motifs.h5"):
        with h5py.File(results / name, "r+") as file:
            del file.attrs["warnings"]
    write_records(results)
    return results


def test_the_page_says_what_was_run_and_what_was_found(results: Path, tmp_path: Path) -> None:
    text = words_of(report(results, tmp_path / "report.html"))
    assert "40 sequences of 200 bp, as read by the model demo.pt2 (target GATA1)" in text
    assert "each against 20 dinucleotide-shuffled references" in text
    assert "TF-MoDISco found 2 motifs: GATA1 and TAL1." in text
    assert PROVENANCE["model_sha256"] in text
    assert "JASPAR2026 CORE vertebrates" in text
    assert "41 records read, 40 kept, 1 dropped" in text
    assert "has 150 bases, not 200" in text


def test_the_summary_counts_what_is_in_the_page(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    summary = write_report(results=results, out=out, title="Peaks")
    assert (summary.n_sequences, summary.n_motifs, summary.n_top_sequences) == (N, 2, 2)
    assert summary.n_bytes == out.stat().st_size < 15e6
    assert out.read_text().count('class="sequence-entry"') == 2


def test_every_logo_that_was_drawn_is_in_the_page_or_linked(own: Path, tmp_path: Path) -> None:
    """As many sequences as logos.number says: the strongest with their pictures, others with their files."""
    index = pd.read_csv(own / "logos" / "index.tsv", sep="\t", dtype=str, keep_default_na=False)
    keys = pd.read_csv(own / "per_sequence.tsv", sep="\t", dtype=str)["key"][:35]
    reverse = index[(index["kind"] == "motif") & (index["matrix"] == "ppm")].assign(orientation="reverse")
    sequences = pd.concat([index[index["kind"] == "sequence"].head(1)] * 35).assign(name=keys.to_numpy())
    for key in keys:
        shutil.copy(own / "logos" / sequences["svg"].iloc[0], own / "logos" / f"copy_{key}.svg")
    sequences["svg"] = [f"copy_{key}.svg" for key in keys]
    motifs = index[index["kind"] == "motif"]
    write_table(own / "logos" / "index.tsv", pd.concat([motifs, reverse, sequences]))
    write_records(own)
    page = report(own, own / "report.html")
    assert page.count('class="sequence-entry"') == 35
    assert page.count("data:image/svg") == 8 + 30
    for key in keys[30:]:
        assert f'<a href="logos/copy_{key}.svg">' in page
    assert page.count("Frequencies, reverse complement:") == 2
    elsewhere = report(own, tmp_path / "elsewhere" / "report.html")
    assert '<a href="logos/' not in elsewhere
    assert f"Its logo: logos/copy_{keys[34]}.svg" in " ".join(words_of(elsewhere).split())


def test_places_count_from_1_on_the_genome_and_in_the_window(results: Path, without_motifs: Path) -> None:
    read = read_results(results)
    shown = {each["id"]: each for each in top_sequences(read, Logos(results / "logos", read.logos))}
    for _, row in read.strongest.iterrows():
        if row["id"] not in shown:
            continue
        first, last = int(row["start"]) + 1, int(row["end"])
        assert shown[row["id"]]["place"] == f"chr22:{first:,}-{last:,}"
        on_genome = range(first, last + 1)[:: -1 if row["strand"] == "-" else 1]
        position = int(row["peak_position"])
        along = " along its minus strand" if row["strand"] == "-" else ""
        height = words.figure(row["peak_contribution"])
        within = f"base {position + 1} of {LENGTH} in the window{along}"
        said = f"{row['peak_base']} ({height}) at chr22:{on_genome[position]:,}, {within}"
        assert shown[row["id"]]["peak"] == said
    fasta = read_results(without_motifs)
    first_shown = top_sequences(fasta, Logos(without_motifs / "logos", fasta.logos))[0]
    row = fasta.strongest[fasta.strongest["id"] == first_shown["id"]].iloc[0]
    position = int(row["peak_position"]) + 1
    assert first_shown["peak"].endswith(f"), base {position} of {LENGTH}")


def test_ids_are_escaped_wherever_they_stand(results: Path, without_motifs: Path, tmp_path: Path) -> None:
    for folder in (results, without_motifs):
        page = report(folder, tmp_path / "report.html", provenance={"command": "<img src=x>"})
        assert NASTY not in page
        assert "&lt;script&gt;alert(&#39;id&#39;)&lt;/script&gt;" in page
        assert "<img src=x>" not in page


def test_nothing_is_loaded_from_elsewhere(results: Path, tmp_path: Path) -> None:
    page = report(results, tmp_path / "report.html")
    sources = re.findall(r'(?:src|srcset|poster)="([^"]*)"', page)
    assert len(sources) == 10
    assert all(source.startswith("data:image/") for source in sources)
    assert re.findall(r"<link[^>]*>", page) == ['<link rel="icon" href="data:,">']
    assert "url(" not in page
    assert "@import" not in page


def test_every_picture_says_what_it_shows_and_ids_are_unique(results: Path, tmp_path: Path) -> None:
    page = report(results, tmp_path / "report.html")
    assert re.findall(r"<img(?![^>]*alt=\"[^\"]+\")[^>]*>", page) == []
    assert re.findall(r"<svg(?![^>]*aria-label=\"[^\"]+\")[^>]*>", page) == []
    assert re.findall(r"<th(?![^>]*scope=)[ >][^>]*", page) == []
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_quality_is_read_against_the_tolerance(results: Path, tmp_path: Path) -> None:
    text = words_of(report(results, tmp_path / "report.html"))
    assert re.search(
        r"Largest relative error \d.* tolerance 0\.001: all 800 sequence-reference pairs pass", text
    )
    strict = words_of(report(results, tmp_path / "strict.html", provenance={"tolerance": 1e-12}))
    assert "40 sequences of 40 exceed it" in strict
    unknown = words_of(report(results, tmp_path / "unknown.html", provenance={"tolerance": None}))
    assert "no tolerance is recorded" in unknown


def test_positive_and_negative_motifs_are_told_apart(results: Path, tmp_path: Path) -> None:
    page = report(results, tmp_path / "report.html")
    headings = [words_of(found) for found in re.findall(r"<h3 id=.*?</h3>", page)]
    assert headings == ["1 GATA1 positive", "2 TAL1 negative"]
    views = motif_views(read := read_results(results), Logos(results / "logos", read.logos))
    assert views[0]["contribution"] > 0 > views[1]["contribution"]


def test_a_motif_is_not_named_by_a_match_that_is_not_significant(own: Path, tmp_path: Path) -> None:
    motifs = pd.read_csv(own / "motifs.tsv", sep="\t", dtype=str, keep_default_na=False)
    motifs.loc[1, ["match1_qvalue", "name"]] = ["0.4", "neg_patterns.pattern_0"]
    write_table(own / "motifs.tsv", motifs)
    write_records(own)
    text = words_of(report(own, tmp_path / "report.html"))
    assert "TF-MoDISco found 2 motifs: GATA1 and 1 without a known match." in text
    assert "2 neg_patterns.pattern_0 negative" in text
    assert "The best q-value is above 0.05" in text


def test_the_page_names_the_settings_of_the_motifs_and_the_tools_own(own: Path, tmp_path: Path) -> None:
    asked = {"preset": "published", "nearest_neighbors_to_compute": 1234, "window": 300}
    for keys, sentence in (
        (
            asked,
            "Other than in the commands of TF-MoDISco and Fi-NeMo: window 300 (400), "
            "nearest_neighbors_to_compute 1,234 (500).",
        ),
        ({"preset": "published"}, "All are those of the commands of TF-MoDISco and Fi-NeMo."),
    ):
        with h5py.File(own / "motifs.h5", "a") as file:
            told = json.loads(file.attrs["provenance"]) | method_of(Motifs(**keys)).provenance
            file.attrs["provenance"] = json.dumps(told)
        write_records(own)
        text = words_of(report(own, tmp_path / "report.html"))
        assert f"How motifs were looked for: the preset published. {sentence}" in text
        assert "target_seqlet_fdr 0.05 0.05 false discovery rate of seqlets" in text
    assert "nearest_neighbors_to_compute 500 500 nearest seqlets" in text


def test_all_matches_of_a_motif_are_shown(own: Path, tmp_path: Path) -> None:
    motifs = pd.read_csv(own / "motifs.tsv", sep="\t", dtype=str, keep_default_na=False)
    for end, value in {
        "": "MA0009.1",
        "_name": "FOURTH",
        "_qvalue": "0.9",
        "_pvalue": "1",
        "_strand": "+",
    }.items():
        motifs[f"match4{end}"] = ["", value]
    motifs["match3"], motifs["match3_name"], motifs["match3_qvalue"] = "MA0008.1", "THIRD", "0.8"
    write_table(own / "motifs.tsv", motifs)
    write_records(own)
    assert words_of(report(own, tmp_path / "report.html")).count("FOURTH MA0009.1 0.9") == 1


def test_hits_are_placed_along_the_window_as_the_model_read_it(results: Path, tmp_path: Path) -> None:
    hits = read_results(results).hits
    seqlets = read_results(results).seqlets
    assert (
        hits["strand"] == "+"
    ).all()  # a site read forward in a window on the minus strand is on the minus strand
    np.testing.assert_array_equal(hits["center"], seqlets["start"] + 5)
    fasta = make_results(tmp_path / "fasta", windows=False)
    np.testing.assert_array_equal(
        read_results(fasta).hits["center"], read_results(fasta).seqlets["start"] + 5
    )


def test_without_motifs_the_page_says_so_and_shows_the_seqlets(without_motifs: Path, tmp_path: Path) -> None:
    text = words_of(report(without_motifs, tmp_path / "report.html"))
    assert "25 seqlets are too few for TF-MoDISco" in text
    assert "20 of 40 seqlets match CTCF best; then 2 match CTCFL." in text
    assert "The 25 strongest seqlets and their best matches" in text


def test_a_key_missing_from_the_provenance_is_no_matter(own: Path, tmp_path: Path) -> None:
    for missing in PROVENANCE:
        whole = (own / "contributions.h5").read_bytes()
        rewrite(own / "contributions.h5", lambda block, told, missing=missing: told.pop(missing))
        write_records(own)
        assert "TF-MoDISco found 2 motifs" in report(own, tmp_path / "report.html"), missing
        (own / "contributions.h5").write_bytes(whole)


def test_a_trusted_pickle_is_named(own: Path, tmp_path: Path) -> None:
    tell(own / "contributions.h5", model_trusted=True)
    write_records(own)
    text = words_of(report(own, tmp_path / "report.html"))
    group = text.split("Model and target")[1].split("References")[0]
    assert "Trusted pickle yes" in group


def test_every_key_of_the_provenance_is_shown(results: Path, tmp_path: Path) -> None:
    given = {"unheard_of": {"deep": "value-1"}, "config": "a: 1\nb: 2", "jaspar_release": "JASPAR2026"}
    text = words_of(report(results, tmp_path / "report.html", provenance=given))
    for value in ("value-1", "a: 1 b: 2", "JASPAR2026", "Unheard of deep", *map(str, PROVENANCE.values())):
        assert value.removeprefix("{'n_filters': ").removesuffix("}") in text, value


def test_values_that_are_not_numbers_do_not_stop_the_page(own: Path, tmp_path: Path) -> None:
    scored = pd.read_csv(own / "per_sequence.tsv", sep="\t", dtype=str, keep_default_na=False)
    scored[["reference_output_sd", "standard_error_mean", "convergence_error_relative_max"]] = ""
    write_table(own / "per_sequence.tsv", scored)
    write_records(own)
    text = words_of(report(own, tmp_path / "report.html"))
    assert "No convergence error is recorded." in text
    assert "nan" not in text.lower().split()


def test_a_folder_without_the_table_of_bases_says_how_to_get_it(own: Path, tmp_path: Path) -> None:
    assert "per-base" not in words_of(report(own, tmp_path / "report.html"))
    (own / "per_base.parquet").unlink()
    text = words_of(report(own, tmp_path / "report.html"))
    assert "per_base.parquet , was not written: genolift per-base prints the bases" in text


@pytest.mark.parametrize(
    "name",
    ["sequences.tsv", "contributions.h5", "per_sequence.tsv", "motifs.tsv", "hits.bed.gz", "logos/index.tsv"],
)
def test_a_missing_or_damaged_file_is_named_and_nothing_is_written(
    own: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "report.html"
    (own / name).write_bytes(b"broken")
    with pytest.raises(InputError, match=re.escape(name)):
        report(own, out)
    (own / name).unlink()
    with pytest.raises(InputError, match=rf"{re.escape(name)}: no such file"):
        report(own, out)
    assert not out.exists()


def test_a_folder_of_two_runs_is_refused(own: Path, tmp_path: Path) -> None:
    scored = pd.read_csv(own / "per_sequence.tsv", sep="\t", dtype=str, keep_default_na=False)
    write_table(own / "per_sequence.tsv", scored.iloc[1:])
    with pytest.raises(InputError, match=r"per_sequence\.tsv: is not the file that genolift aggregate wrote"):
        report(own, tmp_path / "report.html")
    for number, rows in ((39, scored.iloc[1:]), (40, scored[::-1]), (41, pd.concat([scored, scored[:1]]))):
        write_table(own / "per_sequence.tsv", rows)
        write_records(own)
        with pytest.raises(InputError, match=f"has {number} sequences that are not the 40 kept ones of"):
            report(own, tmp_path / "report.html")


def test_a_logo_that_the_index_names_must_be_there(own: Path, tmp_path: Path) -> None:
    next((own / "logos").glob("motif_0.svg")).unlink()
    with pytest.raises(InputError, match=r"motif_0\.svg: no such file"):
        report(own, tmp_path / "report.html")
    write_records(own)
    with pytest.raises(
        InputError, match=r"there is no .*motif_0\.svg, which the index names; run genolift logos again"
    ):
        report(own, tmp_path / "report.html")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (3.14159e-6, "3.14\u202f×\u202f10⁻⁶"),
        (-0.01234, "−0.0123"),
        (12345, "12,300"),
        (float("nan"), "–"),
        (9.999, "10.0"),
    ],
)
def test_numbers_are_written_as_people_write_them(number: float, text: str) -> None:
    assert words.figure(number) == text


@pytest.mark.parametrize("values", [[0.0, 0.0], [1e-6], [5.0, 5.0, np.nan], [-1e9, 1e9], [0.0, 1e-30]])
def test_figures_stand_any_range(values: list[float]) -> None:
    for logarithmic in (False, True):
        if min(values) >= 0 or not logarithmic:
            drawn = figures.histogram(values, description="d", x_label="x", logarithmic=logarithmic)
            assert drawn is not None
            assert "nan" not in drawn
    drawn = figures.scatter(values, values, description="d", x_label="x", y_label="y", diagonal=True)
    assert drawn is not None
    assert "nan" not in drawn


def test_many_points_are_drawn_as_few_marks() -> None:
    points = np.random.default_rng(0).normal(size=(50_000, 2))
    drawn = figures.scatter(points[:, 0], points[:, 1], description="d", x_label="x", y_label="y")
    assert drawn is not None
    assert drawn.count("<rect") < 3000
    assert "<circle" not in drawn


def test_a_large_svg_gives_way_to_its_png(own: Path, tmp_path: Path) -> None:
    assert report(own, tmp_path / "report.html").count("data:image/png") == 0
    drawing = own / "logos" / "motif_0.svg"
    drawing.write_text(drawing.read_text() + "<!--" + "x" * 2_000_000 + "-->")
    write_records(own)
    page = report(own, tmp_path / "report.html")
    assert page.count("data:image/png") == 1
    assert len(page) < 1_000_000


def test_sources_that_were_not_used_are_not_cited(results: Path, tmp_path: Path) -> None:
    used = {"reference_kind": "zeros", "motifs_database": "mine.meme"}
    text = words_of(report(results, tmp_path / "report.html", provenance=used))
    assert "JASPAR" not in text
    assert "compared with known ones of mine.meme by Tomtom [3]" in text
    assert "spanning" not in text
    assert "all-zero references" in text
    text = words_of(report(results, tmp_path / "report.html"))
    assert "of JASPAR2026 CORE vertebrates [6] by Tomtom [3]" in text
    assert "JASPAR 2026: expansion of transcription factor binding profiles" in text
    assert "JASPAR 2024" not in text
    assert "spanning arborescence [5]" in text
