"""The workflow with several models: every model on the same references, and their mean and spread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyBigWig
import pytest
from safetensors.torch import load_file, save_file
from workflows import SITES, numbers_of_jobs, snakemake, write_config, write_inputs

from genolift.files.hdf5 import as_text
from genolift.files.whole import sha256

MODELS = ("fold_0", "fold_1")


def write_models(folder: Path) -> dict[str, Any]:
    """Write two models of a class; return the config with one analysis on windows, and one on a FASTA."""
    config = write_inputs(folder)
    windows = config["analyses"].pop("tiny")
    weights = load_file(folder / windows["model"].pop("path"))
    for number, name in enumerate(MODELS):
        scaled = {key: value * (1 + 0.1 * number) for key, value in weights.items()}
        save_file(scaled, folder / f"{name}.safetensors")
    windows["models"] = {name: {"path": f"{name}.safetensors"} for name in MODELS}
    genome = (folder / "genome.fa").read_text().split("\n")[1]
    records = [f">s{row}\n{genome[100 * row + 20 : 100 * row + 80]}\n" for row in range(SITES)]
    (folder / "sites.fa").write_text("".join(records))
    fasta = windows | {"sequences": {"fasta": "sites.fa"}, "attribution": {"device": "cpu"}}
    fasta["references"] = {"number": 3, "keep": True}
    return {"analyses": {"windows": windows, "fasta": fasta}}


WANTED = ["results/windows/contributions_sd.bw", "results/fasta/per_sequence.tsv"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two models")
    write_config(folder, write_models(folder))
    code, said = snakemake(*WANTED, "--cores", "2", "--configfile", "my.yaml", folder=folder)
    assert code == 0, said
    return folder


def provenance(path: Path) -> dict[str, Any]:
    import json

    with h5py.File(path) as file:
        loaded: dict[str, Any] = json.loads(file.attrs["provenance"])
    return loaded


def test_every_shard_of_every_model_is_a_job(tmp_path: Path) -> None:
    write_config(tmp_path, write_models(tmp_path))
    code, said = snakemake("-n", "-p", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 0, said
    jobs = numbers_of_jobs(said)
    assert jobs["attribute"] == 2 * 2 + 2
    assert (jobs["reference"], jobs["encode"]) == (1, 2)
    assert (jobs["aggregate_models"], jobs["aggregate_models_on_windows"]) == (1, 1)
    assert '"model": {"path": "fold_1.safetensors", "class": "tiny.py:Tiny"' in said
    assert "--model-name fold_1" in said
    assert "attribution/fold_1/shard-1-of-2.h5" in said
    assert '"length": 60' in said


@pytest.mark.slow
@pytest.mark.parametrize("analysis", ["windows", "fasta"])
def test_the_mean_and_spread_are_those_of_the_models_files(finished: Path, analysis: str) -> None:
    results = finished / "results" / analysis
    each, outputs, told = [], [], []
    for name in MODELS:
        path = results / "models" / name / "contributions.h5"
        with h5py.File(path) as file:
            each.append(file["projected_shap/seq"][:].astype(float))
            outputs.append(file["genolift/output"][:].astype(float))
        told.append(provenance(path)["references_digest"])
        assert provenance(path)["model_sha256"] == sha256(finished / f"{name}.safetensors")
    assert len({*told}) == 1
    assert (results / "references.h5").exists() == (analysis == "fasta")
    if analysis == "fasta":
        with h5py.File(results / "references.h5") as references:
            assert told[0] == as_text(references.attrs["digest"])
    with h5py.File(results / "contributions.h5") as file:
        np.testing.assert_allclose(file["projected_shap/seq"][:], np.mean(each, 0), rtol=1e-5, atol=1e-7)
        spread = np.std(np.sum(each, 2), 0, ddof=1)
        assert spread.max() > 0.01
        np.testing.assert_allclose(file["genolift/model_sd"][:], spread, rtol=1e-4, atol=1e-6)
        explained = file["genolift/output"][:] - file["genolift/reference_output"][:].mean(1)
        total = file["projected_shap/seq"][:].sum((1, 2))
    np.testing.assert_allclose(total, explained, atol=1e-5)
    table = pd.read_csv(results / "per_sequence.tsv", sep="\t")
    np.testing.assert_allclose(table["output"], np.mean(outputs, 0), rtol=1e-5)
    np.testing.assert_allclose(table["output_fold_1"], outputs[1], rtol=1e-5)


@pytest.mark.slow
def test_the_tracks_are_of_the_mean_and_the_spread(finished: Path) -> None:
    results = finished / "results" / "windows"
    table = pd.read_csv(results / "sequences.tsv", sep="\t")
    with h5py.File(results / "contributions.h5") as file:
        for name, values in (
            ("contributions.bw", file["projected_shap/seq"][:].sum(1)),
            ("contributions_sd.bw", file["genolift/model_sd"][:]),
        ):
            with pyBigWig.open(str(results / name)) as track:
                start, end = int(table["start"][3]), int(table["end"][3])
                np.testing.assert_allclose(track.values("chr1", start, end), values[3], atol=1e-6)
    assert not (finished / "results" / "fasta" / "contributions_sd.bw").exists()
    code, said = snakemake(*WANTED, "-n", "--configfile", "my.yaml", folder=finished)
    assert code == 0, said
    assert "Nothing to be done" in said


@pytest.mark.slow
def test_models_that_say_different_lengths_are_named_before_anything_is_computed(tmp_path: Path) -> None:
    config = write_models(tmp_path)
    del config["analyses"]["fasta"], config["analyses"]["windows"]["model"]["input_length"]
    source = (tmp_path / "tiny.py").read_text()
    for length, name in zip((60, 80), MODELS, strict=True):
        text = source.replace("    def __init__", f"    input_length = {length}\n\n    def __init__")
        (tmp_path / f"{name}.py").write_text(text)
        config["analyses"]["windows"]["models"][name]["class"] = f"{name}.py:Tiny"
    write_config(tmp_path, config)
    code, said = snakemake("--cores", "1", "--configfile", "my.yaml", folder=tmp_path)
    assert code != 0
    lines = said.rstrip().splitlines()
    (line,) = {line for line in lines if line.startswith("genolift: error: ")}
    assert lines[-1] == line
    assert "models: 'fold_0' takes 60 bases, 'fold_1' 80; models that are averaged" in line
    assert not (tmp_path / "results" / "windows" / "sequences.h5").exists()
