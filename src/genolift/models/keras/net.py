"""A Keras model as a torch module that calls its layers one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import torch
from torch import Tensor, nn

from genolift.models.keras.arguments import Constant, filled
from genolift.models.keras.graph import Call, KerasGraph, deepest_first
from genolift.models.keras.masks import Given, Masked, Treatment, values_in, without_masks
from genolift.models.keras.operators import Operation
from genolift.models.keras.treatments import treatment_of
from genolift.models.layout import Described


class KerasNet(Described):
    """A Keras model: each layer is a submodule of the same name, so that a plan and errors can name it.

    Parameters
    ----------
    graph
        The calls between layers.
    layers
        The layers by name.
    order
        The names of the inputs, in the order of forward's arguments.
    release
        Release of the Keras that wrote the model, such as (2, 15, 0): Keras 3 handles masks differently.
    where
        The place to name in error messages.
    """

    def __init__(
        self,
        graph: KerasGraph,
        layers: Mapping[str, nn.Module],
        order: Sequence[str],
        *,
        release: tuple[int, ...],
        where: str,
    ) -> None:
        super().__init__()
        heads = [layer for layer in layers.values() if isinstance(layer, keras.layers.MultiHeadAttention)]
        if heads and release[0] >= 3:
            graph = deepest_first(graph)
        self.graph, self.order = graph, list(order)
        self.release, self.where = release, where
        self.input_length: int | None = None
        """Length of the first input, the DNA, in bases; None for any."""
        self.assumed = None
        self.calls_in_training = True
        """Whether a user's function is told that its layer is called with training=True."""
        self.masked: set[str] = set()
        """The layers called with masks for which Keras's own layers on torch must be replaced."""
        self.attribute: dict[str, str] = {}
        for name, layer in layers.items():
            attribute = name.replace(".", "_")
            while hasattr(self, attribute):
                attribute += "_"
            self.add_module(attribute, layer)
            self.attribute[name] = attribute
        self.treatments: dict[str, Treatment] = {
            name: treatment_of(layer, graph.layers[name], release)
            for name, layer in layers.items()
            if not isinstance(layer, KerasNet)
        }

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The layers by their names in the file."""
        return {name: getattr(self, attribute) for name, attribute in self.attribute.items()}

    @property
    def uses_masks(self) -> bool:
        """Whether a mask of an input changes the output."""
        return any(each.uses for each in self.treatments.values()) or any(
            net.uses_masks for net in self.children() if isinstance(net, KerasNet)
        )

    @property
    def makes_masks(self) -> bool:
        """Whether a layer makes a mask."""
        return any(each.makes for each in self.treatments.values()) or any(
            net.makes_masks for net in self.children() if isinstance(net, KerasNet)
        )

    def forward(self, *inputs: Tensor, masked: list[Masked] | None = None) -> Any:
        """Return the model's output, or several outputs as a dict by the names of their layers.

        ``masked`` are the inputs with their masks, if another model calls this one; they are overwritten with
        the outputs.
        """
        values = [Masked(each) for each in inputs] if masked is None else masked
        device = inputs[0].device
        # Keras moves its inputs to its own device, by default the GPU if there is one
        with keras.device(device.type if device.index is None else f"{device.type}:{device.index}"):
            outputs = self.graph.run(dict(zip(self.order, values, strict=True)), self._call)
        if masked is not None:
            masked[:] = outputs
        if len(outputs) == 1:
            return outputs[0].tensor
        return dict(zip(output_names(self.graph), [each.tensor for each in outputs], strict=True))

    def _call(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Masked]:
        layer = getattr(self, self.attribute[call.layer])
        if isinstance(layer, Operation):
            args, kwargs = filled((args, kwargs), Constant, lambda constant: constant.value)
        else:
            args, kwargs = filled((args, kwargs), Constant, partial(_as_value, beside=(args, kwargs)))
        given = Given(args, kwargs, self.release, f"{self.where}, layer {call.layer}")
        if isinstance(layer, KerasNet):
            return _called_within(layer, given)
        treatment = self.treatments[call.layer]
        given = treatment.arranged(given)
        further = treatment.further(given)
        if further and treatment.ours and isinstance(layer, keras.layers.Layer):
            # this first run only creates its weights
            self.masked.add(call.layer)
            further = {}
        # Keras's own layers run in evaluation: calls with training=True that change them were refused
        takes = getattr(layer, "takes", ()) if self.calls_in_training else ()
        left_out = {"training", *treatment.spoken_for} - ({"training"} & set(takes))
        said = {key: value for key, value in given.kwargs.items() if key not in left_out}
        made = layer(*without_masks(given.args), **without_masks(said), **further)
        outputs = list(made) if isinstance(made, (list, tuple)) else [made]
        for output in outputs:
            # Keras's own layers attach masks to tensors; we only pass them separately
            if getattr(output, "_keras_mask", None) is not None:
                output._keras_mask = None
        return treatment.made(given, outputs)


def _called_within(net: KerasNet, given: Given) -> list[Masked]:
    """Call a nested model with its inputs as separate arguments, and with their masks."""
    given = _in_order(given, net.graph)
    masked = given.first
    for value, mask in zip(masked, given.handed, strict=True):
        value.mask = mask
    made = net(*[value.tensor for value in masked], masked=masked)
    outputs = list(made.values()) if isinstance(made, dict) else [made]
    # the same tensors, unless the engine records this layer's output and returns a copy
    return [
        value if value.tensor is output else Masked(output, value.mask)
        for output, value in zip(outputs, masked, strict=True)
    ]


def _in_order(given: Given, graph: KerasGraph) -> Given:
    """Return a call with inputs, and perhaps masks, given by key as a call that lists them in order."""
    first, mask = given.args[0] if given.args else None, given.kwargs.get("mask")
    args, kwargs = given.args, dict(given.kwargs)
    if isinstance(first, Mapping):
        args = ([first[key] for key in graph.keys], *args[1:])
    if isinstance(mask, Mapping):
        kwargs["mask"] = [mask.get(key) for key in graph.keys]
    return replace(given, args=args, kwargs=kwargs)


def _as_value(constant: Constant, beside: Any) -> Masked:
    """Return a constant array as Keras passes it to a layer: with the dtype and rows of another argument."""
    tensor = next(values_in(beside)).tensor
    array = torch.tensor(constant.value, dtype=tensor.dtype, device=tensor.device)
    one_for_all = array.dim() == tensor.dim() and array.shape[0] == 1
    return Masked(array.expand(tensor.shape[0], *array.shape[1:]) if one_for_all else array)


def output_names(graph: KerasGraph) -> list[str]:
    """Return the names of a model's outputs: those of their layers, numbered if a layer has several."""
    names: list[str] = []
    for output in graph.outputs:
        name, number = output.layer, 1
        while name in names:
            number += 1
            name = f"{output.layer}_{number}"
        names.append(name)
    return names
