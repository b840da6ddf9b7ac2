"""A model's several outputs, each by its name or number."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor

from genolift.errors import InputError

_OF_OUTPUT = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<column>\d+)\])?")


@dataclass(frozen=True)
class Output:
    """One of a model's several outputs, by name or by number: see `output_named`."""

    name: str
    column: int | None
    refuse: Callable[[], Any]
    """Raises what is to be said where the model has one output alone."""

    def __call__(self, output: Any) -> Tensor:
        """Return this output, (rows, column), of all that the model returns."""
        outputs = outputs_by_name(output)
        if "" in outputs:
            self.refuse()
            raise AssertionError("a model of one output has no output by name")
        if self.name not in outputs:
            listed = ", ".join(f"{name} {_shape(each)}" for name, each in outputs.items())
            raise InputError(
                f"the model has no output {self.name!r}", where="target", remedy=f"choose one of {listed}"
            )
        chosen = outputs[self.name]
        if not isinstance(chosen, Tensor):
            raise InputError(
                f"the model's output {self.name} is a {type(chosen).__name__}",
                where="target",
                remedy="give a callable that takes the output and returns the value to explain, (n,)",
            )
        if chosen.dim() == 1:
            chosen = chosen[:, None]
        width = chosen.shape[1] if chosen.dim() == 2 else 0
        column = 0 if self.column is None and width == 1 else self.column
        if column is None or not 0 <= column < width:
            raise InputError(
                f"the model's output {self.name} has the shape {_shape(chosen)}"
                + ("" if column is None else f", and no column {column}"),
                where="target",
                remedy=f"name a column of it, {self.name}[0] to {self.name}[{width - 1}]"
                if width
                else "give a callable that takes the output and returns the value to explain, (n,)",
            )
        return chosen


def output_named(target: str, refuse: Callable[[], Any]) -> Output | None:
    """Return one of several outputs by its target, "NAME[column]" or, where it has one column, "NAME".

    NAME is the key of a mapping that the model returns, the name of a field, or a number, from 0, of a tuple.
    None where the target is a task's number.
    """
    match = _OF_OUTPUT.fullmatch(target.strip())
    if match is None or (match["column"] is None and match["name"].removeprefix("-").isdecimal()):
        return None
    return Output(match["name"], int(match["column"]) if match["column"] else None, refuse)


def outputs_by_name(output: Any) -> dict[str, Any]:
    """Return a model's outputs by key, field or number; by "" where it has one."""
    if isinstance(output, Tensor):
        return {"": output}
    if isinstance(output, Mapping):
        return {str(key): value for key, value in output.items()}
    if is_dataclass(output):
        return {each.name: getattr(output, each.name) for each in fields(output)}
    if not isinstance(output, (list, tuple)):
        return {type(output).__name__: output}
    numbered = {str(number): value for number, value in enumerate(output)}
    names = getattr(output, "_fields", ())  # of a named tuple
    return dict(zip(names, output, strict=True)) | numbered if names else numbered


def _shape(output: Any) -> str:
    if not isinstance(output, Tensor):
        return f"({type(output).__name__})"
    return "(n" + "".join(f", {size}" for size in output.shape[1:]) + ")"
