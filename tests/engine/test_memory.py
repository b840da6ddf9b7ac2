"""A memory budget is kept: a batch's memory is never underestimated, and a job that cannot fit is refused."""

from __future__ import annotations

import gc
import json
import math
import re
import subprocess
import sys
import weakref
from typing import Any

import psutil
import pytest
import torch
from lacking import skip
from torch import nn

import genolift
from genolift.engine.backends.choice import forms_for
from genolift.engine.devices import Cpu
from genolift.engine.kinds.pairs import Pairs
from genolift.engine.run.backward import multipliers as multipliers_of
from genolift.engine.run.budget import split
from genolift.engine.run.footprint import Footprint, footprint
from genolift.engine.run.job import Job
from genolift.engine.run.run import Runner
from genolift.explain.explainer import Explainer

CPU = torch.device("cpu")
MIB = 2**20

# A peak belongs to a process and all that it has done, so each is measured in its own process.
PEAKS = """
import json, sys
import torch
from torch import nn
from genolift.engine.devices import HOST
from genolift.engine.run.footprint import footprint
from genolift.engine.run.job import Job
from genolift.engine.run.run import Runner
from genolift.explain.explainer import Explainer

def kibibytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

def start():
    HOST.give_back()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the highest resident set is counted from here
    return 1024 * kibibytes("VmRSS")

def say(before, most):
    print(json.dumps([1024 * kibibytes("VmHWM") - before, most]))

torch.manual_seed(0)
"""
MEASURED = """
layers = [nn.Conv1d(4, 32, 9, padding=4), nn.ReLU()]
for _ in range(4):
    layers += [nn.Conv1d(32, 32, 5, padding=2), nn.ReLU()]
model = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 1)).eval()
x = torch.eye(4)[torch.randint(4, (4, 6000))].movedim(2, 1).contiguous()
references = x[:, None, :, torch.randperm(6000)].expand(4, 12, 4, 6000).contiguous()
explainer = Explainer(model, x, rule=sys.argv[1], device="cpu")
explainer.explain(x[:2], references[:2, :2], batch_size=1)
"""
ESTIMATED = """
for size in (1, 12):
    before = start()
    explainer.explain(x, references, batch_size=size)
    need = footprint(Job(explainer.runner, explainer.targets, x, references, (), ()))
    most = need.results + torch.get_num_threads() * need.of_batch(size)
    print(json.dumps([1024 * kibibytes("VmHWM") - before, most]))
"""
BUDGETED = """
before = start()
for more in (10**9, int(sys.argv[2])):
    before = start()
    explainer.explain(x, references, batch_size=24, memory=before + more)
    print(json.dumps([1024 * kibibytes("VmHWM") - before, more]))
"""


WINDOWS = """
from genolift.engine.run.footprint import bytes_kept_for_windows, bytes_to_find_windows
from genolift.explain.substitution import ForwardOnly

def network(length):
    layers = [nn.Conv1d(4, 64, 9, padding=4), nn.ReLU(), nn.Conv1d(64, 64, 5, padding=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * length, 300), nn.ReLU(), nn.Linear(300, 1))

for length in (200, 2000):  # at first to compile loops
    x = torch.eye(4)[torch.randint(4, (1, length))].movedim(2, 1).contiguous()
    forward = ForwardOnly(network(length).eval(), x, device="cpu")
    with forward._settings():
        before = start()
        windows = forward.by_windows((x,))
        say(before, bytes_to_find_windows(forward.runner))
        for size in (1, 400):
            position = torch.arange(length // 2, length // 2 + size // 8 + 1).repeat_interleave(8)[:size]
            before = start()
            kept = windows.keep([x])
            windows.output(kept, torch.zeros(size, dtype=torch.long), position)
            row, _ = windows.bytes_of_row(position)
            say(before, bytes_kept_for_windows(forward.runner) + size * row)
            del kept
"""


def measured(script: str, *arguments: object) -> list[tuple[int, int]]:
    if sys.platform != "linux":
        skip("peaks are read from /proc", lacking="linux")
    words = [sys.executable, "-c", PEAKS + script, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("rule", ["rescale", "revealcancel"])
def test_no_batch_takes_more_than_is_estimated(rule: str) -> None:
    for peak, most in measured(MEASURED + ESTIMATED, rule):
        assert peak <= most
        assert most < 6 * peak + 128 * MIB  # or a job that would fit is refused


def test_mutagenesis_by_windows_takes_no_more_than_is_estimated() -> None:
    """Reordered weights of a dense layer, 150 MB here, and what is kept of a sequence count."""
    for peak, most in measured(WINDOWS)[3:]:
        assert peak <= most
        assert most < 6 * peak + 32 * MIB


def test_a_budget_is_kept_by_the_whole_process() -> None:
    (without, _), (peak, budget) = measured(MEASURED + BUDGETED, "rescale", 110 * MIB)
    assert peak <= budget < without


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 196, 2)).eval()


def onehot(n: int) -> torch.Tensor:
    codes = torch.randint(4, (n, 200), generator=torch.Generator().manual_seed(n))
    return nn.functional.one_hot(codes, 4).movedim(2, 1).contiguous()


def test_a_pair_that_cannot_fit_is_refused_with_what_it_takes() -> None:
    x = onehot(2).float()
    explainer = Explainer(network(), x, device="cpu")
    half = psutil.Process().memory_info().rss // 2  # memory left by other tests may be freed meanwhile
    for refused in (
        lambda: explainer.explain(x, x[:1], memory=half),
        lambda: Explainer(network(), x, device="cpu", memory=half),
    ):
        with pytest.raises(genolift.InputError) as error:
            refused()
        message = str(error.value)
        numbers = re.fullmatch(
            r"memory: one sequence with one reference takes (\d+) MiB of memory.*; ([\d,]+) MiB are in use "
            r"already, the budget is ([\d,]+) MiB and ([\d,]+) MiB are free; raise --memory "
            r"\(attribution.memory\) to (\d+)MiB or more, or explain shorter sequences, .*",
            message,
        )
        assert numbers, message
        takes, used, budget, _, wanted = (int(number.replace(",", "")) for number in numbers.groups())
        assert budget < used + takes <= wanted + 2
    assert explainer.explain(x, x[:1], memory=(wanted + 30) * MIB).contributions.shape == x.shape


def test_without_a_budget_a_pair_that_cannot_fit_what_is_free_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = onehot(2).float()
    explainer = Explainer(network(), x, device="cpu")
    monkeypatch.setattr(Cpu, "free", lambda self: 5 * MIB)
    with pytest.raises(genolift.InputError, match="5 MiB are free; explain shorter sequences"):
        explainer.explain(x, x[:1])


def test_without_a_budget_a_job_stays_under_its_share_of_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    need = Footprint(worker=0, sequence=0, pair=MIB, shared=0, values=1, results=10 * MIB, r=1)
    monkeypatch.setattr(Cpu, "free", lambda self: 1000 * MIB)
    for of_job, pairs in ((math.inf, 495), (200 * MIB, 190), (5 * MIB, 1)):
        monkeypatch.setattr(Cpu, "left_of_job", lambda self, share, of_job=of_job: of_job)
        monkeypatch.setattr(Cpu, "fast_batch", lambda self, room, pair, values: room // pair)
        assert split(need, CPU, 1).size == pairs


def test_workers_share_a_budget_and_are_fewer_where_it_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    held = 500 * MIB  # pretend that memory left by other tests is freed meanwhile
    monkeypatch.setattr(Cpu, "held", lambda self: held)
    need = Footprint(worker=10, sequence=5, pair=20, shared=0, values=1, results=100, r=4)
    assert [need.of_batch(size) for size in (1, 4, 8)] == [35, 95, 180]
    for size in (1, 2, 4, 8, 12):
        assert need.pairs_in(need.of_batch(size)) == size
    assert need.pairs_in(34) == 0
    used = held + 100 + MIB
    few, one = (split(need, CPU, 4, memory=used + room * MIB) for room in (30, 300))
    assert few.workers == one.workers == 4
    large = Footprint(MIB, 5 * MIB, 20 * MIB, 0, MIB, 100, 4)
    assert split(large, CPU, 4, memory=used + 60 * MIB).workers in (1, 2)
    assert split(large, CPU, 4, memory=used + 10_000 * MIB, batch_size=3) == split(
        large, CPU, 4, batch_size=3
    )


def test_several_targets_kept_multipliers_and_made_references_count() -> None:
    x = onehot(3).float()
    explainer = Explainer(network(), x, device="cpu", target=[0, 1])
    references = x[:, None].repeat(1, 5, 1, 1)

    def need(targets: int, given: object, *, keep: bool = False) -> Footprint:
        job = Job(explainer.runner, explainer.targets[:targets], x, given, (), ())
        return footprint(job, keep_multipliers=keep)

    one = need(1, references)
    assert need(2, references).pair > one.pair
    assert need(2, references).results == 2 * one.results
    assert need(1, references, keep=True).results >= one.results + references.numel() * 4
    assert need(1, lambda some: references[: len(some)]).sequence >= one.sequence + references[0].numel() * 4
    assert need(1, references[0]).shared >= 5 * explainer.runner.graph.operations[0].row_numel * 4


def test_absolute_weights_count_until_they_are_made() -> None:
    x = onehot(2).float()
    model = nn.Sequential(nn.Flatten(), nn.Linear(800, 50), nn.ReLU(), nn.Linear(50, 1)).eval()
    explainer = Explainer(model, x, device="cpu", rule="revealcancel")
    job = Job(explainer.runner, explainer.targets, x, x[:, None], (), ())
    assert footprint(job).shared >= 800 * 50 * 4
    explainer.explain(x, x[:, None].roll(1, 3))
    assert footprint(job).shared < 800 * 50 * 4


def test_references_as_bytes_give_what_they_give_as_float32() -> None:
    x = onehot(3)
    references = torch.stack([x.roll(k, 2) for k in (1, 2)], 1)
    for given in (references, references[0]):
        bytes_, floats = (
            genolift.deeplift(network(), x, each, device="cpu") for each in (given.byte(), given.float())
        )
        assert torch.equal(bytes_.contributions, floats.contributions)


def tensors() -> int:
    """Return how many tensors there are."""
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


class Attending(nn.Module):
    """Convolution, pool, attention, a recurrent layer, and a maximum of two branches."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 8, 5)
        self.attention = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0, batch_first=True)
        self.recurrent, self.out = nn.LSTM(8, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.max_pool1d(torch.relu(self.stem(x)), 20)
        h = self.attention(torch.maximum(h, h.flip(-1)).transpose(1, 2))
        return self.out(self.recurrent(h)[0].mean(1))


@pytest.mark.parametrize("rule", ["rescale", "revealcancel", "gradient"])
def test_no_value_of_a_batch_waits_for_pythons_collector(rule: str) -> None:
    """On a GPU what waits is memory that the next batches lack."""
    x = onehot(3).float()
    explainer = Explainer(Attending().eval(), x, device="cpu", rule=rule)
    gpu_forms = forms_for(torch.device("cuda", 0))
    for forms in (None, gpu_forms):
        explainer.runner = Runner(explainer.plan, CPU, explainer.dtype, forms=forms)
        for references in (x[:, None].roll(1, 3).repeat(1, 2, 1, 1), x[:2]):
            explainer.explain(x, references)  # what is made once and kept
            gc.collect()
            gc.disable()
            try:
                explainer.explain(x, references, batch_size=2)
                left = tensors()
                gc.collect()
                assert tensors() == left
            finally:
                gc.enable()


def test_what_did_not_fit_is_gone_when_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    x = onehot(4).float()
    explainer = Explainer(network(), x, device="cpu")
    whole = explainer.explain(x, x[:, None].roll(1, 3)).contributions
    computed, gone = [], []

    def multipliers(runner: Runner, pairs: Pairs, seed: torch.Tensor, **more: Any) -> torch.Tensor:
        if pairs.n > 1:
            computed.append(weakref.ref(pairs.sequences))
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return multipliers_of(runner, pairs, seed, **more)

    monkeypatch.setattr("genolift.engine.run.job.multipliers_of", multipliers)
    monkeypatch.setattr(Cpu, "give_back", lambda self: gone.append([each() for each in computed]))
    gc.disable()
    try:
        halved = explainer.explain(x, x[:, None].roll(1, 3), batch_size=4).contributions
    finally:
        gc.enable()
    torch.testing.assert_close(halved, whole, rtol=0, atol=1e-6)
    assert gone
    assert all(each is None for held in gone for each in held)
