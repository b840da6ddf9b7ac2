"""How weights differ from those that a class expects, in one line, with the likely fix."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from genolift.errors import InputError, few
from genolift.models.classes import ModelClass
from genolift.models.parametrized import without_norm
from genolift.models.spare import is_extra_state, is_optional

State = Mapping[str, Any]
"""Tensors, and modules' extra state, by key."""
_MOST_TRIES = 12


@dataclass(frozen=True)
class ClassState:
    """The state that a class accepts; errors have the class's name, and the file that is put into it."""

    name: str
    where: str
    wanted: State
    """By key: tensors, and any value for extra state."""
    computed: Mapping[str, Tensor]
    """Buffers that it computes and does not save."""
    transposed: frozenset[str]
    """The keys of weights of transposed convolutions."""

    @cached_property
    def required(self) -> list[str]:
        """The keys that a file cannot lack."""
        return [key for key in self.wanted if not is_optional(key, self.wanted)]


def misfits(weights: State, wanted: State) -> list[str]:
    """Return the keys whose tensors have a different shape than the class's."""
    return [
        key
        for key, value in weights.items()
        if key in wanted
        and not is_extra_state(key)
        and not is_lazy(wanted[key])
        and value.shape != wanted[key].shape
    ]


def misfit(weights: State, of_class: ClassState, mend: str) -> InputError:
    """Return the error that shows how weights differ from the expected ones; ``mend`` is a known fix, or
    empty.
    """
    wanted = of_class.wanted
    missing = [key for key in of_class.required if key not in weights]
    unexpected = [key for key in weights if key not in wanted]
    others = [
        f"{key} is {tuple(weights[key].shape)}, the class has {tuple(wanted[key].shape)}"
        for key in misfits(weights, wanted)
    ]
    parts = [f"{len(missing)} missing ({few(missing, 3)})"] if missing else []
    parts += [f"{len(unexpected)} unexpected ({few(unexpected, 3)})"] if unexpected else []
    parts += [f"{len(others)} of another shape ({few(others, 3)})"] if others else []
    mends = [mend] if mend else []
    if renamed := _renamed(weights, wanted, missing, unexpected):
        mends.append(f"the file has {few(renamed, 3)}: rename the keys, or name the class with these names")
    if plain := [key for key in unexpected if key in without_norm(missing)]:
        mends.append(f"the file has {few(plain, 3)} without a norm: remove it from the class's layer too")
    if anew := [key for key in unexpected if key in of_class.computed]:
        again = "register them with persistent=True"
        mends.append(f"the class computes {few(anew, 3)} with different values: {again}")
    remedy = "; ".join(mends) or "check model.class and model.arguments"
    if not mends and len(missing) == len(of_class.required):
        remedy = "none of the keys belongs to the class: name the class that the weights were trained in"
    elif not mends and missing and not unexpected and not others:
        remedy = "the class has layers without weights in the file: name the class that was trained"
    elif not mends and unexpected and not missing and not others:
        remedy = (
            "name the class that has them, or, if its outputs are the same without them, delete them from "
            "the state dict and save it again"
        )
    what = f"weights do not fit {of_class.name}: {', '.join(parts)}"
    return InputError(what, where=of_class.where, remedy=remedy)


def _renamed(weights: State, wanted: State, missing: list[str], unexpected: list[str]) -> list[str]:
    """Return "conv.* where the class has c.*" for each layer, if all have such a counterpart."""

    def layers(keys: list[str], of: State) -> dict[str, frozenset[Any]]:
        grouped: dict[str, list[Any]] = {}
        for key in keys:
            layer, _, name = key.rpartition(".")
            if isinstance(of[key], Tensor) and not is_optional(key, of) and not is_lazy(of[key]):
                grouped.setdefault(layer, []).append((name, tuple(of[key].shape)))
        return {layer: frozenset(shapes) for layer, shapes in grouped.items()}

    here, there = layers(unexpected, weights), layers(missing, wanted)
    pairs = []
    for layer, shapes in here.items():
        same = [other for other, of_other in there.items() if of_other == shapes]
        if same and [*here.values()].count(shapes) == len(same):  # in order of appearance
            other = same[[each for each, of in here.items() if of == shapes].index(layer)]
            pairs.append(f"{star(layer + '.')} where the class has {star(other + '.')}")
    return pairs if len(pairs) == len(here) == len(there) else []


def arguments_that_fit(
    weights: State,
    wanted: State,
    made_by: ModelClass,
    arguments: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> str:
    """Return "set arguments: {...}" if the class fits with other arguments, else an empty text.

    It tries what the file says about itself, and the file's sizes for arguments with the class's sizes.
    """
    values = {**made_by.keywords(), **arguments}
    for changed in itertools.islice(_changes(weights, wanted, values, settings), _MOST_TRIES):
        with suppress(Exception):
            with torch.device("meta"):
                other = made_by.make({**arguments, **changed}).state_dict()
            required = {key for key in other if not is_optional(key, other)}
            if required <= weights.keys() <= other.keys() and not misfits(weights, other):
                given = ", ".join(f"{key}: {changed[key]}" for key in values if key in changed)
                return f"set arguments: {{{given}}}"
    return ""


def _changes(
    weights: State, wanted: State, values: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    said = {
        key: settings[key] for key in values if key in settings and repr(settings[key]) != repr(values[key])
    }
    if said:
        yield said
    sizes = {
        (ours, theirs)
        for key in misfits(weights, wanted)
        for ours, theirs in zip(wanted[key].shape, weights[key].shape, strict=False)
        if ours != theirs
    }
    here, there = _numbered(wanted), _numbered(weights)
    sizes |= {(here[name], there[name]) for name in here if there.get(name, here[name]) != here[name]}
    single = [
        {name: theirs}
        for ours, theirs in sorted(sizes)
        for name, value in values.items()
        if type(value) is int and value == ours
    ]
    yield from single
    for first, second in itertools.combinations(single, 2):
        if first.keys() != second.keys():
            yield first | second


def _numbered(keys: Iterable[str]) -> dict[str, int]:
    """Return the number of numbered layers by name: {"blocks": 4} for blocks.0.* to blocks.3.*."""
    numbers: dict[str, set[str]] = {}
    for key in keys:
        for match in re.finditer(r"(?<![^.])\d+(?=\.)", key):
            numbers.setdefault(key[: match.start()], set()).add(match[0])
    return {name: len(found) for name, found in numbers.items()}


def star(prefix: str) -> str:
    """Return a pattern for all keys with a prefix."""
    return prefix + "*"
