"""A copy of a model, run as `capture` will run it: whatever asks a model what it takes or gives asks this.

The user's own module is never run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.engine.graph.capture import as_found
from genolift.engine.graph.program import placed
from genolift.engine.graph.shadow import shadow_module

_CPU = torch.device("cpu")


class TrialModel:
    """A copy of a model that is called like it.

    Its inputs are copied first, and moved to the copy's device and dtype. Casts to another floating dtype in
    its forward give way to that dtype, as they do when it is captured. Random numbers go on from call to
    call, so that a model that draws some gives another output when called again; torch's own state is left
    as it was found.

    Parameters
    ----------
    module
        The copy, in evaluation mode, on ``device`` and in ``dtype``.
    """

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.module, self.device, self.dtype = module, device, dtype
        self._random = torch.get_rng_state()

    def __call__(self, *inputs: Tensor) -> Any:
        """Return what the model returns; whatever it raises is passed on."""
        with as_found(self.dtype), torch.no_grad():
            torch.set_rng_state(self._random)
            try:
                return self.module(*(placed(each, self.device, self.dtype).clone() for each in inputs))
            finally:
                self._random = torch.get_rng_state()

    def around(self, wrap: Callable[[nn.Module], nn.Module]) -> TrialModel:
        """Return the same copy, called by way of a module that is put around it."""
        return TrialModel(wrap(self.module), self.device, self.dtype)


def trial_model(
    model: nn.Module | ExportedProgram,
    device: torch.device = _CPU,
    dtype: torch.dtype = torch.float32,
) -> TrialModel:
    """Return a copy of ``model`` to be run on ``device`` with floating numbers in ``dtype``.

    Raises
    ------
    UnsupportedOperation, InputError
        As `shadow_module` does.
    """
    module = model.module() if isinstance(model, ExportedProgram) else model
    return TrialModel(shadow_module(module, device, dtype), device, dtype)
