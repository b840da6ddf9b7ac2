"""A small analysis of the demo's data, step by step: each step's command and its outputs."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from places import ROOT
from safetensors.torch import load_file, save_file

DEMO = ROOT / "data" / "demo"
SEQUENCES, LENGTH, SPACE = 96, 200, 50
MODEL = ["--model-class", "genolift.demo.simulate:DemoModel", "--input-length", LENGTH]
WINDOWS = ["--bed", "peaks.bed", "--genome", "genome.fa", "--length", LENGTH]
PAIRS = ["--sequences", "out/sequences.h5", "--references", "out/references.h5", "--device", "cpu"]


@dataclass(frozen=True)
class Step:
    """A command, its outputs, and what to do in the process before it."""

    name: str
    arguments: Sequence[object]
    outputs: Sequence[str]
    before: Callable[[], None] = lambda: None


def write_inputs(folder: Path) -> None:
    """Write a genome that consists of the demo's sequences, the windows on it, and two models."""
    (folder / "out").mkdir(parents=True)
    with gzip.open(DEMO / "sequences.fa.gz", "rt") as file:
        letters = [record.split("\n")[1] for record in file.read().strip().split(">")[1 : SEQUENCES + 1]]
    space = "N" * SPACE
    (folder / "genome.fa").write_text(f">chr1\n{space.join(['', *letters, ''])}\n")
    starts = [SPACE + number * (LENGTH + SPACE) for number in range(SEQUENCES)]
    rows = [f"chr1\t{start}\t{start + LENGTH}\tpeak{number}" for number, start in enumerate(starts)]
    (folder / "peaks.bed").write_text("\n".join(rows) + "\n")
    weights = load_file(DEMO / "model.safetensors")
    save_file(weights, folder / "a.safetensors")
    save_file({name: 0.9 * values for name, values in weights.items()}, folder / "b.safetensors")


def _short_training() -> None:
    from genolift.demo import simulate

    few = {"n_training": 400, "n_held_out": 80, "n_written": 16, "epochs": 2}
    simulate.train_demo = partial(simulate.train_demo, **few)  # type: ignore[assignment]


def _reference(name: str, number: int) -> Step:
    out = f"out/{name}.h5"
    arguments = ["reference", "--sequences", "out/sequences.h5", "--number", number, "--out", out]
    return Step(name, arguments, [out])


def _attribute(name: str) -> Step:
    model = ["--model", f"{name}.safetensors", "--model-name", name, *MODEL, "--captures", ".captures"]
    return Step(
        f"attribute {name}", ["attribute", *PAIRS, *model, "--out", f"out/{name}.h5"], [f"out/{name}.h5"]
    )


def _inspect(name: str) -> Step:
    out = f"out/inspection/{name}.json"
    return Step(f"inspect {name}", ["inspect", f"{name}.safetensors", *MODEL, "--out", out], [out])


STEPS = (
    Step(
        "check",
        [
            *("check", *WINDOWS, "--model", "a.safetensors", *MODEL, "--inspection", "out/inspected"),
            *("--captures", ".captures", "--out", "out/check.json"),
        ],
        ["out/check.json", "out/inspected", ".captures"],
    ),
    Step(
        "encode",
        ["encode", *WINDOWS, "--table", "out/sequences.tsv", "--out", "out/sequences.h5"],
        ["out/sequences.tsv", "out/sequences.h5"],
    ),
    _reference("references", 10),
    _reference("reference", 600),  # large enough that a fault can hit it while it is written
    _attribute("a"),
    _attribute("b"),
    _inspect("a"),
    _inspect("b"),
    Step(
        "aggregate",
        ["aggregate", "--sequences", "out/sequences.tsv", "--shards", "out/a.h5", "out/b.h5", "--out", "out"],
        [
            *("out/contributions.h5", "out/per_sequence.tsv", "out/per_base.parquet", "out/models"),
            *("out/contributions.bw", "out/contributions_sd.bw"),
        ],
    ),
    Step(
        "motifs",
        [
            *("motifs", "--contributions", "out/contributions.h5", "--sequences", "out/sequences.tsv"),
            *("--out", "out"),
        ],
        [
            *("out/motifs.h5", "out/motifs.meme", "out/motifs_cwm.meme", "out/motif_matrices.tsv"),
            *("out/motifs.tsv", "out/seqlets.tsv", "out/seqlets_by_window.tsv"),
            *("out/hits.bed.gz", "out/hits_by_window.bed.gz", "out/hits_by_window.tsv.gz"),
        ],
    ),
    Step("logos", ["logos", "--results", "out", "--number", 3, "--out", "out/logos"], ["out/logos"]),
    Step("report", ["report", "--results", "out", "--out", "out/report.html"], ["out/report.html"]),
    Step("export", ["export", "--model", "a.safetensors", *MODEL, "--out", "out/a.pt2"], ["out/a.pt2"]),
    Step(
        "compare",
        [
            *("compare", *PAIRS, "--model", "a.safetensors", *MODEL, "--number", 4),
            *("--methods", "rescale,gradient-x-input", "--out", "out/compared"),
        ],
        ["out/compared"],
    ),
    Step("train-demo", ["train-demo", "--out", "out/demo"], ["out/demo"], _short_training),
)
TRIED_ALWAYS = ("encode", "attribute a", "aggregate")
"""In small runs the others take turns."""
ONLY_MADE = ("references", "attribute b", "inspect b")
"""Steps that others need, but of a kind that is tried already."""
