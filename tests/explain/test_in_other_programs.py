"""deeplift in other programs: models, threads and processes as people have them."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import pytest
import torch
from lacking import skip
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

import genolift
from genolift.engine.graph.own_state import one_capture_at_a_time, process_settings
from genolift.explain.attribution import Explainer

CODES = torch.randint(4, (2, 12), generator=torch.Generator().manual_seed(0))
X = nn.functional.one_hot(CODES, 4).transpose(1, 2).float()
REFERENCE = torch.full((1, 4, 12), 0.25)


class Net(nn.Module):
    """A convolution and a dense layer; ``between`` is applied to what is between them."""

    def __init__(self, between: Callable[[Tensor], Any] = torch.relu) -> None:
        super().__init__()
        self.conv, self.out, self.between = nn.Conv1d(4, 3, 5), nn.Linear(3 * 8, 1), between
        for number, parameter in enumerate(self.parameters()):
            generator = torch.Generator().manual_seed(number)
            parameter.data = torch.randn(parameter.shape, generator=generator) / 3

    def forward(self, x: Tensor) -> Any:
        return self.out(self.between(self.conv(x)).flatten(1))


@cache
def expected() -> genolift.Attribution:
    return genolift.deeplift(Net(), X, REFERENCE)


def assert_as_expected(found: genolift.Attribution) -> None:
    torch.testing.assert_close(found.contributions, expected().contributions, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found.output, expected().output, rtol=1e-6, atol=1e-7)


def assert_exact(model: nn.Module, **options: Any) -> None:
    """Check the output against the model's own, and the sum of the contributions."""
    with torch.no_grad():
        output = model.eval()(X)
    model.train()
    output = output if isinstance(output, Tensor) else output.logits
    found = genolift.deeplift(model, X, REFERENCE, **options)
    torch.testing.assert_close(found.output, output[:, 0].float(), rtol=1e-5, atol=1e-6)
    assert found.convergence_error.max() < 1e-6
    assert found.contributions.abs().max() > 1e-3


def test_inputs_that_are_not_contiguous_or_in_double_are_taken() -> None:
    turned = X.transpose(1, 2).contiguous().transpose(1, 2)
    assert not turned.is_contiguous()
    assert_as_expected(genolift.deeplift(Net(), turned.double(), REFERENCE.double()))


def test_a_model_keeps_its_mode_its_gradients_and_its_hooks() -> None:
    model, calls = Net(), []
    model.train()
    model.out.eval()
    model.conv.weight.grad = torch.ones_like(model.conv.weight)
    model.conv.register_forward_hook(lambda *_: calls.append(1))
    handle = model.out.register_forward_hook(lambda module, args, output: output * 2)
    before = copy.deepcopy(model.state_dict())
    found = genolift.deeplift(model, X, REFERENCE)
    torch.testing.assert_close(found.output, 2 * expected().output)
    assert (model.training, model.conv.training, model.out.training) == (True, True, False)
    assert torch.equal(model.conv.weight.grad, torch.ones_like(model.conv.weight))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    handle.remove()


def test_a_forked_process_computes_what_its_parent_does() -> None:
    if torch.version.cuda is not None:
        why = "torch built with CUDA refuses autograd in a process forked from one that used it"
        skip(why, lacking="cpu-torch")
    wanted = expected().contributions
    with process_settings(torch.float64), one_capture_at_a_time():  # as if in another thread of the parent
        child = os.fork()
        if child == 0:
            same = False
            try:
                found = genolift.deeplift(Net(), X, REFERENCE)
                same = torch.allclose(found.contributions, wanted, rtol=1e-6, atol=1e-7)
            finally:
                os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_calls_in_an_event_loop_run_side_by_side() -> None:
    async def both() -> list[genolift.Attribution]:
        call = asyncio.to_thread(genolift.deeplift, Net(), X, REFERENCE)
        return list(await asyncio.gather(call, asyncio.to_thread(genolift.deeplift, Net(), X, REFERENCE)))

    for found in asyncio.run(both()):
        assert_as_expected(found)


def test_an_interrupt_passes_through_and_leaves_nothing_set() -> None:
    def interrupted(_: Any) -> Any:
        raise KeyboardInterrupt

    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        genolift.deeplift(Net(), X, REFERENCE, precision="float64", progress=interrupted)
    with pytest.raises(KeyboardInterrupt):  # while the model is captured
        genolift.deeplift(Net(), X, REFERENCE, precision="float64", target=interrupted)
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, torch.float32)
    found: list[genolift.Attribution] = []
    after = threading.Thread(target=lambda: found.append(genolift.deeplift(Net(), X, REFERENCE)))
    after.start()
    after.join(60)
    assert_as_expected(found[0])


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "torch.compile"])
def test_a_wrapped_model_is_the_model_within(wrap: Callable[[nn.Module], nn.Module]) -> None:
    assert_as_expected(genolift.deeplift(wrap(Net()), X, REFERENCE))


def with_norms() -> nn.Module:
    model = Net()
    parametrizations.spectral_norm(model.conv)
    parametrizations.weight_norm(model.out)
    return model.eval()


def pruned() -> nn.Module:
    model = Net()
    prune.l1_unstructured(model.conv, "weight", 0.5)
    return model


def recomputed(h: Tensor) -> Any:
    return checkpoint(torch.relu, h, use_reentrant=False)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * 5  # not the derivative of what forward computes, which is explained


class Named(NamedTuple):
    logits: Tensor
    other: Tensor


@dataclass
class Fields:
    logits: Tensor
    other: Tensor


class Several(Net):
    def __init__(self, kind: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Any:
        return self.kind(super().forward(x), x.mean((1, 2)))


@pytest.mark.parametrize(
    ("made", "options"),
    [
        pytest.param(with_norms, {}, id="weight and spectral norm"),
        pytest.param(pruned, {}, id="prune"),
        pytest.param(lambda: Net(Doubled.apply), {}, id="autograd.Function"),
        pytest.param(
            lambda: Net(lambda h: checkpoint(torch.relu, h, use_reentrant=False)), {}, id="checkpoint"
        ),
        pytest.param(lambda: Net(lambda h: torch.fft.irfft(torch.fft.rfft(h) * 2, n=8).relu()), {}, id="FFT"),
        pytest.param(lambda: Several(Named), {"target": "logits"}, id="namedtuple"),
        pytest.param(lambda: Several(Fields), {"target": "logits"}, id="dataclass"),
    ],
)
def test_what_models_are_made_with_is_explained_exactly(
    made: Callable[[], nn.Module], options: dict[str, Any]
) -> None:
    assert_exact(made(), **options)


def test_calls_leave_no_tensor_no_thread_and_no_hook_behind() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))

    def left() -> tuple[int, int, int]:
        gc.collect()
        # torch keeps parts of its last trace, for tensors without data
        every = (each for each in gc.get_objects() if type(each) in (Tensor, nn.Parameter))
        held = [each for each in every if each.layout == torch.strided]
        return sum(each.nbytes for each in held), threading.active_count(), len(model[1]._forward_hooks)

    def call() -> tuple[int, int, int]:
        genolift.deeplift(model, X, REFERENCE)
        explainer = Explainer(model, X)
        for _ in range(60):
            explainer.explain(X, REFERENCE)
        del explainer
        return left()

    first = call()
    assert call() == first
