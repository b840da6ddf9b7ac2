"""What a sequence is compared with: shuffles of it, or references that all sequences share.

Each function returns a `Reference`, to be given to `genolift.deeplift`, or, if its first argument is one-hot
sequences, the references themselves. To add a kind, add its function and its row in `_MAKERS`; a kind that
all sequences share also has a line in `genolift.references.shared.shared_references`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import codes_of_onehot, onehot_float32
from genolift.errors import InputError
from genolift.references.shared import Frequencies, check_frequencies, flat_reference, frequencies_of_codes
from genolift.references.shuffle import KINDS as SHUFFLES
from genolift.references.shuffle import check_number_and_seed, shuffle_codes

if TYPE_CHECKING:
    import torch

ArrayT = TypeVar("ArrayT", NDArray[Any], "torch.Tensor")


@dataclass(frozen=True)
class Reference:
    """Makes the references of one-hot sequences when called.

    Parameters
    ----------
    kind
        ``dinucleotide_shuffle``, ``uniform_shuffle``, ``zeros`` or ``base_frequencies``.
    number
        References for each sequence; 1 if they are shared.
    seed
        Of the shuffles; it has no effect on the others.
    shared
        Whether all sequences share one set of references.
    frequencies
        Of A C G T, for ``base_frequencies``; None: those of the sequences.
    """

    kind: str
    number: int
    seed: int
    shared: bool
    frequencies: tuple[float, float, float, float] | None = None

    def __call__(self, onehot: ArrayT) -> ArrayT:
        """Return the references of ``onehot``.

        Parameters
        ----------
        onehot
            (sequence, 4, position), a numpy array or a torch tensor, any number type. An N is an all-zero
            column.

        Returns
        -------
        float32, of the same kind and on the same device as ``onehot``: (sequence, reference, 4, position), or
        (reference, 4, position) if ``shared``.

        Raises
        ------
        InputError
            If ``onehot`` has another shape, or must be one-hot and is not.
        """
        array = _as_numpy(onehot)
        references: Any = _MAKERS[self.kind](self, array)
        if not isinstance(onehot, np.ndarray):
            import torch  # only here: the workflow's reference step does not need it

            references = torch.from_numpy(references).to(cast("torch.Tensor", onehot).device)
        return references


def _as_numpy(onehot: Any) -> NDArray[Any]:
    """Return an array or tensor as an array, after checking that it is (sequence, 4, position)."""
    if hasattr(onehot, "detach"):  # a torch tensor; numpy has no bfloat16
        tensor = onehot.detach().cpu()
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    elif isinstance(onehot, np.ndarray):
        array = onehot
    else:
        raise InputError(
            f"sequences for references are a {type(onehot).__name__}",
            remedy="give a numpy array or a torch tensor (n, 4, length), and r=, seed= by name",
        )
    if array.ndim != 3 or array.shape[1] != 4:
        raise InputError(
            f"sequences for references have the shape {array.shape}",
            remedy="give x[None] for one sequence x, (1, 4, length)"
            if array.ndim == 2 and len(array) == 4
            else "give (n, 4, length), with the bases in the order A C G T",
        )
    return array


def _codes(kind: str, onehot: NDArray[Any]) -> NDArray[np.uint8]:
    try:
        return codes_of_onehot(onehot)
    except ValueError as error:
        raise InputError(
            f"{kind} needs one-hot sequences: {error}",
            remedy="give one-hot sequences, or a reference of another kind (zeros, or an array of your own)",
        ) from error


def _shuffles(maker: Reference, onehot: NDArray[Any]) -> NDArray[np.float32]:
    codes = _codes(maker.kind, onehot)
    return onehot_float32(shuffle_codes(codes, maker.number, maker.seed, maker.kind))


def _zeros(maker: Reference, onehot: NDArray[Any]) -> NDArray[np.float32]:
    return np.zeros((1, 4, onehot.shape[2]), dtype=np.float32)


def _base_frequencies(maker: Reference, onehot: NDArray[Any]) -> NDArray[np.float32]:
    frequencies = maker.frequencies or frequencies_of_codes([_codes(maker.kind, onehot)])
    return flat_reference(frequencies, onehot.shape[2])


_MAKERS: dict[str, Callable[[Reference, NDArray[Any]], NDArray[np.float32]]] = {
    **dict.fromkeys(SHUFFLES, _shuffles),
    "zeros": _zeros,
    "base_frequencies": _base_frequencies,
}
KINDS = (*_MAKERS, "fasta")


@overload
def dinucleotide_shuffle(onehot: None = None, r: int = 20, seed: int = 0) -> Reference: ...
@overload
def dinucleotide_shuffle(onehot: ArrayT, r: int = 20, seed: int = 0) -> ArrayT: ...
def dinucleotide_shuffle(onehot: Any = None, r: int = 20, seed: int = 0) -> Any:
    """Shuffles that keep every dinucleotide count and the end bases, uniform over all sequences that do.

    Parameters
    ----------
    onehot
        (sequence, 4, position), a numpy array or a torch tensor. Without it, a `Reference` for
        `genolift.deeplift` is returned.
    r
        Shuffles of each sequence.
    seed
        0 to 2**63 - 1. A shuffle depends only on this, the sequence and the shuffle's number.

    Returns
    -------
    `Reference`, or float32 (sequence, reference, 4, position) of the same kind as ``onehot``. N (an all-zero
    column) stays in place, and each stretch between N is shuffled separately.

    Raises
    ------
    InputError
        If ``onehot`` is not one-hot, or ``r`` or ``seed`` is out of range.

    Notes
    -----
    The method is in `genolift.references.shuffle`.
    """
    return _made(_shuffle_maker("dinucleotide_shuffle", r, seed), onehot)


@overload
def uniform_shuffle(onehot: None = None, r: int = 20, seed: int = 0) -> Reference: ...
@overload
def uniform_shuffle(onehot: ArrayT, r: int = 20, seed: int = 0) -> ArrayT: ...
def uniform_shuffle(onehot: Any = None, r: int = 20, seed: int = 0) -> Any:
    """Shuffles that keep the base counts of each stretch without N; otherwise as `dinucleotide_shuffle`."""
    return _made(_shuffle_maker("uniform_shuffle", r, seed), onehot)


@overload
def zeros(onehot: None = None) -> Reference: ...
@overload
def zeros(onehot: ArrayT) -> ArrayT: ...
def zeros(onehot: Any = None) -> Any:
    """One reference of zeros for all sequences: a `Reference`; with ``onehot``, float32 (1, 4, position)."""
    return _made(Reference("zeros", 1, 0, shared=True), onehot)


@overload
def base_frequencies(
    onehot: Sequence[float] | None = None, frequencies: Frequencies | None = None
) -> Reference: ...
@overload
def base_frequencies(onehot: ArrayT, frequencies: Frequencies | None = None) -> ArrayT: ...
def base_frequencies(onehot: Any = None, frequencies: Frequencies | None = None) -> Any:
    """One reference for all sequences, with the same base frequencies at every position.

    Parameters
    ----------
    onehot
        (sequence, 4, position), a numpy array or a torch tensor. Without it, a `Reference` for
        `genolift.deeplift` is returned, as for four numbers, which are the frequencies.
    frequencies
        Of A C G T, summing to 1. None: those of all sequences together, without N.

    Returns
    -------
    `Reference`, or float32 (1, 4, position) of the same kind as ``onehot``.

    Raises
    ------
    InputError
        If the frequencies are not 4 numbers of 0 or more that sum to 1, or ``onehot`` is not one-hot.
    """
    if frequencies is None and np.ndim(onehot) == 1:  # the four numbers alone, as base_frequencies([...])
        onehot, frequencies = None, onehot
    checked = None if frequencies is None else check_frequencies(frequencies)
    return _made(Reference("base_frequencies", 1, 0, shared=True, frequencies=checked), onehot)


def _shuffle_maker(kind: str, r: int, seed: int) -> Reference:
    check_number_and_seed(r, seed)
    return Reference(kind, int(r), int(seed), shared=False)


def _made(maker: Reference, onehot: Any) -> Any:
    return maker if onehot is None else maker(onehot)
