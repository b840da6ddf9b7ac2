"""Rewrites files of old versions of Keras from the records that old_keras/record.py made of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from places import TESTS

RECORDS = TESTS / "old_keras"
VERSIONS = ("0.3.3", "1.2.2", "2.3.1")


@cache
def records(version: str) -> Mapping[str, Any]:
    """Return the records of a version of Keras by name."""
    return json.loads((RECORDS / f"keras-{version}.json").read_text())


def names() -> list[tuple[str, str]]:
    """Return (version, name) of every record."""
    return [(version, name) for version in VERSIONS for name in records(version)]


def record(version: str, name: str) -> dict[str, Any]:
    """Return a copy of one record, which may be changed."""
    return copy.deepcopy(records(version)[name])


def values(shape: tuple[int, ...], number: int, name: str = "") -> NDArray[np.float32]:
    """Return the made-up values of a file's ``number``-th array, as record.py has them."""
    found = 0.5 * np.sin(np.arange(int(np.prod(shape))) * 1.7 + number).reshape(shape)
    if "running_std" in name or "variance" in name:
        found = 1 + found
    return found.astype("float32")


def inputs(recorded: Mapping[str, Any]) -> list[NDArray[np.float32]]:
    """Return the inputs for which a record has the outputs."""
    return [values(tuple(shape), 1000 + number) for number, shape in enumerate(recorded["inputs"])]


def write(recorded: Mapping[str, Any], folder: Path, *, whole: bool) -> dict[str, Any]:
    """Write a record's model, whole or as architecture and weights; return the config's ``model`` section."""
    architecture = json.dumps(recorded["architecture"])
    with h5py.File(folder / "model.h5", "w") as file:
        file.attrs.update({key: np.bytes_(str(value)) for key, value in recorded["attributes"].items()})
        group = file
        if whole:
            file.attrs["model_config"] = np.bytes_(architecture)
            file.attrs["training_config"] = np.bytes_('{"loss": "mse"}')
            file.create_group("optimizer_weights").create_dataset("iterations", data=3)
            group = file.create_group("model_weights")
        _write_weights(recorded, group)
    if whole:
        return {"path": f"{folder}/model.h5"}
    (folder / "model.json").write_text(architecture)
    return {"path": f"{folder}/model.json", "weights": f"{folder}/model.h5"}


def _write_weights(recorded: Mapping[str, Any], group: h5py.Group) -> None:
    layers, of_weights = recorded["layers"], recorded["attributes_of_weights"]
    numbered = "nb_layers" in recorded["attributes"]
    if numbered:
        group.attrs["nb_layers"] = len(layers)
    else:
        group.attrs["layer_names"] = [np.bytes_(name) for name, _ in layers]
    group.attrs.update({key: np.bytes_(str(value)) for key, value in of_weights.items()})
    number = 0
    for name, weights in layers:
        own = group.create_group(name)
        if numbered:
            own.attrs["nb_params"] = len(weights)
        else:
            own.attrs["weight_names"] = [np.bytes_(weight[0]) for weight in weights]
        for weight, shape, *said in weights:
            own[weight] = values(tuple(shape), number, *said or [weight])
            number += 1
