"""The comparison of methods: its tables against plain counts, its figure, its refusals and its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch
from run_steps import Study, study

import genolift
from genolift.compare.figure import comparison_figure
from genolift.compare.methods import METHODS, CompareSummary, agreement_table, compare
from genolift.compare.truth import Instances, find, precision_at_true, read_instances
from genolift.errors import InputError
from genolift.models import ModelSpec
from genolift.settings.mistakes import checked
from genolift.settings.of_commands import Comparison, Method

COLUMNS = ["method", "seconds", "seconds_per_sequence", "cost", "convergence_error_relative_max"]
FOUND = ["average_precision", "precision_at_true", "instance_share_not_positive"]
FOUND += ["instance_mean_score", "other_instance_mean_score"]
QUICK = ("rescale", "gradient-x-input", "in-silico-mutagenesis")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = study(tmp_path_factory.mktemp("study"), n=6)
    rows = ["id\tmotif\tstart\tend", *(f"s{i}\t{'XY'[i % 2]}\t{5 * i}\t{5 * i + 8}" for i in range(6))]
    (made.folder / "truth.tsv").write_text("\n".join(rows) + "\n")
    return made


def run(made: Study, out: Path, **changed: Any) -> CompareSummary:
    files = {name: made.folder / f"{name}.h5" for name in ("sequences", "references")}
    files |= {name: changed.pop(name) for name in files.keys() & changed.keys()}
    settings = made.settings(changed)
    return compare(settings, checked(Comparison, changed), **files, out=out)


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", keep_default_na=False)


# End to end ------------------------------------------------------------------------------------------------


def test_every_method_has_its_row_its_agreements_and_its_place_in_the_figure(
    made: Study, tmp_path: Path
) -> None:
    summary = run(made, tmp_path / "compared", number=4, steps=5, truth=made.folder / "truth.tsv")
    assert (summary.n_sequences, summary.n_methods, summary.n_refused) == (4, 11, 0)
    table = read(tmp_path / "compared" / "methods.tsv")
    assert list(table.columns) == [*COLUMNS, *FOUND, "note"]
    assert list(table["method"]) == list(METHODS)
    assert (table["seconds"] > 0).all()
    np.testing.assert_allclose(table["seconds_per_sequence"], table["seconds"] / 4, rtol=1e-5)
    assert table.set_index("method")["cost"]["gradient-x-input"] == 1
    promised = table[table["convergence_error_relative_max"] != ""]
    assert list(promised["method"]) == list(METHODS)[:4]
    assert (promised["convergence_error_relative_max"].astype(float)[:3] < 1e-4).all()
    agreement = read(tmp_path / "compared" / "agreement.tsv")
    assert list(agreement.columns) == ["method1", "method2", "pearson", "spearman"]
    assert len(agreement) == 11 * 10 / 2
    svg = (tmp_path / "compared" / "compare.svg").read_text()
    assert svg.startswith("<?xml")
    assert (tmp_path / "compared" / "compare.png").read_bytes()[:4] == b"\x89PNG"
    about = json.loads((tmp_path / "compared" / "comparison.json").read_text())
    assert (about["reference_kind"], about["reference_number"]) == ("dinucleotide_shuffle", 3)
    assert about["true_base_share"] == round(8 / 60, 6)


def test_every_method_that_settings_name_can_be_run() -> None:
    assert list(METHODS) == list(get_args(Method))


def test_the_figures_of_the_table_are_those_of_the_scores(made: Study, tmp_path: Path) -> None:
    run(
        made,
        tmp_path / "c",
        methods=QUICK,
        truth=made.folder / "truth.tsv",
        truth_motifs=["X"],
        target="second",
    )
    table = read(tmp_path / "c" / "methods.tsv").set_index("method")
    model = genolift.load_model(made.model)
    onehot, references = stored(made)
    scores = {
        "rescale": genolift.deeplift(model, onehot, references, rule="rescale", target=1, device="cpu"),
        "gradient-x-input": genolift.gradient_times_input(model, onehot, target=1, device="cpu"),
        "in-silico-mutagenesis": genolift.in_silico_mutagenesis(model, onehot, target=1, device="cpu"),
    }
    per_base = {name: result.contributions.sum(1).numpy() for name, result in scores.items()}
    for name, values in per_base.items():
        sums = [values[i, 5 * i : 5 * i + 8].sum() for i in range(6)]
        assert float(table["instance_mean_score"][name]) == pytest.approx(np.mean(sums[::2]), rel=1e-4)
        assert float(table["other_instance_mean_score"][name]) == pytest.approx(np.mean(sums[1::2]), rel=1e-4)
        share = np.mean([total <= 0 for total in sums[::2]])
        assert float(table["instance_share_not_positive"][name]) == pytest.approx(share)
    pair = read(tmp_path / "c" / "agreement.tsv").iloc[0]
    correlations = [
        np.corrcoef(per_base["rescale"][i], per_base["gradient-x-input"][i])[0, 1] for i in range(6)
    ]
    assert float(pair["pearson"]) == pytest.approx(np.mean(correlations), abs=1e-5)


def stored(made: Study) -> tuple[torch.Tensor, torch.Tensor]:
    from genolift.data.alphabet import onehot_of_codes
    from genolift.data.stored_sequences import read_sequences
    from genolift.references.store import open_references

    codes = read_sequences(made.folder / "sequences.h5").codes
    with open_references(made.folder / "references.h5") as references:
        return torch.from_numpy(onehot_of_codes(codes)).float(), torch.from_numpy(references.onehot(0, 6))


def test_without_truth_there_are_no_columns_of_it(made: Study, tmp_path: Path) -> None:
    run(made, tmp_path / "c", methods=("in-silico-mutagenesis",), number=2)
    table = read(tmp_path / "c" / "methods.tsv")
    assert list(table.columns) == [*COLUMNS, "note"]
    assert table["cost"][0] == ""  # there is no gradient x input to compare with


SORTING = """
import torch
from torch import nn


class Sorting(nn.Module):
    input_length = 60

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 3, 5), nn.Linear(3, 1)

    def forward(self, x):
        return self.out(torch.relu(self.conv(x)).sort(2)[0][:, :, -3:].mean(2))
"""


def test_a_method_that_refuses_the_model_says_why_and_the_others_go_on(made: Study, tmp_path: Path) -> None:
    (tmp_path / "sorting.py").write_text(SORTING)
    spec = ModelSpec(path=str(tmp_path / "sorting.pt"), class_name=f"{tmp_path}/sorting.py:Sorting")
    torch.save(sorting(spec).state_dict(), spec.path)
    summary = run(made, tmp_path / "c", model=spec, methods=QUICK, truth=made.folder / "truth.tsv")
    assert (summary.n_methods, summary.n_refused) == (3, 2)
    table = read(tmp_path / "c" / "methods.tsv").set_index("method")
    assert "sort" in table["note"]["rescale"]
    assert (table.loc["rescale", [*COLUMNS[1:], *FOUND]] == "").all()
    assert table["note"]["in-silico-mutagenesis"] == ""
    assert table["average_precision"]["in-silico-mutagenesis"] != ""
    with pytest.raises(genolift.UnsupportedOperation, match="sort"):
        run(made, tmp_path / "d", model=spec, methods=QUICK[:2])
    assert not (tmp_path / "d").exists()


def sorting(spec: ModelSpec) -> torch.nn.Module:
    from genolift.models import make_module

    assert spec.class_name is not None
    return make_module(spec.class_name, {})


def test_an_earlier_comparison_is_replaced_but_nothing_else(made: Study, tmp_path: Path) -> None:
    out = tmp_path / "c"
    run(made, out, methods=QUICK[:1], number=1)
    run(made, out, methods=QUICK[1:2], number=1)
    assert list(read(out / "methods.tsv")["method"]) == ["gradient-x-input"]
    (out / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match=r"holds 'mine\.txt', which genolift compare did not write"):
        run(made, out, methods=QUICK[:1], number=1)
    assert (out / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"methods": ("rescaled",)},
            "methods[0]: \"rescaled\" is not a choice; did you mean 'rescale'? It is one of genomics-",
        ),
        ({"methods": ()}, "methods: is empty; give "),
        (
            {"truth_motifs": ("X",)},
            "truth_motifs: there is no table of positions; give the table of positions too, --truth",
        ),
        ({"target": "third"}, "target: there is no target 'third'; choose one of first, second"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    made: Study, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as mistake:
        run(made, tmp_path / "c", **changed)
    assert str(mistake.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_references_of_other_sequences_are_refused(made: Study, tmp_path: Path) -> None:
    other = study(tmp_path / "other", n=3)
    with pytest.raises(InputError, match=r"references\.h5: was made for other sequences"):
        run(made, tmp_path / "c", references=other.folder / "references.h5")


# Truth -----------------------------------------------------------------------------------------------------


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    places = np.flatnonzero(truth)
    every = np.ones(len(places), dtype=bool)
    return find(scores[None], Instances(np.zeros_like(places), places, places + 1, every)).average_precision


def test_average_precision_is_that_of_counting_from_the_best_base_down() -> None:
    random = np.random.default_rng(0)
    scores, truth = random.permutation(40).astype(float), random.random(40) < 0.3
    ranked = truth[np.argsort(-scores)]
    precisions = [ranked[: k + 1].mean() for k in range(40) if ranked[k]]
    assert average_precision(scores, truth) == pytest.approx(np.mean(precisions), rel=1e-12)
    assert precision_at_true(scores, truth) == pytest.approx(ranked[: truth.sum()].mean())


def test_bases_of_equal_score_have_no_order_among_them() -> None:
    truth = np.array([True, False, True, False, False, False, False, False])
    scores = np.array([3.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    for turned in (slice(None), slice(None, None, -1)):
        assert average_precision(scores[turned], truth[turned]) == pytest.approx(0.5 * 1 + 0.5 * 2 / 5)
        assert precision_at_true(scores[turned], truth[turned]) == pytest.approx((1 + 1 / 4) / 2)
    assert average_precision(np.zeros(8), truth) == precision_at_true(np.zeros(8), truth) == 0.25


def test_what_is_found_is_told_by_motifs_that_matter_and_others() -> None:
    scores = np.array([[3.0, 2.0, -1.0, 0.0], [0.0, -1.0, 0.0, 5.0], [9.0, 9.0, 9.0, 9.0]])
    instances = Instances(
        np.array([0, 0, 1]), np.array([0, 2, 1]), np.array([2, 4, 3]), np.array([True, False, True])
    )
    found = find(scores, instances)
    assert found.average_precision == pytest.approx((1 + (1 / 3 * 0.5 + 0.5 * 2 / 4)) / 2)
    assert found.instance_share_not_positive == 0.5
    assert found.instance_mean_score == 2.0
    assert found.other_instance_mean_score == -1.0


def truth_file(folder: Path, *rows: str, head: str = "id\tstart\tend\tmotif") -> Path:
    path = folder / "truth.tsv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_instances_are_those_of_the_sequences_and_the_motifs_chosen(tmp_path: Path) -> None:
    path = truth_file(tmp_path, "b\t2\t5\tX", "a\t0\t4\tY", "elsewhere\t90\t99\tX")
    instances = read_instances(path, ["a", "b"], 10, motifs=["X"])
    assert instances.sequence.tolist() == [1, 0]
    assert (instances.start.tolist(), instances.end.tolist()) == ([2, 0], [5, 4])
    assert instances.matters.tolist() == [True, False]
    assert np.flatnonzero(instances.true_bases((2, 10))).tolist() == [12, 13, 14]
    assert read_instances(path, ["a", "b"], 10).matters.tolist() == [True, True]


@pytest.mark.parametrize(
    ("rows", "head", "motifs", "message"),
    [
        (["a\t0\t4"], "name\tstart\tend", [], "has no column 'id'); give id, start, end"),
        (["a\t0\t4"], "id\tstart\tend", ["X"], "has no column 'motif'); give id, start, end, motif"),
        (["a\t0\t4\tY"], "id\tstart\tend\tmotif", ["X"], "has no motif 'X'; choose from Y"),
        (
            ["a\t0\t4\tX", "a\t-1\t4\tX"],
            "id\tstart\tend\tmotif",
            [],
            "line 3: start is '-1', not a whole number",
        ),
        (
            ["a\t0\t11\tX"],
            "id\tstart\tend\tmotif",
            [],
            "line 2: 0 to 11 is not within a sequence of 10 bases",
        ),
        (["a\t4\t4\tX"], "id\tstart\tend\tmotif", [], "line 2: 4 to 4 is not within a sequence of 10 bases"),
        (["c\t0\t4\tX"], "id\tstart\tend\tmotif", [], "no instance is in any of the 2 sequences"),
    ],
)
def test_a_table_that_is_no_truth_is_refused(
    tmp_path: Path, rows: list[str], head: str, motifs: list[str], message: str
) -> None:
    with pytest.raises(InputError) as mistake:
        read_instances(truth_file(tmp_path, *rows, head=head), ["a", "b"], 10, motifs=motifs)
    assert message in str(mistake.value)
    assert str(tmp_path / "truth.tsv") in str(mistake.value)


def test_sequences_of_one_id_cannot_have_a_truth(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two sequences have the same id"):
        read_instances(truth_file(tmp_path, "a\t0\t4\tX"), ["a", "a"], 10)


# Agreement and figure --------------------------------------------------------------------------------------


def test_agreement_is_the_mean_over_sequences_of_the_correlation() -> None:
    random = np.random.default_rng(1)
    one, other = random.normal(size=(5, 30)), random.normal(size=(5, 30)).round(1)
    other[4] = 0.7  # no correlation with constant values
    row = agreement_table({"one": one, "other": other}).iloc[0]
    frames = [pd.DataFrame({"one": one[i], "other": other[i]}) for i in range(4)]
    assert row["pearson"] == pytest.approx(np.mean([frame.corr().iloc[0, 1] for frame in frames]))
    ranked = [frame.rank().corr().iloc[0, 1] for frame in frames]
    assert row["spearman"] == pytest.approx(np.mean(ranked))
    assert np.isnan(agreement_table({"one": one, "flat": 0 * one}).iloc[0]["pearson"])


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("names", [list(METHODS), ["rescale"]])
def test_no_text_of_the_figure_overlaps_another_or_leaves_the_page(names: list[str], truth: bool) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    random = np.random.default_rng(0)
    table = pd.DataFrame({"method": names, "seconds": 10 ** random.uniform(-2, 3, len(names)), "note": ""})
    table["seconds_per_sequence"] = table["seconds"] / 50
    table["cost"] = table["seconds"] / table["seconds"].min()
    if len(names) > 1:
        table.loc[2, ["seconds", "seconds_per_sequence", "cost"]] = np.nan
        table.loc[2, "note"] = "refused"
    if truth:
        table["average_precision"] = table["precision_at_true"] = random.random(len(names))
    kept = list(table["method"][table["note"] == ""])
    agreement = agreement_table({name: random.normal(size=(3, 20)) for name in kept})
    about = {"n_sequences": 50, "target": "both", "reference_kind": "dinucleotide_shuffle"}
    about |= {"reference_number": 20, "true_base_share": 0.1}
    figure = comparison_figure(table, agreement, about)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in _texts(figure) if text.get_text().strip() and text.get_visible()]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    page = figure.bbox
    for text, box in zip(texts, boxes, strict=True):
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 and box.y1 <= page.y1
        assert inside, text.get_text()
    level = [(text, box) for text, box in zip(texts, boxes, strict=True) if text.get_rotation() == 0]
    for at, (text, box) in enumerate(level):
        for other, other_box in level[at + 1 :]:
            assert not box.overlaps(other_box), (text.get_text(), other.get_text())


def _texts(figure: Any) -> list[Any]:
    from matplotlib.text import Text

    found = []
    for axes in figure.axes:
        ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
        low, high = axes.get_xlim()
        within = [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
        outside = {id(tick) for tick in axes.get_xticklabels()} - {id(tick) for tick in within}
        found += [text for text in axes.findobj(Text) if id(text) not in outside and text not in ticks]
        found += [*within, *axes.get_yticklabels()]
    return [*found, *figure.texts]
