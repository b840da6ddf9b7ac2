"""Compiled loops over the values of sequences and references, each one pass over memory.

What torch does in eight passes over a layer's values, and so in a sixth of the time of a convolution of 64
channels, takes one here (benchmarks/README.md). Values of the sequences are (n, values), those of pairs
(n r, values), pair q being of sequence q // r; references are (n r, values), or (1, values) where all share
one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.engine.backends.compiled import compiled

# Division by 0 gives infinity, as in torch; sums keep their order, products may be added without rounding.
_LOOPS = compiled(error_model="numpy", fastmath={"contract", "nsz"})
Values = NDArray[Any]


@_LOOPS
def _row(values: Values, q: int) -> Values:
    return values[0 if values.shape[0] == 1 else q]


@_LOOPS
def rescale_relu(x: Values, x0: Values, a: Values, r: int, out: Values) -> None:
    """Rescale of relu: out = a (relu(x) - relu(x0)) / (x - x0), the slope at x0 where the two are equal."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for q in range(a.shape[0]):
        xs, zs, multipliers, result = x[q // r], _row(x0, q), a[q], out[q]
        for k in range(result.shape[0]):
            v, z = xs[k], zs[k]
            difference = v - z
            ratio = (max(v, zero) - max(z, zero)) / difference
            slope = one if z > zero else zero
            result[k] = multipliers[k] * (ratio if difference != zero else slope)


@_LOOPS
def reveal_cancel_relu(
    x: Values,
    x0: Values,
    spread: Values,
    a: Values,
    b: Values,
    r: int,
    noise: Any,
    out: tuple[Values, Values],
) -> None:
    """RevealCancel of relu (section 3.5.3): the mean of x's two multipliers, and half their difference.

    ``b`` is half the difference of the output's multipliers, (1, values) zeros where they are the same. Parts
    of dx below ``noise`` of the values are rounding, and get the limit of the rule.
    """
    zero, one, two = x.dtype.type(0), x.dtype.type(1), x.dtype.type(2)
    for q in range(a.shape[0]):
        xs, zs, ss = x[q // r], _row(x0, q), spread[q]
        means, halves, result, result_half = a[q], _row(b, q), out[0][q], out[1][q]
        for k in range(result.shape[0]):
            v, z, s = xs[k], zs[k], ss[k]
            difference = v - z
            plus, minus = (difference + s) / two, (difference - s) / two
            at_plus, at_minus = max(z + plus, zero), max(z + minus, zero)
            y, y0 = max(v, zero), max(z, zero)
            rounding = noise * max(max(abs(v), abs(z)), abs(s))
            before = one if z > zero else zero
            after_minus = one if z + minus > zero else zero
            after_plus = one if z + plus > zero else zero
            m_plus = ((at_plus - y0) + (y - at_minus)) / (two * plus)
            m_minus = ((at_minus - y0) + (y - at_plus)) / (two * minus)
            m_plus = m_plus if abs(plus) > rounding else (before + after_minus) / two
            m_minus = m_minus if abs(minus) > rounding else (before + after_plus) / two
            m_plus *= means[k] + halves[k]
            m_minus *= means[k] - halves[k]
            result[k] = (m_plus + m_minus) / two
            result_half[k] = (m_plus - m_minus) / two


@_LOOPS
def ratio(
    x: Values, x0: Values, y: Values, y0: Values, a: Values, r: int, tiny_below: tuple[Any, Any], out: Values
) -> int:
    """Rescale of any function: out = a (y - y0) / (x - x0), NaN where x - x0 is too small to divide by.

    That is at most the first of ``tiny_below``, or the second times the smaller of x and x0. Returns how
    often that was.
    """
    absolute, relative = tiny_below
    tiny, nothing = 0, x.dtype.type(np.nan)
    for q in range(a.shape[0]):
        xs, ys, zs, y0s = x[q // r], y[q // r], _row(x0, q), _row(y0, q)
        multipliers, result = a[q], out[q]
        for k in range(result.shape[0]):
            v, z = xs[k], zs[k]
            difference = v - z
            limit = max(absolute, relative * min(abs(v), abs(z)))
            small = abs(difference) <= limit
            tiny += small
            result[k] = nothing if small else multipliers[k] * (ys[k] - y0s[k]) / difference
    return tiny


@_LOOPS
def select_largest(
    x: Values,
    x0: Values,
    chosen: Values,
    chosen0: Values,
    a: Values,
    r: int,
    steps: tuple[int, int, int, int, int],
    out: Values,
) -> None:
    """Credit the input's maximum with what raises the output, the reference's with what lowers it.

    ``steps`` are outer, inner, outer_step, inner_step and window_step: output (u, v), of outer times inner,
    chose x at u outer_step + v inner_step + index window_step. See `kinds.selection` for the rule; ``out`` is
    added to.
    """
    outer, inner, outer_step, inner_step, window_step = steps
    zero = x.dtype.type(0)
    for q in range(out.shape[0]):
        xs, zs, indices, indices0 = x[q // r], _row(x0, q), chosen[q // r], _row(chosen0, q)
        multipliers, result = a[q], out[q]
        for u in range(outer):
            for v in range(inner):
                k = u * inner + v
                start = u * outer_step + v * inner_step
                i, j = start + indices[k] * window_step, start + indices0[k] * window_step
                if i == j:
                    result[i] += multipliers[k]
                    continue
                y, y0 = xs[i], zs[j]
                higher = max(y, y0)
                rise, fall = xs[i] - zs[i], xs[j] - zs[j]
                if higher != y0 and rise != zero:
                    result[i] += multipliers[k] * ((higher - y0) / rise)
                if y != higher and fall != zero:
                    result[j] += multipliers[k] * ((y - higher) / fall)


# numpy and numba know no bfloat16: its bits, the upper half of a float32's, are passed as uint16, and rounded
# to the nearest, ties to even, as torch rounds.


@_LOOPS
def _whole(half: Any) -> Any:
    return np.uint32(np.uint32(half) << np.uint32(16)).view(np.float32)


@_LOOPS
def _rounded(number: Any) -> Any:
    bits = np.float32(number).view(np.uint32)
    even = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return np.uint16((bits + even) >> np.uint32(16))


@_LOOPS
def relu_of_half(x: Values, out: Values) -> None:
    """Out, float32, is relu of x; both (values,)."""
    zero = np.float32(0)
    for k in range(out.shape[0]):
        out[k] = max(_whole(x[k]), zero)


@_LOOPS
def rescale_relu_of_half(x: Values, x0: Values, a: Values, r: int, out: Values) -> None:
    """`rescale_relu` of x and x0 in bfloat16 and a in float32, to bfloat16."""
    zero, one = np.float32(0), np.float32(1)
    for q in range(a.shape[0]):
        xs, zs, multipliers, result = x[q // r], _row(x0, q), a[q], out[q]
        for k in range(result.shape[0]):
            v, z = _whole(xs[k]), _whole(zs[k])
            difference = v - z
            ratio = (max(v, zero) - max(z, zero)) / difference
            slope = one if z > zero else zero
            result[k] = _rounded(multipliers[k] * (ratio if difference != zero else slope))


@_LOOPS
def surrounded(
    unchanged: Values, window: Values, starts: Values, first: Values, outside: Any, outer: int, out: Values
) -> None:
    """Put each row's window, from ``starts`` on, in the midst of an unchanged row: out is from ``first`` on.

    Shapes: unchanged (copies, position, n), window (rows copies, width, n), starts and first (rows,), out
    (rows copies, positions, n); rows copies is (outer, rows, more) flattened. Beyond the ends is ``outside``.
    """
    copies, length, n = unchanged.shape
    rows, width, more = starts.shape[0], window.shape[1], copies // outer
    for q in range(out.shape[0]):
        row = q // more % rows
        values = unchanged[q // (more * rows) * more + q % more]
        begun, at = starts[row], first[row]
        for j in range(out.shape[1]):
            position, result = at + j, out[q, j]
            if begun <= position < begun + width:
                for k in range(n):
                    result[k] = window[q, position - begun, k]
            elif 0 <= position < length:
                for k in range(n):
                    result[k] = values[position, k]
            else:
                for k in range(n):
                    result[k] = outside


@_LOOPS
def difference(unchanged: Values, window: Values, starts: Values, outer: int, out: Values) -> None:
    """Put in ``out`` each row's window, from ``starts`` on, less what an unchanged row has there."""
    rows, more = starts.shape[0], unchanged.shape[0] // outer
    for q in range(out.shape[0]):
        values = unchanged[q // (more * rows) * more + q % more]
        begun = starts[q // more % rows]
        for j in range(out.shape[1]):
            here, there, result = window[q, j], values[begun + j], out[q, j]
            for k in range(out.shape[2]):
                result[k] = here[k] - there[k]
