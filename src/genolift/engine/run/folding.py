"""A plan with each batch norm taken into the weighted layer before it: one operation, computed as one.

Both are linear, so that contributions are the same, and the spread too: |g| |W| = |g W|.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_weights

from genolift.engine.graph.graph import Name, Operation, Result, aten
from genolift.engine.plan import Plan

_BATCH_NORM = Result(aten._native_batch_norm_legit_no_training.default)


def fold_batch_norm(plan: Plan, constants: MutableMapping[str, Any]) -> Plan:
    """Return the plan with batch norms folded where nothing else takes the layer's result.

    ``constants`` are the values that depend on no input; folded weights are added to them. A layer whose
    result is the output, or is what contributions are read at, stays.
    """
    by_name = plan.graph.by_name
    folded: dict[Name, Operation] = {}
    gone: set[str] = set()
    for operation in plan.graph.operations:
        if operation.target != _BATCH_NORM or not isinstance(operation.args[0], Name):
            continue
        layer = by_name.get(operation.args[0])
        kept = {plan.graph.output, plan.graph.read}
        if layer is None or layer.name in kept or len(plan.graph.users[layer.name]) > 1:
            continue
        together = _together(layer, operation, constants)
        if together is not None:
            folded[operation.name] = together
            gone.add(layer.name)
    if not folded:
        return plan
    operations = tuple(folded.get(each.name, each) for each in plan.graph.operations if each.name not in gone)
    # Before a layer that is read there is no step for either.
    before = {step.operation.name: step for step in plan.steps}
    steps = tuple(
        replace(before[by_name[name].args[0]], operation=folded[name]) if name in folded else step
        for name, step in before.items()
        if name not in gone
    )
    graph = replace(plan.graph, operations=operations, dependent=plan.graph.dependent - gone)
    return replace(plan, graph=graph, steps=steps, carries_spread=plan.carries_spread - gone)


def _together(layer: Operation, norm: Operation, constants: MutableMapping[str, Any]) -> Operation | None:
    """Return layer and batch norm as one operation, its weights among the constants; None if they are not."""
    found = _weights(layer, constants)
    if found is None:
        return None
    _, *given, _, epsilon = norm.args
    numbers = [_value(each, constants) for each in given]
    if not all(number is None or isinstance(number, Tensor) for number in numbers):
        return None
    scale, shift, mean, variance = numbers
    dense = layer.target is aten.addmm.default
    # A dense layer's matrix is (in, out) here: transposed it is a convolution's weight without positions.
    weight, bias = fuse_conv_bn_weights(*found, mean, variance, epsilon, scale, shift)
    names = Name(f"{norm.name}_weight"), Name(f"{norm.name}_bias")
    constants[names[0]] = weight.detach().T if dense else weight.detach()
    constants[names[1]] = bias.detach()
    args = (names[1], layer.args[1], names[0]) if dense else (layer.args[0], *names, *layer.args[3:])
    return replace(norm, target=layer.target, args=args, kwargs=layer.kwargs, layer=layer.layer)


def _weights(layer: Operation, constants: Mapping[str, Any]) -> tuple[Tensor, Tensor | None] | None:
    """Return a layer's weight, outputs first, and its bias, if they are constants; None of other layers."""
    if layer.kwargs:
        return None
    if layer.target is aten.convolution.default and not layer.args[6]:
        weight, bias = (_value(each, constants) for each in layer.args[1:3])
    elif layer.target is aten.addmm.default:
        bias, weight = (_value(each, constants) for each in (layer.args[0], layer.args[2]))
        weight = weight.T if isinstance(weight, Tensor) else None
        if not isinstance(bias, Tensor) or bias.dim() != 1:
            return None
    else:
        return None
    return (weight, bias) if isinstance(weight, Tensor) and isinstance(bias, Tensor | None) else None


def _value(argument: Any, constants: Mapping[str, Any]) -> Any:
    """Return a constant's value; the argument itself where it is none, which is then no tensor."""
    return constants.get(argument, argument) if isinstance(argument, Name) else argument
