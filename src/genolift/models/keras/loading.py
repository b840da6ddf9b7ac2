"""Loads a Keras file as a torch module that takes one-hot DNA; `genolift.models` calls it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import torch
from torch import Tensor, nn

from genolift.engine.graph.source import first_line
from genolift.errors import InputError
from genolift.models.classes import imported
from genolift.models.keras.custom import CustomLayers
from genolift.models.keras.each_position import EachPosition
from genolift.models.keras.files import KerasFile, numbers_of, of_tensorflow, read_keras_file
from genolift.models.keras.first_run import run_once
from genolift.models.keras.graph import EACH_POSITION, KerasGraph, graph_of
from genolift.models.keras.in_training import check_evaluation
from genolift.models.keras.layers import UserFunction, make_layer
from genolift.models.keras.net import KerasNet
from genolift.models.keras.old_weights import pads_alike
from genolift.models.keras.plain import as_torch
from genolift.models.keras.weights import SavedWeights, by_order, opened_weights
from genolift.models.keras.written_by import half_precision
from genolift.models.layout import axes_of_shape
from genolift.settings.model import ModelSpec, axes_of

_LOG = logging.getLogger("genolift")
_LENGTH_FIRST = "length,bases"
_TRIAL_LENGTH = 1000
"""Length of the trial input that builds the layers of a model for any length."""

Shape = tuple[int | None, ...]


def load_keras(spec: ModelSpec) -> tuple[KerasNet, str]:
    """Return a Keras model of any version, and the axes of its DNA, such as "length,bases".

    The module takes the DNA first, then the model's other inputs in their own order.

    Raises
    ------
    InputError
        If the file is damaged, if layers that are not Keras's own are missing from ``custom_layers``, or if
        no input is one-hot DNA.
    """
    saved = read_keras_file(spec)
    place = f"model: {saved.path}"
    given = imported(spec.custom_layers, "model.custom_layers") if spec.custom_layers else (None, None)
    custom = CustomLayers(*given)
    graph = graph_of(saved.architecture["class_name"], saved.architecture["config"], place)
    with keras.device("cpu"):
        layers = _layers(graph, custom, saved, place)
        custom.check(place)
        dna = _dna(graph, spec, place)
        order = [dna.name, *(name for name in graph.inputs if name != dna.name)]
        net = KerasNet(graph, layers, order, release=numbers_of(saved.version), where=place)
        _of_training(net, saved, spec, place)
        with opened_weights(saved, net) as weights:
            _take(net, weights, place)
            inputs = [dna.trial, *_others(graph, dna.name)]
            run_once(net, inputs, any_length=_any_length(graph, dna), where=place)
            _fill(net, by_order(weights, net, place), place)
    for module in net.modules():
        if isinstance(module, keras.layers.Layer):
            # without autocast, float32 inputs stay float32 and float64 is not rounded
            module.autocast = False
    half = half_precision(saved.architecture)
    if half is not None:
        _LOG.warning(
            "%s: its author's Keras computes it in %s, but genolift in float32: outputs differ by the "
            "rounding of half precision, about 0.01 of the largest",
            place,
            half,
        )
    net.input_length, net.assumed = dna.length, saved.assumed
    return net.eval(), dna.axes


def _layers(graph: KerasGraph, custom: CustomLayers, saved: KerasFile, where: str) -> dict[str, nn.Module]:
    made: dict[str, nn.Module] = {}
    for name, layer in graph.layers.items():
        if layer.graph is not None:
            place = f"{where}, layer {name}"
            inside = _layers(layer.graph, custom, saved, place)
            order = list(layer.graph.inputs)
            net = KerasNet(layer.graph, inside, order, release=numbers_of(saved.version), where=place)
            made[name] = EachPosition(net) if layer.class_name == EACH_POSITION else net
            continue
        with _settings_of(f"{where}, layer {name}"):
            calls = [call for call in graph.calls if call.layer == name]
            one = make_layer(layer, custom, saved.major, where, calls)
        if saved.backend == "theano" and not pads_alike(one):
            raise InputError(
                "has padding 'same', which Theano placed differently from torch for its size and strides",
                where=f"{where}, layer {name}",
                remedy="supply the layer as a torch function, by model.custom_layers",
            )
        # zeros at masked positions are a change that came with TensorFlow's own Keras
        if isinstance(one, keras.layers.Bidirectional) and not of_tensorflow(saved.version):
            one.forward_layer.zero_output_for_mask = one.backward_layer.zero_output_for_mask = False
        if one is not None:
            made[name] = one
    return made


def _of_training(net: KerasNet, saved: KerasFile, spec: ModelSpec, where: str) -> None:
    """Refuse calls with training=True that change a layer, unless the user asks for evaluation."""
    if "training" in spec.arguments:
        for module in net.modules():
            if isinstance(module, KerasNet):
                module.calls_in_training = False
    else:
        # in TensorFlow 1, whose last Keras is 2.2.4-tf, even a frozen batch norm used the batch's statistics
        frozen = of_tensorflow(saved.version) and numbers_of(saved.version) >= (2, 3)
        check_evaluation(net, where, frozen_evaluates=frozen)


@contextmanager
def _settings_of(where: str) -> Iterator[None]:
    """Report in one line an error that a layer's damaged settings raise; no code of the user's runs here."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise InputError(
            f"its settings cannot be read ({type(error).__name__}: {first_line(error)})",
            where=where,
            remedy="save the model again with model.save",
        ) from error


@dataclass(frozen=True)
class _Dna:
    """The DNA input: its name, axes, length in bases (None: any), and a trial input of two rows of zeros."""

    name: str
    axes: str
    length: int | None
    trial: Tensor


def _dna(graph: KerasGraph, spec: ModelSpec, where: str) -> _Dna:
    channels = len(spec.alphabet) + spec.extra_channels
    found = {}
    for name, shape in graph.inputs.items():
        if shape is None:  # an old Sequential without an input shape
            found[name] = spec.axes or _LENGTH_FIRST
        elif spec.axes is None:
            axes = axes_of_shape(shape, channels)
            if axes is not None:
                found[name] = axes
        elif len(axes_of(spec.axes)) == len(shape) and shape[axes_of(spec.axes).index("bases")] == channels:
            found[name] = spec.axes
    if not found:
        shapes = ", ".join(f"{name} {_shown(shape)}" for name, shape in graph.inputs.items())
        raise InputError(
            f"none of its inputs is one-hot DNA of {channels} channels"
            + (f" with the axes {spec.axes}" if spec.axes else "")
            + f": {shapes}",
            where=where,
            remedy="set model.alphabet, model.axes and extra_channels as the model was trained",
        )
    name, axes = next(iter(found.items()))
    if len(found) > 1:
        _LOG.warning("%s: the inputs %s could all be DNA; the first is attributed", where, ", ".join(found))
    shape = graph.inputs[name]
    place = axes_of(axes).index("length")
    length = shape[place] if shape is not None and shape[place] is not None else spec.input_length
    if shape is None and length is None:
        raise InputError(
            "does not say its input length", where=where, remedy="give it as model.input_length, in bases"
        )
    sizes = {"1": 1, "bases": channels, "length": length or _TRIAL_LENGTH}
    return _Dna(name, axes, length, torch.zeros(2, *(sizes[axis] for axis in axes_of(axes))))


def _any_length(graph: KerasGraph, dna: _Dna) -> bool:
    shape = graph.inputs[dna.name]
    return shape is None or None in shape


def _others(graph: KerasGraph, dna: str) -> list[Tensor]:
    """Return two rows of zeros for every other input."""
    return [
        torch.zeros(2, *(size or _TRIAL_LENGTH for size in shape or ()))
        for name, shape in graph.inputs.items()
        if name != dna
    ]


def _take(net: KerasNet, weights: SavedWeights, where: str) -> None:
    """Give the user's functions their weights, which they need for the first run."""
    for name, attribute in net.attribute.items():
        layer = _model_of(getattr(net, attribute))
        if isinstance(layer, UserFunction):
            layer.take(weights.arrays(name))
        elif isinstance(layer, KerasNet):
            with _named(f"{where}, layer {name}"):
                inside = weights.within(name, layer, built=False)
            _take(layer, inside, f"{where}, layer {name}")


def _model_of(layer: nn.Module) -> nn.Module:
    """Return the model that a layer applies to each position; other layers unchanged."""
    return layer.inside if isinstance(layer, EachPosition) else layer


def _fill(net: KerasNet, weights: SavedWeights, where: str) -> None:
    for name, attribute in net.attribute.items():
        layer, place = _model_of(getattr(net, attribute)), f"{where}, layer {name}"
        with _named(place):
            if isinstance(layer, KerasNet):
                _fill(layer, weights.within(name, layer, built=True), place)
            elif isinstance(layer, keras.layers.Layer):
                weights.put(name, layer)
                setattr(net, attribute, as_torch(layer, masked=name in net.masked))


@contextmanager
def _named(where: str) -> Iterator[None]:
    try:
        yield
    except InputError:  # from a nested model, which names its own place
        raise
    except (ValueError, LookupError, TypeError, OSError, RuntimeError) as error:
        raise InputError(
            f"its weights do not fit: {error}", where=where, remedy="give the weights of this architecture"
        ) from error


def _shown(shape: Shape | None) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape or ()) + ")"
