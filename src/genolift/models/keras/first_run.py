"""Runs a Keras model once, so that its layers create their weights, and explains a failure."""

import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from genolift.engine.graph.source import first_line, model_line
from genolift.errors import InputError
from genolift.models.keras.graph import CALLED
from genolift.models.keras.layers import UserFunction
from genolift.models.keras.net import KerasNet

_LENGTH = "set model.input_length to the number of bases that the model was trained on"


def run_once(net: KerasNet, inputs: list[Tensor], *, any_length: bool, where: str) -> None:
    """Run a model once: Keras's layers create their weights when they first see an input.

    ``any_length`` says whether the file leaves the number of bases open.

    Raises
    ------
    InputError
        If it cannot be run; the remedy suits the layer that failed.
    """
    try:
        with torch.no_grad():
            net(*inputs)
    except InputError:
        raise
    except Exception as error:
        shapes = " and ".join(str(tuple(tensor.shape[1:])) for tensor in inputs)
        names = _called(error)
        place = ", ".join([where, *(f"layer {name}" for name in names)])
        layer = _layer(net, names)
        line = model_line(error)
        if isinstance(layer, UserFunction):
            raise InputError(
                f"the torch function supplied for it fails on an input of {shapes}: {first_line(error)}",
                where=f"{place}, {line}",
                remedy="fix the function in model.custom_layers" + (f", or {_LENGTH}" if any_length else ""),
            ) from error
        raise InputError(
            f"cannot be run on an input of {shapes}: {_reason(error)}",
            where=place if line == "model" else f"{place}, {line}",
            remedy=_remedy(net, names, any_length),
        ) from error


def _remedy(net: KerasNet, names: list[str], any_length: bool) -> str:
    before = list(_functions_before(net, names))
    remedies = []
    if any_length:
        remedies.append(_LENGTH)
    if before:
        remedies.append(
            "check that the functions supplied for layers before it return the shapes that the layers did: "
            + ", ".join(dict.fromkeys(before))
        )
    if remedies:
        return ", or ".join(remedies)
    return "supply the layer as a torch function, by model.custom_layers"


def _called(error: BaseException) -> list[str]:
    """Return the layers that an error was raised in, outermost first."""
    notes = reversed(getattr(error, "__notes__", []))
    return [note.removeprefix(CALLED) for note in notes if note.startswith(CALLED)]


def _around(net: KerasNet, names: list[str]) -> Iterator[tuple[KerasNet, str]]:
    """Yield for each of ``names``, layers nested in that order, the model that contains it and its name."""
    inside: nn.Module = net
    for name in names:
        model = next((module for module in inside.modules() if isinstance(module, KerasNet)), None)
        if model is None or name not in model.layers:
            return
        yield model, name
        inside = model.layers[name]


def _layer(net: KerasNet, names: list[str]) -> nn.Module | None:
    """Return the innermost of the nested layers ``names``; None if one is not found."""
    found = [model.layers[name] for model, name in _around(net, names)]
    return found[-1] if found and len(found) == len(names) else None


def _functions_before(net: KerasNet, names: list[str]) -> Iterator[str]:
    """Yield the preceding layers that are, or contain, functions of the user's."""
    for model, name in _around(net, names):
        for call in model.graph.calls:
            if call.layer == name:
                break
            if any(isinstance(module, UserFunction) for module in model.layers[call.layer].modules()):
                yield call.layer


def _reason(error: Exception) -> str:
    """Return in one line why a model cannot be run: Keras gives the reason in bold below the layer's name."""
    told = re.search(r"calling (\S+)\(\)\.\s+\x1b\[1m(.*?)\x1b\[0m", str(error), re.DOTALL)
    return f"{told[1]}: {' '.join(told[2].split())}" if told else first_line(error)
