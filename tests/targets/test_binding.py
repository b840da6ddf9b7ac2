"""What names and numbers of a target stand for in what a model returns."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from refusals import refused_by
from torch import Tensor

from genolift.targets.binding import Named, Place
from genolift.targets.grammar import Reduction
from genolift.targets.heads import heads_of
from genolift.targets.outputs import as_json, outputs_from_json, structure_of
from genolift.targets.resolving import Resolution

SUM = Reduction("sum")


def rows(*shape: int) -> Tensor:
    return torch.zeros(3, *shape)


@dataclass
class Fields:
    logits: Tensor
    counts: Tensor


class Pair(NamedTuple):
    profile: Tensor
    counts: Tensor


NO_NAMES: list[str] = []
TRACKS = ["GATA1", "GATA1 rep-2", "3"]
CELLS = ["a", "b", "c", "d"]
OF: dict[str, tuple[Any, list[str]]] = {
    "one number": (rows(), NO_NAMES),
    "columns": (rows(3), NO_NAMES),
    "tracks": (rows(3), TRACKS),
    "bins": (rows(20, 3), TRACKS),
    "square": (rows(3, 3), TRACKS),
    "unnamed bins": (rows(5, 50), NO_NAMES),
    "heads": ({"human": rows(20, 4), "mouse": rows(20, 2)}, CELLS),
    "species": ({"human": rows(4), "mouse": rows(4)}, CELLS),
    "nested": ({"atac": {1: rows(40, 2), 128: rows(2)}, "rna": [rows(3), rows()]}, NO_NAMES),
    "profile": ((rows(2, 100), rows(1)), NO_NAMES),
    "named pair": (Pair(rows(100), rows(1)), NO_NAMES),
    "fields": (Fields(rows(5), rows(1)), NO_NAMES),
    "one in a mapping": ({"logits": rows(5)}, NO_NAMES),
    "three numbers": ((rows(1), rows(1), rows()), NO_NAMES),
    "odd keys": ({"a.b": rows(1), "c - d": rows(1), "counts": rows(4), "a": rows(1)}, CELLS),
    "not tensors": ({"logits": rows(2), "name": "x"}, NO_NAMES),
    "twice": (rows(3), ["x", "x", "y"]),
}

BOUND: dict[tuple[str, int | str], list[Place] | str] = {
    ("one number", 0): [Place((), ())],
    ("one number", "[0]"): [Place((), ())],
    ("columns", "2"): [Place((), (2,))],
    ("columns", "2 - 0"): [Place((), (2,)), Place((), (0,))],
    ("columns", "[mean(:)]"): [Place((), (Reduction("mean"),))],
    ("tracks", "GATA1"): [Place((), (0,))],
    ("tracks", "GATA1 rep-2"): [Place((), (1,))],
    ("tracks", '["3"]'): [Place((), (2,))],
    ("tracks", "'GATA1 rep-2' - GATA1"): [Place((), (1,)), Place((), (0,))],
    ("bins", "[sum(:), GATA1]"): [Place((), (SUM, 0))],
    ("unnamed bins", "[3, sum(2:50)]"): [Place((), (3, Reduction("sum", 2, 50)))],
    ("heads", "human[mean(3:9), c]"): [Place(("human",), (Reduction("mean", 3, 9), 2))],
    ("heads", "human[0, 1] - mouse[0, 1]"): [Place(("human",), (0, 1)), Place(("mouse",), (0, 1))],
    ("species", "human[a]"): [Place(("human",), (0,))],
    ("nested", "atac.128[1] - atac.128[0]"): [Place(("atac", "128"), (1,)), Place(("atac", "128"), (0,))],
    ("nested", "rna.0[2]"): [Place(("rna", "0"), (2,))],
    ("nested", "rna.1"): [Place(("rna", "1"), ())],
    ("profile", "counts"): "counts",
    ("profile", "profile"): "profile",
    ("profile", 1): [Place(("1",), (0,))],
    ("profile", "0[1, sum(:)]"): [Place(("0",), (1, SUM))],
    ("named pair", "counts"): "counts",
    ("named pair", "profile[7]"): [Place(("profile",), (7,))],
    ("named pair", "0[7]"): [Place(("profile",), (7,))],
    ("fields", "counts"): "counts",
    ("fields", "logits[4]"): [Place(("logits",), (4,))],
    ("one in a mapping", 4): [Place(("logits",), (4,))],
    ("one in a mapping", "logits[4]"): [Place(("logits",), (4,))],
    ("three numbers", 2): [Place(("2",), ())],
    ("three numbers", "1 - 0"): [Place(("1",), (0,)), Place(("0",), (0,))],
    ("odd keys", "a.b"): [Place(("a.b",), (0,))],
    ("odd keys", "c - d"): [Place(("c - d",), (0,))],
    ("odd keys", "counts[d]"): [Place(("counts",), (3,))],
    ("not tensors", "logits[1]"): [Place(("logits",), (1,))],
    ("twice", "y"): [Place((), (2,))],
}

REFUSED: dict[tuple[str, int | str], str] = {
    ("columns", 3): "there is no target 3: the model has 3 outputs; choose one of 0 to 2",
    ("columns", "[3]"): "the axis of 3 in the output (n, 3) has no place 3; choose one of 0 to 2",
    ("columns", "GATA1"): "there is no target 'GATA1'; choose one of 0 to 2",
    ("columns", "profile"): "there is no target 'profile'; choose one of 0 to 2",
    ("columns", "[x]"): "has no names, and 'x' is given; give a number",
    ("columns", "[0, sum(:)]"): "has 1 axis behind the rows', and [0, sum(:)] names 2; write 0 to 2",
    ("tracks", "GATA"): "there is no target 'GATA'; did you mean 'GATA1'?",
    ("tracks", "[GATA]"): "there is no target 'GATA'; did you mean 'GATA1'?",
    ("tracks", "GATA1 rep-3"): "there is no target 'GATA1 rep-3'; did you mean 'GATA1 rep-2'?",
    ("tracks", "counts"): "there is no target 'counts'; choose one of GATA1, GATA1 rep-2, 3; 0 to 2",
    ("tracks", "GATA1[0]"): "'GATA1' is a name on an axis, not an output; write it in the brackets, [GATA1]",
    (
        "bins",
        "GATA1",
    ): "'GATA1' is not one number of the model's output (n, 20, 3); say where, such as [sum(:), GATA1]",
    ("square", "GATA1"): "can be read as [GATA1, sum(:)] and as [sum(:), GATA1]",
    ("unnamed bins", 3): "has the shape (n, 5, 50); choose a place, such as [0, sum(:)] or [sum(:), 0]",
    ("unnamed bins", "[3, sum(2:51)]"): "ends before sum(2:51); end the slice at 50 or before",
    ("unnamed bins", "[5, 0]"): "has no place 5; choose one of 0 to 4",
    ("unnamed bins", "profile"): "there is no target 'profile'",
    ("heads", "human"): "output human has the shape (n, 20, 4); choose a place, such as human[0, sum(:)]",
    ("heads", "humn[0]"): "the model has no output 'humn'; did you mean 'human'?",
    ("heads", 0): "there is no target 0: the model returns 2 outputs; choose one of a, b, c, d; human[0",
    ("heads", "[0, 0]"): "the model returns 2 outputs; choose one of",
    ("heads", "mouse[0, c]"): "the axis of 2 in the output (n, 20, 2) has no names",
    ("species", "a"): "'a' can be read as human[a] and as mouse[a]; write human[a] or mouse[a]",
    ("nested", "atac[0]"): "the output atac is several; choose one of atac.1[0, sum(:)]",
    ("nested", "atac.12[0]"): "the output atac has no output '12'; did you mean '128'?",
    ("nested", "rna.0"): "output rna.0 has the shape (n, 3); choose one of rna.0[0] to rna.0[2]",
    ("profile", 0): "output 0 has the shape (n, 2, 100); choose a place, such as 0[0, sum(:)]",
    ("profile", 2): "there is no target 2: the model returns 2 outputs; choose one of counts; profile",
    ("odd keys", "a"): "'a' can be read as counts[a] and as a[...]",
    ("not tensors", "name[0]"): "the model's output name is a str",
    ("twice", "x"): "several tasks are called 'x'; give a number, 0 or 1",
    ("twice", "[y, 0]"): "has 1 axis behind the rows'",
}


def named(of: str) -> Named:
    output, tasks = OF[of]
    return Named(structure_of(output), tasks)


@pytest.mark.parametrize(("of", "target"), BOUND)
def test_a_target_is_a_place_in_what_the_model_returns(of: str, target: int | str) -> None:
    expected = BOUND[of, target]
    assert named(of).bound(target) == (expected if isinstance(expected, str) else tuple(expected))


@pytest.mark.parametrize(("of", "target"), REFUSED)
def test_what_is_not_there_is_told_with_what_is(of: str, target: int | str) -> None:
    assert REFUSED[of, target] in refused_by(lambda: named(of).bound(target))


def test_names_that_fit_no_axis_are_told() -> None:
    said = refused_by(lambda: Named(structure_of(rows(4)), TRACKS).bound("GATA1"))
    assert "the model names 3 tasks, and returns (n, 4); name as many tasks" in said


@pytest.mark.parametrize(
    ("output", "heads"),
    [
        ((rows(2, 100), rows(1)), "counts profile profile-free-weights"),
        ((rows(100, 2), rows(2)), "counts profile profile-free-weights"),
        ((rows(100), rows(1)), "counts profile profile-free-weights"),
        ({"profile_logits": rows(1, 100), "log_counts": rows(1)}, "counts profile profile-free-weights"),
        ({"profile": rows(100)}, "profile profile-free-weights"),
        (rows(2, 100), "profile profile-free-weights"),
        # Tracks, classes or tasks, which no softmax is over together with the positions.
        (rows(3, 100), ""),
        (rows(896, 5313), ""),
        ((rows(12, 100), rows(12)), ""),
        ((rows(1), rows(100)), ""),
        ((rows(1), rows(1)), ""),
        (rows(2), ""),
        (rows(), ""),
        ({"profile_a": rows(100), "profile_b": rows(100)}, ""),
        ((rows(2, 100), rows(1), rows(1)), ""),
        ((rows(100), "counts"), ""),
    ],
)
def test_heads_are_of_models_whose_shapes_are_those_of_one(output: Any, heads: str) -> None:
    assert " ".join(heads_of(structure_of(output))) == heads
    if isinstance(output, Tensor):
        assert heads_of(structure_of(output), tasks=True) == ()


@pytest.mark.parametrize("of", OF)
def test_outputs_are_read_back_from_plain_values(of: str) -> None:
    outputs = named(of).outputs
    assert outputs_from_json(as_json(outputs)) == outputs


@pytest.mark.parametrize("told", [None, 3, [1.5], {"list": {}}, {"tuple": {}, "mapping": {}}, {"tuple": [1]}])
def test_plain_values_that_are_no_outputs_are_refused(told: Any) -> None:
    with pytest.raises((ValueError, AttributeError)):
        outputs_from_json(told)


@pytest.mark.parametrize(
    ("of", "target", "name"),
    [
        ("tracks", 1, "GATA1 rep-2"),
        ("tracks", "2 - 0", "3 - GATA1"),
        ("bins", "[sum(:), 2]", "3"),
        ("bins", "[sum(:), mean(:)]", ""),
        ("square", "[1, 2]", ""),
        ("columns", 1, ""),
        ("heads", "human[0, 1] - mouse[0, 1]", ""),
        ("profile", "counts", ""),
    ],
)
def test_a_numbered_target_has_the_name_that_the_model_gives_it(
    of: str, target: int | str, name: str
) -> None:
    output, tasks = OF[of]
    model = SimpleNamespace(tasks=tasks)
    assert Resolution(model, (target,), structure_of(output)).read_off.names == (name,)
