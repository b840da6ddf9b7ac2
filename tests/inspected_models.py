"""Small modules that read DNA in different layouts and lengths, for what finds these out."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FixedLast(nn.Module):
    """(n, 100, 4); a sigmoid at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 9), nn.Linear(8 * 92, 2)

    def forward(self, onehot: Tensor) -> Tensor:
        return torch.sigmoid(self.out(torch.relu(self.conv(onehot.transpose(1, 2))).flatten(1)))


class Pooled(nn.Module):
    """(n, 4, 987 to 1021), as a pool leaves positions out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 3, 43), nn.Linear(3 * 27, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.max_pool1d(torch.relu(self.conv(x)), 35).flatten(1))


class Power(nn.Module):
    """(n, 4, 16369 to 16384)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 2, 21, stride=16, padding=10), nn.Linear(2 * 1024, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.conv(x)).flatten(1))


class ByRows(nn.Module):
    """(n, 1, 50, 4), flattened by a number: another length gives another number of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 8, (9, 4)), nn.Linear(8 * 42, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.conv(x)).view(-1, 8 * 42))


class High(nn.Module):
    """(n, 1, 4, any)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 8, (4, 9)), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.conv(x)).amax((2, 3)))


class Wide(nn.Module):
    """(n, 4, 1, any)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(4, 8, (1, 9)), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.conv(x)).amax((2, 3)))


class Placed(nn.Module):
    """(n, 300, 4), as its table of positions says."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = nn.Linear(4, 8), nn.Linear(8, 1)
        self.places = nn.Parameter(torch.ones(300, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.places + self.embed(x)).mean(1))


class Five(nn.Module):
    """(n, 5, any)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(5, 8, 9), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.conv(x)).amax(-1)).softmax(-1)


class Any(nn.Module):
    """(n, 4, any), or any other layout of 400 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(400, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x.flatten(1))


class Profile(nn.Module):
    """(n, 4, any) to a profile and its counts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.profile, self.counts = nn.Conv1d(4, 8, 21), nn.Conv1d(8, 2, 25), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.relu(self.conv(x))
        return self.profile(h), self.counts(h.mean(-1))


class Named(nn.Module):
    """(n, 4, any) to two named outputs, with tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.on, self.off = nn.Conv1d(4, 8, 21), nn.Linear(8, 3), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = torch.relu(self.conv(x)).mean(-1)
        return {"on": self.on(h), "off": self.off(h)}


class Tagged(nn.Module):
    """(n, 4, any) and a tag of three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 21), nn.Linear(8 + 3, 1)

    def forward(self, dna: Tensor, tag: Tensor) -> Tensor:
        return self.out(torch.cat([torch.relu(self.conv(dna)).mean(-1), tag], 1))


class Refused(nn.Module):
    """Two operations that no rule is known for."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 21), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        strongest = torch.relu(self.conv(x)).sort(-1).values[..., -3:].mean(-1)
        return self.out(torch.cumprod(strongest, 1))


class InDouble(nn.Module):
    """(n, 4, 30); its forward computes in double whatever its weights are."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(4, 3, 5), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 26, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.double())


class InHalf(InDouble):
    """The same in half precision, by another call."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.to(torch.float16))


class OverItsInput(InDouble):
    """The same, which writes over its input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.mul_(2).double())
