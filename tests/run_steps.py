"""A small analysis on disk for tests: a model, a genome with windows, sequences and references."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors.torch import save_file

from genolift.models import ModelSpec, make_module
from genolift.settings.mistakes import checked
from genolift.settings.sections import Attribution, References, Section, Sequences, Settings
from genolift.steps.aggregate import aggregate
from genolift.steps.attribute import AttributeSummary, attribute
from genolift.steps.encode import encode
from genolift.steps.reference import ReferenceSummary, write_references

S = TypeVar("S", bound=Section)
LENGTH = 60
OWN = {"sequences", "references"}
"""Paths that a step takes as arguments, and that have the names of sections of the settings."""
SOURCE = """
import torch
from torch import nn

TASKS = ["first", "second"]


class Small(nn.Module):
    input_length = 60

    def __init__(self, nan: bool = False):
        super().__init__()
        self.conv, self.hidden, self.out = nn.Conv1d(4, 6, 7), nn.Linear(6, 5), nn.Linear(5, 2)
        self.nan = nan

    def forward(self, x):
        y = self.out(torch.relu(self.hidden(torch.relu(self.conv(x)).amax(-1))))
        return y / (y - y) if self.nan else y
"""


@dataclass(frozen=True)
class Study:
    """The folder of an analysis."""

    folder: Path

    @property
    def model(self) -> ModelSpec:
        return ModelSpec(
            path=f"{self.folder}/weights.safetensors", class_name=f"{self.folder}/model.py:Small"
        )

    def attribute(self, out: str = "shard.h5", **changed: Any) -> AttributeSummary:
        settings = self.settings(changed)
        return attribute(
            settings,
            **{
                "sequences": self.folder / "sequences.h5",
                "references": self.folder / "references.h5",
                "out": self.folder / out,
            }
            | changed,
        )

    def settings(self, changed: dict[str, Any]) -> Settings:
        """Return a step's settings, removing their keys from ``changed``."""
        held = changed.pop("held", None)
        keys = {"model": self.model}
        compared = changed.pop("compared", None)
        keys |= {} if compared is None else {"references": compared}
        keys |= {} if held is None else {"extra_inputs": held.inputs, "extra_channels": held.channels}
        keys |= {name: changed.pop(name) for name in changed.keys() & Settings.model_fields.keys() - OWN}
        run = {"device": "cpu"} | {
            name: changed.pop(name) for name in changed.keys() & Attribution.model_fields.keys()
        }
        # not validated, since tests use less memory and tolerance than a user may
        return Settings().model_copy(update={**keys, "attribution": Attribution().model_copy(update=run)})

    def fold(self, number: int) -> ModelSpec:
        """Another model of the same class, with its own random weights."""
        path = self.folder / f"fold_{number}.safetensors"
        with torch.random.fork_rng():
            torch.manual_seed(number + 1)
            save_file(make_module(str(self.model.class_name), {}).state_dict(), path)
        return ModelSpec(path=str(path), class_name=self.model.class_name)

    def aggregate(self, *shards: str) -> Path:
        files = [self.folder / shard for shard in shards or ("shard.h5",)]
        aggregate(shards=files, sequences=self.folder / "sequences.tsv", out=self.folder)
        return self.folder / "contributions.h5"

    def flags(self) -> list[str]:
        """The command-line flags of the model."""
        return ["--model", self.model.path, "--model-class", str(self.model.class_name)]


def section(model: type[S], **keys: Any) -> S:
    """A section of the config from its keys, validated like a config; paths may be given as `Path`."""
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in keys.items()}
    return checked(model, plain, model.__name__.lower())


def source_of(**keys: Any) -> Sequences:
    """The config's section ``sequences``."""
    return section(Sequences, **keys)


def make_references(
    sequences: Path, out: Path, kind: str, *, rna: bool = False, **keys: Any
) -> ReferenceSummary:
    """Write references with these settings."""
    return write_references(section(References, kind=kind, **keys), sequences=sequences, out=out, rna=rna)


def study(folder: Path, *, n: int = 20, r: int = 3, windows: bool = False, reverse: bool = False) -> Study:
    """Write a study's model, sequences (FASTA, or overlapping windows on both strands) and references."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(SOURCE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(make_module(f"{folder}/model.py:Small", {}).state_dict(), folder / "weights.safetensors")
    random = np.random.default_rng(0)
    source: dict[str, Any]
    if windows:
        chromosomes = {name: "".join(random.choice(list("ACGT"), 900)) for name in ("chrB", "chrA")}
        (folder / "genome.fa").write_text("".join(f">{name}\n{text}\n" for name, text in chromosomes.items()))
        rows = [
            f"chr{'AB'[i % 2]}\t{start}\t{start + 10}\tpeak{i}\t0\t{'+-'[i % 3 == 0]}"
            for i, start in enumerate(random.integers(40, 840, n))
        ]
        (folder / "peaks.bed").write_text("\n".join(rows) + "\n")
        source = {"bed": folder / "peaks.bed", "genome": folder / "genome.fa", "use_strand": True}
    else:
        records = [f">s{i}\n{''.join(random.choice(list('ACGT'), LENGTH))}\n" for i in range(n)]
        (folder / "sequences.fa").write_text("".join(records[::-1] if reverse else records))
        source = {"fasta": folder / "sequences.fa"}
    encode(source_of(length=LENGTH, **source), table=folder / "sequences.tsv", store=folder / "sequences.h5")
    make_references(folder / "sequences.h5", folder / "references.h5", "dinucleotide_shuffle", number=r)
    return Study(folder)
