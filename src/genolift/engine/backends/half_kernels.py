"""Compiled loops over bfloat16 values, which numpy and numba do not know: their bits are passed as uint16.

A bfloat16 is the upper half of a float32; rounding is to the nearest, ties to even, as torch rounds. Shapes
are those of kernels.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.engine.backends.compiled import compiled

_LOOPS = compiled(error_model="numpy", fastmath={"contract", "nsz"})
Values = NDArray[Any]


@_LOOPS
def _whole(half: Any) -> Any:
    return np.uint32(np.uint32(half) << np.uint32(16)).view(np.float32)


@_LOOPS
def _rounded(number: Any) -> Any:
    bits = np.float32(number).view(np.uint32)
    even = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return np.uint16((bits + even) >> np.uint32(16))


@_LOOPS
def relu(x: Values, out: Values) -> None:
    """Out, float32, is relu of x; both (values,)."""
    zero = np.float32(0)
    for k in range(out.shape[0]):
        out[k] = max(_whole(x[k]), zero)


@_LOOPS
def add(a: Values, half: Values, out: Values) -> None:
    """Out = a + half, a and out float32; all (values,)."""
    for k in range(out.shape[0]):
        out[k] = a[k] + _whole(half[k])


@_LOOPS
def rescale_relu(x: Values, x0: Values, a: Values, r: int, out: Values) -> None:
    """`kernels.rescale_relu` of x and x0 in bfloat16 and a in float32, to bfloat16."""
    zero, one = np.float32(0), np.float32(1)
    shared = x0.shape[0] == 1
    for q in range(a.shape[0]):
        xs, zs, multipliers, result = x[q // r], x0[0 if shared else q], a[q], out[q]
        for k in range(result.shape[0]):
            v, z = _whole(xs[k]), _whole(zs[k])
            difference = v - z
            ratio = (max(v, zero) - max(z, zero)) / difference
            slope = one if z > zero else zero
            result[k] = _rounded(multipliers[k] * (ratio if difference != zero else slope))
