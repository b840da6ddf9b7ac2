"""Runs the workflow as a user does, on a genome with sites and a model that looks for them."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from places import ROOT
from safetensors.torch import save_file

SITE = "TGACTCATCG"


WINDOW, SITES = 60, 30


MODEL = """
import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.filter = nn.Conv1d(4, 1, width)
        self.hidden = nn.Linear(1, 2)
        self.out = nn.Linear(2, 1)

    def forward(self, onehot):
        match = torch.relu(self.filter(onehot)).amax(-1)
        return self.out(torch.relu(self.hidden(match)))
"""


def environment() -> dict[str, str]:
    """Return an environment in which snakemake and its steps run this checkout's code, in any folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    sources = f"{ROOT / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return os.environ | {"PATH": path, "PYTHONPATH": sources}


def snakemake(*arguments: str, folder: Path, snakefile: Path = ROOT / "Snakefile") -> tuple[int, str]:
    """Run snakemake in ``folder`` as a user does; return its exit code and its output."""
    process = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )
    return process.returncode, process.stdout


def numbers_of_jobs(said: str) -> dict[str, int]:
    table = said.split("Job stats:")[1].split("total")[0]
    return {name: int(number) for name, number in re.findall(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)}


def write_inputs(folder: Path) -> dict[str, Any]:
    """Write a genome with sites, windows on them and a model that looks for them; return their config."""
    letters = random.Random(0).choices("ACGT", k=SITES * 100)
    lines = []
    for site in range(SITES):
        start = site * 100 + 45
        letters[start : start + len(SITE)] = SITE
        lines.append(f"chr1\t{start}\t{start + len(SITE)}\tsite{site}\n")
    (folder / "genome.fa").write_text(">chr1\n" + "".join(letters) + "\n")
    (folder / "sites.bed").write_text("".join(lines))
    (folder / "tiny.py").write_text(MODEL)
    onehot = torch.stack([torch.tensor([float(base == letter) for letter in SITE]) for base in "ACGT"])
    weights = {
        "filter.weight": onehot[None],
        "filter.bias": torch.tensor([-6.0]),
        "hidden.weight": torch.tensor([[1.0], [-1.0]]),
        "hidden.bias": torch.tensor([0.0, 1.0]),
        "out.weight": torch.tensor([[2.0, -1.0]]),
        "out.bias": torch.tensor([0.5]),
    }
    save_file(weights, folder / "weights.safetensors")
    columns = "\n".join(" ".join(f"{0.91 if b == s else 0.03}" for b in "ACGT") for s in SITE)
    (folder / "motifs.meme").write_text(
        "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF M1 SITE\n"
        f"letter-probability matrix: alength= 4 w= {len(SITE)}\n{columns}\n"
    )
    return {
        "analyses": {
            "tiny": {
                "model": {
                    "path": "weights.safetensors",
                    "class": "tiny.py:Tiny",
                    "arguments": {"width": len(SITE)},
                    "input_length": WINDOW,
                },
                "sequences": {"bed": "sites.bed", "genome": "genome.fa"},
                "references": {"number": 3},
                "attribution": {"shards": 2, "device": "cpu"},
                "motifs": {"database": "motifs.meme"},
                "logos": {"number": 2},
            }
        }
    }


def write_config(folder: Path, config: dict[str, Any]) -> None:
    (folder / "my.yaml").write_text(yaml.safe_dump(config))
