"""The model architectures that the benchmarks run, in plain PyTorch with random weights, and their inputs.

Every module is used once and no activation is a function, because hook-based packages only see modules.
Outputs are logits: the packages differ in whether they skip a final sigmoid.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

import genolift

FLAT = (0.3, 0.2, 0.2, 0.3)


class PaperShaped(nn.Module):
    """(n, 4, 200) -> (n, 3): the DeepLIFT paper's genomics model, layer by layer as in its model.json."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv1d(4, 50, 11), nn.ReLU()),
            *(nn.Conv1d(50, 50, 11), nn.ReLU()),
            nn.AvgPool1d(180),
            nn.Flatten(),
            *(nn.Linear(50, 50), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(50, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class BassetShaped(nn.Module):
    """(n, 4, 600) -> (n, 164): Basset (Kelley, Snoek & Rinn 2016), 300 filters, max pools, dense head."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv1d(4, 300, 19), nn.BatchNorm1d(300), nn.ReLU(), nn.MaxPool1d(3)),
            *(nn.Conv1d(300, 200, 11), nn.BatchNorm1d(200), nn.ReLU(), nn.MaxPool1d(4)),
            *(nn.Conv1d(200, 200, 7), nn.BatchNorm1d(200), nn.ReLU(), nn.MaxPool1d(4)),
            nn.Flatten(),
            *(nn.Linear(2000, 1000), nn.BatchNorm1d(1000), nn.ReLU(), nn.Dropout(0.3)),
            *(nn.Linear(1000, 1000), nn.BatchNorm1d(1000), nn.ReLU(), nn.Dropout(0.3)),
            nn.Linear(1000, 164),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class BPNetShaped(nn.Module):
    """(n, 4, length) -> (n, tasks): BPNet's body (Avsec et al. 2021) and its log-counts head.

    With 512 filters it is that of ChromBPNet (Pampari et al. 2025), without its model of the enzyme's bias.
    """

    def __init__(self, filters: int = 64, dilated: int = 8, tasks: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(4, filters, 21, padding=10), nn.ReLU())
        self.dilated = nn.ModuleList(
            nn.Sequential(nn.Conv1d(filters, filters, 3, padding=2**i, dilation=2**i), nn.ReLU())
            for i in range(1, dilated + 1)
        )
        self.counts = nn.Linear(filters, tasks)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for layer in self.dilated:
            h = h + layer(h)
        return self.counts(h.mean(-1))


class DeepSEAShaped(nn.Module):
    """(n, 4, 1000) -> (n, 919): DeepSEA (Zhou & Troyanskaya 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv1d(4, 320, 8), nn.ReLU(), nn.MaxPool1d(4), nn.Dropout(0.2)),
            *(nn.Conv1d(320, 480, 8), nn.ReLU(), nn.MaxPool1d(4), nn.Dropout(0.2)),
            *(nn.Conv1d(480, 960, 8), nn.ReLU(), nn.Dropout(0.5)),
            nn.Flatten(),
            *(nn.Linear(960 * 53, 925), nn.ReLU()),
            nn.Linear(925, 919),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class SmallTransformer(nn.Module):
    """(n, 4, 512) -> (n, 1): a convolution, pooling to 64 positions, two encoder layers, mean, linear."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(4, width, 15, padding=7), nn.ReLU(), nn.MaxPool1d(8))
        self.encoder = nn.Sequential(
            *(nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True) for _ in range(2))
        )
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.stem(x).transpose(1, 2)).mean(1))


class SmallConvolutional(nn.Module):
    """(n, 4, length) -> (n, 1), for any length: used for the cost against n, r and length."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv1d(4, 16, 15, padding=7), nn.ReLU()),
            *(nn.Conv1d(16, 16, 15, padding=7), nn.ReLU()),
            *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@dataclass(frozen=True)
class Shape:
    """A model and its inputs: sequences of ``length`` bases, each with r ``references``.

    ``flat_sequences`` is the number of sequences for one flat reference shared by all, ``tasks`` how many
    outputs are explained together (1: the model has one). A GPU gets ``cuda_times`` as many sequences.
    """

    name: str
    build: Callable[[], nn.Module]
    length: int
    sequences: int
    references: int
    flat_sequences: int
    tasks: int = 1
    cuda_times: int = 16


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("paper", PaperShaped, 200, 20, 20, 400, tasks=3),
        Shape("basset", BassetShaped, 600, 4, 20, 80, tasks=8),
        Shape("bpnet", BPNetShaped, 2114, 6, 20, 40),
        Shape("chrombpnet", partial(BPNetShaped, 512), 2114, 6, 20, 10, cuda_times=4),
        Shape("deepsea", DeepSEAShaped, 1000, 2, 20, 40, tasks=8),
        Shape("transformer", SmallTransformer, 512, 4, 20, 80),
    )
}


@dataclass(frozen=True)
class Work:
    """A model, frozen and on its device, and its inputs, on the CPU.

    Shapes: sequences (n, 4, length), references (n, r, 4, length), many (flat_sequences, 4, length), flat
    (1, 4, length).
    """

    shape: Shape
    model: nn.Module
    sequences: Tensor
    references: Tensor
    many: Tensor
    flat: Tensor
    device: torch.device
    model_of_peers: nn.Module
    """A copy: shap leaves tensors on modules, and an `Explainer` refuses a model that has changed."""

    @property
    def n(self) -> int:
        """The number of sequences."""
        return len(self.sequences)

    @property
    def r(self) -> int:
        """The number of references for each sequence."""
        return self.references.shape[1]


def random_onehot(n: int, length: int, seed: int = 0) -> Tensor:
    """Return one-hot random sequences, float32 (n, 4, length)."""
    codes = torch.randint(0, 4, (n, length), generator=torch.Generator().manual_seed(seed))
    return nn.functional.one_hot(codes, 4).permute(0, 2, 1).float().contiguous()


def with_statistics(model: nn.Module) -> nn.Module:
    """Return ``model`` for inference, with batch norms as if trained, so that none is an identity."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval().requires_grad_(False)


def make_work(shape: Shape, device: torch.device, *, quick: bool = False) -> Work:
    """Return the work for a shape; with ``quick``, the least that exercises everything."""
    torch.manual_seed(0)
    times = shape.cuda_times if device.type == "cuda" and not quick else 1
    n, r, number = (2, 2, 4) if quick else (shape.sequences, shape.references, shape.flat_sequences)
    sequences = random_onehot(n * times, shape.length)
    references = genolift.references.dinucleotide_shuffle(sequences, r=r, seed=0)
    flat = torch.tensor(FLAT)[None, :, None].repeat(1, 1, shape.length)
    model = with_statistics(shape.build()).to(device)
    many = random_onehot(number * times, shape.length, 1)
    return Work(shape, model, sequences, references, many, flat, device, copy.deepcopy(model))
