"""Other people's models, and models trained on data: their plans can be read, and their sums hold."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import ctcf_model
import pytest
import torch
from lacking import skip
from torch import Tensor, nn
from zoo import onehot, seeded

import genolift
from genolift.explain.explainer import Explainer

LENGTH = 30
DEEPLIFT = ["rescale", "revealcancel", "genomics-default"]


def bpnet(n_control_tracks: int = 0) -> nn.Module:
    try:
        from bpnetlite.bpnet import BPNet
    except ImportError:
        skip("needs bpnet-lite: pip install --no-deps bpnet-lite tangermeme", lacking="bpnet-lite")

    arguments = {"n_filters": 6, "n_layers": 3, "trimming": 20, "verbose": False}
    return seeded(lambda: BPNet(n_control_tracks=n_control_tracks, **arguments))


def counts(outputs: tuple[Tensor, Tensor]) -> Tensor:
    return outputs[1][:, 0]


def assert_sums(explainer: Explainer, x: Tensor, references: Tensor, **options: Any) -> None:
    result = explainer.explain(x, references, **options)
    difference = (result.output[:, None] - result.reference_output).abs().max()
    assert float(result.convergence_error.max() / difference) < 1e-9


def column(text: str, name: str) -> list[str]:
    """Return the non-empty cells of a column in a printed plan."""
    header, *lines = text.splitlines()
    start = header.index(name)
    end = next((at for at in range(start, len(header)) if header[at:].startswith("  ")), len(header))
    following = header[end:].lstrip()
    stop = header.index(following, end) if following else None
    return [cell for cell in (line[start:stop].strip() for line in lines) if cell]


@pytest.mark.parametrize("rule", DEEPLIFT)
def test_the_counts_of_bpnet_are_explained(rule: str) -> None:
    x, references = onehot(2, 100), onehot(3, 100, seed=1)
    explainer = Explainer(bpnet(), x, rule=rule, target=counts, precision="float64")
    assert_sums(explainer, x, references)


def test_the_profile_of_bpnet_with_its_control_held_is_explained() -> None:
    network = bpnet(n_control_tracks=2)
    from bpnetlite.bpnet import ControlWrapper, ProfileWrapper

    x, references = onehot(2, 100), onehot(3, 100, seed=1)
    control = torch.rand(2, 2, 100, generator=torch.Generator().manual_seed(0))
    model = ProfileWrapper(network)
    explainer = Explainer(model, x, extra_inputs=(control,), precision="float64")
    assert_sums(explainer, x, references, extra_inputs=(control,))
    without = Explainer(ProfileWrapper(ControlWrapper(bpnet(n_control_tracks=2))), x, precision="float64")
    assert_sums(without, x, references)


class Cached(nn.Module):
    """(n, 4, length) -> (n, 2), whose eval() copies weights into bfloat16, as Cherimoya's does."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.out = nn.Conv1d(4, 6, 5), nn.Linear(6, 2)
        self.register_buffer("weights", None, persistent=False)

    def train(self, mode: bool = True) -> Cached:
        super().train(mode)
        self.weights = None if mode else self.out.weight.detach().to(torch.bfloat16)
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.stem(x)).mean(-1))


def test_weights_that_a_model_copies_when_it_is_put_in_evaluation_mode_are_no_hindrance() -> None:
    x, references = onehot(2, 100), onehot(3, 100, seed=1)
    assert_sums(Explainer(seeded(Cached), x, precision="float64"), x, references)


def test_the_plan_of_bpnet_is_a_table() -> None:
    printed = str(genolift.plan(bpnet(), onehot(1, 100), target=counts))
    assert printed.splitlines()[0].split() == ["layer", "operation", "kind", "rule", "why", "line"]
    assert column(printed, "operation").count("convolution") == 4
    assert column(printed, "operation").count("relu") == 4
    assert column(printed, "why") == ["fed by a convolution"] * 4
    assert [layer for layer in column(printed, "layer") if "relu" in layer] == [
        "irelu",
        "rrelus.0",
        "rrelus.1",
        "rrelus.2",
    ]
    assert "bpnet.py" in printed
    assert "fconv" not in printed  # the counts do not depend on the profile


class SmallTransformer(nn.Module):
    """Convolution, learned positions, an encoder layer, the mean over positions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 8, 5, padding=2)
        self.positions = nn.Parameter(torch.randn(1, LENGTH, 8) / 10)
        layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x).transpose(1, 2) + self.positions
        return self.head(self.encoder(h).mean(dim=1))


def test_the_plan_of_a_transformer_is_a_table_and_it_is_explained() -> None:
    explainer = Explainer(seeded(SmallTransformer), onehot(1, LENGTH), precision="float64")
    assert_sums(explainer, onehot(2, LENGTH), onehot(3, LENGTH, seed=1))
    printed = str(explainer.plan)
    kinds = {(row["operation"], row["kind"]) for row in explainer.plan.table()}
    assert ("softmax", "composed") in kinds
    assert {("bmm", "bilinear"), ("bmm", "linear (dense)")} <= kinds
    assert {("gelu", "elementwise"), ("rsqrt", "elementwise"), ("mul", "bilinear")} <= kinds
    assert column(printed, "rule").count("RevealCancel") == 1
    assert "fed by a dense layer" in column(printed, "why")
    assert max(map(len, printed.splitlines())) < 250


def test_the_plans_of_trained_models_are_tables(shared: Path, tmp_path: Path) -> None:
    yeast = shared / "yeast"
    model = genolift.load_model(
        {"path": yeast / "model_state_dict.pt", "class": f"{yeast / 'model.py'}:YeastTF"}
    )
    why = column(str(genolift.plan(model, onehot(1, 400))), "why")
    assert why == ["fed by a convolution"] * 3 + ["fed by a dense layer"]
    shutil.copy(ctcf_model.__file__, tmp_path / "ctcf.py")
    path = shared / "human" / "ctcf_hela_state_dict.pt"
    model = genolift.load_model({"path": path, "class": f"{tmp_path / 'ctcf.py'}:CTCF"})
    printed = str(genolift.plan(model, onehot(1, 1000)))
    assert column(printed, "why") == ["fed by a convolution"] * 3
    assert column(printed, "rule").count("maximum of each") == 1
