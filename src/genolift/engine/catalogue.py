"""Every core ATen operation and how genolift takes it, as a table made from the registry.

``python -m genolift.engine.catalogue`` prints docs/operations.md; its text before the tables is catalogue.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from genolift.engine.graph.decomposition import TAKEN_APART
from genolift.engine.graph.graph import SHAPE_ONLY, aten, named, operation_of
from genolift.engine.registry import FIRST, JOINT, PRODUCTS, RECURRENT, SUMS, SUMS_BUT
from genolift.engine.torch_internals import every_operation


@dataclass(frozen=True)
class Row:
    """How one operation is taken."""

    operation: str
    taken: str
    """linear, elementwise, bilinear, selection, composed, decomposed, constant or refused."""
    note: str
    core: bool
    """Whether torch counts it among the core ATen operations."""


_RANDOM = "random: not the same for the same input"
_WHOLE_NUMBERS = "its result is a whole number, which is no measure of change"
_RANK = "which value has which rank changes with the input"
_ALL_ROWS = "over all rows of a batch"
_BY_INPUT = "by what depends on the input"
_BACKWARD = "a derivative, which no model computes"
_OUTSIDE: Mapping[Any, tuple[str, str]] = {
    operation: (taken, note)
    for taken, note, names in (
        ("constant", "made without the input", "arange.start_step full scalar_tensor"),
        ("constant", "of a constant index; of one that depends on the input: refused", "embedding"),
        ("refused", _RANDOM, "rand randn randperm"),
        ("refused", f"{_RANDOM}; gone in evaluation mode", "native_dropout"),
        ("refused", _WHOLE_NUMBERS, "argmax argmin nonzero _embedding_bag"),
        ("refused", "control flow that depends on values", "_local_scalar_dense"),
        ("refused", _RANK, "sort topk"),
        ("refused", "write it as differences, squares and a sum", "_cdist_forward"),
        ("refused", "mixes the rows of a batch", "_pdist_forward"),
        ("refused", "takes values across the rows of a batch", "masked_scatter"),
        ("refused", "depends on how values lie in memory", "as_strided"),
        ("refused", _ALL_ROWS, "any prod"),
        ("refused", "batch statistics mix the rows of a batch", "_native_batch_norm_legit"),
        ("refused", "changes an argument; a captured graph holds none such", "resize_"),
        ("refused", "writes into an argument; a captured graph holds none such", "atan2.out"),
        ("refused", _BACKWARD, "_adaptive_avg_pool2d_backward avg_pool2d_backward convolution_backward"),
        ("refused", _BACKWARD, "embedding_dense_backward max_pool2d_with_indices_backward"),
        ("refused", _BACKWARD, "native_group_norm_backward native_layer_norm_backward"),
        ("linear", f"by a constant; {_BY_INPUT}: decomposed to mul, reciprocal", "div.Tensor"),
        ("decomposed", "to var.correction", "var.dim"),
    )
    for operation in named(names)
}
_TAKEN_APART_NOTES = {
    aten.scatter_reduce.two: "sums and means, to scatter_add; others refused",
    aten.split_with_sizes.default: "to slices",
}


def rows() -> list[Row]:
    """Return a row for every core ATen operation, and every other that the registry knows, by name."""
    registered = dict(_registered())
    core = set(_core())
    found = []
    for operation in sorted(core | set(registered), key=lambda each: str(each).lower()):
        taken, note = registered.get(operation) or _not_registered(operation)
        found.append(Row(str(operation).removeprefix("aten."), taken, note, operation in core))
    return found


def _core() -> Iterator[Any]:
    for full_name in every_operation():
        namespace, _, name = full_name.partition("::")
        packet, _, overload = name.partition(".")
        if namespace == "aten":
            operation = getattr(getattr(aten, packet), overload or "default")
            if torch.Tag.core in operation.tags:
                yield operation


def _registered() -> Iterator[tuple[Any, tuple[str, str]]]:
    for operation in TAKEN_APART:
        yield operation, ("decomposed", _TAKEN_APART_NOTES.get(operation, ""))
    several = "credit to each by its Shapley value where several arguments depend on the input"
    for table in (FIRST, SUMS, RECURRENT):
        for operation, kind in table.items():
            yield operation_of(operation), (kind.label, kind.note())
    for operation, kind in JOINT.items():
        yield operation, (kind.label, f"{kind.note()}; {several}".removeprefix("; "))
    for operation, linear in SUMS_BUT.items():
        what = "mask" if operation is aten.where.self else f"argument {linear.mask}"
        note = f"{what} constant" + (f"; else elementwise, {several}" if operation in JOINT else "")
        yield operation, ("linear", note)
    for operation, product in PRODUCTS.items():
        note = f"linear with one argument that depends on the input: {product.linear.note()}"
        yield operation, (product.label, note.removesuffix(": "))
    for operation in SHAPE_ONLY:
        yield operation, ("constant", "reads shapes only")


def _not_registered(operation: Any) -> tuple[str, str]:
    decompositions: Mapping[Any, Any] = torch.export.default_decompositions()
    if operation in _OUTSIDE:
        return _OUTSIDE[operation]
    return ("decomposed", "by torch") if operation in decompositions else ("refused", "")


def as_markdown() -> str:
    """Return docs/operations.md."""
    lines = [Path(__file__).with_suffix(".md").read_text(encoding="utf-8")]
    for title, core in (("Core ATen operations", True), ("Others that are known", False)):
        lines += [f"## {title}", "", "| operation | taken as | note |", "|---|---|---|"]
        lines += [f"| `{row.operation}` | {row.taken} | {row.note} |" for row in rows() if row.core is core]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown(), end="")
