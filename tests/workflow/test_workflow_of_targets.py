"""The workflow with several targets: sequences, references and forward passes once, the rest for each."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from places import ROOT
from safetensors.torch import load_file, save_file
from test_workflow_of_models import provenance
from workflows import SITES, numbers_of_jobs, snakemake, write_config, write_inputs

from genolift.settings.workflow import final_files

TWO = """
import torch
from tiny import Tiny

TASKS = ["First", "Second"]


class Two(Tiny):
    def forward(self, onehot):
        first = super().forward(onehot)
        return torch.cat([first, -3 * first], 1)
"""
TARGETS = [0, "Second"]
SLUGS = ["0", "second"]
ONCE = ("check", "encode", "sequences", "compile", "index", "all")
FOR_EACH = ("motifs", "logos", "report")


def write_targets(folder: Path, **keys: Any) -> dict[str, Any]:
    """Write a model with two outputs; return the config of an analysis of both, on windows."""
    config = write_inputs(folder)
    (folder / "two.py").write_text(TWO)
    tiny = config["analyses"]["tiny"]
    tiny["model"] |= {"class": "two.py:Two"}
    tiny |= {"targets": TARGETS} | keys
    write_config(folder, config)
    return config


def dry_run(folder: Path, *arguments: str) -> str:
    code, said = snakemake("-n", "--configfile", "my.yaml", *arguments, folder=folder)
    assert code == 0, said
    return said


def refused(folder: Path) -> str:
    code, said = snakemake("-n", "--configfile", "my.yaml", folder=folder)
    assert code == 2, said
    (line,) = said.splitlines()[1:]
    return line


def test_what_targets_share_is_done_once(tmp_path: Path) -> None:
    write_targets(tmp_path)
    said = dry_run(tmp_path, "-p")
    jobs = dict.fromkeys(ONCE, 1) | dict.fromkeys((*FOR_EACH, "aggregate_windows"), 2)
    assert numbers_of_jobs(said) == jobs | {"attribute_targets": 2}
    assert '"targets": [0, "Second"]' in said
    assert "--out results/tiny/attribution/model/shard-1-of-2 " in said
    assert "--shards results/tiny/attribution/model/shard-0-of-2/second.h5" in said
    assert "results/tiny/targets/second/contributions.bw" in said


def test_one_target_in_a_list_is_an_analysis_as_any(tmp_path: Path) -> None:
    write_targets(tmp_path, targets=["Second"])
    said = dry_run(tmp_path)
    assert numbers_of_jobs(said)["attribute"] == 2
    assert "targets/" not in said


def test_every_model_is_attributed_and_every_target_is_the_mean_of_all(tmp_path: Path) -> None:
    config = write_targets(tmp_path)
    model = config["analyses"]["tiny"].pop("model")
    names = {"one": {"path": model.pop("path")}, "two": {"path": "other.safetensors"}}
    (tmp_path / "other.safetensors").write_bytes((tmp_path / "weights.safetensors").read_bytes())
    config["analyses"]["tiny"] |= {"model": model, "models": names}
    write_config(tmp_path, config)
    said = dry_run(tmp_path, "-p")
    jobs = numbers_of_jobs(said)
    assert (jobs["attribute_targets"], jobs["aggregate_models_on_windows"]) == (2 * 2, 2)
    assert "results/tiny/targets/0/models" in said
    assert "results/tiny/targets/second/contributions_sd.bw" in said


def test_a_table_and_the_command_line_may_list_targets(tmp_path: Path) -> None:
    config = write_targets(tmp_path)
    config["defaults"] = config["analyses"].pop("tiny")
    write_config(tmp_path, config | {"analyses": "analyses.tsv"})
    (tmp_path / "analyses.tsv").write_text("analysis\ttargets\nfirst\t[0]\nboth\t[1, First]\nthird\t\n")
    jobs = numbers_of_jobs(dry_run(tmp_path))
    assert (jobs["attribute"], jobs["attribute_targets"], jobs["motifs"]) == (2, 4, 1 + 2 + 2)
    said = dry_run(tmp_path, "--config", "defaults={targets: [1, 0]}", "-p")
    assert '"targets": [1, 0]' in said
    with (tmp_path / "analyses.tsv").open("a") as table:
        table.write("fourth\t[0, 0]\n")
    assert refused(tmp_path) == (
        "genolift: error: analyses.tsv:5, column targets: the target '0' is there twice; name each once"
    )


def test_all_are_those_of_the_table_of_tracks_without_a_look_at_the_model(tmp_path: Path) -> None:
    (tmp_path / "tracks.tsv").write_text("index\tidentifier\n0\tCTCF\n1\tGATA1\n2\tGATA1\n")
    write_targets(tmp_path, targets="all", tracks="tracks.tsv")
    (tmp_path / "weights.safetensors").write_text("no model")
    said = dry_run(tmp_path, "-p")
    assert '"targets": ["CTCF", 1, 2]' in said
    assert numbers_of_jobs(said)["motifs"] == 3
    assert not (tmp_path / "results" / ".targets").exists()


@pytest.mark.slow
def test_all_are_those_of_the_model_which_is_inspected_once(tmp_path: Path) -> None:
    write_targets(tmp_path, targets="all")
    assert '"targets": ["First", "Second"]' in dry_run(tmp_path, "-p")
    (told,) = (tmp_path / "results" / ".targets").iterdir()
    os.utime(told, (1, 1))
    dry_run(tmp_path)
    assert told.stat().st_mtime == 1
    write_targets(tmp_path, targets="all 3")
    place = "genolift: error: my.yaml: analyses.tiny.targets: "
    assert refused(tmp_path) == f"{place}'all 3' is given, and the model has 2; write all 2"
    (tmp_path / "two.py").write_text(TWO.replace("-3 * first", "-3 * first, first").replace('"]', '", "x"]'))
    assert dry_run(tmp_path).count("targets/x/report.html") > 0, "of a changed model it is looked at again"
    (tmp_path / "two.py").write_text("nonsense")
    assert refused(tmp_path).startswith(f"{place}the model cannot be inspected: model.class: two.py:Two")


def test_on_slurm_attribute_of_several_targets_gets_what_that_of_one_gets() -> None:
    profile = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    rules = (ROOT / "workflow/rules/attribute.smk").read_text()
    names = re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", rules, re.MULTILINE)
    assert names == ["attribute", "attribute_targets"]
    for key in ("set-threads", "set-resources"):
        assert profile[key]["attribute_targets"] == profile[key]["attribute"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of two targets: of a model on windows, and of two models on a FASTA."""
    folder = tmp_path_factory.mktemp("targets")
    config = write_targets(folder)
    tiny = config["analyses"]["tiny"]
    weights = load_file(folder / "weights.safetensors")
    save_file({name: value * 1.1 for name, value in weights.items()}, folder / "other.safetensors")
    shared = {key: value for key, value in tiny["model"].items() if key != "path"}
    genome = (folder / "genome.fa").read_text().split("\n")[1]
    records = [f">s{row}\n{genome[100 * row + 20 : 100 * row + 80]}\n" for row in range(SITES)]
    (folder / "sites.fa").write_text("".join(records))
    models = {"one": {"path": "weights.safetensors"}, "two": {"path": "other.safetensors"}}
    config["analyses"]["models"] = tiny | {
        "model": shared,
        "models": models,
        "sequences": {"fasta": "sites.fa"},
        "attribution": {"device": "cpu"},
    }
    write_config(folder, config)
    code, said = snakemake("--cores", "2", "--configfile", "my.yaml", folder=folder)
    assert code == 0, said
    assert "4 targets are done." in said
    return folder


def scores(file: Path) -> np.ndarray:
    with h5py.File(file) as stored:
        found: np.ndarray = stored["shap/seq"][:]
    return found


@pytest.mark.slow
def test_each_target_has_its_own_results_and_report(finished: Path) -> None:
    from genolift.settings.config import resolve_config

    config = yaml.safe_load((finished / "my.yaml").read_text())
    os.chdir(finished)
    for name, analysis in resolve_config(config, "my.yaml").analyses.items():
        results = finished / "results" / name
        assert [file for file in final_files(analysis) if not (results / file).exists()] == []
        assert not (results / "attribution").exists() or not list((results / "attribution").rglob("*.h5"))
        assert not (results / "contributions.h5").exists()
        first, second = (results / "targets" / slug / "contributions.h5" for slug in SLUGS)
        np.testing.assert_allclose(scores(second), -3 * scores(first), rtol=1e-4, atol=1e-6)
        assert np.abs(scores(first)).max() > 0.1
        assert (provenance(first)["target"], provenance(second)["target"]) == (0, "Second")
        for slug in SLUGS:
            page = (results / "targets" / slug / "report.html").read_text()
            assert f"<title>{name}, {slug}" in page
            assert 'href="../../sequences.tsv"' in page
    index = (finished / "results" / "index.html").read_text()
    assert index.count('targets/second/report.html"') == 2


@pytest.mark.slow
def test_several_models_have_their_own_contributions_to_each_target(finished: Path) -> None:
    for slug in SLUGS:
        folder = finished / "results" / "models" / "targets" / slug
        each = [scores(folder / "models" / name / "contributions.h5") for name in ("one", "two")]
        np.testing.assert_allclose(
            scores(folder / "contributions.h5"), np.mean(each, 0), rtol=1e-4, atol=1e-6
        )
        assert np.abs(each[0] - each[1]).max() > 0.01


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_other_targets_are(finished: Path) -> None:
    assert "Nothing to be done" in dry_run(finished)
    config = yaml.safe_load((finished / "my.yaml").read_text())
    config["analyses"]["tiny"]["targets"] = [0, "Second", "First - Second"]
    (finished / "other.yaml").write_text(yaml.safe_dump(config))
    code, said = snakemake("-n", "--configfile", "other.yaml", folder=finished)
    assert code == 0, said
    jobs = numbers_of_jobs(said)
    assert (jobs["attribute_targets"], jobs["motifs"]) == (2, 3)
    assert not {"encode", "sequences", "aggregate_models"} & {*jobs}
