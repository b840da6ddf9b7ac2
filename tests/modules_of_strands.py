"""Models of both strands of a sequence, (n, 4, 30), combined as people combine them. Does not use rules."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Twin(nn.Module):
    """One module applied to a sequence and to its reverse complement."""

    def __init__(self, joined: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(4, 6, 5), nn.ReLU(), nn.MaxPool1d(4), nn.Flatten(), nn.Linear(36, 2)
        )
        self.joined = joined

    def forward(self, x: Tensor) -> Tensor:
        return self.joined(self.body(x), self.body(x.flip(1, 2)))


class TwinInOneBatch(nn.Module):
    """Both strands concatenated into one batch, which is split again at the end."""

    def __init__(self, parted: Callable[[Tensor, int], Tensor], stacked: bool = False) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6)
        self.gru, self.out = nn.GRU(6, 4, batch_first=True, bidirectional=True), nn.Linear(8, 2)
        self.parted, self.stacked = parted, stacked

    def forward(self, x: Tensor) -> Tensor:
        strands = (
            torch.stack([x, x.flip(1, 2)]).flatten(0, 1) if self.stacked else torch.cat([x, x.flip(1, 2)])
        )
        h = F.max_pool1d(F.relu(self.norm(self.conv(strands))), 4).mT
        last = self.gru(h)[1]
        return self.parted(self.out(torch.cat([last[0], last[1]], 1)), x.shape[0])


STRANDS: dict[str, Callable[[], nn.Module]] = {
    "mean of both strands": lambda: Twin(lambda one, other: (one + other) / 2),
    "maximum of both strands": lambda: Twin(torch.maximum),
    "maximum of stacked strands": lambda: Twin(lambda one, other: torch.stack([one, other]).max(0).values),
    "strands in one batch, sliced": lambda: TwinInOneBatch(lambda y, n: y[:n] * 2 + y[n:].tanh()),
    "strands in one batch, in chunks": lambda: TwinInOneBatch(lambda y, n: torch.max(*y.chunk(2))),
    "strands in one batch, split": lambda: TwinInOneBatch(lambda y, n: sum(y.split([n, n], dim=0))),
    "strands in one batch, broadcast": lambda: TwinInOneBatch(
        lambda y, n: torch.maximum(y, y.mean(1, keepdim=True))[:n] + y[n:]
    ),
    "strands in one batch, viewed": lambda: TwinInOneBatch(
        lambda y, n: y.view(2, n, 2).mean(0), stacked=True
    ),
}
