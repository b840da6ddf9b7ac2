"""TorchScript is captured where torch can convert it, and read only if it is trusted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

import genolift

pytestmark = [
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]


class Net(nn.Module):
    """What people trace: a convolution, a norm, a residual, two pools and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 6, 5, padding=2), nn.BatchNorm1d(6)
        self.more, self.out = nn.Conv1d(6, 6, 3, padding=1), nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two logits."""
        h = torch.relu(self.norm(self.conv(x)))
        h = h + torch.relu(self.more(h))
        return self.out(torch.cat([h.amax(-1), h.mean(-1)], 1))


class FixedRows(nn.Module):
    """Its trace holds the number of rows that it was traced with."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return sums of the rows."""
        return x.reshape(int(x.shape[0]), -1).sum(1, keepdim=True)


class WritesWhenRead(nn.Module):
    """A TorchScript program that writes a file when it is read."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.training = False

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path = state[0]
        self.training = state[1]
        torch.save(torch.zeros(1), state[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what was given."""
        return x


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return Net().eval()


def onehot(n: int) -> torch.Tensor:
    codes = torch.randint(4, (n, 30), generator=torch.Generator().manual_seed(1))
    return one_hot(codes, 4).transpose(1, 2).float()


def refused(path: Path, **more: Any) -> str:
    with pytest.raises(genolift.InputError) as error:
        genolift.load_model({"path": str(path), **more})
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", ["traced", "scripted"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pt2"])
def test_torchscript_is_explained_as_its_module(
    network: nn.Module, tmp_path: Path, kind: str, suffix: str
) -> None:
    path, rows = tmp_path / f"saved{suffix}", onehot(6)
    script = torch.jit.trace(network, rows[:2]) if kind == "traced" else torch.jit.script(network)
    torch.jit.save(script, str(path))
    read = genolift.load_model({"path": str(path), "trust": True, "input_length": 30})
    found = genolift.deeplift(read, rows[:3], rows[3:])
    expected = genolift.deeplift(network, rows[:3], rows[3:])
    assert torch.allclose(found.contributions, expected.contributions, atol=1e-6)
    assert logging.root.manager.disable == logging.NOTSET


def test_torchscript_that_is_not_trusted_is_refused(network: nn.Module, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(network), str(tmp_path / "saved.pt"))
    assert (
        "is TorchScript, which can run code when read; load the module that it was made from, with its "
        "class, or write that with genolift export; or, if you trust its source, set trust: true"
    ) in refused(tmp_path / "saved.pt")
    assert "does not say its input length; give model.input_length" in refused(
        tmp_path / "saved.pt", trust=True
    )


def test_torchscript_that_fixes_the_number_of_rows_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(FixedRows(), onehot(2)), str(tmp_path / "saved.pt"))
    message = refused(tmp_path / "saved.pt", trust=True, input_length=30)
    assert "is TorchScript that torch cannot write as a graph" in message
    assert "load the module that it was made from" in message


def test_a_torchscript_program_that_would_write_a_file_is_not_run(tmp_path: Path) -> None:
    script = torch.jit.script(WritesWhenRead(str(tmp_path / "written")))
    torch.jit.save(script, str(tmp_path / "saved.pt"))
    for suffix in (".pt", ".pt2", ".safetensors", ".ckpt"):
        path = tmp_path / f"other{suffix}"
        path.write_bytes((tmp_path / "saved.pt").read_bytes())
        assert "is TorchScript, which can run code when read" in refused(path)
    assert not (tmp_path / "written").exists()
    torch.jit.load(str(tmp_path / "saved.pt"))
    assert (tmp_path / "written").exists()  # so that the test would see it
