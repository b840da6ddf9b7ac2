"""Shapley values of the arguments of a function: what each adds, averaged over the orders of adding them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial

import torch
from torch import Tensor


def shapley_values(names: Sequence[str], compute: Callable[[frozenset[str]], Tensor]) -> dict[str, Tensor]:
    """Return for each argument its mean change of the result; they sum to the whole change.

    ``compute(changed)`` is the result with the arguments in ``changed`` at the input's values and the others
    at the reference's (Lundberg & Lee 2017, arXiv 1705.07874, equation 4).
    """
    results = {
        changed: compute(changed)
        for size in range(len(names) + 1)
        for changed in map(frozenset[str], combinations(names, size))
    }
    values = {}
    for name in names:
        change = torch.zeros_like(results[frozenset()])
        for changed in results:
            if name not in changed:
                orders = factorial(len(changed)) * factorial(len(names) - len(changed) - 1)
                weight = orders / factorial(len(names))
                change += weight * (results[changed | {name}] - results[changed])
        values[name] = change
    return values
