"""Finds the layer of each weight of a nested model, in files that hold all of its weights in one list.

An .h5 of any Keras has one list of weights for each layer of the outer model. If that layer is a model, the
list holds the weights of all its layers, trained ones first; which are trained depends on ``trainable`` of
each layer and of the models around it. Names are more reliable than this order, since an architecture's .json
may have been written before layers were frozen.
"""

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
"""A layer, as the names of the models around it, outermost first, and its own."""
_MOST_UNSAID = 6
_ALIKE = {"depthwise_kernel": "kernel"}
_WORDS = frozenset(
    ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "recurrent_kernel", "embeddings")
)
"""Names of weights that mean the same in every Keras since 2; others have changed."""


@dataclass(frozen=True)
class Writer:
    """The Keras that wrote the weights, whose version says how it ordered them."""

    release: tuple[int, ...]
    """Keras 3 goes through all layers once; earlier, each nested model listed its trained weights first."""
    of_tensorflow: bool
    """Whether freezing a model also freezes its layers, so that their settings show it."""


@dataclass(frozen=True)
class _Layer:
    """A layer of a nested model, or of a model inside that."""

    path: Path
    made: Any
    frozen: bool


Slots = list[Path]
"""The layer of each weight in a file's list."""


def names_fit(names: list[str], layer: Any) -> bool:
    """Whether weights of these names can be those of a layer, in its order: not a bias where the kernel is.

    Names without a scope, as in Keras 1, say nothing about this and always fit.
    """
    wanted = layer.weights
    scopes = {name.rpartition("/")[0] for name in names}
    reordered = isinstance(layer, keras.layers.SpectralNormalization)  # old_weights sorts these by shape
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
    """Return weights by the layer that their names contain, leaving out those that name no known layer."""
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
        If neither names nor order show which weight belongs to which layer.
    """
    by_name = owners_by_name(found, net)
    all_named = sum(map(len, by_name.values())) == len(found)
    if all_named and _all_fit(by_name, net, writer):
        return by_name
    fitting: dict[tuple[Path, ...], dict[Path, Arrays]] = {}
    for slots in _possible_orders(net, writer):
        if len(slots) != len(found):
            if all_named:
                return by_name  # so that the error names the layer whose weights do not fit
            raise ValueError(f"the file has {len(found)} weights for it, but it takes {len(slots)}")
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
            f"which depends on what was frozen, shows which layer each belongs to ({why})"
        )
    return next(iter(fitting.values()))


def _word(name: str) -> str:
    last = name.rpartition("/")[2].partition(":")[0]
    return _ALIKE.get(last, last)


def _layers_and_models(net: KerasNet) -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model by name; a layer that applies a model is replaced by that model."""
    for name, made in net.layers.items():
        yield name, made.inside if isinstance(made, EachPosition) else made


def _layers_of(net: KerasNet, around: Path = ()) -> Iterator[_Layer]:
    for name, made in _layers_and_models(net):
        if isinstance(made, KerasNet):
            yield from _layers_of(made, (*around, name))
        else:
            yield _Layer((*around, name), made, _is_frozen(net.graph.layers[name].config))


def _is_frozen(config: Mapping[str, Any]) -> bool:
    """Whether a layer, or the layer that it wraps, is frozen."""
    inner = config.get("layer")
    wrapped = inner.get("config") if isinstance(inner, Mapping) else None
    return config.get("trainable") is False or (
        isinstance(wrapped, Mapping) and wrapped.get("trainable") is False
    )


def _owner(name: str, paths: list[Path]) -> Path | None:
    """Return the layer that a weight is named after, or None.

    Names are "model/conv/kernel:0", or in Keras 1 "conv_W". Among layers of the same name it is the one for
    which the names of the models around it appear too.
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
    """Whether arrays can be the weights of a layer, judging by number, names and sizes."""
    if not isinstance(made, keras.layers.Layer):  # a user's function, whose weights only it knows
        return True
    if len(arrays) != number_saved(made, writer.release) or not names_fit(list(arrays), made):
        return False
    return len(arrays) != len(made.weights) or all(
        value.size == math.prod(variable.shape) or "bias" in variable.name  # CuDNN's layers have two biases
        for value, variable in zip(arrays.values(), made.weights, strict=True)
    )


def _possible_orders(net: KerasNet, writer: Writer) -> Iterator[Slots]:
    """Yield each order that the settings allow, as the layer of each weight in the file."""
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
        raise ValueError(f"it has {len(unsaid)} nested models that may or may not have been frozen")
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
    """Return the layer of each trained weight, and of each other weight, in the order of Keras 2."""
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
    """Return the layer of each trained weight, then of the others; or of all in turn if it is frozen."""
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
    """Return how many trainable and how many other weights of a layer a file has."""
    if not isinstance(made, keras.layers.Layer):
        return 0, 0
    untrained = len(made.non_trainable_weights)
    return number_saved(made, writer.release) - untrained, untrained
