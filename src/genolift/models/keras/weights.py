"""Puts the weights of Keras files, in any layout, into layers.

Layouts: that of Keras before 1.2 (groups layer_0, param_0), that of .h5 since (attributes layer_names and
weight_names), and that of .keras and Keras 3 (layers/.../vars/0, with the layer's name as an attribute, or in
older files identified only by its class and a number).
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count, takewhile
from typing import Any, Protocol

import h5py
import keras
import numpy as np
from keras.src.utils.naming import to_snake_case
from numpy.typing import NDArray

from genolift.errors import InputError, Refusal
from genolift.files.hdf5 import opened_hdf5, reading
from genolift.files.integrity import is_archive, opened_archive
from genolift.models.keras.files import ARCHIVED_WEIGHTS, KerasFile, of_tensorflow
from genolift.models.keras.nested_weights import Arrays, Path, Writer, names_fit, owners, owners_by_name
from genolift.models.keras.net import KerasNet
from genolift.models.keras.old_weights import modern_weights

_LOG = logging.getLogger("genolift")


class SavedWeights(Protocol):
    """The weights of the layers of one model."""

    def arrays(self, layer: str) -> Arrays:
        """Return a layer's own weights, or an empty dict if the file has none."""
        ...

    def put(self, layer: str, built: keras.layers.Layer) -> None:
        """Put a layer's weights into it.

        Raises
        ------
        ValueError
            If they do not fit.
        """
        ...

    def within(self, model: str, net: KerasNet, *, built: bool) -> SavedWeights:
        """Return the weights of the layers of a model that is a layer of this one.

        Before its layers are ``built``, only those whose names show which layer they belong to.
        """
        ...


@contextmanager
def opened_weights(saved: KerasFile, net: KerasNet) -> Iterator[SavedWeights]:
    """Open the weights of a model.

    Raises
    ------
    InputError
        If they are damaged, or not in a layout that Keras writes.
    """
    remedy = "copy it again, or save the model anew"
    refusal = Refusal("its weights cannot be read", f"model: {saved.weights}", remedy)
    source: Any = saved.weights
    try:
        if is_archive(saved.weights):
            with opened_archive(saved.weights, "model.weights") as archive:
                source = io.BytesIO(archive.read(ARCHIVED_WEIGHTS))
    except OSError as error:
        raise refusal(error) from error
    with opened_hdf5(source, refusal) as file:
        with reading(refusal):
            weights = _weights(file.get("model_weights", file), saved, net, refusal)
        yield weights


def _weights(file: h5py.Group, saved: KerasFile, net: KerasNet, refusal: Refusal) -> SavedWeights:
    if "layer_names" in file.attrs or "layer_names0" in file.attrs:
        return _ByName({name: _named(file[name]) for name in _listed(file, "layer_names")}, saved)
    if "nb_layers" in file.attrs:
        numbered = [_numbered(file[f"layer_{number}"]) for number in range(int(file.attrs["nb_layers"]))]
        return _ByName(dict(zip(net.layers, numbered, strict=False)), saved)
    if "layers" in file or "_layer_checkpoint_dependencies" in file:
        return _ByPath(file, net, refusal)
    raise InputError(
        "holds no weights in a layout that Keras writes",
        where=f"model: {saved.weights}",
        remedy="give the file that model.save or model.save_weights wrote",
    )


def _plain_name(name: str, layer: str) -> str:
    """Return a weight's name in Keras 2, without its layer's."""
    last = name.rpartition("/")[2].partition(":")[0].removeprefix(f"{layer}_")
    return {"W": "kernel", "b": "bias", "U": "recurrent_kernel"}.get(last, last)


def _named(group: h5py.Group) -> Arrays:
    return {name: _values(group[name]) for name in _listed(group, "weight_names")}


def _listed(group: h5py.Group, key: str) -> list[str]:
    """Return the names in an attribute, or in key0, key1, ... if they were too long for one in HDF5."""
    if key in group.attrs:
        return [_text(name) for name in group.attrs[key]]
    parts = takewhile(lambda part: part in group.attrs, (f"{key}{number}" for number in count()))
    return [_text(name) for part in parts for name in group.attrs[part]]


def _numbered(group: h5py.Group) -> Arrays:
    number = int(group.attrs.get("nb_params", 0))
    return {f"param_{each}": _values(group[f"param_{each}"]) for each in range(number)}


def _values(dataset: h5py.Dataset) -> NDArray[Any]:
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "biuf":
        raise ValueError(f"{dataset.name} does not contain numbers")
    values: NDArray[Any] = dataset[()]
    return values


class _ByName:
    """Weights given as one list per layer."""

    def __init__(self, of_layer: Mapping[str, Arrays], saved: KerasFile) -> None:
        self.of_layer, self.saved = of_layer, saved

    def arrays(self, layer: str) -> Arrays:
        found = self.of_layer.get(layer, {})
        return {_plain_name(name, layer): value for name, value in found.items()}

    def put(self, layer: str, built: keras.layers.Layer) -> None:
        names = self.of_layer.get(layer, {})
        if not names_fit(list(names), built):
            raise ValueError(f"its weights are in a different order from the layer's: {', '.join(names)}")
        found = list(names.values())
        if found:
            found = modern_weights(found, built, self.saved.weights_release, self.saved.backend)
        wanted = built.weights
        if len(found) != len(wanted):
            raise ValueError(f"the file has {len(found)} weights for it, but it takes {len(wanted)}")
        for variable, value in zip(wanted, found, strict=True):
            _assign(variable, value)

    def within(self, model: str, net: KerasNet, *, built: bool) -> SavedWeights:
        found = self.of_layer.get(model, {})
        if not built:
            return _Within(owners_by_name(found, net), self.saved)
        writer = Writer(self.saved.weights_release, of_tensorflow(self.saved.weights_version))
        return _Within(owners(found, net, writer), self.saved)


def by_order(weights: SavedWeights, net: KerasNet, where: str) -> SavedWeights:
    """Return weights by the layers of a built model, matched in order if the file names other layers.

    Keras does the same, since a model made twice in one session gets other names, such as conv1d_1.
    """
    if not isinstance(weights, _ByName):
        return weights  # weights in groups can be matched by the layers' classes and numbers
    held = [name for name, arrays in weights.of_layer.items() if arrays]
    others = [name for name in held if name not in net.layers]
    taking = [name for name, layer in net.layers.items() if _takes_weights(layer)]
    if not others or len(taking) != len(held):
        return weights
    _say_other_names(where, others[0])
    of_layer = dict(zip(taking, map(weights.of_layer.__getitem__, held), strict=True))
    return _ByName(of_layer, weights.saved)


def _say_other_names(where: str, name: str) -> None:
    _LOG.warning(
        "%s: the weights belong to layers of other names (%s), and are assigned in order", where, name
    )


def _takes_weights(layer: Any) -> bool:
    return any(isinstance(each, keras.layers.Layer) and each.weights for each in layer.modules())


class _Within(_ByName):
    """Weights of a nested model, by its layers and those of the models in it."""

    def __init__(self, of_path: Mapping[Path, Arrays], saved: KerasFile) -> None:
        super().__init__({path[0]: arrays for path, arrays in of_path.items() if len(path) == 1}, saved)
        self.of_path = of_path

    def within(self, model: str, net: KerasNet, *, built: bool) -> SavedWeights:
        inside = {path[1:]: arrays for path, arrays in self.of_path.items() if path[0] == model}
        return _Within({path: arrays for path, arrays in inside.items() if path}, self.saved)


class _ByPath:
    """Weights in one group per layer, which contains a group for each layer inside it."""

    def __init__(self, file: h5py.Group, net: KerasNet, refusal: Refusal) -> None:
        self.refusal = refusal
        groups = file.get("layers", file.get("_layer_checkpoint_dependencies", {}))
        self.of_layer: dict[str, h5py.Group] = {}
        for group in groups.values():
            own = group["vars"].attrs.get("name") if "vars" in group else None
            if own is not None:
                self.of_layer[_text(own)] = group
        others = [name for name in self.of_layer if name not in net.graph.layers]
        renamed = [name for name in others if _holds_weights(self.of_layer[name])]
        if renamed:
            _say_other_names(net.where, renamed[0])
        if not self.of_layer or renamed:
            self.of_layer = _by_class(groups, net)

    def arrays(self, layer: str) -> Arrays:
        with reading(self.refusal):
            found = self.of_layer.get(layer, {}).get("vars", {})
            return {key: _values(found[key]) for key in sorted(found, key=int)}

    def put(self, layer: str, built: keras.layers.Layer) -> None:
        group = self.of_layer.get(layer)
        if group is None:
            if built.weights:
                raise ValueError(
                    "the file has no weights for it (it has those of a layer shared by two models, or by a "
                    "wrapper and a model, only once; an .h5 has them twice)"
                )
            return
        filled = len(_fill(built, group))
        if filled != len(built.weights):
            raise ValueError(f"the file has {filled} weights for it, but it takes {len(built.weights)}")

    def within(self, model: str, net: KerasNet, *, built: bool) -> SavedWeights:
        if model not in self.of_layer:
            raise ValueError("the file has no weights for it")
        with reading(self.refusal):
            group = self.of_layer[model]
            # the weights of a layer that applies a model to each position are in a group "layer"
            return _ByPath(group if "layers" in group else group.get("layer", group), net, self.refusal)


def _by_class(groups: Mapping[str, h5py.Group], net: KerasNet) -> dict[str, h5py.Group]:
    """Return the layers' groups, which are named by class and number, such as conv1d, conv1d_1.

    Numbers may have gaps, and groups without weights may be missing, but the order is that of the layers.
    """
    of_class: dict[str, list[str]] = {}
    for name, layer in net.graph.layers.items():
        of_class.setdefault(to_snake_case(layer.class_name.rpartition(">")[2]), []).append(name)
    found: dict[str, h5py.Group] = {}
    for class_name, layers in of_class.items():
        numbers = {key: key.removeprefix(class_name).removeprefix("_") or "0" for key in groups}
        keys = [key for key in groups if key.startswith(class_name) and numbers[key].isdecimal()]
        keys.sort(key=lambda key: int(numbers[key]))
        if len(keys) != len(layers):
            keys = [key for key in keys if _holds_weights(groups[key])]
        if keys and len(keys) != len(layers):
            raise ValueError(f"it has {len(keys)} {class_name} layers with weights, the model {len(layers)}")
        found |= {layer: groups[key] for layer, key in zip(layers, keys, strict=False)}
    return found


def _holds_weights(group: h5py.Group) -> bool:
    return any(isinstance(each, h5py.Dataset) or _holds_weights(each) for each in group.values())


def _fill(built: Any, group: h5py.Group) -> set[int]:
    """Fill a layer, and the layers inside it found as attributes named like the groups.

    Return the ids of the filled weights: a weight may belong both to a layer and to one inside it.
    """
    filled: set[int] = set()
    if "vars" in group:
        found = group["vars"]
        variables = [*built._trainable_variables, *built._non_trainable_variables]
        if len(variables) == len(found):
            for key, variable in zip(sorted(found, key=int), variables, strict=True):
                _assign(variable, _values(found[key]))
                filled.add(id(variable))
    for key in group:
        inner = getattr(built, key, None) or getattr(built, f"_{key}", None)
        if key != "vars" and isinstance(inner, keras.layers.Layer):
            filled |= _fill(inner, group[key])
    return filled


def _assign(variable: Any, value: NDArray[Any]) -> None:
    if len(variable.shape) == 1 and max(value.shape, default=0) == value.size:
        value = value.reshape(-1)  # Keras 2's batch norm with virtual_batch_size: (1, 1, 1, channel)
    if tuple(variable.shape) != value.shape:
        raise ValueError(
            f"its {variable.name} is {value.shape} in the file, {tuple(variable.shape)} in the layer"
        )
    variable.assign(np.asarray(value, dtype="float32"))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
