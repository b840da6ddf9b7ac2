"""A model with an operation without an exact rule is refused, with its name and line, before computing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from modules import LENGTH, Around
from refusals import refused_by
from torch import Tensor, nn
from zoo import onehot, seeded

import genolift

X, REFERENCES = onehot(2, LENGTH), onehot(2, LENGTH, seed=1)


def takes_the_largest(h: Tensor) -> Tensor:
    return h.topk(3, dim=2).values


def sorts(h: Tensor) -> Tensor:
    return h.sort(dim=2).values


def takes_the_median(h: Tensor) -> Tensor:
    return h.median(dim=2).values


def looks_up_the_largest(h: Tensor) -> Tensor:
    return torch.linspace(0, 1, 6, dtype=h.dtype)[h.argmax(1)]


def gathers_at_the_largest(h: Tensor) -> Tensor:
    return h.gather(1, h.argmax(1, keepdim=True))


def embeds_tokens(h: Tensor) -> Tensor:
    return nn.functional.embedding(h.argmax(dim=1), torch.ones(6, 2, dtype=h.dtype))


def one_hot_of_the_largest(h: Tensor) -> Tensor:
    return nn.functional.one_hot(h.argmax(1), 6).to(h.dtype)


def whole_numbers(h: Tensor) -> Tensor:
    return (h * 3).long().to(h.dtype)


def running_product(h: Tensor) -> Tensor:
    return h.cumprod(2)


def running_maximum(h: Tensor) -> Tensor:
    return h.cummax(2).values


def inverts(h: Tensor) -> Tensor:
    return torch.linalg.inv(h[..., :6])


def phase(h: Tensor) -> Tensor:
    return torch.fft.rfft(h).angle()


def square_of_complex(h: Tensor) -> Tensor:
    return torch.fft.rfft(h).pow(2).real


def as_many_as_a_mask_holds(h: Tensor) -> Tensor:
    return h[..., torch.arange(h.shape[-1]) % 3 == 0].mean(-1)


def chooses_by_a_mask(h: Tensor) -> Tensor:
    return h[h > 0].sum() + h


def branches(h: Tensor) -> Tensor:
    return h if h.sum() > 0 else -h


def loops(h: Tensor) -> Tensor:
    while h.abs().max() > 1:
        h = h / 2
    return h


def reads_a_value(h: Tensor) -> Tensor:
    return h * h.max().item()


def drops_always(h: Tensor) -> Tensor:
    return nn.functional.dropout(h, 0.5)


def adds_noise(h: Tensor) -> Tensor:
    return h + torch.randn_like(h)


def centres_over_rows(h: Tensor) -> Tensor:
    return h - h.mean(0)


def divides_by_the_largest_of_all(h: Tensor) -> Tensor:
    return h / h.max()


def softmax_over_rows(h: Tensor) -> Tensor:
    return h.softmax(0)


def compares_rows(h: Tensor) -> Tensor:
    return h - (h.flatten(1) @ h.flatten(1).T).softmax(1).sum(1)[:, None, None]


def runs_over_rows(h: Tensor) -> Tensor:
    return h.cumsum(0)


def rolls_rows(h: Tensor) -> Tensor:
    return h.roll(1, 0)


def takes_the_first_row(h: Tensor) -> Tensor:
    return h - h[0]


def batch_statistics(h: Tensor) -> Tensor:
    return nn.functional.batch_norm(h, None, None, training=True)


def attends_over_rows(h: Tensor) -> Tensor:
    q = h.permute(2, 0, 1)
    return nn.functional.scaled_dot_product_attention(q, q, q).transpose(0, 1)


REFUSED: dict[Callable[[Tensor], Tensor], str] = {
    takes_the_largest: "operation topk",
    sorts: "operation sort",
    takes_the_median: "operation median",
    looks_up_the_largest: "argmax",
    gathers_at_the_largest: "argmax",
    embeds_tokens: "argmax",
    one_hot_of_the_largest: "argmax",
    whole_numbers: "to_copy",
    running_product: "operation cumprod",
    running_maximum: "operation cummax",
    inverts: "no exact rule is known for the operation linalg_inv_ex",
    phase: "operation angle",
    square_of_complex: "of complex numbers",
    as_many_as_a_mask_holds: "depends on values; choose by numbers",
    chooses_by_a_mask: "",
    branches: "",
    loops: "",
    reads_a_value: "",
    drops_always: "dropout",
    adds_noise: "randn_like",
    centres_over_rows: "rows of a batch",
    divides_by_the_largest_of_all: "rows of a batch",
    softmax_over_rows: "rows of a batch",
    compares_rows: "rows of a batch",
    runs_over_rows: "rows of a batch",
    rolls_rows: "rows of a batch",
    takes_the_first_row: "rows of a batch",
    batch_statistics: "rows of a batch",
    attends_over_rows: "rows of a batch",
}


def refusal(model: nn.Module) -> str:
    return refused_by(lambda: genolift.deeplift(model, X, REFERENCES), genolift.UnsupportedOperation)


@pytest.mark.parametrize("function", REFUSED, ids=lambda function: function.__name__)
def test_what_has_no_exact_rule_is_refused_by_its_operation_and_line(
    function: Callable[[Tensor], Tensor],
) -> None:
    message = refusal(seeded(lambda: Around(function)))
    first = function.__code__.co_firstlineno
    lines = [f"test_modules_refused.py:{line} `" for line in range(first, first + 4)]
    assert REFUSED[function] in message
    assert any(line in message for line in lines), message


def test_what_torch_knows_of_a_graph_that_it_gives_up_is_not_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    refusal(seeded(lambda: Around(branches)))
    assert capfd.readouterr().err == ""


def test_what_is_no_tensor_in_a_forward_is_refused() -> None:
    def draws(h: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return h + torch.rand(6, 30, generator=generator)

    message = refusal(seeded(lambda: Around(draws)))
    assert "uses a Generator" in message
    assert "`return h + torch.rand(6, 30, generator=generator)`" in message


def test_a_row_count_taken_with_len_is_refused_with_what_to_write_instead() -> None:
    # len() gives a plain number in Python, so a trace with it is fixed to that many rows.
    message = refusal(seeded(lambda: Around(lambda h: h.reshape(len(h), -1))))
    assert "number of rows" in message
    assert "shape[0]" in message
