"""The DeepLIFT paper's own genomics model and data, read from the folder of its authors' files."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor, nn

RULES = {"genomics_default": "genomics-default", "rescale": "rescale", "revealcancel": "revealcancel"}
BACKGROUND = np.array([0.3, 0.2, 0.2, 0.3])


class PaperModel(nn.Module):
    """(n, 4, 200) one-hot -> (n, 3) probabilities: the layers of model.json, with PyTorch's axis order."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1d_1 = nn.Conv1d(4, 50, 11)
        self.conv1d_2 = nn.Conv1d(50, 50, 11)
        self.dense_1 = nn.Linear(50, 50)
        self.dense_2 = nn.Linear(50, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.conv1d_2(torch.relu(self.conv1d_1(x))))
        h = nn.functional.avg_pool1d(h, 180).flatten(1)
        return torch.sigmoid(
            self.dense_2(nn.functional.dropout(torch.relu(self.dense_1(h)), 0.5, self.training))
        )


def paper_model(folder: Path) -> PaperModel:
    """Return the trained model, with its weights converted from Keras's axis order to PyTorch's."""
    state = {}
    with h5py.File(folder / "model_weights.h5") as file:
        for layer in ("conv1d_1", "conv1d_2", "dense_1", "dense_2"):
            group = file[layer][layer]
            state[f"{layer}.weight"] = torch.from_numpy(group["kernel:0"][()].T.copy())
            state[f"{layer}.bias"] = torch.from_numpy(group["bias:0"][()])
    model = PaperModel()
    model.load_state_dict(state)
    return model


def channels_first(array: np.ndarray) -> Tensor:
    """Return (..., length, 4) as a float32 tensor (..., 4, length)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, -2)).astype(np.float32))


def flat_reference(length: int) -> Tensor:
    """Return the paper's reference: the background frequencies at every position, (1, 4, length)."""
    return torch.from_numpy(BACKGROUND.astype(np.float32))[None, :, None].repeat(1, 1, length)


def test_set(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (name, sequence, embedded motifs) of the test sequences, in the file's order."""
    ids = set(gzip.decompress((folder / "test_ids.txt.gz").read_bytes()).decode().split())
    with gzip.open(folder / "sequences.simdata.gz", "rt") as file:
        next(file)
        for line in file:
            name, sequence, embedded = line.rstrip("\n").split("\t")[:3]
            if name in ids:
                yield name, sequence, embedded


def motif(folder: Path, name: str) -> np.ndarray:
    """Return the PPM of a motif of motifs.meme, (4, length)."""
    rows: list[list[float]] = []
    found = False
    for line in (folder / "motifs.meme").read_text().splitlines():
        if line.startswith("MOTIF"):
            found = line.split()[1] == name
        elif found and line and line[0].isdigit():
            rows.append([float(value) for value in line.split()])
    return np.array(rows).T
