"""The one place that captures a user's model, by a key of all that its graph depends on.

A capture is kept while the model lives, and returned as long as the model has not changed.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.engine.graph.capture import capture
from genolift.engine.graph.decomposition import REGISTERED
from genolift.engine.graph.graph import Graph
from genolift.engine.graph.own_state import one_capture_at_a_time, process_settings
from genolift.engine.plan import behind_last_convolution, step_over_final_activation
from genolift.engine.rules.composites import GENOMICS_DEFAULT
from genolift.errors import InputError
from genolift.explain.fingerprint import Fingerprint, fingerprint, token_of
from genolift.explain.kept import KEPT
from genolift.targets.joined import Joined
from genolift.targets.outputs import structure_of_program
from genolift.targets.resolving import ReadOff, Resolution
from genolift.targets.targets import LAST_CONVOLUTION, Target, target_in_words
from genolift.targets.trial import trial_of

Model = nn.Module | ExportedProgram
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class CaptureKey:
    """All that a captured graph depends on, beside the model: not the rule, which is chosen afterwards."""

    events: tuple[tuple[torch.Size, torch.dtype], ...]
    """The shape of each of the model's inputs without the row's axis, and its dtype."""
    targets: tuple[Target, ...] = (0,)
    layer: str | None = None
    """Where contributions are read; None for the input."""
    keep_final_activation: bool = False
    device: torch.device = _CPU
    dtype: torch.dtype = torch.float32

    @staticmethod
    def events_of(rows: Sequence[Tensor]) -> tuple[tuple[torch.Size, torch.dtype], ...]:
        """Return the events of some inputs, rows first."""
        return tuple((row.shape[1:], row.dtype) for row in rows)


@dataclass(frozen=True)
class Captured:
    """A model's graph, how each target is read off its output, and the final activation that was left out."""

    key: CaptureKey
    """What was captured; without the targets, since a function may hold the model."""
    state: Fingerprint
    """The model's, when it was captured."""
    graph: Graph
    read_off: ReadOff
    """What the model returns, and how each target is read off the graph's output."""
    names: tuple[str, ...]
    """The targets in words."""
    stepped_over: tuple[str, ...]
    """The final activations that were, of each tensor that a target is read off."""
    made: dict[Hashable, Any] = field(default_factory=dict)
    """What was made of the graph, such as a plan by each rule that was asked for."""

    def size(self) -> int:
        """Return the bytes of the graph's constants, and of what was made of them."""
        constants = [self.graph.constants, *(each.constants for each in self.made.values())]
        tensors = (value for each in constants for value in each.values() if isinstance(value, Tensor))
        storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
        return sum(storages.values())


def captured(
    model: Model, rows: tuple[Tensor, ...], key: CaptureKey, rule: str = GENOMICS_DEFAULT
) -> Captured:
    """Return what a model is captured as.

    Parameters
    ----------
    model
        As in `genolift.deeplift`.
    rows
        One row or more of each of its inputs, of the key's shapes and dtypes.
    key
        What of it to capture, and how.
    rule
        By which a target that is a function of the user's is tried before the model is captured.

    Raises
    ------
    InputError
        If the model does not take the rows, gives another output when it is called again, or has no such
        target or layer; `UnsupportedOperation` if it cannot be traced.
    """
    state = fingerprint(model)
    owner = model.model if isinstance(model, Joined) else model  # which is made anew for each call
    tokens, seen = token_of(key.targets)
    by_value = replace(key, targets=()), tokens, tuple(REGISTERED.items())
    found = KEPT.get(owner, by_value, state)
    if found is not None:
        return found
    # What another thread captures meanwhile need not be captured again.
    with process_settings(key.dtype, key.device), one_capture_at_a_time():
        state = fingerprint(model)  # again, since tracing in another thread replaces functions of torch
        found = KEPT.get(owner, by_value, state)
        if found is None:
            found = _captured_anew(model, rows, key, rule, state)
            if seen and state.whole and not state.change(fingerprint(model)):
                KEPT.put(owner, by_value, state, found)
    return found


def _captured_anew(
    model: Model,
    rows: tuple[Tensor, ...],
    key: CaptureKey,
    rule: str,
    state: Fingerprint,
) -> Captured:
    outputs = structure_of_program(model) if isinstance(model, ExportedProgram) else None
    resolution = Resolution(model, key.targets, outputs)
    as_it_is = outputs is not None and not resolution.layer and resolution.read_off.is_whole
    graph = capture(
        model,
        rows,
        device=key.device,
        dtype=key.dtype,
        after=None if as_it_is else resolution,
        of_layer=resolution.layer,
        read=None if key.layer == LAST_CONVOLUTION else key.layer,
        tried=trial_of(resolution, rule, key.device, key.dtype),
    )
    stepped_over: tuple[str, ...] = ()
    if (as_it_is or graph.tensors) and not key.keep_final_activation:
        graph, stepped_over = step_over_final_activation(graph)
    graph = replace(graph, tensors=None)
    if key.layer == LAST_CONVOLUTION:
        name = behind_last_convolution(graph)
        if name is None:
            raise InputError(
                "the model has no convolution of its input", where="layer", remedy="give a submodule's name"
            )
        graph = replace(graph, read=name)
    names = tuple(map(target_in_words, key.targets))
    return Captured(replace(key, targets=()), state, graph, resolution.read_off, names, stepped_over)
