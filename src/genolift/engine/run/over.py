"""Operations that may put their result where an argument lies, which nothing else takes.

Windows of a batch are larger than what is near the processor: memory that was just written is quicker to go
through than other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from genolift.engine.graph.graph import Graph, Name, Operation, aten
from genolift.engine.kinds.kind import Kind
from genolift.engine.torch_internals import in_place


def written_over(
    operation: Operation, kinds: Mapping[Name, Kind], graph: Graph, one: Mapping[str, Any]
) -> Operation | None:
    """Return an operation that writes over its first argument and gives the same; None where none may.

    ``kinds`` are those of the operations that depend on the input, and ``one`` their values of one row.
    """
    target = in_place(operation.target)
    if target is None:
        return None
    args, result = operation.args, one[operation.name]
    turned = (args[1], args[0], *args[2:]) if operation.target is aten.add.Tensor else args
    for first, *more in (args, turned) if not operation.kwargs else (args,):
        if not isinstance(first, Name) or first in more or first not in kinds:
            continue
        value, kind, alone = one[first], kinds[first], len(graph.users[first]) == 1
        # A layer's result is memory of its own too; what is read at the end is nobody's to write over.
        own = (kind.made_anew or bool(kind.weighted)) and first not in (graph.output, graph.read)
        if own and alone and value.shape == result.shape and value.dtype == result.dtype:
            return replace(operation, target=target, args=(first, *more))
    return None
