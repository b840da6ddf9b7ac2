"""A Keras model as a torch module that calls its layers one by one. Knows nothing of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from torch import Tensor, nn

from genolift.models.from_keras.graph import Call, KerasGraph


class KerasNet(nn.Module):
    """A Keras model: each layer is a submodule of its own name, so that a plan and errors can name it.

    Parameters
    ----------
    graph
        What calls what.
    layers
        The layers by name.
    order
        The names of the inputs, in the order of forward's arguments.
    """

    def __init__(self, graph: KerasGraph, layers: Mapping[str, nn.Module], order: Sequence[str]) -> None:
        super().__init__()
        self.graph, self.order = graph, list(order)
        self.input_length: int | None = None
        """Of the first input, which is DNA, in bases; None for any."""
        self.assumed: str | None = None
        """What was taken for the version of Keras, where the file names none."""
        self.calls_in_training = True
        """Whether a user's function is told that its layer is called with training=True."""
        self.attribute: dict[str, str] = {}
        for name, layer in layers.items():
            attribute = name.replace(".", "_")
            while hasattr(self, attribute):
                attribute += "_"
            self.add_module(attribute, layer)
            self.attribute[name] = attribute

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The layers by their names in the file."""
        return {name: getattr(self, attribute) for name, attribute in self.attribute.items()}

    def forward(self, *inputs: Tensor) -> Any:
        """Return the model's output; of several a mapping by the names of the layers that give them."""
        device = inputs[0].device
        # Keras moves what it is given to its own device, which on a machine with a GPU is that
        with keras.device(device.type if device.index is None else f"{device.type}:{device.index}"):
            outputs = self.graph.run(dict(zip(self.order, inputs, strict=True)), self._call)
        if len(outputs) == 1:
            return outputs[0]
        return dict(zip(output_names(self.graph), outputs, strict=True))

    def _call(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        layer = getattr(self, self.attribute[call.layer])
        if isinstance(layer, KerasNet):  # which takes its inputs one by one
            (given,) = args
            made = layer(*(given if isinstance(given, (list, tuple)) else [given]))
            return list(made.values()) if isinstance(made, dict) else made
        # Keras's own layers are run in evaluation: calls in training that change them were refused
        takes = getattr(layer, "takes", ()) if self.calls_in_training else ()
        return layer(
            *args, **{key: each for key, each in kwargs.items() if key != "training" or key in takes}
        )


def output_names(graph: KerasGraph) -> list[str]:
    """Return the names of a model's outputs: the layers', with a number where one gives several."""
    names: list[str] = []
    for output in graph.outputs:
        name, number = output.layer, 1
        while name in names:
            number += 1
            name = f"{output.layer}_{number}"
        names.append(name)
    return names
