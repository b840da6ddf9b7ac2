"""Absurd configs and flags: one line before any work, with what to do."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import run
from test_config import FOLDS, folder, message_of, resolve, smallest

from genolift.errors import InputError
from genolift.settings.config import check_config_file
from genolift.settings.reading import read_yaml, with_command_line
from genolift.settings.schema import json_schema
from genolift.settings.workflow import WRITTEN, final_files

__all__ = ["folder"]  # the fixture, which pytest finds here by its name

BASE = yaml.safe_dump(smallest())
LISTS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
MERGES = "m0: &m0 {a: 1}\n" + "".join(
    f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}\n" for i in range(1, 10)
)
LONG = "cannot be read (it has more than 100 digits)"
TEXTS = {
    "an alias in itself": (f"{BASE}x: &a [*a]\n", "line {n}: the alias *a is used inside its own value"),
    "lists of aliases of lists": (LISTS, ": holds more than 200,000 values"),
    "merges of merges": (MERGES, "line 7: holds more than 200,000 values"),
    "3,000 levels": (f"{BASE}x: {'[' * 3000}{']' * 3000}\n", "line {n}: goes more than 50 levels deep"),
    "3,000 levels of JSON": (f'{{"x": {"[" * 3000}{"]" * 3000}}}', ": goes more than 50 levels deep"),
    "a key that is a list": (f"{BASE}? [a, b]\n: 1\n", "line {n}: a key is a list or a mapping"),
    "a key that is a mapping": (f"{BASE}? {{a: b}}\n: 1\n", "line {n}: a key is a list or a mapping"),
    "5,000 digits": (f"{BASE}x: {'9' * 5000}\n", f'line {{n}}: "{"9" * 79}... {LONG}'),
    "5,000 hexadecimal digits": (f"{BASE}x: 0x{'f' * 5000}\n", f'line {{n}}: "0x{"f" * 77}... {LONG}'),
    "5,000 digits of JSON": (f'{{"x": {"9" * 5000}}}', ": is a number of more than 100 digits"),
    "no month": (f"{BASE}x: 2024-13-45\n", 'line {n}: "2024-13-45" cannot be read'),
    "a key twice in JSON": ('{"a": 1, "a": 2}', ': the key "a" is written twice'),
    "a key that is null": (f"{BASE}~: 1\n", 'line {n}: the key "~" means null in YAML; put it in quotes'),
    "a key that is false": (f"{BASE}no: 1\n", 'line {n}: the key "no" means false in YAML; put it in quotes'),
    "a key that is 8": (f"{BASE}010: 1\n", 'line {n}: the key "010" means 8 in YAML; put it in quotes'),
    "a bell": (f"{BASE}x: a\x07b\n", "line {n}: holds the character U+0007"),
    "an escaped NUL": (f'{BASE}x: "a\\0b"\n', ": x: holds the character U+0000"),
    "half a letter": (f'{BASE}x: "\\ud800"\n', ": x: holds the character U+D800"),
    "a text without an end": (f"{BASE}x: {'a' * 20_000}\n", "20,000 characters, more than the 10,000"),
    "3 million letters": (f"# {'a' * 3_000_000}\n{BASE}", "has more than 2,000,000 characters"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), TEXTS.values(), ids=TEXTS)
def test_a_config_that_nobody_means_is_one_short_line_at_once(folder: Path, text: str, message: str) -> None:
    (folder / "my.yaml").write_text(text)
    start = time.process_time()
    with pytest.raises(InputError) as raised:
        check_config_file(Path("my.yaml"))
    assert time.process_time() - start < 5
    assert str(raised.value).startswith("my.yaml")
    assert message.format(n=BASE.count("\n") + 1) in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("content", [BASE.encode("utf-16"), b"\xff" + BASE.encode(), BASE.encode() + b"\0"])
def test_a_config_that_is_no_utf_8_text_is_one_line(folder: Path, content: bytes) -> None:
    (folder / "my.yaml").write_bytes(content)
    with pytest.raises(InputError, match=r"^my\.yaml"):
        check_config_file(Path("my.yaml"))


def test_what_snakemake_s_own_reader_lets_through_is_refused_too() -> None:
    inside: list[Any] = []
    inside.append(inside)
    assert "goes more than 50 levels deep" in message_of(smallest(extra_inputs=inside))
    many: Any = "x"
    for _ in range(9):
        many = [many] * 9
    assert "holds more than 200,000 values" in message_of(smallest(extra_inputs=many))
    assert "is a number of more than 100 digits" in message_of(smallest(references__number=1 << 20_000))


def test_json_is_a_config_as_it_is_for_snakemake(folder: Path) -> None:
    (folder / "my.json").write_text(json.dumps(smallest(attribution__tolerance=1e-4), indent="\t"))
    (line,) = check_config_file(Path("my.json"))
    assert line.startswith("mine: genomics-default")


def test_aliases_and_merges_of_an_honest_config_are_taken(folder: Path) -> None:
    text = (
        "defaults: &shared\n  model: &model {path: weights.pt, class: 'model.py:Model'}\n"
        "analyses:\n  mine: {<<: *shared, sequences: {fasta: sequences.fa}}\n"
        "  2024: {model: {<<: *model, path: weights.pt}, sequences: {fasta: sequences.fa}, target: 1}\n"
    )
    (folder / "my.yaml").write_text(text)
    assert [line.split(":")[0] for line in check_config_file(Path("my.yaml"))] == ["mine", "2024"]


BEYOND = {
    "shards": ({"attribution__shards": 10**9}, "give a whole number from 1 to 1,000"),
    "references": ({"references__number": 10**23}, "give a whole number from 1 to 10,000"),
    "batch": ({"attribution__batch_size": 10**12}, "give a whole number from 1 to 10,000,000"),
    "no number": ({"attribution__tolerance": float("nan")}, "nan is not a finite number"),
    "no end": ({"attribution__tolerance": float("inf")}, "inf is not a finite number; give a number"),
    "share that is none": ({"sequences__max_n_fraction": float("nan")}, "nan is not a finite number"),
    "constant": ({"extra_channels": [float("nan")]}, "extra_channels[0]: nan is not a finite number"),
    "value": ({"extra_inputs": [{"values": [1e300]}]}, "values[0]: 1e+300 is more than 1e+38"),
    "memory": ({"attribution__memory": "0GB"}, '"0GB" is less than 100,000,000; give text or a whole'),
    "much memory": ({"attribution__memory": f"{'9' * 400}GB"}, "cannot be read; write it like 4GB"),
    "device": ({"attribution__device": "cuda:123456"}, "cannot be read"),
    "long path": ({"model__path": "w" * 300}, "cannot be read (file name too long); check the path"),
    "line break": ({"report__title": "Two\nlines"}, "report.title: holds a line break or a tab"),
    "braces": ({"sequences__fasta": "{a}.fa"}, "'{a}.fa' has braces, which Snakemake reads as its own"),
    "own results": ({"sequences__fasta": "results/mine/sequences.tsv"}, "is what the analysis itself writes"),
    "lengths": (
        {"model__input_length": 500, "sequences__length": 400},
        "sequences.length: sequences of 400 bases are asked for, and the model takes 500",
    ),
    "window": (
        {"model__input_length": 500, "motifs__window": 600},
        "motifs.window: 600 is more than the sequences' 500 bases; give a whole number from 1 to 500",
    ),
    "values for a command": ({"extra_inputs": [{"values": [0.5] * 20_000}]}, "too many for a command line"),
    "arguments for a command": ({"model__arguments": {"a": [0.5] * 20_000}}, "too many for a command line"),
    "shards of many models": (
        {
            "model": {},
            "attribution__shards": 1000,
            "models": {f"fold_{i}": {"path": f"m{i}.pt"} for i in range(9)},
        },
        "the names of 9000 files of shards are too long for a command line; give 2",
    ),
    "models alike": (
        {"model": {}, "models": {"fold": FOLDS["fold_0"], "Fold": FOLDS["fold_1"]}},
        "models: 'fold' and 'Fold' differ in upper and lower case only; rename one",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BEYOND.values(), ids=BEYOND)
def test_a_value_that_no_step_could_take_is_refused_with_what_it_may_be(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    (folder / "{a}.fa").write_text("")
    (folder / "results" / "mine").mkdir(parents=True)
    (folder / "results" / "mine" / "sequences.tsv").write_text("")
    for i in range(9):
        (folder / f"m{i}.pt").write_text("")
    said = message_of(smallest(**changes))
    assert message in said
    assert len(said) < 400


@pytest.mark.parametrize("name", ["n" * 300, "mine.", "con", "LPT1.results", "mine\n"])
def test_a_name_that_some_file_system_does_not_take_is_refused(name: str) -> None:
    analysis = smallest()["analyses"]["mine"]
    assert "analyses" in message_of({"analyses": {name: analysis}})
    model = {"model": {}, "models": {name: FOLDS["fold_0"]}}
    assert "models" in message_of(smallest(**model))


def test_names_of_analyses_that_differ_in_case_only_are_refused() -> None:
    analysis = smallest()["analyses"]["mine"]
    message = message_of({"analyses": {"mine": analysis, "Mine": analysis}})
    assert message == (
        "my.yaml: analyses: 'mine' and 'Mine' differ in upper and lower case only; "
        "rename one: on macOS and Windows their folders are the same"
    )


def test_the_longest_name_makes_no_file_name_that_is_too_long() -> None:
    longest = "n" * 100
    assert list(resolve({"analyses": {longest: smallest()["analyses"]["mine"]}}).analyses) == [longest]
    assert len(f".4194304.partial.attribute-{longest}-1000-of-1000.log") < 255
    assert len(f"{longest}_{longest}_1000_1000") < 255  # what Slurm's plugin makes from a shard's wildcards


@pytest.mark.parametrize(
    "results", ["-r", "~/results", "r" * 300, "weights.pt", "weights.pt/results", "{a}", "a\n"]
)
def test_a_folder_of_results_that_cannot_be_made_is_refused(results: str) -> None:
    assert message_of(smallest() | {"results": results}).startswith("my.yaml: results: ")


@pytest.mark.parametrize("results", ["elsewhere/", "./elsewhere", "elsewhere//."])
def test_a_folder_of_results_is_written_as_snakemake_wants_it(results: str) -> None:
    assert resolve(smallest() | {"results": results}).results == "elsewhere"


def _numbers(schema: Any, place: str = "") -> Any:
    if isinstance(schema, dict) and schema.get("type") in ("integer", "number"):
        yield place, schema
    for key, inside in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if isinstance(inside, dict | list):
            yield from _numbers(inside, f"{place}.{key}")


def test_every_number_of_the_schema_has_a_range() -> None:
    found = dict(_numbers(json_schema()))
    assert len(found) > 15
    assert [place for place, schema in found.items() if not {"minimum", "maximum"} <= set(schema)] == []


FLAGS = {
    "number": ["reference", "--sequences", "s.h5", "--out", "r.h5", "--number", str(10**23)],
    "number in words": ["reference", "--sequences", "s.h5", "--out", "r.h5", "--number", "1e23"],
    "digits": ["reference", "--sequences", "s.h5", "--out", "r.h5", "--number", "9" * 5000],
    "seed": ["reference", "--sequences", "s.h5", "--out", "r.h5", "--seed", "-1"],
    "frequencies": ["reference", "--sequences", "s", "--out", "r", "--frequencies", "nan", "1", "0", "0"],
    "length": ["encode", "--fasta", "s.fa", "--table", "t", "--out", "o", "--length", str(10**15)],
    "fraction": ["encode", "--fasta", "s.fa", "--table", "t", "--out", "o", "--max-n-fraction", "nan"],
    "seqlets": ["motifs", "--contributions", "c", "--sequences", "s", "--out", "o", "--max-seqlets", "9" * 9],
    "pictures": ["logos", "--results", ".", "--out", "o", "--number", "-3"],
    "target": ["plan", "--model", "weights.pt", "--target", "9" * 5000],
    "arguments": ["plan", "--model", "weights.pt", "--model-arguments", f'{{"a": {"[" * 3000}{"]" * 3000}}}'],
    "argument's digits": ["plan", "--model", "weights.pt", "--model-arguments", f'{{"a": {"9" * 5000}}}'],
    "argument twice": ["plan", "--model", "weights.pt", "--model-arguments", '{"a": 1, "a": 2}'],
    "input": ["plan", "--model", "weights.pt", "--extra-input", "[" * 3000],
    "constant": ["plan", "--model", "weights.pt", "--extra-channel", "9" * 5000],
    "models": ["check", "--fasta", "s.fa", "--out", "o", "--models", '{"a": {"path": 5}}'],
    "length of a model": ["encode", "--fasta", "s", "--table", "t", "--out", "o",
                          "--models", '{"a": {"path": "weights.pt", "input_length": "long"}}'],
    "tolerance": ["attribute", "--sequences", "s", "--references", "r", "--model", "weights.pt", "--out", "o",
                  "--tolerance", "nan"],
    "memory": ["attribute", "--sequences", "s", "--references", "r", "--model", "weights.pt", "--out", "o",
               "--memory", "9" * 5000],
    "shard": ["attribute", "--sequences", "s", "--references", "r", "--model", "weights.pt", "--out", "o",
              "--shard", f"0/{'9' * 5000}"],
    "steps": ["compare", "--sequences", "s", "--references", "r", "--model", "weights.pt", "--out", "o",
              "--steps", str(10**30)],
}  # fmt: skip


@pytest.mark.parametrize("arguments", FLAGS.values(), ids=FLAGS)
def test_a_flag_beyond_its_range_is_one_short_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code, _, error = run(capsys, *arguments)
    assert code == 2
    assert error.count("\n") == 1
    assert len(error) < 300


def test_a_value_of_the_command_line_means_what_it_means_in_a_file() -> None:
    entries = {
        "defaults": "{references: {number: 5, seed: 7}, keep_final_activation: true, motifs: {window: null}, "
        "attribution: {tolerance: 1e-4, batch_size: 8}, model: {arguments: {width: 3, name: '3'}}}",
        "analyses": "{mine: {references: {seed: 3}, extra_channels: [1, 0.5]}}",
        "results": "elsewhere",
    }
    as_snakemake_reads = smallest()
    for key, text in entries.items():
        read = yaml.load(text, Loader=yaml.BaseLoader)
        if key == "analyses":
            as_snakemake_reads["analyses"]["mine"] |= read["mine"]
        else:
            as_snakemake_reads[key] = read
    full = with_command_line(as_snakemake_reads, [f"{key}={text}" for key, text in entries.items()])
    config = resolve(full)
    mine = config.analyses["mine"]
    assert (mine.references.number, mine.references.seed) == (5, 3)
    assert mine.keep_final_activation is True
    assert (mine.motifs.window, mine.attribution.tolerance, mine.attribution.batch_size) == (None, 1e-4, 8)
    assert mine.models["model"].arguments == {"width": 3, "name": "3"}
    assert mine.extra_channels == (1.0, 0.5)
    assert config.results == "elsewhere"


def test_a_value_of_the_command_line_that_is_no_yaml_is_one_line() -> None:
    with pytest.raises(InputError, match="--config defaults, line 1: is not valid YAML"):
        with_command_line(smallest(), ["defaults={a: [}"])


def test_the_files_of_an_analysis_are_known(folder: Path) -> None:
    windows = {"sequences": {"bed": "peaks.bed", "genome": "genome.fa"}, "model": {}, "models": FOLDS}
    made = final_files(resolve(smallest(**windows)).analyses["mine"])
    assert {"contributions.bw", "contributions_sd.bw", "models", "report.html"} < set(made) <= WRITTEN


def test_an_analysis_of_a_tiled_genome_is_one_of_windows(folder: Path) -> None:
    tiled = {"sequences": {"fasta": None, "genome": "genome.fa", "regions": {"tile": {"width": 300}}}}
    mine = resolve(smallest(**tiled)).analyses["mine"]
    assert "contributions.bw" in final_files(mine)
    assert (mine.length, mine.sequences.bases, mine.sequences.file) == (300, 300, "genome.fa")
    tiled["model"] = {"path": "weights.pt", "class": "model.py:Model", "input_length": 200}
    with pytest.raises(InputError, match=r"tile\.width: sequences of 300 bases are asked for, and"):
        resolve(smallest(**tiled))


def test_read_yaml_is_what_yaml_reads(folder: Path) -> None:
    (folder / "my.yaml").write_text(BASE)
    assert read_yaml(Path("my.yaml")) == yaml.safe_load(BASE)
