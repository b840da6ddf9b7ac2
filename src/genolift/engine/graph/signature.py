"""What an exported program says of its arguments."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram

from genolift.engine.graph.graph import UnsupportedOperation


def inputs_of_program(program: ExportedProgram) -> dict[str, Any]:
    """Return what stands for each of a program's arguments, by name: of a tensor, one of its shape."""
    users = program.graph_signature.user_inputs
    placeholders = (node for node in program.graph.nodes if node.op == "placeholder")
    return {node.name: node.meta["val"] for node in placeholders if node.name in users}


def rows_of_program(program: ExportedProgram) -> torch.SymInt:
    """Return what stands for a program's number of rows.

    Raises
    ------
    UnsupportedOperation
        If it takes one number alone.
    """
    rows = next(iter(inputs_of_program(program).values())).shape[0]
    if isinstance(rows, int):
        raise UnsupportedOperation(
            f"the exported program takes {rows} rows only",
            where="model",
            remedy='export it with dynamic_shapes=({0: torch.export.Dim("batch", min=2)},)',
        )
    return rows
