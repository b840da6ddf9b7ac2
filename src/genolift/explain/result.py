"""The contributions that a call returns."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genolift.results.convergence import relative_error


def bases_of(onehot: Tensor) -> Tensor:
    """Return which base of (n, 4, length) is where, (n, length), int8: 0 to 3, and -1 at an N."""
    return torch.where(onehot.any(1), onehot.argmax(1), -1).to(torch.int8)


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
    bases: Tensor | None = None
    """(n, length), int8: the base that is there, 0 to 3 for A C G T, -1 at an N; None if not one-hot."""

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
    def projected(self) -> Tensor | None:
        """(n, 4, length): the hypothetical contribution at the base that is there, 0 elsewhere and at an N.

        It is what tangermeme returns. `contributions` are not 0 at the references' bases, as those of shap
        and Captum. None if inputs are not one-hot.
        """
        if self.hypothetical is None or self.bases is None:
            return None
        there = self.bases[:, None] == torch.arange(4, dtype=torch.int8)[:, None]
        return self.hypothetical.where(there, 0)

    @property
    def per_base(self) -> Tensor:
        """(n, length): contributions summed over bases; those of `projected`, but at an N."""
        return self.contributions.sum(1) if self.contributions.dim() > 2 else self.contributions

    @property
    def relative_convergence_error(self) -> Tensor:
        """(n, r): the convergence error over the size of the difference that is explained."""
        values = self.output, self.reference_output, self.convergence_error
        return torch.from_numpy(relative_error(*(value.numpy() for value in values)))
