"""The floor: what any DeepLIFT must compute, in plain PyTorch without rules. Does not use genolift.

For n sequences with r references: a forward pass of n + n r rows, and the gradient of the n r reference rows
with respect to their input. Parameters get no gradient. Data are moved to the device before timing starts;
gradients are discarded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BATCH_SIZES = {
    "cpu": (1, 2, 4, 8, 16, 20, 32, 64, 128),
    "cuda": (20, 64, 128, 256, 512, 1024, 2048, 4096),
}


def floor(model: nn.Module, sequences: Tensor, references: Tensor, batch: int, tasks: int = 1) -> None:
    """Run the floor of k ``tasks``: one forward pass of every row, k backward passes of the references' rows.

    Parameters
    ----------
    model
        (rows, 4, length) -> (rows, at least tasks).
    sequences, references
        (n, 4, length), and (n r, 4, length): the references of the first sequence, then of the second, ...
    batch
        Rows at a time.
    tasks
        Outputs 0 to tasks - 1 are explained.
    """
    with torch.no_grad():
        for rows in sequences.split(batch):
            model(rows)
    for rows in references.split(batch):
        gradients(model, rows, tasks)


def gradients(model: nn.Module, rows: Tensor, tasks: int = 1) -> list[Tensor]:
    """Return the gradient of each task with respect to its own row, (rows, 4, length)."""
    leaf = rows.detach().requires_grad_(True)
    with torch.enable_grad():
        outputs = model(leaf)
        sums = [outputs[:, task].sum() for task in range(tasks)]
    last = tasks - 1
    return [torch.autograd.grad(total, leaf, retain_graph=task < last)[0] for task, total in enumerate(sums)]


def gradient_times_input(model: nn.Module, sequences: Tensor, batch: int) -> Tensor:
    """Return the plain gradient x input, (n, 4, length)."""
    return torch.cat([gradients(model, rows)[0] * rows for rows in sequences.split(batch)])
