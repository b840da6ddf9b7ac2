"""The command line: help with an example, one line and exit code 2 for a mistake, and the output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run
from run_steps import study

import genolift
from genolift.cli import main as cli
from genolift.cli import progress
from genolift.settings.sections import Attribution

COMMANDS = ["encode", "reference", "attribute", "aggregate", "motifs", "logos", "report", "compare"]
COMMANDS += ["plan", "inspect", "train-demo", "check-config"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert f"example:\n  genolift {command} " in out


@pytest.mark.parametrize(
    "arguments",
    [
        "no-such-command",
        "encode --fasta missing.fa --table t.tsv --out s.h5",
        "encode --table t.tsv --out s.h5",
        "encode --fasta a --bed b --table t.tsv --out s.h5",
        "reference --sequences missing.h5 --out r.h5",
        "reference --sequences s.h5 --number 0 --out r.h5",
        "attribute --sequences s --references r --model m --shard 3/3 --out o",
        "attribute --sequences s --references r --model m --model-arguments {a --out o",
        "attribute --sequences s --references r --model m --rule rescaled --out o",
        "attribute --sequences s --references r --model m --memory lots --out o",
        "attribute --sequences s --references r --model m --out o",
        "aggregate --sequences t.tsv --shards a.h5 --out o",
        "motifs --contributions c.h5 --sequences t.tsv --out o",
        "logos --results nowhere --out o",
        "report --results nowhere --out o.html",
        "compare --sequences s --references r --model m --methods rescale --out o",
        "compare --sequences s --references r --model m --methods rescaled --out o",
        "compare --sequences s --references r --model m --number 0 --out o",
        "compare --sequences s --references r --model m --truth-motifs GATA1 --out o",
        "plan --model nowhere.pt",
        "inspect nowhere.pt",
        "check-config nowhere.yaml",
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments.split())
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_rna_is_read_where_the_alphabet_has_u(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rna.fa").write_text(">a\nACGUACGUAC\n")
    encode = ["encode", "--fasta", tmp_path / "rna.fa", "--table", tmp_path / "t.tsv", "--out"]
    encode += [tmp_path / "s.h5"]
    code, _, err = run(capsys, *encode, "--length", 10)
    assert code == 2
    assert "set model.alphabet (--alphabet)" in err
    assert run(capsys, *encode, "--length", 10, "--alphabet", "UGCA")[0] == 0
    reference = ["reference", "--sequences", tmp_path / "s.h5", "--kind", "fasta"]
    reference += ["--fasta", tmp_path / "rna.fa", "--out", tmp_path / "r.h5"]
    assert run(capsys, *reference)[0] == 2
    assert run(capsys, *reference, "--alphabet", "acgu")[0] == 0
    assert "'ACGX' is not an alphabet" in run(capsys, *encode, "--alphabet", "ACGX")[2]


def test_a_fault_of_ours_is_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "s.h5").mkdir()
    program = (
        "from genolift.cli.main import main\nfrom genolift.data import sequences\n"
        "sequences.encode = None\nmain(__import__('sys').argv[1:])"
    )
    arguments = ["encode", "--fasta", "x", "--length", "5", "--table", "t", "--out", "o"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, cwd=tmp_path)
    assert done.returncode == 1


def test_the_version_is_printed() -> None:
    done = subprocess.run([sys.executable, "-m", "genolift", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "genolift 0.1.0\n")


def test_the_steps_say_what_they_did(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = study(tmp_path, n=6)
    code, out, _ = run(
        capsys, "encode", "--fasta", tmp_path / "sequences.fa", *made.flags(), "--table", tmp_path / "t.tsv",
        "--out", tmp_path / "s.h5",
    )  # fmt: skip
    assert (code, out.split(":")[0]) == (0, "6 of 6 sequences of 60 bp kept")
    code, _, _ = run(
        capsys, "reference", "--sequences", tmp_path / "s.h5", "--number", 2, "--out", tmp_path / "r.h5"
    )
    assert code == 0
    code, out, _ = run(
        capsys, "attribute", "--sequences", tmp_path / "s.h5", "--references", tmp_path / "r.h5",
        *made.flags(), "--target", "second", "--memory", "8GiB", "--device", "cpu",
        "--out", tmp_path / "shard.h5",
    )  # fmt: skip
    assert (code, out.split(" on ")[0]) == (0, "6 sequences (12 pairs)")
    code, out, _ = run(
        capsys,
        "aggregate",
        "--sequences",
        tmp_path / "t.tsv",
        "--shards",
        tmp_path / "shard.h5",
        "--out",
        tmp_path,
    )
    assert (code, out.split(":")[0]) == (0, "6 sequences of 60 bp")


def test_the_plan_of_a_real_model_is_a_table(capsys: pytest.CaptureFixture[str], shared: Path) -> None:
    yeast = shared / "yeast"
    code, out, _ = run(
        capsys, "plan", "--model", yeast / "model_state_dict.pt",
        "--model-class", f"{yeast}/model.py:YeastTF", "--input-length", 400, "--target", "Rap1",
    )  # fmt: skip
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["layer", "operation", "kind", "rule", "why", "line"]
    assert sum("RevealCancel" in line and "fed by a dense layer" in line for line in lines) == 1
    assert sum("Rescale" in line and "fed by a convolution" in line for line in lines) == 3
    assert sum("maximum of each" in line and "h.amax(-1)" in line for line in lines) == 1


def test_the_plan_says_what_each_operation_loses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = study(tmp_path, n=1)
    code, out, _ = run(capsys, "plan", *made.flags(), "--target", "[sum(:)]", "--keep-final-activation")
    assert code == 0
    assert "relu" in out
    code, out, _ = run(capsys, "plan", *made.flags(), "--target", "second", "--check")
    assert code == 0
    assert out.splitlines()[0].split() == ["layer", "operation", "kind", "rule", "why", "lost", "line"]
    assert out.splitlines()[-1].startswith("every operation is exact: none loses more than ")


def test_methods_are_compared_and_those_that_refuse_are_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = study(tmp_path, n=3)
    code, out, err = run(
        capsys, "compare", "--sequences", tmp_path / "sequences.h5",
        "--references", tmp_path / "references.h5", *made.flags(), "--target", "second",
        "--methods", "rescale,integrated-gradients", "--steps", 3, "--number", 2, "--device", "cpu",
        "--out", tmp_path / "compared",
    )  # fmt: skip
    assert (code, out.split(" in ")[0]) == (0, "2 methods on 2 sequences on cpu")
    assert [line.split(":")[1] for line in err.splitlines()] == [" rescale", " integrated-gradients"]
    table = (tmp_path / "compared" / "methods.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in table] == ["method", "rescale", "integrated-gradients"]


def test_no_module_but_the_command_line_itself_exits() -> None:
    for path in Path(genolift.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert path == Path(cli.__file__) or not ("sys.exit" in text or "raise SystemExit" in text), path.name


def test_progress_is_plain_lines_in_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 1000, 6))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    with progress.shown_progress("attribute", "pair") as show:
        for done in (1, 2, 3, 4):
            show(done, 4)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["attribute: 2 of 4 pairs, about 12 s left", "attribute: 4 of 4 pairs, about 0 s left"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("4GB", 4 * 10**9), ("1.5GiB", 3 * 2**29), ("200000000", 2 * 10**8), ("200000kb", 2 * 10**8)],
)
def test_memory_is_read_as_people_write_it(text: str, number: int) -> None:
    assert Attribution(memory=text).memory == number
