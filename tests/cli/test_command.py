"""A command gets the same settings from flags as from a workflow rule's JSON."""

from __future__ import annotations

import json
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from command_line import run

from genolift.cli.commands import COMMANDS
from genolift.cli.flags import Flag
from genolift.cli.handed import handed
from genolift.settings.config import resolve_config
from genolift.settings.mistakes import checked
from genolift.settings.sections import Attribution, Settings

FULL: dict[str, Any] = {
    "model": {
        "path": "weights.pt",
        "class": "model.py:Model",
        "arguments": {"width": 3, "name": "{x} 'y' \"z\" $HOME"},
        "sha256": "0a" * 32,
        "axes": "length,bases",
        "alphabet": "ACGU",
        "input_length": 400,
        "trust": True,
        "expect": {"inputs": "expected.npz", "outputs": "expected.npz", "tolerance": 0.01},
    },
    "sequences": {"bed": "-peaks.bed", "genome": "genome.fa", "use_strand": True, "max_n_fraction": 0.5}
    | {"blacklist": "blacklist.bed", "pad": True},
    "extra_inputs": [{"table": "library.tsv", "columns": ["a"]}, {"values": [0.5, 1], "shape": [2, 1]}],
    "extra_channels": [-1.5, {"bigwig": "track.bw", "missing": 1}, {"table": "library.tsv"}],
    "tracks": "library.tsv",
    "target": "GATA1 rep-2",
    "keep_final_activation": True,
    "rule": "rescale",
    "per_base": False,
    "references": {"number": 3, "seed": 5},
    "attribution": {
        "shards": 3,
        "batch_size": 7,
        "memory": "5GB",
        "device": "cuda:1",
        "precision": "tf32",
        "tolerance": 0.1,
    },
    "motifs": {
        "preset": "published",
        "database": "jaspar:fungi",
        "window": 100,
        "target_seqlet_fdr": 0.1,
        "sliding_window_size": 15,
        "flank_size": 4,
        "max_seqlets": 500,
        "min_metacluster_size": 30,
        "nearest_neighbors_to_compute": 50,
        "n_leiden_runs": 3,
        "final_min_cluster_size": 10,
        "trim_to_window_size": 16,
        "initial_flank_to_add": 3,
        "final_flank_to_add": 1,
        "trim_fraction": 0.2,
        "hit_lambda": 0.6,
        "hit_similarity": 0.8,
        "hit_steps": 100,
        "matches": 5,
        "name_qvalue": 0.01,
    },
    "logos": {"number": 4},
    "report": {"title": 'It\'s "mine"'},
}
FILES = (
    "weights.pt",
    "model.py",
    "expected.npz",
    "-peaks.bed",
    "genome.fa",
    "blacklist.bed",
    "library.tsv",
    "track.bw",
)
LETTERS = {"sequences": {"fasta": "library.tsv"}}
"""A FASTA."""
OWN = {
    "check": "--out o",
    "encode": "--table t --out o",
    "reference": "--sequences s --out o",
    "attribute": "--sequences s --references r --out o",
    "motifs": "--contributions c --sequences s --out o",
    "logos": "--results r --out o",
    "report": "--results r --out o",
}
"""Each command to which a rule passes settings, and the paths that the rule gives it."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in FILES:
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def key_flags(command: str) -> list[Flag]:
    """Return the flags of the keys of an analysis that a command takes."""
    return [flag for flag in COMMANDS[command].flags if flag.place[0] == "settings"]


def given_to(monkeypatch: pytest.MonkeyPatch, command: str, *words: str) -> Settings:
    """Return the settings with which a command would run."""
    found: list[Settings] = []
    called = COMMANDS[command]
    given = vars(called.parser().parse_args([*OWN[command].split(), *words]))
    with monkeypatch.context() as patch:
        patch.setitem(vars(called), "run", lambda settings, **own: found.append(settings))
        called.call(given)
    return found[0]


@pytest.mark.parametrize("command", OWN)
def test_a_rule_hands_its_command_every_key_that_the_command_takes(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = resolve_config({"analyses": {"mine": FULL}}, "my.yaml").analyses["mine"]
    settings, running = handed(analysis, command, "model" if command == "attribute" else None)
    given = given_to(monkeypatch, command, "--settings", settings, "--running", running)
    if command == "encode":  # it need not read the model
        assert json.loads(settings) == {
            "sequences": FULL["sequences"] | {"length": 400},
            "model": {"alphabet": "ACGU"},
        }
        return
    for flag in key_flags(command):
        expected: Any = analysis
        found: Any = given
        for name in flag.place[1:]:
            name = {"class": "class_name", "models": "named_models"}.get(name, name)
            if (expected, found) == (None, None):  # a section that is not given
                break
            expected, found = getattr(expected, name), getattr(found, name)
        if flag.place[-1] == "targets":
            expected = (FULL["target"],)
        assert found == expected, flag.name


def test_attribute_has_a_flag_for_every_key_of_its_section_but_the_workflow_s() -> None:
    places = [flag.place[1:] for flag in key_flags("attribute")]
    keys = {place[1] for place in places if place[0] == "attribution"}
    assert keys == Attribution.model_fields.keys() - {"shards"}
    assert not any(flag.place[-1] == "shards" for command in OWN for flag in key_flags(command))


def test_what_only_says_how_a_command_is_run_is_handed_apart(folder: Path) -> None:
    analysis = resolve_config({"analyses": {"mine": FULL}}, "my.yaml").analyses["mine"]
    settings, running = map(json.loads, handed(analysis, "attribute", "model"))
    assert settings["attribution"] == {"precision": "tf32"}
    assert running == {
        "attribution": {"batch_size": 7, "memory": 5 * 10**9, "device": "cuda:1", "tolerance": 0.1}
    }


@pytest.mark.parametrize("tile", [{}, {"stride": 50, "chromosomes": ["chr1", "chr2"]}])
def test_a_tiled_genome_is_handed_though_every_key_of_it_may_be_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tile: dict[str, Any]
) -> None:
    tiled = {"model": FULL["model"], "sequences": {"genome": "genome.fa", "regions": {"tile": tile}}}
    analysis = resolve_config({"analyses": {"mine": tiled}}, "my.yaml").analyses["mine"]
    for command in ("encode", "check"):
        settings, running = handed(analysis, command)
        given = given_to(monkeypatch, command, "--settings", settings, "--running", running)
        assert given.sequences.regions == analysis.sequences.regions, command


def test_settings_that_are_not_used_are_not_handed(folder: Path) -> None:
    zeros = {"model": FULL["model"] | {"alphabet": "ACGT"}, "sequences": FULL["sequences"]}
    zeros["references"] = {"kind": "zeros", "number": 3, "seed": 4}
    analysis = resolve_config({"analyses": {"mine": zeros}}, "my.yaml").analyses["mine"]
    assert handed(analysis, "reference") == ('{"references": {"kind": "zeros"}}', "{}")


def test_encode_is_handed_the_model_only_where_no_key_says_the_length(folder: Path) -> None:
    keys = {"model": {"path": "weights.pt"}, **LETTERS, "extra_channels": [1, 0]}
    analysis = resolve_config({"analyses": {"mine": keys}}, "my.yaml").analyses["mine"]
    assert json.loads(handed(analysis, "encode")[0]) == keys
    keys["model"] = {"path": "weights.pt", "input_length": 50}
    analysis = resolve_config({"analyses": {"mine": keys}}, "my.yaml").analyses["mine"]
    assert json.loads(handed(analysis, "encode")[0]) == {"sequences": LETTERS["sequences"] | {"length": 50}}


def test_infinite_arguments_of_a_model_are_handed_as_they_are(folder: Path) -> None:
    arguments = {"mask": -inf, "list": [1, {"missing": nan}]}
    keys = {"model": {"path": "weights.pt", "arguments": arguments}, **LETTERS}
    analysis = resolve_config({"analyses": {"mine": keys}}, "my.yaml").analyses["mine"]
    for command in ("check", "attribute"):
        settings, _ = handed(analysis, command, "model" if command != "check" else None)
        assert repr(checked(Settings, json.loads(settings)).the_model.arguments) == repr(arguments)


def test_flags_and_json_come_to_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "--model weights.pt --alphabet ACGU --extra-input library.tsv --extra-input [1,2] --target 3 "
    words += "--extra-channel -1.5 --extra-channel track.bw --memory 5GB --batch-size 7 --tolerance .1"
    settings = {
        "model": {"path": "weights.pt", "alphabet": "ACGU"},
        "extra_inputs": [{"table": "library.tsv"}, {"values": [1, 2]}],
        "extra_channels": [-1.5, {"bigwig": "track.bw"}],
        "targets": [3],
        "attribution": {"memory": "5GB", "batch_size": 7, "tolerance": 0.1},
    }
    by_flags = given_to(monkeypatch, "attribute", *words.split())
    assert by_flags == given_to(monkeypatch, "attribute", "--settings", json.dumps(settings))
    nearer = given_to(monkeypatch, "attribute", "--settings", json.dumps(settings), "--target", "GATA1")
    assert (nearer.targets, nearer.model) == (("GATA1",), by_flags.model)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--number 0", "--number: 0 is less than 1; give a whole number from 1 to 10,000"),
        ("--number many", '--number: "many" is text; give a whole number from 1 to 10,000'),
        ("--number 1.5", "--number: 1.5 is a number; give a whole number from 1 to 10,000"),
        ("--kind zero", "--kind: \"zero\" is not a choice; did you mean 'zeros'?"),
        ("--alphabet ACGX", "--alphabet: 'ACGX' is not an alphabet; write the letter of each channel"),
        ("--frequencies 1 0 0 1", "--frequencies: the frequencies add up to 2; give fractions"),
        ('--settings {"references":{"number":0}}', "--settings: references.number: 0 is less than 1; give"),
        (
            '--settings {"references":{"nmber":1}}',
            "--settings: references.nmber: unknown key; did you mean 'number'?",
        ),
        ('--running {"refrences":{}}', "--running: refrences: unknown key; did you mean 'references'?"),
        ("--settings []", "--settings: [] is a list; give keys with values"),
        ("--settings words", '--settings: "words" is text; give keys with values'),
        ("--running {", '--running: "{" is not JSON'),
        (
            "--fasta f",
            "references: 'fasta' is given, but the kind is 'dinucleotide_shuffle'; leave 'fasta' out",
        ),
    ],
)
def test_a_mistake_names_the_flag_or_key_and_what_may_be_given(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "reference", "--sequences", "s", "--out", "o", *words.split())
    assert code == 2
    assert err.startswith(f"genolift: error: {said}")


@pytest.mark.parametrize("command", ["inspect", "plan", "export --out o"])
def test_a_command_without_its_model_says_how_one_is_given(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, *command.split())
    remedy = "give its file: MODEL of genolift inspect, --model of other commands"
    assert (code, err) == (2, f"genolift: error: there is no model; {remedy}\n")


def test_a_command_that_is_not_there_has_its_nearest_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "motif")[::2] == (
        2,
        "genolift: error: 'motif' is not a command; did you mean 'motifs'?\n",
    )
    assert run(capsys)[::2] == (2, "genolift: name a command; see genolift --help\n")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("encode", ["--settings", '{"sequences": {"fasta": "a"}}', "--table=t", "--out", "o", "--quiet"]),
        ("attribute", ["--sequences", "s", "--references", "r", "--out", "o", "--shard", "0/2"]),
        ("aggregate", ["--sequences", "s", "--shards", "a", "b", "--out", "o"]),
        ("attribute", ["--sequences", "s", "--references", "r", "--out", "o", "--target", "counts"]),
        ("attribute", ["--sequences", "s", "--refer", "r", "--out", "o", "--prec", "float64"]),
        ("inspect", ["weights.pt", "--fasta", "a"]),
    ],
)
def test_words_mean_the_same_whether_or_not_the_settings_flags_are_made(
    command: str, words: list[str]
) -> None:
    made = COMMANDS[command]
    assert made.parsed(words) == vars(made.parser().parse_args(words))
