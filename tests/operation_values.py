"""Values around one operation in its test: computed from the input, or extra inputs."""

from __future__ import annotations

from typing import Any

import torch
from operation_table import Draw, V, X
from torch import Tensor

from genolift.engine.graph.graph import Name, aten


def made_of_input(d: Draw, square: bool) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return the values computed from the input that rows name, in the order of computing."""
    c, p = d.channels, d.positions
    infinite = torch.zeros(c, p, dtype=d.dtype)
    infinite[0, 0] = -torch.inf
    values: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "u": (aten.mul.Tensor, (X, d.constant(c, *([1] * square), p, positive=True))),
        "v": (aten.flip.default, (X, [1, 2])),
        "m": (aten.gt.Scalar, (X, 0.1)),
        "w": (aten.lt.Scalar, (V, 0.5)),
        "timed": (aten.permute.default, (X, [1, 0, 2])),
        "turned": (aten.permute.default, (X, [0, 2, 1])),
        "flat": (aten.view.default, (X, [-1, c * p])),
        "last": (aten.select.int, (V, 2, 0)),
        "narrow": (aten.slice.Tensor, (V, 1, 0, 1)),
        "large": (aten.mul.Scalar, (X, 80.0)),
        "masked": (aten.add.Tensor, (X, d.keep(infinite))),
        "more": (aten.unsqueeze.default, (X, 2)),
        "most": (aten.unsqueeze.default, (Name("more"), 2)),
        "deep": (aten.mul.Tensor, (Name("most"), d.constant(c, 3, 3, 1))),
        "one": (aten.unsqueeze.default, (X, 3)),
        "other": (aten.unsqueeze.default, (V, 3)),
        "pairs": (aten.cat.default, ([Name("one"), Name("other")], 3)),
        "complex": (aten.view_as_complex.default, (Name("pairs"),)),
        "sixteen": (aten.mm.default, (Name("flat"), d.constant(c * p, 16))),
        "columns": (aten.view.default, (Name("sixteen"), [-1, 4, 4])),
    }
    return values | d.made


def held(rows: int, channels: int, positions: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the extra inputs of the graph, the same for every row."""
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(positions, (1, channels, 3), generator=generator)
    grid = torch.rand(1, 2, 3, 2, generator=generator, dtype=torch.float64).to(dtype) * 2 - 1
    order = torch.rand(1, channels, positions, generator=generator).argsort(2)
    values = {"places": places, "grid": grid, "order": order, "truths": places > 0}
    return {name: value.repeat_interleave(rows, 0) for name, value in values.items()}
