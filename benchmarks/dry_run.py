"""CPU seconds of a dry run of many analyses, of one or several targets each.

``python benchmarks/dry_run.py --analyses 100 --shards 20 --targets 6``
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from workflow import ROOT, cpu_seconds

CONFIG = """\
defaults:
  model: {{path: {root}/data/demo/model.safetensors, class: "genolift.demo.simulate:DemoModel"}}
  sequences: {{fasta: few.fa}}
  attribution: {{shards: {shards}}}
  targets: {targets}
analyses: analyses.tsv
"""


def write_config(folder: Path, analyses: int, shards: int, targets: int) -> None:
    """Write the config of analyses that differ in their names, each of the first ``targets`` columns."""
    (folder / "few.fa").write_text(f">one\n{''.join(random.Random(0).choices('ACGT', k=200))}\n")
    (folder / "my.yaml").write_text(CONFIG.format(root=ROOT, shards=shards, targets=[*range(targets)]))
    rows = "".join(f"a{number}\n" for number in range(analyses))
    (folder / "analyses.tsv").write_text(f"analysis\n{rows}")


def main() -> None:
    """Measure as the command line says, and print the median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--analyses", type=int, default=100)
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--targets", type=int, default=1)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    dry = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "-n", "--quiet", "all"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_config(folder, given.analyses, given.shards, given.targets)
        command = [*dry, "--configfile", "my.yaml"]
        said = subprocess.run(
            command, cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        jobs = re.findall(r"^total +(\d+)$", said.stdout + said.stderr, re.MULTILINE)[0]
        seconds = median(cpu_seconds(command, folder, environment) for _ in range(given.times))
    size = f"{given.analyses} analyses of {given.shards} shards and {given.targets} targets"
    print(f"{size}: {jobs} jobs, {seconds:.1f} CPU s")


if __name__ == "__main__":
    main()
