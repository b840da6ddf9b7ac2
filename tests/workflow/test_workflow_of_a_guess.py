"""From only a model's file to contributions: the config that `genolift inspect` writes can be run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run
from workflows import SITES, snakemake, write_inputs

from genolift.files.whole import sha256


@pytest.mark.slow
def test_the_written_config_runs_once_the_sequences_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = write_inputs(tmp_path)["analyses"]["tiny"]["model"]
    genome = Path("genome.fa").read_text().split("\n")[1]
    code, out, error = run(
        capsys, "inspect", config["path"], "--model-class", config["class"],
        "--model-arguments", json.dumps(config["arguments"]), "--write-config", "guessed.yaml",
    )  # fmt: skip
    assert code == 0, error
    assert "10 bases (before the global pooling)" in out
    code, said = snakemake("-n", "--configfile", "guessed.yaml", folder=tmp_path)
    assert code != 0
    assert "sequences.fasta: sequences.fa: no such file" in said
    windows = [genome[100 * row + 20 : 100 * row + 80] for row in range(SITES)]
    Path("sequences.fa").write_text("".join(f">s{row}\n{window}\n" for row, window in enumerate(windows)))
    wanted = ["results/weights/per_sequence.tsv", "results/weights/inspection"]
    code, said = snakemake(*wanted, "--cores", "1", "--configfile", "guessed.yaml", folder=tmp_path)
    assert code == 0, said
    results = tmp_path / "results" / "weights"
    told = json.loads((results / "inspection" / "model.json").read_text())
    assert told["model_sha256"] == sha256("weights.safetensors")
    assert told["receptive_field"]["bases"] == 10
    assert told["inputs"][0]["shape"] == [4, 60]  # the analysis's own
