"""A target tried on one output of a model before the model is captured, which may take minutes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.capture import TRIAL_ROWS, Picked, capture
from genolift.engine.graph.outputs import tensors_of
from genolift.engine.plan import make_plan
from genolift.engine.run.given import Explained
from genolift.engine.run.independence import check_rows_are_independent
from genolift.engine.run.run import Runner
from genolift.engine.torch_internals import tree_flatten, tree_unflatten
from genolift.errors import InputError
from genolift.targets.grammar import wrong_target
from genolift.targets.joined import Joined, joined
from genolift.targets.resolving import Resolution


def trial_of(
    resolution: Resolution, rule: str, device: torch.device, dtype: torch.dtype
) -> Callable[[Any, Any], None]:
    """Return the check that `capture` calls with what a trial's targets are read off, and what they are."""

    def tried(given: Any, output: Any) -> None:
        (value,) = tensors_of(output)
        resolved = resolution.resolved
        check_output(value, resolved.explained, TRIAL_ROWS)
        if resolved.own:
            check_function(resolved.after, given, rule, device, dtype)

    return tried


def check_output(output: Tensor, explained: Sequence[Explained], rows: int) -> None:
    """Raise `InputError` unless each target can be computed from a model's output for so many rows."""
    if output.is_complex():
        real = "give a function of it that is real, such as lambda output: output.abs()[:, 0]"
        raise wrong_target("the target is a complex number", real)
    if output.dim() == 0 or output.shape[0] != rows:
        raise wrong_target(
            f"the target has the shape {tuple(output.shape)} for {rows} rows",
            "give an output or a function of it with the rows first",
        )
    for target in explained:
        target.of(output)


def check_layer(value: Tensor, rows_first: bool, layer: str | None) -> None:
    """Raise `InputError` unless contributions can be read at a layer's value."""
    if not rows_first:
        raise InputError(
            f"gives the shape {tuple(value.shape)} for 2 rows",
            where=f"layer {layer}",
            remedy="choose a layer whose output has the rows first",
        )
    if value.is_complex():
        raise InputError(
            "gives complex numbers", where=f"layer {layer}", remedy="choose a layer of real ones"
        )


def check_function(
    function: Callable[[Any], Any], given: Any, rule: str, device: torch.device, dtype: torch.dtype
) -> None:
    """Capture and check a user's function alone, before the model that it is applied to.

    Parameters
    ----------
    given
        The output of the model, or of a layer, for some rows. If it has anything but tensors of real numbers
        with the rows first, nothing is done: mistakes are then found with the model.
    rule, device, dtype
        As the model is to be explained.

    Raises
    ------
    InputError
        If the function cannot be traced, mixes rows, or has an operation without an exact rule.
    """
    leaves, structure = tree_flatten(given)
    if not leaves or not all(_is_of_rows(leaf, leaves[0]) for leaf in leaves):
        return
    example, pieces = joined(leaves)

    def values(*each: Tensor) -> Tensor:
        found = function(tree_unflatten(list(each), structure))
        return found.values if isinstance(found, Picked) else found

    alone = Joined(values, pieces)
    try:
        graph = capture(alone, (example,), device=device, dtype=dtype)
        runner = Runner(make_plan(graph, rule), device, dtype)
        check_rows_are_independent(runner, (runner.placed(example[:1]),))
    except InputError as error:
        what = error.what.replace("the model", "the target function")
        raise type(error)(what, where=error.where, remedy=error.remedy) from error


def _is_of_rows(leaf: Any, first: Any) -> bool:
    return (
        isinstance(leaf, Tensor)
        and leaf.is_floating_point()
        and leaf.dim() > 0
        and leaf.shape[0] == first.shape[0]
    )
