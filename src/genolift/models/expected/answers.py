"""The outputs that a model's author got, from a .npz file or a table, for each of the model's outputs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from genolift.data.number_table import read_number_table
from genolift.errors import InputError, within
from genolift.files.npz import arrays_in_words, is_npz, read_npz
from genolift.models.expected.given import ARRAY_OF_OUTPUT, NO_ARRAYS_OF_ROWS, Given
from genolift.targets.outputs import outputs_by_name

_COLUMN = re.compile(r"(?P<name>.+?)(\[(?P<column>\d{1,9})\])?")
_WHERE = "model.expect.outputs"


@dataclass(frozen=True)
class Output:
    """An output of the model, or what its author got: its names (messages use the first), and its values,
    float64 (row, ...).
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape without the rows."""
        return self.values.shape[1:]

    @property
    def called(self) -> str:
        """The output's name for messages, after a blank; empty if the model has only one."""
        return f" {self.names[0]}" if self.names else ""


def outputs_of(output: Any, prefix: tuple[str, ...] = ("",)) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    """Yield each tensor that a model returns, in order, with all its names."""
    named: list[tuple[tuple[str, ...], Any]]
    fields = getattr(output, "_fields", None)
    if fields is not None and isinstance(output, tuple):  # a named tuple's values have a name and a number
        named = [((name, str(number)), output[number]) for number, name in enumerate(fields)]
    else:
        named = [((name,), value) for name, value in outputs_by_name(output).items()]
    for names, value in named:
        spelled = tuple(f"{before}{name}" for before in prefix for name in names if name)
        if isinstance(value, Tensor):
            yield spelled, value
        elif isinstance(value, Mapping | list | tuple):
            yield from outputs_of(value, tuple(f"{name}." for name in spelled))


def read_answers(
    path: str, given: Given, outputs: Sequence[Output], tasks: Sequence[str], *, shared: bool
) -> list[Output]:
    """Return the author's values of each output, in the model's order.

    Parameters
    ----------
    path
        A .npz file, or a table with a column ``id``.
    given
        The inputs to which the outputs belong.
    outputs
        The model's outputs.
    tasks
        The names of a single output's columns; empty if the model has none.
    shared
        Whether the inputs are in the same file.

    Raises
    ------
    InputError
        If the file is missing or damaged, lacks an output or has a surplus one, has another number of
        sequences, or a value is not a finite number.
    """
    if shared and given.arrays:
        return _of_arrays(given.arrays, given, outputs, f"{_WHERE}: {path}", shared=True)
    if is_npz(path, _WHERE):
        return _of_arrays(read_npz(path, _WHERE), given, outputs, f"{_WHERE}: {path}", shared=False)
    return _of_table(path, given, outputs, tasks)


def _of_arrays(
    arrays: Mapping[str, NDArray[Any]],
    given: Given,
    outputs: Sequence[Output],
    where: str,
    *,
    shared: bool,
) -> list[Output]:
    inputs = given.taken if shared else frozenset()
    left = {
        name: array
        for name, array in arrays.items()
        if name not in inputs and name not in NO_ARRAYS_OF_ROWS and not name.startswith("x_")
    }
    if not shared:
        left = {name: array for name, array in left.items() if name != "dna"}
    numbered = [name for name in left if re.fullmatch(r"arr_\d+", name)]
    found = []
    for place, output in enumerate(outputs):
        spelled = [*output.names, *(f"y_{name}" for name in output.names), f"y{place}", f"y_{place}"]
        spelled += numbered[place : place + 1]
        if len(outputs) == 1:
            spelled += [name for name in left if ARRAY_OF_OUTPUT.fullmatch(name) or len(left) == 1]
        name = next((name for name in spelled if name in left), None)
        if name is None:
            raise InputError(
                f"has no array of the model's output{output.called or ' y0'}, but {arrays_in_words(arrays)}",
                where=where,
                remedy=f"call it y{place}: numpy.savez(FILE, y{place}=...)",
            )
        found.append(_answer(name, left.pop(name), given, output, where))
    surplus = [name for name in left if not shared or re.fullmatch(r"y_?\d+|arr_\d+", name)]
    if surplus:
        number = f"{len(outputs)} outputs" if len(outputs) > 1 else "one output"
        raise InputError(
            f"has the array {surplus[0]}, and the model has {number}",
            where=where,
            remedy=f"leave {surplus[0]} out, or give the file that belongs to this model",
        )
    return found


def _answer(name: str, values: NDArray[Any], given: Given, output: Output, where: str) -> Output:
    place, n = f"{where}, {name}", len(given.with_n)
    if values.dtype.kind not in "biuf" or not values.ndim:
        raise InputError(
            "does not have numbers for each sequence", where=place, remedy="save it as float32, (n, ...)"
        )
    if len(values) != n:
        raise InputError(
            f"has {len(values)} rows, the inputs have {n} sequences",
            where=place,
            remedy="give the outputs of exactly these inputs, in their order",
        )
    sizes = [tuple(size for size in shape if size != 1) for shape in (values.shape[1:], output.shape)]
    if sizes[0] != sizes[1]:
        own, its = (_shown(shape) for shape in (output.shape, values.shape[1:]))
        raise InputError(
            f"has the shape {its}, the model's output{output.called} {own}",
            where=place,
            remedy="give exactly what the author's model returns; check that the file is the same model",
        )
    numbers = values.astype(np.float64).reshape(n, *output.shape)
    _check_finite(numbers, given, place)
    return Output((name,), numbers)


def _check_finite(values: NDArray[np.float64], given: Given, where: str) -> None:
    bad = ~np.isfinite(values.reshape(len(values), -1)).all(1)
    if bad.any():
        raise InputError(
            f"holds NaN or infinity, on {given.called(int(bad.argmax()))}",
            where=where,
            remedy="leave that sequence out of both files, or write the outputs again",
        )


def _of_table(path: str, given: Given, outputs: Sequence[Output], tasks: Sequence[str]) -> list[Output]:
    where = f"{_WHERE}: {path}"
    if given.ids is None:
        raise InputError(
            "is a table by sequence id, and the inputs have no ids",
            where=where,
            remedy="give the inputs as FASTA, or their .npz with an array id, or the outputs as .npz",
        )
    with within(_WHERE):
        table = read_number_table(path, ids=set(given.ids))
    lacking = [name for name in given.ids if name not in table.row_of]
    if lacking:
        raise InputError(
            f"has no row for {len(lacking)} of {len(given.ids)} sequences, {lacking[0]!r} first",
            where=where,
            remedy="give a row for the id of every input",
        )
    values = table.values[[table.row_of[name] for name in given.ids]].astype(np.float64)
    places = _places(table.columns, outputs, tasks, where)
    n = len(values)
    found = []
    for output, its in zip(outputs, places, strict=True):
        called = output.names[0] if output.names else "its columns"
        found.append(Output((called,), values[:, its].reshape(n, *output.shape)))
    return found


def _places(
    columns: Sequence[str], outputs: Sequence[Output], tasks: Sequence[str], where: str
) -> list[list[int]]:
    """Return for each output the columns of a table with its values, in order."""
    sizes = [int(np.prod(output.shape, dtype=np.int64)) for output in outputs]
    if len(outputs) == 1 and len(columns) == sizes[0]:
        if set(columns) == set(tasks):
            return [[columns.index(task) for task in tasks]]
        numbers = [str(number) for number in range(sizes[0])]
        ordered = numbers if set(columns) == set(numbers) else columns
        return [[columns.index(name) for name in ordered]]
    named: dict[tuple[int, int], int] = {}
    for at, column in enumerate(columns):
        match = _COLUMN.fullmatch(column)
        for place, output in enumerate(outputs):
            if match is not None and match["name"] in (*output.names, f"y{place}"):
                named[place, int(match["column"] or 0)] = at
    wanted = [[(place, number) for number in range(size)] for place, size in enumerate(sizes)]
    lacking = [(place, number) for each in wanted for place, number in each if (place, number) not in named]
    if lacking or len(named) != len(columns):
        number = f"{len(columns)} column{'s' * (len(columns) != 1)}"
        has = f"has {number} beside 'id', the model gives {sum(sizes)} values"
        output = outputs[lacking[0][0]] if lacking else outputs[0]
        example = f"{output.names[0] if output.names else 'y0'}[{lacking[0][1] if lacking else 0}]"
        raise InputError(
            has if len(outputs) == 1 else f"{has}, and has {'no' if lacking else 'another than'} {example}",
            where=where,
            remedy="give a column for each value"
            + (f", called by output and place, such as {example}" if len(outputs) > 1 else ""),
        )
    return [[named[key] for key in each] for each in wanted]


def _shown(shape: Sequence[int]) -> str:
    return f"(n{''.join(f', {size}' for size in shape)})"
