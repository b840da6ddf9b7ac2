"""Weights are put by order into an architecture whose layers have other names, as in Keras.

A model that is built again in one session, as for the next fold, has layers called conv1d_1, not conv1d.
"""

from __future__ import annotations

import json
import logging
import re
import zipfile
from pathlib import Path

import h5py
import pytest
import torch
from keras_agreement.freeze import FROZEN
from keras_agreement.reading import LARGEST_ERROR, error_of, loaded, tensors_of

import genolift


def _made_again(architecture: str) -> str:
    """Return an architecture with the names that Keras gives the next time; inputs keep their names."""
    names = {each["config"]["name"] for each in json.loads(architecture)["config"]["layers"]} - {"dna"}
    for name in names:
        architecture = re.sub(rf'"{re.escape(name)}"', f'"{name}_again"', architecture)
    return architecture


@pytest.mark.parametrize(
    "name", ["Functional-two-deep-frozen-none*.keras2.zip", "Functional-a-nested-that-gives*.keras3.zip"]
)
def test_weights_of_layers_of_other_names_are_taken_in_order_with_a_word(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = FROZEN.glob(name)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    saved = next(tmp_path.glob("model.*"))
    _, inputs, outputs = loaded(tmp_path, (saved.name,))
    weights = saved
    if saved.suffix == ".keras":
        with zipfile.ZipFile(saved) as archive:
            architecture = archive.read("config.json").decode()
            weights = Path(archive.extract("model.weights.h5", tmp_path))
    else:
        with h5py.File(saved) as file:
            architecture = str(file.attrs["model_config"])
    again = tmp_path / "again.json"
    again.write_text(_made_again(architecture))
    with caplog.at_level(logging.WARNING, logger="genolift"):
        model = genolift.load_model({"path": str(again), "weights": str(weights)})
    assert "layers of other names" in caplog.text
    with torch.no_grad():
        found = tensors_of(model(*inputs))
    assert error_of(found[0], outputs[0]) <= LARGEST_ERROR
