"""A model of any layout, alphabet and channels equals the plain model with its channels reordered by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import genolift
from genolift.models import ModelSpec, input_length, make_module

LENGTH, N, R = 30, 3, 2
AXES = ["bases,length", "length,bases", "1,bases,length", "length,1,bases"]
ALPHABETS = ["ACGT", "ACGU", "AGCT", "TACG", "UGCA", "ACGTN", "NTGCA"]
SOURCE = f"""
import torch
from torch import nn


class Reader(nn.Module):
    def __init__(self, channels: int, axes: str = "bases,length", inputs: int = 0):
        super().__init__()
        self.axes = axes.split(",")
        self.conv, self.hidden = nn.Conv1d(channels, 6, 5), nn.Linear(6 + inputs, 5)
        self.out = nn.Linear(5, 2)

    def forward(self, x, *inputs):
        ones = [place for place, name in enumerate(self.axes, 1) if name == "1"]
        x = x.squeeze(tuple(ones)) if ones else x
        if self.axes.index("bases") > self.axes.index("length"):
            x = x.transpose(1, 2)
        assert x.shape[2] == {LENGTH}
        y = torch.relu(self.conv(x)).amax(-1)
        return self.out(torch.relu(self.hidden(torch.cat([y, *inputs], 1))))
"""


def saved(folder: Path, **arguments: Any) -> dict[str, Any]:
    """Write a model with random weights; return what `genolift.load_model` takes."""
    (folder / "model.py").write_text(SOURCE)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        weights = make_module(f"{folder}/model.py:Reader", arguments).state_dict()
    save_file(weights, folder / "weights.safetensors")
    path = f"{folder}/weights.safetensors"
    return {"path": path, "class": f"{folder}/model.py:Reader", "arguments": arguments}


def onehot(*shape: int, seed: int) -> Tensor:
    codes = torch.randint(4, (*shape, LENGTH), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.one_hot(codes, 4).transpose(-1, -2).float()


def explained(model: Any, x: Tensor, references: Tensor, **held: Any) -> genolift.Attribution:
    return genolift.deeplift(model, x, references, target=1, precision="float64", device="cpu", **held)


def order_of(alphabet: str) -> list[int]:
    """Return the channel of each of A C G T."""
    return [alphabet.replace("U", "T").index(base) for base in "ACGT"]


def by_hand(bases: Tensor, channels: Tensor, alphabet: str) -> Tensor:
    """Return the input channels of a model of ``alphabet``, bases first: (..., channel, position)."""
    extra = channels.shape[-2]
    filled = torch.zeros(*bases.shape[:-2], len(alphabet) + extra, LENGTH)
    filled[..., order_of(alphabet), :] = bases
    if "N" in alphabet:
        filled[..., alphabet.index("N"), :] = 1 - bases.sum(-2)
    filled[..., len(alphabet) :, :] = channels
    return filled


def inputs(extra: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return sequences (one holds N), their references and extra channels."""
    x = onehot(N, seed=2)
    x[0, :, 4:7] = 0
    channels = torch.rand(N, extra, LENGTH, generator=torch.Generator().manual_seed(4))
    return x, onehot(N, R, seed=3), channels


@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_model_is_read_in_any_alphabet_with_any_axes_and_channels(
    tmp_path: Path, alphabet: str, axes: str, extra: int
) -> None:
    spec = saved(tmp_path, channels=len(alphabet) + extra, axes=axes)
    model = genolift.load_model(spec | {"alphabet": alphabet, "axes": axes, "extra_channels": extra})
    plain = genolift.load_model(saved(tmp_path, channels=len(alphabet) + extra))
    x, _, channels = inputs(extra)
    given = (x, channels) if extra else (x,)
    torch.testing.assert_close(model(*given), plain(by_hand(x, channels, alphabet)))


@pytest.mark.parametrize(
    ("alphabet", "axes", "extra"),
    [(letters, AXES[i % 4], 2 * (i % 2)) for i, letters in enumerate(ALPHABETS)],
)
def test_contributions_are_those_of_the_model_with_its_channels_in_order(
    tmp_path: Path, alphabet: str, axes: str, extra: int
) -> None:
    spec = saved(tmp_path, channels=len(alphabet) + extra, axes=axes)
    model = genolift.load_model(spec | {"alphabet": alphabet, "axes": axes, "extra_channels": extra})
    plain = genolift.load_model(saved(tmp_path, channels=len(alphabet) + extra))
    x, references, channels = inputs(extra)
    result = explained(model, x, references, extra_inputs=(channels,) if extra else ())
    expected = explained(
        plain,
        by_hand(x, channels, alphabet),
        by_hand(references, channels[:, None], alphabet),
        keep_multipliers=True,
    )
    assert expected.multipliers is not None
    multipliers = expected.multipliers[:, :, order_of(alphabet)]
    if "N" in alphabet:  # it is 1 minus the bases' channels, so it rises when a base's falls
        place = alphabet.index("N")
        multipliers = multipliers - expected.multipliers[:, :, place : place + 1]
    wanted = (multipliers * (x[:, None] - references)).mean(1)
    torch.testing.assert_close(result.contributions, wanted, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(result.output, expected.output)
    difference = result.output - result.reference_output.mean(1)
    torch.testing.assert_close(result.contributions.sum((1, 2)), difference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", ["rescale", "revealcancel"])
def test_extra_channels_and_inputs_together_are_held_under_each_rule(tmp_path: Path, rule: str) -> None:
    spec = saved(tmp_path, channels=5, axes="length,bases", inputs=3)
    model = genolift.load_model(spec | {"alphabet": "TGCA", "axes": "length,bases", "extra_channels": 1})
    x, references, channels = inputs(1)
    further = torch.rand(N, 3, generator=torch.Generator().manual_seed(5))
    result = explained(model, x, references, extra_inputs=(channels, further), rule=rule)
    assert result.hypothetical is not None
    assert result.contributions.shape == (N, 4, LENGTH)
    there = x.sum(1) == 1  # at an N there is no base to credit
    credited = (result.hypothetical * x).sum(1)
    torch.testing.assert_close(credited[there], result.contributions.sum(1)[there])
    assert float(result.relative_convergence_error.max()) < 1e-9
    others = explained(model, x, references, extra_inputs=(channels + 1, further), rule=rule)
    assert not torch.equal(others.output, result.output)


def test_extra_channels_that_are_not_given_are_said(tmp_path: Path) -> None:
    model = genolift.load_model(saved(tmp_path, channels=6) | {"extra_channels": 2})
    x, references, channels = inputs(2)
    with pytest.raises(genolift.InputError) as error:
        explained(model, x, references)
    assert str(error.value) == (
        "extra_inputs: the model reads 2 channels beyond the bases, and none are given; "
        "give them first, (n, 2, length)"
    )
    with pytest.raises(genolift.InputError, match=r"have the shape \(n, 1, 30\)") as error:
        explained(model, x, references, extra_inputs=(channels[:, :1],))
    assert "give (n, 2, 30)" in str(error.value)


@pytest.mark.parametrize("axes", ["bases,length", "length,bases", "length,1,bases"])
def test_the_axes_and_length_of_a_program_are_those_of_its_input(tmp_path: Path, axes: str) -> None:
    plain = genolift.load_model(saved(tmp_path, channels=4))
    own = make_module(f"{tmp_path}/model.py:Reader", {"channels": 4, "axes": axes}).eval()
    own.load_state_dict(plain.state_dict())
    sizes = {"bases": 4, "length": LENGTH, "1": 1}
    example = torch.zeros(3, *(sizes[name] for name in axes.split(",")))
    rows = ({0: torch.export.Dim("rows")},)
    torch.export.save(torch.export.export(own, (example,), dynamic_shapes=rows), tmp_path / "own.pt2")
    spec = ModelSpec.of(tmp_path / "own.pt2")
    model = genolift.load_model(spec)
    assert input_length(model, spec) == LENGTH
    x, references = onehot(N, seed=0), onehot(N, R, seed=1)
    found, expected = (explained(each, x, references) for each in (model, plain))
    torch.testing.assert_close(found.contributions, expected.contributions, atol=1e-9, rtol=0)
