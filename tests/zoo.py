"""Small models written the ways people write them, for tests of the engine."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LENGTH = 50


def onehot(n: int, length: int = LENGTH, seed: int = 0) -> Tensor:
    """Return random one-hot sequences, (n, 4, length)."""
    codes = torch.randint(0, 4, (n, length), generator=torch.Generator().manual_seed(seed))
    return F.one_hot(codes, 4).permute(0, 2, 1).float()


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """Return a module with weights that depend only on ``seed``, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = make()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d):
                nn.init.normal_(part.running_mean)
                nn.init.uniform_(part.running_var, 0.5, 2)
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
    return module.eval()


class Network(nn.Module):
    """Convolution, batch norm, activation, pooling, a residual, concatenation, and a dense head.

    The activation is one module used three times, so its uses cannot be told apart by their module.
    """

    def __init__(
        self, activation: Callable[[Tensor], Tensor], pool: Callable[[Tensor], Tensor], pooled: int
    ) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 8, 7, padding=3)
        self.norm = nn.BatchNorm1d(8)
        self.block = nn.Conv1d(8, 8, 5, padding=2)
        self.activation = activation
        self.pool = pool
        self.hidden = nn.Linear(16 * pooled, 6)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.pool(self.activation(self.norm(self.stem(x))))
        h = torch.cat([h, self.activation(self.block(h)) + h], 1).flatten(1)
        return self.out(self.drop(self.activation(self.hidden(h))))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": nn.ReLU(),
    "functional relu": F.relu,
    "relu_ in place": lambda x: x.clone().relu_(),
    "clamp at 0": lambda x: x.clamp(min=0),
    "maximum with 0": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "prelu": nn.PReLU(init=0.2),
    "elu": nn.ELU(),
    "selu": nn.SELU(),
    "celu": nn.CELU(0.7),
    "gelu": nn.GELU(),
    "gelu by tanh": nn.GELU("tanh"),
    "softplus": nn.Softplus(),
    "silu": nn.SiLU(),
    "mish": nn.Mish(),
    "leaky relu": nn.LeakyReLU(0.1),
    "hardtanh": nn.Hardtanh(),
    "hardswish": nn.Hardswish(),
    "hardsigmoid": nn.Hardsigmoid(),
    "log-sigmoid": nn.LogSigmoid(),
    "threshold": nn.Threshold(0.1, 0.2),
    "square": lambda x: x**2,
    "x times sigmoid(x), written out": lambda x: x * torch.sigmoid(x),
    "tanhshrink": nn.Tanhshrink(),
}

# Each with the length that it leaves from 50 positions.
POOLS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "max": (nn.MaxPool1d(3), 16),
    "overlapping max, padded, ceil mode": (nn.MaxPool1d(5, 2, 2, ceil_mode=True), 26),
    "dilated max": (nn.MaxPool1d(3, 2, dilation=2), 23),
    "average": (nn.AvgPool1d(4), 12),
    "overlapping average, padded": (nn.AvgPool1d(5, 2, 2), 25),
    "adaptive average": (nn.AdaptiveAvgPool1d(7), 7),
    "adaptive max": (nn.AdaptiveMaxPool1d(7), 7),
    "global average": (lambda x: x.mean(-1, keepdim=True), 1),
    "global max by max": (lambda x: x.max(-1)[0][..., None], 1),
    "global max by amax": (lambda x: x.amax(-1, keepdim=True), 1),
    "sum": (lambda x: x.sum(2, keepdim=True), 1),
    "none": (nn.Identity(), 50),
    "crop": (lambda x: x[:, :, 5:-5], 40),
    "flip": (lambda x: x.flip(1, 2), 50),
    "split and repeat": (lambda x: x.split(4, 1)[1].repeat(1, 2, 1), 50),
    "chunk and cat": (lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), 50),
    "index": (lambda x: x[:, [7, 6, 5, 4, 3, 2, 1, 0]], 50),
    "transpose, dense over positions": (
        lambda x: (x.transpose(1, 2) @ torch.eye(8).to(x)).transpose(1, 2),
        50,
    ),
    "pad": (lambda x: F.pad(x, (3, 4), value=0.3), 57),
}


def network(activation: str = "relu", pool: str = "max") -> nn.Module:
    """Return a `Network` by the names of its activation and pool."""
    function, pooled = POOLS[pool]
    return seeded(lambda: Network(ACTIVATIONS[activation], function, pooled))
