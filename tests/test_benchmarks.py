"""Tests the benchmarks' own functions: what they compute from times, never how long anything takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import first_call
import gpu_check
import pytest
import torch
from floor import floor, gradient_times_input, gradients
from gpu_bench import FIGURES, Bench, Figure, NotThereError
from machine import machine, peak_memory
from measure import largest_difference, of_precision, ratio
from models import SHAPES, SmallConvolutional, make_work, random_onehot, with_statistics
from peers import PEERS, OneTask
from places import ROOT
from scaling import slope
from tables import bars, faster, fastest_peer, markdown
from timing import best_batch, fitting, interleaved, median_ratio

CPU = torch.device("cpu")


def _record() -> dict[str, Any]:
    return {
        "model": "made-up",
        "length": 1000,
        "sequences": 2,
        "references": 5,
        "sequences of one flat reference": 4,
        "tasks": 1,
        "seconds": {
            "floor": [1.0, 2.0],
            "genolift rescale": [1.1, 2.2],
            "genolift genomics-default": [1.5, 3.0],
            "genolift revealcancel": [3.0, 6.0],
            "quick but wrong, best batch": [0.5, 0.5],
            "right, best batch": [3.3, 6.6],
            "right, default batch": [4.4, 8.8],
        },
        "first seconds": dict.fromkeys(
            [
                "floor",
                "genolift rescale",
                "genolift genomics-default",
                "genolift revealcancel",
                "quick but wrong, best batch",
                "right, best batch",
                "right, default batch",
            ],
            9.0,
        ),
        "batches": {"floor": 4},
        "peers": {
            "quick but wrong": {
                "version": "1",
                "agrees": False,
                "difference": 2.0,
                "missing of the sum": 1.0,
            },
            "right": {"version": "2", "agrees": True, "difference": 1e-7, "missing of the sum": 1e-7},
            "absent": {"version": None, "error": "not installed"},
        },
        "errors": {rule: {"float32": 1e-6} for rule in ("rescale", "genomics-default", "revealcancel")},
        "memory": {"budget": 2**29, "rescale": 2**20},
    }


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    assert median_ratio([2.0, 30.0, 8.0], [1.0, 10.0, 2.0]) == 3.0


def test_every_run_is_run_once_a_round_and_the_order_turns() -> None:
    order: list[str] = []
    runs = {name: (lambda name=name: order.append(name)) for name in "abc"}
    times = interleaved(runs, 3, CPU)
    assert [len(each) for each in times.values()] == [3, 3, 3]
    assert "".join(order) == "abcbcacab"


def test_the_batch_that_runs_fastest_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {1: 4.0, 2: 1.0, 4: 1.5, 8: 3.0, 16: 0.1}
    tried: list[int] = []
    monkeypatch.setattr("timing.seconds", lambda run, device: taken[run()])

    def run(size: int) -> int:
        tried.append(size)
        return size

    assert best_batch(run, [1, 2, 4, 8, 16], CPU) == 2
    assert 16 not in tried, "a size after one that is hopelessly slow is not tried"


def test_a_search_for_the_best_batch_ends_when_patience_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timing.seconds", lambda run, device: run())
    assert best_batch(lambda size: 1 / size, [1, 2, 4], CPU, patience=-1) == 1


def test_where_all_batch_sizes_are_too_large_there_is_one_of_all_pairs() -> None:
    assert fitting((20, 64, 128), 70) == [20, 64]
    assert fitting((20, 64, 128), 4) == [4]


def test_a_run_that_fails_is_told_and_the_others_go_on() -> None:
    def fails() -> None:
        raise RuntimeError("no memory | left\nat all")

    failed: dict[str, str] = {}
    times = interleaved({"a": fails, "b": lambda: None}, 2, CPU, failed=failed)
    assert failed == {"a": "failed: RuntimeError: no memory / left"}
    assert {name: len(seconds) for name, seconds in times.items()} == {"b": 2}
    with pytest.raises(RuntimeError, match="no memory"):
        interleaved({"a": fails}, 1, CPU)


def test_a_stage_of_the_first_call_is_less_the_stages_inside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 3.0, 10.0])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    monkeypatch.setattr(first_call, "STAGES", {})
    first_call.timed("outer", first_call.timed, "inner", lambda: None)
    assert first_call.STAGES == {"inner": 2.0, "outer": 8.0}


def _failing(bench: Bench) -> Any:
    raise RuntimeError("CUDA error: out of memory")


def _absent(bench: Bench) -> Any:
    raise NotThereError("no such peer")


def test_every_figure_of_a_gpu_is_written_before_the_next_and_a_failure_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def measured(bench: Bench) -> tuple[float, dict[str, list[float]], str]:
        file = tmp_path / "gpu.json"
        written.append(len(json.loads(file.read_text())["rows"]) if file.exists() else 0)
        return 1.3, {"run": [1.3]}, "as it was"

    figures = (
        Figure("first", measured, at_most=1.15),
        Figure("second", _failing),
        Figure("third", _absent),
        Figure("fourth", measured, at_least=1.2),
    )
    monkeypatch.setattr(Figure, "all", staticmethod(lambda: figures))
    monkeypatch.setattr(gpu_check, "_bench", lambda benches, name, device: None)
    monkeypatch.setattr(gpu_check, "_rehearsed", lambda device: False)
    gpu_check.run_figures(gpu_check.Records(tmp_path, "bench-1", {}), ("bpnet",), CPU, time.monotonic() + 60)
    assert written == [0, 3]
    other = gpu_check.Records(tmp_path, "bench-2", {})
    gpu_check.run_figures(other, ("basset",), CPU, time.monotonic() - 1)
    page = (tmp_path / "gpu.md").read_text()
    assert "| bench-1 | bpnet | first | at most 1.15 | **1.3** | as it was |" in page
    assert "| bench-1 | bpnet | second |  | - | failed: RuntimeError: CUDA error: out of memory |" in page
    assert "| bench-1 | bpnet | third |  | - | not run: no such peer |" in page
    assert "| bench-1 | bpnet | fourth | at least 1.2 | 1.3 | as it was |" in page
    assert page.count("| bench-2 | basset |") == page.count("not run: out of time") == 4


def test_figures_of_a_rehearsal_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Figure, "all", staticmethod(lambda: FIGURES[:2]))
    monkeypatch.setitem(gpu_check.SHAPES, "bpnet", SHAPES["paper"])
    gpu_check.run_figures(gpu_check.Records(tmp_path, "bench-1", {}), ("bpnet",), CPU, time.monotonic() + 60)
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert [row["what"] for row in rows] == ["Rescale over the floor", "RevealCancel over Rescale"]
    assert all(row["rehearsed"] and row["figure"] > 0 for row in rows)
    assert (tmp_path / "gpu.md").read_text().count("| not run |") == 2


BARE = """
import sys
import pytest

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyarrow", "modiscolite", "finemo", "pyjaspar", "Bio", "logomaker"):
            raise ModuleNotFoundError(f"no module named {name}", name=name)

sys.meta_path.insert(0, Missing())
sys.exit(pytest.main(["-q", "--collect-only", "-m", "gpu", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def test_a_gpu_s_tests_need_no_package_that_its_machine_lacks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BARE, *gpu_check.TESTS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "tests/engine/test_on_a_gpu.py" in done.stdout


def test_floor_runs_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_statistics(SmallConvolutional())
    rows: list[int] = []
    model.register_forward_hook(lambda module, inputs, output: rows.append(len(inputs[0])))
    floor(model, random_onehot(3, 50), random_onehot(12, 50), batch=5)
    assert rows == [3, 5, 5, 2]


def test_gradients_are_those_of_each_rows_own_output() -> None:
    model = with_statistics(SHAPES["paper"].build())
    x = random_onehot(3, 200)
    for task, gradient in enumerate(gradients(model, x, tasks=3)):
        leaf = x[1:2].clone().requires_grad_(True)
        (alone,) = torch.autograd.grad(model(leaf)[0, task], leaf)
        torch.testing.assert_close(gradient[1:2], alone)
    whole = gradient_times_input(OneTask(model), x, batch=3)
    torch.testing.assert_close(whole, gradient_times_input(OneTask(model), x, batch=2))


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_give_a_row_of_outputs_for_each_sequence(name: str) -> None:
    work = make_work(SHAPES[name], CPU, quick=True)
    outputs = work.model(work.sequences)
    assert outputs.shape[0] == 2
    assert outputs.shape[1] >= work.shape.tasks
    assert work.references.shape == (2, 2, 4, work.shape.length)


def test_difference_is_relative_to_the_largest_score() -> None:
    assert largest_difference(torch.tensor([1.0, -4.0]), torch.tensor([1.0, -5.0])) == pytest.approx(0.2)


def test_slope_of_a_linear_cost_is_one() -> None:
    assert slope([(10, 2.0), (100, 20.0), (1000, 200.0)]) == pytest.approx(1)
    assert slope([(10, 3.0), (100, 3.0)]) == pytest.approx(0)


def test_a_peer_whose_scores_disagree_is_not_the_fastest() -> None:
    record = _record()
    assert fastest_peer(record) == "right, best batch"
    assert faster(record, "genolift rescale") == pytest.approx(3)
    assert faster(record, "genolift rescale", "default batch") == pytest.approx(4)


def test_bars_say_what_is_met() -> None:
    record = _record()
    values = {bar.what: (bar, bar.value(record)) for bar in bars("cpu")}
    bar, value = values["Rescale over the floor"]
    assert value == pytest.approx(1.1)
    assert bar.met(1.1)
    assert not bar.met(1.2)
    bar, value = values["times faster than the fastest peer, its best batch"]
    assert value == pytest.approx(3)
    assert bar.met(3)
    assert not bar.met(2)
    assert values["k tasks over one forward and k backwards"][1] is None


def test_page_holds_every_run_and_what_a_peer_failed_with() -> None:
    record = _record()
    page = markdown({"processor": "made-up"}, [record], "cpu", "speed.py")
    for name in record["seconds"]:
        assert f"| {name} |" in page
    assert "**1.50**" in page, "genomics-default misses its bar"
    assert "not installed" in page
    assert "no: its time counts for nothing" in page


def test_float32_is_not_said_of_a_run() -> None:
    assert of_precision("floor", "float32") == "floor"
    assert of_precision("floor", "tf32") == "floor, tf32"
    assert ratio(_record(), "floor", "not run") is None


def test_peak_memory_sees_what_is_let_go_of_again() -> None:
    size = 200 * 2**20
    peak = peak_memory(lambda: torch.ones(size, dtype=torch.uint8).numel(), CPU)
    assert 0.9 * size < peak < 2 * size


def test_machine_says_threads_and_versions() -> None:
    said = machine(CPU)
    assert said["threads"] == torch.get_num_threads()
    assert said["torch"] == torch.__version__


@pytest.mark.parametrize("name", PEERS)
def test_peers_agree_with_rescale_at_every_batch_size(name: str) -> None:
    pytest.importorskip(name)
    import genolift

    work = make_work(SHAPES["paper"], CPU, quick=True)
    ours = genolift.deeplift(work.model, work.sequences, work.references, rule="rescale").contributions.sum(1)
    for batch in (None, 1, 3):
        theirs = PEERS[name].run(work.model, work.sequences, work.references, CPU, batch)
        assert largest_difference(theirs, ours) < 1e-4
