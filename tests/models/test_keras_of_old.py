"""Models written by Keras 0.3, 1.2 and 2.3 give the outputs that those versions gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import old_files
import pytest
import torch
from torch import nn

import genolift

# Keras 1's files do not name their backend; that of the records was Theano.
THEANO = {"arguments": {"backend": "theano"}}


def loaded(recorded: dict[str, Any], folder: Path, *, whole: bool, theano: bool) -> Any:
    model = genolift.load_model(old_files.write(recorded, folder, whole=whole) | (THEANO if theano else {}))
    return getattr(model, "model", model)  # without the layer that puts A C G T in its order


def outputs_of(model: nn.Module, recorded: dict[str, Any]) -> list[Any]:
    with torch.no_grad():
        output = model(*(torch.as_tensor(x) for x in old_files.inputs(recorded)))
    return list(output.values()) if isinstance(output, dict) else [output]


# Keras before 1 had no single-file format.
FORMS = [
    (version, name, form)
    for version, name in old_files.names()
    for form in ("whole", "json")
    if version >= "1" or form == "json"
]


@pytest.mark.parametrize(("version", "name", "form"), FORMS)
def test_outputs_are_those_that_the_keras_of_the_file_gave(
    tmp_path: Path, version: str, name: str, form: str
) -> None:
    recorded = old_files.record(version, name)
    model = loaded(recorded, tmp_path, whole=form == "whole", theano=version < "2")
    for ours, expected in zip(outputs_of(model, recorded), recorded["outputs"], strict=True):
        np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("version", "said"), [("0.3.3", "theano"), ("1.2.2", "tensorflow")])
def test_a_file_that_does_not_say_its_backend_is_taken_for_the_likelier_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, version: str, said: str
) -> None:
    recorded = old_files.record(version, "conv1d")
    model = loaded(recorded, tmp_path, whole=False, theano=False)
    assert f"does not name the backend of its Keras, and {said} is assumed; if it was" in caplog.text
    largest = float(np.abs(outputs_of(model, recorded)[0].numpy() - recorded["outputs"][0]).max())
    assert (largest < 1e-6) == (said == "theano")  # as the record is


def test_padding_that_theano_has_elsewhere_is_refused(tmp_path: Path) -> None:
    recorded = old_files.record("2.3.1", "conv2d_channels_last_theano")
    recorded["architecture"]["config"]["layers"][0]["config"]["kernel_size"] = [1, 4]
    with pytest.raises(
        genolift.InputError, match=r"has padding 'same', which Theano placed.*supply the layer as a torch"
    ):
        loaded(recorded, tmp_path, whole=True, theano=False)


def test_names_that_hdf5_has_no_room_for_in_one_attribute_are_found(tmp_path: Path) -> None:
    recorded = old_files.record("2.3.1", "merges")
    old_files.write(recorded, tmp_path, whole=True)
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        weights = file["model_weights"]
        for group, key in [(weights, "layer_names"), *((weights[name], "weight_names") for name in weights)]:
            names = list(group.attrs.pop(key))
            if names:
                group.attrs[f"{key}0"], group.attrs[f"{key}1"] = names[:1], names[1:] or np.array([], "S1")
    model = genolift.load_model(f"{tmp_path}/model.h5")
    output = outputs_of(getattr(model, "model", model), recorded)[0]
    np.testing.assert_allclose(output.numpy(), recorded["outputs"][0], atol=1e-6)


def test_weights_of_a_model_within_are_told_by_order_where_their_names_are_of_another_loading(
    tmp_path: Path,
) -> None:
    recorded = old_files.record("2.3.1", "nested_first")
    for _, weights in recorded["layers"]:
        for weight in weights:  # TensorFlow 1 continued counting when a model was loaded again
            weight[0] = weight[0].replace("/", "_4/")
    model = loaded(recorded, tmp_path, whole=True, theano=False)
    np.testing.assert_allclose(outputs_of(model, recorded)[0].numpy(), recorded["outputs"][0], atol=1e-6)
