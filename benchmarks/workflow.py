"""CPU seconds of each step of the workflow on two of the demo's sequences, and in units of ``import torch``.

``python benchmarks/workflow.py`` runs it the first time, with empty caches, then again with caches filled and
results deleted. What is timed is user and system time, of a command's threads and children too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
APART = ("compile", "motifs")
"""Steps that do not count in the sum, since other issues have their time."""
RUNS = ("first", "second")
SHIM = """\
#!/bin/bash
TIMEFORMAT="$1 %U %S"
exec 3>&2 2>>"{times}"
time "{python}" -m genolift "$@" 2>&3
"""
"""Stands before the command on the PATH, and notes what it takes; bash's ``time`` keeps its exit code."""


def cpu_seconds(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Return the CPU time of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_records(number: int) -> Iterator[str]:
    """Yield the lines of the demo's first sequences."""
    with gzip.open(ROOT / "data" / "demo" / "sequences.fa.gz", "rt") as lines:
        for line in lines:
            number -= line.startswith(">")
            if number < 0:
                return
            yield line


def write_analysis(folder: Path, models: int) -> None:
    """Write the sequences and the config of the demo's model, ``models`` times for its targets."""
    (folder / "two.fa").write_text("".join(first_records(2)))
    model = {
        "path": str(ROOT / "data" / "demo" / "model.safetensors"),
        "class": "genolift.demo.simulate:DemoModel",
    }
    analysis = {"model": model, "sequences": {"fasta": "two.fa"}}
    analyses = {f"two{number}": analysis | {"target": number} for number in range(models)}
    defaults = {"motifs": {"database": "jaspar:vertebrates"}}
    # JSON is YAML too
    (folder / "two.yaml").write_text(
        json.dumps({"results": "results", "defaults": defaults, "analyses": analyses})
    )


def environment_with(folder: Path, sources: Sequence[Path] = (ROOT / "src",)) -> dict[str, str]:
    """Return an environment whose caches are in the folder, and in which commands are timed.

    Modules are looked for in ``sources`` first.
    """
    (folder / "bin").mkdir()
    (folder / "times").touch()
    shim = folder / "bin" / "genolift"
    shim.write_text(SHIM.format(times=folder / "times", python=sys.executable))
    shim.chmod(0o755)
    home = folder / "home"
    names = {"HOME": "", "XDG_CACHE_HOME": "cache", "MPLCONFIGDIR": "plots", "NUMBA_CACHE_DIR": "numba"}
    paths = {name: str(home / place) for name, place in names.items()}
    for path in paths.values():
        Path(path).mkdir(parents=True, exist_ok=True)
    return {
        **os.environ,
        **paths,
        "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([*map(str, sources), os.environ.get("PYTHONPATH", "")]),
    }


def seconds_of_steps(folder: Path) -> dict[str, float]:
    """Return the CPU seconds of each step that ran since this was last asked."""
    steps: dict[str, float] = defaultdict(float)
    for line in (folder / "times").read_text().splitlines():
        step, *seconds = line.split()
        steps[step] += sum(map(float, seconds))
    (folder / "times").write_text("")
    return steps


def measured(models: int, until: str | None) -> dict[str, dict[str, float]]:
    """Return the CPU seconds of each step, by run."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_analysis(folder, models)
        environment = environment_with(folder)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
        command += ["--configfile", "two.yaml", *(["--until", until] if until else [])]
        for run in RUNS:
            # before and after the steps, as a machine that is busy with other things changes its speed
            unit = [sys.executable, "-c", "import torch"]
            imports = [cpu_seconds(unit, folder, environment) for _ in "123"]
            total = cpu_seconds(command, folder, environment)
            steps = seconds_of_steps(folder)
            steps["snakemake itself"] = total - sum(steps.values())
            imports += [cpu_seconds(unit, folder, environment) for _ in "123"]
            found[run] = {"import torch": median(imports), **steps}
            shutil.rmtree(folder / "results")
    return found


def table(found: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield the lines of a table: CPU seconds and units of each step."""
    yield f"| step | {' | '.join(f'{run} time, CPU s (units)' for run in found)} |"
    yield "|---|" + "---|" * len(found)
    names = list(found[RUNS[0]])

    def cell(run: dict[str, float], seconds: float) -> str:
        return f"{seconds:.2f} ({seconds / run['import torch']:.2f})"

    for name in names:
        yield f"| {name} | {' | '.join(cell(run, run[name]) for run in found.values())} |"
    sums = [
        cell(run, sum(each for name, each in run.items() if name not in ("import torch", *APART)))
        for run in found.values()
    ]
    yield f"| all but {' and '.join(APART)} | {' | '.join(sums)} |"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--analyses", type=int, default=1, help="of the model's first targets (1)")
    parser.add_argument("--until", help="only the steps up to this one, as snakemake's --until")
    arguments = parser.parse_args()
    print("\n".join(table(measured(arguments.analyses, arguments.until))))


if __name__ == "__main__":
    main()
