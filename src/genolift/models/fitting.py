"""Weights loaded into the class that they belong to, under whatever names they were saved.

Wrappers and trainers add prefixes to a model's own keys, and store other modules' keys along with them. What
does not fit is reported with the likely fix (`misfits`).
"""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd
from torch.nn.parameter import is_lazy

from genolift.errors import InputError, few
from genolift.models.classes import ModelClass
from genolift.models.misfits import ClassState, State, arguments_that_fit, misfit, misfits, star
from genolift.models.parametrized import given_norm, kept_as, made_plain, spellings
from genolift.models.spare import computed_buffers, is_extra_state, is_spare, may_hold_code
from genolift.models.weights import Weights

_LOG = logging.getLogger("genolift")
_KNOWN_PREFIXES = ("", "module.", "model.", "net.", "network.")
_WRAPPERS = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Prefixes that torch.compile, FSDP and activation checkpointing add to the keys of the wrapped module."""
_OF_TRAINING = re.compile(
    r"(^|[._])(criterion|loss\w*|metrics?|accuracy|auroc|auprc)([._]|$)|_(loss|metrics?)\."
)


@dataclass(frozen=True)
class _Fit:
    """Weights under the class's own names, and the keys of the file that were ignored."""

    weights: dict[str, Any]
    others: list[str]
    """Keys of other modules."""
    spare: list[str]
    """The model's keys that the class does not need."""


def fill(
    model: nn.Module,
    saved: Weights,
    made_by: ModelClass,
    arguments: Mapping[str, Any],
    *,
    where: str,
    class_name: str,
    trust: bool = False,
) -> None:
    """Load ``saved`` into ``model``, which ``made_by`` made with ``arguments``.

    Parameters
    ----------
    where, class_name
        The file and the class as the user names it, for errors.
    trust
        Whether the model may be given extra state that could hold a pickle.

    Raises
    ------
    InputError
        If they do not fit.
    """
    wanted = dict(model.state_dict())
    weights = {_WRAPPERS.sub("", key): value for key, value in saved.values.items()}
    transposed = (
        f"{name}.weight" if name else "weight"
        for name, module in model.named_modules()
        if isinstance(module, _ConvTransposeNd)
    )
    of_class = ClassState(class_name, where, wanted, computed_buffers(model), frozenset(transposed))
    fitting = dict(_fittings(weights, of_class))
    prefixes = [prefix for prefix in _KNOWN_PREFIXES if prefix in fitting] or list(fitting)
    if len(prefixes) > 1 and prefixes[0] not in _KNOWN_PREFIXES:
        raise InputError(
            f"holds several sets of weights that fit {class_name} ({', '.join(map(star, prefixes))})",
            where=where,
            remedy="save only the one to explain",
        )
    fit = fitting[prefixes[0]] if prefixes else _nearest(weights, of_class)
    chosen = fit.weights
    if not prefixes or misfits(chosen, wanted):
        mend = arguments_that_fit(chosen, wanted, made_by, arguments, saved.settings)
        raise misfit(chosen, of_class, mend)
    _check_values(chosen, of_class, trust=trust)
    _check_tied(chosen, of_class)
    if fit.others:
        _LOG.warning("%s: ignored keys that are not the model's: %s", where, few(_groups(fit.others), 3))
    if fit.spare:
        names = dict.fromkeys(key.rpartition(".")[2] for key in fit.spare)
        _LOG.warning("%s: ignored keys that %s does not need: %s", where, class_name, few(names, 3))
    model.load_state_dict(chosen, strict=False)  # every key was checked


def _check_values(chosen: State, of_class: ClassState, *, trust: bool) -> None:
    for key, value in chosen.items():
        if is_extra_state(key):
            if may_hold_code(value) and not trust:
                raise InputError(
                    f"{key} may be a pickle, which {of_class.name} could run when it receives it",
                    where=of_class.where,
                    remedy="remove it from the file, and have the class keep no extra state, or, if you "
                    "trust its source, set trust: true",
                )
        elif value.is_complex() and not of_class.wanted[key].is_complex():
            raise InputError(
                f"{key} is complex, but real in {of_class.name}",
                where=of_class.where,
                remedy="check that the weights belong to this class",
            )


def _check_tied(chosen: State, of_class: ClassState) -> None:
    """Refuse two different weights for one of the class's tensors, which could hold only the last."""
    first: dict[tuple[Any, ...], str] = {}
    for key, value in chosen.items():
        memory = _memory(of_class.wanted.get(key))
        other = key if memory is None else first.setdefault(memory, key)
        if other != key and not torch.equal(chosen[other], value):
            raise InputError(
                f"{other} and {key} differ, but are one weight in {of_class.name}",
                where=of_class.where,
                remedy="name the class that was trained, in which they are separate",
            )


def _fittings(weights: State, of_class: ClassState) -> Iterator[tuple[str, _Fit]]:
    """Yield each prefix whose removal gives the wanted keys, with the weights and the ignored keys."""
    wanted, required = of_class.wanted, of_class.required
    if not required:
        return
    ends = {end for key in required[:3] for end in (*spellings(key), *kept_as(key))}  # one may be tied
    prefixes = {
        key.removesuffix(end)
        for end in ends
        for key in weights
        if key.endswith(end) and key.removesuffix(end)[-1:] in ("", ".")
    }
    for prefix in sorted(prefixes, key=_length):
        within = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        others = [key for key in weights if not key.startswith(prefix)]
        if prefix == "":
            others = [key for key in within if key not in wanted and _OF_TRAINING.search(key)]
            within = {key: value for key, value in within.items() if key not in others}
        fit = _taken(within, of_class, others)
        if fit.weights.keys() <= wanted.keys() and all(key in fit.weights for key in required):
            yield prefix, fit
    # The reverse: a wrapper class, and the weights of the module that it wraps.
    head = required[0].partition(".")[0] + "."
    if all(key.startswith(head) for key in wanted):
        fit = _taken({head + key: value for key, value in weights.items()}, of_class, [])
        if fit.weights.keys() <= wanted.keys() and all(key in fit.weights for key in required):
            yield "", fit


def _taken(weights: State, of_class: ClassState, others: list[str]) -> _Fit:
    """Return weights under the class's own names, without what it does not need."""
    named = _as_named(weights, of_class)
    spare = [
        key
        for key, value in named.items()
        if key not in of_class.wanted and is_spare(key, value, of_class.computed)
    ]
    return _Fit({key: value for key, value in named.items() if key not in spare}, others, spare)


def _as_named(weights: State, of_class: ClassState) -> dict[str, Any]:
    """Return weights under the class's own names, tied ones under each of their names."""
    wanted = of_class.wanted
    named = {
        next((name for name in spellings(key) if name in wanted), key): value
        for key, value in weights.items()
    }
    made_plain(named, wanted, of_class.transposed)
    given_norm(named, wanted)
    # safetensors writes a tensor shared by two layers only once.
    owners = {_memory(wanted[key]): value for key, value in named.items() if key in wanted}
    for key, value in wanted.items():
        if key not in named and _memory(value) is not None and _memory(value) in owners:
            named[key] = owners[_memory(value)]
    return named


def _memory(tensor: Any) -> tuple[Any, ...] | None:
    if not isinstance(tensor, Tensor) or is_lazy(tensor) or tensor.numel() == 0:
        return None
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


def _nearest(weights: State, of_class: ClassState) -> _Fit:
    """Return weights without the prefix whose removal gives the most wanted keys."""
    wanted = of_class.wanted
    parts = [key.split(".") for key in weights]
    prefixes = {".".join([*part[:n], ""]) for part in parts for n in range(len(part))}
    best = max(
        sorted(prefixes, key=_length),
        key=lambda prefix: sum(
            key.startswith(prefix) and key.removeprefix(prefix) in wanted for key in weights
        ),
    )
    return _taken({key.removeprefix(best): value for key, value in weights.items()}, of_class, [])


def _groups(keys: list[str]) -> list[str]:
    """Return the first parts of keys, each once, as "criterion.*"."""
    return list(dict.fromkeys(star(key.partition(".")[0] + ".") if "." in key else key for key in keys))


def _length(prefix: str) -> tuple[int, str]:
    return len(prefix), prefix
