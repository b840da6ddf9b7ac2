"""From a saved file to a callable model.

Weights and exported programs are read without running code (`weights`, `exported`): a file that could run
code is refused unless the user sets ``trust``. A file's format is recognised by its content (`forms`).
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from genolift.data.track_names import read_track_names
from genolift.engine.graph.own_state import own_state
from genolift.errors import InputError
from genolift.files.integrity import check_file
from genolift.files.of_models import existing_model, file_digests, model_files, model_sha256, sharded
from genolift.files.pickled_code import pickled_code_files
from genolift.files.whole import sha256
from genolift.models.classes import class_file, imported, model_class
from genolift.models.exported.reading import exported_program
from genolift.models.fitting import fill
from genolift.models.forms import Form, form_of
from genolift.models.layout import Described, axes_of_shape, laid_out, length_of_shape, shape_of_program
from genolift.models.own_code import digests_of_imports, warn_of_unlisted_imports
from genolift.models.torchscript import torchscript
from genolift.models.weights import Weights, in_form, saved_weights, weights_of
from genolift.settings.model import BASES_FIRST, ModelSpec

_LOG = logging.getLogger("genolift")
Model = nn.Module | ExportedProgram
_LONGEST_INPUT = 10**8
"""More bases than any model's input has: as one-hot float32 they take 1.6 GB."""
_KERAS = (Form.KERAS, Form.HDF5, Form.JSON)
_KERAS_SUFFIXES = (".keras", ".h5", ".hdf5", ".json", ".yaml", ".yml")


@own_state()
def load_model(spec: str | Path | Mapping[str, Any] | ModelSpec) -> Model:
    """Return the model of a path or of a config's ``model:`` section, in evaluation mode, on the CPU.

    Parameters
    ----------
    spec
        A path, or a mapping with the keys of `ModelSpec`.

    Raises
    ------
    InputError
        If a file or class does not exist or cannot be read, weights do not fit the class, or a file could
        run code and there is no ``trust``.
    """
    spec = ModelSpec.of(spec)
    if is_keras(spec):
        # Keras is imported only for Keras models: it takes seconds, and is an extra
        from genolift.models.keras.loading import load_keras

        net, axes = load_keras(spec)
        _name_tracks(net, spec)
        _warn_of_unlisted_imports(spec)
        return laid_out(net, spec, axes)
    model = own_model(spec)
    _warn_of_unlisted_imports(spec)
    return of_dna(model, spec)


def of_dna(model: Model, spec: ModelSpec) -> Model:
    """Return a model as its author made it as one of (n, 4, length), A C G T.

    Raises
    ------
    InputError
        If genolift export wrote it with other extra channels.
    """
    channels = getattr(model, "extra_channels", None)
    if not isinstance(model, ExportedProgram):
        return laid_out(model, spec)
    if channels is None:
        return laid_out(model, spec, axes_of_program(model, spec))
    if channels != spec.extra_channels:
        raise InputError(
            f"was written by genolift export with {channels} extra channels",
            where=f"model.path: {spec.path}",
            remedy=f"set extra_channels: {channels}",
        )
    if spec.axes is not None or spec.alphabet.upper().replace("U", "T") != "ACGT":
        _LOG.warning(
            "model.path: %s: takes (n, 4, length), A C G T, as genolift export wrote it; model.axes and "
            "model.alphabet are ignored",
            spec.path,
        )
    return model


def axes_of_program(program: ExportedProgram, spec: ModelSpec) -> str:
    """Return the axes of a program's DNA: those of the spec, or those that its shape says."""
    shape, channels = shape_of_program(program), len(spec.alphabet) + spec.extra_channels
    if spec.axes is not None or (len(shape) == 2 and shape[0] == channels):
        return spec.axes or BASES_FIRST
    return axes_of_shape(shape, channels) or BASES_FIRST


def is_keras(spec: ModelSpec) -> bool:
    """Whether a model's file is a Keras file.

    Raises
    ------
    InputError
        If it does not exist.
    """
    path = Path(spec.path)
    if (path / "saved_model.pb").is_file():  # TensorFlow's folder; Keras can save it in another form
        return True
    if sharded(path) is not None:
        return False
    form = form_of(existing_model(path))
    return form in _KERAS or (form is Form.UNKNOWN and path.suffix in _KERAS_SUFFIXES)


def own_model(spec: ModelSpec) -> Model:
    """Return a model as its author made it, with its own input layout; for Keras see `load_keras`.

    Raises
    ------
    InputError
        As `load_model`.
    """
    model = _as_saved(spec)
    _name_tracks(model, spec)
    return model


def _name_tracks(model: Any, spec: ModelSpec) -> None:
    """Give a model the names of its tracks, where there is a table of them."""
    if spec.tracks is not None:
        model.tasks = read_track_names(spec.tracks)


def _as_saved(spec: ModelSpec) -> Model:
    path = existing_model(spec.path)
    for key in ("weights", "custom_layers"):
        if getattr(spec, key) is not None:
            raise InputError(
                f"applies only to Keras models, and {path} is not one",
                where=f"model.{key}",
                remedy="leave it out; weights for a class are given as model.path",
            )
    if sharded(path) is not None:
        return _with_weights(saved_weights(path, spec.sha256, trust=spec.trust), spec)
    form = form_of(path)
    check_file(path, "model.path", spec.sha256)
    if form in (Form.PROGRAM, Form.COMPILED):
        return exported_program(path, form, spec.trust)
    if form is Form.TORCHSCRIPT:
        return torchscript(path, spec)
    saved = in_form(form, path, spec.trust, _script(spec))
    if not isinstance(saved, nn.Module):
        return _with_weights(saved, spec)
    if spec.class_name is None or _is_as_it_is(saved, spec):
        return saved.eval()
    return _with_weights(weights_of(saved.state_dict(), path), spec)


def _script(spec: ModelSpec) -> Callable[[], ModuleType] | None:
    """Return a function that gives the module of the model's class, which may have been a pickle's script."""
    name = spec.class_name
    if name is None:
        return None
    return lambda: imported(name.rpartition(":")[0], f"model.class: {name}")[0]


def _is_as_it_is(module: nn.Module, spec: ModelSpec) -> bool:
    """Whether a pickled module is an instance of the named class, and is not to be rebuilt with arguments."""
    name = spec.class_name
    return name is not None and not spec.arguments and type(module) is model_class(name, trust=True).made_by


def _with_weights(weights: Weights, spec: ModelSpec) -> nn.Module:
    class_name, where = spec.class_name, f"model.path: {spec.path}"
    if class_name is None:
        raise InputError(
            "holds weights but no model",
            where=where,
            remedy="name the class to put them in, class: path/to/model.py:Class",
        )
    found = model_class(class_name, trust=spec.trust)
    try:
        model = found.make(spec.arguments)
    except InputError as error:
        said = {key: weights.settings[key] for key in found.keywords() if key in weights.settings}
        if not said:
            raise
        saved = "the checkpoint's hyper_parameters say" if sharded(spec.path) is None else "config.json says"
        remedy = f"{error.remedy}; {saved} {said}"
        raise InputError(error.what, where=error.where, remedy=remedy) from error
    fill(model, weights, found, spec.arguments, where=where, class_name=class_name, trust=spec.trust)
    return model.eval()


def _pickled_code(spec: ModelSpec) -> dict[str, str]:
    """Return the SHA-256 of the user's files that a trusted pickle imports, by name."""
    pickles = map(Path, model_files(spec.path)) if spec.trust else ()
    files = {name: path for pickle in pickles for name, path in pickled_code_files(pickle).items()}
    return {name: sha256(path) for name, path in files.items()}


def _expected(spec: ModelSpec) -> dict[str, Any]:
    """Return the files of the author's outputs with their SHA-256, and the tolerance."""
    if spec.expect is None:
        return {}
    digests = {f"{key}_sha256": sha256(getattr(spec.expect, key)) for key in ("inputs", "outputs")}
    return spec.expect.keys() | digests


def _warn_of_unlisted_imports(spec: ModelSpec) -> None:
    for location in spec.code:
        where = "model.custom_layers" if location == spec.custom_layers else "model.class"
        warn_of_unlisted_imports(location, where)


def input_length(model: Model, spec: ModelSpec) -> int | None:
    """Return the model's input length in bases, if the spec or the model says it.

    Raises
    ------
    InputError
        If the model claims an impossible length.
    """
    if spec.input_length is not None:
        return spec.input_length
    said = getattr(model, "input_length", None)
    if not isinstance(said, int) and isinstance(model, ExportedProgram):
        said = length_of_shape(shape_of_program(model), spec.axes or BASES_FIRST)
    if not isinstance(said, int):
        return None
    if not 0 < said <= _LONGEST_INPUT:
        raise InputError(
            f"claims that its input has {said} bases",
            where=f"model.path: {spec.path}",
            remedy="give model.input_length (--input-length), the bases that the model was trained on",
        )
    return said


def known_input_length(model: Model, spec: ModelSpec) -> int:
    """Return the model's input length in bases.

    Raises
    ------
    InputError
        As `input_length`, and if neither the spec nor the model says it.
    """
    length = input_length(model, spec)
    if length is None:
        what = "the model does not say its input length"
        raise InputError(what, where="--input-length", remedy="give it, in bases")
    return length


def assumption(model: Model) -> str | None:
    """Return what was assumed about a model because its file does not say; None if nothing was."""
    if isinstance(model, ExportedProgram):
        return None
    said = (module.assumed for module in model.modules() if isinstance(module, Described))
    return next((each for each in said if each is not None), None)


def model_provenance(spec: ModelSpec) -> dict[str, Any]:
    """Return a loaded model's identity: its files' SHA-256, how it was made, and how it reads DNA.

    Keys are "model" and "model_...", in the order in which the report shows them.
    """
    code = class_file(spec.class_name)
    _warn_of_unlisted_imports(spec)
    location = (spec.class_name or "").rpartition(":")[0]
    return {
        "model": spec.path,
        "model_sha256": model_sha256(spec.path),
        "model_files": file_digests(spec.path),
        "model_weights": spec.weights,
        "model_weights_sha256": sha256(spec.weights) if spec.weights else None,
        "model_class": spec.class_name,
        "model_class_sha256": sha256(code) if code else None,
        "model_imports": digests_of_imports(location) if location else {},
        "model_arguments": dict(spec.arguments),
        "model_custom_layers": spec.custom_layers,
        "model_custom_layers_sha256": sha256(spec.custom_layers) if spec.custom_layers else None,
        "model_custom_layers_imports": digests_of_imports(spec.custom_layers) if spec.custom_layers else {},
        "model_axes": spec.axes,
        "model_alphabet": spec.alphabet,
        "model_extra_channels": spec.extra_channels,
        "model_trusted": spec.trust,
        "model_pickled_code": _pickled_code(spec),
        "model_expect": _expected(spec),
        "model_tracks": spec.tracks,
        "model_tracks_sha256": sha256(spec.tracks) if spec.tracks else None,
    }
