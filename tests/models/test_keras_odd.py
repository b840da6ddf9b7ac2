"""Small Keras models in forms that are easily misread give the outputs of Keras itself, or are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import genolift
from genolift.errors import InputError

MODELS = (
    "acts_keras3",
    "avg_same3_keras2",
    "depth_g_keras2",
    "local1d_i2_keras2",
    "masking_keras2",
    "masking_keras3",
    "nest2_frozen_same_keras2",
    "retstate_keras2",
    "spdrop_keras3",
    "td_nested_keras3",
)


def spec(folder: Path, name: str) -> dict[str, str]:
    if (folder / f"{name}.json").exists():
        return {"path": f"{folder / name}.json", "weights": f"{folder / name}.weights.h5"}
    return {
        "path": str(
            next(folder / f"{name}{end}" for end in (".keras", ".h5") if (folder / f"{name}{end}").exists())
        )
    }


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_those_of_keras_and_the_sum_of_contributions_is_their_difference(
    shared: Path, name: str
) -> None:
    with np.load(shared / "keras" / "odd" / f"{name}.npz", allow_pickle=False) as saved:
        given = {key: saved[key] for key in saved.files}
    dna = torch.as_tensor(given["dna"]).movedim(1, 2).contiguous()
    further = [
        torch.as_tensor(given[f"x_{each}"]) for each in given.get("extra_names", np.array([])).tolist()
    ]
    model = genolift.load_model(spec(shared / "keras" / "odd", name))
    with torch.no_grad():
        output = model(dna, *further)
    outputs = list(output.values()) if isinstance(output, dict) else [output]
    for number, ours in enumerate(outputs):
        theirs = given[f"y{number}"]
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
    explained = genolift.deeplift(model, dna, references=dna.flip(0)[:, None], target=1)
    change = (explained.output[:, None] - explained.reference_output).abs()
    assert (explained.convergence_error <= 1e-4 * change.max()).all()


def test_a_batch_norm_that_is_called_in_training_is_refused_by_its_name(shared: Path) -> None:
    with pytest.raises(InputError, match="training=True"):
        genolift.load_model(spec(shared / "keras" / "odd", "bn_tt_keras2"))
