"""The sections as types: defaults, a model from a path or keys, one line per mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genolift.errors import InputError
from genolift.settings.mistakes import check_part, checked
from genolift.settings.sections import Analysis, Config, ExtraChannel, ModelSpec
from genolift.settings.types import FILES

SMALLEST = {
    "model": {"path": "weights.pt", "class": "model.py:Model"},
    "sequences": {"fasta": "sequences.fa"},
}


def test_an_analysis_has_every_default() -> None:
    mine = checked(Analysis, SMALLEST)
    assert (mine.target, mine.rule, mine.references.number, mine.attribution.batch_size) == (
        0,
        "genomics-default",
        20,
        "auto",
    )
    assert mine.models["model"].class_name == "model.py:Model"
    assert checked(Analysis, SMALLEST | {"motifs": None}) == mine
    assert mine.keys() == SMALLEST


def test_a_model_is_told_as_it_was_given() -> None:
    given = {"path": "a.pt", "class": "a.py:Model", "arguments": {"width": 3}, "axes": "length,bases"}
    assert ModelSpec.of(given).keys() == given
    assert ModelSpec.of(Path("a.pt")) == ModelSpec(path="a.pt")
    assert ModelSpec.of({"path": "a.pt", "extra_channels": 2}).extra_channels == 2
    with pytest.raises(InputError, match=r"^model\.pth: unknown key; did you mean 'path'\?$"):
        ModelSpec.of({"pth": "a.pt"})
    with pytest.raises(InputError, match=r"^model\.class_name: unknown key; did you mean 'class'"):
        ModelSpec.of({"path": "a.pt", "class_name": "a.py:Model"})


def test_channels_are_numbers_or_files() -> None:
    channels = [1, 0.5, {"bigwig": "a.bw"}]
    mine = checked(
        Analysis, SMALLEST | {"extra_channels": channels, "sequences": {"bed": "a", "genome": "b"}}
    )
    assert mine.extra_channels == (1.0, 0.5, ExtraChannel(bigwig="a.bw"))
    assert mine.models["model"].extra_channels == 3
    assert mine.extras.files == ("a.bw",)


def test_every_file_is_found_with_its_key_and_no_other_text_is() -> None:
    model = {"path": "a.pt", "weights": "w.h5", "expect": {"inputs": "x.npz", "outputs": "x.npz"}}
    given = {
        "models": {"one": model, "two": {"path": "b.pt"}},
        "sequences": {"bed": "a.bed", "genome": "g.fa"},
        "extra_inputs": [{"values": [1]}, {"table": "t.tsv", "columns": ["a"]}],
        "extra_channels": [1, {"bigwig": "a.bw"}],
        "motifs": {"database": "mine.meme"},
        "target": "GATA1",
    }
    mine = checked(Analysis, given)
    assert list(mine.named_files()) == [
        ("models.one.path", "a.pt"),
        ("models.one.weights", "w.h5"),
        ("models.one.expect.inputs", "x.npz"),
        ("models.one.expect.outputs", "x.npz"),
        ("models.two.path", "b.pt"),
        ("sequences.bed", "a.bed"),
        ("sequences.genome", "g.fa"),
        ("extra_inputs[1].table", "t.tsv"),
        ("extra_channels[1].bigwig", "a.bw"),
        ("motifs.database", "mine.meme"),
    ]
    assert mine.models["one"].files == ("a.pt", "w.h5", "x.npz")
    assert checked(Analysis, given | {"motifs": {"database": "JASPAR:Fungi"}}).motifs.files == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "rescal"}, "rule: \"rescal\" is not a choice; did you mean 'rescale'? It is one of "),
        (
            {"attribution": {"shards": 0}},
            "attribution.shards: 0 is less than 1; give a whole number from 1 to 1,0",
        ),
        (
            {"attribution": {"batch_size": "atuo"}},
            'attribution.batch_size: "atuo" is not a choice; give a whole num',
        ),
        (
            {"attribution": {"batch_size": 10**9}},
            "attribution.batch_size: 1000000000 is more than 10,000,000; gi",
        ),
        (
            {"attribution": {"memory": "lots"}},
            'attribution.memory: "lots" cannot be read; write it like 4GB, 500',
        ),
        (
            {"extra_channels": [{"bigwg": "a"}]},
            "extra_channels[0].bigwg: unknown key; did you mean 'bigwig'?",
        ),
        ({"target": True}, 'target: true is true or false; put a name or path in quotes, "true"'),
        ({"model": {"path": "a", "trust": "yes"}}, 'model.trust: "yes" is text; give true or false'),
        ({"model": {}}, "model: the key 'path' is missing; give the model: a state dict"),
    ],
)
def test_a_mistake_is_one_line_with_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        checked(Analysis, SMALLEST | changes)
    assert str(raised.value).startswith(message)


def test_a_part_may_lack_keys_and_files_are_looked_for_on_demand(tmp_path: Path) -> None:
    part = {"defaults": {"model": {"class": "model.py:Model"}}, "analyses": {"mine": {"target": 1}}}
    check_part(Config, part, "my.yaml")
    with pytest.raises(InputError, match=r"^my\.yaml: defaults\.model\.class: model\.py: no such file"):
        check_part(Config, part, "my.yaml", {FILES})
    with pytest.raises(
        InputError, match=r"^my\.yaml: the key 'analyses' is missing; give the analyses, each"
    ):
        check_part(Config, {}, "my.yaml")
