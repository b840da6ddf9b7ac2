"""What motifs cost a run of the workflow: before modisco-lite 3, and now.

    python benchmarks/motif_workflow.py --before CHECKOUT --modisco PYTHON --out OUT

CHECKOUT is genolift with modisco 2.5.2, PYTHON one that has it (`make benchmark-motifs` makes both); all
other packages are those that run this. The demo, and two analyses of yeast's peaks (200 of Reb1 and 49 of
Rap1, 5 references each), are run with either, in turns: first with empty caches, then with caches filled and
results deleted, on one core. CPU seconds are of commands with their threads and children.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import one_thread
import torch
from machine import machine
from measure import said
from motif_data import SHARED, WIDTH

from workflow import ROOT, RUNS, cpu_seconds, environment_with, seconds_of_steps

COLUMNS = ["run", "genolift", "time", "motifs", "compile", "other steps", "snakemake itself", "all"]
_PEAKS = {"Reb1": 200, "Rap1": 49}


def site_packages(python: Path) -> Path:
    """Return the folder of a Python's packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


class Line:
    """One of the two: its checkout, the folders that its modules come from, and caches of its own."""

    def __init__(self, name: str, checkout: Path, packages: list[Path], folder: Path) -> None:
        self.name, self.checkout, self.folder = name, checkout, folder
        folder.mkdir()
        self.environment = environment_with(folder, [checkout / "src", *packages])

    def run(self, config: Path) -> dict[str, float]:
        """Run the workflow, and return the CPU seconds of each step and of ``all``."""
        results = self.folder / "results"
        if results.exists():
            shutil.rmtree(results)
        words = ["--snakefile", str(self.checkout / "Snakefile"), "--cores", "1", "--configfile", str(config)]
        total = cpu_seconds([sys.executable, "-m", "snakemake", *words], self.folder, self.environment)
        return {**seconds_of_steps(self.folder), "all": total}


def yeast_config(line: Line) -> Path:
    """Write the two analyses of yeast, and return their config."""
    files = SHARED / "yeast"
    analyses = {}
    for factor, number in _PEAKS.items():
        peaks = line.folder / f"{factor}.bed"
        with (files / f"{factor}_peaks.bed").open() as lines:
            peaks.write_text("".join(itertools.islice(lines, number)))
        analyses[factor] = {
            "model": {
                "path": str(files / "model_state_dict.pt"),
                "class": f"{files / 'model.py'}:YeastTF",
                "input_length": WIDTH,
            },
            "target": factor,
            "sequences": {"bed": str(peaks), "genome": str(files / "sacCer_R64.fa.gz"), "length": WIDTH},
            "references": {"number": 5},
            "motifs": {"database": str(files / "jaspar_fungi.meme")},
        }
    path = line.folder / "yeast.yaml"
    path.write_text(json.dumps({"results": "results", "analyses": analyses}))  # JSON is YAML too
    return path


def demo_config(line: Line) -> Path:
    """Write the demo's config with paths of the checkout."""
    data = line.checkout / "data" / "demo"
    model = {"path": str(data / "model.safetensors"), "class": "genolift.demo.simulate:DemoModel"}
    analysis = {"model": model, "target": 0, "sequences": {"fasta": str(data / "sequences.fa.gz")}}
    path = line.folder / "demo.yaml"
    path.write_text(json.dumps({"results": "results", "analyses": {"demo": analysis}}))
    return path


def row(run: str, line: Line, time: str, steps: dict[str, float]) -> list[str]:
    """Return the columns of `COLUMNS`."""
    named = {name: steps.get(name, 0.0) for name in ("motifs", "compile")}
    others = sum(each for name, each in steps.items() if name not in ("all", *named))
    itself = steps["all"] - others - sum(named.values())
    figures = [*named.values(), others, itself, steps["all"]]
    return [run, line.name, time, *(f"{figure:.1f}" for figure in figures)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, required=True, metavar="CHECKOUT")
    parser.add_argument("--modisco", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    a = parser.parse_args()
    rows: list[list[str]] = []
    facts = machine(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lines = [
            Line("before", a.before.resolve(), [site_packages(a.modisco)], folder / "before"),
            Line("now", ROOT, [], folder / "now"),
        ]
        for run in ("demo", "two analyses of yeast"):
            for time in RUNS:
                for line in lines:
                    said(f"{run}, {line.name}, {time} time")
                    make = demo_config if run == "demo" else yeast_config
                    rows.append(row(run, line, time, line.run(make(line))))
                    one_thread.report(a.out, "Motifs in the workflow, CPU s", COLUMNS, rows, facts)


if __name__ == "__main__":
    main()
