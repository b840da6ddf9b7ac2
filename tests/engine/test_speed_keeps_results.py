"""Optimisations change only rounding: threads, layouts, folded batch norms, reused memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import genolift
from genolift.engine.backends import fused
from genolift.engine.backends.choice import Forms, forms_for
from genolift.engine.devices import threads_of_torch
from genolift.engine.run.run import Runner
from genolift.explain.attribution import Explainer

CPU = torch.device("cpu")
GPU_FORMS = forms_for(torch.device("cuda", 0))
RULES = ["rescale", "revealcancel", "genomics-default"]


class Basset(nn.Module):
    """Convolutions with enough channels to change the layout, batch norms, pools, a residual, dense."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv1d(4, 20, 5, padding=2), nn.BatchNorm1d(20)
        self.inner, self.inner_norm = nn.Conv1d(20, 20, 3, padding=4, dilation=4), nn.BatchNorm1d(20)
        self.dense, self.dense_norm = nn.Linear(200, 16), nn.BatchNorm1d(16)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.stem(x)))
        h = h + torch.relu(self.inner_norm(self.inner(h)))
        h = nn.functional.max_pool1d(h, 3, stride=2, padding=1)
        h = nn.functional.max_pool1d(h, 2)
        return self.head(torch.relu(self.dense_norm(self.dense(h.flatten(1)))))


def basset() -> nn.Module:
    torch.manual_seed(0)
    model = Basset()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.1, 2)
    return model.eval()


def onehot(n: int, seed: int = 0) -> Tensor:
    codes = torch.randint(0, 4, (n, 40), generator=torch.Generator().manual_seed(seed))
    return nn.functional.one_hot(codes, 4).permute(0, 2, 1).float()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n", [1, 7])
def test_contributions_do_not_depend_on_the_number_of_threads(n: int, shared: bool) -> None:
    x = onehot(n)
    references = onehot(3, seed=1) if shared else onehot(n * 3, seed=1).view(n, 3, 4, -1)
    explainer = Explainer(basset(), x, device="cpu")
    with threads_of_torch(1):
        one = explainer.explain(x, references, batch_size=2, keep_multipliers=True)
    with threads_of_torch(3):
        three = explainer.explain(x, references, batch_size=2, keep_multipliers=True)
        assert torch.get_num_threads() == 3
    # One sequence's references are divided among threads, in batches that one thread would not make.
    near = {"rtol": 0, "atol": 1e-6 if n == 1 else 0}
    torch.testing.assert_close(one.contributions, three.contributions, **near)
    torch.testing.assert_close(one.hypothetical, three.hypothetical, **near)
    torch.testing.assert_close(one.multipliers, three.multipliers, **near)
    torch.testing.assert_close(one.standard_error, three.standard_error, **near)


def test_an_error_in_a_thread_is_the_callers() -> None:
    x = onehot(6)
    references = onehot(18, seed=1).view(6, 3, 4, -1)
    calls = []

    def make(inputs: Tensor) -> Tensor:
        calls.append(len(inputs))
        if len(calls) > 3:
            raise genolift.InputError("no more", where="references")
        return references[: len(inputs)]

    with threads_of_torch(3):
        with pytest.raises(genolift.InputError, match="no more"):
            genolift.deeplift(basset(), x, make, batch_size=3)
        assert torch.get_num_threads() == 3


def test_an_output_that_is_not_finite_is_named_by_its_sequence_under_threads() -> None:
    class Log(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0].sum(1, keepdim=True).log()

    x = onehot(5)
    x[3, 0] = 0
    with threads_of_torch(2):
        with pytest.raises(genolift.InputError, match="sequence 3: the model's output is infinite") as caught:
            genolift.deeplift(Log(), x, onehot(2, seed=1), batch_size=1, precision="float64")
        # This also holds while the error, and so every frame, is still referenced.
        assert torch.get_num_threads() == 2, caught


@pytest.mark.parametrize("rule", [*RULES, "gradient"])
def test_a_batch_norm_folded_into_its_layer_changes_nothing(rule: str) -> None:
    model, x = basset(), onehot(3)
    references = onehot(6, seed=1).view(3, 2, 4, -1)
    explainer = Explainer(model, x, rule=rule, precision="float64")
    names = {operation.title for operation in explainer.runner.graph.operations}
    assert "batch_norm" not in names
    assert "batch_norm" in {row["operation"] for row in explainer.plan.table()}
    folded = explainer.explain(x, references)
    whole = Explainer(model, x, rule=rule, precision="float64")
    whole.runner = Runner(whole.plan, whole.device, whole.dtype, keep_everything=True)
    unfolded = whole.explain(x, references)
    torch.testing.assert_close(folded.contributions, unfolded.contributions, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(folded.output.float(), model(x)[:, 0].detach())


def test_a_layer_is_read_before_its_batch_norm() -> None:
    x, references = onehot(2), onehot(4, seed=1).view(2, 2, 4, -1)
    model = basset()
    result = genolift.deeplift(model, x, references, layer="dense", precision="float64")
    with torch.no_grad():
        double = basset().double()
        found = []
        double.dense.register_forward_hook(lambda module, inputs, output: found.append(output))
        double(x.double())
        double(references.flatten(0, 1).double())
    change = (found[0][:, None] - found[1].view(2, 2, -1)).abs()
    assert bool((result.contributions.abs().sum(0)[change.sum((0, 1)) == 0] == 0).all())
    assert float(result.convergence_error.max()) < 1e-12


@pytest.mark.parametrize("rule", RULES)
def test_several_tasks_are_what_one_at_a_time_are(rule: str) -> None:
    x, references = onehot(3), onehot(6, seed=1).view(3, 2, 4, -1)
    together = genolift.deeplift(basset(), x, references, rule=rule, target=[0, 1, 2])
    for task, result in enumerate(together):
        alone = genolift.deeplift(basset(), x, references, rule=rule, target=task)
        torch.testing.assert_close(result.contributions, alone.contributions, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shared", [False, True])
def test_sums_hold_in_every_layout(rule: str, shared: bool) -> None:
    x = onehot(3)
    references = onehot(2, seed=1) if shared else onehot(6, seed=1).view(3, 2, 4, -1)
    single = genolift.deeplift(basset(), x, references, rule=rule)
    double = genolift.deeplift(basset(), x, references, rule=rule, precision="float64")
    assert float(double.relative_convergence_error.max()) < 1e-9
    assert float(single.relative_convergence_error.max()) < 1e-4
    torch.testing.assert_close(single.contributions.double(), double.contributions, rtol=0, atol=1e-5)


def test_bfloat16_is_used_by_convolutions_and_dense_layers_alike() -> None:
    x, references = onehot(2), onehot(2, seed=1)[None].expand(2, 2, 4, -1)

    class Convolution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(4, 1, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).mean(-1)

    torch.manual_seed(0)
    for model in (Convolution(), nn.Sequential(nn.Flatten(), nn.Linear(160, 1))):
        single = genolift.deeplift(model, x, references, precision="float64").contributions
        half = genolift.deeplift(model, x, references, precision="bfloat16").contributions
        error = float((half - single).abs().max() / single.abs().max())
        assert 1e-5 < error < 0.02


def test_one_explainer_takes_batches_of_any_size_under_reveal_cancel() -> None:
    """Weights' absolute values are kept between batches, but nothing with the shape of a batch."""

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.out = nn.Conv1d(4, 8, 3, padding=1), nn.Linear(8, 1)
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.layer(torch.relu(self.stem(x)).transpose(1, 2)).mean(1))

    torch.manual_seed(0)
    x, references = onehot(3), onehot(15, seed=1).view(3, 5, 4, -1)
    explainer = Explainer(Transformer(), x, rule="revealcancel", device="cpu")
    whole = explainer.explain(x, references, batch_size=15)
    for size in (1, 5):
        part = explainer.explain(x, references, batch_size=size)
        torch.testing.assert_close(part.contributions, whole.contributions, rtol=0, atol=1e-6)


WITHOUT = {
    "folding": replace(forms_for(CPU), folding=False),
    "loops": replace(forms_for(CPU), loops=False),
    "stays_half": replace(forms_for(CPU), stays_half=False),
    "channels_last": replace(forms_for(CPU), channels_last=False),
    "all": Forms(folding=False),
}


@cache
def captured(rule: str, precision: str) -> Explainer:
    return Explainer(basset(), onehot(3), rule=rule, device="cpu", precision=precision)


def explained(forms: Forms, rule: str, shared: bool, precision: str = "float64") -> Tensor:
    references = onehot(2, seed=1) if shared else onehot(6, seed=1).view(3, 2, 4, -1)
    explainer = captured(rule, precision)
    half = precision == "bfloat16"
    explainer.runner = Runner(explainer.plan, CPU, explainer.dtype, half_precision=half, forms=forms)
    return explainer.explain(onehot(3), references).contributions


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("off", WITHOUT)
def test_a_fast_form_gives_what_the_formula_behind_it_gives(off: str, shared: bool, rule: str) -> None:
    fast = explained(forms_for(CPU), rule, shared)
    torch.testing.assert_close(explained(WITHOUT[off], rule, shared), fast, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("off", ["loops", "stays_half", "channels_last"])
def test_forms_of_half_precision_give_what_is_computed_without_them(off: str, shared: bool) -> None:
    fast = explained(forms_for(CPU), "rescale", shared, "bfloat16")
    plain = explained(WITHOUT[off], "rescale", shared, "bfloat16")
    assert float((fast - plain).abs().max() / plain.abs().max()) < 0.02


def test_half_precision_stays_between_a_layer_and_its_relu_without_loops_too() -> None:
    explainer = captured("rescale", "bfloat16")
    for forms, wanted in ((GPU_FORMS, torch.bfloat16), (Forms(), torch.float32)):
        runner = Runner(explainer.plan, CPU, explainer.dtype, half_precision=True, forms=forms)
        values = runner.forward((runner.placed(onehot(2)),), carry=True).values
        (relu, *_) = (each for each in runner.graph.operations if each.title == "relu")
        assert values[relu.inputs[0]].dtype == wanted


class Operations(TorchDispatchMode):
    """Counts the operations of torch by name."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("pool", "added"),
    [
        (nn.MaxPool1d(4), False),
        (nn.MaxPool1d(3, 3, padding=1), False),
        (nn.MaxPool1d(3, 2), True),
        (nn.MaxPool1d(2, 2, dilation=3), True),
        (nn.AdaptiveMaxPool1d(7), True),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
def test_a_pool_without_loops_adds_up_credits_only_where_windows_overlap(
    pool: nn.Module, added: bool, shared: bool
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), pool, nn.Flatten(), nn.LazyLinear(1))
    model(onehot(1))
    x, references = onehot(3), onehot(2, seed=1) if shared else onehot(6, seed=1).view(3, 2, 4, -1)
    explainer = Explainer(model.eval(), x, rule="rescale", device="cpu", precision="float64")
    by_loops = explainer.explain(x, references).contributions
    explainer.runner = Runner(explainer.plan, CPU, explainer.dtype, forms=GPU_FORMS)
    with Operations() as counted, threads_of_torch(1):
        by_formula = explainer.explain(x, references).contributions
    torch.testing.assert_close(by_formula, by_loops, rtol=1e-9, atol=1e-12)
    assert bool(counted.seen["scatter_add_"]) == added
    assert bool(counted.seen["scatter_"]) != added


class Compiled:
    """Stands in for torch's compiler: counts the formulas that it is given, and may fail."""

    def __init__(self) -> None:
        self.graphs = 0
        self.error: Exception | None = None

    def __call__(self, graph: Any, example: Any) -> Any:
        self.graphs += 1

        def run(*arguments: Any) -> Any:
            if self.error is not None:
                raise self.error
            return graph.forward(*arguments)

        return run


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiled]:
    """A compiler in place of torch's, on a CPU that does not ask whether a mask holds, as no GPU does."""
    made, compile_ = Compiled(), torch.compile
    monkeypatch.setattr(torch, "compile", lambda *args, **options: compile_(*args, **options, backend=made))
    monkeypatch.setattr("genolift.engine.rules.rules.may_hold", lambda mask: True)
    torch.compiler.reset()
    fused._in_use.cache_clear()
    yield made
    fused._in_use.cache_clear()
    torch.compiler.reset()


@pytest.mark.parametrize("rule", ["rescale", "revealcancel"])
def test_fused_formulas_give_what_is_written_and_compile_once_for_all_sizes(
    rule: str, compiler: Compiled
) -> None:
    explainer = captured(rule, "float64")
    sizes = [(3, 5), (4, 3), (5, 6), (7, 2)]
    given = [(onehot(n), onehot(n * r, seed=1).view(n, r, 4, -1)) for n, r in sizes]
    explainer.runner = Runner(explainer.plan, CPU, explainer.dtype, forms=Forms())
    written = [explainer.explain(*each).contributions for each in given]
    explainer.runner = Runner(explainer.plan, CPU, explainer.dtype, forms=Forms(compiled=True))
    with threads_of_torch(1):
        compiled = [explainer.explain(*each).contributions for each in given]
    torch.testing.assert_close(compiled, written, rtol=1e-9, atol=1e-12)
    assert 0 < compiler.graphs <= 2  # of axes of values, and numbers of sequences, there are more


def test_memory_that_is_exhausted_within_a_fused_formula_halves_the_batch(compiler: Compiled) -> None:
    explainer = captured("rescale", "float64")
    explainer.runner = Runner(explainer.plan, CPU, explainer.dtype, forms=Forms(compiled=True))
    x, references = onehot(4), onehot(8, seed=1).view(4, 2, 4, -1)
    with threads_of_torch(1):
        whole = explainer.explain(x, references).contributions
        compiler.error = torch.OutOfMemoryError("CUDA out of memory.")
        with pytest.raises(genolift.InputError, match="do not fit the device's memory"):
            explainer.explain(x, references)
        assert fused._in_use() != [fused.as_written]
        compiler.error = RuntimeError("no C compiler")
        torch.testing.assert_close(explainer.explain(x, references).contributions, whole)
    assert fused._in_use() == [fused.as_written]
