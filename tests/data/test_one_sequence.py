"""For one sequence without the row axis, every public function says how to give it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import genolift

X = nn.functional.one_hot(torch.arange(20) % 4, 4).T.float()
MODEL = nn.Sequential(nn.Conv1d(4, 2, 6), nn.ReLU(), nn.Flatten(), nn.Linear(30, 1))


class OfTwo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = MODEL

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return self.model(x) + self.model(other)


CALLS: dict[str, Callable[[Tensor], Any]] = {
    "deeplift": lambda x: genolift.deeplift(MODEL, x, torch.zeros(1, *x.shape[-2:])),
    "integrated gradients": lambda x: genolift.integrated_gradients(MODEL, x, torch.zeros(1, 4, 20), steps=2),
    "mutagenesis": lambda x: genolift.in_silico_mutagenesis(MODEL, x),
    "gradient": lambda x: genolift.gradient_times_input(MODEL, x),
    "grad-cam": lambda x: genolift.grad_cam(MODEL, x),
    "plan": lambda x: genolift.plan(MODEL, x),
    "checked plan": lambda x: genolift.check_plan(MODEL, x, x),
    "several inputs": lambda x: genolift.deeplift(
        OfTwo(), (x, x), (torch.zeros(1, *x.shape[1:]), torch.zeros(1, *x.shape[1:]))
    ),
    "plan of several": lambda x: genolift.plan(OfTwo(), (x, x)),
    "shuffles": lambda x: genolift.references.dinucleotide_shuffle(x, 2),
    "base frequencies": lambda x: genolift.references.base_frequencies(x),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_one_sequence_is_given_as_x_none(name: str) -> None:
    with pytest.raises(genolift.InputError, match=r"give x\[None\] for one sequence"):
        CALLS[name](X)
    if name in ("mutagenesis", "several inputs", "shuffles"):  # the advice works
        CALLS[name](X[None])


def test_an_exported_program_tells_it_too() -> None:
    rows = torch.export.Dim("batch", min=2)
    program = torch.export.export(MODEL, (X.expand(3, 4, 20),), dynamic_shapes=({0: rows},))
    with pytest.raises(genolift.InputError, match=r"give x\[None\] for one sequence"):
        genolift.plan(program, X)


def test_one_reference_is_given_as_reference_none() -> None:
    for call in (
        lambda reference: genolift.deeplift(MODEL, X[None], reference),
        lambda reference: genolift.deeplift(OfTwo(), (X[None], X[None]), (reference, reference)),
    ):
        with pytest.raises(genolift.InputError, match=r"give reference\[None\]"):
            call(torch.zeros(4, 20))
    genolift.deeplift(MODEL, X[None], torch.zeros(4, 20)[None])


def test_rows_of_another_length_are_no_sequence() -> None:
    with pytest.raises(genolift.InputError, match="that the model was trained on"):
        genolift.plan(nn.Linear(7, 1), torch.zeros(4, 20))
