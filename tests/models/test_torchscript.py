"""TorchScript is captured if torch can convert it, and read only if it is trusted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused
from torch import nn
from torch.nn.functional import one_hot

import genolift

pytestmark = [
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]


class Net(nn.Module):
    """A typical traced model: a convolution, a norm, a residual, two pools and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 6, 5, padding=2), nn.BatchNorm1d(6)
        self.more, self.out = nn.Conv1d(6, 6, 3, padding=1), nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two logits."""
        h = torch.relu(self.norm(self.conv(x)))
        h = h + torch.relu(self.more(h))
        return self.out(torch.cat([h.amax(-1), h.mean(-1)], 1))


class Recurrent(nn.Module):
    """A bidirectional recurrent layer along the sequence."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5, stride=2)
        self.rnn = getattr(nn, kind)(6, 3, batch_first=True, bidirectional=True)
        self.out = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two logits."""
        h, _ = self.rnn(torch.relu(self.conv(x)).transpose(1, 2))
        return self.out(h[:, -1])


class Upsampled(nn.Module):
    """An upsampling, by a factor or to a computed size."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.conv, self.up, self.out = (
            nn.Conv1d(4, 6, 5),
            nn.Upsample(scale_factor=2.0, mode=mode),
            nn.Linear(6, 2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two logits."""
        return self.out(self.up(torch.relu(self.conv(x))).amax(-1))


class Attentive(nn.Module):
    """A transformer layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5, stride=5)
        self.layer = nn.TransformerEncoderLayer(6, 2, 9, batch_first=True)
        self.out = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two logits."""
        return self.out(self.layer(torch.relu(self.conv(x)).transpose(1, 2)).mean(1))


class Looping(nn.Module):
    """Loops over layers and positions, a branch, a list, a dict and a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 6, 5), nn.Linear(6, 2)
        self.blocks = nn.ModuleList([nn.Conv1d(6, 6, 3, padding=1) for _ in range(2)])
        self.register_buffer("scale", torch.tensor([0.5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two logits."""
        h = torch.relu(self.conv(x))
        for block in self.blocks:
            h = h + torch.relu(block(h))
        kept = {"sum": torch.zeros_like(h[:, :, 0])}
        parts: list[torch.Tensor] = []
        for position in range(0, h.size(2) // 2, 3):
            if position % 2 == 0:
                parts.append(h[:, :, position])
        for part in parts:
            kept["sum"] = kept["sum"] + part * self.scale
        number, (total, size) = 0, (kept["sum"], float(h.size(2)))
        while number < 3:
            total, number = total * 0.9, number + 1
        return self.out(total / size)


class OnValues(nn.Module):
    """It loops for as long as its values say."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return sums."""
        total = x.sum((1, 2), keepdim=True).squeeze(2)
        while bool(total.sum() < 3000):
            total = total * 2
        return total


class FixedRows(nn.Module):
    """Its trace holds the number of rows with which it was traced."""

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


def refused_in(path: Path, **more: Any) -> str:
    return refused({"path": str(path), **more})


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


FORMS = {
    "LSTM": lambda: Recurrent("LSTM"),
    "GRU": lambda: Recurrent("GRU"),
    "RNN": lambda: Recurrent("RNN"),
    "nearest": lambda: Upsampled("nearest"),
    "linear": lambda: Upsampled("linear"),
    "transformer": Attentive,
    "loop": Looping,
}


@pytest.mark.parametrize(
    ("name", "kind"), [*[(name, "scripted") for name in FORMS], ("LSTM", "traced"), ("transformer", "traced")]
)
def test_loops_branches_and_whole_layers_give_the_modules_outputs(
    tmp_path: Path, name: str, kind: str
) -> None:
    torch.manual_seed(0)
    module, rows = FORMS[name]().eval(), onehot(6)
    traced = kind == "traced"
    script = torch.jit.trace(module, rows[:2], check_trace=False) if traced else torch.jit.script(module)
    torch.jit.save(script, str(tmp_path / "saved.pt"))
    read = genolift.load_model({"path": f"{tmp_path}/saved.pt", "trust": True, "input_length": 30})
    with torch.no_grad():
        found, expected = read.module()(rows), module(rows)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert set(read.state_dict) == set(module.state_dict())


@pytest.mark.parametrize("name", ["LSTM"])
def test_a_scripted_module_with_a_loop_is_explained_as_its_module(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    module, rows = FORMS[name]().eval(), onehot(4)
    torch.jit.save(torch.jit.script(module), str(tmp_path / "saved.pt"))
    read = genolift.load_model({"path": f"{tmp_path}/saved.pt", "trust": True, "input_length": 30})
    found = genolift.deeplift(read, rows[:2], rows[2:])
    expected = genolift.deeplift(module, rows[:2], rows[2:])
    assert torch.allclose(found.contributions, expected.contributions, atol=1e-6)
    assert found.convergence_error.max() < 1e-5


def test_a_script_that_values_lead_is_refused_by_its_operation_and_read_as_a_trace(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(OnValues()), str(tmp_path / "saved.pt"))
    message = refused_in(tmp_path / "saved.pt", trust=True, input_length=30)
    assert "(while bool(total.sum() < 3000):): " in message
    assert "save a trace instead, torch.jit.trace(model.eval(), example), or load the module" in message
    torch.jit.save(torch.jit.trace(OnValues(), torch.ones(25, 4, 30)), str(tmp_path / "saved.pt"))
    read = genolift.load_model({"path": f"{tmp_path}/saved.pt", "trust": True, "input_length": 30})
    assert torch.equal(read.module()(torch.ones(25, 4, 30)), torch.full((25, 1), 120.0))


class Trained(nn.Module):
    """Layers that change in training: a norm, a dropout, or one that is always active."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 6, 5), nn.Linear(6, 2)
        self.norm = nn.BatchNorm1d(6) if kind == "norm" else nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two logits."""
        return self.out(self.norm(torch.relu(self.conv(x))).mean(-1))


@pytest.mark.parametrize("kind", ["norm", "dropout"])
def test_a_module_traced_in_training_mode_is_refused_with_its_mend(tmp_path: Path, kind: str) -> None:
    path, module, rows = tmp_path / "saved.pt", Trained(kind), onehot(4)
    torch.jit.save(torch.jit.trace(module.train(), rows, check_trace=False), str(path))
    message = refused_in(path, trust=True, input_length=30)
    assert "was traced in training mode (" in message
    assert "; call model.eval() first, then trace it again" in message
    torch.jit.save(torch.jit.trace(module.eval(), rows), str(path))
    read = genolift.load_model({"path": str(path), "trust": True, "input_length": 30})
    assert torch.allclose(read.module()(rows), module(rows), atol=1e-6)


def test_a_module_scripted_in_training_mode_is_read_in_evaluation_mode(tmp_path: Path) -> None:
    module, rows = Trained("norm"), onehot(4)
    torch.jit.save(torch.jit.script(module.train()), str(tmp_path / "saved.pt"))
    read = genolift.load_model({"path": f"{tmp_path}/saved.pt", "trust": True, "input_length": 30})
    assert torch.allclose(read.module()(rows), module.eval()(rows), atol=1e-6)


def test_torchscript_that_is_not_trusted_is_refused(network: nn.Module, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(network), str(tmp_path / "saved.pt"))
    assert (
        "is TorchScript, which can run code when read; load the module that it was made from, with its "
        "class, or export that with genolift export; or, if you trust its source, set trust: true"
    ) in refused_in(tmp_path / "saved.pt")
    assert "does not say its input length; give model.input_length" in refused_in(
        tmp_path / "saved.pt", trust=True
    )


def test_torchscript_that_fixes_the_number_of_rows_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(FixedRows(), onehot(2)), str(tmp_path / "saved.pt"))
    message = refused_in(tmp_path / "saved.pt", trust=True, input_length=30)
    assert "is TorchScript that torch cannot write as a graph" in message
    assert "load the module that it was made from" in message


def test_a_torchscript_program_that_would_write_a_file_is_not_run(tmp_path: Path) -> None:
    script = torch.jit.script(WritesWhenRead(str(tmp_path / "written")))
    torch.jit.save(script, str(tmp_path / "saved.pt"))
    for suffix in (".pt", ".pt2", ".safetensors", ".ckpt"):
        path = tmp_path / f"other{suffix}"
        path.write_bytes((tmp_path / "saved.pt").read_bytes())
        assert "is TorchScript, which can run code when read" in refused_in(path)
    assert not (tmp_path / "written").exists()
    torch.jit.load(str(tmp_path / "saved.pt"))
    assert (tmp_path / "written").exists()  # otherwise the test would not see it
