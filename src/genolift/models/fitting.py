"""Weights put into the class that they belong to, under whatever names they were saved.

Wrappers and trainers put prefixes before a model's own keys, and other modules' keys beside them. What does
not fit is said in one line, with what would probably mend it. Knows nothing of files.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from genolift.errors import InputError

_LOG = logging.getLogger("genolift")
_KNOWN_PREFIXES = ("", "module.", "model.", "net.", "network.")
_WRAPPERS = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What torch.compile, FSDP and activation checkpointing put before the keys of the module that they wrap."""
_OF_TRAINING = re.compile(
    r"(^|[._])(criterion|loss\w*|metrics?|accuracy|auroc|auprc)([._]|$)|_(loss|metrics?)\."
)
_NORM = re.compile(r"(?P<layer>(?:.*\.)?)(?P<weight>\w+)_(?P<part>[gv])")
"""A key of torch.nn.utils.weight_norm; torch.nn.utils.parametrizations has other names for the same."""
_MOST_TRIES = 12


def fill(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    where: str,
    class_name: str,
    arguments: Mapping[str, Any],
    keywords: Mapping[str, Any],
    settings: Mapping[str, Any],
    make: Callable[[Mapping[str, Any]], nn.Module],
) -> None:
    """Load ``weights`` into ``model``.

    Parameters
    ----------
    where
        The file, for errors.
    class_name, arguments, keywords
        The model's class, what it was given, and what it takes with its defaults.
    settings
        What the file says of how the model was made.
    make
        Makes the class with other arguments.

    Raises
    ------
    InputError
        If they do not fit.
    """
    wanted = dict(model.state_dict())
    fitting = dict(_fittings(weights, wanted))
    prefixes = [prefix for prefix in _KNOWN_PREFIXES if prefix in fitting] or list(fitting)
    if len(prefixes) > 1 and prefixes[0] not in _KNOWN_PREFIXES:
        raise InputError(
            f"holds several sets of weights that fit {class_name} ({', '.join(map(_star, prefixes))})",
            where=where,
            remedy="save the one to explain alone",
        )
    chosen, left = fitting[prefixes[0]] if prefixes else (_nearest(weights, wanted), [])
    if not prefixes or _misfits(chosen, wanted):
        found = _arguments_that_fit(chosen, wanted, {**keywords, **arguments}, settings, make)
        _refuse(chosen, wanted, where, class_name, [found] if found else [])
    for key, value in chosen.items():
        if value.is_complex() and not wanted[key].is_complex():
            raise InputError(
                f"{key} is complex, and real in {class_name}",
                where=where,
                remedy="check that the weights are of this class",
            )
    if left:
        _LOG.warning("%s: left out is what is not the model's: %s", where, _few(_groups(left)))
    model.load_state_dict(chosen, strict=False)  # each key was looked at


def _fittings(
    weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> Iterator[tuple[str, tuple[dict[str, Tensor], list[str]]]]:
    """Yield each prefix without which keys are those wanted, with the weights, and the keys left out."""
    plain = {_WRAPPERS.sub("", key): value for key, value in weights.items()}
    required = [key for key in wanted if not _is_optional(key, wanted)]
    if not required:
        return
    ends = {end for key in required[:3] for end in _spellings(key)}  # one may be tied to another
    prefixes = {
        key.removesuffix(end)
        for end in ends
        for key in plain
        if key.endswith(end) and key.removesuffix(end)[-1:] in ("", ".")
    }
    for prefix in sorted(prefixes, key=_length):
        taken = {key.removeprefix(prefix): value for key, value in plain.items() if key.startswith(prefix)}
        taken = _as_named(taken, wanted)
        left = [key for key in plain if not key.startswith(prefix)]
        if prefix == "":
            left = [key for key in taken if key not in wanted and _OF_TRAINING.search(key)]
            taken = {key: value for key, value in taken.items() if key not in left}
        if taken.keys() <= wanted.keys() and all(key in taken for key in required):
            yield prefix, (taken, left)
    # The other way round: a wrapper class, and the weights of the module within it.
    head = required[0].partition(".")[0] + "."
    if all(key.startswith(head) for key in wanted):
        taken = _as_named({head + key: value for key, value in plain.items()}, wanted)
        if taken.keys() <= wanted.keys() and all(key in taken for key in required):
            yield "", (taken, [])


def _is_optional(key: str, wanted: Mapping[str, Tensor]) -> bool:
    """Whether a key may be missing: a count that old checkpoints lack and that evaluation does not use."""
    return key.endswith("num_batches_tracked")


def _spellings(key: str) -> Iterator[str]:
    """Yield the names that torch's versions have for a key."""
    yield key
    for part, number in (("g", "0"), ("v", "1")):
        layer, found, end = key.rpartition("parametrizations.")
        if found and end.endswith(f".original{number}"):
            yield f"{layer}{end.removesuffix(f'.original{number}')}_{part}"
    match = _NORM.fullmatch(key)
    if match is not None:
        number = "0" if match["part"] == "g" else "1"
        yield f"{match['layer']}parametrizations.{match['weight']}.original{number}"


def _as_named(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights under the class's own names, and tied ones under each of theirs."""
    named = {
        next((name for name in _spellings(key) if name in wanted), key): value
        for key, value in weights.items()
    }
    # safetensors writes a tensor that two layers share once.
    owners = {_memory(wanted[key]): value for key, value in named.items() if key in wanted}
    for key, value in wanted.items():
        if key not in named and _memory(value) is not None and _memory(value) in owners:
            named[key] = owners[_memory(value)]
    return named


def _memory(tensor: Tensor) -> tuple[Any, ...] | None:
    if is_lazy(tensor) or tensor.numel() == 0:
        return None
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


def _misfits(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    return [
        key
        for key, value in weights.items()
        if key in wanted and not is_lazy(wanted[key]) and value.shape != wanted[key].shape
    ]


def _refuse(
    weights: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    where: str,
    class_name: str,
    mends: list[str],
) -> None:
    """Raise the error that shows how weights differ from those wanted."""
    missing = [key for key in wanted if key not in weights and not _is_optional(key, wanted)]
    unexpected = [key for key in weights if key not in wanted]
    misfits = [
        f"{key} is {tuple(weights[key].shape)}, the class has {tuple(wanted[key].shape)}"
        for key in _misfits(weights, wanted)
    ]
    parts = [f"{len(missing)} missing ({_few(missing)})"] if missing else []
    parts += [f"{len(unexpected)} unexpected ({_few(unexpected)})"] if unexpected else []
    parts += [f"{len(misfits)} of another shape ({_few(misfits)})"] if misfits else []
    renamed = _renamed(weights, wanted, missing, unexpected)
    if renamed:
        mends = [*mends, f"the file has {_few(renamed)}: rename the keys, or name the class of those names"]
    if not mends and len(missing) == len([key for key in wanted if not _is_optional(key, wanted)]):
        mends = ["none of the keys is the class's: name the class that the weights were trained in"]
    raise InputError(
        f"weights do not fit {class_name}: {', '.join(parts)}",
        where=where,
        remedy="; ".join(mends) or "check model.class and model.arguments",
    )


def _nearest(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights without the prefix that leaves most of the keys wanted."""
    plain = {_WRAPPERS.sub("", key): value for key, value in weights.items()}
    parts = [key.split(".") for key in plain]
    prefixes = {".".join([*part[:n], ""]) for part in parts for n in range(len(part))}
    best = max(
        sorted(prefixes, key=_length),
        key=lambda prefix: sum(
            key.startswith(prefix) and key.removeprefix(prefix) in wanted for key in plain
        ),
    )
    return _as_named({key.removeprefix(best): value for key, value in plain.items()}, wanted)


def _renamed(
    weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], missing: list[str], unexpected: list[str]
) -> list[str]:
    """Return "conv.* where the class has c.*" for each layer that has one of the same shapes, if all have."""

    def layers(keys: list[str], of: Mapping[str, Tensor]) -> dict[str, frozenset[Any]]:
        grouped: dict[str, list[Any]] = {}
        for key in keys:
            layer, _, name = key.rpartition(".")
            if not _is_optional(key, of) and not is_lazy(of[key]):
                grouped.setdefault(layer, []).append((name, tuple(of[key].shape)))
        return {layer: frozenset(shapes) for layer, shapes in grouped.items()}

    here, there = layers(unexpected, weights), layers(missing, wanted)
    pairs = []
    for layer, shapes in here.items():
        same = [other for other, of_other in there.items() if of_other == shapes]
        if same and [*here.values()].count(shapes) == len(same):  # in the order that they come
            other = same[[each for each, of in here.items() if of == shapes].index(layer)]
            pairs.append(f"{_star(layer + '.')} where the class has {_star(other + '.')}")
    return pairs if len(pairs) == len(here) == len(there) else []


def _arguments_that_fit(
    weights: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    values: Mapping[str, Any],
    settings: Mapping[str, Any],
    make: Callable[[Mapping[str, Any]], nn.Module],
) -> str:
    """Return "set arguments: {...}" where the class with other arguments fits; an empty text where none does.

    Tried are what the file says of itself, and the file's sizes for arguments of the class's sizes.
    """
    for changed in itertools.islice(_changes(weights, wanted, values, settings), _MOST_TRIES):
        with suppress(Exception):
            with torch.device("meta"):
                other = make(changed).state_dict()
            required = {key for key in other if not _is_optional(key, other)}
            if required <= weights.keys() <= other.keys() and not _misfits(weights, other):
                given = ", ".join(f"{key}: {changed[key]}" for key in values if key in changed)
                return f"set arguments: {{{given}}}"
    return ""


def _changes(
    weights: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    values: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    said = {
        key: settings[key] for key in values if key in settings and repr(settings[key]) != repr(values[key])
    }
    if said:
        yield said
    sizes = {
        (ours, theirs)
        for key in _misfits(weights, wanted)
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
    """Return how many numbered layers there are of each name: {"blocks": 4} of blocks.0.* to blocks.3.*."""
    numbers: dict[str, set[str]] = {}
    for key in keys:
        for match in re.finditer(r"(?<![^.])\d+(?=\.)", key):
            numbers.setdefault(key[: match.start()], set()).add(match[0])
    return {name: len(found) for name, found in numbers.items()}


def _groups(keys: list[str]) -> list[str]:
    """Return the first parts of keys, each once, as "criterion.*"."""
    return list(dict.fromkeys(_star(key.partition(".")[0] + ".") if "." in key else key for key in keys))


def _length(prefix: str) -> tuple[int, str]:
    return len(prefix), prefix


def _star(prefix: str) -> str:
    return prefix + "*"


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
