"""Inputs of any shape, and several of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from zoo import onehot, seeded

import genolift


class Two(nn.Module):
    """A sequence and some signals that interact with it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense, self.out = nn.Conv1d(4, 6, 5), nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor, signals: Tensor, *held: Tensor) -> Tensor:
        h = torch.relu(self.conv(x)).mean(-1) * torch.tanh(self.dense(signals))
        return self.out(h + sum(held) if held else h)


class Reshaped(nn.Module):
    """A model of (n, 4, length) in another layout."""

    def __init__(self, layout: str) -> None:
        super().__init__()
        self.conv, self.out, self.layout = nn.Conv1d(4, 6, 5), nn.Linear(6, 1), layout

    def forward(self, x: Tensor) -> Tensor:
        if self.layout == "n1cl":
            x = x[:, 0]
        elif self.layout == "ncl1":
            x = x.squeeze(-1)
        elif self.layout == "nlc":
            x = x.transpose(1, 2)
        return self.out(torch.relu(self.conv(x)).amax(-1))


LAYOUTS = {
    "ncl": lambda x: x,
    "n1cl": lambda x: x.unsqueeze(-3),
    "ncl1": lambda x: x.unsqueeze(-1),
    "nlc": lambda x: x.transpose(-1, -2),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_of_an_input_gives_the_same_contributions(layout: str) -> None:
    model = seeded(lambda: Reshaped(layout))
    x, references = onehot(3), onehot(6, seed=1).view(3, 2, 4, -1)
    place = LAYOUTS[layout]
    result = genolift.deeplift(model, place(x), place(references))
    plain = genolift.deeplift(seeded(lambda: Reshaped("ncl")), x, references)
    torch.testing.assert_close(result.contributions, place(plain.contributions), rtol=1e-4, atol=1e-6)
    assert (result.hypothetical is None) == (layout != "ncl")


@pytest.mark.parametrize("event", [(), (7,), (3, 2, 2)])
def test_vectors_grids_and_scalars_are_inputs_too(event: tuple[int, ...]) -> None:
    size = torch.Size(event).numel()

    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = nn.Linear(size, 5), nn.Linear(5, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.tanh(self.hidden(x.reshape(x.shape[0], -1))))

    generator = torch.Generator().manual_seed(0)
    x, references = (torch.randn(*n, *event, generator=generator) for n in ((3,), (3, 2)))
    for compared in (references, references[0]):
        result = genolift.deeplift(seeded(Dense), x, compared, precision="float64")
        assert result.contributions.shape == x.shape
        assert float(result.relative_convergence_error.max()) < 1e-10


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("rule", ["rescale", "gradient"])
def test_references_may_be_a_function_that_gives_either_form(n: int, rule: str) -> None:
    model, x = seeded(lambda: Reshaped("ncl")), onehot(n)
    shared, own = onehot(2, seed=1), torch.stack([x.flip(1), x.flip(2)], 1)
    for given, function in (
        (shared, lambda _: shared),
        (shared, lambda _: shared.numpy()),
        (torch.zeros(1, 4, 50), lambda some: torch.zeros_like(some[:1])),
        (own, lambda some: torch.stack([some.flip(1), some.flip(2)], 1)),
    ):
        result, expected = (
            genolift.deeplift(model, x, references, rule=rule, batch_size=2)
            for references in (function, given)
        )
        torch.testing.assert_close(result.contributions, expected.contributions)
        torch.testing.assert_close(result.reference_output, expected.reference_output)


def of_two(references: tuple[Any, Any], *held: Tensor, **options: Any) -> tuple[genolift.Attribution, ...]:
    signals = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    return genolift.deeplift(
        seeded(Two), (onehot(3), signals), references, extra_inputs=held, precision="float64", **options
    )


def test_contributions_of_several_inputs_sum_to_the_difference_together() -> None:
    own = onehot(6, seed=1).view(3, 2, 4, -1), torch.zeros(3, 2, 3)
    shared = onehot(2, seed=1), torch.zeros(2, 3)
    made = genolift.references.dinucleotide_shuffle(r=2, seed=0), torch.zeros(2, 3)
    for references in (own, shared, made):
        sequence, signals = of_two(references, target=1)
        assert sequence.contributions.shape == (3, 4, 50)
        assert signals.contributions.shape == (3, 3)
        assert sequence.hypothetical is not None
        assert signals.hypothetical is None
        total = sequence.contributions.sum((1, 2)) + signals.contributions.sum(1)
        difference = sequence.output - sequence.reference_output.mean(1)
        torch.testing.assert_close(total, difference, rtol=1e-9, atol=1e-12)
        assert float(sequence.relative_convergence_error.max()) < 1e-10
        assert torch.equal(sequence.convergence_error, signals.convergence_error)
        torch.testing.assert_close(
            (sequence.hypothetical * onehot(3)).sum(1), sequence.contributions.sum(1), rtol=1e-9, atol=1e-12
        )
        assert signals.contributions.abs().max() > 0


def test_the_plan_of_several_inputs_is_that_of_what_they_all_reach() -> None:
    rows = genolift.plan(seeded(Two), (onehot(3), torch.zeros(3, 3))).table()
    assert {"convolution", "relu", "tanh", "mul"} <= {row["operation"] for row in rows}
    assert [row["kind"] for row in rows if row["operation"] == "mul"] == ["bilinear"]
    held = genolift.plan(seeded(Two), onehot(3), extra_inputs=(torch.zeros(3, 3),)).table()
    assert "tanh" not in {row["operation"] for row in held}


def test_an_input_that_equals_its_reference_gets_nothing() -> None:
    signals = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    references = onehot(6, seed=1).view(3, 2, 4, -1)
    sequence, others = of_two((references, signals[:, None].expand(3, 2, 3)))
    assert (others.contributions == 0).all()
    held = genolift.deeplift(seeded(Two), onehot(3), references, extra_inputs=(signals,), precision="float64")
    torch.testing.assert_close(sequence.contributions, held.contributions)


def test_further_inputs_are_held_behind_several() -> None:
    references = onehot(2, seed=1), torch.zeros(2, 3)
    sequence, _ = of_two(references, torch.ones(3, 6))
    without, _ = of_two(references)
    assert float((sequence.output - without.output).abs().max()) > 0
    torch.testing.assert_close(sequence.contributions, without.contributions)  # added at a linear operation


def test_several_inputs_that_do_not_fit_are_refused() -> None:
    def refusal(inputs: Any, references: Any, **options: Any) -> str:
        with pytest.raises(genolift.InputError) as refused:
            genolift.deeplift(seeded(Two), inputs, references, **options)
        return str(refused.value)

    x, signals = onehot(3), torch.zeros(3, 3)
    both = onehot(2, seed=1), torch.zeros(2, 3)
    assert "there is no input" in refusal((), ())
    assert "have 3, 2 rows" in refusal((x, signals[:2]), both)
    assert "give a tuple with the references of each" in refusal((x, signals), both[0])
    assert "there are 2, 1 references" in refusal((x, signals), (both[0], torch.zeros(1, 3)))
    assert "references have the shape (2, 4)" in refusal((x, signals), (both[0], torch.zeros(2, 4)))
    assert "several inputs have one target" in refusal((x, signals), both, target=[0, 1])
