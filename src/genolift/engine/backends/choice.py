"""Which fast forms a plan is computed with, chosen here and nowhere else.

Each changes results by rounding alone, and where it does not fit the formula of the rule or of the operation
is computed. What each is worth is in benchmarks/README.md, "Fast forms".
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Forms:
    """The fast forms that may be used."""

    folding: bool = True
    """Take a batch norm into the weighted layer before it: folding.py."""
    loops: bool = False
    """Compute rules by numba's loops: loops.py."""
    stays_half: bool = False
    """Leave in bfloat16 what only a relu takes from a layer computed in it."""
    channels_last: bool = False
    """Compute convolutions with a position's channels side by side in memory: channels_last.py."""
    compiled: bool = False
    """Let torch's compiler fuse the formulas of relu: fused.py."""


def forms_for(device: torch.device) -> Forms:
    """Return the forms that are worth their while on a device.

    On a GPU none could be measured yet: there is only what saves memory and work for certain. The others wait
    for figures (`run.Runner` takes any forms).
    """
    if device.type == "cpu":
        return Forms(loops=True, stays_half=True, channels_last=torch.backends.mkldnn.is_available())
    return Forms(stays_half=True)
