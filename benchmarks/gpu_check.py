"""What is checked and measured where there is a GPU, in parts of under four minutes each: make gpu-check.

    python benchmarks/gpu_check.py --part bench-1 --out build/gpu
    python benchmarks/gpu_check.py --part bench-2 --device cpu --out build/gpu   # a rehearsal, tiny inputs

Each figure is written to OUT/gpu.json, and as a table to OUT/gpu.md, before the next one starts; what
fails is a row that says so. In a rehearsal, on a CPU or a pretended card, all of it runs and the rows say
"not run".
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from gpu_bench import Bench, Figure, NotThereError
from machine import device_named, is_pretended, machine
from measure import said
from models import SHAPES
from tables import table
from timing import in_a_line

PARTS = {"tests": (), "bench-1": ("bpnet", "chrombpnet"), "bench-2": ("basset", "transformer")}
TESTS = ("tests/engine", "tests/explain")
_NONE = "-"


@dataclass
class Row:
    """A figure, or why there is none, and the bar it should reach."""

    part: str
    what: str
    model: str = ""
    bar: str = ""
    figure: float | None = None
    met: bool | None = None
    said: str = ""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    rehearsed: bool = False
    """Whether the figure was computed on something else than a real GPU, so that it is none."""

    def cells(self) -> list[str]:
        """Return what the table says of it."""
        shown = _NONE if self.figure is None else f"{self.figure:.3g}"
        if self.rehearsed and not self.said.startswith("failed"):
            shown = "not run"
        elif self.met is False:
            shown = f"**{shown}**"
        return [self.part, self.model, self.what, self.bar, shown, self.said]


@dataclass
class Records:
    """The rows so far, written after each one. Those of other parts that are there already are kept."""

    out: Path
    part: str
    about: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        if self.file.exists():
            rows = [Row(**row) for row in json.loads(self.file.read_text())["rows"]]
            self.rows = [row for row in rows if row.part != self.part]

    @property
    def file(self) -> Path:
        """The JSON."""
        return self.out / "gpu.json"

    def add(self, row: Row) -> None:
        """Add a row, and write and say all there are."""
        self.rows.append(row)
        made = {"machine": self.about, "rows": [asdict(each) for each in self.rows]}
        self.file.write_text(json.dumps(made, indent=1) + "\n")
        header = ["part", "model", "what", "bar", "figure", "said"]
        lines = [", ".join(f"{key} {value}" for key, value in self.about.items()), ""]
        lines += table(header, [each.cells() for each in self.rows])
        lines += [
            "",
            "In bold what misses its bar. Models have random weights; each is run at its best batch size.",
        ]
        (self.out / "gpu.md").write_text("\n".join(lines) + "\n")
        print(" | ".join(row.cells()), flush=True)


def run_figures(records: Records, names: tuple[str, ...], device: torch.device, ends: float) -> None:
    """Measure each figure of each model, the most wanted figures first, for as long as there is time."""
    rehearsed = _rehearsed(device)
    benches: dict[str, Bench] = {}
    for figure in Figure.all():
        for name in names:
            if name not in figure.of and figure.of:
                continue
            row = partial(Row, records.part, figure.what, name, figure.bar, rehearsed=rehearsed)
            if time.monotonic() > ends:
                records.add(row(said="not run: out of time"))
                continue
            records.add(_measured(row, figure, lambda name=name: _bench(benches, name, device)))  # type: ignore[misc]


def _bench(benches: dict[str, Bench], name: str, device: torch.device) -> Bench:
    if name not in benches:
        said(f"preparing {name}")
        benches[name] = Bench.of(SHAPES[name], device, quick=_rehearsed(device))
    return benches[name]


def _measured(row: Callable[..., Row], figure: Figure, bench: Callable[[], Bench]) -> Row:
    try:
        value, seconds, remark = figure.measure(bench())
        return row(figure=value, met=figure.met(value), seconds=seconds, said=remark)
    except NotThereError as why:
        return row(said=f"not run: {why}")
    except Exception as error:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return row(said=in_a_line(error))


def _rehearsed(device: torch.device) -> bool:
    return device.type != "cuda" or is_pretended()


def run_tests(records: Records, device: torch.device, limit: float) -> None:
    """Run the tests marked gpu; a row for each that does not pass, and one of how many do."""
    report = records.out / "tests.xml"
    report.unlink(missing_ok=True)
    words = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "--continue-on-collection-errors"]
    words += [f"--junitxml={report}", *(["-p", "pretend"] if is_pretended() else []), *TESTS]
    running = subprocess.Popen(words)
    try:
        running.wait(limit)
    except subprocess.TimeoutExpired:
        records.add(Row("tests", "tests", said=f"failed: not done after {limit:.0f} s"))
        running.send_signal(signal.SIGINT)  # pytest then reports what it has run
        running.wait()
    if not report.exists():
        records.add(Row("tests", "tests", said="failed: pytest has left no report"))
        return
    cases = list(ElementTree.parse(report).iter("testcase"))
    counts = dict.fromkeys(("passed", "failure", "error", "skipped"), 0)
    for case in cases:
        outcome = next((each.tag for each in case if each.tag in counts), "passed")
        counts[outcome] += 1
        if outcome in ("failure", "error"):
            records.add(Row("tests", f"{case.get('name')}", said=f"failed: see {report.name}"))
    told = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    records.add(
        Row(
            "tests",
            "tests marked gpu",
            figure=float(counts["passed"]),
            said=told,
            rehearsed=_rehearsed(device),
        )
    )


def run_cherimoya(records: Records, device: torch.device, limit: float) -> None:
    """Measure against cherimoya's own engine, in a process of its own: it sets tf32 when it is imported."""
    row = partial(
        *(Row, records.part, "times as fast as cherimoya's engine, tf32", "cherimoya", "at least 1.3"),
        rehearsed=_rehearsed(device),
    )
    name = "pretended" if is_pretended() else device.type
    script = str(Path(__file__).with_name("cherimoya_engine.py"))
    words = [sys.executable, script, "--device", name, *(["--quick"] if _rehearsed(device) else [])]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=max(limit, 1))
    except subprocess.TimeoutExpired:
        records.add(row(said="not run: out of time"))
        return
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1][:200].replace("|", "/")
        records.add(row(said=f"not run: {last}" if "ModuleNotFoundError" in last else f"failed: {last}"))
        return
    found = json.loads(done.stdout.splitlines()[-1])
    records.add(
        row(figure=found["ratio"], met=found["ratio"] >= 1.3, **{k: found[k] for k in ("seconds", "said")})
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--device", choices=("cuda", "cpu", "pretended"), default="cuda")
    parser.add_argument("--out", type=Path, default=Path("build/gpu"))
    parser.add_argument(
        "--seconds", type=float, default=220, help="after which no figure of a GPU is begun (220)"
    )
    a = parser.parse_args()
    device = device_named(a.device)
    ends = time.monotonic() + (float("inf") if _rehearsed(device) else a.seconds)
    records = Records(a.out, a.part, machine(device))
    if a.part == "tests":
        run_tests(records, device, a.seconds)
    if a.part == "bench-2":
        run_cherimoya(records, device, a.seconds / 2)
    run_figures(records, PARTS[a.part], device, ends)
    sys.exit(any(row.said.startswith("failed") for row in records.rows if row.part == a.part))


if __name__ == "__main__":
    main()
