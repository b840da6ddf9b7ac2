"""What is compiled before it is needed: all that finding motifs calls, once for an installation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_windows import chromosome, write_windows

from genolift.errors import InputError
from genolift.motifs import compiled
from genolift.motifs.compiled import compile_tools, kept_files
from genolift.settings.motifs import Motifs
from genolift.steps.compile import compile_motif_tools
from genolift.steps.motifs import find_motifs


def signatures() -> set[tuple[str, str, str]]:
    """Return what is compiled in this process: module, function and types of arguments."""
    from numba.core.dispatcher import Dispatcher

    return {
        (name, each, str(types))
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in ("modiscolite", "memelite", "finemo")
        for each, function in vars(module).items()
        if isinstance(function, Dispatcher)
        for types in function.signatures
    }


def test_finding_motifs_compiles_nothing_more(tmp_path: Path) -> None:
    compile_tools()
    before = signatures()
    assert {name.partition(".")[0] for name, _, _ in before} == {"memelite", "modiscolite", "finemo"}
    made = chromosome(40_000)
    starts = range(0, 39_600, 300)
    strands = "+" * len(starts)
    files = write_windows(tmp_path, *made.cut(starts, strands, 400), starts, strands)
    summary = find_motifs(Motifs(), **files, out=tmp_path / "out")
    assert summary.n_motifs == 2
    assert summary.n_hits
    assert not signatures() - before


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs of a made-up compiler that keeps one file, with a user's cache of its own."""
    done: list[str] = []
    kept = tmp_path / "kept" / "function.nbi"

    def compile_it() -> None:
        done.append("compiled")
        kept.parent.mkdir(exist_ok=True)
        kept.write_text("code")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiled, "compile_tools", compile_it)
    monkeypatch.setattr(compiled, "kept_files", lambda: {str(kept): 4})
    return done


def test_what_is_compiled_is_not_compiled_again(tmp_path: Path, calls: list[str]) -> None:
    first = compile_motif_tools(tmp_path / "first.json")
    again = compile_motif_tools(tmp_path / "again.json")
    assert calls == ["compiled"]
    assert (str(first), str(again)) == (
        "what finds motifs is compiled, and kept in 1 files",
        "what finds motifs was compiled before",
    )
    told = json.loads((tmp_path / "again.json").read_text())
    assert told["files"] == {str(tmp_path / "kept" / "function.nbi"): 4}
    assert told["versions"]["modisco-lite"].startswith("3.")


@pytest.mark.parametrize("lost", ["file", "part of a file", "record", "folder", "installation"])
def test_what_is_lost_is_compiled_again(
    tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    compile_motif_tools(tmp_path / "first.json")
    (record,) = (tmp_path / "cache" / "genolift").iterdir()
    if lost == "file":
        (tmp_path / "kept" / "function.nbi").unlink()
    elif lost == "part of a file":
        (tmp_path / "kept" / "function.nbi").write_text("co")
    elif lost == "record":
        record.write_text('{"')
    elif lost == "folder":
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "elsewhere"))
    else:
        monkeypatch.setattr(sys, "prefix", "/elsewhere")
    compile_motif_tools(tmp_path / "again.json")
    assert calls == ["compiled", "compiled"]


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compile_motif_tools(tmp_path / "out.json").files == 1
    assert compile_motif_tools(tmp_path / "out.json").files == 1
    assert calls == ["compiled", "compiled"]


def test_without_a_home_it_is_compiled_each_time(
    tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.chdir(tmp_path)
    compile_motif_tools(tmp_path / "first.json")
    compile_motif_tools(tmp_path / "again.json")
    assert calls == ["compiled", "compiled"]
    assert not (tmp_path / "relative").exists()


KEPT = """
import sys
from genolift.errors import InputError
from genolift.motifs.numba_code import kept_by_numba
import made_up_function
try:
    with kept_by_numba():
        made_up_function.double(2)
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("nothing", ""),
        ("*.nbc", "compiled code that numba has kept is damaged; delete this folder, and run it again"),
        ("*.nbi", "compiled code that numba has kept is damaged; delete this folder, and run it again"),
        (
            "full",
            "numba cannot keep compiled code: No space left on device; make room, or set NUMBA_CACHE_DIR ",
        ),
    ],
)
def test_damaged_code_and_a_full_disk_are_told_in_one_line(tmp_path: Path, damage: str, said: str) -> None:
    (tmp_path / "made_up_function.py").write_text(
        "import errno, os, numba\n@numba.njit(cache=True)\ndef double(x):\n    return 2 * x\n"
    )
    code = KEPT
    if damage == "full":
        full = "import os, errno\ndef full(*_):\n    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        code = f"{full}import numba.core.caching as caching\ncaching.os.replace = full\n{KEPT}"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    for number in range(1 if damage == "full" else 2):
        for file in (tmp_path / "kept").rglob(damage) if number else ():
            os.truncate(file, 3)
        words = [sys.executable, "-c", code]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "kept").iterdir()
    assert done.stdout.startswith(f"{folder}: {said}" if said else "")
    assert bool(done.stdout) == bool(said)


def test_no_folder_for_compiled_code_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name == "memelite":
                raise RuntimeError("cannot cache function '_a': no locator available for file 'tomtom.py'")

    for name in [name for name in sys.modules if name.partition(".")[0] == "memelite"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(InputError) as caught:
        compile_tools()
    assert str(caught.value) == (
        "NUMBA_CACHE_DIR: numba has no folder to keep compiled code in; "
        "set this environment variable to a folder that can be written"
    )


def test_numba_keeps_all_three_tools() -> None:
    compile_tools()
    folders = {Path(file).parent for file in kept_files()}
    tools = {folder.parent.name for folder in folders if folder.name == "__pycache__"}
    assert tools >= {"memelite", "modiscolite", "finemo"} or not tools  # none if it keeps them elsewhere
