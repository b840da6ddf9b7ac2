"""The bases of contributions.h5: as a table of few, and as text of any stretch."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import run
from made_up import write_files
from refusals import refused_by
from run_steps import LENGTH, Study, study

from genolift.results.step_record import read_record
from genolift.steps import aggregate as step
from genolift.steps.aggregate import aggregate
from genolift.steps.per_base import bases_of, write_all


@pytest.fixture(scope="module")
def on_genome(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = study(tmp_path_factory.mktemp("windows"), windows=True)
    made.attribute()
    made.aggregate()
    return made


@pytest.fixture(scope="module")
def of_fasta(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Sequences with the ids 1, 2, 3, 4, 0 and keys 0 to 4; s9 is too short and dropped."""
    made = study(tmp_path_factory.mktemp("fasta"), n=1)
    random = np.random.default_rng(1)
    letters = ["".join(random.choice(list("ACGT"), LENGTH)) for _ in range(5)]
    records = [f">{number % 5}\n{text}\n" for number, text in enumerate(letters, 1)]
    (made.folder / "sequences.fa").write_text("".join([*records, ">s9\nACGT\n"]))
    from run_steps import encode, make_references, source_of

    files = {"table": made.folder / "sequences.tsv", "store": made.folder / "sequences.h5"}
    encode(source_of(length=LENGTH, fasta=made.folder / "sequences.fa"), **files)
    make_references(files["store"], made.folder / "references.h5", "zeros")
    made.attribute()
    made.aggregate()
    return made


def _table(lines: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(lines), sep="\t", keep_default_na=False, float_precision="round_trip")


def _same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Compare printed rows with those of the table; numbers are printed in full."""
    expected = expected.reset_index(drop=True)
    assert list(found.columns) == list(expected.columns)
    for name in found:
        if expected[name].dtype == np.float32:
            np.testing.assert_array_equal(found[name].to_numpy(np.float32), expected[name])
        else:
            assert found[name].astype(str).tolist() == expected[name].astype(str).tolist()


def _aggregated(made: Study, out: Path, per_base: bool | None) -> bool:
    aggregate(
        shards=[made.folder / "shard.h5"],
        sequences=made.folder / "sequences.tsv",
        out=out,
        per_base=per_base,
    )
    assert "per_base.parquet" not in read_record(out, "aggregate").files
    return (out / "per_base.parquet").is_file()


def test_the_table_is_written_of_few_bases_or_as_the_key_says(
    on_genome: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bases = 20 * LENGTH
    assert _aggregated(on_genome, tmp_path, None)
    assert not _aggregated(on_genome, tmp_path, False)
    monkeypatch.setattr(step, "MOST_BASES", bases - 1)
    assert _aggregated(on_genome, tmp_path, True)
    assert not _aggregated(on_genome, tmp_path, None)
    monkeypatch.setattr(step, "MOST_BASES", bases)
    assert _aggregated(on_genome, tmp_path, None)


def test_a_table_of_the_user_s_own_is_not_removed(on_genome: Study, tmp_path: Path) -> None:
    pd.DataFrame({"mine": [1]}).to_parquet(tmp_path / "per_base.parquet")
    assert _aggregated(on_genome, tmp_path, False)


def test_the_table_can_be_written_from_contributions(on_genome: Study, tmp_path: Path) -> None:
    assert str(write_all(on_genome.folder, tmp_path / "all.parquet")).startswith(f"{20 * LENGTH} bases: ")
    written = (tmp_path / "all.parquet").read_bytes()
    assert written == (on_genome.folder / "per_base.parquet").read_bytes()


@pytest.mark.parametrize(
    ("region", "start", "end"),
    [
        ("chrA:201-420", 200, 420),
        ("chrA:1,0-42,0", 9, 420),
        ("chrA:300", 299, 300),
        ("chrB", 0, 900),
        ("chrB:1-99999999999", 0, 900),
    ],
)
def test_a_region_has_its_bases_of_every_window(on_genome: Study, region: str, start: int, end: int) -> None:
    bases = pd.read_parquet(on_genome.folder / "per_base.parquet")
    there = (bases["chrom"] == region[:4]) & bases["genome_position"].between(start, end - 1)
    assert 0 < bases["key"][there].nunique() < 20
    _same(_table("".join(bases_of(on_genome.folder, region=region))), bases[there])


def test_a_sequence_is_named_by_its_key_or_id(on_genome: Study, of_fasta: Study) -> None:
    bases = pd.read_parquet(on_genome.folder / "per_base.parquet")
    for name in ("7", "key=7", "peak7", "id=peak7"):
        _same(_table("".join(bases_of(on_genome.folder, sequence=name))), bases[bases["key"] == 7])
    bases = pd.read_parquet(of_fasta.folder / "per_base.parquet")
    for name, key in (("key=3", 3), ("id=3", 2)):
        shown = _table("".join(bases_of(of_fasta.folder, sequence=name)))
        assert (shown["key"] == key).all()
        assert shown["chrom"].eq("").all()
        np.testing.assert_array_equal(
            shown["contribution"].astype(np.float32), bases["contribution"][bases["key"] == key]
        )


def test_the_command_prints_and_writes(
    on_genome: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "per-base", on_genome.folder, "--sequence", "peak3")
    assert code == 0
    assert out == "".join(bases_of(on_genome.folder, sequence="3"))
    code, out, _ = run(capsys, "per-base", on_genome.folder, "--parquet", tmp_path / "x.parquet")
    assert (code, out) == (0, f"{20 * LENGTH} bases: {tmp_path}/x.parquet\n")
    code, _, err = run(capsys, "per-base", on_genome.folder)
    assert code == 2
    assert "give --sequence, --region or --parquet" in err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sequence": "peak77"}, "no kept sequence has the key or id 'peak77'"),
        ({"region": "chrC:5-9"}, "'chrC:5-9' names no chromosome of the genome, such as chrB"),
        ({"region": "chrB:-5"}, "'chrB:-5' names no chromosome"),
        ({"region": "chrB:9-5"}, "'chrB:9-5' does not go from 1 or more to as much or more"),
        ({"region": "chrB:0-5"}, "'chrB:0-5' does not go from 1"),
        ({"region": "chrB:,-,"}, "'chrB:,-,' does not go from 1"),
        ({"region": "chrB:899-900"}, "no kept window has a base of chrB:899-900"),
    ],
)
def test_what_is_not_there_is_said(on_genome: Study, asked: dict[str, str], said: str) -> None:
    assert said in refused_by(lambda: list(bases_of(on_genome.folder, **asked)))


def test_of_fasta_no_region_and_no_text_that_is_two_sequences(of_fasta: Study) -> None:
    message = refused_by(lambda: list(bases_of(of_fasta.folder, region="chr1:1-2")))
    assert message == "--region: the sequences are not windows on a genome; give --sequence"
    message = refused_by(lambda: list(bases_of(of_fasta.folder, sequence="3")))
    assert (
        "'3' is the key of one sequence and the id of another, whose key is 2; give key=3 or id=3" in message
    )
    assert "no kept sequence" in refused_by(lambda: list(bases_of(of_fasta.folder, sequence="s9")))


def test_a_table_of_another_run_is_refused(on_genome: Study, of_fasta: Study, tmp_path: Path) -> None:
    (tmp_path / "contributions.h5").write_bytes((on_genome.folder / "contributions.h5").read_bytes())
    (tmp_path / "sequences.tsv").write_bytes((of_fasta.folder / "sequences.tsv").read_bytes())
    message = refused_by(lambda: list(bases_of(tmp_path, sequence="3")))
    assert "is not the table that was written with the sequences of" in message


def test_rows_that_several_blocks_of_the_table_of_sequences_hold_are_one_table(tmp_path: Path) -> None:
    n, length = 10_500, 4
    onehot = np.eye(4, dtype=np.int8)[np.zeros((n, length), int)].transpose(0, 2, 1)
    frame = pd.DataFrame({"key": np.arange(n), "id": [f"w{i}" for i in range(n)], "chrom": "chr1"})
    frame = frame.assign(start=9 * frame["key"], end=9 * frame["key"] + length, strand="+")
    write_files(tmp_path, onehot, np.zeros(onehot.shape, np.float32), frame)
    write_all(tmp_path, tmp_path / "per_base.parquet")
    written = pd.read_parquet(tmp_path / "per_base.parquet")
    assert written["key"].tolist() == np.repeat(np.arange(n), length).tolist()
    assert set(written["chrom"]) == {"chr1"}
