"""The section ``motifs``: what each preset's keys are, and which keys do not go together."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from genolift.errors import InputError
from genolift.settings.config import resolve_config
from genolift.settings.mistakes import checked
from genolift.settings.motifs import OWN, PRESETS, PUBLISHED, Motifs

DOCS = Path(__file__).parents[2] / "docs/motifs.md"


def refusal(keys: dict[str, Any]) -> str:
    with pytest.raises(InputError) as error:
        checked(Motifs, keys, "motifs")
    return str(error.value)


def refusal_of_config(motifs: dict[str, Any], tmp_path: Path, length: int) -> str:
    for name in ("weights.pt", "model.py", "a.fa"):
        (tmp_path / name).write_text("")
    model = {
        "path": str(tmp_path / "weights.pt"),
        "class": f"{tmp_path}/model.py:Model",
        "input_length": length,
    }
    analysis = {"model": model, "sequences": {"fasta": str(tmp_path / "a.fa")}, "motifs": motifs}
    with pytest.raises(InputError) as error:
        resolve_config({"analyses": {"mine": analysis}}, "my.yaml")
    return str(error.value)


def test_every_key_but_the_preset_and_the_database_has_a_value_in_each_preset() -> None:
    names = Motifs.model_fields.keys() - {"preset", "database", "hit_similarity"}
    assert PRESETS[OWN].keys() == PRESETS[PUBLISHED].keys() == names
    for preset in (OWN, PUBLISHED):
        used = checked(Motifs, {"preset": preset}, "motifs").used
        assert used == PRESETS[preset] | {"hit_similarity": PRESETS[preset]["hit_lambda"]}


def test_a_key_that_is_given_is_used_whatever_the_preset() -> None:
    keys = {"preset": "published", "nearest_neighbors_to_compute": 40, "hit_lambda": 0.8, "window": 1000}
    used = checked(Motifs, keys, "motifs").used
    assert (used["nearest_neighbors_to_compute"], used["window"], used["target_seqlet_fdr"]) == (
        40,
        1000,
        0.05,
    )
    assert used["hit_lambda"] == used["hit_similarity"] == 0.8
    assert checked(Motifs, keys | {"hit_similarity": 0.5}, "motifs").used["hit_similarity"] == 0.5


def test_the_published_preset_is_what_the_commands_take_by_default() -> None:
    from finemo.main import call_hits
    from modiscolite.cli import motifs, report
    from modiscolite.tfmodisco import TFMoDISco

    fdr = re.search(r"target_seqlet_fdr=([0-9.]+)", inspect.getsource(motifs.callback))
    hits = {name: each.default for name, each in inspect.signature(call_hits).parameters.items()}
    function = {name: each.default for name, each in inspect.signature(TFMoDISco).parameters.items()}
    command = {each.name: each.default for each in [*report.params, *motifs.params]}
    assert fdr is not None
    theirs = {
        "window": command["window"],
        "target_seqlet_fdr": float(fdr[1]),
        "sliding_window_size": command["sliding"],
        "flank_size": command["seqlet_flank_size"],
        "max_seqlets": function["max_seqlets_per_metacluster"],  # the command asks for it
        "min_metacluster_size": function["min_metacluster_size"],
        "nearest_neighbors_to_compute": function["nearest_neighbors_to_compute"],
        "n_leiden_runs": command["n_leiden"],
        "final_min_cluster_size": function["final_min_cluster_size"],
        "trim_to_window_size": command["trim_size"],
        "initial_flank_to_add": command["initial_flank_to_add"],
        "final_flank_to_add": command["final_flank_to_add"],
        "trim_fraction": command["trim_threshold"],
        "hit_lambda": hits["lambda_default"],
        "hit_steps": hits["max_steps"],
        "matches": command["n_matches"],
    }
    assert PRESETS[PUBLISHED] == theirs | {"name_qvalue": PRESETS[OWN]["name_qvalue"]}
    assert hits["cwm_trim_threshold_default"] == command["trim_threshold"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "window below a seqlet": (
        {"window": 25},
        "motifs.window: a seqlet of 30 bases (sliding_window_size 20, flank_size 5) does not fit in the "
        "window of 25; give at least 30, or less for 'sliding_window_size' or 'flank_size'",
    ),
    "window below a motif": (
        {"window": 40, "trim_to_window_size": 25, "initial_flank_to_add": 10},
        "motifs.window: a motif of 45 bases (trim_to_window_size 25, initial_flank_to_add 10, "
        "final_flank_to_add 0) does not fit in the window of 40; give at least 45, or less for "
        "'trim_to_window_size', 'initial_flank_to_add' or 'final_flank_to_add'",
    ),
    "seqlet above the preset's window": (
        {"preset": "published", "sliding_window_size": 400},
        "motifs.sliding_window_size: a seqlet of 410 bases (sliding_window_size 400, flank_size 5) does not "
        "fit in the window of 400; give less for 'sliding_window_size' or 'flank_size'",
    ),
    "cut wider than what is cut": (
        {"trim_to_window_size": 60},
        "motifs.trim_to_window_size: 60 bases are more than the 40 that a motif is cut from; give 40 at "
        "most, or more for 'sliding_window_size', 'flank_size' or 'initial_flank_to_add'",
    ),
    "fewer seqlets than a motif has": (
        {"max_seqlets": 10},
        "motifs.max_seqlets: 'final_min_cluster_size' asks for 20 seqlets, and 'max_seqlets' takes 10 at "
        "most; lower 'final_min_cluster_size', or raise 'max_seqlets'",
    ),
    "fewer seqlets than are looked at": (
        {"min_metacluster_size": 3000, "max_seqlets": 3000},
        "motifs.min_metacluster_size: 'min_metacluster_size' asks for 3,001 seqlets, and 'max_seqlets' takes "
        "3,000 at most; lower 'min_metacluster_size', or raise 'max_seqlets'",
    ),
    "no rate": (
        {"target_seqlet_fdr": 0},
        "motifs.target_seqlet_fdr: 0 is less than 1e-06; give a number from 1e-06 to 1",
    ),
    "misspelt preset": (
        {"preset": "publishd"},
        "motifs.preset: \"publishd\" is not a choice; did you mean 'published'? It is one of "
        "genolift, published",
    ),
    "seed of before": ({"seed": 3}, "motifs.seed: unknown key"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_keys_that_do_not_go_together_are_refused_by_name(mistake: str) -> None:
    keys, message = REFUSED[mistake]
    assert refusal(keys).startswith(message)


def test_what_does_not_fit_in_the_sequences_is_refused_with_the_config(tmp_path: Path) -> None:
    wide = refusal_of_config({"sliding_window_size": 95}, tmp_path, 100)
    assert wide == (
        "my.yaml: analyses.mine.motifs.sliding_window_size: a seqlet of 105 bases (sliding_window_size 95, "
        "flank_size 5) does "
        "not fit in the sequences of 100; give less for 'sliding_window_size' or 'flank_size'"
    )
    assert "motifs.window: 120 is more than the sequences' 100 bases" in refusal_of_config(
        {"window": 120}, tmp_path, 100
    )


def test_following_the_remedy_of_a_narrow_window_ends_the_refusal() -> None:
    keys = {"window": 25, "sliding_window_size": 40}
    remedied = re.search(r"give at least (\d+)", refusal(keys))
    assert remedied is not None
    assert checked(Motifs, keys | {"window": int(remedied[1])}, "motifs").window == 50


def test_the_docs_compare_the_presets_as_they_are() -> None:
    table = DOCS.read_text(encoding="utf-8").split("\n## ")[1]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", table, re.MULTILINE)
    words = {
        name: tuple(_in_words(PRESETS[preset][name]) for preset in (OWN, PUBLISHED)) for name in PRESETS[OWN]
    }
    assert {name: both for name, *both in rows} == {name: [*both] for name, both in words.items()}


def _in_words(value: float | None) -> str:
    return "all" if value is None else f"{value:,}"
