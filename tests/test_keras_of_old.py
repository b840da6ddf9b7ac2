"""Models that Keras 0.3, 1.2 and 2.3 wrote give the outputs that those gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import old_files
import pytest
import torch
from torch import nn

import genolift

# Keras 1's files do not say that they are of Theano, as those of the records are.
THEANO = {"arguments": {"backend": "theano"}}


def loaded(recorded: dict[str, Any], folder: Path, *, whole: bool, theano: bool) -> Any:
    model = genolift.load_model(old_files.write(recorded, folder, whole=whole) | (THEANO if theano else {}))
    return getattr(model, "model", model)  # without what puts A C G T in its order


def outputs_of(model: nn.Module, recorded: dict[str, Any]) -> list[Any]:
    with torch.no_grad():
        output = model(*(torch.as_tensor(x) for x in old_files.inputs(recorded)))
    return list(output.values()) if isinstance(output, dict) else [output]


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "json"])
@pytest.mark.parametrize(("version", "name"), old_files.names())
def test_outputs_are_those_that_the_keras_of_the_file_gave(
    tmp_path: Path, version: str, name: str, whole: bool
) -> None:
    recorded = old_files.record(version, name)
    if version.startswith("0") and whole:
        pytest.skip("Keras before 1 had no file of a whole model")
    model = loaded(recorded, tmp_path, whole=whole, theano=version < "2")
    for ours, expected in zip(outputs_of(model, recorded), recorded["outputs"], strict=True):
        np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-6)
