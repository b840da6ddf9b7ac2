"""The contributions that a call returns."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genolift.results.convergence import relative_error


@dataclass(frozen=True, repr=False)
class Attribution:
    """Contributions of n inputs, each against r references. All tensors are on the CPU.

    ``event`` is the shape of one input; where contributions are read at a layer, that of the layer's output.
    """

    contributions: Tensor
    """(n, *event): mean over references of multiplier x (input - reference), in units of the target."""
    hypothetical: Tensor | None
    """(n, 4, length): what each base would have contributed there; None if inputs are not one-hot."""
    standard_error: Tensor
    """(n, length): of the per-base contribution over references; NaN with one reference."""
    multipliers: Tensor | None
    """(n, r, *event), or None if they were not asked for."""
    output: Tensor
    """(n,): the target on the inputs."""
    reference_output: Tensor
    """(n, r): the target on the references."""
    convergence_error: Tensor
    """(n, r): abs(sum of contributions - (output - reference output))."""
    target: str = "0"
    """What is explained, in words."""

    def __repr__(self) -> str:
        """Return shapes, target and the largest error: tensors would fill pages."""
        hypothetical, multipliers = (
            None if each is None else tuple(each.shape) for each in (self.hypothetical, self.multipliers)
        )
        error = f"{float(self.convergence_error.max()):.1e}" if self.convergence_error.numel() else None
        return (
            f"Attribution(target={self.target!r}, contributions={tuple(self.contributions.shape)}, "
            f"hypothetical={hypothetical}, multipliers={multipliers}, "
            f"references={self.reference_output.shape[1]}, largest_convergence_error={error})"
        )

    @property
    def relative_convergence_error(self) -> Tensor:
        """(n, r): the convergence error over the size of the difference that is explained."""
        values = self.output, self.reference_output, self.convergence_error
        return torch.from_numpy(relative_error(*(value.numpy() for value in values)))
