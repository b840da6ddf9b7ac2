"""The config: defaults are filled in, and each mistake is one line with its key and a remedy."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT
from refusals import refused_by

from genolift.errors import InputError
from genolift.motifs.databases import read_jaspar
from genolift.settings.config import Config, check_config_file, resolve_config
from genolift.settings.database import GROUPS
from genolift.settings.model import Expect
from genolift.settings.schema import json_schema, with_table

FILES = ("weights.pt", "model.py", "sequences.fa", "peaks.bed", "genome.fa", "mine.meme", "references.fa")
FOLDS = {name: {"path": f"{name}.pt"} for name in ("fold_0", "fold_1")}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the files that the configs name."""
    for name in (*FILES, *(fold["path"] for fold in FOLDS.values())):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


SMALLEST: dict[str, Any] = {
    "analyses": {
        "mine": {
            "model": {"path": "weights.pt", "class": "model.py:Model"},
            "sequences": {"fasta": "sequences.fa"},
        }
    }
}


def smallest(**changes: Any) -> dict[str, Any]:
    """The smallest config, with additional keys of its analysis ("section__key")."""
    config = copy.deepcopy(SMALLEST)
    for name, value in changes.items():
        place = config["analyses"]["mine"]
        *sections, key = name.split("__")
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return config


def resolve(config: dict[str, Any]) -> Config:
    return resolve_config(config, "my.yaml")


def message_of(config: dict[str, Any]) -> str:
    return refused_by(lambda: resolve(config))


def test_the_smallest_config_gets_every_default() -> None:
    config = resolve(smallest())
    mine = config.analyses["mine"]
    assert config.results == "results"
    assert (mine.target, mine.rule) == (0, "genomics-default")
    references = mine.references
    assert (references.kind, references.number, references.seed) == ("dinucleotide_shuffle", 20, 0)
    assert (mine.attribution.shards, mine.attribution.batch_size, mine.attribution.tolerance) == (
        1,
        "auto",
        1e-3,
    )
    assert mine.motifs.database == "jaspar:vertebrates"
    assert mine.models["model"].files == ("weights.pt", "model.py")
    assert mine.report.title is None


def test_the_config_that_was_given_is_not_changed() -> None:
    config = smallest(references__number=3)
    before = copy.deepcopy(config)
    resolve(config)
    assert config == before


def test_an_analysis_overrides_the_defaults_key_by_key() -> None:
    config = smallest(references__number=3, target="GATA1")
    config["defaults"] = {"references": {"number": 5, "seed": 7}, "rule": "rescale", "target": 2}
    mine = resolve(config).analyses["mine"]
    assert (mine.references.number, mine.references.seed) == (3, 7)
    assert (mine.rule, mine.target) == ("rescale", "GATA1")


def test_arguments_of_the_model_are_replaced_as_a_whole() -> None:
    config = smallest(model__arguments={"channels": 8})
    config["defaults"] = {"model": {"arguments": {"hidden": 16}}}
    assert resolve(config).analyses["mine"].models["model"].arguments == {"channels": 8}


def test_several_models_have_what_model_and_the_defaults_set() -> None:
    config = smallest(
        model={"class": "model.py:Model", "arguments": {"width": 8}}, models=copy.deepcopy(FOLDS)
    )
    config["analyses"]["mine"]["models"]["fold_1"]["arguments"] = {"hidden": 3}
    config["defaults"] = {"model": {"input_length": 400}, "models": {"fold_1": {"axes": "length,bases"}}}
    models = resolve(config).analyses["mine"].models
    assert {name: model.path for name, model in models.items()} == {
        "fold_0": "fold_0.pt",
        "fold_1": "fold_1.pt",
    }
    assert models["fold_0"].arguments == {"width": 8}
    assert models["fold_1"].arguments == {"hidden": 3}
    assert {model.input_length for model in models.values()} == {400}
    assert {model.class_name for model in models.values()} == {"model.py:Model"}
    assert (models["fold_0"].axes, models["fold_1"].axes) == (None, "length,bases")


def test_models_need_no_section_of_what_they_share() -> None:
    config = smallest(models=FOLDS)
    del config["analyses"]["mine"]["model"]
    assert list(resolve(config).analyses["mine"].models) == ["fold_0", "fold_1"]
    assert resolve(smallest(models=None)) == resolve(smallest())


def test_a_number_that_yaml_takes_for_text_is_a_number() -> None:
    written = yaml.safe_load("tolerance: 1e-4")["tolerance"]
    assert written == "1e-4"
    assert resolve(smallest(attribution__tolerance=written)).analyses["mine"].attribution.tolerance == 1e-4


def test_a_whole_number_may_be_written_with_a_point() -> None:
    text = "attribution: {batch_size: 20.0, shards: 3.0}\nreferences: {number: 5.0}\nmotifs: {window: 1.e+2}"
    mine = resolve(smallest(**yaml.safe_load(text))).analyses["mine"]
    found = (mine.attribution.batch_size, mine.attribution.shards, mine.references.number, mine.motifs.window)
    assert repr(found) == "(20, 3, 5, 100)"


def test_a_genome_may_hold_for_all_analyses_and_one_read_a_fasta() -> None:
    given = {
        "defaults": {
            "model": {"path": "weights.pt", "class": "model.py:Model"},
            "sequences": {"genome": "genome.fa"},
        },
        "analyses": {
            "letters": {"sequences": {"fasta": "sequences.fa"}},
            "peaks": {"sequences": {"bed": "peaks.bed"}},
        },
    }
    found = resolve(given).analyses
    assert found["letters"].sequences.fasta == "sequences.fa"
    assert found["peaks"].sequences.genome == "genome.fa"


def test_each_model_is_compared_with_outputs_of_its_own() -> None:
    files = {"inputs": "sequences.fa", "outputs": "peaks.bed"}
    expected = (
        resolve(smallest(model__expect={**files, "tolerance": "1e-3"})).analyses["mine"].models["model"]
    )
    assert expected.expect == Expect(inputs="sequences.fa", outputs="peaks.bed", tolerance=1e-3)
    config = smallest(model={"class": "model.py:Model", "expect": {"inputs": "sequences.fa"}})
    config["analyses"]["mine"]["models"] = copy.deepcopy(FOLDS)
    folds = config["analyses"]["mine"]["models"]
    folds["fold_0"]["expect"] = {"outputs": "genome.fa"}
    folds["fold_1"]["expect"] = None
    models = resolve(config).analyses["mine"].models
    assert models["fold_0"].expect == Expect(inputs="sequences.fa", outputs="genome.fa")
    assert models["fold_1"].expect is None
    del folds["fold_1"]["expect"]
    said = "my.yaml: analyses.mine.models.fold_1.expect: the key 'outputs' is missing; give what the author's"
    assert message_of(config).startswith(said)
    missing = smallest(model__expect={"inputs": "sequences.fa", "outputs": "none.npz"})
    assert "my.yaml: analyses.mine.model.expect.outputs: " in message_of(missing)
    assert resolve(smallest(model__expect=None)) == resolve(smallest())


def test_a_section_that_is_left_empty_is_as_one_that_is_left_out() -> None:
    config = smallest(references=None)
    config["defaults"] = None
    assert resolve(config) == resolve(smallest())


def test_a_name_that_yaml_takes_for_a_number_is_a_name() -> None:
    config = {"analyses": {2024: SMALLEST["analyses"]["mine"]}}
    assert list(resolve(config).analyses) == ["2024"]


MISTAKES = {
    "mistyped key": (
        {"model__pth": "weights.pt"},
        "my.yaml: analyses.mine.model.pth: unknown key; did you mean 'path'?",
    ),
    "key of another section": (
        {"tolerance": 0.1},
        "my.yaml: analyses.mine.tolerance: unknown key; did you mean 'attribution.tolerance'?",
    ),
    "key like no other": (
        {"logos__xyz": 1},
        "my.yaml: analyses.mine.logos.xyz: unknown key; the keys here are number",
    ),
    "mistyped choice": (
        {"rule": "rescal"},
        "my.yaml: analyses.mine.rule: \"rescal\" is not a choice; did you mean 'rescale'? "
        "It is one of genomics-default, rescale, revealcancel",
    ),
    "text for a number": (
        {"references__number": "many"},
        'my.yaml: analyses.mine.references.number: "many" is text; give a whole number from 1 to 10,000',
    ),
    "too small": (
        {"attribution__shards": 0},
        "my.yaml: analyses.mine.attribution.shards: 0 is less than 1; give a whole number from 1 to 1,000",
    ),
    "too large": (
        {"sequences__max_n_fraction": 5},
        "my.yaml: analyses.mine.sequences.max_n_fraction: 5 is more than 1; give a number from 0 to 1",
    ),
    "tolerance of nothing": (
        {"attribution__tolerance": 0},
        "my.yaml: analyses.mine.attribution.tolerance: 0 is less than 1e-15; "
        "give a number from 1e-15 to 1,000",
    ),
    "negative target": (
        {"target": -1},
        "my.yaml: analyses.mine.target: -1 is less than 0; give a whole number from 0 to 10,000,000 or text",
    ),
    "empty value": (
        {"model__path": None},
        "my.yaml: analyses.mine.model.path: is empty; give a file",
    ),
    "batch size in words": (
        {"attribution__batch_size": "atuo"},
        'my.yaml: analyses.mine.attribution.batch_size: "atuo" is not a choice; '
        "give a whole number from 1 to 10,000,000 or auto",
    ),
    "memory without unit": (
        {"attribution__memory": "lots"},
        'my.yaml: analyses.mine.attribution.memory: "lots" cannot be read; write it like 4GB, 500MB',
    ),
    "no such device": (
        {"attribution__device": "gpu"},
        'my.yaml: analyses.mine.attribution.device: "gpu" cannot be read; '
        "write it like auto, cpu, cuda, cuda:1",
    ),
    "class without a class": (
        {"model__class": "model.py"},
        'my.yaml: analyses.mine.model.class: "model.py" cannot be read; '
        "write it like path/to/model.py:Class, package.module:Class",
    ),
    "missing weights": (
        {"model__path": "wieghts.pt"},
        "my.yaml: analyses.mine.model.path: wieghts.pt: no such file; check the path",
    ),
    "missing class file": (
        {"model__class": "modle.py:Model"},
        "my.yaml: analyses.mine.model.class: modle.py: no such file; check the path",
    ),
    "missing sequences": (
        {"sequences__fasta": "nothing.fa"},
        "my.yaml: analyses.mine.sequences.fasta: nothing.fa: no such file; check the path",
    ),
    "both sources": (
        {"sequences__bed": "peaks.bed", "sequences__genome": "genome.fa"},
        "my.yaml: analyses.mine.sequences: both 'fasta' and 'bed' are given; give one; the other can be null",
    ),
    "no source": (
        {"sequences__fasta": None},
        "my.yaml: analyses.mine.sequences: there are no sequences; "
        "give 'fasta', or 'bed' together with 'genome', or 'regions.tile' together with 'genome'",
    ),
    "bed without genome": (
        {"sequences": {"bed": "peaks.bed"}},
        "my.yaml: analyses.mine.sequences: 'bed' is given without 'genome'; "
        "give the genome's FASTA as 'genome'",
    ),
    "unknown key with a blank": (
        {"my key": 1},
        'my.yaml: analyses.mine."my key": unknown key; the keys here are model, models, sequences, '
        "extra_inputs, extra_channels, tracks, target, targets, keep_final_activation, rule, references, "
        "attribution, per_base, motifs, logos, report",
    ),
    "unknown key that ends in a blank": (
        {"rule ": "rescale"},
        "my.yaml: analyses.mine.\"rule \": unknown key; did you mean 'rule'?",
    ),
    "part of a number": (
        {"attribution__batch_size": 20.5},
        "my.yaml: analyses.mine.attribution.batch_size: 20.5 is not a choice; "
        "give a whole number from 1 to 10,000,000 or auto",
    ),
    "no such JASPAR group": (
        {"motifs__database": "jaspar:vertebrate"},
        "my.yaml: analyses.mine.motifs.database: 'jaspar:vertebrate' is not a group of JASPAR CORE; "
        "did you mean 'jaspar:vertebrates'?",
    ),
    "missing motifs": (
        {"motifs__database": "no.meme"},
        "my.yaml: analyses.mine.motifs.database: no.meme: no such file; check the path",
    ),
    "reference file for shuffles": (
        {"references__fasta": "references.fa"},
        "my.yaml: analyses.mine.references: 'fasta' is given, but the kind is 'dinucleotide_shuffle'; "
        "leave 'fasta' out, or set kind: fasta",
    ),
    "no reference file": (
        {"references__kind": "fasta"},
        "my.yaml: analyses.mine.references: the kind is 'fasta', but no file is given; "
        "give the references as 'fasta'",
    ),
    "three frequencies": (
        {"references": {"kind": "base_frequencies", "frequencies": [0.2, 0.3, 0.5]}},
        "my.yaml: analyses.mine.references.frequencies: [0.2, 0.3, 0.5] has 3 values; give 4",
    ),
    "frequencies of more than all": (
        {"references": {"kind": "base_frequencies", "frequencies": [0.5, 0.5, 0.5, 0.5]}},
        "my.yaml: analyses.mine.references.frequencies: the frequencies add up to 2; "
        "give fractions of A, C, G and T that add up to 1",
    ),
    "weights without class": (
        {"model": {"path": "weights.safetensors"}},
        "my.yaml: analyses.mine.model: weights.safetensors holds weights but no model; "
        "name the class to put them in, class: path/to/model.py:Class",
    ),
    "missing key": (
        {"model": {"class": "model.py:Model"}},
        "my.yaml: analyses.mine.model: the key 'path' is missing; "
        "give the model: a state dict (`.pt`, `.pth`, `.ckpt`), `.safetensors`, an exported program "
        "(`.pt2`), Keras's `.keras`, `.h5`, `.json` or `.yaml`, a Hugging Face folder, "
        "or the index of its shards",
    ),
}


MISTAKES |= {
    "model beside models": (
        {"models": FOLDS},
        "my.yaml: analyses.mine.model.path: is given together with 'models'; "
        "move it under 'models', with a name; 'model' holds what the models share",
    ),
    "mistyped key of one of several models": (
        {"model": {}, "models": {"fold_0": {"pth": "fold_0.pt"}}},
        "my.yaml: analyses.mine.models.fold_0.pth: unknown key; did you mean 'path'?",
    ),
    "missing weights of one of several models": (
        {"model": {}, "models": {"fold.0": {"path": "fold_7.pt"}}},
        "my.yaml: analyses.mine.models.fold.0.path: fold_7.pt: no such file; check the path",
    ),
    "no path of one of several models": (
        {"model": {"class": "model.py:Model"}, "models": FOLDS | {"fold_2": None}},
        "my.yaml: analyses.mine.models.fold_2: the key 'path' is missing; "
        "give the model: a state dict (`.pt`, `.pth`, `.ckpt`), `.safetensors`, an exported program "
        "(`.pt2`), Keras's `.keras`, `.h5`, `.json` or `.yaml`, a Hugging Face folder, "
        "or the index of its shards",
    ),
    "missing class file of one of several models": (
        {"model": {}, "models": {"fold_0": {"path": "fold_0.pt", "class": "modle.py:Model"}}},
        "my.yaml: analyses.mine.models.fold_0.class: modle.py: no such file; check the path",
    ),
    "lengths that disagree": (
        {
            "model": {"input_length": 400},
            "models": FOLDS | {"fold_2": {"path": "weights.pt", "input_length": 500}},
        },
        "my.yaml: analyses.mine.models: 'fold_0' takes 400 bases, 'fold_2' 500; "
        "models that are averaged read the same sequences: name those of one input length",
    ),
    "one model twice": (
        {"model": {}, "models": FOLDS | {"fold_2": {"path": "fold_0.pt"}}},
        "my.yaml: analyses.mine.models: 'fold_0' and 'fold_2' are the same model; name each model once",
    ),
    "model's name that is no folder": (
        {"model": {}, "models": {"../up": {"path": "fold_0.pt"}}},
        "my.yaml: analyses.mine.models: '../up' is not a name for a model; begin with a letter or digit, "
        "then letters, digits, '_', '-' and '.': it names a folder",
    ),
    "model's name that is a column's": (
        {"model": {}, "models": {"sd": {"path": "fold_0.pt"}}},
        "my.yaml: analyses.mine.models.sd: 'sd' is not a name for a model; "
        "choose another, since the column output_sd is the models' standard deviation",
    ),
}


@pytest.mark.parametrize(("changes", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_with_key_and_remedy(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    (folder / "weights.safetensors").write_text("")
    assert message_of(smallest(**changes)) == message


def test_a_mistake_in_the_defaults_is_named_there() -> None:
    config = smallest() | {"defaults": {"motifs": {"windwo": 3}}}
    assert message_of(config) == "my.yaml: defaults.motifs.windwo: unknown key; did you mean 'window'?"


def test_mistakes_at_the_top_are_named() -> None:
    analysis = SMALLEST["analyses"]["mine"]
    assert message_of({"analysis": {"mine": analysis}}) == (
        "my.yaml: analysis: unknown key; did you mean 'analyses'?"
    )
    remedy = (
        "give the analyses, each under a name (its folder's too) with a model and sequences; or a table, TSV"
    )
    assert message_of({}) == f"my.yaml: the key 'analyses' is missing; {remedy}"
    for empty in ({}, None):
        assert message_of({"analyses": empty}) == f"my.yaml: analyses: is empty; {remedy}"
    assert message_of(smallest() | {"rule": "rescale"}) == (
        "my.yaml: rule: unknown key; did you mean 'rule' of an analysis, or under 'defaults'?"
    )


@pytest.mark.parametrize("name", ["my peaks", "a/b", "../up", ".hidden", ""])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    message = message_of({"analyses": {name: SMALLEST["analyses"]["mine"]}})
    assert message.startswith(
        f"my.yaml: analyses: '{name}' is not a name for an analysis; begin with a letter"
    )


def test_an_analysis_without_a_model_is_refused() -> None:
    config = {"analyses": {"mine": {"sequences": {"fasta": "sequences.fa"}}}}
    assert message_of(config) == "my.yaml: analyses.mine: the key 'model' is missing; give the trained model"


def test_a_config_file_is_said_in_a_line_for_each_analysis(folder: Path) -> None:
    file = folder / "my.yaml"
    file.write_text(yaml.safe_dump(smallest(motifs__database="mine.meme")))
    assert check_config_file(file) == [
        "mine: genomics-default for target 0 of weights.pt, sequences.fa, "
        "20 dinucleotide_shuffle references, named by mine.meme -> results/mine"
    ]


@pytest.mark.parametrize(
    ("targets", "said"), [([0, "GATA1"], "targets 0, GATA1"), ("all", "targets all"), ([2], "targets 2")]
)
def test_several_targets_are_said(folder: Path, targets: Any, said: str) -> None:
    file = folder / "my.yaml"
    file.write_text(yaml.safe_dump(smallest(targets=targets)))
    (line,) = check_config_file(file)
    assert line.startswith(f"mine: genomics-default for {said} of weights.pt")


def test_several_models_are_said_with_their_names(folder: Path) -> None:
    file = folder / "my.yaml"
    file.write_text(yaml.safe_dump(smallest(model={}, models=FOLDS)))
    (line,) = check_config_file(file)
    assert "target 0 of the mean of 2 models (fold_0 fold_0.pt, fold_1 fold_1.pt), sequences.fa" in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "analyses:\n  a:\n    target: 0\n    target: 1\n",
            ', line 4: the key "target" is written twice; write it once',
        ),
        ("analyses:\n  a: b: c\n", ", line 2: is not valid YAML"),
        ("", ": has no keys; see config/README.md"),
    ],
    ids=["key written twice", "no YAML", "empty"],
)
def test_a_config_file_that_cannot_be_read_says_where(folder: Path, text: str, message: str) -> None:
    file = folder / "my.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as raised:
        check_config_file(file)
    assert str(raised.value).startswith(f"{file}{message}")


def test_the_demo_config_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (line,) = check_config_file(Path("config/config.yaml"))
    assert line.startswith("demo: genomics-default for target 0 of data/demo/model.safetensors")


def test_the_table_of_keys_in_the_config_readme_is_made_from_them() -> None:
    readme = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    assert readme == with_table(readme), "out of date: run python -m genolift.settings.schema"
    assert "| `sequences.max_n_fraction` | a number from 0 to 1 | `0.1` |" in readme


def test_the_schema_for_editors_is_made_from_the_keys() -> None:
    link = ROOT / "workflow" / "schemas" / "config.schema.json"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "src" / "genolift" / "settings" / "config.schema.json"
    written = json.loads(link.read_text(encoding="utf-8"))
    assert written == json_schema(), "out of date: run python -m genolift.settings.schema"


@pytest.mark.parametrize("name", ["jaspar:fungi", "JASPAR:Fungi", "Jaspar: FUNGI"])
def test_a_group_of_jaspars_is_named_in_any_case(name: str) -> None:
    motifs = resolve(smallest(motifs__database=name)).analyses["mine"].motifs
    assert motifs.database == "jaspar:fungi"


def test_every_jaspar_group_of_the_config_is_one_that_can_be_read() -> None:
    """JASPAR has collections besides CORE, such as oomycota, from which no motif is read."""
    with pytest.raises(InputError) as refused:
        read_jaspar("nothing")
    assert refused.value.remedy == f"its groups are {', '.join(sorted(GROUPS))}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model__class": "os:system"}, "model.class: os is one of Python's own modules; name the module"),
        (
            {"model__sha256": "abc"},
            "model.sha256: 'abc' is not a SHA-256; write the 64 digits that sha256sum",
        ),
    ],
)
def test_what_no_model_is_made_from_is_said_before_any_run(changes: dict[str, Any], said: str) -> None:
    assert said in message_of(smallest(**changes))
    resolve(smallest(model__sha256="0a" * 32))
