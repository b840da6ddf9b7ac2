"""A Keras model written by genolift export runs without Keras and without the file of custom layers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import genolift
from genolift.models.keras import keras
from genolift.settings.extra_inputs import Extras
from genolift.settings.model import ModelSpec
from genolift.steps.export import write_program

k = keras.layers
LENGTH = 12


def attention(x: Any) -> Any:
    return k.Dense(2)(k.Dropout(0.5)(k.Flatten()(k.MultiHeadAttention(2, 3)(x, x))))


def normed(x: Any) -> Any:
    return k.Dense(2)(k.GlobalMaxPooling1D()(k.LayerNormalization()(k.Conv1D(3, 3, activation="gelu")(x))))


def onehot() -> torch.Tensor:
    codes = torch.randint(4, (4, LENGTH), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.one_hot(codes, 4).transpose(1, 2).float()


@pytest.mark.parametrize("layers", [attention, normed])
def test_a_keras_model_is_written_and_read_without_trust(tmp_path: Path, layers: Any) -> None:
    given = keras.Input((LENGTH, 4))
    keras.Model(given, layers(given)).save(tmp_path / "m.keras")
    written = write_program(ModelSpec(path=f"{tmp_path}/m.keras"), tmp_path / "m.pt2")
    assert written.input_length == LENGTH
    model, program = (genolift.load_model(f"{tmp_path}/{name}") for name in ("m.keras", "m.pt2"))
    x = onehot()
    one, other = (genolift.deeplift(each, x, x.flip(0)[:2], target=1) for each in (model, program))
    torch.testing.assert_close(one.contributions, other.contributions, atol=1e-6, rtol=0)


def test_further_inputs_are_written_too_and_nothing_else_is_needed(tmp_path: Path) -> None:
    dna, library = keras.Input((LENGTH, 4), name="dna"), keras.Input((3,), name="library")
    pooled = k.GlobalMaxPooling1D()(k.Conv1D(4, 3, activation="relu")(dna))
    both = k.Dense(2, name="both")(k.Concatenate()([pooled, library]))
    keras.Model([dna, library], [both, k.Dense(1, name="one")(pooled)]).save(tmp_path / "m.keras")
    held = Extras.of([{"values": [0, 1, 0]}], [], "")
    write_program(ModelSpec(path=f"{tmp_path}/m.keras"), tmp_path / "m.pt2", held)
    code = (
        "import sys, torch, genolift\n"
        "model = genolift.load_model('m.pt2')\n"
        "x, library = torch.eye(4).repeat(2, 1, 3), torch.tensor([[0.0, 1, 0]]).repeat(2, 1)\n"
        "r = genolift.deeplift(model, x, x.flip(1)[:, None], extra_inputs=(library,), target='both[1]')\n"
        "print(float(r.convergence_error.max()) < 1e-5, 'keras' in sys.modules)"
    )
    (tmp_path / "m.keras").unlink()
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["True", "False"]
