"""Layers with weights, and whole models, as people write them. Does not use rules.

`modules.py` puts a layer between a convolution, (n, 4, 30) to (n, 6, 30), and a dense head.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from modules_of_strands import STRANDS
from torch import Tensor, nn
from torch.nn.utils import parametrizations


class Lambda(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class OneReluThreeTimes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.first, self.second = nn.Conv1d(6, 6, 3, padding=1), nn.Linear(30, 8)

    def forward(self, h: Tensor) -> Tensor:
        return self.relu(self.second(self.relu(self.first(self.relu(h)))))


class OneConvolutionTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(6, 6, 3, padding="same")

    def forward(self, h: Tensor) -> Tensor:
        return F.relu(self.conv(F.relu(self.conv(h))))


class TiedTranspose(nn.Module):
    """The output layer has the transposed weight of the input layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6) / 2)
        self.bias = nn.Parameter(torch.randn(4) / 2)

    def forward(self, h: Tensor) -> Tensor:
        return F.linear(F.gelu(F.linear(h.mT, self.weight, self.bias)), self.weight.t())


class GatedConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Conv1d(6, 8, 3, dilation=2, padding=2)

    def forward(self, h: Tensor) -> Tensor:
        filtered, gate = self.both(h).chunk(2, 1)
        return torch.tanh(filtered) * torch.sigmoid(gate)


class SqueezeAndExcitation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(6, 3), nn.SiLU(), nn.Linear(3, 6), nn.Sigmoid())

    def forward(self, h: Tensor) -> Tensor:
        return h * self.gate(h.mean(-1)).unsqueeze(-1)


class Encoder(nn.Module):
    """A torch encoder layer, in either layout."""

    def __init__(self, batch_first: bool, norm_first: bool, mask: bool = False) -> None:
        super().__init__()
        self.batch_first, self.mask = batch_first, mask
        self.layer = nn.TransformerEncoderLayer(
            6,
            2,
            9,
            activation="gelu" if norm_first else "relu",
            batch_first=batch_first,
            norm_first=norm_first,
        )

    def forward(self, h: Tensor) -> Tensor:
        h = h.permute(0, 2, 1) if self.batch_first else h.permute(2, 0, 1)
        mask = nn.Transformer.generate_square_subsequent_mask(h.shape[0]) if self.mask else None
        h = self.layer(h, src_mask=mask)
        return h if self.batch_first else h.transpose(0, 1)


class Attention(nn.Module):
    """nn.MultiheadAttention of positions to positions, with or without a constant mask."""

    def __init__(self, mask: bool, batch_first: bool = True, need_weights: bool = True) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=batch_first, add_bias_kv=not batch_first)
        self.batch_first, self.need_weights = batch_first, need_weights
        self.register_buffer("mask", torch.eye(30, dtype=torch.bool).roll(3, 0) if mask else None)

    def forward(self, h: Tensor) -> Tensor:
        h = h.permute(0, 2, 1) if self.batch_first else h.permute(2, 0, 1)
        y, _ = self.attention(h, h, h, attn_mask=self.mask, need_weights=self.need_weights)
        return y if self.batch_first else y.transpose(0, 1)


class AttentionPooling(nn.Module):
    """One learned query; a softmax over positions says how much each counts."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(6))

    def forward(self, h: Tensor) -> Tensor:
        weights = torch.softmax(torch.einsum("ncl,c->nl", h, self.query), dim=-1)
        return torch.einsum("ncl,nl->nc", h, weights)


class RelativeBias(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.bias = nn.Linear(6, 18, bias=False), nn.Embedding(59, 2)
        self.place = nn.Embedding(30, 6)

    def forward(self, h: Tensor) -> Tensor:
        place = torch.arange(h.shape[-1], device=h.device)
        h = h.transpose(1, 2) + self.place(place)
        q, k, v = self.qkv(h).reshape(h.shape[0], 30, 3, 2, 3).permute(2, 0, 3, 1, 4)
        bias = self.bias(place[:, None] - place[None, :] + 29).permute(2, 0, 1)
        weights = F.softmax(q @ k.transpose(-1, -2) / math.sqrt(3) + bias, dim=-1)
        return (weights @ v).transpose(1, 2).flatten(2)


class Recurrent(nn.Module):
    """A recurrent layer over six positions, in either layout, and the part of its results that is used."""

    def __init__(self, kind: str, use: str, batch_first: bool = True, **options: object) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(6, 4, batch_first=batch_first, **options)
        self.use, self.batch_first = use, batch_first

    def forward(self, h: Tensor) -> Tensor:
        h = h[..., ::5]
        h = h.transpose(1, 2) if self.batch_first else h.permute(2, 0, 1)
        output, state = self.rnn(h)
        if self.use == "output":
            return output if self.batch_first else output.transpose(0, 1)
        if self.use == "last output":
            return output[:, -1] if self.batch_first else output[-1]
        if self.use == "h_n and c_n":
            return torch.cat([state[0], state[1]], -1).transpose(0, 1)
        state = state[0] if isinstance(state, tuple) else state
        return state[-1] if self.use == "last h_n" else torch.cat([state[-2], state[-1]], 1)


class GivenState(nn.Module):
    """A learned initial state, and one made of zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTM(6, 3, batch_first=True), nn.GRU(3, 3, batch_first=True)
        self.start = nn.Parameter(torch.randn(1, 1, 3))

    def forward(self, h: Tensor) -> Tensor:
        zero = torch.zeros(1, h.shape[0], 3)
        output, _ = self.lstm(h[..., ::5].mT, (self.start.expand(-1, h.shape[0], -1).contiguous(), zero))
        return self.gru(output, zero)[0]


class CellByCell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.gru = nn.LSTMCell(6, 3), nn.GRUCell(3, 3)

    def forward(self, h: Tensor) -> Tensor:
        hidden = cell = other = torch.zeros(h.shape[0], 3)
        for position in range(0, 30, 10):
            hidden, cell = self.cell(h[..., position], (hidden, cell))
            other = self.gru(hidden, other)
        return torch.cat([hidden, cell, other], 1)


class OwnNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.randn(6, 1)), nn.Parameter(torch.randn(6, 1))

    def forward(self, h: Tensor) -> Tensor:
        mean, std = h.mean(1, keepdim=True), h.std(1, keepdim=True)
        return self.gain * (h - mean) / (std + 1e-6) + self.shift


class Convolutions(nn.Module):
    """Transposed, grouped, depthwise, dilated and 'same'-padded."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose1d(6, 4, 4, stride=2, padding=1, output_padding=1, groups=2)
        self.depthwise = nn.Conv1d(4, 8, 5, groups=4, padding="same", dilation=2)
        self.circular = nn.Conv1d(8, 3, 3, stride=3, padding=2, padding_mode="circular")

    def forward(self, h: Tensor) -> Tensor:
        return self.circular(F.elu(self.depthwise(F.relu(self.up(h)))))


class InImages(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 3, (6, 3)), nn.BatchNorm2d(3)
        self.drop = nn.Dropout2d(0.5)

    def forward(self, h: Tensor) -> Tensor:
        return F.max_pool2d(self.drop(F.relu(self.norm(self.conv(h.unsqueeze(1))))), (1, 4))


class BilinearHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bilinear = nn.Bilinear(6, 6, 4)

    def forward(self, h: Tensor) -> Tensor:
        return self.bilinear(h.mean(-1), h.amax(-1))


class BatchNormOfDense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.dense, self.dense_norm = nn.Linear(180, 7), nn.BatchNorm1d(7)

    def forward(self, h: Tensor) -> Tensor:
        return torch.sigmoid(self.dense_norm(self.dense(F.leaky_relu(self.norm(h)).flatten(1))))


class AsImage(nn.Module):
    """(n, 1, 4, length) made inside, and a cast to the weights' dtype."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 5, (4, 7)), nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x[:, None].to(self.conv.weight.dtype))
        return self.out(F.relu(h).squeeze(2).max(dim=-1).values)


class TiedHead(nn.Module):
    """One parameter is the weight of both the first and the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix = nn.Embedding(4, 6), nn.Conv1d(6, 6, 5, padding=2)
        self.unembed = nn.Linear(6, 4, bias=False)
        self.unembed.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        h = x.mT @ self.embed.weight
        h = F.gelu(self.mix(h.mT)).mean(-1)
        return self.unembed(h)[:, :2]


def nested() -> nn.Module:
    block = nn.Sequential(nn.Conv1d(6, 6, 3, padding=1), nn.BatchNorm1d(6), nn.ReLU(inplace=True))
    return nn.Sequential(block, nn.Sequential(nn.Sequential(nn.Conv1d(6, 3, 1)), nn.Sigmoid(), nn.Identity()))


def residual_tower() -> nn.Module:
    def block(dilation: int) -> nn.Module:
        conv = nn.Conv1d(6, 6, 3, dilation=dilation, padding=dilation)
        return Residual(nn.Sequential(nn.BatchNorm1d(6), nn.ReLU(), conv, nn.Dropout(0.3)))

    return nn.Sequential(*(block(2**power) for power in range(3)))


def shared_block() -> nn.Module:
    block = nn.Sequential(nn.Conv1d(6, 6, 3, padding=1), nn.Tanh())
    return nn.Sequential(block, nn.AvgPool1d(2), block, block)


def weight_normed() -> nn.Module:
    conv = parametrizations.weight_norm(nn.Conv1d(6, 4, 3))
    return nn.Sequential(
        conv, nn.ReLU(), nn.Flatten(), parametrizations.weight_norm(nn.Linear(112, 5)), nn.Tanh()
    )


def weight_normed_before() -> nn.Module:
    return nn.Sequential(nn.utils.weight_norm(nn.Conv1d(6, 4, 3)), nn.ReLU())


def spectral_normed() -> nn.Module:
    before = nn.utils.spectral_norm(nn.Conv1d(6, 4, 3))
    return nn.Sequential(before, nn.ReLU(), parametrizations.spectral_norm(nn.Conv1d(4, 4, 3)), nn.ELU())


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "one relu three times": OneReluThreeTimes,
    "Sequential in Sequential": nested,
    "residual": residual_tower,
    "one block three times": shared_block,
    "one convolution twice": OneConvolutionTwice,
    "tied to its transpose": TiedTranspose,
    "lambda wrappers": lambda: nn.Sequential(
        Lambda(lambda h: h.transpose(1, 2)), nn.Linear(6, 3), Lambda(F.relu), Lambda(lambda h: h.sum(1))
    ),
    "ModuleList and ModuleDict": lambda: nn.Sequential(
        *nn.ModuleList([nn.Conv1d(6, 6, 1), nn.Hardswish()]),
        *nn.ModuleDict({"a": nn.Softmin(dim=1)}).values(),
    ),
    "gated convolution": GatedConvolution,
    "GLU layer": lambda: nn.Sequential(nn.Conv1d(6, 6, 3), nn.GLU(dim=1)),
    "squeeze and excitation": SqueezeAndExcitation,
    "encoder layer, batch first": lambda: Encoder(batch_first=True, norm_first=False),
    "encoder layer, batch first, norm first": lambda: Encoder(batch_first=True, norm_first=True),
    "encoder layer": lambda: Encoder(batch_first=False, norm_first=False, mask=True),
    "encoder layer, norm first": lambda: Encoder(batch_first=False, norm_first=True),
    "multihead attention": lambda: Attention(mask=False),
    "multihead attention with a mask": lambda: Attention(mask=True, batch_first=False),
    "multihead attention without its weights": lambda: Attention(mask=True, need_weights=False),
    "attention pooling": AttentionPooling,
    "relative positional bias": RelativeBias,
    "lstm, two ways, two layers": lambda: Recurrent("LSTM", "output", num_layers=2, bidirectional=True),
    "lstm, h_n, not batch first": lambda: Recurrent(
        "LSTM", "both h_n", batch_first=False, num_layers=2, bidirectional=True, dropout=0.2
    ),
    "lstm, h_n and c_n": lambda: Recurrent("LSTM", "h_n and c_n"),
    "lstm, projected": lambda: Recurrent("LSTM", "output", proj_size=3, bidirectional=True),
    "gru, not batch first": lambda: Recurrent("GRU", "last output", batch_first=False, bias=False),
    "gru, h_n": lambda: Recurrent("GRU", "both h_n", num_layers=2, bidirectional=True),
    "rnn, tanh": lambda: Recurrent("RNN", "last h_n", batch_first=False, num_layers=2),
    "rnn, relu": lambda: Recurrent("RNN", "output", nonlinearity="relu", bidirectional=True),
    "recurrent layers with an initial state": GivenState,
    "cells in a loop": CellByCell,
    "layer norm": lambda: nn.Sequential(nn.LayerNorm(30), nn.ReLU(), nn.LayerNorm((6, 30))),
    "group norm": lambda: nn.Sequential(nn.GroupNorm(3, 6), nn.ReLU(), nn.GroupNorm(1, 6, affine=False)),
    "instance norm": lambda: nn.Sequential(nn.InstanceNorm1d(6, affine=True), nn.ReLU()),
    "instance norm, tracked": lambda: nn.InstanceNorm1d(6, affine=True, track_running_stats=True),
    "rms norm": lambda: nn.Sequential(nn.RMSNorm(30), nn.Tanh(), nn.RMSNorm((6, 30), eps=1e-3)),
    "local response norm": lambda: nn.LocalResponseNorm(3),
    "norm of one's own": OwnNorm,
    "batch norm, left in training": BatchNormOfDense,
    "dropout, left on": lambda: nn.Sequential(
        nn.Dropout(0.4), nn.ReLU(), nn.AlphaDropout(0.2), nn.Dropout1d()
    ),
    "weight norm": weight_normed,
    "weight norm by hook": weight_normed_before,
    "spectral norm": spectral_normed,
    "convolutions": Convolutions,
    "convolution and batch norm of images": InImages,
    "bilinear layer": BilinearHead,
    "layers that pad and fold": lambda: nn.Sequential(
        nn.ReflectionPad1d(2),
        nn.Upsample(scale_factor=1.5, mode="linear"),
        nn.Unflatten(1, (2, 3)),
        nn.Flatten(2),
    ),
}

MODELS: dict[str, Callable[[], nn.Module]] = {
    **STRANDS,
    "made into an image": AsImage,
    "head tied to the embedding": TiedHead,
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(120, 1)),
}
