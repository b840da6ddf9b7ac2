"""The report for several models: what each one is, and how far they agree."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from made_up_results import make_results, rewrite, tell, write_records, write_table
from test_report import report, words_of

from genolift.data.window_places import KeptRows
from genolift.errors import InputError
from genolift.report.models_section import models_view
from genolift.report.results import read_results
from genolift.results.ensemble import mean_of
from genolift.results.store import open_contributions, write_contributions
from genolift.results.tables import PER_SEQUENCE, per_sequence

NOISE = {"fold_0": 0.0, "fold_1": 0.01, "fold_2": 0.05}


def write_mean(paths: dict[str, Path], out: Path) -> None:
    with mean_of(paths) as (head, blocks):
        write_contributions(out, head, blocks)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up results of three models, the last of which is least like the first."""
    folder = make_results(tmp_path_factory.mktemp("models") / "results")
    random = np.random.default_rng(2)
    paths = {}
    for name, noise in NOISE.items():
        paths[name] = folder / "models" / name / "contributions.h5"
        paths[name].parent.mkdir(parents=True)
        shutil.copy(folder / "contributions.h5", paths[name])

        def change(
            block: dict[str, Any], told: dict[str, Any], name: str = name, noise: float = noise
        ) -> None:
            own = random.normal(0, noise, block["raw/seq"].shape) * block["raw/seq"]
            for scores in ("projected_shap/seq", "shap/seq"):
                block[scores] = block[scores] + own
            block["genolift/output"] = block["genolift/output"] + own.sum((1, 2))
            told |= {"model_name": name, "model": f"models/{name}.pt", "model_sha256": f"{name}-{'a' * 57}"}

        rewrite(paths[name], change)
    write_mean(paths, folder / "contributions.h5")
    with open_contributions(folder / "contributions.h5") as mean:
        (block,) = mean.blocks()
        table = per_sequence(block, KeptRows(folder / "sequences.tsv").next(mean.n), mean.models)
    PER_SEQUENCE.write(folder / "per_sequence.tsv", table)
    write_records(folder)
    return folder


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "own"))


def test_the_page_has_a_row_for_each_model_and_says_that_all_is_of_the_mean(
    made: Path, tmp_path: Path
) -> None:
    page = report(made, tmp_path / "report.html")
    text = words_of(page)
    assert "as read by the mean of 3 models (fold_0, fold_1 and fold_2) (target GATA1)" in text
    section = words_of(page[page.index('<section id="models">') : page.index('<section id="quality">')])
    assert "All models were compared with the same references" in section
    for name in NOISE:
        assert f"{name} {name}.pt {name}-aaaaa genolift.demo.simulate.DemoModel" in section
    assert "Correlation of two models’ contributions Model fold_0 fold_1 fold_2" in section
    assert "sd over models" in words_of(page[page.index('<section id="sequences">') :])
    assert '<a href="#models">Models</a>' in page
    assert "models/" in text


def test_agreement_is_the_median_correlation_of_the_files(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genolift.results.store.BLOCK_BASES", 5000)
    view = models_view(read_results(made))
    assert view is not None
    scores = []
    for name in NOISE:
        with h5py.File(made / "models" / name / "contributions.h5") as file:
            scores.append(file["projected_shap/seq"][:].sum(1))
    for one, other in ((0, 1), (0, 2), (2, 1)):
        each = [np.corrcoef(a, b)[0, 1] for a, b in zip(scores[one], scores[other], strict=True)]
        assert float(view["models"][one]["alike"][other]) == pytest.approx(np.median(each), abs=6e-3)
    low = view["models"][1]["alike"][2]
    assert f"correlate by {low} to" in view["reading"]
    assert "least alike are fold_1 and fold_2" in view["reading"]
    found = re.findall(
        r"the standard deviation over models is ([\d.]+)% of the contribution", view["reading"]
    )
    assert 0 < float(found[0]) < 100


def test_one_model_has_no_section_of_models(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "results")
    (folder / "models").mkdir()
    page = report(folder, tmp_path / "report.html")
    assert models_view(read_results(folder)) is None
    assert 'id="models"' not in page
    assert "over models" not in words_of(page)
    assert "Each model’s own contributions.h5" not in page


def test_a_model_s_file_that_is_missing_or_of_another_run_is_named(own: Path, tmp_path: Path) -> None:
    path = own / "models" / "fold_1" / "contributions.h5"
    tell(path, model_sha256="b" * 64)
    with pytest.raises(InputError, match=r"fold_1/contributions\.h5: belongs to another run than contrib"):
        report(own, tmp_path / "report.html")
    path.unlink()
    with pytest.raises(InputError, match=r"fold_1/contributions\.h5: no such file"):
        report(own, tmp_path / "report.html")


def test_models_that_say_nothing_have_no_correlation(own: Path, tmp_path: Path) -> None:
    paths = {name: own / "models" / name / "contributions.h5" for name in NOISE}
    rewrite(paths["fold_0"], lambda block, told: block.update({"projected_shap/seq": 0 * block["shap/seq"]}))
    write_mean(paths, own / "contributions.h5")
    write_records(own)
    view = models_view(read_results(own))
    assert view is not None
    assert view["models"][0]["alike"] == ["", "–", "–"]
    assert "nan" not in words_of(report(own, tmp_path / "report.html")).lower().split()


def test_a_mean_that_cancels_is_told_from_a_model_that_fails(own: Path, tmp_path: Path) -> None:
    path = own / "per_sequence.tsv"
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    table.loc[2, "convergence_error_relative_max"] = "0.5"
    write_table(path, table)
    write_records(own)
    text = words_of(report(own, tmp_path / "report.html"))
    assert (
        "1 sequence of 40 exceed it in the mean, where models' outputs cancel; each model"
        in html.unescape(text)
    )
