"""What a model returns: its tensors, each by its path of names and numbers, and their shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind, TensorArgument

from genolift.engine.torch_internals import tree_unflatten

Path = tuple[str, ...]
"""Names and numbers that lead to one of a model's outputs; empty where it returns one tensor."""


@dataclass(frozen=True)
class Branch:
    """Several outputs, each by its key or field; those of a tuple also by their numbers, from 0."""

    outputs: Mapping[str, Outputs]
    is_tuple: bool

    def name_of(self, name: str) -> str:
        """Return the name of an output that is given by it or, of a tuple, by its number.

        Raises
        ------
        KeyError
            If there is none.
        """
        if self.is_tuple and name.isdecimal() and int(name) < len(self.outputs):
            return list(self.outputs)[int(name)]
        if name not in self.outputs:
            raise KeyError(name)
        return name


Outputs = Branch | tuple[int, ...] | str
"""What a model returns: several outputs, the shape of a tensor's row, or the type of what is no tensor."""


def structure_of(output: Any) -> Outputs:
    """Return what a model returns without its values: a tensor (n, 3, 50) is (3, 50), and (n,) is ()."""
    if isinstance(output, Tensor):
        return tuple(int(size) for size in output.shape[1:])
    found = several_of(output)
    if found is None:
        return type(output).__name__
    is_tuple = isinstance(output, (list, tuple))
    return Branch({name: structure_of(each) for name, each in found.items()}, is_tuple)


def structure_of_program(program: ExportedProgram) -> Outputs:
    """Return what an exported program returns, without running it."""
    nodes = {node.name: node for node in program.graph.nodes}
    results = [
        nodes[spec.arg.name].meta["val"]
        if isinstance(spec.arg, TensorArgument)
        else getattr(spec.arg, "value", None)
        for spec in program.graph_signature.output_specs
        if spec.kind is OutputKind.USER_OUTPUT
    ]
    return structure_of(tree_unflatten(results, program.call_spec.out_spec))


def tensor_at(output: Any, path: Path) -> Tensor:
    """Return the tensor at a path that `structure_of` has."""
    for name in path:
        output = (several_of(output) or {})[name]
    assert isinstance(output, Tensor)
    return output


def several_of(output: Any) -> dict[str, Any] | None:
    """Return outputs by key, field or number; None for one."""
    if isinstance(output, Mapping):
        return {str(key): value for key, value in output.items()}
    if is_dataclass(output) and not isinstance(output, type):
        return {each.name: getattr(output, each.name) for each in fields(output)}
    if isinstance(output, (list, tuple)):
        names = getattr(output, "_fields", map(str, range(len(output))))  # of a named tuple
        return dict(zip(names, output, strict=True))
    return None


def leaves(outputs: Outputs, path: Path = ()) -> Iterator[tuple[Path, tuple[int, ...] | str]]:
    """Yield the path of each output, and the shape of a tensor's row or the type of what is none."""
    if isinstance(outputs, Branch):
        for name, each in outputs.outputs.items():
            yield from leaves(each, (*path, name))
    else:
        yield path, outputs


def tensors_by_path(outputs: Outputs) -> Iterator[tuple[Path, tuple[int, ...]]]:
    """Yield the path of each tensor, and the shape of its row, in order."""
    return ((path, leaf) for path, leaf in leaves(outputs) if not isinstance(leaf, str))


def outputs_by_name(output: Any) -> dict[str, Any]:
    """Return a model's outputs by key, field or number, a named tuple's by both; a single one by ""."""
    if isinstance(output, Tensor):
        return {"": output}
    found = several_of(output)
    if found is None:
        return {type(output).__name__: output}
    return (
        found | {str(number): each for number, each in enumerate(output)}
        if isinstance(output, tuple)
        else found
    )


def shape_in_words(shape: tuple[int, ...]) -> str:
    """Return the shape of a row as that of n rows, such as (n, 3)."""
    return "(n" + "".join(f", {size}" for size in shape) + ")"


def as_json(outputs: Outputs) -> Any:
    """Return outputs as plain values, which `outputs_from_json` reads."""
    if not isinstance(outputs, Branch):
        return outputs if isinstance(outputs, str) else list(outputs)
    inside = {name: as_json(each) for name, each in outputs.outputs.items()}
    return {"tuple" if outputs.is_tuple else "mapping": inside}


def outputs_from_json(told: Any) -> Outputs:
    """Return outputs from plain values; raise `ValueError` for others."""
    if isinstance(told, str):
        return told
    if isinstance(told, list) and all(type(size) is int for size in told):
        return tuple(told)
    if isinstance(told, dict) and len(told) == 1 and {*told} <= {"tuple", "mapping"}:
        ((kind, inside),) = told.items()
        return Branch({name: outputs_from_json(each) for name, each in inside.items()}, kind == "tuple")
    raise ValueError(f"{json.dumps(told)[:80]} are not outputs")
