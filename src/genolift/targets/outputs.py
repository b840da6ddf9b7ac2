"""A model's several outputs, each by its name or number."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor

from genolift.errors import InputError

OF_CALLABLE = "give a callable that takes the output and returns the value to explain, (n,)"
_OF_OUTPUT = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<column>\d+)\])?")


def wrong_target(what: str, remedy: str = OF_CALLABLE) -> InputError:
    """Return the error for a target that cannot be explained."""
    return InputError(what, where="target", remedy=remedy)


@dataclass(frozen=True)
class Output:
    """One of a model's several outputs, by name or by number: see `output_named`."""

    name: str
    column: int | None
    refuse: Callable[[], Any]
    """Raises the error for a model that has only one output."""

    def __call__(self, output: Any) -> Tensor:
        """Return this output, (rows, column), from what the model returns."""
        outputs = outputs_by_name(output)
        if "" in outputs:
            self.refuse()
            raise AssertionError("a model of one output has no output by name")
        if self.name not in outputs:
            listed = ", ".join(f"{name} {shape_in_words(each)}" for name, each in outputs.items())
            raise wrong_target(f"the model has no output {self.name!r}", f"choose one of {listed}")
        chosen = outputs[self.name]
        if not isinstance(chosen, Tensor):
            raise wrong_target(f"the model's output {self.name} is a {type(chosen).__name__}")
        if chosen.dim() == 1:
            chosen = chosen[:, None]
        width = chosen.shape[1] if chosen.dim() == 2 else 0
        column = 0 if self.column is None and width == 1 else self.column
        if column is None or not 0 <= column < width:
            what = f"the model's output {self.name} has the shape {shape_in_words(chosen)}"
            columns = f"name a column of it, {self.name}[0] to {self.name}[{width - 1}]"
            raise wrong_target(
                what if column is None else f"{what}, and no column {column}",
                columns if width else OF_CALLABLE,
            )
        return chosen


def output_named(target: str, refuse: Callable[[], Any]) -> Output | None:
    """Return one of several outputs by its target, "NAME[column]", or "NAME" if it has one column.

    NAME is the key of a mapping that the model returns, the name of a field, or a number, from 0, of a tuple.
    None if the target is a task's number.
    """
    match = _OF_OUTPUT.fullmatch(target.strip())
    if match is None or (match["column"] is None and match["name"].removeprefix("-").isdecimal()):
        return None
    return Output(match["name"], int(match["column"]) if match["column"] else None, refuse)


def outputs_by_name(output: Any) -> dict[str, Any]:
    """Return a model's outputs by key, field or number; a single one by ""."""
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


def shape_in_words(output: Any) -> str:
    """Return a tensor's shape with n rows, such as (n, 3); the type of anything else."""
    if not isinstance(output, Tensor):
        return f"({type(output).__name__})"
    return "(n" + "".join(f", {size}" for size in output.shape[1:]) + ")"
