"""The config that `genolift inspect` proposes contains what the user's data show, and asks for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import run
from run_steps import source_of
from test_inspect import saved

from genolift.inspection import data as inspection_data
from genolift.settings.config import check_config_file, resolve_config
from genolift.steps.encode import encode

# PyTorch modules of any length (from 9 bases on), and of 100 bases.
ANY, FIXED = "High", "FixedLast"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: sequences of 40 bases, a genome, and intervals on it."""
    monkeypatch.chdir(tmp_path)
    Path("mine.fa").write_text("".join(f">s{row}\n{'ACGTA' * 8}\n" for row in range(3)))
    chromosomes = {"chr1": "ACGTTGCA" * 50, "chrIV": "GATTACA" * 50}
    Path("genome.fa").write_text("".join(f">{name}\n{text}\n" for name, text in chromosomes.items()))
    Path("alike.bed").write_text("chr1\t100\t130\nchrIV\t40\t70\n")
    Path("unlike.bed").write_text("chr1\t100\t130\nchrIV\t40\t1240\n")
    return tmp_path


def proposed(capsys: pytest.CaptureFixture[str], model: str, *flags: str) -> tuple[str, dict[str, Any]]:
    """Return the config proposed for a model, as text and as its one analysis."""
    spec = saved(Path(), model)
    code, _, error = run(
        capsys, "inspect", spec.path, "--model-class", spec.class_name, *flags, "--write-config", "my.yaml"
    )
    assert code == 0, error
    text = Path("my.yaml").read_text()
    return text, yaml.safe_load(text)["analyses"][model]


def test_nothing_is_made_up_of_sequences_that_are_not_there(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, analysis = proposed(capsys, ANY)
    assert "500" not in text
    assert "# length: # fill in the bases that the model was trained on\n" in text
    assert analysis["motifs"]["database"] == "jaspar:vertebrates"
    assert "is your organism one? If not, give one of plants, insects, nematodes, fungi, " in text
    assert "input_length" not in analysis["model"]
    Path("sequences.fa").write_text(">a\nACGTACGTACGT\n")
    assert check_config_file(Path("my.yaml"))


def test_no_length_is_asked_for_where_the_model_has_its_own(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "# length:" not in proposed(capsys, FIXED)[0]


def test_the_length_and_the_file_of_sequences_are_proposed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, analysis = proposed(capsys, ANY, "--fasta", "mine.fa")
    assert analysis["sequences"] == {"fasta": "mine.fa"}
    assert analysis["model"]["input_length"] == 40
    assert check_config_file(Path("my.yaml"))


def test_sequences_of_several_lengths_are_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.fa").write_text(">a\nACGTACGTACGT\n>b\nACGTACGTACGTACGT\n")
    text, analysis = proposed(capsys, ANY, "--fasta", "mine.fa")
    assert analysis["sequences"] == {"fasta": "mine.fa"}
    assert "input_length" not in analysis["model"]
    assert "# its records have 12 to 16 bases, and must be all of one length" in text


def test_what_a_store_was_made_from_is_proposed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = source_of(bed=Path("alike.bed"), genome=Path("genome.fa"), length=40)
    encode(source, table=here / "sequences.tsv", store=here / "sequences.h5")
    _, analysis = proposed(capsys, ANY, "--sequences", "sequences.h5")
    assert analysis["sequences"] == {"bed": "alike.bed", "genome": "genome.fa"}
    assert analysis["model"]["input_length"] == 40
    assert check_config_file(Path("my.yaml"))


def test_intervals_of_one_width_propose_a_length_and_others_ask(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, analysis = proposed(capsys, ANY, "--bed", "alike.bed", "--genome", "genome.fa")
    assert analysis["sequences"] == {"bed": "alike.bed", "genome": "genome.fa", "length": 30}
    assert "# as every interval has: check that it is the bases that the model was trained on" in text
    Path("my.yaml").unlink()
    text, analysis = proposed(capsys, ANY, "--bed", "unlike.bed", "--genome", "genome.fa")
    assert analysis["sequences"] == {"bed": "unlike.bed", "genome": "genome.fa"}
    asked = "# length: # fill in the bases that the model was trained on; the intervals have 30 to 1,200\n"
    assert asked in text
    Path("sites.bed").write_text("chr1\t100\t101\nchrIV\t40\t41\n")
    Path("my.yaml").unlink()
    sites, _ = proposed(capsys, ANY, "--bed", "sites.bed", "--genome", "genome.fa")
    assert "# length: # fill in the bases that the model was trained on; the intervals have 1\n" in sites
    filled_in = yaml.safe_load(text.replace(asked, "length: 40\n"))
    assert resolve_config(filled_in, "my.yaml").analyses[ANY].sequences.length == 40


@pytest.mark.parametrize("indexed", [True, False])
def test_a_genome_is_known_by_the_length_of_a_chromosome_alone(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, indexed: bool
) -> None:
    """Names are not enough: chrIV exists in yeast, a worm and others, and chr1 in most."""
    if indexed:
        Path("genome.fa.fai").write_text("chr1\t400\t6\t400\t401\nchrIV\t350\t414\t350\t351\n")
    _, analysis = proposed(capsys, ANY, "--bed", "alike.bed", "--genome", "genome.fa")
    assert analysis["motifs"]["database"] == "jaspar:vertebrates"
    monkeypatch.setitem(inspection_data._GENOMES, 350, ("fungi", "Saccharomyces cerevisiae (sacCer3)"))
    Path("my.yaml").unlink()
    text, analysis = proposed(capsys, ANY, "--bed", "alike.bed", "--genome", "genome.fa")
    assert (analysis["motifs"]["database"] == "jaspar:fungi") == indexed
    assert ("# the genome is that of Saccharomyces cerevisiae (sacCer3)" in text) == indexed


def test_yeasts_own_genome_proposes_fungi(
    shared: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yeast = shared / "yeast"
    flags = ("--bed", f"{yeast}/Reb1_peaks.bed", "--genome", f"{yeast}/sacCer_R64.fa.gz")
    assert proposed(capsys, ANY, *flags)[1]["motifs"]["database"] == "jaspar:fungi"


def test_two_sources_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = saved(here, ANY)
    code, out, error = run(
        capsys, "inspect", spec.path, "--model-class", spec.class_name, "--fasta", "mine.fa", "--bed", "a.bed"
    )
    assert (code, out) == (2, "")
    assert "--fasta and --bed are given together; give --sequences, --fasta, or --bed with --genome" in error
