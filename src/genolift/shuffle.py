"""Shuffles of coded sequences, compiled, each seeded by what it shuffles. Knows nothing of files or one-hot.

The dinucleotide shuffle is uniform over all distinct sequences with the given dinucleotide counts and end
bases. Each such sequence is an Eulerian path through the graph whose vertices are the bases and whose edges
are the dinucleotides (Altschul & Erickson 1985). A path is fixed by the order in which each base's edges are
used, and an order gives a path exactly where the last edges out of the bases form a tree toward the last
base. So a uniform random tree (Wilson 1996) and a random order of the other edges give a uniform path
(Kandel, Matias, Unger & Winkler 1996). Paths here tell equal dinucleotides apart. That leaves sequences
uniform too: each is spelt by the same number of paths, the product of its dinucleotide counts' factorials.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from genolift.alphabet import N_CODE
from genolift.errors import InputError

KINDS = ("dinucleotide_shuffle", "uniform_shuffle")
MAX_SEED = 2**63 - 1

# Every constant is a uint64: numba makes a float64 of a uint64 and a signed integer.
_HALF, _TWO_TO_32, _LOW_HALF = np.uint64(32), np.uint64(2**32), np.uint64(2**32 - 1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile with numba, kept on disk where any of numba's cache folders can be written to.

    Where none can, numba raises as the module is imported; then it is compiled anew in each run (2 s).
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


def shuffle_codes(
    codes: NDArray[np.uint8], r: int = 20, seed: int = 0, kind: str = "dinucleotide_shuffle"
) -> NDArray[np.uint8]:
    """Return ``r`` shuffles of each sequence, seeded by the seed, its codes and the shuffle's number.

    So neither the other sequences, nor their order, nor ``r`` changes a shuffle: the first 5 of 20 are the 5
    of 5, and equal sequences have equal shuffles. All is done in integers, the same on every machine.

    Parameters
    ----------
    codes
        uint8 (sequence, position): 0-3 for A C G T, 4 for N. N stays in place, and each stretch between is
        shuffled by itself, the stretches one after the other from the left by one generator.
    r
        Shuffles of each sequence, 1 or more.
    seed
        0 to 2**63 - 1.
    kind
        ``dinucleotide_shuffle``: uniform over all sequences whose stretches keep their dinucleotide counts
        and first and last base. ``uniform_shuffle``: uniform over all orders of each stretch's bases.

    Returns
    -------
    uint8 (sequence, reference, position).

    Raises
    ------
    InputError
        If an argument is not as above.
    """
    if kind not in KINDS:
        raise InputError(f"no such shuffle: {kind!r}", remedy=f"choose one of {', '.join(KINDS)}")
    check_number_and_seed(r, seed)
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.dtype != np.uint8 or codes.max(initial=0) > N_CODE:
        raise InputError(
            f"codes to shuffle are {codes.dtype} of shape {codes.shape}",
            remedy="give uint8 (sequence, position), 0-3 for A C G T and 4 for N",
        )
    shuffled = np.empty((codes.shape[0], r, codes.shape[1]), dtype=np.uint8)
    _shuffle_sequences(np.ascontiguousarray(codes), np.uint64(seed), KINDS.index(kind), shuffled)
    return shuffled


def check_number_and_seed(r: int, seed: int) -> None:
    """Raise `InputError` unless ``r`` references can be made with ``seed``."""
    if not isinstance(r, int | np.integer) or isinstance(r, bool) or r < 1:
        raise InputError(f"the number of references is {r!r}", remedy="give a whole number of 1 or more")
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
        raise InputError(
            f"the references' seed is {seed!r}", remedy="give a whole number from 0 to 2**63 - 1"
        )


@_compiled
def _mix(number):  # type: ignore[no-untyped-def]
    """SplitMix64's finaliser (Steele, Lea & Flood 2014): every bit of ``number`` reaches every bit."""
    number = (number ^ (number >> np.uint64(30))) * _MIX_1
    number = (number ^ (number >> np.uint64(27))) * _MIX_2
    return number ^ (number >> np.uint64(31))


@_compiled
def _hash(codes, seed, kind):  # type: ignore[no-untyped-def]
    """FNV-1a over the codes, mixed with their number, the seed and the kind of shuffle."""
    number = _FNV_OFFSET
    for code in codes:
        number = (number ^ np.uint64(code)) * _FNV_PRIME
    number = _mix(number + np.uint64(codes.size) * _GOLDEN)
    return _mix(_mix(number ^ _mix(seed + _GOLDEN)) + np.uint64(kind + 1) * _GOLDEN)


@_compiled
def _seed_generator(key, reference, state):  # type: ignore[no-untyped-def]
    """Fill the generator's four words from ``key`` by SplitMix64, as its authors advise."""
    word = _mix(key + np.uint64(reference + 1) * _GOLDEN)
    for place in range(4):
        word += _GOLDEN
        state[place] = _mix(word)


@_compiled
def _next(state):  # type: ignore[no-untyped-def]
    """The next 32 random bits: the upper half of xoshiro256++'s output (Blackman & Vigna 2021)."""
    sum_of_ends = state[0] + state[3]
    output = ((sum_of_ends << np.uint64(23)) | (sum_of_ends >> np.uint64(41))) + state[0]
    shifted = state[1] << np.uint64(17)
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = (state[3] << np.uint64(45)) | (state[3] >> np.uint64(19))
    return output >> _HALF


@_compiled
def _below(bound, state):  # type: ignore[no-untyped-def]
    """A random integer from 0 to ``bound`` - 1, each exactly as likely (Lemire 2019)."""
    limit = np.uint64(bound)
    product = _next(state) * limit
    if (product & _LOW_HALF) < limit:
        threshold = (_TWO_TO_32 - limit) % limit
        while (product & _LOW_HALF) < threshold:
            product = _next(state) * limit
    return np.int64(product >> _HALF)


@_compiled
def _permute(letters, start, stop, state):  # type: ignore[no-untyped-def]
    """Fisher and Yates: put ``letters[start:stop]`` in random order."""
    for last in range(stop - 1, start, -1):
        other = start + _below(last - start + 1, state)
        letters[last], letters[other] = letters[other], letters[last]


@_compiled
def _sort_by_predecessor(stretch, successors, first):  # type: ignore[no-untyped-def]
    """Lay out the edges: base b's successors in order of position, ``successors[first[b]:first[b + 1]]``."""
    first[:] = 0
    for predecessor in stretch[:-1]:
        first[predecessor + 1] += 1
    for base in range(4):
        first[base + 1] += first[base]
    place = first[:4].copy()
    for position in range(stretch.size - 1):
        base = stretch[position]
        successors[place[base]] = stretch[position + 1]
        place[base] += 1


@_compiled
def _draw_last_edges(successors, first, root, last_edge, state):  # type: ignore[no-untyped-def]
    """Draw a uniform spanning tree toward ``root`` over edges by Wilson's loop-erased walks (Wilson 1996).

    ``last_edge[b]`` is the place of base b's tree edge, -1 for the root and for bases that no edge leaves.
    A loop is erased by what a later visit writes over it.
    """
    in_tree = np.zeros(4, dtype=np.bool_)
    in_tree[root] = True
    last_edge[:] = -1
    for base in range(4):
        if first[base + 1] == first[base]:
            continue
        here = base
        while not in_tree[here]:
            last_edge[here] = first[here] + _below(first[here + 1] - first[here], state)
            here = successors[last_edge[here]]
        here = base
        while not in_tree[here]:
            in_tree[here] = True
            here = successors[last_edge[here]]


@_compiled
def _draw_path(successors, first, last_edge, state, path):  # type: ignore[no-untyped-def]
    """Write a uniform Eulerian path to ``path``, whose ends stand there; disorders ``successors``."""
    _draw_last_edges(successors, first, path[-1], last_edge, state)
    for base in range(4):
        stop = first[base + 1]
        if last_edge[base] >= 0:
            stop -= 1
            kept = successors[last_edge[base]]
            successors[last_edge[base]] = successors[stop]
            successors[stop] = kept
        _permute(successors, first[base], stop, state)
    place = first[:4].copy()
    here = path[0]
    for position in range(1, path.size):
        edge = place[here]
        place[here] = edge + 1
        here = successors[edge]
        path[position] = here


@_compiled
def _shuffle_stretch(stretch, kind, states, shuffled):  # type: ignore[no-untyped-def]
    """Shuffle a stretch without N into every row of ``shuffled`` (reference, position)."""
    edges = np.empty(stretch.size, dtype=np.uint8)
    successors = np.empty(stretch.size, dtype=np.uint8)
    first = np.zeros(5, dtype=np.int64)
    last_edge = np.empty(4, dtype=np.int64)
    _sort_by_predecessor(stretch, edges, first)
    for reference in range(shuffled.shape[0]):
        shuffled[reference, :] = stretch
        if kind == 1:
            _permute(shuffled[reference], 0, stretch.size, states[reference])
        elif stretch.size > 2:
            successors[:] = edges
            _draw_path(successors, first, last_edge, states[reference], shuffled[reference])


@_compiled
def _shuffle_sequences(codes, seed, kind, shuffled):  # type: ignore[no-untyped-def]
    """Fill ``shuffled`` (sequence, reference, position); ``kind`` is a place in KINDS."""
    length = codes.shape[1]
    states = np.empty((shuffled.shape[1], 4), dtype=np.uint64)
    for sequence in range(codes.shape[0]):
        row = codes[sequence]
        key = _hash(row, seed, kind)
        for reference in range(states.shape[0]):
            _seed_generator(key, reference, states[reference])
        start = 0
        while start < length:
            if row[start] > 3:
                shuffled[sequence, :, start] = row[start]
                start += 1
                continue
            stop = start + 1
            while stop < length and row[stop] <= 3:
                stop += 1
            _shuffle_stretch(row[start:stop], kind, states, shuffled[sequence, :, start:stop])
            start = stop
