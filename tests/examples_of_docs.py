"""Finds the documentation's examples (code, commands, links), and writes files with the names it uses."""

from __future__ import annotations

import argparse
import gzip
import random
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyBigWig
import torch
from places import ROOT
from safetensors.torch import save_file

from genolift.cli.commands import COMMANDS

DOCS = (
    *(
        "CONTRIBUTING.md",
        "README.md",
        "config/README.md",
        "docs/architecture.md",
        "docs/costs.md",
        "docs/keras-layers.md",
        "docs/keras.md",
        "docs/models.md",
        "docs/motifs.md",
        "docs/operations.md",
        "docs/python.md",
        "docs/targets.md",
        "docs/workflow.md",
    ),
    "benchmarks/README.md",
)
PEAKS = 4
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
MODEL = """
import torch
from torch import nn


class MyModel(nn.Module):
    def __init__(self, filters=6):
        super().__init__()
        self.filters = nn.Conv1d(4, filters, 11)
        self.hidden, self.out = nn.Linear(filters, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(torch.relu(self.filters(x)).amax(-1))))


Model = YeastTF = MyModel
"""


@dataclass(frozen=True)
class Example:
    """A block or span of code: its document, line, language ("" if none is given) and text."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks() -> list[Example]:
    """Return every fenced block of the documentation."""
    return [
        Example(name, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for name in DOCS
        for text in [(ROOT / name).read_text(encoding="utf-8")]
        for found in _FENCED.finditer(text)
    ]


def spans() -> list[Example]:
    """Return every code span in the text, each on one line."""
    return [
        Example(name, text.count("\n", 0, found.start()) + 1, "", " ".join(found[1].split()))
        for name in DOCS
        # a block is replaced by as many empty lines
        for text in [
            _FENCED.sub(lambda block: "\n" * block[0].count("\n"), (ROOT / name).read_text(encoding="utf-8"))
        ]
        for found in _SPAN.finditer(text)
    ]


def links() -> list[Example]:
    """Return the target of every link to a file or heading of the repository, outside blocks of code."""
    return [
        Example(name, text.count("\n", 0, found.start()) + 1, "", found[1])
        for name in DOCS
        for text in [
            _FENCED.sub(lambda block: "\n" * block[0].count("\n"), (ROOT / name).read_text(encoding="utf-8"))
        ]
        for found in re.finditer(r"\]\(([^)]+)\)", text)
        if "://" not in found[1]
    ]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _FENCED.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def helped() -> list[Example]:
    """Return the example of each subcommand's ``--help``."""
    return [
        Example(f"genolift {name} --help", 1, "", str(parser.epilog).partition("example:\n")[2])
        for name, parser in subcommands().items()
    ]


def subcommands() -> dict[str, argparse.ArgumentParser]:
    return {name: command.parser() for name, command in COMMANDS.items()}


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in a shell block, joining continued lines and splitting at ``&&``."""
    variables: dict[str, str] = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        words = shlex.split(line, comments=True)
        if len(words) == 1 and (match := re.fullmatch(r"(\w+)=(.*)", words[0])):
            variables[match[1]] = match[2]
            continue
        words = [re.sub(r"\$(\w+)", lambda name: variables[name[1]], word) for word in words]
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            yield words[:end]
            words = words[end + 1 :]


def write_named_files(folder: Path) -> None:
    """Write small files with every name that the documentation uses."""
    generator = random.Random(0)
    sequence = "".join(generator.choices("ACGT", k=PEAKS * 1200))
    for name in ("genome.fa.gz", "sacCer3.fa.gz", "hg38.fa.gz"):
        with gzip.open(folder / name, "wt") as genome:
            genome.write(f">chr1\n{sequence}\n")
    starts = [1200 * i + 500 for i in range(PEAKS)]
    rows = [
        f"chr1\t{start}\t{start + 200}\tpeak{i}\t100\t.\t5.0\t4.0\t3.0\t100\n"
        for i, start in enumerate(starts)
    ]
    (folder / "peaks.narrowPeak").write_text("".join(rows))
    for name in ("Reb1_peaks.bed", "Rap1_peaks.bed"):
        (folder / name).write_text("".join(f"chr1\t{start}\t{start + 200}\n" for start in starts))
    records = [f">s{i}\n{sequence[1200 * i : 1200 * i + 1000]}\n" for i in range(PEAKS)]
    (folder / "sequences.fa").write_text("".join(records))
    (folder / "sites.fa").write_text("".join(records))
    (folder / "instances.tsv").write_text(
        "id\tstart\tend\tmotif\n" + "".join(f"peak{i}\t{400 + i}\t{410 + i}\tGATA1\n" for i in range(PEAKS))
    )
    (folder / "library.tsv").write_text("id\ta\tb\n" + "".join(f"peak{i}\t{i}\t1\n" for i in range(PEAKS)))
    for name in ("phyloP.bw", "plus.bw", "minus.bw"):
        with pyBigWig.open(str(folder / name), "w") as track:
            track.addHeader([("chr1", len(sequence))])
            track.addEntries("chr1", 0, values=np.ones(100, dtype=np.float32), span=1, step=1)
    (folder / "model.py").write_text(MODEL)
    (folder / "layers.py").write_text("")
    for name in ("expected.npz", "targets.txt"):
        (folder / name).write_text("")
    for name in ("model.keras", "aparent2.h5"):  # no example reads it: a config is checked without its models
        (folder / name).write_text("")
    namespace: dict[str, type[torch.nn.Module]] = {}
    exec(MODEL, namespace)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name in ("weights.pt", "fold_0.pt", "fold_1.pt"):
            torch.save(namespace["MyModel"]().state_dict(), folder / name)
        save_file(namespace["MyModel"]().state_dict(), folder / "weights.safetensors")
    for name in ("config", "data"):
        (folder / name).symlink_to(ROOT / name)
