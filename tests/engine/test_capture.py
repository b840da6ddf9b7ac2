"""A model is traced from a copy and itself left unchanged, whatever its forward does or returns."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from zoo import network, onehot, seeded

import genolift
from genolift.engine.graph.capture import TRIAL_ROWS, capture
from genolift.errors import InputError


class Restless(nn.Module):
    """A forward that writes to its own buffers, weights and attributes, and draws random numbers."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 6, 5), nn.Linear(6, 1)
        self.register_buffer("calls", torch.zeros(1))
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        self.seen.append(1)
        with torch.no_grad():
            self.conv.weight.clamp_(min=0)
        torch.rand(1)
        return self.out(torch.relu(self.conv(x)).mean(-1))


def test_a_forward_that_writes_leaves_the_model_as_it_was() -> None:
    model = seeded(Restless)
    before = copy.deepcopy(model.state_dict())
    random = torch.get_rng_state()
    result = genolift.deeplift(model, onehot(2), onehot(1, seed=1))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.seen == []
    assert torch.equal(torch.get_rng_state(), random)
    clamped = seeded(Restless)
    torch.testing.assert_close(result.output, clamped(onehot(2))[:, 0].detach())


def expected() -> Tensor:
    return genolift.deeplift(network(), onehot(2), onehot(1, seed=1)).contributions


@pytest.mark.parametrize(
    "wrapped",
    [nn.DataParallel, lambda model: torch.compile(model, backend="eager"), nn.Sequential],
    ids=["DataParallel", "torch.compile", "Sequential"],
)
def test_a_wrapped_model_is_explained_like_the_model(wrapped: Callable[[nn.Module], nn.Module]) -> None:
    result = genolift.deeplift(wrapped(network()), onehot(2), onehot(1, seed=1))
    torch.testing.assert_close(result.contributions, expected())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_another_precision_are_converted(dtype: torch.dtype) -> None:
    model = network().to(dtype)
    result = genolift.deeplift(model, onehot(2), onehot(1, seed=1))
    assert result.contributions.dtype == torch.float32
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    torch.testing.assert_close(result.contributions, expected(), rtol=0.1, atol=0.02)
    assert float(result.relative_convergence_error.max()) < 1e-4


def test_a_model_that_makes_tensors_of_the_default_type_is_exact_in_double() -> None:
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv1d(4, 6, 5), nn.Linear(300, 1)

        def forward(self, x: Tensor) -> Tensor:
            canvas = torch.zeros(x.shape[0], 6, 50)
            canvas[:, :, 2:48] = torch.relu(self.conv(x))
            return self.out((canvas * torch.linspace(0, 1, 50)).flatten(1))

    result = genolift.deeplift(seeded(Padded), onehot(2), onehot(1, seed=1), precision="float64")
    assert float(result.relative_convergence_error.max()) < 1e-12
    assert torch.get_default_dtype() == torch.float32


class Casting(nn.Module):
    """A forward with its own casts, to the dtype of its weights or to float."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network().to(dtype), dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.to(self.dtype)).float() * (x.sum((1, 2)) > 0).float()[:, None]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_casts_of_a_model_give_way_to_the_precision_that_is_asked_for(dtype: torch.dtype) -> None:
    single = genolift.deeplift(Casting(dtype), onehot(2), onehot(1, seed=1))
    torch.testing.assert_close(single.contributions, expected(), rtol=0.1, atol=0.02)
    double = genolift.deeplift(Casting(dtype), onehot(2), onehot(1, seed=1), precision="float64")
    assert float(double.relative_convergence_error.max()) < 1e-12


def test_complex_buffers_keep_their_imaginary_part() -> None:
    class Turned(nn.Module):
        angles: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("angles", torch.polar(torch.ones(50), torch.arange(50.0)))
            self.out = nn.Linear(400, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.view_as_real(x * self.angles).flatten(1))

    model = seeded(Turned)
    result = genolift.deeplift(model, onehot(2), onehot(1, seed=1), precision="float64")
    torch.testing.assert_close(result.output.float(), model(onehot(2))[:, 0].detach())
    assert float(result.relative_convergence_error.max()) < 1e-12


def test_an_encoder_is_not_asked_whether_its_mask_is_causal() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
            self.encoder, self.out = nn.TransformerEncoder(layer, 1), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(x.shape[2])
            return self.out(self.encoder(x.mT, mask=mask)[:, -1])

    model = seeded(Masked)
    result = genolift.deeplift(model, onehot(2), onehot(1, seed=1), precision="float64")
    torch.testing.assert_close(result.output.float(), model(onehot(2))[:, 0].detach())
    assert float(result.relative_convergence_error.max()) < 1e-9


@pytest.mark.parametrize(
    "of", [torch.maximum, lambda x, y: torch.where(x > 0, x, y)], ids=["maximum", "where"]
)
def test_a_constant_of_as_many_values_as_the_trial_has_rows_is_no_batch(
    of: Callable[[Tensor, Tensor], Tensor],
) -> None:
    class Floored(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(4, TRIAL_ROWS, 5)
            self.register_buffer("floor", torch.linspace(-0.5, 0.5, TRIAL_ROWS))

        def forward(self, x: Tensor) -> Tensor:
            return of(self.conv(x).transpose(1, 2), self.floor).flatten(1).sum(1)

    x = onehot(4, 12)
    result = genolift.deeplift(seeded(Floored), x, x.flip(0)[:, None], precision="float64")
    assert float(result.convergence_error.max()) < 1e-12


def test_nothing_beside_the_output_is_no_second_output() -> None:
    result = genolift.deeplift(Answer(lambda y: (y, None)), onehot(2), onehot(1, seed=1))
    torch.testing.assert_close(result.contributions, expected())


def test_one_row_of_a_model_that_squeezes_is_explained_like_several() -> None:
    class Squeezing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv1d(4, 3, 50), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.conv(x).squeeze().relu()).squeeze()

    model = seeded(Squeezing)
    both = genolift.deeplift(model, onehot(2), onehot(1, seed=1))
    one = genolift.deeplift(model, onehot(2)[:1], onehot(1, seed=1))
    torch.testing.assert_close(one.contributions, both.contributions[:1])
    each = genolift.deeplift(model, onehot(2), onehot(1, seed=1), batch_size=1)
    torch.testing.assert_close(each.contributions, both.contributions)


def test_torchscript_is_refused_with_a_remedy() -> None:
    model = torch.jit.trace(network(), onehot(2))
    with pytest.raises(genolift.UnsupportedOperation, match="TorchScript module cannot be traced; load the"):
        genolift.deeplift(model, onehot(2), onehot(1, seed=1))


def test_weights_without_values_are_refused() -> None:
    with pytest.raises(genolift.InputError, match="on the meta device and has no values; load the weights"):
        genolift.deeplift(network().to("meta"), onehot(2), onehot(1, seed=1))


@dataclass
class Prediction:
    logits: Tensor
    embedding: Tensor


class Answer(nn.Module):
    """A network that returns its outputs in its own form."""

    def __init__(self, form: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.network, self.form = network(), form

    def forward(self, x: Tensor) -> object:
        return self.form(self.network(x))


@pytest.mark.parametrize(
    ("form", "target", "said"),
    [
        (
            lambda y: (y, y.exp()),
            lambda out: out[0][:, 0],
            "output 0 has the shape (n, 2); choose one of 0[0] to 0[1]",
        ),
        (
            lambda y: {"logits": y, "sum": y.sum(1)},
            lambda out: out["logits"][:, 0],
            "returns 2 outputs; choose one of logits[0] to logits[1]; sum",
        ),
        (
            lambda y: Prediction(y, y),
            lambda out: out.logits[:, 0],
            "the model returns 2 outputs; choose one of logits[0] to logits[1]; embedding[0] to embedding[1]",
        ),
        (lambda y: None, None, "the model returns a NoneType; give a callable"),
    ],
    ids=["tuple", "dict", "dataclass", "nothing"],
)
def test_an_output_of_several_tensors_wants_a_callable(
    form: Callable[[Tensor], object], target: Callable[[object], Tensor] | None, said: str
) -> None:
    model = Answer(form)
    with pytest.raises(genolift.InputError) as refused:
        genolift.deeplift(model, onehot(2), onehot(1, seed=1))
    assert said in str(refused.value)
    if target is not None:
        result = genolift.deeplift(model, onehot(2), onehot(1, seed=1), target=target)
        torch.testing.assert_close(result.contributions, expected())


def test_one_tensor_in_a_tuple_or_dict_is_the_output() -> None:
    for form in (lambda y: (y,), lambda y: {"logits": y}):
        result = genolift.deeplift(Answer(form), onehot(2), onehot(1, seed=1))
        torch.testing.assert_close(result.contributions, expected())


def test_a_target_function_must_return_a_tensor() -> None:
    with pytest.raises(genolift.InputError, match="the target function returns a tuple; return a tensor"):
        genolift.deeplift(network(), onehot(2), onehot(1, seed=1), target=lambda y: (y, y))


def test_data_dependent_control_flow_is_refused_with_its_line() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def forward(self, x: Tensor) -> Tensor:
            y = self.network(x)
            return y if y.sum() > 0 else -y

    with pytest.raises(genolift.UnsupportedOperation, match=r"test_capture\.py:\d+ `return y if"):
        genolift.deeplift(Branching(), onehot(2), onehot(1, seed=1))


def test_a_recurrent_layer_of_many_steps_is_one_operation() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.out = nn.LSTM(4, 5, bidirectional=True, batch_first=True), nn.Linear(10, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.lstm(x.transpose(1, 2))[0].mean(1))

    plan = genolift.plan(seeded(Recurrent), onehot(1, length=200))
    assert [row["operation"] for row in plan.table()] == ["permute", "lstm", "mean", "addmm"]


class MakesOnTheHost(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv1d(4, 3, 3), nn.BatchNorm1d(3), nn.Linear(18, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.norm(self.conv(x)) * torch.linspace(0, 1, 18)).mean(1))


def test_a_model_is_traced_on_the_host_and_its_constants_placed_on_the_device() -> None:
    # meta stands for a card: nothing can be computed on it, and what is made on the host does not fit it.
    meta = torch.device("meta")
    graph = capture(MakesOnTheHost(), (torch.rand(1, 4, 20),), device=meta, dtype=torch.float32)
    assert {value.device.type for value in graph.constants.values()} == {"meta"}
    made = [each for each in graph.operations if "device" in each.kwargs]
    assert made
    assert {each.kwargs["device"] for each in made} == {meta}


def test_only_a_forward_that_names_a_device_is_traced_there(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def program(model: Any, example: Any, device: torch.device, *_: Any) -> Any:
        tried.append(device.type)
        raise InputError("Expected all tensors to be on the same device, but found cpu and cuda:0")

    monkeypatch.setattr("genolift.engine.graph.capture._program", program)
    for device, wanted in (("cuda", ["cpu", "cuda"]), ("cpu", ["cpu"])):
        with pytest.raises(InputError, match="same device"):
            capture(nn.Linear(4, 1), (torch.rand(1, 4),), device=torch.device(device), dtype=torch.float32)
        assert tried == wanted
        tried.clear()
