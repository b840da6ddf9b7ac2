"""What a GPU asks of the engine, on a machine without one: torch's answers are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import genolift
from genolift.engine.devices import Cpu, Gpu, chosen_device, place
from genolift.engine.kinds.pairs import Activations
from genolift.engine.run.run import Runner, batches

GPU = torch.device("cuda", 1)


def on_a_gpu(monkeypatch: pytest.MonkeyPatch, **answers: Callable[..., Any]) -> None:
    """Let torch say that there are GPUs, and use number 1; ``answers`` are functions of torch.cuda."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, answer)


@pytest.mark.parametrize("asked", ["cuda", "auto", None, "cuda:1", torch.device("cuda")])
def test_a_chosen_gpu_has_its_number_which_torch_asks_for_to_limit_its_memory(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = []

    def limit(share: float, device: torch.device) -> None:
        if device.index is None:
            raise ValueError(f"Expected a torch.device with a specified index, but got: {device}")
        limited.append((share, device.index))

    class Properties:
        total_memory = 100

    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *size, device: zeros(*size))
    on_a_gpu(
        monkeypatch,
        set_per_process_memory_fraction=limit,
        get_device_properties=lambda device: Properties,
    )
    chosen = chosen_device(asked)
    assert chosen == GPU
    with place(chosen).at_most(25):
        pass
    assert limited == [(0.25, 1), (1.0, 1)]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("CUDA error: out of memory")]
)
def test_a_full_gpu_is_called_full(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*size: int, device: torch.device) -> None:
        raise error

    on_a_gpu(monkeypatch)
    monkeypatch.setattr(torch, "zeros", full)
    with pytest.raises(genolift.InputError, match="device: the memory of 'cuda' is full; end what else"):
        chosen_device("cuda")


def test_what_torch_keeps_for_its_next_tensors_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_gpu(
        monkeypatch,
        mem_get_info=lambda device: (1000, 8000),
        memory_reserved=lambda device: 5000,
        memory_allocated=lambda device: 700,
    )
    assert place(GPU).free() == 1000 + 5000 - 700


class Stream:
    """A stream whose copies are late: they are made when something waits for them."""

    in_use: Stream

    def __init__(self, device: object = None) -> None:
        self.late: list[Callable[[], object]] = []

    def synchronize(self) -> None:
        while self.late:
            self.late.pop(0)()

    def wait_stream(self, other: Stream) -> None:
        other.synchronize()

    def record_event(self) -> Stream:
        return self


class Pinned(Tensor):
    """Memory that is copied from and to late, and holds NaN until then."""

    def copy_(self, source: Tensor, non_blocking: bool = False) -> Tensor:
        plain = self.as_subclass(Tensor)
        if not non_blocking:
            return plain.copy_(source).as_subclass(Pinned)
        plain.fill_(torch.nan)
        Stream.in_use.late.append(lambda: plain.copy_(source))
        return self

    def to(self, device: torch.device, non_blocking: bool = False) -> Tensor:
        assert non_blocking
        source, there = self.as_subclass(Tensor), torch.full(self.shape, 7.0).to(self.dtype)
        Stream.in_use.late.append(lambda: there.copy_(source))
        return there


@contextmanager
def stream(one: Stream) -> Iterator[None]:
    before, Stream.in_use = Stream.in_use, one
    try:
        yield
    finally:
        Stream.in_use = before


@pytest.fixture
def late_copies(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Let the CPU copy as a GPU does; returns the room that was asked for."""
    made: list[Tensor] = []

    def empty(*size: Any, pin_memory: bool = False, **options: Any) -> Tensor:
        if pin_memory:
            made.append(plain(*size, **options).as_subclass(Pinned))
            return made[-1]
        return plain(*size, **options)

    plain, Stream.in_use = torch.empty, Stream()
    monkeypatch.setattr(torch, "empty", empty)
    on_a_gpu(monkeypatch, Stream=Stream, stream=stream, current_stream=lambda device: Stream.in_use)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(Tensor, "record_stream", lambda self, one: None, raising=False)
    gpu = Gpu(torch.device("cpu"))
    monkeypatch.setattr(Cpu, "brought", lambda self, tensor: gpu.brought(tensor))
    monkeypatch.setattr(Cpu, "fetched", lambda self, tensors: gpu.fetched(tensors))
    return made


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv1d(4, 8, 5), nn.ReLU(), nn.MaxPool1d(4), nn.Flatten(), nn.Linear(8 * 9, 2)
    return nn.Sequential(*layers).eval()


def onehot(*rows: int, seed: int = 0) -> Tensor:
    codes = torch.randint(4, (*rows, 40), generator=torch.Generator().manual_seed(seed))
    return nn.functional.one_hot(codes, 4).transpose(-1, -2).contiguous()


def explained(**more: Any) -> Any:
    given = onehot(7).float(), onehot(7, 3, seed=1).byte()
    return genolift.deeplift(network(), *given, device="cpu", batch_size=6, keep_multipliers=True, **more)


def test_no_copy_is_read_before_it_has_arrived(
    late_copies: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = explained()
    assert len(late_copies) > 20
    monkeypatch.undo()
    for name, expected in vars(explained()).items():
        if isinstance(expected, Tensor):
            assert torch.equal(getattr(late, name), expected), name


def test_where_no_memory_can_be_pinned_copies_are_plain() -> None:
    """So on this machine, unless it has a GPU."""
    x = torch.rand(3, 4)
    copies, arrived = Gpu(torch.device("cpu")).fetched([Gpu(torch.device("cpu")).brought(x)])
    arrived()
    assert torch.equal(copies[0], x)


@pytest.mark.parametrize(("n", "r", "size"), [(64, 20, 1279), (7, 3, 6), (5, 22, 6), (1, 20, 19), (3, 4, 1)])
def test_batches_are_nearly_of_one_size(n: int, r: int, size: int) -> None:
    pairs = [
        (rows.stop - rows.start) * (references.stop - references.start)
        for rows, references in batches(n, r, size)
    ]
    assert sum(pairs) == n * r
    assert max(pairs) <= size
    assert max(pairs) - min(pairs) <= min(r, size)
    assert len(pairs) <= max(-(-n // max(1, size // r)), n * -(-r // size))


def test_mutagenesis_halves_its_batches_whoever_says_that_memory_is_exhausted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, rows = onehot(2).float(), []
    whole = genolift.in_silico_mutagenesis(network(), x, device="cpu").hypothetical
    forward = Runner.forward

    def limited(self: Runner, inputs: tuple[Tensor, ...], *, carry: bool) -> Activations:
        rows.append(len(inputs[0]))
        if rows[-1] > 30:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return forward(self, inputs, carry=carry)

    monkeypatch.setattr(Runner, "forward", limited)
    halved = genolift.in_silico_mutagenesis(network(), x, device="cpu", batch_size=100).hypothetical
    torch.testing.assert_close(halved, whole, rtol=0, atol=1e-6)
    assert max(rows) > 30
    assert rows[-1] <= 30
