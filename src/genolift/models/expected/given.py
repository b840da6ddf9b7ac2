"""The inputs that go with a model's correct outputs: a .npz file's arrays, or the records of a FASTA."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genolift.data.alphabet import N_CODE, onehot_of_codes
from genolift.data.extra_inputs import ExtraInputs
from genolift.data.fasta import read_codes
from genolift.data.stored_sequences import Sequences
from genolift.data.stored_tensors import as_tensors
from genolift.errors import InputError, within
from genolift.files.npz import MOST_BYTES, arrays_in_words, is_npz, read_npz
from genolift.models.expected.arguments import Arguments
from genolift.settings.extra_inputs import ExtraChannel, Extras

ARRAY_OF_OUTPUT = re.compile(r"y_?\d*|outputs?|y_true|y_pred|predictions?")
NO_ARRAYS_OF_ROWS = ("n", "extra_names", "id")
"""Other arrays that a .npz file may have; ``id`` has the sequences' names."""
_NUMBERED = re.compile(r"arr_(\d+)")
_CHANNELS = ("x_channels", "x_extra_channels", "channels", "extra_channels")
_BYTES_OF_BASE = 16
Arrays = Mapping[str, NDArray[Any]]
Ids = list[str] | None


@dataclass(frozen=True)
class Given:
    """Some inputs of a model from `genolift.models.load_model`."""

    inputs: tuple[Tensor, ...]
    """The bases, float (row, 4, position), then the extra channels, if there are any, then the others."""
    ids: list[str] | None
    """The sequences' names; None if they have only numbers."""
    with_n: NDArray[np.bool_]
    """Whether a sequence has an N, (row,)."""
    arrays: Arrays
    """The arrays of the .npz file; empty for a FASTA."""
    taken: frozenset[str]
    """The names of the arrays that are inputs."""

    def called(self, row: int) -> str:
        """Return a sequence's name for messages."""
        return f"sequence {row} (from 0)" if self.ids is None else f"sequence {self.ids[row]}"


def read_given(path: str, arguments: Arguments, extras: Extras, *, rna: bool, shared: bool) -> Given:
    """Return the inputs in a file.

    Parameters
    ----------
    path
        A .npz file or a FASTA.
    arguments
        What the model takes.
    extras
        The analysis's extra inputs, used for those that are not in the file: constants, and tables if the
        sequences have ids.
    rna
        Read U as T, in a FASTA.
    shared
        Whether the outputs are in the same .npz file.

    Raises
    ------
    InputError
        If the file is missing or damaged, has no such inputs, or lacks one that the model takes.
    """
    where = "model.expect.inputs"
    if is_npz(path, where):
        arrays = read_npz(path, where)
        return _of_arrays(arrays, arguments, extras, f"{where}: {path}", shared)
    return _of_fasta(path, arguments, extras, where, rna)


def _of_fasta(path: str, arguments: Arguments, extras: Extras, where: str, rna: bool) -> Given:
    ids: list[str] = []
    codes: list[NDArray[np.uint8]] = []
    with within(where):
        for record, one, place in read_codes(path, Counter(), rna=rna, kept_per_base=_BYTES_OF_BASE):
            wanted = arguments.length or (len(codes[0]) if codes else len(one))
            if len(one) != wanted or not wanted:
                takes = "the model takes" if arguments.length else "the first has"
                raise InputError(
                    f"has {len(one)} bases, {takes} {wanted or 'none'}",
                    where=place,
                    remedy="give sequences of the model's length",
                )
            ids.append(record.name)
            codes.append(one)
            if len(one) * len(codes) * _BYTES_OF_BASE > MOST_BYTES:
                raise InputError(
                    f"holds more than {MOST_BYTES // _BYTES_OF_BASE:,} bases",
                    where=path,
                    remedy="a few sequences are enough: write fewer",
                )
    stacked = np.stack(codes)
    bases = torch.from_numpy(onehot_of_codes(stacked)).float()
    beside = _Beside({}, arguments, extras, f"{where}: {path}", bases, ids).inputs(None)
    return Given((bases, *beside.values()), ids, (stacked == N_CODE).any(1), {}, frozenset())


def _of_arrays(arrays: Arrays, arguments: Arguments, extras: Extras, where: str, shared: bool) -> Given:
    name = _dna(arrays, arguments, where)
    values = _numbers(arrays, name, where).float()
    if not len(values):
        raise InputError("holds no sequence", where=f"{where}, {name}", remedy="give one or more")
    bases, channels = arguments.bases_of(values, f"{where}, {name}")
    further = {each: array for each, array in arrays.items() if each != name and array.ndim}
    if shared:
        outputs = arguments.needed or len(extras.inputs)  # arrays without names: first inputs, then outputs
        further = {
            each: array
            for each, array in further.items()
            if not ARRAY_OF_OUTPUT.fullmatch(each)
            and not ((numbered := _NUMBERED.fullmatch(each)) and int(numbered[1]) > outputs)
        }
    ids = _ids(arrays, len(values), where)
    beside = _Beside(further, arguments, extras, where, bases, ids).inputs(channels)
    for each in beside:
        if len(beside[each]) != len(bases):
            raise InputError(
                f"{each} has {len(beside[each])} rows, {name} has {len(bases)}",
                where=where,
                remedy="give a row for each sequence in every array",
            )
    with_n = (bases.sum(1) == 0).any(1).numpy()
    return Given((bases, *beside.values()), ids, with_n, arrays, frozenset({name, *beside}))


def _dna(arrays: Arrays, arguments: Arguments, where: str) -> str:
    """Return the name of the array of DNA: the usual name, or the only array with such a shape."""
    for name in ("dna", f"x_{arguments.dna}", arguments.dna, "arr_0"):
        if name in arrays:
            return name
    shaped = [
        name
        for name, array in arrays.items()
        if array.dtype.kind in "biuf" and array.ndim > 1 and arguments.fits(array.shape[1:])
    ]
    numbers = [name for name, array in arrays.items() if array.dtype.kind in "biuf" and array.ndim > 2]
    found = [name for name in shaped or numbers if not ARRAY_OF_OUTPUT.fullmatch(name)]
    if len(found) == 1:
        return found[0]
    raise InputError(
        f"has {'several arrays' if found else 'no array'} that may be the DNA ({arrays_in_words(arrays)}), "
        f"{arguments.shapes}",
        where=where,
        remedy="call it dna: numpy.savez(FILE, dna=...)",
    )


def _ids(arrays: Arrays, n: int, where: str) -> list[str] | None:
    ids = arrays.get("id")
    if ids is None or ids.dtype.kind != "U":
        return None
    names = [str(name) for name in ids.ravel()]
    if len(names) != n or len(set(names)) != n:
        raise InputError(
            f"id has {len(set(names))} different names, there are {n} sequences",
            where=where,
            remedy="give each sequence a name of its own, or leave id out",
        )
    return names


class _Beside:
    """A model's inputs beside the bases: a file's arrays, and the analysis's own for what the file lacks."""

    def __init__(
        self, arrays: Arrays, arguments: Arguments, extras: Extras, where: str, bases: Tensor, ids: Ids
    ) -> None:
        self.arrays, self.arguments, self.extras, self.where = arrays, arguments, extras, where
        self.has_ids = ids is not None
        n, length = len(bases), bases.shape[2]
        named = ids if ids is not None else [str(row) for row in range(n)]
        self.sequences = Sequences(np.arange(n), named, np.zeros((n, length), np.uint8), {}, None)

    def inputs(self, channels: Tensor | None) -> dict[str, Tensor]:
        """Return the inputs by the names of their arrays, in order; ``channels`` are those with the bases."""
        found: dict[str, Tensor] = {}
        if self.arguments.extra_channels:
            name = next((name for name in _CHANNELS if name in self.arrays), "")
            if channels is not None:
                found["the extra channels"] = channels
            elif name:
                found[name] = _numbers(self.arrays, name, self.where).float()
            else:
                found["the extra channels"] = self._channels(self.arguments.extra_channels)
        further, at = self.arguments.further, self._name_of_place()
        for place in range(max(self.arguments.needed, len(self.extras.inputs), *(place + 1 for place in at))):
            called = further[place] if place < len(further) else f"number {place + 1}"
            if place in at:
                found[at[place]] = _numbers(self.arrays, at[place], self.where)
            else:
                found[f"the input {called}"] = self._input(place, called)
        surplus = [name for name in self.arrays if name.startswith("x_") and name not in found]
        if surplus:
            takes = f"it takes {', '.join(further)}" if further else "it takes no further input"
            raise InputError(
                f"the model has no input {surplus[0].removeprefix('x_')}",
                where=self.where,
                remedy=f"{takes}: leave {surplus[0]} out, or give it its input's name",
            )
        return found

    def _name_of_place(self) -> dict[int, str]:
        """Return which array a further input is: by the model's name for it, by number, or the only one."""
        found = {}
        for place, name in enumerate(self.arguments.further):
            spelled = next((each for each in (f"x_{name}", name) if each in self.arrays), None)
            if spelled is not None:
                found[place] = spelled
        numbered = {int(match[1]): name for name in self.arrays if (match := _NUMBERED.fullmatch(name))}
        found |= {number - 1: name for number, name in numbered.items() if number}
        others = [name for name in self.arrays if name.startswith("x_") and name not in _CHANNELS]
        if not found and len(others) == 1 and max(self.arguments.needed, len(self.extras.inputs)) == 1:
            return {0: others[0]}
        return found

    def _channels(self, number: int) -> Tensor:
        """Return the analysis's extra channels, (row, channel, position)."""
        of_files = [each for each in self.extras.channels if isinstance(each, ExtraChannel)]
        unknown = any(each.bigwig or not self.has_ids for each in of_files)
        if len(self.extras.channels) != number or unknown:
            raise InputError(
                f"has no array of the {number} channel{'s' * (number > 1)} that the model reads beyond the "
                "bases",
                where=self.where,
                remedy=f"give the inputs as .npz with x_channels, (n, {number}, length)",
            )
        return self._of(Extras(channels=self.extras.channels))

    def _input(self, place: int, called: str) -> Tensor:
        """Return the analysis's further input by its place, (row, ...)."""
        item = self.extras.inputs[place] if place < len(self.extras.inputs) else None
        if item is None or item.bigwigs or (item.table is not None and not self.has_ids):
            among = f", but {arrays_in_words(self.arrays)}" if self.arrays else ""
            given = f"the inputs as .npz with x_{called}" if called.isidentifier() else "all inputs"
            what = f"has no array of the model's input {called}{among}"
            raise InputError(what, where=self.where, remedy=f"give {given}")
        return self._of(Extras(inputs=(item,)))

    def _of(self, extras: Extras) -> Tensor:
        with within(self.where):
            (values,) = ExtraInputs(extras, self.sequences).of(range(len(self.sequences.id)))
        return as_tensors([values])[0]


def _numbers(arrays: Arrays, name: str, where: str) -> Tensor:
    """Return an array for a model: whole numbers as they are, others as float32."""
    values, place = arrays[name], f"{where}, {name}"
    if values.dtype.kind in "US" or not values.ndim:
        raise InputError(
            "does not have numbers for each sequence", where=place, remedy="give numbers, (n, ...)"
        )
    wanted = {"u": np.int64, "f": np.float32}.get(values.dtype.kind, values.dtype.newbyteorder("="))
    with np.errstate(over="ignore"):
        numbers = torch.from_numpy(values.astype(wanted, order="C"))
    finite = torch.isfinite(numbers).flatten(1).all(1) if len(numbers) else torch.ones(0)
    if not bool(finite.all()):
        raise InputError(
            f"holds NaN or infinity, in row {int((~finite).int().argmax())}",
            where=place,
            remedy="write the inputs again",
        )
    return numbers
