"""The report describes a model as `genolift inspect` found it, for the model that was run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from made_up_results import INSPECTED, PROVENANCE, make_results, tell, write_inspection, write_records
from run_steps import study
from test_report import report, words_of
from test_report_of_models import NOISE, made

from genolift.errors import InputError
from genolift.inspection.described import inspect_model

__all__ = ["made"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("one") / "results")


@pytest.fixture
def own(results: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a test may change."""
    return Path(shutil.copytree(results, tmp_path / "own"))


def section(page: str) -> str:
    return words_of(page[page.index('<section id="model">') : page.index('<section id="run">')])


def test_the_page_says_what_the_model_takes_gives_and_is(results: Path, tmp_path: Path) -> None:
    page = report(results, tmp_path / "report.html")
    text = section(page)
    for words in (
        "The model",
        "onehot (n, 4, 200), axes bases,length",
        "library (n, 13), held fixed",
        "200 bases (as the model says)",
        "(n, 3), target 0 to 2: GATA1, TAL1, both",
        "32,505 (float32, 0.13 MB)",
        "sigmoid, stepped over: the logit before it is explained",
        "29 bases (before the global pooling)",
        "convolution 2 linear (convolution) transpose",
        "blocks.29.activation",
    ):
        assert words in text, words
    assert str(INSPECTED["model_sha256"]) in text
    assert "&lt;p&gt;" in page  # a line of the model is not HTML
    assert '<a href="#model">The model</a>' in page
    assert "author" not in text, "whose outputs were not given"
    assert "inspection/" in words_of(page)


def test_what_inspect_writes_of_a_model_is_shown(own: Path, tmp_path: Path) -> None:
    found = inspect_model(study(tmp_path / "study").model).as_json()
    same = {key: PROVENANCE[key] for key in ("model_sha256", "target")}
    write_inspection(own, **(found | same))
    text = section(report(own, tmp_path / "report.html"))
    assert "PyTorch module Small" in text
    assert "7 bases (before the global pooling)" in text
    assert found["weights"]["sha256"] in text


def test_a_model_that_agrees_with_its_author_s_outputs_is_said_to(own: Path, tmp_path: Path) -> None:
    tell(
        own / "contributions.h5",
        model_expect={"inputs": "a.npz", "inputs_sha256": "c" * 64, "outputs": "a.npz", "tolerance": 1e-4},
        model_agreement={"sequences": 8, "outputs": 1, "error": 4.1e-7},
    )
    write_records(own)
    page = report(own, tmp_path / "report.html")
    assert "The model agrees with the author's outputs on 8 sequences (4e-7)" in page
    run = words_of(page[page.index('<section id="run">') :])
    assert "SHA-256 of those inputs" in run
    assert "c" * 64 in run


def test_each_of_several_models_has_its_own(made: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(made, tmp_path / "own"))
    shutil.rmtree(own / "inspection")
    for name in NOISE:
        write_inspection(own, name, model_sha256=f"{name}-{'a' * 57}")
    page = report(own, tmp_path / "report.html")
    assert page.count("<summary>fold_") == len(NOISE)
    assert "What each model is" in section(page)


def test_a_model_that_was_not_inspected_is_left_out(own: Path, tmp_path: Path) -> None:
    shutil.rmtree(own / "inspection")
    page = report(own, tmp_path / "report.html")
    assert 'id="model"' not in page
    assert "#model" not in page


def test_what_is_of_another_model_or_damaged_is_refused(own: Path, tmp_path: Path) -> None:
    path = own / "inspection" / "model.json"
    write_inspection(own, model_sha256="0" * 64)
    with pytest.raises(InputError, match=r"model\.json: is of another model than contributions\.h5"):
        report(own, tmp_path / "report.html")
    for damaged in ("{", "[]", json.dumps({**INSPECTED, "weights": None}), '{"format": "other"}'):
        path.write_text(damaged)
        with pytest.raises(InputError, match=r"model\.json: cannot be read as an inspection"):
            report(own, tmp_path / "report.html")
