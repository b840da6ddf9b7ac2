"""A plan with each batch norm taken into the weighted layer before it: one operation, computed as one.

Both are linear, so that contributions are the same, and the spread too: |g| |W| = |g W|.
"""

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

from torch.nn.utils.fusion import fuse_conv_bn_weights

from genolift.engine.graph.graph import Name, Operation, Result, aten
from genolift.engine.plan import Plan

_BATCH_NORM = Result(aten._native_batch_norm_legit_no_training.default)


def fold_batch_norm(plan: Plan, constants: MutableMapping[str, Any]) -> Plan:
    """Return the plan with batch norms folded where nothing else takes the layer's result.

    ``constants`` are the values that depend on no input; folded weights are added to them. A layer whose
    result is the output, or is what contributions are read at, stays.
    """
    graph, by_name = plan.graph, plan.graph.by_name
    folded: dict[Name, Operation] = {}
    gone: set[str] = set()
    for operation in graph.operations:
        layer = by_name.get(operation.args[0]) if operation.target == _BATCH_NORM else None
        if layer is None or layer.name in (graph.output, graph.read) or len(graph.users[layer.name]) > 1:
            continue
        together = _together(layer, operation, constants)
        if together is not None:
            folded[operation.name] = together
            gone.add(layer.name)
    if not folded:
        return plan
    operations = tuple(folded.get(each.name, each) for each in graph.operations if each.name not in gone)
    # Before a layer that is read there is no step for either.
    before = {step.operation.name: step for step in plan.steps}
    steps = tuple(
        replace(before[by_name[name].args[0]], operation=folded[name]) if name in folded else step
        for name, step in before.items()
        if name not in gone
    )
    graph = replace(graph, operations=operations, dependent=graph.dependent - gone)
    return replace(plan, graph=graph, steps=steps, carries_spread=plan.carries_spread - gone)


def _together(layer: Operation, norm: Operation, constants: MutableMapping[str, Any]) -> Operation | None:
    """Return layer and batch norm as one operation, its weights among the constants; None if they are not."""
    dense = layer.target is aten.addmm.default
    convolution = layer.target is aten.convolution.default and not layer.args[6]
    if layer.kwargs or not (dense or convolution):
        return None
    weight, bias = (layer.args[2], layer.args[0]) if dense else layer.args[1:3]
    given = weight, bias, *norm.args[1:5]
    if any(each is not None and each not in constants for each in given):
        return None
    weight, bias, scale, shift, mean, variance = (each and constants[each] for each in given)
    if dense and bias.dim() != 1:
        return None
    # A dense layer's matrix is (in, out) here: transposed it is a convolution's weight without positions.
    fused = (weight.T if dense else weight), bias, mean, variance, norm.args[6], scale, shift
    weight, bias = (each.detach() for each in fuse_conv_bn_weights(*fused))
    names = Name(f"{norm.name}_weight"), Name(f"{norm.name}_bias")
    constants.update(zip(names, (weight.T if dense else weight, bias), strict=True))
    args = (names[1], layer.args[1], names[0]) if dense else (layer.args[0], *names, *layer.args[3:])
    return replace(norm, target=layer.target, args=args, kwargs=layer.kwargs, layer=layer.layer)
