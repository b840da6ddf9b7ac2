"""The logos step: what is drawn, which positions the axis shows, and how large the files are."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import made_up
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from genolift.errors import InputError
from genolift.motifs.logos import (
    information_content,
    limits,
    logo_figure,
    reverse_complement,
    style,
    window_coordinates,
)
from genolift.results.step_record import write_record
from genolift.results.store import Head, open_contributions, write_contributions
from genolift.settings.mistakes import checked
from genolift.settings.sections import Logos
from genolift.steps.logos import LogoSummary, draw_logos

N, LENGTH, WIDTH = 6, 120, 30
KINDS = ("cwm", "hcwm", "ppm")
NAMES = {"pos_patterns.pattern_0": ("MA0035.5", "GATA1"), "neg_patterns.pattern_0": ("", "")}


def onehot(letters: str) -> np.ndarray:
    return np.eye(4)[["ACGT".index(letter) for letter in letters]].T


def write_inputs(
    folder: Path, *, chrom: str = "chr22", provenance: dict[str, Any] | None = None
) -> dict[str, Path]:
    """Write the step's inputs; sequence 3 has the strongest stretch, at 50, on the minus strand."""
    random = np.random.default_rng(2)
    folder.mkdir(parents=True, exist_ok=True)
    rows, motifs = [], []
    for name, (accession, factor) in NAMES.items():
        ppm = random.dirichlet([0.4] * 4, WIDTH).T
        sign = 1 if name.startswith("pos") else -1
        hcwm = sign * (ppm - 0.25) * np.exp(-np.square((np.arange(WIDTH) - 15) / 4))
        for kind, matrix in {"ppm": ppm, "cwm": ppm * hcwm, "hcwm": hcwm}.items():
            rows += [(name, kind, position, *column) for position, column in enumerate(matrix.T)]
        motifs.append([name, factor or name, name[:3], 268, 260, 11, 19, "AGATAAGC", accession, factor])
    columns = ["motif", "kind", "position", *"ACGT"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "motif_matrices.tsv", sep="\t", index=False)
    columns = [*("motif", "name", "sign", "n_seqlets", "n_hits", "trim_start", "trim_end", "consensus")]
    frame = pd.DataFrame(motifs, columns=[*columns, "match1", "match1_name"])
    frame.to_csv(folder / "motifs.tsv", sep="\t", index=False)
    letters = np.eye(4, dtype=np.int8)[random.integers(0, 4, (N, LENGTH))].transpose(0, 2, 1)
    scores = random.normal(0, 0.02, (N, LENGTH)).astype(np.float32)
    for row in range(N):
        scores[row, 50:60] += (0.1, 0.2, 0.3, -0.9, 0.4, 0.5)[row]
    block = made_up.rows(
        letters, letters * scores[:, None], np.arange(N) * 2, [f"peak_{row}" for row in range(N)]
    )
    sizes: dict[str, Any] = {
        "n": N,
        "length": LENGTH,
        "r": 2,
        "provenance": provenance or {},
        "chromosomes": {},
    }
    write_contributions(folder / "contributions.h5", Head(**sizes), iter([block]))
    table = pd.DataFrame({"key": np.arange(N) * 2, "id": [f"peak_{row}" for row in range(N)], "chrom": chrom})
    table["start"] = 16_000_000 + 1000 * np.arange(N) if chrom else ""
    table["end"] = 16_000_000 + 1000 * np.arange(N) + LENGTH if chrom else ""
    table["strand"] = np.where(np.arange(N) == 3, "-", "+") if chrom else "."
    table.to_csv(folder / "per_sequence.tsv", sep="\t", index=False)
    write_records(folder)
    return {
        "matrices": folder / "motif_matrices.tsv",
        "motifs": folder / "motifs.tsv",
        "contributions": folder / "contributions.h5",
        "per_sequence": folder / "per_sequence.tsv",
    }


def write_records(folder: Path) -> None:
    """Record that the tables are as the earlier steps wrote them."""
    with open_contributions(folder / "contributions.h5") as store:
        made_from = {"contributions.h5": store.digest}
    for step, names in (
        ("motifs", ("motifs.tsv", "motif_matrices.tsv")),
        ("aggregate", ("per_sequence.tsv",)),
    ):
        write_record(folder / f"{step}.json", step, made_from, {name: folder / name for name in names})


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LogoSummary, float]:
    folder = tmp_path_factory.mktemp("logos")
    write_inputs(folder)
    draw_logos(Logos(number=1), results=folder, out=folder / "first")  # fonts are searched for once
    before, settings = time.process_time(), dict(mpl.rcParams)
    summary = draw_logos(Logos(number=3), results=folder, out=folder / "logos", window=60)
    seconds = time.process_time() - before
    assert dict(mpl.rcParams) == settings
    return folder / "logos", summary, seconds


def index_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "index.tsv", sep="\t", keep_default_na=False, dtype=str)


def test_every_motif_is_drawn_as_three_matrices_in_both_orientations(drawn: tuple) -> None:
    folder, summary, _ = drawn
    index = index_of(folder)
    assert list(index.columns) == ["kind", "name", "orientation", "matrix", "png", "svg", "focus"]
    motifs = index[index["kind"] == "motif"]
    expected = {(name, way, kind) for name in NAMES for way in ("forward", "reverse") for kind in KINDS}
    assert set(motifs[["name", "orientation", "matrix"]].itertuples(index=False, name=None)) == expected
    assert summary == LogoSummary(n_motifs=2, n_sequences=3, n_pictures=len(index))


@pytest.mark.parametrize(("alphabet", "letters"), [("UGCA", "ACGU"), ("TGCA", "ACGT"), (None, "ACGT")])
def test_logos_of_a_model_of_rna_show_u(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alphabet: str | None, letters: str
) -> None:
    write_inputs(tmp_path, provenance={"model_alphabet": alphabet} if alphabet else {})
    drawn: list[pd.DataFrame] = []

    def figure(frame: pd.DataFrame, **labels: Any) -> Any:
        drawn.append(frame)
        return logo_figure(frame, **labels)

    monkeypatch.setattr("genolift.steps.logos.logo_figure", figure)
    draw_logos(Logos(number=1), results=tmp_path, out=tmp_path / "logos")
    assert len(drawn) == 2 * 6 + 1
    assert {"".join(frame.columns) for frame in drawn} == {letters}


def test_the_strongest_sequences_are_drawn_in_order_by_absolute_contribution(drawn: tuple) -> None:
    folder, _, _ = drawn
    index = index_of(folder)
    sequences = index[index["kind"] == "sequence"]
    assert sequences["name"].tolist() == ["6", "10", "8"]
    assert sequences["focus"].astype(float).between(0, 1).all()
    assert (index.loc[index["kind"] == "motif", "focus"] == "").all()


def test_the_index_names_every_file_and_each_is_whole(drawn: tuple) -> None:
    folder, _, _ = drawn
    index = index_of(folder)
    named = {*index["png"], *index["svg"], "index.tsv", "logos.json", ".genolift"}
    assert {path.name for path in folder.iterdir()} == named
    assert all((folder / png).read_bytes().startswith(b"\x89PNG\r\n") for png in index["png"])
    for svg in index["svg"]:
        root = ElementTree.parse(folder / svg).getroot()
        assert root.tag.endswith("svg")
        assert "<text" not in (folder / svg).read_text()  # letters are paths: no font is needed to see them


def test_pictures_are_small_and_quick(drawn: tuple) -> None:
    folder, summary, seconds = drawn
    assert max(path.stat().st_size for path in folder.glob("*.svg")) < 150_000
    assert max(path.stat().st_size for path in folder.glob("*.png")) < 150_000
    assert seconds / summary.n_pictures < 1.0  # 0.3 s on one core of an idle machine


def test_pictures_are_the_same_bytes_when_drawn_again(drawn: tuple, tmp_path: Path) -> None:
    folder, _, _ = drawn
    write_inputs(tmp_path)
    draw_logos(Logos(number=1), results=tmp_path, out=tmp_path / "logos", window=60)
    for path in (tmp_path / "logos").iterdir():
        assert path.suffix not in (".png", ".svg") or path.read_bytes() == (folder / path.name).read_bytes()


def test_both_orientations_have_the_same_limits_and_mirrored_coordinates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[pd.DataFrame, dict[str, Any]]] = []
    monkeypatch.setattr(
        "genolift.steps.logos.logo_figure",
        lambda frame, **keywords: seen.append((frame, keywords)) or plt.Figure((1, 1)),
    )
    write_inputs(tmp_path)
    draw_logos(Logos(number=1), results=tmp_path, out=tmp_path / "logos", window=60)
    assert len(seen) == 13
    for (forward, first), (reverse, second) in zip(seen[:12:2], seen[1:12:2], strict=True):
        assert first["y_limits"] == second["y_limits"]
        assert forward.index.tolist() == reverse.index.tolist()[::-1] == list(range(10, 22))
        np.testing.assert_array_equal(forward.to_numpy(), reverse.to_numpy()[::-1, ::-1])
        assert "268 seqlets" in first["subtitle"]
    assert {keywords["title"] for _, keywords in seen[:6]} == {"GATA1 (MA0035.5)"}
    assert {keywords["title"] for _, keywords in seen[6:12]} == {"neg_patterns.pattern_0"}
    strongest, keywords = seen[12]
    # 50 to 60 in the sequence is on the minus strand of a window that ends at 16,003,120.
    assert np.diff(strongest.index.to_numpy()).tolist() == [-1] * 59
    assert abs(strongest.index.to_numpy().mean() - 16_003_065.5) <= 10
    assert keywords["x_label"] == "position on chr22, along the minus strand"
    assert set(strongest.index[strongest.sum(axis=1) < -0.5]) == set(range(16_003_061, 16_003_071))


def test_coordinates_are_the_genomes_where_they_are_known() -> None:
    place = pd.Series({"chrom": "chr1", "start": "1000", "end": "1100", "strand": "+"})
    positions, label = window_coordinates(place, 10, 13)
    assert (positions.tolist(), label) == ([1011, 1012, 1013], "position on chr1")
    place["strand"] = "-"
    assert window_coordinates(place, 10, 13)[0].tolist() == [1090, 1089, 1088]
    place["chrom"] = ""
    positions, label = window_coordinates(place, 10, 13)
    assert (positions.tolist(), label) == ([11, 12, 13], "base of the sequence, from 1")


def test_no_coordinate_is_cut_off_at_the_edge() -> None:
    """It was the last digit of chr22:16,003,020, two bases from the end."""
    frame = pd.DataFrame(np.ones((100, 4)), index=range(16_003_118, 16_003_018, -1), columns=list("ACGT"))
    with style():
        figure = logo_figure(frame, x_label="position on chr22", inches_per_base=0.095)
        figure.draw_without_rendering()
    (axes,) = figure.axes
    labels = [text for text in axes.get_xticklabels() if text.get_text()]
    assert [text.get_text() for text in labels][-2:] == ["16,003,040", "16,003,030"]
    assert max(text.get_window_extent().x1 for text in labels) <= figure.bbox.x1


def test_sequences_from_fasta_are_drawn_by_position(tmp_path: Path) -> None:
    write_inputs(tmp_path, chrom="")
    summary = draw_logos(Logos(number=99), results=tmp_path, out=tmp_path / "logos", window=500)
    assert summary.n_sequences == N


def test_no_motif_and_no_sequence_leave_an_index_of_only_a_header(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path)
    for name in ("matrices", "motifs"):
        inputs[name].write_text(inputs[name].read_text().splitlines()[0] + "\n")
    write_records(tmp_path)
    assert draw_logos(Logos(number=0), results=tmp_path, out=tmp_path / "logos") == LogoSummary(0, 0, 0)
    assert index_of(tmp_path / "logos").empty


def test_a_figure_has_a_letter_for_each_height_at_its_coordinate() -> None:
    heights = np.zeros((4, 12))
    heights[0, 2], heights[3, 7] = 2.0, -1.0
    with style():
        figure = logo_figure(pd.DataFrame(heights.T, index=range(100, 112), columns=list("ACGT")))
    (axes,) = figure.axes
    boxes = [patch.get_path().get_extents() for patch in axes.patches if patch.get_path().vertices.size > 10]
    drawn_letters = [box for box in boxes if box.height > 0.5]
    (up,) = [box for box in drawn_letters if box.y0 >= 0]
    (down,) = [box for box in drawn_letters if box.y1 <= 0]
    assert 1.5 < up.x0 < 2 < up.x1 < 2.5
    assert 6.5 < down.x0 < 7 < down.x1 < 7.5
    assert up.height == pytest.approx(2, rel=0.05)
    labels = dict(zip(axes.get_xticks(), (text.get_text() for text in axes.get_xticklabels()), strict=True))
    assert labels[2] == "102"
    assert not plt.get_fignums()


@pytest.mark.parametrize("height", [0.0, 1e-30])
def test_a_logo_of_nothing_is_drawn(height: float) -> None:
    figure = logo_figure(pd.DataFrame(np.full((5, 4), height), columns=list("ACGT")))
    low, high = figure.axes[0].get_ylim()
    assert low < high


def test_a_title_with_dollar_signs_is_not_mathematics(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.eye(4), columns=list("ACGT"))
    logo_figure(frame, title="$\\frac{$", subtitle="50 % $x_").savefig(tmp_path / "logo.png")
    assert (tmp_path / "logo.png").stat().st_size > 0


def test_information_is_two_bits_for_one_base_and_none_for_all_four() -> None:
    ppm = np.array([[1, 0.25, 0.5], [0, 0.25, 0.5], [0, 0.25, 0], [0, 0.25, 0]])
    np.testing.assert_allclose(information_content(ppm), [[2, 0, 0.5], [0, 0, 0.5], [0, 0, 0], [0, 0, 0]])


def test_a_reverse_complement_is_its_own_inverse() -> None:
    np.testing.assert_array_equal(reverse_complement(onehot("AGATAAG")), onehot("CTTATCT"))
    matrix = np.arange(12).reshape(4, 3)
    np.testing.assert_array_equal(reverse_complement(reverse_complement(matrix)), matrix)


def test_limits_hold_the_highest_and_the_lowest_stack() -> None:
    low, high = limits([np.array([[1, 0], [2, 0], [-1, -0.5], [0, 0]])])
    assert low < -1
    assert high > 3
    assert limits([np.array([[1.0], [0], [0], [0]])])[0] == 0
    assert limits([np.zeros((4, 3))]) == (-1, 1)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda inputs: inputs["motifs"].unlink(), r"motifs\.tsv: no such file"),
        (
            lambda inputs: inputs["motifs"].write_text("motif\tsign\n"),
            r"motifs\.tsv: .*it has no column 'name'",
        ),
        (
            lambda inputs: inputs["matrices"].write_text("motif\tkind\tposition\tA\tC\tG\tT\n"),
            "has no cwm of pos_",
        ),
        (
            lambda inputs: inputs["per_sequence"].write_text(
                "".join(inputs["per_sequence"].read_text().splitlines(keepends=True)[:-1])
            ),
            r"per_sequence\.tsv: has 5 sequences that are not the 6 of",
        ),
        (lambda inputs: inputs["contributions"].write_text("nothing"), "is not a file of contributions"),
    ],
)
def test_wrong_files_are_refused_and_nothing_is_left(tmp_path: Path, break_it: Any, message: str) -> None:
    inputs = write_inputs(tmp_path / "in")
    break_it(inputs)
    if "sequences" in message or "has no" in message:
        with pytest.raises(InputError, match=r"is not the file that genolift \w+ wrote with"):
            draw_logos(Logos(), results=tmp_path / "in", out=tmp_path / "out" / "logos")
        write_records(tmp_path / "in")
    with pytest.raises(InputError, match=message):
        draw_logos(Logos(), results=tmp_path / "in", out=tmp_path / "out" / "logos")
    assert not list(tmp_path.glob("out/*"))


def test_a_number_out_of_range_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"logos\.number: -1 is less than 0"):
        checked(Logos, {"number": -1}, "logos")
