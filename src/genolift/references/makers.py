"""What a sequence is compared with: shuffles of it, or references shared by all.

A reference maker is a `Reference`, given to `genolift.deeplift`; each function that makes one also makes the
references themselves when the one-hot sequences come first. `write_references` is the workflow's step. To add
a kind: its row in `_MAKERS`, its function, and its line in `_stored`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import codes_of_onehot
from genolift.data.sequences import Sequences, read_sequences
from genolift.errors import InputError
from genolift.files.hdf5_writing import whole_hdf5
from genolift.files.output_paths import check_outputs
from genolift.references.shared import (
    Frequencies,
    check_frequencies,
    flat_reference,
    frequencies_of_codes,
    read_fasta_references,
)
from genolift.references.shuffle import KINDS as SHUFFLES
from genolift.references.shuffle import check_number_and_seed, shuffle_codes
from genolift.references.store import (
    Head,
    References,
    add_codes,
    add_shared,
    onehot_float32,
    open_references,
    sequences_in_chunk,
)

if TYPE_CHECKING:
    import torch

ArrayT = TypeVar("ArrayT", NDArray[Any], "torch.Tensor")

__all__ = [
    "KINDS",
    "Reference",
    "ReferenceSummary",
    "References",
    "base_frequencies",
    "dinucleotide_shuffle",
    "open_references",
    "uniform_shuffle",
    "write_references",
    "zeros",
]

_LOG = logging.getLogger("genolift")


@dataclass(frozen=True)
class Reference:
    """Makes the references of one-hot sequences when called.

    Parameters
    ----------
    kind
        ``dinucleotide_shuffle``, ``uniform_shuffle``, ``zeros`` or ``base_frequencies``.
    number
        References of each sequence; 1 where they are shared.
    seed
        Seed of the shuffles; without effect on the others.
    shared
        Whether one set of references serves all sequences.
    frequencies
        Of A C G T, for ``base_frequencies``; None: those of the sequences that it is called with.
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
        (reference, 4, position) where ``shared``.

        Raises
        ------
        InputError
            If ``onehot`` has another shape, or is not one-hot where that is needed.
        """
        array = _as_numpy(onehot)
        references: Any = _MAKERS[self.kind](self, array)
        if not isinstance(onehot, np.ndarray):
            import torch  # here alone: the workflow's reference step does without

            references = torch.from_numpy(references).to(cast("torch.Tensor", onehot).device)
        return references


def _as_numpy(onehot: Any) -> NDArray[Any]:
    """Return an array as it is and a tensor as an array, checked to be (sequence, 4, position)."""
    if hasattr(onehot, "detach"):  # torch's tensors; numpy knows no bfloat16
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
    frequencies = maker.frequencies or frequencies_of_codes(_codes(maker.kind, onehot))
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
        0 to 2**63 - 1. A shuffle depends on this, the sequence and the shuffle's number alone.

    Returns
    -------
    `Reference`, or float32 (sequence, reference, 4, position) of the same kind as ``onehot``. N (an all-zero
    column) stays in place, and each stretch between is shuffled by itself.

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
    """Shuffles that keep the base counts of each stretch without N; else as `dinucleotide_shuffle`."""
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
        `genolift.deeplift` is returned; so too for four numbers, which are taken as the frequencies.
    frequencies
        Of A C G T, summing to 1. None: those of the whole set of sequences, N left out.

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


@dataclass(frozen=True)
class ReferenceSummary:
    """What `write_references` wrote: ``number`` references of each sequence, or of one set that is shared."""

    kind: str
    number: int
    seed: int
    shared: bool
    n_sequences: int
    length: int


def write_references(
    *,
    sequences: Path,
    out: Path,
    kind: str,
    number: int = 20,
    seed: int = 0,
    fasta: Path | None = None,
    frequencies: Frequencies | None = None,
    rna: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> ReferenceSummary:
    """Write references.h5 (format: docs/architecture.md) for the sequences of sequences.h5.

    Parameters
    ----------
    sequences
        sequences.h5, as the encode step writes it.
    out
        The file to write.
    kind
        One of `KINDS`.
    number
        References of each sequence; only the shuffles take it.
    seed
        Of the shuffles, 0 to 2**63 - 1.
    fasta
        For the kind ``fasta``: references that serve every sequence, each as long as the sequences; plain,
        gzip or BGZF. An N becomes an all-zero column.
    frequencies
        For the kind ``base_frequencies``: of A C G T. None: those of the sequences.
    rna
        Read U in ``fasta`` as T.
    provenance
        What to store beside the step's own settings.

    Raises
    ------
    InputError
        If an argument does not go with the kind or is out of range, a file is missing or wrong, or ``out``
        may not be written (see `check_outputs`).
    """
    _check_settings(kind, number, seed, fasta, frequencies)
    check_outputs([out], inputs=[sequences, fasta])
    stored = read_sequences(sequences)
    shared = _shared_references(kind, stored.codes, fasta, frequencies, rna)
    n, length = stored.codes.shape
    if shared is not None:
        number, seed = len(shared), 0
    summary = ReferenceSummary(kind, number, seed, shared is not None, n, length)
    used = shared[0, :, 0].tolist() if shared is not None and kind == "base_frequencies" else None
    made = {**asdict(summary), "fasta": str(fasta) if fasta else None, "frequencies": used}
    settings = {**(provenance or {}), "reference": made}
    head = Head(stored.key, stored.digests, kind, number, seed, settings)
    with whole_hdf5(out) as file:
        if shared is not None:
            add_shared(file, head, shared)
        else:
            add_codes(file, head, length, _shuffled_blocks(stored, kind, number, seed))
    return summary


def _check_settings(
    kind: str, number: int, seed: int, fasta: Path | None, frequencies: Frequencies | None
) -> None:
    if kind not in KINDS:
        raise InputError(f"no such kind of reference: {kind!r}", remedy=f"choose one of {', '.join(KINDS)}")
    check_number_and_seed(number, seed)
    if (kind == "fasta") != (fasta is not None):
        what = (
            "a FASTA file of references is not given" if fasta is None else f"a FASTA file ({fasta}) is given"
        )
        raise InputError(
            f"the kind of reference is {kind}, but {what}", remedy="give both the kind fasta and its file"
        )
    if frequencies is not None and kind != "base_frequencies":
        raise InputError(
            f"base frequencies are given, but the kind of reference is {kind}",
            remedy="leave the frequencies out, or choose the kind base_frequencies",
        )


def _shared_references(
    kind: str, codes: NDArray[np.uint8], fasta: Path | None, frequencies: Frequencies | None, rna: bool
) -> NDArray[np.float32] | None:
    """Return the references that serve every sequence, (reference, 4, position); None for shuffles."""
    length = codes.shape[1]
    if kind == "zeros":
        return np.zeros((1, 4, length), dtype=np.float32)
    if kind == "base_frequencies":
        chosen = frequencies_of_codes(codes) if frequencies is None else check_frequencies(frequencies)
        return flat_reference(chosen, length)
    return None if fasta is None else read_fasta_references(fasta, length, rna=rna)


def _shuffled_blocks(stored: Sequences, kind: str, number: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield shuffles of some sequences at a time, uint8 (sequence, reference, position), in order."""
    n, length = stored.codes.shape
    step = sequences_in_chunk(number, length)
    unmoved: list[int] = []
    for start in range(0, n, step):
        codes = stored.codes[start : start + step]
        block = shuffle_codes(codes, number, seed, kind)
        same = (block == codes[:, None]).all(axis=(1, 2))
        unmoved += stored.key[start : start + step][same].tolist()
        yield block
    if unmoved:
        _LOG.warning(
            "%d of %d sequences equal all their shuffles, so that their contributions are 0 (first: key %d)",
            len(unmoved),
            n,
            unmoved[0],
        )
