"""The heads of profile models: counts, and the profile as BPNet and ChromBPNet explain it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from genolift.engine.run.given import Explained
from genolift.targets.grammar import wrong_target
from genolift.targets.outputs import Branch, Outputs, several_of, shape_in_words

OF_CALLABLE = "give a callable that takes the output and returns the value to explain, (n,)"
_STRANDS = 2
"""Profiles and counts are of one strand or of both; more are those of several tracks, or classes."""
_PARTS = 2  # of a profile model's output: (profile, counts)
_FEWEST_POSITIONS = 8
"""Of a profile that is a model's one output, as against classes or tasks."""


@dataclass(frozen=True)
class Whole:
    """The output itself, (rows,): a function of the model's output that was traced with the model."""

    def of(self, output: Tensor) -> Tensor:
        """Return the output, (rows,)."""
        if output.dim() != 1:
            what = f"the target function returns the shape {shape_in_words(tuple(output.shape[1:]))}"
            raise wrong_target(what, "return one number for each row, (n,)")
        return output

    def of_reference(self, reference_output: Tensor, output: Tensor) -> Tensor:
        """Return the output, (n or 1, r)."""
        self.of(output)
        return reference_output

    def seed(self, output: Tensor, r: int) -> Tensor:
        """Return ones, (n r,)."""
        return output.new_ones(len(output) * r)


@dataclass(frozen=True)
class HeldProfile:
    """Mean-normalised logits, weighted by the sequence's own profile: the first columns, (rows, positions).

    The references have the sequence's weights too, so that contributions sum to the difference of the logits
    alone, as ChromBPNet's profile contributions do. ``behind`` columns are of other targets.
    """

    behind: int = 0

    def _logits(self, output: Tensor) -> Tensor:
        return output[..., : output.shape[-1] - self.behind]

    def of(self, output: Tensor) -> Tensor:
        """Return sum over positions of softmax(z) z, (rows,)."""
        z = self._logits(output)
        return (z.softmax(1) * z).sum(1)

    def of_reference(self, reference_output: Tensor, output: Tensor) -> Tensor:
        """Return sum over positions of softmax(z) z0, (n, r)."""
        return (self._logits(output).softmax(1)[:, None] * self._logits(reference_output)).sum(2)

    def seed(self, output: Tensor, r: int) -> Tensor:
        """Return softmax(z) for each reference, (n r, positions), and 0 for what is of other targets."""
        z = self._logits(output)
        seed = output.new_zeros(output.shape)
        self._logits(seed).copy_(z.softmax(1))
        return seed.repeat_interleave(r, 0)


def counts(output: Any) -> Tensor:
    """Return the log counts of a profile model, (n,), summed over its count outputs.

    ``output`` is (profile, counts), as from bpnet-lite's and ChromBPNet's models; a mapping with a key that
    contains "count"; or the counts alone.
    """
    head = _head(output, "count", 1)
    return head.reshape(head.shape[0], -1).sum(1)


def mean_normalised_profile(output: Any) -> Tensor:
    """Return the logits of a profile less their mean, (n, strands x positions).

    ``output`` is (profile, counts), as from bpnet-lite's and ChromBPNet's models; a mapping with a key that
    contains "profile"; or the logits alone.
    """
    head = _head(output, "profile", 0)
    flat = head.reshape(head.shape[0], -1)
    return flat - flat.mean(1, keepdim=True)


def profile_free_weights(output: Any) -> Tensor:
    """Return sum of softmax(z) z over the mean-normalised logits z of a profile, (n,), as bpnet-lite does.

    The reference has its own weights, so contributions through the weights count too. With the sequence's
    weights for both, it is `HeldProfile`, the target "profile".
    """
    logits = mean_normalised_profile(output)
    return (logits.softmax(1) * logits).sum(1)


HEADS: Mapping[str, tuple[Callable[[Any], Tensor], Explained]] = {
    "counts": (counts, Whole()),
    "profile": (mean_normalised_profile, HeldProfile()),
    "profile-free-weights": (profile_free_weights, Whole()),
}
"""Heads by name: the function that is traced with the model, and the target of its values."""


def heads_of(outputs: Outputs, tasks: bool = False) -> tuple[str, ...]:
    """Return the heads that a model's outputs have, by their names or shapes.

    There is none in a single output with named ``tasks``.
    """
    if isinstance(outputs, str):
        return ()
    profile: Outputs | None = None
    count: Outputs | None = None
    if not isinstance(outputs, Branch):
        if not tasks and max(outputs, default=0) >= _FEWEST_POSITIONS:
            profile = outputs
    elif outputs.is_tuple and len(outputs.outputs) == _PARTS:
        profile, count = outputs.outputs.values()
        if not _numbers(profile) > _numbers(count) > 0:
            return ()
    else:
        profile, count = (_one_named(outputs, name) for name in ("profile", "count"))
    fit = {"counts": _is_counts(count)} | dict.fromkeys(
        ("profile", "profile-free-weights"), _is_profile(profile)
    )
    return tuple(name for name in HEADS if fit[name])


def _one_named(outputs: Branch, name: str) -> Outputs | None:
    found = [each for key, each in outputs.outputs.items() if name in key.lower()]
    return found[0] if len(found) == 1 else None


def _numbers(shape: Outputs) -> int:
    return math.prod(shape) if isinstance(shape, tuple) else 0


def _is_counts(shape: Outputs | None) -> bool:
    return isinstance(shape, tuple) and 0 < math.prod(shape) <= _STRANDS


def _is_profile(shape: Outputs | None) -> bool:
    """Whether a shape is that of one profile: positions, or those of two strands on either axis."""
    if not isinstance(shape, tuple) or not shape or 0 in shape:
        return False
    positions = max(shape)
    return math.prod(shape) // positions <= _STRANDS


def _head(output: Any, name: str, place: int) -> Tensor:
    several = several_of(output)
    if several is None:
        return _tensor(output, name)
    if isinstance(output, (tuple, list)):
        if len(several) == _PARTS:
            return _tensor(output[place], name)
        raise wrong_target(f"the model returns {len(several)} outputs, not profile and counts", OF_CALLABLE)
    found = [value for key, value in several.items() if name in key.lower()]
    if len(found) == 1:
        return _tensor(found[0], name)
    raise wrong_target(f"{len(found)} of the model's outputs have {name!r} in their names", OF_CALLABLE)


def _tensor(output: Any, name: str) -> Tensor:
    if isinstance(output, Tensor):
        return output
    raise wrong_target(f"the {name} head is a {type(output).__name__}", OF_CALLABLE)
