"""What the workflow's rules ask for, of files that are there and of files that are not."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from genolift.cli.asked import asked, references_of
from genolift.data.counting import estimated_rows, estimated_windows, megabases
from genolift.data.stored_sequences import SEQUENCES
from genolift.settings.costs import COSTS, Size
from genolift.settings.sections import Analysis, Sequences


def _analysis(**keys: Any) -> Analysis:
    model = {"path": "weights.pt", "class": "model.py:Model"}
    return Analysis.model_validate({"model": model, "sequences": {"fasta": "none.fa"}} | keys)


def _written(path: Path, text: str) -> str:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


@pytest.mark.parametrize("name", ["peaks.bed", "peaks.bed.gz"])
@pytest.mark.parametrize("n", [3, 200_000])
def test_the_windows_of_a_bed_are_estimated_from_its_beginning(tmp_path: Path, name: str, n: int) -> None:
    lines = ["# peaks", "track name=x", "", *(f"chr{i % 7}\t{9 * i}\t{9 * i + 5}\tp{i}" for i in range(n))]
    source = Sequences(bed=_written(tmp_path / name, "\n".join(lines)), genome="none.fa")
    assert estimated_windows(source, 400) == pytest.approx(n, rel=0.35)


@pytest.mark.parametrize("name", ["records.fa", "records.fa.gz"])
@pytest.mark.parametrize("n", [2, 20_000])
def test_the_records_of_a_fasta_are_estimated_from_its_beginning(tmp_path: Path, name: str, n: int) -> None:
    text = "".join(f">record{i}\n{'ACGTTGCAAT' * 20}\n" for i in range(n))
    source = Sequences(fasta=_written(tmp_path / name, text))
    assert estimated_windows(source, None) == pytest.approx(n, rel=0.35)


def test_the_tiles_of_a_genome_are_estimated_from_its_index_or_its_size(tmp_path: Path) -> None:
    genome = _written(tmp_path / "genome.fa", f">a\n{'ACGT' * 25_000}\n")
    source = Sequences.model_validate({"genome": genome, "regions": {"tile": {"width": 400, "stride": 200}}})
    assert estimated_windows(source, 400) == pytest.approx(500, rel=0.01)
    (tmp_path / "genome.fa.fai").write_text("a\t60000\t3\t60\t61\nb\t40000\t3\t60\t61\n")
    assert megabases(genome) == 0.1
    assert estimated_windows(source, 400) == 500


def test_a_file_that_is_not_there_or_is_no_table_counts_as_no_windows(tmp_path: Path) -> None:
    assert estimated_windows(Sequences(fasta=str(tmp_path / "none.fa")), None) == 0
    assert estimated_rows(tmp_path / "none.tsv") == (0, 0)
    assert estimated_rows(Path(_written(tmp_path / "other.tsv", "a\tb\n1\t2\n"))) == (1, 0)
    broken = tmp_path / "peaks.bed.gz"
    broken.write_bytes(b"\x1f\x8b and no more of gzip")
    assert estimated_windows(Sequences(bed=str(broken), genome="none.fa"), 400) == 0


def test_the_table_of_sequences_tells_how_many_there_are_once_it_is_there(tmp_path: Path) -> None:
    size = Size(seqlets=20_000)
    before = asked("motifs", _analysis(), [str(tmp_path / "sequences.tsv")])
    assert before == {"mem_mb": COSTS["motifs"].mem_mb(size), "runtime": COSTS["motifs"].runtime(size)}
    n = 50_000
    frame = pd.DataFrame({"key": range(n), "id": [f"window {i:07}" for i in range(n)], "chrom": "chr1"})
    frame = frame.assign(start=1_000_000, end=1_000_400, strand="+", length=400, gc=0.5, n_count=0)
    SEQUENCES.write(tmp_path / "sequences.tsv", frame.assign(kept="true", reason=""))
    after = Size(n, 400, 20, seqlets=20_000)
    for beside in ("sequences.tsv", "sequences.h5"):
        found = asked("motifs", _analysis(), ["else.txt", str(tmp_path / beside)])
        assert found["mem_mb"] == pytest.approx(COSTS["motifs"].mem_mb(after), rel=0.02)
        assert found["runtime"] == pytest.approx(COSTS["motifs"].runtime(after), rel=0.02)


def test_attribute_asks_for_the_time_of_a_shard_as_the_check_timed_all(tmp_path: Path) -> None:
    check, analysis = str(tmp_path / "check.json"), _analysis(attribution={"shards": 4})
    assert asked("attribute", analysis, [check])["runtime"] == 60 + 3 * 60
    (tmp_path / "costs.json").write_text('{"seconds": 144000}')
    assert asked("attribute", analysis, [check])["runtime"] == 60 + 3 * 600
    (tmp_path / "costs.json").write_text("[")
    assert asked("attribute", analysis, [check])["runtime"] == 60 + 3 * 60


@pytest.mark.parametrize(
    ("references", "number"),
    [
        ({"kind": "zeros"}, 1),
        ({"kind": "fasta", "fasta": "two.fa"}, 2),
        ({"kind": "fasta", "fasta": "none.fa"}, 1),
        ({"kind": "uniform_shuffle", "number": 7}, 7),
    ],
)
def test_references_are_counted_whatever_their_kind(
    references: dict[str, Any], number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _written(tmp_path / "two.fa", ">a\nACGT\n>b\nACGT\n")
    assert references_of(_analysis(references=references)) == number


def test_the_user_s_memory_is_what_attribute_asks_for_and_another_attempt_asks_for_more() -> None:
    analysis = _analysis(attribution={"memory": "5GB"})
    assert asked("attribute", analysis)["mem_mb"] == 5000
    assert asked("attribute", analysis, attempt=2)["mem_mb"] == 10_000
    assert asked("motifs", analysis) == asked("motifs", _analysis())
    assert asked("index", attempt=2)["mem_mb"] == 2 * asked("index")["mem_mb"]
