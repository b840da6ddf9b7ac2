"""A model with a control's tracks as a further argument is explained with what a direct call is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
from refusals import refused_by
from run_steps import LENGTH, Study, source_of, study
from safetensors.torch import save_file

import genolift
from genolift.data.alphabet import onehot_of_codes
from genolift.data.stored_sequences import read_sequences
from genolift.models import ModelSpec, load_model, make_module
from genolift.references.store import open_references
from genolift.results.store import open_contributions
from genolift.settings.extra_inputs import Extras
from genolift.steps.check import check_analysis

WIDTH = 40
SOURCE = """
import torch
from torch import nn


class Controlled(nn.Module):
    input_length = 60

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 6, 21), nn.Conv1d(8, 2, 1)

    def forward(self, x, control):
        y = torch.relu(self.conv(x))
        return torch.relu(self.head(torch.cat([y, control], 1))).mean(-1)
"""


@pytest.fixture(scope="module")
def controlled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, ModelSpec]:
    """Windows on both strands, a model with a control, and a control's two bigWigs."""
    made = study(tmp_path_factory.mktemp("control"), windows=True)
    (made.folder / "controlled.py").write_text(SOURCE)
    spec = ModelSpec(
        path=f"{made.folder}/c.safetensors", class_name=f"{made.folder}/controlled.py:Controlled"
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(make_module(str(spec.class_name), {}).state_dict(), spec.path)
    for name, sign in (("plus", 1.0), ("minus", -2.0)):
        with pyBigWig.open(f"{made.folder}/{name}.bw", "w") as track:
            track.addHeader([("chrB", 900), ("chrA", 900)])
            for chrom in ("chrB", "chrA"):
                track.addEntries(chrom, 100, values=[sign * (i % 7) for i in range(700)], span=1, step=1)
    return made, spec


def tracks_of(made: Study, swapped: bool) -> torch.Tensor:
    """Return the control of every window, (sequence, 2, WIDTH), read base by base."""
    table = pd.read_csv(made.folder / "sequences.tsv", sep="\t")
    values = np.zeros((len(table), 2, WIDTH), np.float32)
    for row, window in table.iterrows():
        for strand, sign in enumerate((1.0, -2.0)):
            for position in range(WIDTH):
                at = position + (LENGTH - WIDTH) // 2
                minus = window["strand"] == "-"
                base = window["end"] - 1 - at if minus else window["start"] + at
                place = 1 - strand if minus and swapped else strand
                values[row, place, position] = sign * ((base - 100) % 7) if 100 <= base < 800 else 0.5
    return torch.from_numpy(values)


@pytest.mark.parametrize("swapped", [True, False])
def test_the_contributions_are_those_of_a_direct_call(
    controlled: tuple[Study, ModelSpec], swapped: bool
) -> None:
    made, spec = controlled
    bigwigs = [f"{made.folder}/{name}.bw" for name in ("plus", "minus")]
    item = {"bigwig": bigwigs, "width": WIDTH, "missing": 0.5, "stranded": swapped}
    made.attribute("controlled.h5", model=spec, held=Extras.of([item], []))
    stored = read_sequences(made.folder / "sequences.h5")
    x = torch.from_numpy(onehot_of_codes(stored.codes)).float()
    with open_references(made.folder / "references.h5") as references:
        shuffles = torch.from_numpy(references.onehot(0, len(x)))
    extra: Any = (tracks_of(made, swapped),)
    expected = genolift.deeplift(load_model(spec), x, shuffles, extra_inputs=extra, device="cpu")
    assert expected.hypothetical is not None
    with open_contributions(made.folder / "controlled.h5") as file:
        np.testing.assert_allclose(file["shap/seq"][:], expected.hypothetical.numpy(), atol=1e-6)
        np.testing.assert_allclose(file["genolift/output"][:], expected.output.numpy(), atol=1e-6)
        assert len(file.provenance["extra_inputs"][0]["sha256"]) == 2


def test_the_check_says_the_width_that_the_model_takes(
    controlled: tuple[Study, ModelSpec], tmp_path: Path
) -> None:
    made, spec = controlled
    source = source_of(
        bed=made.folder / "peaks.bed", genome=made.folder / "genome.fa", length=LENGTH, use_strand=True
    )

    def checked(item: dict[str, Any]) -> None:
        settings = made.settings({"model": spec, "held": Extras.of([item], [])})
        check_analysis(settings.model_copy(update={"sequences": source}), out=tmp_path / "check.json")

    bigwigs = [f"{made.folder}/{name}.bw" for name in ("plus", "minus")]
    said = "give it [2, 40], which for bigWigs is width: 40"
    assert refused_by(lambda: checked({"bigwig": bigwigs})).endswith(said)
    assert refused_by(lambda: checked({"values": 0, "shape": [2, LENGTH]})).endswith(said)
    checked({"bigwig": bigwigs, "width": WIDTH})
    checked({"values": 0, "shape": [2, WIDTH]})
