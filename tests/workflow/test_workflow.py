"""The workflow: the right jobs from a config, one line for a mistake, a complete run."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyBigWig
import pytest
import yaml
from lacking import skip
from places import ROOT
from run_steps import study
from test_held_runs import assert_equal, directly, write_model
from workflows import (
    SITE,
    SITES,
    WINDOW,
    environment,
    numbers_of_jobs,
    snakemake,
    write_config,
    write_inputs,
)

from genolift.settings.fields import merge

RULES = ROOT / "workflow" / "rules"
STEPS = {"check", "encode", "sequences", "attribute", "compile", "motifs", "logos", "report", "index"}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    config = write_inputs(tmp_path)
    write_config(tmp_path, config)
    return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a finished run (its name has a space), and the run's output."""
    folder = tmp_path_factory.mktemp("a run")
    write_config(folder, write_inputs(folder))
    code, said = snakemake("--cores", "2", "--configfile", "my.yaml", folder=folder)
    assert code == 0, said
    return folder, said


def test_the_demo_is_what_runs_by_default(tmp_path: Path) -> None:
    code, said = snakemake("-n", "-p", "--config", f"results={tmp_path}", folder=ROOT)
    assert code == 0, said
    assert numbers_of_jobs(said) == dict.fromkeys(STEPS | {"aggregate", "all"}, 1)
    assert '"sequences": {"fasta": "data/demo/sequences.fa.gz"}' in said
    assert '"class": "genolift.demo.simulate:DemoModel"' in said
    assert "contributions.bw" not in said
    assert "profiles/default" in said


def test_a_config_of_ones_own_leaves_the_demo_out(tmp_path: Path, inputs: dict[str, Any]) -> None:
    inputs["analyses"]["tiny"]["attribution"]["shards"] = 3
    write_config(tmp_path, inputs)
    code, said = snakemake("-n", "-p", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 0, said
    once = dict.fromkeys(STEPS | {"aggregate_windows", "all"}, 1)
    assert numbers_of_jobs(said) == once | {"attribute": 3}
    assert "demo" not in said
    assert "results/tiny/contributions.bw" in said
    assert "--shard 2/3" in said
    assert '"arguments": {"width": 10}' in said
    assert re.search(r"genolift check .* --database=motifs\.meme --inspection", said)


def test_analyses_may_be_a_table(tmp_path: Path, inputs: dict[str, Any]) -> None:
    inputs["defaults"] = inputs["analyses"].pop("tiny")
    write_config(tmp_path, inputs | {"analyses": "analyses.tsv"})
    (tmp_path / "analyses.tsv").write_text("analysis\tattribution.shards\nfirst\t\nsecond\t3\n")
    code, said = snakemake("-n", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 0, said
    assert numbers_of_jobs(said)["attribute"] == 2 + 3
    with (tmp_path / "analyses.tsv").open("a") as table:
        table.write("third\tmany\n")
    code, said = snakemake("-n", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 2
    mistake = 'analyses.tsv:4, column attribution.shards: "many" is text; give a whole number from 1 to 1,000'
    assert said.splitlines()[1:] == [f"genolift: error: {mistake}"]


def test_the_workflow_s_own_snakefile_does_the_same(tmp_path: Path, inputs: dict[str, Any]) -> None:
    snakefile = ROOT / "workflow" / "Snakefile"
    code, said = snakemake("-n", "--configfile", "my.yaml", folder=tmp_path, snakefile=snakefile)
    assert code == 0, said
    assert numbers_of_jobs(said)["all"] == 1


def test_a_mistyped_key_is_one_line_and_stops_the_run(tmp_path: Path, inputs: dict[str, Any]) -> None:
    inputs["analyses"]["tiny"]["model"]["pth"] = inputs["analyses"]["tiny"]["model"].pop("path")
    write_config(tmp_path, inputs)
    code, said = snakemake("-n", "--configfile", "my.yaml", folder=tmp_path)
    assert code != 0
    _, *lines = said.splitlines()  # the first names the profile
    assert lines == ["genolift: error: my.yaml: analyses.tiny.model.pth: unknown key; did you mean 'path'?"]


@pytest.mark.parametrize("name", ["my.yaml", "config/config.yaml"])
def test_a_config_is_read_as_check_config_reads_it(tmp_path: Path, inputs: dict[str, Any], name: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / name).write_text(f"{yaml.safe_dump(inputs)}    target: 0\n    target: 1\n")
    given = ["--configfile", name] if name == "my.yaml" else []
    code, said = snakemake("-n", *given, folder=tmp_path)
    assert code == 2
    line = (tmp_path / name).read_text().count("\n")
    mistake = f'{name}, line {line}: the key "target" is written twice; write it once'
    assert said.splitlines()[1:] == [f"genolift: error: {mistake}"]


def test_a_single_key_can_be_changed_on_the_command_line(tmp_path: Path) -> None:
    changes = ["defaults={rule: rescale, references: {number: 5}}", f"results={tmp_path}"]
    code, said = snakemake("-n", "-p", "--config", *changes, folder=ROOT)
    assert code == 0, said
    assert '"rule": "rescale"' in said
    assert '"references": {"number": 5}' in said


def test_a_mistake_on_the_command_line_is_not_laid_to_the_file_alone(
    tmp_path: Path, inputs: dict[str, Any]
) -> None:
    changes = ["--config", "defaults={references: {number: five}}"]
    code, said = snakemake("-n", "--configfile", "my.yaml", *changes, folder=tmp_path)
    assert code == 2
    place = "my.yaml and --config: defaults.references.number"
    assert said.splitlines()[-1].startswith(f'genolift: error: {place}: "five" is text')


def test_results_in_the_working_folder_are_made_by_their_names(
    tmp_path: Path, inputs: dict[str, Any]
) -> None:
    write_config(tmp_path, inputs | {"results": "."})
    code, said = snakemake("tiny/contributions.h5", "-n", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 0, said
    assert numbers_of_jobs(said)["aggregate_windows"] == 1
    assert " ./" not in said


def test_the_workflow_is_lint_clean() -> None:
    code, said = snakemake("--lint", folder=ROOT)
    assert code == 0, said


@pytest.mark.parametrize("folder", ["inspection", "logos", "models"])
def test_no_folder_with_files_of_the_user_s_is_replaced(
    tmp_path: Path, inputs: dict[str, Any], folder: str
) -> None:
    model = inputs["analyses"]["tiny"].pop("model")
    models = {"a": {"path": model.pop("path")}, "b": {"path": "other.safetensors"}}
    shutil.copy(tmp_path / "weights.safetensors", tmp_path / "other.safetensors")
    inputs["analyses"]["tiny"] |= {"model": model, "models": models}
    write_config(tmp_path, inputs)
    place = Path("results", "tiny", folder)
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "mine.txt").write_text("mine")
    code, said = snakemake("--cores", "1", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 2
    assert said.splitlines()[-1].startswith(f"genolift: error: {place}: already exists, ")
    assert (tmp_path / place / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "results" / "tiny" / "check.json").exists(), "before any step"


def test_no_page_of_the_user_s_is_replaced(tmp_path: Path, inputs: dict[str, Any]) -> None:
    (tmp_path / "index.html").write_text("mine")
    write_config(tmp_path, inputs | {"results": "."})
    code, said = snakemake("--cores", "1", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 2
    assert said.splitlines()[-1].startswith(
        "genolift: error: index.html: is not a list of analyses, and would"
    )
    assert (tmp_path / "index.html").read_text() == "mine"


def test_a_step_s_mistake_is_on_the_terminal_and_in_the_log(tmp_path: Path, inputs: dict[str, Any]) -> None:
    (tmp_path / "sites.bed").write_text("chr1\t20\t10\tbackwards\n")
    code, said = snakemake("--cores", "1", "--configfile", "my.yaml", folder=tmp_path)
    assert code != 0
    *_, place, line = said.splitlines()
    assert line.startswith("genolift: error: sites.bed:1: ")
    assert place == "In results/tiny/logs/check.log and 1 more:", "encode meets it too"
    assert said.count(line) == 3, "when each step failed, and at the end"
    assert "Traceback" not in said
    results = tmp_path / "results" / "tiny"
    assert line in (results / "logs" / "check.log").read_text()
    assert [path.name for path in results.iterdir()] == ["logs"]
    (log,) = (tmp_path / ".snakemake" / "log").glob("*.log")
    for wall in ("Error in rule check", "CalledProcessError", "genolift check --settings"):
        assert wall not in said
        assert wall in log.read_text()
    assert "The step check failed: see results/tiny/logs/check.log" in said
    assert html.escape(line, quote=False) in (tmp_path / "results" / "index.html").read_text()
    assert "The analysis failed." in said


def test_a_run_that_was_killed_says_how_to_go_on_and_does_to_equal_results(
    tmp_path: Path, inputs: dict[str, Any], finished: tuple[Path, str]
) -> None:
    shard = "attribution/model/shard-0-of-2.h5"
    wanted = [f"results/tiny/{shard}", "--cores", "1", "--configfile", "my.yaml"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *wanted]
    started = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while started.poll() is None and not (tmp_path / "results" / "tiny" / "sequences.h5").exists():
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGKILL)  # including the steps, as in a power cut
    started.wait()
    code, said = snakemake(*wanted, folder=tmp_path)
    assert code != 0
    name, *unlock = shlex.split(said.splitlines()[-1])
    assert name == "snakemake"
    assert unlock == ["--unlock", "--snakefile", str(ROOT / "Snakefile"), *wanted]
    code, said = snakemake(*wanted, "--unlock", folder=tmp_path)
    assert code == 0, said
    code, said = snakemake(*wanted, folder=tmp_path)
    assert code == 0, said
    one, other = (folder / "results" / "tiny" for folder in (tmp_path, finished[0]))
    for names, file, whole in (
        (("codes", "key"), "sequences.h5", "sequences.h5"),
        (
            ("shap/seq", "genolift/reference_digest"),
            shard,
            "contributions.h5",
        ),  # whose first rows are the shard's
    ):
        with h5py.File(one / file) as resumed, h5py.File(other / whole) as undisturbed:
            for name in names:
                np.testing.assert_array_equal(resumed[name][:], undisturbed[name][: len(resumed[name])])


def test_a_step_s_last_line_is_in_its_log_when_a_terminal_s_signal_ends_it(tmp_path: Path) -> None:
    prefix = re.search(
        r"shell\.prefix\(\s*f'(?P<first>.*)'\s*'(?P<second>.*)'\s*\)", (RULES / "common.smk").read_text()
    )
    assert prefix is not None
    step = "trap 'sleep 0.3; echo the last line; exit 130' INT; echo begun; while :; do sleep 0.1; done"
    line = f'{prefix["first"]}{prefix["second"]}bash -c "$STEP" 2>&1 | logged log'
    process = subprocess.Popen(
        ["bash", "-c", line],
        cwd=tmp_path,
        env=os.environ | {"STEP": step},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)  # until the shell waits for its pipeline: before, the signal ends the shell itself
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate()[0] == "the last line\n"
    assert process.returncode == 130
    assert (tmp_path / "log").read_text() == "begun\nthe last line\n"
    rules = [text for file in RULES.glob("*.smk") if "shell:" in (text := file.read_text())]
    assert len(rules) >= len(STEPS)
    assert all("| logged {log:q}" in text for text in rules)


def test_a_run_ends_with_every_file_that_is_promised(finished: tuple[Path, str]) -> None:
    results = finished[0] / "results" / "tiny"
    promised = ["sequences.tsv", "contributions.h5", "contributions.bw", "per_base.parquet"]
    promised += ["per_sequence.tsv", "motifs.h5", "motifs.meme", "motifs.tsv", "hits.bed.gz", "report.html"]
    assert [name for name in promised if not (results / name).is_file()] == []
    assert not (results / "references.h5").exists()  # they are made again in every job
    assert list((results / "logos").glob("*.png"))
    assert list((results / "logos").glob("*.svg"))
    assert [path.name for path in results.iterdir() if "unfinished" in path.name] == []


def test_a_run_ends_with_where_the_report_is(finished: tuple[Path, str]) -> None:
    folder, said = finished
    assert said.splitlines()[-2:] == ["The analysis is done.", "  results/tiny/report.html"]
    assert 'href="tiny/report.html"' in (folder / "results" / "index.html").read_text()


def test_each_mistake_of_several_analyses_is_said_at_the_end_and_listed(
    tmp_path: Path, inputs: dict[str, Any]
) -> None:
    tiny = inputs["analyses"]["tiny"]
    (tmp_path / "broken.bed").write_text("chr1\t20\t10\tbackwards\n")
    (tmp_path / "wrong.safetensors").write_text("weights")
    broken = tiny | {"sequences": tiny["sequences"] | {"bed": "broken.bed"}}
    wrong = tiny | {"model": tiny["model"] | {"path": "wrong.safetensors"}}
    write_config(tmp_path, {"analyses": {"broken": broken, "wrong": wrong}})
    files = [f"results/{name}/contributions.h5" for name in ("broken", "wrong")]
    code, said = snakemake(*files, "--cores", "2", "--configfile", "my.yaml", folder=tmp_path)
    assert code != 0
    *_, done, index, gap, first, one, second, other = said.splitlines()
    assert (done, index, gap) == (
        "None of 2 analyses is done, 2 failed.",
        "All in one list: results/index.html",
        "",
    )
    of_broken, of_wrong = sorted((first, second))
    logs = r"(broken/logs/check|\.sequences/[0-9a-f]{16}/encode)\.log"
    assert re.fullmatch(rf"In results/{logs} and 1 more:", of_broken)
    assert of_wrong == "In results/wrong/logs/check.log:"
    assert sorted(line[:30] for line in (one, other)) == [
        "genolift: error: broken.bed:1:",
        "genolift: error: model.path: w",
    ]
    page = html.unescape((tmp_path / "results" / "index.html").read_text())
    assert one in page
    assert other in page


def test_every_sequence_keeps_its_key_through_a_run(finished: tuple[Path, str]) -> None:
    results = finished[0] / "results" / "tiny"
    keys = list(range(SITES))
    assert pd.read_csv(results / "sequences.tsv", sep="\t")["key"].tolist() == keys
    assert pd.read_csv(results / "per_sequence.tsv", sep="\t")["key"].tolist() == keys
    with h5py.File(results / "contributions.h5") as file:
        assert file["genolift/key"][:].tolist() == keys
        assert file["genolift/reference_output"].shape == (SITES, 3)


def test_a_run_puts_the_contributions_where_the_sites_are(finished: tuple[Path, str]) -> None:
    results = finished[0] / "results" / "tiny"
    with h5py.File(results / "contributions.h5") as file:
        contributions = file["projected_shap/seq"][:].sum(axis=1)
    middle = slice(WINDOW // 2 - len(SITE) // 2, WINDOW // 2 + len(SITE) // 2)
    assert contributions[:, middle].sum() > 0.9 * contributions.sum() > 0
    table = pd.read_csv(results / "sequences.tsv", sep="\t")
    with pyBigWig.open(str(results / "contributions.bw")) as track:
        for row in (0, SITES - 1):
            start, end = int(table["start"][row]), int(table["end"][row])
            np.testing.assert_allclose(track.values("chr1", start, end), contributions[row], atol=1e-6)


def test_a_run_holds_what_the_model_is_given_beside_the_bases(tmp_path: Path) -> None:
    made = study(tmp_path, n=8, windows=True)
    analysis = write_model(tmp_path) | {
        "sequences": {"bed": "peaks.bed", "genome": "genome.fa", "use_strand": True},
        "references": {"number": 3},
        "attribution": {"shards": 2, "device": "cpu"},
    }
    write_config(tmp_path, {"analyses": {"held": analysis}})
    contributions = "results/held/contributions.h5"
    code, said = snakemake(contributions, "--cores", "1", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 0, said
    assert_equal(tmp_path / contributions, directly(made.folder, analysis))
    (tmp_path / "library.tsv").write_text((tmp_path / "library.tsv").read_text() + "more\t0\t0\t0\n")
    _, said = snakemake(contributions, "-n", "--configfile", "my.yaml", folder=tmp_path)
    again = dict.fromkeys(["check", "aggregate_windows"], 1) | {"attribute": 2}
    assert numbers_of_jobs(said) == again


def test_letters_of_rna_are_read_where_the_alphabet_has_u(tmp_path: Path, inputs: dict[str, Any]) -> None:
    tiny = inputs["analyses"]["tiny"]
    (tmp_path / "rna.fa").write_text(f">a\n{'ACGU' * (WINDOW // 4)}\n")
    tiny["sequences"] = {"fasta": "rna.fa"}
    tiny["references"] = {"kind": "fasta", "fasta": "rna.fa"}
    tiny["model"]["alphabet"] = "ACGU"
    write_config(tmp_path, inputs)
    files = ["results/tiny/references.h5", "results/tiny/sequences.tsv"]
    code, said = snakemake(*files, "--cores", "1", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 0, said
    assert pd.read_csv(tmp_path / files[1], sep="\t")["n_count"].tolist() == [0]


def test_a_finished_run_has_nothing_left_to_do(finished: tuple[Path, str]) -> None:
    code, said = snakemake("-n", "--configfile", "my.yaml", folder=finished[0])
    assert code == 0
    assert "Nothing to be done" in said


def test_motifs_are_not_looked_for_again_where_that_they_were_compiled_is_lost(
    finished: tuple[Path, str],
) -> None:
    compiled = finished[0] / "results/.compiled"
    compiled.rename(finished[0] / "lost")
    _, said = snakemake("-n", "--configfile", "my.yaml", folder=finished[0])
    (finished[0] / "lost").rename(compiled)
    assert "Nothing to be done" in said


def test_two_analyses_compile_once(tmp_path: Path, inputs: dict[str, Any]) -> None:
    inputs["analyses"]["another"] = inputs["analyses"]["tiny"]
    write_config(tmp_path, inputs)
    _, said = snakemake("-n", "--configfile", "my.yaml", folder=tmp_path)
    jobs = numbers_of_jobs(said)
    assert (jobs["compile"], jobs["motifs"]) == (1, 2)


def test_a_changed_setting_runs_what_depends_on_it_and_no_more(finished: tuple[Path, str]) -> None:
    change = "defaults={report: {title: Another}}"
    code, said = snakemake("-n", "--configfile", "my.yaml", "--config", change, folder=finished[0])
    assert code == 0, said
    assert numbers_of_jobs(said) == {"report": 1, "index": 1, "all": 1}
    change = "analyses={tiny: {motifs: {database: other.meme}}}"
    (finished[0] / "other.meme").write_bytes((finished[0] / "motifs.meme").read_bytes())
    code, said = snakemake("-n", "--configfile", "my.yaml", "--config", change, folder=finished[0])
    assert code == 0, said
    assert numbers_of_jobs(said) == {"motifs": 1, "logos": 1, "report": 1, "index": 1, "all": 1}
    changed = dict.fromkeys(["aggregate_windows", "motifs", "logos", "report", "index", "all"], 1)
    for keys in ("attribution: {precision: float64}", "references: {seed: 1}", "references: {kind: zeros}"):
        change = f"analyses={{tiny: {{{keys}}}}}"
        code, said = snakemake("-n", "--configfile", "my.yaml", "--config", change, folder=finished[0])
        assert code == 0, said
        assert numbers_of_jobs(said) == changed | {"attribute": 2}


def test_another_target_or_model_reads_no_sequences_again(finished: tuple[Path, str]) -> None:
    shutil.copy(finished[0] / "weights.safetensors", finished[0] / "others.safetensors")
    after = dict.fromkeys(["check", "aggregate_windows", "motifs", "logos", "report", "index", "all"], 1)
    for keys in ("target: '[0]'", "model: {path: others.safetensors}", "rule: rescale"):
        change = f"analyses={{tiny: {{{keys}}}}}"
        code, said = snakemake("-n", "--configfile", "my.yaml", "--config", change, folder=finished[0])
        assert code == 0, said
        assert numbers_of_jobs(said) == after | {"attribute": 2}


def test_encode_depends_on_the_model_where_only_that_may_say_the_length(
    tmp_path: Path, inputs: dict[str, Any]
) -> None:
    (tmp_path / "sequences.fa").write_text(">one\n" + "ACGTTGCA" * 5 + "\n>two\n" + "GATTACAT" * 5 + "\n")
    tiny = inputs["analyses"]["tiny"] | {"sequences": {"fasta": "sequences.fa"}}
    del tiny["model"]["input_length"]
    write_config(tmp_path, {"analyses": {"tiny": tiny}})
    encoded = ("results/tiny/sequences.tsv", "--configfile", "my.yaml")
    code, said = snakemake("--cores", "1", *encoded, folder=tmp_path)
    assert code == 0, said
    for change, again in (("target: '[0]'", False), ("model: {arguments: {width: 3}}", True)):
        _, said = snakemake("-n", *encoded, "--config", f"analyses={{tiny: {{{change}}}}}", folder=tmp_path)
        assert ("Nothing to be done" in said) == (not again), said
        assert not again or numbers_of_jobs(said) == {"encode": 1, "sequences": 1}


def test_a_path_is_the_same_however_it_is_written(finished: tuple[Path, str], tmp_path: Path) -> None:
    folder = finished[0]
    config = yaml.safe_load((folder / "my.yaml").read_text())
    tiny = config["analyses"]["tiny"]
    tiny["sequences"] = {"bed": str(folder / "sites.bed"), "genome": "./genome.fa"}
    tiny["model"] |= {
        "path": f"{folder}/../{folder.name}/weights.safetensors",
        "class": f"{folder}/tiny.py:Tiny",
    }
    tiny["motifs"] = {"database": str(folder / "motifs.meme")}
    (tmp_path / "absolute.yaml").write_text(yaml.safe_dump(config))
    code, said = snakemake("-n", "--configfile", str(tmp_path / "absolute.yaml"), folder=folder)
    assert code == 0, said
    assert "Nothing to be done" in said


@pytest.mark.parametrize("keys", ["keep: true", "kind: base_frequencies"])
def test_references_that_are_stored_are_a_job_whose_file_attribute_is_given(
    finished: tuple[Path, str], keys: str
) -> None:
    change = f"analyses={{tiny: {{references: {{{keys}}}}}}}"
    code, said = snakemake("-n", "-p", "--configfile", "my.yaml", "--config", change, folder=finished[0])
    assert code == 0, said
    jobs = numbers_of_jobs(said)
    assert (jobs["reference"], jobs["attribute"], "encode" in jobs) == (1, 2, False)
    assert said.count("--references results/tiny/references.h5 --settings") == 2


def test_a_change_of_how_steps_are_run_runs_nothing(finished: tuple[Path, str]) -> None:
    keys = "{tolerance: 0.5, batch_size: 7, memory: 5GB, device: cuda, shards: 5}"
    change = ["--config", f"analyses={{tiny: {{attribution: {keys}}}}}"]
    more = ["--set-threads", "attribute=2", "motifs=3", "--set-resources", "attribute:mem_mb=9000"]
    code, said = snakemake("-n", "--configfile", "my.yaml", *change, *more, folder=finished[0])
    assert code == 0, said
    assert "Nothing to be done" in said
    code, said = snakemake(
        "-n", "-p", "--forcerun", "attribute", "--configfile", "my.yaml", *change, folder=finished[0]
    )
    assert code == 0, said
    running = '{"batch_size": 7, "memory": 5000000000, "device": "cuda", "tolerance": 0.5}'
    assert f"--running '{{\"attribution\": {running}}}'" in said


def test_it_takes_no_more_disk_than_it_said(finished: tuple[Path, str]) -> None:
    folder = finished[0] / "results" / "tiny"
    told = json.loads((folder / "costs.json").read_text())
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < told["disk"]
    assert f"{told['windows']:,} windows: " in (folder / "logs" / "check.log").read_text()


def test_snakemake_s_own_report_has_the_captions(finished: tuple[Path, str]) -> None:
    folder = finished[0]
    code, said = snakemake("--report", "report.zip", "--configfile", "my.yaml", folder=folder)
    assert code == 0, said
    with zipfile.ZipFile(folder / "report.zip") as archive:
        text = "\n".join(
            archive.read(name).decode("utf-8", "replace")
            for name in archive.namelist()
            if name.endswith((".html", ".js"))
        )
    for caption in ("DeepLIFT", "TF-MoDISco", "Fi-NeMo", "coordinates (0-based, half-open)"):
        assert caption in text


def test_environments_have_the_same_versions() -> None:
    pinned = dict(
        line.lower().split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    by_pip = next(item["pip"] for item in dependencies if isinstance(item, dict))
    versions = dict(item.split(" =") for item in dependencies if isinstance(item, str) and " =" in item)
    versions |= dict(item.split("==") for item in by_pip if "==" in item)
    del versions["python"]
    other_names = {"pytorch": "torch", "matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake"}
    assert len(versions) > 20
    for name, version in versions.items():
        assert pinned[other_names.get(name, name)] == version, name


def test_every_dependency_has_a_pinned_version() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [
        name for extra in project["optional-dependencies"].values() for name in extra
    ]
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    names = {re.split(r"[<>=\[; ]", name)[0].lower().replace("_", "-") for name in wanted}
    assert names - pinned == {"genolift"}


def test_every_dependency_stands_in_the_readme_with_a_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    wanted = {re.split(r"[<>=\[; ]", name)[0] for name in project["dependencies"] + extras} - {"genolift"}
    rows = re.findall(r"^\| (.*?) \| (.+?) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    explained = {name for packages, _ in rows for name in re.findall(r"[\w-]+", packages)}
    assert sorted(wanted - explained) == []


def test_the_environment_of_pre_commit_has_the_same_versions() -> None:
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert len(hooks) > 0
    for hook in hooks:
        tool = hook["repo"].rpartition("/")[2].removesuffix("-pre-commit")
        assert f"{tool}=={hook['rev'].removeprefix('v')}" in pinned


def test_make_says_what_it_can_do() -> None:
    if shutil.which("make") is None:
        skip("needs make", lacking="make")
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "faults", "lint", "benchmark", "clean"):
        assert f"make {target}" in said


def test_the_table_of_bases_is_an_output_where_the_config_asks_for_it(
    tmp_path: Path, inputs: dict[str, Any]
) -> None:
    jobs = {}
    for per_base in (None, False, True):
        write_config(tmp_path, {"analyses": {"tiny": inputs["analyses"]["tiny"] | {"per_base": per_base}}})
        code, said = snakemake("-n", "-p", "--configfile", "my.yaml", folder=tmp_path)
        assert code == 0, said
        jobs[per_base] = numbers_of_jobs(said)
        assert ("--running '{\"per_base\": false}'" in said) == (per_base is not None)
    assert jobs[None] == jobs[False]
    assert jobs[True] == jobs[None] | {"per_base": 1}


@pytest.mark.slow
def test_shards_are_gone_when_they_are_merged_and_only_new_contributions_need_them(
    finished: tuple[Path, str], tmp_path: Path
) -> None:
    folder = finished[0]
    assert list((folder / "results" / "tiny").rglob("shard-*.h5")) == []
    config = yaml.safe_load((folder / "my.yaml").read_text())
    for keys, expected in (
        ({}, None),
        ({"attribution": {"tolerance": 0.01}}, None),
        ({"per_base": False}, None),
        ({"attribution": {"precision": "float64"}}, {"attribute": 2, "aggregate_windows": 1}),
        ({"rule": "rescale"}, {"attribute": 2, "aggregate_windows": 1}),
    ):
        (tmp_path / "my.yaml").write_text(
            yaml.safe_dump({"analyses": {"tiny": merge(config["analyses"]["tiny"], keys)}})
        )
        code, said = snakemake("-n", "--configfile", str(tmp_path / "my.yaml"), folder=folder)
        assert code == 0, said
        assert ("Nothing to be done" in said) == (expected is None)
        assert expected is None or expected.items() <= numbers_of_jobs(said).items()
