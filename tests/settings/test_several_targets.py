"""What a config may give as targets: a list or all, and the folder that each of several gets."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from refusals import refused_by

from genolift.settings.mistakes import checked
from genolift.settings.sections import Analysis, Settings
from genolift.settings.several_targets import MOST_TARGETS, all_targets, for_all_targets, slug_of, slugs
from genolift.settings.workflow import by_target, final_files, whole_of

KEYS = {"model": {"path": "weights.pt"}, "sequences": {"bed": "peaks.bed", "genome": "genome.fa"}}


def targets(written: str) -> Any:
    return checked(Analysis, KEYS | {"targets": yaml.safe_load(written)}, "analyses.a").targets


def analysis(**keys: Any) -> Analysis:
    return checked(Analysis, KEYS | keys)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def test_a_list_or_all_are_targets() -> None:
    assert targets('[0, GATA1, "[3, sum(:)]"]') == (0, "GATA1", "[3, sum(:)]")
    assert targets("all") == "all"
    assert targets("all 120") == "all 120"
    assert targets("[all, CTCF]") == ("all", "CTCF"), "a track may be called so"
    assert targets("null") is None


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("GATA1", ': "GATA1" is one target; write ["GATA1"], or all; or give it as \'target\''),
        ("3", ": 3 is one target; write [3], or all; or give it as 'target'"),
        ('"[0, 1]"', ': "[0, 1]" is one target; write ["[0, 1]"], or all'),
        ("All", ': "All" is one target; write ["All"], or all'),
        ("yes", ': true is true or false; put a name or path in quotes, "true"'),
        ("1.5", ': 1.5 is a number with a point; put a name or path in quotes, "1.5"'),
        ("all of them", ': "all of them" cannot be read; write it like all, all 120'),
        ("{a: 1}", ': {"a": 1} is keys with values; give a list or text'),
        ("[]", ": is empty; give the model's outputs to explain"),
        ("[[0, 1]]", '[0]: [0, 1] is a list; put a place in an output in quotes, "[0, 1]"'),
        ("[0, no]", '[1]: false is true or false; put a name or path in quotes, "false"'),
        ("[-1]", "[0]: -1 is less than 0"),
        ('["", 0]', "[0]: is empty text"),
        ('[0, CTCF, "0"]', ": the target '0' is there twice; name each once"),
    ],
)
def test_what_is_no_list_of_targets_is_refused_with_its_place(written: str, said: str) -> None:
    assert refused_by(lambda: targets(written)).startswith(f"analyses.a.targets{said}")


@pytest.mark.parametrize("remedy", ["GATA1", "3", '"[0, 1]"', "All"])
def test_what_is_advised_for_one_target_is_taken(remedy: str) -> None:
    (advised,) = re.findall(r"write (\[.*\]), or all;", refused_by(lambda: targets(remedy)))
    assert targets(advised) == (yaml.safe_load(remedy),)


def test_both_keys_are_refused_and_null_or_0_takes_one_away() -> None:
    both = {"target": 1, "targets": [0, 2]}
    said = refused_by(lambda: checked(Settings, both, "analyses.a"))
    assert said == (
        "analyses.a.targets: both 'target' and 'targets' are given; give one; over the defaults, "
        "targets: null or target: 0 leaves the other out"
    )
    assert checked(Settings, both | {"targets": None}).every_target == (1,)
    assert checked(Settings, both | {"target": 0}).every_target == (0, 2)


def test_a_command_is_not_given_all() -> None:
    said = refused_by(lambda: checked(Settings, {"targets": "all"}, "--settings"))
    assert said.startswith("--settings.targets: 'all' is for a config, which the workflow runs; list them")


def test_a_slug_is_the_text_in_small_letters() -> None:
    given = [0, "GATA1", "[3, sum(:)]", "atac.128[1] - atac.128[0]", "rep_2"]
    assert slugs(given) == dict(
        zip(["0", "gata1", "3-sum", "atac-128-1-atac-128-0", "rep_2"], given, strict=True)
    )


def test_a_slug_has_a_digest_where_the_text_alone_would_not_do() -> None:
    long = "x" * 61
    given = ["GATA1", "gata1", "日本", "  ", long, "x" * 60, "CON", "lpt1", "all"]
    assert list(slugs(given)) == [
        f"gata1-{digest('GATA1')}",
        f"gata1-{digest('gata1')}",
        digest("日本"),
        digest("  "),
        f"{'x' * 60}-{digest(long)}",
        f"{'x' * 60}-{digest('x' * 60)}",
        f"con-{digest('CON')}",
        f"lpt1-{digest('lpt1')}",
        "all",
    ]
    assert all(re.fullmatch(r"[a-z0-9_-]+", slug) for slug in slugs(given))


def test_no_target_is_lost_where_one_s_text_is_what_another_s_folder_would_be() -> None:
    given = ["A", "a", f"a-{digest('a')}"]
    found = slugs(given)
    assert list(found.values()) == given
    assert next(reversed(found)) == f"a-{digest('a')}"


def test_one_target_has_no_folder_of_its_own() -> None:
    for one in ({}, {"target": "GATA1"}, {"targets": ["GATA1"]}):
        assert analysis(**one).by_slug() == {}
        assert final_files(analysis(**one))[0:2] == ["sequences.tsv", "contributions.h5"]
    assert by_target({"mine": analysis(targets=["GATA1"])}).keys() == {"mine"}


def test_each_of_several_targets_is_an_analysis_in_its_folder() -> None:
    several = analysis(targets=[0, "GATA1"], references={"keep": True}, per_base=True)
    found = by_target({"mine": several, "other": analysis()})
    assert list(found) == ["mine/targets/0", "mine/targets/gata1", "other"]
    assert [each.every_target for each in found.values()] == [(0,), ("GATA1",), (0,)]
    assert list(map(whole_of, found)) == [("mine", "0"), ("mine", "gata1"), ("other", "")]
    files = final_files(several)
    assert [file for file in files if not file.startswith("targets/")] == ["sequences.tsv", "references.h5"]
    of_one = [file for file in final_files(analysis(per_base=True)) if file != "sequences.tsv"]
    for slug in ("0", "gata1"):
        assert [file.removeprefix(f"targets/{slug}/") for file in files if f"/{slug}/" in file] == of_one


def test_all_are_the_columns_by_their_names_where_these_name_one() -> None:
    names = ["CTCF", "", "GATA1", "GATA1", "12", "counts"]
    found = all_targets("all", names, 7, heads=["counts", "profile"])
    assert found == ["CTCF", 1, 2, 3, 4, 5, 6]


def test_all_of_many_has_to_be_meant() -> None:
    many = MOST_TARGETS + 1
    assert len(all_targets("all", [], MOST_TARGETS)) == MOST_TARGETS
    said = refused_by(lambda: all_targets("all", [], many))
    assert said.startswith(
        f"'all' are {many} targets, each with a backward pass, motifs and a report; if you"
    )
    (advised,) = re.findall(r"write (all \d+);", said)
    assert all_targets(advised, [], many) == list(range(many))
    assert (
        refused_by(lambda: all_targets("all 7", [], 6))
        == "'all 7' is given, and the model has 6; write all 6"
    )


def test_targets_share_their_sequences_and_nothing_else(tmp_path: Path) -> None:
    mine, gata1 = tmp_path / "mine", tmp_path / "mine" / "targets" / "gata1"
    gata1.mkdir(parents=True)
    for name in ("sequences.tsv", "references.h5", "contributions.bw"):
        (mine / name).touch()
    assert (slug_of(mine), slug_of(gata1)) == ("", "gata1")
    assert for_all_targets(gata1, "references.h5").resolve() == mine / "references.h5"
    assert for_all_targets(gata1, "contributions.bw") == gata1 / "contributions.bw", "another run's is there"
    in_targets = tmp_path / "targets" / "mine"
    in_targets.mkdir(parents=True)
    (in_targets / "sequences.tsv").touch()
    assert slug_of(in_targets) == "", "an analysis in a folder of results of that name"
    assert for_all_targets(in_targets, "references.h5") == in_targets / "references.h5"
