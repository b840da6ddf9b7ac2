"""The inputs of a model, in its own layout, and one row of each to run it with."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.data.alphabet import BASES
from genolift.data.stored_tensors import example_rows
from genolift.engine.graph.trial_model import TrialModel
from genolift.errors import InputError
from genolift.inspection.trial import Layout, Length, Run, find_layout, smallest_length
from genolift.models import Model, load_model
from genolift.models.layout import (
    Laid,
    Shape,
    alike,
    argument_names,
    laid_out,
    length_of_shape,
    shape_of,
    shapes_of_program,
)
from genolift.models.loading import axes_of_program, is_keras, of_dna, own_model
from genolift.settings.extra_inputs import Extras
from genolift.settings.model import BASES_FIRST, ModelSpec, axes_of

CHANNELS = "channels,length"
"""The axes of the input for extra channels, as genolift export writes it."""
_ANY = 1000
"""The size used for an axis of any size."""
_FIVE = "it takes five channels, of which the fifth is read as N; if it is not, give --extra-channel"


@dataclass(frozen=True)
class Input:
    """An input of the model: its shape without the row's axis (None: any size), and the axes of DNA."""

    name: str
    shape: Shape
    axes: str | None = None


@dataclass(frozen=True)
class Taken:
    """A model and its inputs."""

    model: Model
    """Takes (row, 4, position), A C G T, whatever its own layout is."""
    own: Model
    """As its author made it."""
    spec: ModelSpec
    """With the axes and alphabet that were found."""
    kind: str
    inputs: tuple[Input, ...]
    layout: Layout
    extras: tuple[Tensor, ...]
    """One row of each of its extra inputs."""
    notes: tuple[str, ...] = ()


def read_model(spec: ModelSpec, extras: Extras, loaded: Model | None = None) -> Taken:
    """Return a model with its inputs, which are found by running it if it does not say them.

    One that is ``loaded`` already, by `load_model`, is that of the outcome too if it reads DNA as is found.

    Raises
    ------
    InputError
        If it cannot be loaded, or runs in no layout.
    """
    if is_keras(spec):
        model = load_model(spec) if loaded is None else loaded
        assert isinstance(model, nn.Module)
        return _keras(model, spec, extras)
    own = loaded.model if isinstance(loaded, Laid) else loaded
    if own is None or isinstance(own, torch.fx.GraphModule):  # whose program says more than it does
        own = own_model(spec)
    taken = _exported(own, spec, extras) if isinstance(own, ExportedProgram) else _module(own, spec, extras)
    return replace(taken, model=loaded) if loaded is not None and alike(loaded, taken.model) else taken


def _keras(model: nn.Module, spec: ModelSpec, extras: Extras) -> Taken:
    own: Any = model.model if isinstance(model, Laid) else model
    axes = ",".join(model.axes) if isinstance(model, Laid) else BASES_FIRST
    shapes: Mapping[str, Shape | None] = own.graph.inputs
    dna, *others = own.order
    shape = shapes[dna] or _shape(spec, axes, own.input_length)
    inputs = (Input(dna, shape, axes), *(Input(name, shapes[name] or ()) for name in others))
    known = own.input_length
    extra = _given(extras, known or spec.input_length)
    extra = extra or tuple(_zeros(shapes[name] or ()) for name in others)
    if known is not None:
        length = Length(known, known, known, "the model")
    else:
        bases = spec.input_length or _ANY
        length = Length(
            bases, smallest_length(_run(own, extra), _channels(spec), axes, bases), None, "the model"
        )
    notes = () if own.assumed is None else (own.assumed,)
    spec = spec.model_copy(update={"axes": axes})
    every = _extras(extras, length.bases, extra)
    return Taken(model, own, spec, "Keras model", inputs, Layout(axes, (), length), every, notes)


def _exported(program: ExportedProgram, spec: ModelSpec, extras: Extras) -> Taken:
    model = of_dna(program, spec)
    written = getattr(program, "extra_channels", None)  # by genolift export, in the layout of genolift
    if written is None:
        axes = axes_of_program(program, spec)
        spec = spec.model_copy(update={"axes": axes})
    else:
        axes = BASES_FIRST
        spec = spec.model_copy(update={"axes": None, "alphabet": BASES})
    shapes = shapes_of_program(program)
    first, *others = shapes.values()
    axes_of_others = [CHANNELS if written and place == 0 else None for place in range(len(others))]
    inputs = tuple(map(Input, shapes, shapes.values(), (axes, *axes_of_others)))
    known = length_of_shape(first, axes)
    length = known or spec.input_length or _ANY
    says = "the model" if known or not spec.input_length else "the user"
    layout = Layout(axes, (), Length(length, known or 1, known, says))
    extra = _given(extras, known or spec.input_length)
    extra = extra or tuple(_zeros(shape) for shape in others[1 if written else 0 :])
    return Taken(model, program, spec, "exported program", inputs, layout, _extras(extras, length, extra))


def _module(own: nn.Module, spec: ModelSpec, extras: Extras) -> Taken:
    said = getattr(own, "input_length", None)
    length = spec.input_length or (said if isinstance(said, int) else None)
    extra = _given(extras, length)
    names = _arguments(own, extra)
    found = "the user" if spec.input_length else "the model"
    asked = spec.alphabet
    spec, layout = _layout(_run(own, extra), spec, length, found)
    notes: tuple[str, ...] = (_FIVE,) if spec.alphabet != asked else ()
    if layout.also:
        notes += (f"it runs with {'; '.join(layout.also)} too: check which it was trained with",)
    spec = spec.model_copy(update={"axes": layout.axes})
    fixed = None if layout.length.largest is None else layout.length.bases
    dna = Input(names[0], _shape(spec, layout.axes, fixed), layout.axes)
    others = (Input(name, tuple(one.shape[1:])) for name, one in zip(names[1:], extra, strict=True))
    return Taken(
        laid_out(own, spec),
        own,
        spec,
        f"PyTorch module {type(own).__name__}",
        (dna, *others),
        layout,
        _extras(extras, layout.length.bases, extra),
        notes,
    )


def _run(own: nn.Module, extra: Sequence[Tensor]) -> Run:
    """Return a function that runs a copy of a model on its first input, with one row of the others."""
    trial = TrialModel(own)
    return lambda x: trial(x, *rows_of(extra, len(x)))


def _layout(run: Run, spec: ModelSpec, length: int | None, found: str) -> tuple[ModelSpec, Layout]:
    """Return the layout of a module, and the spec, with an N if it takes one more channel."""
    try:
        return spec, find_layout(run, _channels(spec), axes=spec.axes, length=length, found=found)
    except InputError as error:
        if "N" in spec.alphabet.upper() or spec.extra_channels:
            raise
        with suppress(InputError):
            layout = find_layout(run, _channels(spec) + 1, axes=spec.axes, length=length, found=found)
            return spec.model_copy(update={"alphabet": f"{spec.alphabet}N"}), layout
        raise error from None


def _channels(spec: ModelSpec) -> int:
    return len(spec.alphabet) + spec.extra_channels


def _shape(spec: ModelSpec, axes: str, length: int | None) -> Shape:
    return shape_of(axes_of(axes), _channels(spec), length)


def _arguments(own: nn.Module, extra: tuple[Tensor, ...]) -> list[str]:
    """Return the names of the arguments of forward that are given, after checking that none is missing."""
    names, needed = argument_names(own)
    lacking = names[1 + len(extra) : needed]
    if lacking:
        raise InputError(
            f"its forward takes {', '.join(names[:needed])}",
            where="model",
            remedy=f"give {' and '.join(lacking)} with --extra-input, such as --extra-input '[0, 1]' for two "
            """values of each sequence, or '{"values": 0, "shape": [2, 1000]}' for zeros""",
        )
    names = names[: 1 + len(extra)]
    return names + [f"input {number}" for number in range(len(names), 1 + len(extra))]


def _given(extras: Extras, length: int | None) -> tuple[Tensor, ...]:
    """Return one row of the user's further inputs, for an input of a length in bases, if it is known."""
    unknown = [number for number, item in enumerate(extras.inputs) if item.bigwigs and item.width is None]
    if unknown and length is None:
        raise InputError(
            "the model does not say its input length, which the bigWigs' values have",
            where=f"extra_inputs[{unknown[0]}]",
            remedy="give model.input_length (--input-length), or the width of the bigWigs' values",
        )
    return example_rows(Extras(inputs=extras.inputs), length or 1)


def _extras(extras: Extras, length: int, extra: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (*example_rows(Extras(channels=extras.channels), length), *extra)


def _zeros(shape: Shape) -> Tensor:
    return torch.zeros(1, *(size or _ANY for size in shape))


def rows_of(one: Sequence[Tensor], n: int) -> tuple[Tensor, ...]:
    """Return n equal rows of inputs."""
    return tuple(each.expand(n, *each.shape[1:]) for each in one)
