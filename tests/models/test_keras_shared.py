"""The real Keras models give the outputs that the Keras of their time gave, and are attributed exactly."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import old_files
import pytest
import torch
from numpy.typing import NDArray

import genolift

CUSTOM = {
    "framepool_fixed_size": "def frame_masking(x): return [x[:, frame::3] for frame in range(3)]\n",
    "aparent2": """
import torch
def aparent_expand_lib(x): return x[:, None, None, :].tile(1, 1, 206, 1)
def aparent_extend_tensor(x): return torch.cat([x, torch.zeros_like(x[:, :, :1])], 2)
def lambda_57(x): return x[:, 0, :, 0].softmax(-1)
def lambda_58(cl): return cl[:, 80:110].sum(-1, keepdim=True)
LAYERS = {"lambda_*": torch.relu, "aparent_*": lambda x: x[0] + x[1]}
""",
}
LENGTHS = {
    "Donor": 18,
    "Intron3": 40,
    "Acceptor": 53,
    "framepool_fixed_size": 50,
    "multi_layer_dragonn": 1000,
    "aparent2": 205,
}
LIBRARY = torch.eye(13)[[4, 0, 11]]


def bases(length: int) -> NDArray[np.float32]:
    """Return one-hot sequences, (row, base, position), as record_shared.py makes them."""
    state, found = 7, []
    for _ in range(3 * length):
        state = (1103515245 * state + 12345) % 2**31
        found.append((state >> 16) & 3)
    return np.eye(4, dtype="float32")[np.array(found).reshape(3, length)].transpose(0, 2, 1)


@cache
def recorded() -> dict[str, Any]:
    return json.loads((old_files.RECORDS / "shared.json").read_text())


def spec(name: str, shared: Path, folder: Path) -> dict[str, str]:
    given = {"path": f"{shared}/keras/{name}.h5"}
    if name == "multi_layer_dragonn":
        given = {"path": f"{shared}/keras/{name}.arch.json", "weights": f"{shared}/keras/{name}.weights.h5"}
    if name in CUSTOM:
        (folder / f"{name}.py").write_text(CUSTOM[name])
        given["custom_layers"] = f"{folder}/{name}.py"
    return given


def held(name: str, rows: int) -> list[torch.Tensor]:
    return [LIBRARY[:rows]] if name == "aparent2" else []


@pytest.mark.parametrize("name", LENGTHS)
def test_outputs_are_those_of_the_keras_that_wrote_the_model(shared: Path, tmp_path: Path, name: str) -> None:
    model = genolift.load_model(spec(name, shared, tmp_path))
    with torch.no_grad():
        output = model(torch.as_tensor(bases(LENGTHS[name])), *held(name, 3))
    outputs = list(output.values()) if isinstance(output, dict) else [output]
    for ours, expected in zip(outputs, recorded()[name], strict=True):
        np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-5)


def test_the_papers_model_gives_the_logits_that_were_recorded_and_the_original_packages_scores(
    shared: Path,
) -> None:
    paper = shared / "paper"
    scores = np.load(paper / "original_deeplift_scores.npz")
    model = genolift.load_model({"path": f"{paper}/model.json", "weights": f"{paper}/model_weights.h5"})
    x, references = torch.as_tensor(scores["x"]).mT.float(), torch.as_tensor(scores["refs"]).mT.float()
    with torch.no_grad():
        output = model(x).numpy()
    np.testing.assert_allclose(output, 1 / (1 + np.exp(-scores["logits"])), rtol=0, atol=1e-5)
    results = genolift.deeplift(model, x, references, target=[0, 1, 2], keep_multipliers=True)
    for task, result in enumerate(results):
        np.testing.assert_allclose(result.output.numpy(), scores["logits"][:, task], rtol=0, atol=1e-5)
        for k in range(3):
            theirs = torch.as_tensor(scores[f"genomics_default/shuffle{k}/multipliers/task{task}"]).mT
            difference = x - references[:, k]
            ours, expected = result.multipliers[:, k] * difference, theirs * difference
            assert float((ours - expected).abs().max() / expected.abs().max()) < 2e-5


@pytest.mark.parametrize("name", [name for name in LENGTHS if name != "aparent2"])
def test_contributions_add_up_to_the_difference_of_the_outputs(
    shared: Path, tmp_path: Path, name: str
) -> None:
    model = genolift.load_model(spec(name, shared, tmp_path))
    x = torch.as_tensor(bases(LENGTHS[name]))
    result = genolift.deeplift(model, x[:2], x[2:].expand(2, -1, -1)[:, None])
    assert float(result.relative_convergence_error.max()) < 1e-4


@pytest.mark.slow
def test_either_output_of_a_deep_model_of_lambdas_is_attributed(shared: Path, tmp_path: Path) -> None:
    model = genolift.load_model(spec("aparent2", shared, tmp_path))
    x = torch.as_tensor(bases(205))
    result = genolift.deeplift(
        model, x[:1], x[1:2, None], target="lambda_57[80]", extra_inputs=held("aparent2", 1)
    )
    assert float(result.relative_convergence_error.max()) < 1e-4
