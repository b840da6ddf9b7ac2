"""All that run a user's model accept the same models, and refuse others with the same message."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import inspected_models
import numpy as np
import pytest
import torch

import genolift
from genolift.data.stored_tensors import random_onehot
from genolift.errors import InputError
from genolift.inspection.described import inspect_model
from genolift.inspection.model_check import checked_model
from genolift.models import ModelSpec, load_model
from genolift.models.expected import check_expected
from genolift.settings.extra_inputs import Extras
from genolift.settings.model import Expect
from genolift.steps.export import write_program

X = random_onehot(3, 30)
REFUSED = (
    "ImportsWhatIsNotThere",
    "Raises",
    "Infinite",
    "DrawsInTorch",
    "DrawsInPython",
    "Counts",
    "ReturnsNothing",
    "OfImaginaryNumbers",
    "BranchesOnValues",
    "LosesRows",
    "MixesRows",
)
RUN_BEFORE_IT_IS_CAPTURED = REFUSED[:3]
TAKEN = ("InDouble", "InHalf", "OverItsInput", "Warns", "WithALoss", "InADataclass", "NeedsDna")
OF_SEVERAL = {"WithALoss": "logits[0]", "InADataclass": "logits[0]"}


def saved(folder: Path, name: str) -> ModelSpec:
    torch.save(getattr(inspected_models, name)().state_dict(), folder / "weights.pt")
    return ModelSpec(
        path=f"{folder}/weights.pt",
        class_name=f"{inspected_models.__file__}:{name}",
        axes="bases,length",
        input_length=30,
    )


def check(spec: ModelSpec, target: int | str = 0) -> None:
    """Run a model as check and attribute do."""
    rows = (X, (), ["one", "two", "three"])
    checked_model(load_model(spec), spec, Extras(), rows, target=target)


def inspect(spec: ModelSpec, target: int | str = 0) -> None:
    found = inspect_model(spec, target=target)
    if found.error is not None:
        raise found.error


def explain(spec: ModelSpec) -> None:
    genolift.deeplift(load_model(spec), X, X.flip(2)[:, None])


def what(way: Callable[[], object]) -> str:
    with pytest.raises(InputError) as raised:
        way()
    assert raised.value.where
    assert raised.value.remedy
    return re.sub(r"\(by [\d.e-]+\)", "", raised.value.what)


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_is_refused_in_the_same_words_by_whatever_runs_it(tmp_path: Path, name: str) -> None:
    spec = saved(tmp_path, name)
    said = what(lambda: check(spec))
    assert what(lambda: inspect(spec)) == said
    if name in RUN_BEFORE_IT_IS_CAPTURED:
        assert what(lambda: explain(spec)) == said


@pytest.mark.filterwarnings("error:of the model's own")
@pytest.mark.parametrize("name", TAKEN)
def test_a_model_that_one_takes_the_other_takes(tmp_path: Path, name: str) -> None:
    spec, target = saved(tmp_path, name), OF_SEVERAL.get(name, 0)
    check(spec, target)
    inspect(spec, target)


@pytest.mark.parametrize("name", RUN_BEFORE_IT_IS_CAPTURED)
def test_what_compares_with_the_author_s_outputs_says_the_same_of_the_author_s_inputs(
    tmp_path: Path, name: str
) -> None:
    spec = saved(tmp_path, name)
    said = what(lambda: check(spec))
    np.savez(tmp_path / "both.npz", dna=X.numpy(), y0=np.zeros((3, 2), np.float32))
    expect = Expect(inputs=f"{tmp_path}/both.npz", outputs=f"{tmp_path}/both.npz")
    compared = ModelSpec(path=spec.path, class_name=spec.class_name, expect=expect)
    with pytest.raises(InputError, match=r"^model\.expect\.inputs: .*both\.npz: ") as raised:
        check_expected(load_model(spec), compared)
    assert raised.value.what == said


def test_a_value_without_rows_is_none_of_the_author_s_outputs(tmp_path: Path) -> None:
    spec = saved(tmp_path, "WithALoss")
    model = load_model(spec)
    with torch.no_grad():
        np.savez(tmp_path / "both.npz", dna=X.numpy(), logits=model.net(X).numpy())  # type: ignore[operator, union-attr]
    expect = Expect(inputs=f"{tmp_path}/both.npz", outputs=f"{tmp_path}/both.npz")
    agreement = check_expected(model, ModelSpec(path=spec.path, class_name=spec.class_name, expect=expect))
    assert agreement is not None
    assert agreement.outputs == 1


@pytest.mark.parametrize("name", ["ImportsWhatIsNotThere", "Raises", "DrawsInPython", "Counts"])
def test_what_cannot_be_explained_is_not_exported(tmp_path: Path, name: str) -> None:
    spec = saved(tmp_path, name)
    said = what(lambda: check(spec))
    assert what(lambda: write_program(spec, tmp_path / "model.pt2")) == said


def test_the_axes_of_a_program_of_any_length_are_those_that_inspect_finds(tmp_path: Path) -> None:
    rows, length = torch.export.Dim("rows", min=2), torch.export.Dim("length", min=10)
    program = torch.export.export(
        inspected_models.Bases().eval(),
        (torch.zeros(3, 50, 4),),
        dynamic_shapes=({0: rows, 1: length},),
    )
    torch.export.save(program, tmp_path / "model.pt2")
    found = inspect_model(ModelSpec(path=f"{tmp_path}/model.pt2"))
    assert (found.error, found.taken.spec.axes) == (None, "length,bases")
    result = genolift.deeplift(load_model(f"{tmp_path}/model.pt2"), X, X.flip(2)[:, None])
    assert float(result.relative_convergence_error.max()) < 1e-4
