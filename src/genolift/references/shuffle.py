"""Shuffles of coded sequences, compiled if there are many, each seeded by what it shuffles.

The dinucleotide shuffle is uniform over all distinct sequences with the given dinucleotide counts and end
bases. Each such sequence is an Eulerian path through the graph whose vertices are the bases and whose edges
are the dinucleotides (Altschul & Erickson 1985). A path is fixed by the order in which each base's edges are
used, and an order gives a path exactly where the last edges out of the bases form a tree toward the last
base. So a uniform random tree (Wilson 1996) and a random order of the other edges give a uniform path
(Kandel, Matias, Unger & Winkler 1996). Paths here tell equal dinucleotides apart. That leaves sequences
uniform too: each is spelt by the same number of paths, the product of its dinucleotide counts' factorials.
"""

from functools import cache
from threading import Lock
from types import FunctionType

import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import N_CODE
from genolift.errors import InputError

KINDS = ("dinucleotide_shuffle", "uniform_shuffle")
MAX_SEED = 2**63 - 1
MAX_NUMBER = 1_000_000  # a hundred times what the config accepts; more would not fit into memory

_FEW = 150_000
"""Bases of shuffles that Python writes in 0.4 s, without numba, in a process: compiled code takes 0.5 s to
import and load, and 7 s to compile where no process has yet.
"""
_written = [0]
"""How many it has written."""
_COMPILING = Lock()
# Every constant is a uint64: numba makes a float64 of a uint64 and a signed integer.
_ONE, _HALF = np.uint64(1), np.uint64(32)
_TWO_TO_32, _LOW_HALF = np.uint64(2**32), np.uint64(2**32 - 1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


def shuffle_codes(
    codes: NDArray[np.uint8], r: int = 20, seed: int = 0, kind: str = "dinucleotide_shuffle"
) -> NDArray[np.uint8]:
    """Return ``r`` shuffles of each sequence, seeded by the seed, its codes and the shuffle's number.

    So a shuffle does not depend on the other sequences, their order, or ``r``: the first 5 of 20 are the same
    as with 5, and equal sequences have equal shuffles. Only integers are used: all machines give the same.

    Parameters
    ----------
    codes
        uint8 (sequence, position): 0-3 for A C G T, 4 for N. N stays in place, and each stretch between N is
        shuffled separately, from left to right with one generator.
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
    given = np.ascontiguousarray(codes), np.uint64(seed), KINDS.index(kind), shuffled
    with _COMPILING:  # while the functions below are Python's, none may become another under way
        if isinstance(_mix, FunctionType) and _written[0] + shuffled.size <= _FEW:
            _written[0] += shuffled.size
            with np.errstate(over="ignore"):  # the numbers are taken modulo 2**64
                _shuffle_sequences(*given)
            return shuffled
        _compile()
    _shuffle_sequences(*given)
    return shuffled


@cache
def _compile() -> None:
    """Compile the functions below, of which each calls earlier ones."""
    from genolift.engine.backends.compiled import compiled

    for function in _FUNCTIONS:
        globals()[function.__name__] = compiled()(function)


def check_number_and_seed(r: int, seed: int) -> None:
    """Raise `InputError` unless ``r`` references can be made with ``seed``."""
    if not isinstance(r, int | np.integer) or isinstance(r, bool) or not 1 <= r <= MAX_NUMBER:
        shown = f"{r!r:.30}"
        remedy = f"give a whole number from 1 to {MAX_NUMBER:,}"
        raise InputError(f"the number of references is {shown}", remedy=remedy)
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
        raise InputError(
            f"the references' seed is {seed!r}", remedy="give a whole number from 0 to 2**63 - 1"
        )


def _mix(number):  # type: ignore[no-untyped-def]
    """SplitMix64's finaliser (Steele, Lea & Flood 2014): every bit of ``number`` reaches every bit."""
    number = (number ^ (number >> np.uint64(30))) * _MIX_1
    number = (number ^ (number >> np.uint64(27))) * _MIX_2
    return number ^ (number >> np.uint64(31))


def _hash(codes, seed, kind):  # type: ignore[no-untyped-def]
    """FNV-1a over the codes, mixed with their number, the seed and the kind of shuffle."""
    number = _FNV_OFFSET
    for code in codes:
        number = (number ^ np.uint64(code)) * _FNV_PRIME
    number = _mix(number + np.uint64(codes.size) * _GOLDEN)
    return _mix(_mix(number ^ _mix(seed + _GOLDEN)) + np.uint64(kind + 1) * _GOLDEN)


def _next(state):  # type: ignore[no-untyped-def]
    """The next 32 random bits: the upper half of SplitMix64's output; ``state`` is its counter (1,)."""
    state[0] += _GOLDEN
    return _mix(state[0]) >> _HALF


def _fill(words, state):  # type: ignore[no-untyped-def]
    """Fill ``words``, uint32 of even number, with random bits: each output of the generator gives two.

    An output depends only on the counter, not on the previous output, so the compiler computes several at
    a time: 0.3 us for 2,114 words.
    """
    half = words.size // 2
    for place in range(half):
        word = _mix(state[0] + np.uint64(place + 1) * _GOLDEN)
        words[place] = np.uint32(word)
        words[half + place] = np.uint32(word >> _HALF)
    state[0] += np.uint64(half) * _GOLDEN


def _below(bound, word, state):  # type: ignore[no-untyped-def]
    """A random uint64 from 0 to ``bound`` - 1, each exactly as likely, from 32 random bits (Lemire 2019).

    Fewer than ``bound`` of the 2**32 values of ``word`` are too many for that; then others are drawn.
    """
    product = np.uint64(word) * bound
    if (product & _LOW_HALF) < bound:
        threshold = (_TWO_TO_32 - bound) % bound
        while (product & _LOW_HALF) < threshold:
            product = _next(state) * bound
    return product >> _HALF


def _permute(letters, start, stop, words, state):  # type: ignore[no-untyped-def]
    """Fisher and Yates: put ``letters[start:stop]`` in random order, by the words at the same places.

    Indices are unsigned, since numba looks whether a signed one is negative: 1.9 us for 2,114 bases, not 3.3.
    """
    start, number = np.uint64(start), np.uint64(stop - start)
    while number > _ONE:
        last = start + number - _ONE
        other = start + _below(number, words[last], state)
        letters[last], letters[other] = letters[other], letters[last]
        number -= _ONE


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


def _draw_last_edges(successors, first, root, last_edge, state):  # type: ignore[no-untyped-def]
    """Draw a uniform spanning tree toward ``root`` over edges by Wilson's loop-erased walks (Wilson 1996).

    ``last_edge[b]`` is the place of base b's tree edge, -1 for the root and for bases that no edge leaves.
    A loop is erased by what a later visit writes over it.
    """
    in_tree = 1 << root  # a bit for each base
    last_edge[:] = -1
    for base in range(4):
        if first[base + 1] == first[base]:
            continue
        here = base
        while not in_tree >> here & 1:
            last_edge[here] = first[here] + np.int64(
                _below(np.uint64(first[here + 1] - first[here]), _next(state), state)
            )
            here = successors[last_edge[here]]
        here = base
        while not in_tree >> here & 1:
            in_tree |= 1 << here
            here = successors[last_edge[here]]


def _order_edges(successors, first, root, last_edge, words, state):  # type: ignore[no-untyped-def]
    """Put each base's edges in an order whose path is a uniform Eulerian path to ``root``."""
    _draw_last_edges(successors, first, root, last_edge, state)
    _fill(words, state)
    for base in range(4):
        stop = first[base + 1]
        if last_edge[base] >= 0:
            stop -= 1
            kept = successors[last_edge[base]]
            successors[last_edge[base]] = successors[stop]
            successors[stop] = kept
        _permute(successors, first[base], stop, words, state)


def _walk_four(successors, place, path_0, path_1, path_2, path_3):  # type: ignore[no-untyped-def]
    """Write the paths that ``successors`` give, whose first bases stand there.

    ``place[4 * i + b]`` is where path i's next edge out of base b is; it is moved on. A step of a walk waits
    for the one before, some ten cycles. Four at a time fill the wait: 1.5 us a path of 2,114 bases, not 5.7.
    Eight are no faster.
    """
    here_0, here_1 = np.uint64(path_0[0]), np.uint64(path_1[0]) + np.uint64(4)
    here_2, here_3 = np.uint64(path_2[0]) + np.uint64(8), np.uint64(path_3[0]) + np.uint64(12)
    for position in range(1, path_0.size):
        edge_0, edge_1, edge_2, edge_3 = place[here_0], place[here_1], place[here_2], place[here_3]
        place[here_0], place[here_1] = edge_0 + _ONE, edge_1 + _ONE
        place[here_2], place[here_3] = edge_2 + _ONE, edge_3 + _ONE
        base_0, base_1 = successors[edge_0], successors[edge_1]
        base_2, base_3 = successors[edge_2], successors[edge_3]
        path_0[position], path_1[position] = base_0, base_1
        path_2[position], path_3[position] = base_2, base_3
        here_0, here_1 = np.uint64(base_0), np.uint64(base_1) + np.uint64(4)
        here_2, here_3 = np.uint64(base_2) + np.uint64(8), np.uint64(base_3) + np.uint64(12)


def _draw_paths(stretch, states, words, shuffled, start):  # type: ignore[no-untyped-def]
    """Write uniform Eulerian paths to ``shuffled[:, start:]``; ``stretch`` is the path that there is."""
    n_edges, last = stretch.size - 1, shuffled.shape[0] - 1
    paths = shuffled[:, start : start + stretch.size]
    edges = np.empty(n_edges, dtype=np.uint8)
    successors = np.empty(4 * n_edges, dtype=np.uint8)
    first = np.zeros(5, dtype=np.int64)
    last_edge = np.empty(4, dtype=np.int64)
    place = np.empty(16, dtype=np.uint64)
    _sort_by_predecessor(stretch, edges, first)
    for group in range(0, last + 1, 4):
        for lane in range(4):
            own = successors[lane * n_edges : (lane + 1) * n_edges]
            if group + lane <= last:
                own[:] = edges
                state = states[group + lane : group + lane + 1]
                _order_edges(own, first, stretch[-1], last_edge, words, state)
                paths[group + lane, 0] = stretch[0]
            else:  # beyond the last path there is no other: it is walked again, to the same end
                own[:] = successors[(lane - 1) * n_edges : lane * n_edges]
            for base in range(4):
                place[4 * lane + base] = lane * n_edges + first[base]
        one, two, three = min(group + 1, last), min(group + 2, last), min(group + 3, last)
        _walk_four(successors, place, paths[group], paths[one], paths[two], paths[three])


def _shuffle_stretch(stretch, kind, states, shuffled, start):  # type: ignore[no-untyped-def]
    """Shuffle a stretch without N into ``shuffled[:, start:]``, of (reference, position)."""
    stop = start + stretch.size
    words = np.empty((stretch.size + 1) // 2 * 2, dtype=np.uint32)
    if kind == 0 and stretch.size > 2:
        _draw_paths(stretch, states, words, shuffled, start)
        return
    for reference in range(shuffled.shape[0]):
        letters = shuffled[reference, start:stop]
        letters[:] = stretch
        if kind == 1:
            state = states[reference : reference + 1]
            _fill(words, state)
            _permute(letters, 0, letters.size, words, state)


def _shuffle_sequences(codes, seed, kind, shuffled):  # type: ignore[no-untyped-def]
    """Fill ``shuffled`` (sequence, reference, position); ``kind`` is a place in KINDS."""
    length = codes.shape[1]
    states = np.empty(shuffled.shape[1], dtype=np.uint64)
    for sequence in range(codes.shape[0]):
        row = codes[sequence]
        key = _hash(row, seed, kind)
        for reference in range(states.size):
            states[reference] = _mix(key + np.uint64(reference + 1) * _GOLDEN)
        start = 0
        while start < length:
            if row[start] > 3:
                shuffled[sequence, :, start] = row[start]
                start += 1
                continue
            stop = start + 1
            while stop < length and row[stop] <= 3:
                stop += 1
            _shuffle_stretch(row[start:stop], kind, states, shuffled[sequence], start)
            start = stop


_FUNCTIONS = (
    *(_mix, _hash, _next, _fill, _below, _permute, _sort_by_predecessor, _draw_last_edges, _order_edges),
    *(_walk_four, _draw_paths, _shuffle_stretch, _shuffle_sequences),
)
