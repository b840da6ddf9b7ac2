"""The receptive field is the one computed by hand from kernels, strides, dilations and pools."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from genolift.engine.graph.capture import capture
from genolift.engine.receptive_field import ReceptiveField, receptive_field

CPU = torch.device("cpu")


def field_of(model: nn.Module, length: int, *held: Tensor) -> ReceptiveField:
    graph = capture(model, (torch.zeros(1, 4, length), *held), device=CPU, dtype=torch.float32)
    return receptive_field(graph, length, held)


class Dilated(nn.Module):
    """Like BPNet: a wide convolution, then residual ones with dilations 2 to 512."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 6, 21, padding=10)
        dilations = [2**power for power in range(1, 10)]
        self.rest = nn.ModuleList(nn.Conv1d(6, 6, 3, dilation=by, padding=by) for by in dilations)
        self.counts = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for layer in self.rest:
            x = x + torch.relu(layer(x))
        return self.counts(x.mean(-1))


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5, padding=2)
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.out = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.attention(self.conv(x).transpose(1, 2)).mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5, padding=2)
        self.lstm = nn.LSTM(8, 8, batch_first=True, bidirectional=True)
        self.out = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lstm(self.conv(x).transpose(1, 2))[0][:, -1])


class Gated(nn.Module):
    """Squeeze and excitation: a gate computed from all positions scales each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate, self.out = nn.Conv1d(4, 8, 5), nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.conv(x))
        return self.out((h * torch.sigmoid(self.gate(h.mean(-1)))[:, :, None]).amax(-1))


class Spectral(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 5), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(torch.fft.irfft(torch.fft.rfft(self.conv(x)), n=46)).mean(-1))


class AlongPositions(nn.Module):
    """Layers over each position's channels, which torch computes with rows and positions merged."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Linear(4, 8), nn.LayerNorm(8)
        self.conv, self.out = nn.Conv1d(8, 8, 9), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.embed(x.transpose(1, 2)))
        return self.out(torch.relu(self.conv(h.transpose(1, 2))).amax(-1))


class WithExtra(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 9), nn.Linear(8 + 3, 1)

    def forward(self, x: Tensor, extra: Tensor) -> Tensor:
        return self.out(torch.cat([torch.relu(self.conv(x)).amax(-1), extra], 1))


class Joined(nn.Module):
    """Narrow and wide convolutions in parallel, and channels that read nothing; a mean over all."""

    def __init__(self, *, dead: bool) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Conv1d(4, 6, 3), nn.Conv1d(4, 2, 11, padding=4)
        if dead:
            self.narrow.weight.data.zero_()
            self.narrow.weight.data[0] = 1

    def forward(self, x: Tensor) -> Tensor:
        h = torch.cat([self.narrow(x), self.wide(x), torch.zeros_like(self.narrow(x))], 1)
        return torch.relu(h).mean((1, 2))


class OverAll(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 6)
        self.conv.weight.data[4] = 0

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x)).mean((1, 2))


def relu_of(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*(each for layer in layers for each in (layer, nn.ReLU())))


@pytest.mark.parametrize(
    ("model", "length", "bases"),
    [
        pytest.param(
            # three valid convolutions of 15: 1 + 3 x 14 = 43; a pool of 35: 34 more
            nn.Sequential(
                relu_of(nn.Conv1d(4, 8, 15), nn.Conv1d(8, 8, 15), nn.Conv1d(8, 6, 15)),
                nn.MaxPool1d(35),
                nn.Flatten(),
                nn.Linear(27 * 6, 1),
            ),
            1000,
            43 + 34,
            id="plain",
        ),
        pytest.param(Dilated(), 2114, 21 + 2 * (2**10 - 2), id="dilated"),
        pytest.param(
            nn.Sequential(
                relu_of(nn.Conv1d(4, 8, 7, stride=3), nn.Conv1d(8, 8, 5, stride=2), nn.Conv1d(8, 4, 3)),
                nn.AdaptiveAvgPool1d(1),
                nn.Flatten(),
                nn.Linear(4, 1),
            ),
            200,
            7 + 4 * 3 + 2 * 6,
            id="strided",
        ),
        pytest.param(
            nn.Sequential(
                relu_of(nn.Conv1d(4, 8, 5, padding=2)),
                nn.MaxPool1d(4),
                relu_of(nn.Conv1d(8, 8, 5, padding=2)),
                nn.MaxPool1d(4),
                nn.Flatten(),
                nn.Linear(8 * 12, 1),
            ),
            200,
            5 + 3 + 4 * 4 + 3 * 4,
            id="max pools",
        ),
        pytest.param(AlongPositions(), 60, 9, id="dense along positions"),
        pytest.param(Joined(dead=False), 200, 11, id="side by side"),
        pytest.param(Joined(dead=True), 200, 11, id="dead channels"),
        pytest.param(OverAll(), 200, 6, id="a dead channel and a mean over all"),
    ],
)
def test_it_is_what_kernels_strides_dilations_and_pools_say(
    model: nn.Module, length: int, bases: int
) -> None:
    field = field_of(model.eval(), length)
    assert field.bases == bases
    assert not field.at_least


def test_it_does_not_depend_on_what_the_weights_are() -> None:
    model = relu_of(nn.Conv1d(4, 8, 9), nn.Conv1d(8, 4, 5))
    model.extend([nn.Flatten(), nn.Linear(4 * 48, 1)])
    assert field_of(model, 60).bases == 13
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert field_of(model, 60).bases == 13


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Attending(), "product of two values"),
        (Recurrent(), "lstm"),
        (Gated(), "joins each position with what is read of all"),
        (Spectral(), "fft"),
        (nn.Sequential(nn.Flatten(), nn.Linear(200, 1)), "reads the input itself"),
    ],
    ids=["attention", "lstm", "gate", "fourier", "dense"],
)
def test_it_is_the_whole_input_where_a_unit_reads_all_positions(model: nn.Module, why: str) -> None:
    field = field_of(model.eval(), 50)
    assert field.bases is None
    assert why in field.of


def test_an_input_too_short_for_it_gives_the_least_that_it_is() -> None:
    field = field_of(Dilated(), 500)
    assert field.bases is None
    assert field.at_least


def test_further_inputs_are_held() -> None:
    assert field_of(WithExtra(), 40, torch.zeros(1, 3)).bases == 9
