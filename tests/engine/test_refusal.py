"""Input that cannot be accepted is refused before computing, in one line that says where and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import network, onehot, seeded

import genolift


class Body(nn.Module):
    """A convolution, any function of it, and a dense layer."""

    def __init__(self, function: Callable[[Tensor], Tensor], features: int = 6) -> None:
        super().__init__()
        self.conv, self.out, self.function = nn.Conv1d(4, 6, 5), nn.Linear(features, 1), function

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.function(self.conv(x)))


def sorted_mean(h: Tensor) -> Tensor:
    return h.sort(-1)[0].mean(-1)


def batch_mean(h: Tensor) -> Tensor:
    return (h - h.mean(0)).mean(-1)


def batch_flip(h: Tensor) -> Tensor:
    return (h - h.flip(0)).mean(-1)


def branch_on_a_value(h: Tensor) -> Tensor:
    return h.mean(-1) if h.sum() > 0 else -h.mean(-1)


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (sorted_mean, "sort"),
        (batch_mean, "rows of a batch"),
        (batch_flip, "rows of a batch"),
        (branch_on_a_value, ""),
    ],
)
def test_an_operation_without_an_exact_rule_is_refused_with_its_line(
    function: Callable[[Tensor], Tensor], operation: str
) -> None:
    with pytest.raises(genolift.UnsupportedOperation) as refused:
        genolift.deeplift(seeded(lambda: Body(function)), onehot(3), onehot(2, seed=1))
    message = str(refused.value)
    assert "\n" not in message
    assert operation in message
    assert "test_refusal.py:" in message
    assert function.__name__ in message or "return" in message
    assert isinstance(refused.value, ValueError)


def test_batch_norm_with_batch_statistics_in_an_exported_program_is_refused() -> None:
    model = nn.Sequential(nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.Flatten(), nn.Linear(276, 1)).train()
    rows = torch.export.Dim("batch", min=2)
    program = torch.export.export(model, (onehot(3),), dynamic_shapes=({0: rows},), strict=False)
    with pytest.raises(genolift.UnsupportedOperation):
        genolift.deeplift(program, onehot(3), onehot(2, seed=1))


def test_an_exported_program_is_explained_like_its_module() -> None:
    model, x, references = network(), onehot(3), onehot(2, seed=1)
    rows = torch.export.Dim("batch", min=2)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: rows},), strict=False)
    expected = genolift.deeplift(model, x, references).contributions
    torch.testing.assert_close(genolift.deeplift(program, x, references).contributions, expected)
    by_function = genolift.deeplift(program, x, references, target=lambda y: y[:, 0])
    torch.testing.assert_close(by_function.contributions, expected)
    exact = genolift.deeplift(program, x, references, precision="float64")
    assert float(exact.relative_convergence_error.max()) < 1e-12


def test_an_exported_program_for_a_fixed_number_of_rows_is_refused() -> None:
    program = torch.export.export(network(), (onehot(3),), strict=False)
    with pytest.raises(genolift.UnsupportedOperation, match="3 rows only; export it with dynamic_shapes"):
        genolift.deeplift(program, onehot(3), onehot(2, seed=1))


def wrong(**changed: Any) -> str:
    arguments: dict[str, Any] = {
        "model": network(),
        "inputs": onehot(3),
        "references": onehot(2, seed=1),
    } | changed
    with pytest.raises(genolift.InputError) as error:
        genolift.deeplift(**arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_sequence_of_another_length_is_named_with_the_shape() -> None:
    message = wrong(inputs=onehot(3, length=60), references=onehot(2, length=60))
    assert "does not take an input of shape (n, 4, 60)" in message
    assert "zoo.py:" in message


def test_other_channels_are_named_with_the_shape() -> None:
    assert "(n, 5, 50)" in wrong(inputs=torch.rand(3, 5, 50), references=torch.rand(2, 5, 50))


def test_an_exported_program_says_what_arguments_it_takes() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv1d(4, 5, 7), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
            return self.out(torch.cat([self.conv(x).relu().amax(-1), z], 1))

    rows = torch.export.Dim("rows", min=2)
    example = onehot(3), torch.zeros(3, 3)
    program = torch.export.export(Two().eval(), example, dynamic_shapes=({0: rows}, {0: rows}))
    takes = "model: the exported program takes (n, 4, 50) and (n, 3), and is given (n, 4, "
    for length, extra in ((50, ()), (50, (2,)), (50, (3, 1)), (60, (3,))):
        held = tuple(torch.zeros(3, width) for width in extra)
        inputs = {"inputs": onehot(3, length=length), "references": onehot(2, length=length)}
        message = wrong(model=program, extra_inputs=held, **inputs)
        assert message.startswith(f"{takes}{length})")
        assert "further inputs as extra_inputs" in message
    right = genolift.deeplift(program, onehot(3), onehot(2, seed=1), extra_inputs=(torch.zeros(3, 3),))
    assert float(right.relative_convergence_error.max()) < 1e-5


def test_a_target_that_does_not_exist_is_refused() -> None:
    assert wrong(target=2) == "target: there is no target 2: the model has 2 outputs; choose one of 0 to 1"
    assert "there is no target -1" in wrong(target=-1)
    assert "there is no target 'Reb1'" in wrong(target="Reb1")
    assert "shape (n, 2)" in wrong(target=lambda y: y)


def test_references_of_another_shape_are_refused() -> None:
    assert "references have the shape (2, 4, 49)" in wrong(references=onehot(2, length=49))
    assert "(2, 2, 4, 50)" in wrong(references=torch.zeros(2, 2, 4, 50))
    assert "there is no reference" in wrong(references=torch.zeros(0, 4, 50))


def test_nan_is_named_with_its_sequence() -> None:
    x = onehot(3)
    x[1, 0, 0] = torch.nan
    assert wrong(inputs=x) == "sequence 1: holds NaN or infinity"
    references = onehot(2)
    references[0, 0, 0] = torch.inf
    assert "a reference holds NaN" in wrong(references=references)
    model = network()
    model.out.bias.data.fill_(torch.nan)
    assert "sequence 0: the model's output is NaN" in wrong(model=model)


def test_choices_that_there_are_not_are_refused() -> None:
    assert "there is no rule 'rescaled'" in wrong(rule="rescaled")
    assert "'float16' is not a precision" in wrong(precision="float16")
    assert "no device 'gpu0'" in wrong(device="gpu0")
    assert "no device 'meta'" in wrong(device="meta")
    assert "model: is a builtin_function_or_method; give a torch.nn.Module" in wrong(model=torch.relu)
    for size in (0, 2.5, "auto"):
        assert "give a whole number of 1 or more" in wrong(batch_size=size)
    assert "there is no input" in wrong(inputs=torch.zeros(0, 4, 50))
    assert "give a tensor or an array" in wrong(inputs="ACGT")


def test_several_outputs_want_a_callable() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.network(x)
            return y, y.exp()

    assert "output 0 has the shape (n, 2); choose one of 0[0] to 0[1]" in wrong(model=Heads())
    result = genolift.deeplift(Heads(), onehot(2), onehot(1, seed=1), target=lambda heads: heads[0][:, 1])
    torch.testing.assert_close(result.output, network()(onehot(2))[:, 1].detach())


def test_arrays_are_taken_as_tensors_are() -> None:
    x, references = onehot(2).numpy().astype(np.uint8), onehot(2, seed=1).numpy()
    result = genolift.deeplift(network(), x, references)  # type: ignore[arg-type]
    expected = genolift.deeplift(network(), onehot(2), onehot(2, seed=1))
    torch.testing.assert_close(result.contributions, expected.contributions)
