"""A Keras architecture of any version as one list of calls to layers.

A config is read as plain values: nothing that it names is imported or run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from genolift.errors import InputError
from genolift.models.keras.arguments import Value, arguments_of, filled, found_in, values_of
from genolift.models.keras.values import plain_value

MODELS = ("Sequential", "Model", "Functional")
EACH_POSITION = "TimeDistributed"
"""The layer that applies another layer or a model to each position separately."""
CALLED = "in the Keras layer "
"""The start of the note added to an error that was raised in a call to a layer."""
LARGEST_SIZE = 10**8
"""The largest size accepted in a model's config: positions, channels, words of an embedding."""


@dataclass(frozen=True)
class Call:
    """A call to a layer, with `Value` placeholders for the tensors in its arguments."""

    layer: str
    number: int
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def values(self) -> list[Value]:
        """The values in its arguments, in order."""
        return list(found_in((self.args, self.kwargs), Value))

    def arguments(self, of: Callable[[Value], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return its arguments with each value replaced by ``of`` it."""
        return filled(self.args, Value, of), filled(dict(self.kwargs), Value, of)


@dataclass(frozen=True)
class LayerConfig:
    """A layer as the file describes it; ``graph`` if it is a model, or applies one to each position."""

    name: str
    class_name: str
    config: Mapping[str, Any]
    module: str | None
    """The module that Keras 3 names for the class; None in older files."""
    graph: KerasGraph | None = None


@dataclass(frozen=True)
class KerasGraph:
    """A model: its inputs by name with their shapes (without the batch axis; None: any), and its calls, in an
    order in which they can be made.
    """

    name: str
    inputs: Mapping[str, tuple[int | None, ...] | None]
    layers: Mapping[str, LayerConfig]
    calls: tuple[Call, ...]
    outputs: tuple[Value, ...]
    trainable: bool | None = None
    """Whether it is trained as part of another model; None if the file does not say, as before Keras 2.12."""
    keys: tuple[str, ...] = ()
    """The keys of the inputs, in order, in calls that give them as a dict."""

    def run(
        self, inputs: Mapping[str, Any], call: Callable[[Call, tuple[Any, ...], dict[str, Any]], Any]
    ) -> list[Any]:
        """Return the outputs, given inputs by name and a function that makes a call with its arguments."""
        values: dict[tuple[str, int], Any] = {(name, 0): [value] for name, value in inputs.items()}

        def of(value: Value) -> Any:
            return values[value.layer, value.call][value.tensor]

        for each in self.calls:
            try:
                made = call(each, *each.arguments(of))
            except Exception as error:
                error.add_note(f"{CALLED}{each.layer}")
                raise
            values[each.layer, each.number] = list(made) if isinstance(made, (list, tuple)) else [made]
        return [of(value) for value in self.outputs]


def deepest_first(graph: KerasGraph) -> KerasGraph:
    """Return a model with its calls in the order of Keras 3: those farthest from an output first.

    The order matters where a layer removes the masks from its inputs.
    """
    depth: dict[tuple[str, int], int] = {}
    for call in reversed(graph.calls):
        own = depth.setdefault((call.layer, call.number), 0)
        for value in call.values:
            depth[value.layer, value.call] = max(depth.get((value.layer, value.call), 0), own + 1)
    calls = sorted(graph.calls, key=lambda call: -depth[call.layer, call.number])
    return replace(graph, calls=tuple(calls))


def graph_of(class_name: str, config: Any, where: str, *, within: bool = False) -> KerasGraph:
    """Return the graph for a model's class and config; one ``within`` another has its inputs sorted by key.

    Raises
    ------
    InputError
        If only its code says how the model calls its layers, or if the config is damaged.
    """
    try:
        if class_name == "Sequential":
            return _sequential(config, where)
        if isinstance(config, Mapping) and {"layers", "input_layers", "output_layers"} <= config.keys():
            return _functional(config, where, within)
    except InputError:  # from a nested model, which names its own place
        raise
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, RecursionError) as error:
        raise InputError(
            f"its config cannot be read ({type(error).__name__}: {error})",
            where=where,
            remedy="save the model again with model.save",
        ) from error
    raise InputError(
        f"is a {class_name}: how it calls its layers is in its own code, which is not run",
        where=where,
        remedy="rewrite it as a functional or Sequential model and save that",
    )


def _layer(data: Mapping[str, Any], name: str, where: str) -> LayerConfig:
    class_name, config, module = data["class_name"], data["config"], data.get("module")
    for value, kind in ((name, str), (class_name, str), (module, str | None), (config, Mapping | list)):
        if not isinstance(value, kind):
            raise ValueError(f"{value!r:.40} does not describe a layer")
    place = f"{where}, layer {name}"
    if _is_model(class_name, config):
        return LayerConfig(name, class_name, {}, module, graph_of(class_name, config, place, within=True))
    if not isinstance(config, Mapping):
        raise ValueError(f"{config!r:.40} are not the settings of a layer")
    graph = None
    within = config.get("layer") if class_name == EACH_POSITION else None
    if isinstance(within, Mapping) and _is_model(within["class_name"], within["config"]):
        graph = graph_of(within["class_name"], within["config"], place, within=True)
        config = {key: value for key, value in config.items() if key != "layer"}
    return LayerConfig(name, class_name, plain_value(config), module, graph)


def _is_model(class_name: str, config: Any) -> bool:
    return class_name in MODELS or (isinstance(config, Mapping) and "output_layers" in config)


def _sequential(config: Any, where: str) -> KerasGraph:
    listed = config if isinstance(config, list) else config["layers"]
    name = "sequential" if isinstance(config, list) else config.get("name") or "sequential"
    shape = None if isinstance(config, list) else plain_value(config.get("build_input_shape"))
    inputs: dict[str, tuple[int | None, ...] | None] = {}
    layers: dict[str, LayerConfig] = {}
    calls: list[Call] = []
    last: Value | None = None
    for number, data in enumerate(listed):
        data = _with_config(data, number)
        own = data["config"].get("name") if isinstance(data["config"], Mapping) else None
        layer = _layer(data, own or data.get("name") or f"layer_{number}", where)
        if layer.name in layers or layer.name in inputs:
            raise ValueError(f"two layers are named {layer.name}")
        if layer.class_name == "InputLayer":
            inputs[layer.name] = input_shape(layer.config)
            last = Value(layer.name, 0, 0)
            continue
        if last is None:
            own_shape = layer.config.get("batch_input_shape")
            if own_shape is None and layer.config.get("input_shape"):
                own_shape = [None, *layer.config["input_shape"]]
            if layer.graph is not None and layer.class_name != EACH_POSITION:
                own_shape = next(([None, *given] for given in layer.graph.inputs.values() if given), None)
            own_shape = own_shape or shape
            inputs["input"] = None if own_shape is None else _sizes(own_shape[1:])
            last = Value("input", 0, 0)
        layers[layer.name] = layer
        calls.append(Call(layer.name, 0, (last,), {}))
        last = Value(layer.name, 0, 0)
    if last is None or not calls:
        raise ValueError("it has no layers")
    trainable = None if isinstance(config, list) else config.get("trainable")
    return KerasGraph(name, inputs, layers, tuple(calls), (last,), trainable)


def _with_config(data: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """Return a layer as {"class_name", "config"}; Keras before 1 wrote class and settings side by side."""
    if "config" in data:
        return data
    config = {key: value for key, value in data.items() if key not in ("name", "custom_name")}
    name = f"{data.get('custom_name') or data['name'].lower()}_{number}"
    return {"class_name": data["name"], "config": {**config, "name": name}}


def input_shape(config: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    """Return an input layer's shape without the batch axis, or None if it gives none."""
    for key in ("batch_shape", "batch_input_shape"):
        if config.get(key):
            return _sizes(config[key][1:])
    return _sizes(config["shape"]) if config.get("shape") else None


def _sizes(shape: Any) -> tuple[int | None, ...]:
    sizes = tuple(shape)
    for size in sizes:
        if size is not None and not (type(size) is int and 0 < size <= LARGEST_SIZE):
            raise ValueError(f"{size!r:.40} is not the size of an input")
    return sizes


def _functional(config: Mapping[str, Any], where: str, within: bool) -> KerasGraph:
    layers: dict[str, LayerConfig] = {}
    inputs: dict[str, tuple[int | None, ...] | None] = {}
    waiting: list[Call] = []
    for data in config["layers"]:
        name = data.get("name") or data["config"]["name"]
        layer = _layer(data, name, where)
        if layer.class_name == "InputLayer":
            inputs[name] = input_shape(layer.config)
            continue
        layers[name] = layer
        waiting += [
            Call(name, number, *arguments_of(node, layer.class_name))
            for number, node in enumerate(data["inbound_nodes"])
        ]
    names = [value.layer for value in values_of(config["input_layers"], in_order=within)]
    keys = config["input_layers"] if isinstance(config["input_layers"], Mapping) else names
    outputs = values_of(config["output_layers"], in_order=within)
    waiting, outputs = _renumbered(waiting, outputs, layers)
    unknown = [name for name in names if name not in inputs]
    if unknown:
        raise ValueError(f"its input {unknown[0]} is not an input layer")
    return KerasGraph(
        config.get("name") or "model",
        {name: inputs[name] for name in names},
        layers,
        _ordered(waiting, names, outputs),
        tuple(outputs),
        config.get("trainable"),
        tuple(sorted(keys) if within and keys is not names else keys),
    )


def _renumbered(
    calls: list[Call], outputs: list[Value], layers: Mapping[str, LayerConfig]
) -> tuple[list[Call], list[Value]]:
    """Count the calls of a nested model from 0: Keras counts its creation as a call."""
    referred = [value for call in calls for value in call.values] + outputs
    lowest: dict[str, int] = {}
    for value in referred:
        lowest[value.layer] = min(value.call, lowest.get(value.layer, value.call))
    models = [name for name, layer in layers.items() if layer.graph is not None]
    shifted = {
        name for name in models if lowest.get(name, 0) > 0 and layers[name].class_name != EACH_POSITION
    }

    def moved(value: Value) -> Value:
        return Value(value.layer, value.call - 1, value.tensor) if value.layer in shifted else value

    return (
        [Call(call.layer, call.number, *call.arguments(moved)) for call in calls],
        [moved(value) for value in outputs],
    )


def _ordered(waiting: list[Call], inputs: list[str], outputs: list[Value]) -> tuple[Call, ...]:
    """Return calls sorted so that each has its inputs ready, without those that no output needs."""
    known = {(name, 0) for name in inputs}
    ordered: list[Call] = []
    while waiting:
        ready = [call for call in waiting if all((value.layer, value.call) in known for value in call.values)]
        if not ready:
            break
        ordered += ready
        known |= {(call.layer, call.number) for call in ready}
        waiting = [call for call in waiting if call not in ready]
    needed = {(value.layer, value.call) for value in outputs}
    if not needed <= known:
        raise ValueError(f"its output {sorted(needed - known)[0][0]} cannot be reached from its inputs")
    kept: list[Call] = []
    for call in reversed(ordered):
        if (call.layer, call.number) in needed:
            kept.append(call)
            needed |= {(value.layer, value.call) for value in call.values}
    return tuple(reversed(kept))
