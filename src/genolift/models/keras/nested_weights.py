"""Which layer each weight of a nested model belongs to, in files that hold all of them in one list.

A .h5 of any Keras has one list of weights for each layer of the outer model. Where that layer is a model, the
list holds the weights of all its layers, those that are trained first; which those are follows ``trainable``
of each layer and of the models around it. Names are surer than this order, since an architecture's .json may
have been written before layers were frozen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import keras
from numpy.typing import NDArray

from genolift.models.keras.each_position import EachPosition
from genolift.models.keras.net import KerasNet
from genolift.models.keras.old_weights import number_saved

Arrays = dict[str, NDArray[Any]]
"""Weights by name, in the order of the file."""
Path = tuple[str, ...]
"""A layer by its name and those of the models around it, the outermost first."""
_MOST_UNSAID = 6
_ALIKE = {"depthwise_kernel": "kernel"}
_WORDS = frozenset(
    ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "recurrent_kernel", "embeddings")
)
"""Names of weights that mean the same in every Keras since 2; others changed from one to the next."""


@dataclass(frozen=True)
class Writer:
    """The Keras that wrote the weights, whose version says how it ordered them."""

    release: tuple[int, ...]
    """Keras 3 goes through the layers once; before it, each model within listed its trained weights first."""
    of_tensorflow: bool
    """Whether freezing a model freezes its layers too, so that their settings tell of it."""


@dataclass(frozen=True)
class _Layer:
    """A layer of a model within, or of one inside that, by its place among them."""

    path: Path
    made: Any
    frozen: bool


Slots = list[Path]
"""The layer of each weight in a file's list."""


def names_fit(names: list[str], layer: Any) -> bool:
    """Whether weights of these names can be those of a layer, in its order: not a bias where its kernel is.

    Names without a scope, those of Keras 1, tell nothing here.
    """
    wanted = layer.weights
    scopes = {name.rpartition("/")[0] for name in names}
    reordered = isinstance(layer, keras.layers.SpectralNormalization)  # it is told by shapes, in old_weights
    if len(names) != len(wanted) or "" in scopes or reordered:
        return True
    if isinstance(layer, keras.layers.Bidirectional):
        ways = ["/backward_" in name for name in names]
        if any(before and not after for before, after in pairwise(ways)):
            return False
    elif not layer._layers and len(scopes) > 1:
        return False
    words = [(_word(name), _word(variable.name)) for name, variable in zip(names, wanted, strict=True)]
    return all(ours == theirs for ours, theirs in words if {ours, theirs} <= _WORDS)


def owners_by_name(found: Arrays, net: KerasNet) -> dict[Path, Arrays]:
    """Return weights by the layer that their names have; those whose names tell no layer are left out."""
    paths = [layer.path for layer in _layers_of(net)]
    owned: dict[Path, Arrays] = {}
    for name, value in found.items():
        owner = _owner(name, paths)
        if owner is not None:
            owned.setdefault(owner, {})[name] = value
    return owned


def owners(found: Arrays, net: KerasNet, writer: Writer) -> dict[Path, Arrays]:
    """Return the weights of each layer of a model whose layers are built.

    Raises
    ------
    ValueError
        If neither names nor order tell which weight belongs to which layer.
    """
    by_name = owners_by_name(found, net)
    all_named = sum(map(len, by_name.values())) == len(found)
    if all_named and _all_fit(by_name, net, writer):
        return by_name
    fitting: dict[tuple[Path, ...], dict[Path, Arrays]] = {}
    for slots in _possible_orders(net, writer):
        if len(slots) != len(found):
            if all_named:
                return by_name  # so that the layer is told whose weights do not fit
            raise ValueError(f"the file has {len(found)} weights of it, it takes {len(slots)}")
        shared_out: dict[Path, Arrays] = {}
        for path, (name, value) in zip(slots, found.items(), strict=True):
            shared_out.setdefault(path, {})[name] = value
        if _all_fit(shared_out, net, writer):
            fitting[tuple(slots)] = shared_out
    if all_named and not fitting:
        return by_name
    if len(fitting) != 1:
        why = "more than one order fits" if fitting else "none fits"
        raise ValueError(
            f"neither the names of its {len(found)} weights, such as {next(iter(found))}, nor their order, "
            f"which follows what was frozen, tell which layer each belongs to ({why})"
        )
    return next(iter(fitting.values()))


def _word(name: str) -> str:
    last = name.rpartition("/")[2].partition(":")[0]
    return _ALIKE.get(last, last)


def _layers_and_models(net: KerasNet) -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model by name, in the place of one that applies a model that model."""
    for name, made in net.layers.items():
        yield name, made.inside if isinstance(made, EachPosition) else made


def _layers_of(net: KerasNet, around: Path = ()) -> Iterator[_Layer]:
    for name, made in _layers_and_models(net):
        if isinstance(made, KerasNet):
            yield from _layers_of(made, (*around, name))
        else:
            yield _Layer((*around, name), made, _is_frozen(net.graph.layers[name].config))


def _is_frozen(config: Mapping[str, Any]) -> bool:
    """Whether a layer is frozen, or that which it wraps."""
    inner = config.get("layer")
    wrapped = inner.get("config") if isinstance(inner, Mapping) else None
    return config.get("trainable") is False or (
        isinstance(wrapped, Mapping) and wrapped.get("trainable") is False
    )


def _owner(name: str, paths: list[Path]) -> Path | None:
    """Return which layer a weight's name has, "model/conv/kernel:0" or in Keras 1 "conv_W"; else None.

    Of layers of one name it is that whose models' names are there too.
    """
    if "/" not in name:
        longest = max((path[-1] for path in paths if name.startswith(f"{path[-1]}_")), key=len, default=None)
        named = [path for path in paths if path[-1] == longest]
        return named[0] if len(named) == 1 else None
    scope = f"/{name.rpartition('/')[0]}/"
    told = {
        path: sum(f"/{model}/" in scope for model in path[:-1]) for path in paths if f"/{path[-1]}/" in scope
    }
    best = [path for path, number in told.items() if number == max(told.values())]
    return best[0] if len(best) == 1 else None


def _all_fit(shared_out: Mapping[Path, Arrays], net: KerasNet, writer: Writer) -> bool:
    return all(_fit(shared_out.get(layer.path, {}), layer.made, writer) for layer in _layers_of(net))


def _fit(arrays: Arrays, made: Any, writer: Writer) -> bool:
    """Whether arrays can be the weights of a layer, by number, names and sizes."""
    if not isinstance(made, keras.layers.Layer):  # a user's function, whose weights only its code knows
        return True
    if len(arrays) != number_saved(made, writer.release) or not names_fit(list(arrays), made):
        return False
    return len(arrays) != len(made.weights) or all(
        value.size == math.prod(variable.shape) or "bias" in variable.name  # CuDNN's layers have two
        for value, variable in zip(arrays.values(), made.weights, strict=True)
    )


def _possible_orders(net: KerasNet, writer: Writer) -> Iterator[Slots]:
    """Yield each order that the settings leave open, as the layer of each weight in the file."""
    if writer.release[0] >= 3:
        yield _order_of_keras3(net, writer)
        return
    models = dict(_models_of(net))
    frozen = {path: made.graph.trainable is False for path, made in models.items()}
    unsaid = [
        path
        for path, made in models.items()
        if made.graph.trainable is None and (not writer.of_tensorflow or _partly_frozen(made))
    ]
    if len(unsaid) > _MOST_UNSAID:
        raise ValueError(f"it has {len(unsaid)} models within that may have been frozen or not")
    for chosen in product((False, True), repeat=len(unsaid)):
        trained, others = _order_before_3(net, (), frozen | dict(zip(unsaid, chosen, strict=True)), writer)
        yield trained + others


def _models_of(net: KerasNet, around: Path = ()) -> Iterator[tuple[Path, KerasNet]]:
    for name, made in _layers_and_models(net):
        if isinstance(made, KerasNet):
            yield (*around, name), made
            yield from _models_of(made, (*around, name))


def _partly_frozen(net: KerasNet) -> bool:
    return len({layer.frozen for layer in _layers_of(net)}) == 2


def _order_before_3(
    net: KerasNet, around: Path, frozen: Mapping[Path, bool], writer: Writer
) -> tuple[Slots, Slots]:
    """Return the layers of the weights that are trained, and of the others, as Keras 2 lists them."""
    trained: Slots = []
    others: Slots = []
    for name, made in _layers_and_models(net):
        path = (*around, name)
        if isinstance(made, KerasNet):
            of_trained, of_others = _order_before_3(made, path, frozen, writer)
            if frozen[path]:
                of_trained, of_others = [], of_trained + of_others
        else:
            number, untrained = _numbers(made, writer)
            if _is_frozen(net.graph.layers[name].config):
                number, untrained = 0, number + untrained
            of_trained, of_others = [path] * number, [path] * untrained
        trained += of_trained
        others += of_others
    return trained, others


def _order_of_keras3(net: KerasNet, writer: Writer) -> Slots:
    """Return the layers of the weights that are trained, then of the others; all in turn if it is frozen."""
    each = [(layer, *_numbers(layer.made, writer)) for layer in _layers_of(net)]
    if net.graph.trainable is False:
        return [layer.path for layer, number, untrained in each for _ in range(number + untrained)]
    trained = [layer.path for layer, number, _ in each if not layer.frozen for _ in range(number)]
    return trained + [
        layer.path
        for layer, number, untrained in each
        for _ in range(untrained + (number if layer.frozen else 0))
    ]


def _numbers(made: Any, writer: Writer) -> tuple[int, int]:
    """Return how many weights of a layer a file has: those that training changes, and the others."""
    if not isinstance(made, keras.layers.Layer):
        return 0, 0
    untrained = len(made.non_trainable_weights)
    return number_saved(made, writer.release) - untrained, untrained
