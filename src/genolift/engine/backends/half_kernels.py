"""Compiled loops over bfloat16 values, which numpy and numba do not know: their bits are passed as uint16.

A bfloat16 is the upper half of a float32; rounding is to the nearest, ties to even, as torch rounds. Shapes
are those of kernels.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic as _intrinsic
from numpy.typing import NDArray

from genolift.engine.backends.compiled import compiled

_LOOPS = compiled(error_model="numpy", fastmath={"contract", "nsz"})
Values = NDArray[Any]
intrinsic: Any = _intrinsic  # its type says that it is called with what it itself is given


@intrinsic
def _as_float(context: Any, bits: Any) -> Any:
    """The float32 of 32 bits."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.uint32), code


@intrinsic
def _as_bits(context: Any, number: Any) -> Any:
    """The 32 bits of a float32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.uint32))

    return types.uint32(types.float32), code


@_LOOPS
def _whole(half: Any) -> Any:
    return _as_float(np.uint32(np.uint32(half) << np.uint32(16)))


@_LOOPS
def _rounded(number: Any) -> Any:
    bits = _as_bits(number)
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
