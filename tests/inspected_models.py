"""Small modules that read DNA in different layouts and lengths, for the tests of inspection."""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass

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
    """(n, 4, 987 to 1021), since a pool drops positions."""

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
    """(n, 1, 50, 4), flattened to a fixed size: another length changes the number of rows."""

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
    """(n, 300, 4), the size of its table of positions."""

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


class Bases(nn.Module):
    """(n, any, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.embed(x)).mean(1))


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


class Bins(nn.Module):
    """(n, 4, any) to three tracks in bins, which no axis tells from each other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 3, 21)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.softplus(self.conv(x)).unfold(2, 20, 20).mean(3)


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
    """Two operations without a known rule."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 21), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        strongest = torch.relu(self.conv(x)).sort(-1).values[..., -3:].mean(-1)
        return self.out(torch.cumprod(strongest, 1))


class InDouble(nn.Module):
    """(n, 4, 30); its forward computes in double, whatever the dtype of its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(4, 3, 5), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 26, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.double())


class InHalf(InDouble):
    """The same in half precision, through another call."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.to(torch.float16))


class OverItsInput(InDouble):
    """The same, but it overwrites its input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.mul_(2).double())


class Odd(InDouble):
    """(n, 4, 30); does something unusual with the outputs of its layers."""

    def forward(self, x: Tensor) -> object:
        return self.odd(self.net(x))

    def odd(self, y: Tensor) -> object:
        return y


class ImportsWhatIsNotThere(Odd):
    def odd(self, y: Tensor) -> object:
        import a_module_that_is_not_there  # type: ignore[import-not-found]

        return a_module_that_is_not_there.of(y)


class Raises(Odd):
    def odd(self, y: Tensor) -> object:
        raise RuntimeError("not today")


class Infinite(Odd):
    def odd(self, y: Tensor) -> object:
        return y.abs() / 0


class DrawsInTorch(Odd):
    def odd(self, y: Tensor) -> object:
        return y + torch.rand_like(y)


class DrawsInPython(Odd):
    def odd(self, y: Tensor) -> object:
        return y + random.random()


class Counts(Odd):
    """Its output grows from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def odd(self, y: Tensor) -> object:
        self.calls += 1
        return y * self.calls


class ReturnsNothing(Odd):
    def odd(self, y: Tensor) -> object:
        return None


class OfImaginaryNumbers(Odd):
    def odd(self, y: Tensor) -> object:
        return torch.complex(y, y)


class BranchesOnValues(Odd):
    def odd(self, y: Tensor) -> object:
        return y if y.sum() > 0 else -y


class LosesRows(Odd):
    def odd(self, y: Tensor) -> object:
        return y.view(2, -1)


class MixesRows(Odd):
    def odd(self, y: Tensor) -> object:
        return y - y.mean(0)


class Warns(Odd):
    def odd(self, y: Tensor) -> object:
        warnings.warn("of the model's own", DeprecationWarning, stacklevel=1)
        return y


class WithALoss(Odd):
    """Besides the output it returns a value without rows."""

    def odd(self, y: Tensor) -> object:
        return {"logits": y, "loss": y.mean()}


@dataclass
class Several:
    """The return type of `InADataclass`."""

    logits: Tensor
    hidden: Tensor


class InADataclass(Odd):
    def odd(self, y: Tensor) -> object:
        return Several(y, y[:, :1])


class NeedsDna(Odd):
    """Gives NaN for an input that is not DNA, such as zeros."""

    def forward(self, x: Tensor) -> object:
        return self.net(x / x.sum(1, keepdim=True))
