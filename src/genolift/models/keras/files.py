"""Reads what Keras wrote to disk: the architecture, and where its weights are.

Formats: .keras (a zip archive of config.json and model.weights.h5, since Keras 2.12), whole-model .h5 (since
Keras 1: the attribute model_config and the group model_weights), and an architecture's .json, or .yaml (Keras
before 2.6), with a separate weights file.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py

from genolift.errors import InputError, Refusal
from genolift.files.hdf5 import opened_hdf5, reading
from genolift.files.integrity import (
    MOST_JSON_BYTES,
    check_file,
    is_archive,
    json_in,
    opened_archive,
    parsed_json,
)
from genolift.files.plain_values import MOST_CHARACTERS
from genolift.files.text import read_text
from genolift.files.whole import existing_file
from genolift.models.keras.written_by import generation
from genolift.settings.model import ModelSpec
from genolift.settings.reading import value_of_yaml

_YAML_SUFFIXES = (".yaml", ".yml")
_IN_YAML = re.compile(rb"^(backend|class_name|config|keras_version):", re.MULTILINE)
_START = 1000
_LOG = logging.getLogger("genolift")
_BACKENDS = ("theano", "tensorflow", "cntk", "jax", "torch")
ARCHIVED_WEIGHTS = "model.weights.h5"


@dataclass(frozen=True)
class KerasFile:
    """A saved model."""

    path: Path
    architecture: Mapping[str, Any]
    """Keras's {"class_name": ..., "config": ...}."""
    weights: Path
    """An .h5 in any layout of Keras, or the .keras archive that contains one."""
    version: str
    """Version of Keras that wrote the architecture: "2.3.1", or "3" if only that is known; "0" before 1.0."""
    weights_version: str
    """Version of the Keras that wrote the weights."""
    backend: str | None
    """The backend of that Keras, or None if unknown. (Theano flips a convolution's kernel.)"""
    assumed: str | None = None
    """Which version was assumed and why, if the file names none."""

    @property
    def major(self) -> int:
        """The major version of the Keras that wrote the architecture."""
        return numbers_of(self.version)[0]

    @property
    def weights_release(self) -> tuple[int, ...]:
        """The numbers of the version that wrote the weights, such as (2, 3, 1)."""
        return numbers_of(self.weights_version)


def of_tensorflow(version: str) -> bool:
    """Whether a Keras is TensorFlow's or at least 2.4: there, freezing a model also freezes its layers."""
    return version.endswith("-tf") or numbers_of(version) >= (2, 4)


def numbers_of(version: str) -> tuple[int, ...]:
    """Return a version's numbers, such as (2, 3, 1)."""
    numbers = [part for part in version.split("-")[0].split(".")[:3] if part.isdecimal()]
    return tuple(int(number) for number in numbers) or (1,)


def read_keras_file(spec: ModelSpec) -> KerasFile:
    """Return the contents of a ``.keras``, ``.h5``, ``.json`` or ``.yaml``.

    Raises
    ------
    InputError
        If the file is none of these, is damaged, or lacks the architecture or the weights.
    """
    if Path(spec.path, "saved_model.pb").is_file():
        raise InputError(
            "is a TensorFlow SavedModel, from which layers cannot be read",
            where=f"model.path: {spec.path}",
            remedy='save the Keras model with model.save("model.keras") or model.save("model.h5")',
        )
    path = existing_file(spec.path, where="model.path")
    _check_arguments(spec)
    check_file(path, "model.path", spec.sha256)
    if spec.weights is not None and (is_archive(path) or h5py.is_hdf5(path)):
        raise InputError(
            f"is given, but {path} already contains weights",
            where="model.weights",
            remedy="leave it out, or give the architecture alone (.json) as model.path",
        )
    if is_archive(path):
        saved = _archive(path)
    elif h5py.is_hdf5(path):
        saved = _whole_model(path)
    else:
        saved = _architecture(path, spec.weights)
    return _with_backend(saved, spec.arguments.get("backend"))


def _check_arguments(spec: ModelSpec) -> None:
    unknown = [key for key in spec.arguments if key not in ("backend", "training")]
    if unknown:
        raise InputError(
            f"a Keras model takes no argument {unknown[0]}",
            where="model.arguments",
            remedy="leave it out; a Keras model takes backend: theano or tensorflow, and training: false",
        )
    if spec.arguments.get("training", False) is not False:
        raise InputError(
            f"training is {spec.arguments['training']!r}",
            where="model.arguments",
            remedy="leave it out, or write training: false, to explain the model as it is in evaluation",
        )


def _with_backend(saved: KerasFile, said: str | None) -> KerasFile:
    """Return a file with the backend that the user states, else its own, else the usual one at its time."""
    if said not in (None, *_BACKENDS):
        raise InputError(
            f"{said!r} is not a backend",
            where="model.arguments",
            remedy=f"write one of {', '.join(_BACKENDS)}",
        )
    if said is None and saved.backend is None and "Convolution" in json.dumps(saved.architecture):
        # Keras itself assumes that a file of Keras 1 was written with the backend that reads it
        said, other = ("theano", "tensorflow") if saved.major == 0 else ("tensorflow", "theano")
        _LOG.warning(
            "%s: does not name the backend of its Keras, and %s is assumed; if it was %s, whose kernels are "
            "the other way round, set model.arguments: {backend: %s}",
            saved.path,
            *(said, other, other),
        )
    return replace(saved, backend=said or saved.backend)


def _archive(path: Path) -> KerasFile:
    with opened_archive(path, "model.path") as archive:
        names = archive.namelist()
        missing = [name for name in ("config.json", ARCHIVED_WEIGHTS) if name not in names]
        if missing:
            raise _damaged(path, ValueError(f"it has no {missing[0]}"), ".keras archive")
        try:
            architecture = json_in(archive, "config.json")
            metadata = json_in(archive, "metadata.json") if "metadata.json" in names else {}
        except ValueError as error:
            raise _damaged(path, error, ".keras archive") from error
    said = _version(metadata, architecture) or ""
    return _dated(KerasFile(path, _checked(architecture, path), path, said, said, None), "3")


def _whole_model(path: Path) -> KerasFile:
    attributes = _attributes(path, "model.path")
    if "model_config" not in attributes:
        raise InputError(
            "holds weights but no architecture",
            where=f"model.path: {path}",
            remedy="give the architecture's .json as model.path and this file as model.weights",
        )
    architecture = _json(attributes["model_config"], path)
    said = _version(attributes, architecture) or ""
    return _dated(KerasFile(path, _checked(architecture, path), path, said, said, attributes.get("backend")))


def _architecture(path: Path, weights: str | None) -> KerasFile:
    with path.open("rb") as file:
        text = file.read(MOST_JSON_BYTES + 1)
    in_yaml = path.suffix in _YAML_SUFFIXES or _IN_YAML.search(text[:_START]) is not None
    architecture = _yaml(path) if in_yaml and text.lstrip()[:1] != b"{" else _json(text, path)
    if weights is None:
        raise InputError(
            "holds an architecture but no weights",
            where=f"model.path: {path}",
            remedy="give the weights file (.h5) as model.weights",
        )
    weights_path = existing_file(weights, where="model.weights")
    if not h5py.is_hdf5(weights_path):
        raise InputError(
            "is not an HDF5 file",
            where=f"model.weights: {weights_path}",
            remedy="give the .h5 file that model.save_weights wrote",
        )
    attributes = _attributes(weights_path, "model.weights")
    version, of_weights = _version(architecture) or "", _version(attributes) or ""
    if not version and "layers" in architecture and "config" not in architecture:
        version = "0"  # Keras before 1.0 wrote the layers at the top level
    if not of_weights and "nb_layers" in attributes and "layer_names" not in attributes:
        of_weights = "0"
    backend = attributes.get("backend") or architecture.get("backend")
    return _dated(KerasFile(path, _checked(architecture, path), weights_path, version, of_weights, backend))


def _dated(saved: KerasFile, untold: str = "1") -> KerasFile:
    """Return a file with missing versions filled in: those that its keywords reveal, else ``untold``."""
    if saved.version:
        return replace(saved, weights_version=saved.weights_version or saved.version)
    told, of_weights = generation(saved.architecture), saved.weights_version
    same = (None, "1") if of_weights == "0" else (None, of_weights[:1])  # before 1.0: keywords as in 1
    if of_weights and told in same:
        return replace(saved, version=of_weights)
    version = told or untold
    assumed = f"it names no version of Keras, and is read as if written by Keras {version}, " + (
        "whose keywords it uses" if told else "though nothing in it confirms that"
    )
    if told is None:
        _LOG.warning("%s: %s", saved.path, assumed)
    return replace(saved, version=version, weights_version=of_weights or version, assumed=assumed)


def _attributes(path: Path, key: str) -> dict[str, str]:
    """Return the attributes of an HDF5 file as text, except the training configuration."""
    remedy = "copy it again, or save the model anew"
    refusal = Refusal("cannot be read as an HDF5 file of Keras", f"{key}: {path}", remedy)
    with opened_hdf5(path, refusal) as file, reading(refusal):
        return {key: _text(file.attrs[key]) for key in file.attrs if key != "training_config"}


def _checked(architecture: Any, path: Path) -> Mapping[str, Any]:
    """Return an architecture as {"class_name", "config"}, for any version of Keras."""
    if isinstance(architecture, Mapping):
        if "class_name" in architecture and "config" in architecture:
            return architecture
        if isinstance(architecture.get("layers"), list):
            return {"class_name": architecture.get("name", "Sequential"), "config": architecture["layers"]}
    raise InputError(
        "holds no Keras architecture",
        where=f"model.path: {path}",
        remedy="give the file that model.save or model.to_json wrote",
    )


def _version(*said: Any) -> str | None:
    """Return the version of Keras from the first of some mappings that names one."""
    found = (each.get("keras_version") for each in said if isinstance(each, Mapping))
    return next((str(version) for version in found if version), None)


def _json(text: str | bytes, path: Path) -> dict[str, Any]:
    try:
        loaded = parsed_json(text)
    except ValueError as error:
        raise _damaged(path, error, "Keras architecture in JSON") from error
    return loaded if isinstance(loaded, dict) else {}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path, most=MOST_CHARACTERS).replace("!!python/tuple", "!!seq")
        loaded = value_of_yaml(text, f"model.path: {path}")
    except InputError as error:
        raise InputError(
            f"is not an architecture in plain YAML: {error.what}",
            where=error.where,
            remedy="write it as JSON with the Keras that wrote it: "
            'open("model.json", "w").write(keras.models.model_from_yaml(open(FILE)).to_json())',
        ) from error
    return loaded if isinstance(loaded, dict) else {}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _damaged(path: Path, error: Exception, what: str) -> InputError:
    return InputError(
        f"is not a complete {what} ({type(error).__name__}: {error})".replace("\n", " "),
        where=f"model.path: {path}",
        remedy="copy it again",
    )
