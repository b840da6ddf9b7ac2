"""No command writes where it should not: over an input, into a device, through a link, or over a folder."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from run_steps import study

from genolift.cli import main as cli
from genolift.errors import InputError
from genolift.files import whole
from genolift.files.output_paths import MARK, UNFINISHED, check_file, check_folder, check_outputs
from genolift.files.whole import whole_file, whole_folder
from genolift.steps.blocks import Pieces

TEXT = "what the user had"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Return exit code and standard error of a command run in this process."""
    with pytest.raises(SystemExit) as left:
        cli.main([str(argument) for argument in arguments])
    return int(left.value.code or 0), capsys.readouterr().err


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with every input file that a command below names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    for name in ("in", "in.pt2", "in.py", "g.fa", "g.fa.fai", "out/per_sequence.tsv", "out/motifs.tsv"):
        Path(name).write_text(TEXT)
    for name in ("out/contributions.h5", "out/motifs.meme", "out/index.tsv"):
        Path(name).write_text(TEXT)
    return tmp_path


ONTO_AN_INPUT = [
    "encode --fasta in --length 5 --table t --out in",
    "encode --fasta in --length 5 --table in --out s",
    "encode --bed in --genome g.fa --length 5 --table in --out s",
    "encode --bed b --genome in --length 5 --table t --out in",
    "encode --bed b --genome g.fa --length 5 --table g.fa.fai --out s",
    "encode --fasta f --model in --table t --out in",
    'encode --fasta f --models {"a":{"path":"in"}} --table t --out in',
    "reference --sequences in --out in",
    "reference --sequences s --kind fasta --fasta in --out in",
    "check --fasta in --model m --out in",
    "check --fasta f --model in --out in",
    "check --bed in --genome g --length 5 --model m --out in",
    "attribute --sequences in --references r --model m --out in",
    "attribute --sequences s --references in --model m --out in",
    "attribute --sequences s --references r --model in --out in",
    "attribute --sequences s --references r --model m --model-class in.py:Model --out in.py",
    'attribute --sequences s --references r --model m --extra-input {"table":"in"} --out in',
    'attribute --sequences s --references r --model m --extra-channel {"bigwig":"in"} --out in',
    "aggregate --sequences out/per_sequence.tsv --shards a --out out",
    "aggregate --sequences t --shards a out/contributions.h5 --out out",
    "motifs --contributions c --sequences out/motifs.tsv --out out",
    "motifs --contributions c --sequences t --database out/motifs.meme --out out",
    "report --results out --out out/contributions.h5",
    "inspect in --out in",
    "inspect in --write-config in",
    "export --model in.pt2 --out in.pt2",
]


@pytest.mark.parametrize("command", ONTO_AN_INPUT)
def test_no_command_writes_over_an_input(
    command: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    code, err = run(capsys, *command.split())
    assert code == 2
    assert "is also an input, and would be replaced; name another output" in err
    assert {path: path.read_bytes() for path in there.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("other", [os.link, os.symlink])
def test_an_input_is_told_by_what_it_is_and_not_by_its_path(other: object, there: Path) -> None:
    assert callable(other)
    other(there / "in", there / "again")
    (there / "linked").symlink_to(there / "out")
    with pytest.raises(InputError, match=r"in: is also an input \(.*again\), and would be replaced"):
        check_outputs([there / "in"], inputs=[there / "again"])
    with pytest.raises(InputError, match="is also an input"):
        check_outputs([there / "linked" / "index.tsv"], inputs=[there / "out" / "index.tsv"])


@pytest.mark.parametrize(
    "command",
    [
        "encode --fasta in --length 5 --table same --out out/../same",
        "inspect in --out same --write-config same",
    ],
)
def test_two_outputs_with_one_name_are_refused(
    command: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = run(capsys, *command.split())
    assert (code, "same: is named for two outputs; give each its own path" in err) == (2, True)
    assert not (there / "same").exists()


FOLDERS = [
    ("logos", "logos --results results --out out"),
    ("compare", "compare --sequences s --references r --model m --out out"),
    ("train-demo", "train-demo --out out"),
]


@pytest.mark.parametrize(("kind", "command"), FOLDERS)
def test_a_folder_of_the_user_s_is_not_replaced(
    kind: str, command: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in Path("out").iterdir())
    code, err = run(capsys, *command.split())
    assert code == 2
    assert f"out: already exists, and was not made by genolift {kind}; move it elsewhere, or " in err
    assert sorted(path.name for path in Path("out").iterdir()) == before


@pytest.mark.parametrize(("kind", "command"), FOLDERS)
def test_a_link_to_a_folder_is_not_replaced_but_one_above_it_is_followed(
    kind: str, command: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree("out")
    Path("scratch").mkdir()
    Path("out").symlink_to("scratch")
    code, err = run(capsys, *command.split())
    assert (code, "out: is a link, which is not replaced" in err) == (2, True)
    with whole_folder(Path("out") / "inner", kind) as folder:
        (folder / "one.txt").write_text("1")
    assert Path("scratch/inner/one.txt").read_text() == "1"


def test_what_a_user_put_into_a_folder_of_ours_is_not_lost(tmp_path: Path) -> None:
    out = tmp_path / "logos"

    def draw(text: str) -> None:
        with whole_folder(out, "logos") as folder:
            (folder / "part").mkdir()
            (folder / "part" / "index.tsv").write_text(text)

    draw("1")
    (out / ".snakemake_timestamp").touch()
    draw("2")
    assert (out / "part" / "index.tsv").read_text() == "2"
    (out / "part" / "notes.txt").write_text(TEXT)
    with pytest.raises(InputError, match=r"holds 'part/notes\.txt', which genolift logos did not write"):
        draw("3")
    assert (out / "part" / "notes.txt").read_text() == TEXT
    with pytest.raises(InputError, match="was not made by genolift compare"):
        check_folder(out, "compare")
    assert [path.name for path in tmp_path.iterdir()] == ["logos"]


def test_a_folder_that_holds_an_input_is_not_replaced(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "compared", "compare") as folder:
        (folder / "table.tsv").write_text("")
    with pytest.raises(InputError, match=r"compared: contains an input, .*table\.tsv, and would be replaced"):
        check_outputs(
            folders=[(tmp_path / "compared", "compare")], inputs=[tmp_path / "compared" / "table.tsv"]
        )


def specials(folder: Path) -> Iterator[tuple[Path, str]]:
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("file")
    (folder / "lost").symlink_to("nowhere")
    yield from [(Path("/dev/null"), "is a device"), (folder / "pipe", "is a named pipe")]
    yield from [(folder / "link", "is a link"), (folder / "lost", "is a link"), (folder, "is a folder")]


def test_devices_pipes_links_and_folders_are_no_place_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(TEXT)
    for path, message in specials(tmp_path):
        with pytest.raises(InputError, match=message):
            check_file(path)
        with pytest.raises(InputError, match=message), whole_file(path):
            pytest.fail("nothing is written")
    assert (tmp_path / "file").read_text() == TEXT
    assert Path("/dev/null").is_char_device()


def test_a_temporary_name_is_never_one_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "victim").write_text(TEXT)
    names = iter(["0" * 8, "0" * 8, "1" * 8])
    monkeypatch.setattr(secrets, "token_hex", lambda n: next(names))
    with whole_file(tmp_path / "file.txt") as foreseen:
        foreseen.write_text("old")
    foreseen.symlink_to("victim")
    with whole_file(tmp_path / "file.txt") as path:
        assert path.name == foreseen.name.replace("0" * 8, "1" * 8)
        path.write_text("new")
    assert (tmp_path / "victim").read_text() == TEXT
    assert (tmp_path / "file.txt").read_text() == "new"
    assert not (tmp_path / "file.txt").is_symlink()


def killed(run: Callable[[], object]) -> None:
    """Fork a process that runs something and is killed."""
    process = os.fork()
    if process == 0:
        try:
            run()
        finally:
            os._exit(1)
    assert os.waitpid(process, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize("elsewhere", [False, True], ids=["on this machine", "on another machine"])
def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_the_same(
    elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> None:
        if elsewhere:
            monkeypatch.setattr(whole, "_machine", lambda: "0123abcd")
        with (
            whole_file(tmp_path / "a.txt"),
            whole_file(tmp_path / "b.txt"),
            whole_folder(tmp_path / "c", "logos"),
        ):
            os.kill(os.getpid(), signal.SIGKILL)

    killed(run)
    assert len(list(tmp_path.iterdir())) == 3
    with whole_file(tmp_path / "a.txt", shared=True):
        assert len(list(tmp_path.iterdir())) == 4
    with whole_file(tmp_path / "a.txt"), whole_folder(tmp_path / "c", "logos"):
        assert len(list(tmp_path.iterdir())) == 4
    (left,) = [path for path in tmp_path.iterdir() if path.name.startswith(UNFINISHED)]
    assert left.name.endswith(".b.txt")


def test_what_a_running_process_writes_is_not_removed(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.txt") as first:
        with whole_file(tmp_path / "a.txt") as second:
            second.write_text("second")
        assert (tmp_path / "a.txt").read_text() == "second"
        first.write_text("first")
    assert (tmp_path / "a.txt").read_text() == "first"


def test_a_file_that_is_removed_while_it_is_written_is_told(tmp_path: Path) -> None:
    removed = r"a.txt: was removed while it was written; let one process at a time write it"
    with pytest.raises(InputError, match=removed), whole_file(tmp_path / "a.txt") as path:
        path.unlink()


@pytest.mark.parametrize(("umask", "file", "folder"), [(0o077, 0o600, 0o700), (0o027, 0o640, 0o750)])
def test_files_and_folders_have_the_mode_that_the_umask_says(
    umask: int, file: int, folder: int, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "new" / "file.txt") as path:
            path.write_text("1")
        with whole_folder(tmp_path / "folder", "logos") as path:
            (path / "file.txt").write_text("1")
    finally:
        os.umask(before)
    modes = {path.relative_to(tmp_path): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    files = {Path("new/file.txt"): file, Path("folder/file.txt"): file, Path(f"folder/{MARK}"): file}
    assert modes == {Path("new"): folder, Path("folder"): folder} | files


def test_a_name_as_long_as_can_be_is_written(tmp_path: Path) -> None:
    name = "é" * 125 + ".txt"
    with whole_file(tmp_path / name) as path:
        assert path.suffix == ".txt"
        path.write_text("1")
    assert (tmp_path / name).read_text() == "1"


def test_two_attributes_on_one_output_are_refused_and_the_first_is_undisturbed(tmp_path: Path) -> None:
    made = study(tmp_path, n=3)
    with closing(Pieces(tmp_path / "shard.h5", "the work of another process")) as first:
        with pytest.raises(InputError, match="another genolift attribute is writing the same output; let"):
            made.attribute()
        assert first.folder.is_dir()
    made.attribute()
    assert not first.folder.exists()


def test_a_folder_of_pieces_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    made = study(tmp_path, n=3)
    pieces = tmp_path / "shard.h5.pieces"
    pieces.mkdir()
    (pieces / "notes.txt").write_text(TEXT)
    with pytest.raises(InputError, match=r"shard\.h5\.pieces: already exists, and was not made by"):
        made.attribute()
    assert (pieces / "notes.txt").read_text() == TEXT
    shutil.rmtree(pieces)
    (tmp_path / "elsewhere").mkdir()
    pieces.symlink_to("elsewhere")
    with pytest.raises(InputError, match="is a link, which is not replaced"):
        made.attribute()


@pytest.mark.parametrize("out", ["taken/out.h5", "taken/more/out.h5"])
def test_a_folder_that_cannot_be_made_is_told_before_any_work(tmp_path: Path, out: str) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken: is a file, not a folder; choose another output folder"):
        check_outputs([tmp_path / out], inputs=[])
    check_outputs([tmp_path / "not yet" / "there" / "out.h5"], inputs=[])
    assert not (tmp_path / "not yet").exists()
