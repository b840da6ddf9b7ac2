"""The house rules: small modules and functions, few parameters, and rooms that say what they are for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest
from lacking import skip
from places import ROOT

PACKAGE = ROOT / "src" / "genolift"
MODULE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 8
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))

PUBLIC = {
    "explain/attribution.py deeplift",
    "explain/attribution.py integrated_gradients",
    "explain/explainer.py Explainer.__init__",
    "explain/methods.py grad_cam",
    "explain/methods.py in_silico_mutagenesis",
}
"""Functions that users call with keywords: their parameters are fixed, and docstrings may be longer."""

MANY_PARAMETERS = {
    "models/keras/locally_connected.py LocallyConnected.__init__",
}
"""Functions that still have too many parameters. Remove one when it is fixed; never add one."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def _modules() -> dict[str, str]:
    """Each module's path below the package, and its text."""
    return {str(path.relative_to(PACKAGE)): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def _functions() -> dict[str, Function]:
    """Every function by its module and qualified name, including nested functions and methods."""
    return {
        f"{module} {name}": function
        for module, text in _modules().items()
        for name, function in _functions_in(ast.parse(text), "")
    }


def _functions_in(node: ast.AST, inside: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, Function | ast.ClassDef)
        name = f"{inside}{child.name}" if named else inside
        if isinstance(child, Function):
            yield name, child
        yield from _functions_in(child, f"{name}." if named else inside)


def _lines(name: str, function: Function) -> int:
    """The number of lines of a function; for a public one without its docstring."""
    first = function.body[0]
    documentation = ast.get_docstring(function) is not None and name in PUBLIC
    left_out = (first.end_lineno or 0) - first.lineno + 1 if documentation else 0
    return (function.end_lineno or 0) - function.lineno + 1 - left_out


def _parameters(function: Function) -> int:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [each for each in (arguments.vararg, arguments.kwarg) if each]
    return len([each for each in every if each.arg not in ("self", "cls")])


def test_no_module_is_longer_than_it_may_be() -> None:
    lines = {name: len(text.splitlines()) for name, text in _modules().items()}
    assert {name: n for name, n in lines.items() if n > MODULE_LINES} == {}


def test_no_function_is_longer_than_it_may_be() -> None:
    lines = {name: _lines(name, function) for name, function in _functions().items()}
    long = {name for name, n in lines.items() if n > FUNCTION_LINES}
    assert sorted(long) == []


def test_no_function_has_more_parameters_than_it_may() -> None:
    parameters = {name: _parameters(function) for name, function in _functions().items()}
    many = {name for name, n in parameters.items() if n > PARAMETERS}
    many -= PUBLIC
    assert (sorted(many - MANY_PARAMETERS), sorted(MANY_PARAMETERS - many)) == ([], [])


def test_the_public_functions_are_where_the_list_says() -> None:
    assert sorted(PUBLIC - set(_functions())) == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_and_what_it_may_import(room: str) -> None:
    documentation = ast.get_docstring(ast.parse(_modules()[f"{room}/__init__.py"])) or ""
    purpose, *others = documentation.split("\n\n")
    assert len(purpose) > 20
    assert [each for each in others if each.startswith("May import ")] != []


def test_every_folder_of_a_room_says_what_it_is_for() -> None:
    folders = [name for name in _modules() if name.endswith("__init__.py")]
    assert [name for name in folders if not ast.get_docstring(ast.parse(_modules()[name]))] == []
    with_modules = {name.rpartition("/")[0] for name in _modules()}
    assert with_modules == {name.rpartition("/")[0] for name in folders}


def test_the_rooms_of_the_documentation_are_those_there_are() -> None:
    table = (ROOT / "docs" / "architecture.md").read_text().split("## The rooms")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `([a-z]+)/` \|", table, re.MULTILINE)) == ROOMS


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [
        ({}, "Skipped"),
        ({"CI": "true"}, "Failed"),
        ({"CI": "true", "GENOLIFT_TESTS_WITHOUT": "chromium"}, "Failed"),
        ({"CI": "true", "GENOLIFT_TESTS_WITHOUT": "chromium shared"}, "Skipped"),
    ],
)
def test_a_test_without_its_data_fails_in_ci_unless_ci_says_that_it_has_none(
    environment: dict[str, str], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "GENOLIFT_TESTS_WITHOUT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BaseException, match="no data") as left:
        skip("no data", lacking="shared")
    assert type(left.value).__name__ == outcome
