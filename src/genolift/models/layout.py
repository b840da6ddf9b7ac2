"""How a model reads DNA: its alphabet, its channels and the order of its axes."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.data.alphabet import BASES
from genolift.engine.graph.program import inputs_of_program
from genolift.errors import InputError
from genolift.settings.model import BASES_FIRST, ModelSpec, axes_of
from genolift.targets.targets import task_names

Shape = tuple[int | None, ...]
"""Of an input without the row's axis; None for an axis of any size."""


class Described(nn.Module):
    """A model built from its file's description alone, without its author's code."""

    order: list[str]
    """The names of its inputs, in the order of forward's arguments."""
    assumed: str | None
    """What was assumed because the file does not say it, in words."""


class Laid(nn.Module):
    """A model with any input layout, wrapped to take one-hot DNA (row, base, position), bases A C G T.

    The conversion is linear in the bases, so contributions are as exact as the model's own.

    Parameters
    ----------
    model
        Takes inputs with ``axes``, whose channels are those of ``alphabet``, then ``extra_channels`` more.
    axes, alphabet, extra_channels
        As in `ModelSpec`.
    """

    def __init__(self, model: nn.Module, axes: str, alphabet: str, extra_channels: int) -> None:
        super().__init__()
        self.model = model
        self.axes = axes_of(axes)
        self.letters = alphabet.upper().replace("U", "T")
        self.extra_channels = extra_channels
        self.input_length = getattr(model, "input_length", None)
        self.tasks = task_names(model)

    def forward(self, bases: Tensor, *extras: Tensor) -> Any:
        """Return the model's output.

        Parameters
        ----------
        bases
            (row, 4, position), A C G T.
        extras
            The extra channels, (row, channel, position), if there are any; then the model's further
            arguments.
        """
        x = bases
        if self.letters != BASES:
            order = [BASES.index(letter) if letter != "N" else 4 for letter in self.letters]
            if "N" in self.letters:  # 1 where there is no base
                x = torch.cat([x, 1 - x.sum(1, keepdim=True)], 1)
            x = x[:, order]
        if self.extra_channels:
            x = torch.cat([x, self._channels(bases, extras)], 1)
            extras = extras[1:]
        return self.model(in_axes(x, self.axes), *extras)

    def _channels(self, bases: Tensor, extras: tuple[Tensor, ...]) -> Tensor:
        """Return the extra channels, the first of the extra inputs, after checking their number."""
        wanted, length = self.extra_channels, bases.shape[2]
        if not extras:
            raise InputError(
                f"the model reads {wanted} channel{'s' * (wanted > 1)} beyond the bases, and none are given",
                where="extra_inputs",
                remedy=f"give them first, (n, {wanted}, length)",
            )
        if tuple(extras[0].shape[1:]) != (wanted, length):
            raise InputError(
                f"extra channels have the shape (n, {', '.join(map(str, extras[0].shape[1:]))})",
                where="extra_inputs",
                remedy=f"give (n, {wanted}, {length})",
            )
        return extras[0]


def in_axes(x: Tensor, axes: tuple[str, ...]) -> Tensor:
    """Return DNA, (row, base, position), with other axes after the row's, by name as `axes_of` has them."""
    if axes.index("bases") > axes.index("length"):
        x = x.transpose(1, 2)
    for place, name in enumerate(axes, 1):
        if name == "1":
            x = x.unsqueeze(place)
    return x


def shape_of(axes: tuple[str, ...], channels: int, length: int | None) -> Shape:
    """Return the shape of DNA with these axes."""
    sizes = {"1": 1, "bases": channels, "length": length}
    return tuple(sizes[name] for name in axes)


def laid_out(
    model: nn.Module | ExportedProgram, spec: ModelSpec, axes: str = BASES_FIRST
) -> nn.Module | ExportedProgram:
    """Return a model that takes (row, 4, position) of A C G T: the model itself if it already does.

    Parameters
    ----------
    axes
        The model's own axes, used if the spec names none.
    """
    axes = spec.axes or axes
    alphabet = spec.alphabet.upper().replace("U", "T")
    if axes_of(axes) == axes_of(BASES_FIRST) and alphabet == BASES and not spec.extra_channels:
        return model
    if not isinstance(model, ExportedProgram):
        return Laid(model, axes, spec.alphabet, spec.extra_channels)
    laid = Laid(model.module(), axes, spec.alphabet, spec.extra_channels)
    laid.tasks = task_names(model)
    said = getattr(model, "input_length", None)
    laid.input_length = said or length_of_shape(shape_of_program(model), axes)
    return laid


def alike(one: object, other: object) -> bool:
    """Whether two models are one and the same, laid out alike."""
    if not isinstance(one, Laid) or not isinstance(other, Laid):
        return one is other
    names = "model", "axes", "letters", "extra_channels"
    return all(getattr(one, name) == getattr(other, name) for name in names)


def shapes_of_program(program: ExportedProgram) -> dict[str, Shape]:
    """Return the shape of each of a program's inputs by its name."""
    return {
        name.removeprefix("args_"): tuple(size if isinstance(size, int) else None for size in value.shape[1:])
        for name, value in inputs_of_program(program).items()
    }


def shape_of_program(program: ExportedProgram) -> Shape:
    """Return the shape of a program's first input."""
    return next(iter(shapes_of_program(program).values()))


def argument_names(model: nn.Module | ExportedProgram) -> tuple[list[str], int]:
    """Return the names of what a model takes, in order, and how many of them cannot be left out."""
    if isinstance(model, ExportedProgram):
        names = list(shapes_of_program(model))
        return names, len(names)
    if isinstance(model, Described):
        return list(model.order), len(model.order)
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return [], 0
    plain = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return [each.name for each in plain], sum(each.default is each.empty for each in plain)


def length_of_shape(shape: Shape, axes: str) -> int | None:
    """Return the length in bases of an input with this shape and axes; None for any length."""
    place = axes_of(axes).index("length")
    return shape[place] if place < len(shape) else None


def axes_of_shape(shape: Shape, channels: int) -> str | None:
    """Return the axes of an input with ``shape``, which excludes rows, as "length,bases"; None if none fits.

    The axis of the channels is the one with their number as its fixed size, the last one if there are two.
    """
    ones = [place for place, size in enumerate(shape) if size == 1]
    others = [place for place in range(len(shape)) if place not in ones]
    if len(others) == 1 and ones and shape[others[0]] == channels:  # a length of one
        others.append(ones.pop())
        others.sort()
    fitting = [place for place in others if shape[place] == channels]
    if len(others) != 2 or not fitting:
        return None
    return ",".join(
        "bases" if place == fitting[-1] else "length" if place in others else "1"
        for place in range(len(shape))
    )
