"""Every example in the documentation is true: it is run or, if it cannot be, parsed by what would run it."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from examples_of_docs import (
    DOCS,
    ROOT,
    Example,
    anchors,
    blocks,
    commands,
    helped,
    links,
    spans,
    subcommands,
    write_named_files,
)

import genolift
from genolift.cli import main as cli
from genolift.settings.config import check_config_file, resolve_config
from genolift.settings.mistakes import check_part
from genolift.settings.reading import read_yaml, value_of_yaml, with_command_line
from genolift.settings.sections import Config

NOT_RUN = {
    "git": "fetches the repository",
    "cd": "goes into what git fetched",
    "source": "activates an environment",
    "conda": "makes an environment",
    "pip": "installs into an environment",
}
"""Commands of other programs, and why the test does not run them."""
ONLY_READ = {
    "snakemake": "the workflow's own tests run it",
    "make": "its targets set up environments; that they exist is checked",
    "python": "benchmarks take minutes",
    "genolift train-demo": "trains a model for minutes",
}
"""Commands whose arguments are only checked by their own parsers, and why they are not run."""
STEPS = next(each for each in blocks() if "genolift encode" in each.text)
SHELL = [each for each in blocks() if each.language in ("", "bash", "sh")]
YAML = [each for each in blocks() if each.language == "yaml"]
PYTHON = [each for each in blocks() if each.language == "python"]
INLINE = [
    each for each in spans() if re.match(r"(genolift|snakemake|make|python|pip|conda) [a-zA-Z-]", each.text)
]
MODELS = [each for each in spans() if each.text.startswith("{path: ")]
ENTRIES = [each for each in spans() if each.text.startswith("--config ")]


def _run(*words: str) -> None:
    """Run genolift in this process, in the working directory."""
    with pytest.raises(SystemExit) as left:
        cli.main(_expanded(words))
    assert left.value.code == 0, words


def _expanded(words: tuple[str, ...]) -> list[str]:
    """Expand words with a star to the files that match, as a shell does."""
    return [
        name for word in words for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of the names that the documentation uses, in which README's steps have been run."""
    folder = tmp_path_factory.mktemp("docs")
    write_named_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, *words in commands(STEPS.text):
            assert name == "genolift"
            _run(*words)
        stored = ["--sequences", "results/mine/sequences.h5", "--out", "references.h5"]
        _run("reference", *stored)
    for name in ("sequences.h5", "sequences.tsv", "contributions.h5"):
        shutil.copy(folder / "results" / "mine" / name, folder / name)
    shutil.copy(folder / "results" / "mine" / "attribution" / "shard-0-of-1.h5", folder / "shard-0.h5")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, as the working directory."""
    shutil.copytree(made, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with only these files, as the working directory."""
    write_named_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _check(name: str, words: list[str]) -> None:
    """Parse the words with the command's own parser."""
    if name == "genolift":
        _check_genolift(words)
    elif name == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[0] in targets
        for word in words[1:]:
            assert f"{word.split('=')[0]} ?=" in (ROOT / "Makefile").read_text()
    elif name == "snakemake":
        from snakemake.cli import get_argument_parser

        read = get_argument_parser().parse_args(words)
        if read.workflow_profile:
            assert (ROOT / read.workflow_profile / "config.yaml").is_file()
    elif name == "python":
        _check_benchmark(words)
    else:
        assert name in NOT_RUN


def _check_genolift(words: list[str]) -> None:
    """Parse words with genolift's parser; if a command is only mentioned, check that it has the flags."""
    command, *others = words
    parsers = subcommands()
    if not others or command == "COMMAND":
        assert command in (*parsers, "COMMAND")
        return
    try:
        parsers[command].parse_args(others)
    except SystemExit:
        known = {flag for action in parsers[command]._actions for flag in action.option_strings}
        assert {word for word in others if word.startswith("-")} <= known


class _HasParsedError(Exception):
    """Raised in place of a script's work once it has parsed its flags."""


def _check_benchmark(words: list[str]) -> None:
    parse = argparse.ArgumentParser.parse_args

    def and_end(self: argparse.ArgumentParser, *given: Any) -> None:
        parse(self, *given)
        raise _HasParsedError

    script, *others = words
    if script == "-m":
        assert importlib.util.find_spec(others[0]) is not None
        return
    assert (ROOT / script).is_file()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", and_end)
        patch.setattr(sys, "argv", [script, *others])
        try:
            module = importlib.import_module(Path(script).stem)
        except ModuleNotFoundError:  # a package that genolift is compared with, which the tests do not need
            text = (ROOT / script).read_text()
            assert [word for word in others if word.startswith("--") and f'"{word}"' not in text] == []
            return
        with pytest.raises(_HasParsedError):
            module.main()


def test_the_steps_of_the_readme_run_one_after_the_other(made: Path) -> None:
    results = made / "results" / "mine"
    promised = ["contributions.h5", "contributions.bw", "motifs.meme", "hits.bed.gz", "logos", "report.html"]
    assert [name for name in promised if not (results / name).exists()] == []


@pytest.mark.parametrize(
    "example", [each for each in (*SHELL, *helped()) if each is not STEPS and each != STEPS], ids=str
)
def test_a_command_in_a_block_or_in_help_runs(
    folder: Path, example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(commands(example.text)) != []
    for name, *words in commands(example.text):
        if name in NOT_RUN:
            continue
        if name in ONLY_READ or f"{name} {words[0]}" in ONLY_READ:
            _check(name, words)
        else:
            assert name == "genolift"
            _run(*words)


@pytest.mark.parametrize("example", INLINE, ids=str)
def test_a_command_in_the_text_is_one_that_its_parser_reads(example: Example) -> None:
    for name, *words in commands(example.text):
        _check(name, words)


@pytest.mark.parametrize("example", YAML, ids=str)
def test_a_config_passes_check_config(named: Path, example: Example) -> None:
    (named / "my.yaml").write_text(example.text)
    names = yaml.safe_load(example.text)["analyses"]
    if isinstance(names, str):  # of a table, which is shown below with columns of a width
        rows = re.findall(
            r"^    (analysis .+|reb1 .+|rap1.+)$", (ROOT / example.document).read_text(), re.MULTILINE
        )
        (named / names).write_text("".join(re.sub(r" {2,}", "\t", row) + "\n" for row in rows))
        names = [row.split()[0] for row in rows[1:]]
    assert [line.split(":")[0] for line in check_config_file(Path("my.yaml"))] == list(names)


@pytest.mark.parametrize("example", MODELS, ids=str)
def test_a_model_in_a_table_has_the_keys_of_the_config(example: Example) -> None:
    model = value_of_yaml(example.text, str(example))
    check_part(Config, {"analyses": {"mine": {"model": model}}}, str(example))


@pytest.mark.parametrize("example", ENTRIES, ids=str)
def test_values_of_the_command_line_are_taken(named: Path, example: Example) -> None:
    _, *entries = shlex.split(example.text)
    demo = read_yaml(Path("config/config.yaml"))
    assert resolve_config(with_command_line(demo, entries), "my.yaml") != resolve_config(demo, "my.yaml")


@pytest.mark.parametrize("example", PYTHON, ids=str)
def test_a_block_of_python_runs(named: Path, example: Example) -> None:
    letters = np.random.default_rng(0).integers(0, 4, (2, 100))
    onehot = torch.nn.functional.one_hot(torch.from_numpy(letters), 4).transpose(1, 2).float()
    names: dict[str, Any] = {"onehot": onehot}
    exec((named / "model.py").read_text(), names)
    names["model"] = names["MyModel"]()
    if "keras" in example.text:
        write_keras_model(named / "model.keras")
    try:
        exec(compile(example.text, str(example), "exec"), names)
    finally:
        genolift.register_rule("aten.cumprod.default", None)
    if "expected.npz" in example.text:
        own = {"path": "model.keras"}
        if "keras" not in example.text:
            own = {"path": "own.pt", "class": "model.py:MyModel"}
            torch.save(names["model"].state_dict(), "own.pt")
        genolift.load_model(own | {"expect": dict.fromkeys(("inputs", "outputs"), "expected.npz")})


def write_keras_model(path: Path) -> None:
    """Write a Keras model that takes (1000, 4)."""
    from genolift.models.keras import keras  # it imports Keras on torch

    layers = keras.layers
    keras.Sequential(
        [
            layers.Input((1000, 4)),
            layers.Conv1D(3, 5, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2),
        ]
    ).save(path)


@pytest.mark.parametrize("name", DOCS)
def test_a_link_leads_to_a_file_and_a_heading_that_there_are(name: str) -> None:
    dead = []
    for link in (each for each in links() if each.document == name):
        path, _, heading = link.text.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        if not target.exists() or (heading and heading not in anchors(target)):
            dead.append(str(link) + " " + link.text)
    assert dead == []


def test_every_example_is_looked_at() -> None:
    assert {each.language for each in blocks()} <= {"", "bash", "sh", "yaml", "python"}
    assert len(ENTRIES) > 0
    without = {
        "docs/architecture.md",
        "docs/costs.md",
        "docs/keras-layers.md",
        "docs/keras.md",
    }  # these have none of their own
    assert {each.document for each in blocks()} >= set(DOCS) - without
    known = {
        str(path.relative_to(ROOT)) for path in [*ROOT.glob("docs/*.md"), *ROOT.glob("[a-z]*/README.md")]
    }
    assert known <= set(DOCS)
