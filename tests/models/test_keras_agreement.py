"""Frozen Keras models, written by Keras on TensorFlow, give the outputs that TensorFlow gave."""

from __future__ import annotations

import json
import re
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest
from keras_agreement.cases import CASES
from keras_agreement.coverage import check_coverage
from keras_agreement.forms import FORMS
from keras_agreement.freeze import FROZEN
from keras_agreement.reading import LARGEST_LOSS, loaded, loss_of, read
from places import ROOT

TABLE = ROOT / "docs" / "keras-layers.md"
ARCHIVES = sorted(FROZEN.glob("*.zip"))
REFUSED = {
    "BatchNormalization-called-with-training-True": "training=True",
    "Activation-a-function-of-the-user-s-named-celu": "or like the activation, celu, and give it",
    "Attention-a-class-of-the-user-s-of-this-name": "Attention mine",
    "Dropout-called-with-training-True": "training=True",
}
"""Cases that must be refused, by their file's name, with a part of the message."""


@pytest.fixture
def unpacked(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def _each(archives: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "unpacked", archives, indirect=True, ids=[path.name.removesuffix(".zip") for path in archives]
    )


def _must_be_refused(path: Path) -> str | None:
    return next((word for name, word in REFUSED.items() if path.name.startswith(name)), None)


@_each([path for path in ARCHIVES if _must_be_refused(path) is None])
def test_outputs_are_those_that_tensorflow_gave_and_contributions_sum_to_their_difference(
    unpacked: Path,
) -> None:
    case = json.loads((unpacked / "case.json").read_text())
    for form in case["forms"]:
        found = read(unpacked, FORMS[case["generation"]][form])
        assert found.right, (form, found)
    model, inputs, _ = loaded(unpacked, FORMS[case["generation"]][case["forms"][0]])
    assert loss_of(model, inputs) <= LARGEST_LOSS


@_each([path for path in ARCHIVES if _must_be_refused(path) is not None])
def test_a_model_that_its_file_does_not_tell_or_whose_outputs_depend_on_its_batch_or_on_chance_is_refused(
    unpacked: Path, request: pytest.FixtureRequest
) -> None:
    case = json.loads((unpacked / "case.json").read_text())
    word = _must_be_refused(Path(request.node.callspec.params["unpacked"]))
    for form in case["forms"]:
        found = read(unpacked, FORMS[case["generation"]][form])
        assert found.refused is not None
        assert str(word) in found.refused


def _rows() -> list[list[str]]:
    """Return the cells of the documentation's table."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    head = next(number for number, line in enumerate(lines) if line.startswith("| layer |"))
    rows = [
        re.split(r" (?<!\\)\| ", line.removeprefix("| ").removesuffix(" |")) for line in lines[head + 1 :]
    ]
    return [[re.sub(r"\\(.)", r"\1", cell) for cell in row] for row in rows if len(row) == 6]


def test_the_table_of_the_documentation_has_every_case_in_every_form_and_no_other() -> None:
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for layer, settings, version, forms, _, _ in _rows():
        name = f"{layer}, {settings}" if settings else layer
        found[name, int(version.partition(".")[0])] += forms.split(", ")
    wanted = {
        (case.name, generation): sorted(FORMS[generation])
        for case in CASES
        for generation in case.generations
    }
    assert {key: sorted(forms) for key, forms in found.items()} == wanted


def test_nothing_in_the_table_of_the_documentation_is_wrong() -> None:
    outcomes = [row[4] for row in _rows()]
    errors = [float(outcome) for outcome in outcomes if re.fullmatch(r"[\d.e+-]+", outcome)]
    assert max(errors) <= 1e-5
    others = {outcome.partition(":")[0] for outcome in outcomes} - {f"{error:.0e}" for error in errors}
    assert others <= {"refused", "not written by Keras"}


def test_every_layer_that_keras_ships_is_in_a_case_or_has_the_reason_why_not() -> None:
    from genolift.models.keras import keras

    assert check_coverage(3, vars(keras.layers), vars(keras.activations)) == []
