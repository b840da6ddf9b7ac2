"""All tensors of what a model or a layer returns."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from genolift.engine.torch_internals import tree_leaves


def tensors_of(output: Any) -> list[Tensor]:
    """Return all tensors of what a model or a layer returns, in order."""
    if is_dataclass(output) and not isinstance(output, type):
        output = [getattr(output, each.name) for each in fields(output)]
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
