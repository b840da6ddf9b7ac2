"""The one place that captures a user's model, by a key of all that its graph depends on.

Nothing is kept here; whoever keeps graphs does it by the same key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.engine.graph.capture import capture
from genolift.engine.graph.graph import Graph
from genolift.engine.plan import behind_last_convolution, step_over_final_activation
from genolift.engine.rules.composites import GENOMICS_DEFAULT
from genolift.engine.run.given import Explained
from genolift.errors import InputError
from genolift.targets.targets import LAST_CONVOLUTION, Target, resolve
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
    graph: Graph
    targets: tuple[Explained, ...]
    stepped_over: str


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
    resolved = resolve(model, key.targets)
    graph = capture(
        model,
        rows,
        device=key.device,
        dtype=key.dtype,
        after=resolved.after,
        of_layer=resolved.layer,
        read=None if key.layer == LAST_CONVOLUTION else key.layer,
        tried=trial_of(resolved, rule, key.device, key.dtype),
    )
    stepped_over = ""
    if (resolved.after is None or resolved.picks) and not key.keep_final_activation:
        graph, stepped_over = step_over_final_activation(graph)
    if key.layer == LAST_CONVOLUTION:
        name = behind_last_convolution(graph)
        if name is None:
            raise InputError(
                "the model has no convolution of its input", where="layer", remedy="give a submodule's name"
            )
        graph = replace(graph, read=name)
    return Captured(key, graph, resolved.explained, stepped_over)
