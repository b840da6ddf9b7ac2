"""Other packages' DeepLIFT with the Rescale rule, all given the same sequences and references.

Each function returns (n, length): the contribution of every base, averaged over its sequence's references.
With a batch size of None a package is used as in its documentation. Only this module uses those packages.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from torch import Tensor, nn

Scores = Callable[[nn.Module, Tensor, Tensor, torch.device, int | None], Tensor]


class OneTask(nn.Module):
    """A model's first output, (rows, 1), which all of the packages explain."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)[:, :1]


def tangermeme_scores(
    model: nn.Module, sequences: Tensor, references: Tensor, device: torch.device, batch: int | None
) -> Tensor:
    """Return tangermeme's scores; ``batch`` is the number of pairs (32 by default)."""
    from tangermeme.deep_lift_shap import deep_lift_shap

    size = {} if batch is None else {"batch_size": batch}
    scores = deep_lift_shap(model, sequences, references=references, device=device, **size)
    return scores.sum(1)


def captum_scores(
    model: nn.Module, sequences: Tensor, references: Tensor, device: torch.device, batch: int | None
) -> Tensor:
    """Return Captum's scores: DeepLift on ``batch`` pairs at a time; by default DeepLiftShap per sequence."""
    from captum.attr import DeepLift, DeepLiftShap

    n, r = references.shape[:2]
    if batch is None:
        explainer = DeepLiftShap(model)
        each = [
            explainer.attribute(sequence[None].to(device), baselines=its.to(device), target=0)[0].cpu()
            for sequence, its in zip(sequences, references, strict=True)
        ]
        return torch.stack(each).detach().sum(1)
    pairs = DeepLift(model)
    contributions = []
    for numbers in torch.arange(n * r).split(batch):
        inputs = sequences[numbers // r].to(device)
        baselines = references.flatten(0, 1)[numbers].to(device)
        contributions.append(pairs.attribute(inputs, baselines=baselines, target=0).detach().sum(1).cpu())
    return torch.cat(contributions).unflatten(0, (n, r)).mean(1)


def shap_scores(
    model: nn.Module, sequences: Tensor, references: Tensor, device: torch.device, batch: int | None
) -> Tensor:
    """Return shap's scores: for every sequence a DeepExplainer with its references as background.

    With a batch size, one for each ``batch`` of its references, without the check of the sum.
    """
    from shap import DeepExplainer

    options = {} if batch is None else {"check_additivity": False}
    scores = []
    for sequence, its in zip(sequences.to(device), references.to(device), strict=True):
        total = np.zeros(sequence.shape[-1])
        for background in its.split(batch or len(its)):
            values = DeepExplainer(model, background).shap_values(sequence[None], **options)
            total += len(background) * np.asarray(values).reshape(sequence.shape).sum(0)
        scores.append(torch.from_numpy(total / len(its)))
    return torch.stack(scores).float()


@dataclass(frozen=True)
class Peer:
    """A package, its function, and a description of its default batch."""

    name: str
    scores: Scores
    default: str

    @property
    def version(self) -> str | None:
        """The installed version, or None if it is not installed."""
        try:
            return version(self.name)
        except PackageNotFoundError:
            return None

    def run(
        self,
        model: nn.Module,
        sequences: Tensor,
        references: Tensor,
        device: torch.device,
        batch: int | None = None,
    ) -> Tensor:
        """Return (n, length) for the model's first output, without warnings: we check the sum ourselves."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.scores(OneTask(model).eval(), sequences, references, device, batch)


PEERS = {
    peer.name: peer
    for peer in (
        Peer("tangermeme", tangermeme_scores, "32 pairs"),
        Peer("captum", captum_scores, "all references of a sequence"),
        Peer("shap", shap_scores, "all references of a sequence"),
    )
}
