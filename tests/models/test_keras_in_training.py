"""Layers called with training=True are refused if they then compute something else, unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import genolift
from genolift.models.keras import keras

k = keras.layers
LENGTH = 8
EVALUATION = {"training": False}


def saved(folder: Path, called: Callable[[Any], Any]) -> str:
    """Write a model whose second layer is made by ``called`` from a convolution's output."""
    dna = keras.Input((LENGTH, 4), name="dna")
    x = called(k.Conv1D(3, 3, padding="same", name="conv")(dna))
    keras.Model(dna, k.GlobalAveragePooling1D()(x)).save(folder / "model.keras")
    return f"{folder}/model.keras"


def normed(x: Any, **call: Any) -> Any:
    return k.BatchNormalization(name="norm")(x, **call)


def within(layers: list[Any], **call: Any) -> Callable[[Any], Any]:
    part = keras.Sequential([k.Input((LENGTH, 3)), *layers], name="part")
    return lambda x: part(x, **call)


def frozen_norm() -> Any:
    norm = k.BatchNormalization(name="norm")
    norm.trainable = False
    return norm


CHANGED = {
    "a batch norm": lambda x: normed(x, training=True),
    "dropout": lambda x: k.Dropout(0.1, name="norm")(x, training=True),
    "noise": lambda x: k.GaussianNoise(0.1, name="norm")(x, training=True),
    "a recurrent layer's dropout": lambda x: k.GRU(3, dropout=0.1, return_sequences=True, name="norm")(
        x, training=True
    ),
    "dropout in a wrapper": lambda x: k.TimeDistributed(k.Dropout(0.1), name="norm")(x, training=True),
    "a batch norm within": within([k.Dense(3), k.BatchNormalization(name="norm")], training=True),
}
UNCHANGED = {
    "a convolution": lambda x: k.Bidirectional(k.GRU(2, return_sequences=True))(x, training=True),
    "in evaluation": lambda x: normed(x, training=False),
    "dropout of nothing": lambda x: k.Dropout(0.0)(x, training=True),
    "a frozen batch norm": lambda x: frozen_norm()(x, training=True),
    "no batch norm within": within([k.Dense(3)], training=True),
}


@pytest.mark.parametrize("called", CHANGED.values(), ids=CHANGED)
def test_a_layer_that_differs_in_training_is_refused_and_the_remedy_explains_it_in_evaluation(
    tmp_path: Path, called: Callable[[Any], Any]
) -> None:
    path = saved(tmp_path, called)
    with pytest.raises(
        genolift.InputError, match=r"layer norm: .*called with training=True.*\{training: fal"
    ):
        genolift.load_model(path)
    model = genolift.load_model({"path": path, "arguments": EVALUATION})
    dna = torch.eye(4).repeat(3, 1, 2)
    with torch.no_grad():
        np.testing.assert_allclose(model(dna)[:1].numpy(), model(dna[:1]).numpy(), atol=1e-6)


@pytest.mark.parametrize("called", UNCHANGED.values(), ids=UNCHANGED)
def test_a_layer_that_training_does_not_change_is_read(tmp_path: Path, called: Callable[[Any], Any]) -> None:
    path = saved(tmp_path, called)
    theirs = keras.saving.load_model(path)
    dna = torch.eye(4).repeat(3, 1, 2)
    with torch.no_grad():
        ours = genolift.load_model(path)(dna)
        np.testing.assert_allclose(ours.numpy(), theirs(dna.movedim(1, 2)).numpy(), atol=1e-6)


def test_training_can_not_be_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path, lambda x: normed(x, training=True))
    with pytest.raises(genolift.InputError, match=r"training is True.*write training: false"):
        genolift.load_model({"path": path, "arguments": {"training": True}})


def test_a_users_function_is_told_of_training_or_must_be_told_to_evaluate(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("mine")
    class Halved(keras.layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            return x / 2 if training else x

    path = saved(tmp_path, lambda x: Halved(name="halved")(x, training=True))
    code = tmp_path / "mine.py"
    spec = {"path": path, "custom_layers": str(code)}
    code.write_text("def Halved(x):\n    return x\n")
    with pytest.raises(genolift.InputError, match=r"layer halved: .*training=True.* no parameter training"):
        genolift.load_model(spec)
    dna = torch.eye(4).repeat(3, 1, 2)
    with torch.no_grad():
        evaluated = genolift.load_model(spec | {"arguments": EVALUATION})(dna)
        code.write_text("def Halved(x, training=False):\n    return x / 2 if training else x\n")
        trained = genolift.load_model(spec)(dna)
        np.testing.assert_allclose(trained.numpy(), evaluated.numpy() / 2, atol=1e-6)
        assert torch.equal(genolift.load_model(spec | {"arguments": EVALUATION})(dna), evaluated)
