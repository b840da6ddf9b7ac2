"""The encode step: the contents of the table and the store, and the messages to a user."""

from __future__ import annotations

import gzip
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from Bio import SeqIO, bgzf
from hypothesis import given, settings
from hypothesis import strategies as st
from pyfaidx import Faidx
from run_steps import source_of
from sequence_tables import read_sequence_table

from genolift import __version__
from genolift.data.alphabet import decode_letters
from genolift.data.blacklist import Blacklist
from genolift.data.stored_sequences import SEQUENCES, read_sequences
from genolift.data.tiles import Tiles
from genolift.errors import InputError
from genolift.files.hdf5 import as_text
from genolift.steps.encode import EncodeSummary, encode, trial_sequences

FASTA = ">a one\nACGTACGTAC\n>b\nGGGGCCCCAA\n>c\nTTTTTACGTA\n"
CHR1 = "ACGGTTACCATGCATTAGGCCATTTACGCA"  # 30 bases
CHR2 = "TTGACCATAGGCATNNNNNNNNGATTACAA"
GENOME = f">chr1 first\n{CHR1}\n>chr2\n{CHR2}\n"


class Step:
    """The encode step in its own folder: ``run`` it on texts, then look at its outputs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.table, self.store = self.out / "sequences.tsv", self.out / "sequences.h5"

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, *, rna: bool = False, **arguments: Any) -> EncodeSummary:
        names = {"fasta": "in.fa", "bed": "in.bed", "genome": "genome.fa"}
        for name in names.keys() & arguments.keys():
            if not isinstance(arguments[name], Path):
                arguments[name] = self.write(names[name], arguments[name])
        return encode(source_of(**arguments), table=self.table, store=self.store, rna=rna)

    def refusal(self, **arguments: Any) -> str:
        with pytest.raises(InputError) as caught:
            self.run(**arguments)
        assert not self.out.exists() or not list(self.out.iterdir())
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def rows(self) -> pd.DataFrame:
        return read_sequence_table(self.table)

    def letters(self) -> list[str]:
        return [decode_letters(codes) for codes in read_sequences(self.store).codes]


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step(tmp_path)


def bgzf_of(folder: Path, text: str) -> bytes:
    with bgzf.BgzfWriter(str(folder / "packed"), "wb") as file:
        file.write(text.encode())
    return (folder / "packed").read_bytes()


def test_a_fasta_becomes_a_table_and_a_store_of_its_records(step: Step) -> None:
    summary = step.run(fasta=FASTA)
    assert summary == EncodeSummary(n_records=3, n_kept=3, length=10, dropped={}, n_letters_replaced=0)
    assert step.table.read_text().splitlines()[:2] == [
        "key\tid\tchrom\tstart\tend\tstrand\tlength\tgc\tn_count\tkept\treason",
        "0\ta\t\t\t\t.\t10\t0.5\t0\ttrue\t",
    ]
    assert step.letters() == ["ACGTACGTAC", "GGGGCCCCAA", "TTTTTACGTA"]
    stored = read_sequences(step.store)
    assert (stored.key.dtype, stored.codes.dtype, stored.id) == (np.int64, np.uint8, ["a", "b", "c"])


@pytest.mark.parametrize("layout", ["crlf", "wrapped", "lower", "gzip", "bgzf"])
def test_every_layout_of_a_fasta_gives_the_same_files(step: Step, layout: str) -> None:
    content: dict[str, str | bytes] = {
        "crlf": FASTA.replace("\n", "\r\n"),
        "wrapped": FASTA.replace("ACGTA", "ACG\nTA"),
        "lower": FASTA.lower(),
        "gzip": gzip.compress(FASTA.encode()),
        "bgzf": bgzf_of(step.folder, FASTA),
    }
    step.run(fasta=FASTA)
    table, store = step.table.read_bytes(), step.store.read_bytes()
    step.run(fasta=content[layout])
    assert step.table.read_bytes() == table
    assert step.store.read_bytes() == store


@pytest.mark.parametrize("layout", ["crlf", "wrapped", "lower", "gzip", "bgzf"])
def test_every_layout_of_a_genome_gives_the_same_windows(step: Step, layout: str) -> None:
    content: dict[str, str | bytes] = {
        "crlf": GENOME.replace("\n", "\r\n"),
        "wrapped": GENOME.replace("CCAT", "CC\nAT"),
        "lower": GENOME.replace(CHR1, CHR1.lower()),
        "gzip": gzip.compress(GENOME.encode()),
        "bgzf": bgzf_of(step.folder, GENOME),
    }
    bed = "chr2\t8\t9\nchr1\t5\t15\nchr1\t12\t13\n"
    step.run(bed=bed, genome=GENOME, length=6)
    assert step.letters() == [CHR2[5:11], CHR1[7:13], CHR1[9:15]]
    table, store = step.table.read_bytes(), step.store.read_bytes()
    step.run(bed=bed, genome=content[layout], length=6)
    assert step.table.read_bytes() == table
    assert step.store.read_bytes() == store


def test_an_exactly_repeated_run_writes_the_same_bytes(step: Step) -> None:
    step.run(fasta=FASTA)
    table, store = step.table.read_bytes(), step.store.read_bytes()
    step.run(fasta=FASTA)
    assert (step.table.read_bytes(), step.store.read_bytes()) == (table, store)


def test_dropped_records_keep_their_rows_and_keys_and_say_why(step: Step) -> None:
    fasta = ">a\nACGTACGTAC\n>empty\n\n>short\nACG\n>unknown\nACGTNNNNNN\n>e\nCCCCCCCCCC\n"
    summary = step.run(fasta=fasta, length=10)
    assert summary.dropped == {"empty record": 1, "another length": 1, "too many N": 1}
    assert (summary.n_records, summary.n_kept) == (5, 2)
    rows = step.rows()
    assert rows["key"].tolist() == [0, 1, 2, 3, 4]
    assert rows["kept"].tolist() == [True, False, False, False, True]
    assert rows["reason"].tolist() == [
        "",
        "the record is empty",
        "has 3 bases, not 10",
        "60.0% of its letters are N, more than 10.0%",
        "",
    ]
    stored = read_sequences(step.store)
    assert stored.key.tolist() == rows.loc[rows["kept"], "key"].tolist() == [0, 4]
    assert stored.id == rows.loc[rows["kept"], "id"].tolist() == ["a", "e"]


def test_gc_is_a_fraction_of_the_known_letters(step: Step) -> None:
    step.run(fasta=">a\nGCCANNNN\n>b\nNNNNNNNN\n", max_n_fraction=1.0)
    rows = step.rows()
    assert rows["gc"].iloc[0] == 0.75
    assert np.isnan(rows["gc"].iloc[1])
    assert rows["n_count"].tolist() == [4, 8]


def test_a_fraction_of_n_at_the_limit_is_kept(step: Step) -> None:
    step.run(fasta=">a\nACGTACGTAN\n>b\nACGTACGTNN\n", max_n_fraction=0.1)
    assert step.rows()["kept"].tolist() == [True, False]


def test_letters_for_several_bases_become_n_and_are_told(
    step: Step, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "genolift"):
        summary = step.run(fasta=">a\nACGTRACGTAYACGTACGTACrN\n", max_n_fraction=0.5)
    assert step.letters() == ["ACGTNACGTANACGTACGTACNN"]
    assert summary.n_letters_replaced == 3
    assert "3 letters that stand for several bases were read as N: R 2, Y 1" in caplog.text
    assert step.rows()["n_count"].tolist() == [4]


def test_rna_is_stored_as_the_dna_that_it_is_a_copy_of(step: Step) -> None:
    step.run(fasta=FASTA.replace("T", "U").replace(">c\nUUUUU", ">c\nUtuTU"), rna=True)
    assert step.letters() == ["ACGTACGTAC", "GGGGCCCCAA", "TTTTTACGTA"]
    step.run(bed="chr1\t5\t15\t.\t0\t-\n", genome=GENOME.replace("T", "U"), length=6, rna=True)
    assert step.letters() == [CHR1[7:13]]


def test_the_store_says_where_windows_lie_and_nothing_of_a_fasta(step: Step) -> None:
    bed = "chr2\t8\t9\t.\t0\t-\nchr2\t17\t18\t.\t0\t+\nchr1\t5\t15\t.\t0\t+\n"  # N in the second
    step.run(bed=bed, genome=GENOME, length=6, use_strand=True)
    stored = read_sequences(step.store)
    assert stored.key.tolist() == [0, 2]
    assert stored.places is not None
    assert (stored.places.chrom, stored.places.strand) == (["chr2", "chr1"], ["-", "+"])
    assert stored.places.start.tolist() == [5, 7]
    step.run(fasta=FASTA)
    assert read_sequences(step.store).places is None


def test_dropped_records_are_told(step: Step, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "genolift"):
        step.run(fasta=FASTA + ">d\n\n")
    assert "1 of 4 records dropped: 1 empty record" in caplog.text


@pytest.mark.parametrize(
    ("fasta", "length", "words"),
    [
        (
            ">a\nACGT\n>b\nACGU\n",
            None,
            "record 2 'b' (line 3): the letter 'U' at position 4",
        ),
        (">a\nACGT\n>a\nACGT\n", None, "'a' occurs twice: record 1 (line 1) and record 2 (line 3)"),
        (
            ">a\nACGT\n>b\nACGTA\n",
            None,
            "more than one length: 4 to 5: 4 (1 record), 5 (1 record); give the len",
        ),
        (">a\nACGT\n>b\nACGT\n", 10, "the model takes 10 bases, the records have 4;"),
        (">a\nACGT\n>b\nACGTA\n", 10, "the model takes 10 bases, the records have 4 to 5: 4 (1 record), 5"),
        (">a\n>b\n\n", None, "no sequence is left of 2: 2 empty record"),
        (">a\nNNNN\n>b\n", 4, "no sequence is left of 2: 1 too many N, 1 empty record"),
        ("ACGT\n", None, ":1: text before the first record"),
        ("", None, "holds no FASTA record"),
        (gzip.compress(FASTA.encode(), mtime=0)[:40], None, "truncated or damaged"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", None, "is a binary file"),
    ],
)
def test_a_bad_fasta_is_refused_and_leaves_nothing(
    step: Step, fasta: str | bytes, length: int | None, words: str
) -> None:
    message = step.refusal(fasta=fasta, length=length)
    assert message.startswith(str(step.folder / "in.fa"))
    assert words in message


def test_an_error_leaves_the_files_of_an_earlier_run_as_they_were(step: Step) -> None:
    step.run(fasta=FASTA)
    before = {path.name: path.read_bytes() for path in step.out.iterdir()}
    with pytest.raises(InputError):
        step.run(fasta=">a\nAC?T\n")
    assert {path.name: path.read_bytes() for path in step.out.iterdir()} == before
    assert before.keys() == {"sequences.tsv", "sequences.h5"}


def test_an_output_folder_that_cannot_be_made_is_refused(step: Step) -> None:
    step.write("out", "a file in the folder's place")
    with pytest.raises(InputError, match="out: is a file, not a folder"):
        step.run(fasta=FASTA)


def test_windows_are_taken_around_summits_or_midpoints(step: Step) -> None:
    bed = "chr1\t4\t26\tsummit=8\n"
    step.run(bed=bed, genome=GENOME, length=7)
    assert step.letters() == [CHR1[5:12]]
    step.run(bed=bed, genome=GENOME, length=7, center="midpoint")
    assert step.letters() == [CHR1[12:19]]
    step.run(bed="chr1\t4\t26\tp\t0\t.\t1\t1\t1\t3\n", genome=GENOME, length=4)
    assert step.letters() == [CHR1[5:9]]
    row = step.rows().iloc[0]
    assert (row["id"], row["chrom"], row["start"], row["end"], row["strand"]) == ("p", "chr1", 5, 9, ".")


def test_windows_over_either_end_are_dropped_and_those_at_the_ends_kept(step: Step) -> None:
    bed = "chr1\t1\t2\nchr1\t2\t3\nchr1\t28\t29\nchr1\t29\t30\nchr1\t99\t100\n"
    summary = step.run(bed=bed, genome=GENOME, length=4)
    rows = step.rows()
    assert step.letters() == [CHR1[:4], CHR1[26:]]
    assert read_sequences(step.store).key.tolist() == [1, 2]
    assert rows["reason"].tolist() == [
        "the window -1-3 runs over the start of chr1, which has 30 bases",
        "",
        "",
        "the window 27-31 runs over the end of chr1, which has 30 bases",
        "the window 97-101 runs over the end of chr1, which has 30 bases",
    ]
    assert rows["n_count"].isna().tolist() == [True, False, False, True, True]
    assert summary.dropped == {"over a chromosome's end": 3}


def test_all_windows_over_an_end_sums_up_the_reasons(step: Step) -> None:
    message = step.refusal(bed="chr1\t1\t2\nchr2\t17\t18\n", genome=GENOME, length=8)
    assert "no sequence is left of 2: 1 over a chromosome's end, 1 too many N" in message


def test_the_minus_strand_is_reverse_complemented_only_if_asked(step: Step) -> None:
    bed = "chr1\t8\t9\tm\t0\t-\nchr1\t8\t9\tp\t0\t+\nchr1\t8\t9\tn\t0\t.\n"
    step.run(bed=bed, genome=GENOME, length=6)
    assert step.letters() == [CHR1[5:11]] * 3 == ["TACCAT"] * 3
    assert step.rows()["strand"].tolist() == [".", ".", "."]
    step.run(bed=bed, genome=GENOME, length=6, use_strand=True)
    assert step.letters() == ["ATGGTA", "TACCAT", "TACCAT"]
    assert step.rows()["strand"].tolist() == ["-", "+", "."]
    places = read_sequences(step.store).places
    assert places is not None
    assert places.strand == ["-", "+", "."]
    assert step.rows()["start"].tolist() == [5, 5, 5]


def test_a_dropped_row_has_the_strand_of_its_interval(step: Step) -> None:
    bed = "chr1\t8\t9\tm\t0\t-\nchr1\t1\t2\tm\t0\t-\nchr1\t1\t2\tn\t0\t.\nchr9\t1\t2\tm\t0\t-\n"
    step.run(bed=bed, genome=GENOME, length=6, use_strand=True, missing_chromosomes="drop")
    assert step.rows()["kept"].tolist() == [True, False, False, False]
    assert step.rows()["strand"].tolist() == ["-", "-", ".", "-"]


def test_what_a_file_of_intervals_was_taken_for_is_said_once_by_the_step_that_encodes(
    step: Step, caplog: pytest.LogCaptureFixture
) -> None:
    peaks = "chr1\t4\t26\tp\t0\t.\t1\t1\t1\t3\nchr1\t4\t26\tq\t0\t.\t1\t1\t1\t-1\n"
    with caplog.at_level("INFO", "genolift"):
        step.run(bed=peaks, genome=GENOME, length=4)
    assert caplog.text.count("in.bed: read as narrowPeak") == 1
    assert caplog.text.count("1 of 2 intervals name no summit") == 1
    caplog.clear()
    with caplog.at_level("INFO", "genolift"):
        trial_sequences(source_of(bed=step.folder / "in.bed", genome=step.folder / "genome.fa", length=4))
    assert caplog.text == ""


def test_the_format_that_is_given_is_taken_and_stands_in_the_store(step: Step) -> None:
    peaks = "chr1\t4\t26\tp\t0\t.\t1\t1\t1\t3\n"
    for form, taken_for, letters in (("auto", "narrowPeak", CHR1[5:9]), ("bed", "BED", CHR1[13:17])):
        step.run(bed=peaks, genome=GENOME, length=4, format=form)
        assert step.letters() == [letters]
        with h5py.File(step.store) as stored:
            made = json.loads(stored.attrs["provenance"])["encode"]
        assert (made["format"], made["read_as"]) == (form, taken_for)
        [trial] = trial_sequences(
            source_of(bed=step.folder / "in.bed", genome=step.folder / "genome.fa", length=4, format=form)
        ).codes
        assert decode_letters(trial) == letters
    with pytest.raises(InputError, match='format: "gff" is not a choice; give one of auto, bed, narrowPeak'):
        step.run(bed=peaks, genome=GENOME, length=4, format="gff")


def test_every_row_is_kept_once_with_an_id_of_its_own(step: Step) -> None:
    step.run(bed="chr1\t8\t9\tctcf\nchr1\t9\t10\tctcf\nchr1\t8\t9\tctcf\n", genome=GENOME, length=6)
    assert step.rows()["id"].tolist() == ["chr1:5-11", "chr1:6-12", "chr1:5-11.2"]
    assert read_sequences(step.store).key.tolist() == [0, 1, 2]


def test_a_missing_chromosome_is_refused_with_file_line_and_the_genomes_name(step: Step) -> None:
    genome = GENOME.replace(">chr", ">")
    message = step.refusal(bed="#\nchr1\t8\t9\n", genome=genome, length=6)
    assert message.startswith(f"{step.folder / 'in.bed'}:2: the chromosome 'chr1' is not in the genome")
    assert "which has 1, 2; the genome calls it '1'" in message


def test_a_missing_chromosome_is_dropped_if_asked(step: Step) -> None:
    bed = "chr9\t8\t9\nchr1\t8\t9\n"
    summary = step.run(bed=bed, genome=GENOME, length=6, missing_chromosomes="drop")
    assert summary.dropped == {"chromosome not in the genome": 1}
    assert step.rows()["reason"].tolist() == ["the genome has no chromosome chr9", ""]
    assert read_sequences(step.store).key.tolist() == [1]


def test_a_bad_letter_is_refused_inside_a_window_only(step: Step) -> None:
    genome = GENOME.replace(CHR1, CHR1[:20] + "*" + CHR1[21:])
    step.run(bed="chr1\t8\t9\n", genome=genome, length=6)
    step.table.unlink()
    step.store.unlink()
    message = step.refusal(bed="chr1\t20\t21\n", genome=genome, length=6)
    assert message.startswith(f"{step.folder / 'genome.fa'}, record 'chr1': the letter '*' at position 21 ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "sequences: there are no sequences; give 'fasta', or 'bed' together with"),
        ({"fasta": FASTA, "bed": "chr1\t1\t2\n", "genome": GENOME}, "sequences: both 'fasta' and 'bed'"),
        ({"bed": "chr1\t1\t2\n", "length": 4}, "'bed' is given without 'genome'"),
        ({"genome": GENOME}, "sequences: there are no sequences"),
        ({"bed": "chr1\t1\t2\n", "genome": GENOME}, "in.bed: windows need a length"),
        ({"fasta": FASTA, "length": 0}, "length: 0 is less than 1"),
        (
            {"fasta": FASTA, "max_n_fraction": 10.0},
            "max_n_fraction: 10.0 is more than 1; give a number",
        ),
        (
            {"fasta": FASTA, "center": "middle"},
            'center: "middle" is not a choice; give one of summit, midpoint',
        ),
        ({"fasta": FASTA, "missing_chromosomes": "skip"}, 'missing_chromosomes: "skip" is not a choice'),
        (
            {"fasta": FASTA, "blacklist": Path("black.bed")},
            "'blacklist' is given, but the sequences of 'fasta'",
        ),
        (
            {"bed": "chr1\t1\t2\n", "genome": GENOME, "regions": {"tile": {}}},
            "sequences: both 'bed' and 'regions.tile' are given; give one",
        ),
        ({"fasta": FASTA, "regions": {"tile": {}}}, "both 'fasta' and 'regions.tile' are given"),
        ({"regions": {"tile": {"width": 9}}}, "'regions.tile' is given without 'genome'; give the genome's"),
        ({"genome": GENOME, "regions": {}}, "there are no sequences"),
        ({"genome": GENOME, "regions": {"tile": {}}}, "genome.fa: windows need a length"),
        (
            {"genome": GENOME, "regions": {"tile": {"width": 0}}},
            "regions.tile.width: 0 is less than 1",
        ),
        ({"genome": GENOME, "regions": {"tile": {"stride": 0}}}, "regions.tile.stride: 0 is less than 1"),
        (
            {"genome": GENOME, "length": 8, "regions": {"tile": {"width": 9}}},
            "regions.tile.width: windows are 9 bases wide, and 'length' is 8; give one of the two",
        ),
        (
            {"genome": GENOME, "use_strand": True, "regions": {"tile": {"width": 9}}},
            "'use_strand' is given, but windows that tile the genome have no strand",
        ),
        (
            {"genome": GENOME, "regions": {"tile": {"width": 31}}},
            "genome.fa: no chromosome that is tiled has the 31 bases of a window; give a smaller width",
        ),
        (
            {"genome": GENOME, "regions": {"tile": {"width": 9, "chromosomes": ["chr1", "chr22"]}}},
            "sequences.regions.tile.chromosomes: 'chr22': is not in the genome",
        ),
        (
            {"genome": GENOME, "regions": {"tile": {"width": 9, "chromosomes": ["2"]}}},
            "genome.fa; the genome calls it 'chr2'",
        ),
        (
            {"genome": GENOME, "regions": {"tile": {"width": 9, "chromosomes": ["chr22"]}}},
            "genome.fa; did you mean 'chr2'?",
        ),
        ({"fasta": FASTA, "pad": True}, "'pad' is given, but the sequences of 'fasta' are not windows"),
        (
            {"bed": "chr1\t1\t2\n", "genome": GENOME, "length": 4, "blacklist": Path("nowhere.bed")},
            "nowhere.bed: no such file",
        ),
        ({"fasta": Path("nowhere.fa")}, "nowhere.fa: no such file"),
        ({"bed": "chr1\t1\t2\n", "genome": Path("nowhere.fa"), "length": 4}, "nowhere.fa: no such file"),
    ],
)
def test_contradictory_arguments_are_refused(step: Step, arguments: dict[str, Any], words: str) -> None:
    assert words in step.refusal(**arguments)


def test_the_store_says_how_it_was_made(step: Step) -> None:
    step.run(fasta=FASTA + ">d\n")
    with h5py.File(step.store) as file:
        assert (as_text(file.attrs["format"]), file.attrs["version"]) == ("genolift-sequences", 1)
        provenance = json.loads(file.attrs["provenance"])
    assert provenance["genolift"] == __version__
    assert provenance["encode"]["n_records"] == 4
    assert provenance["encode"]["dropped"] == {"empty record": 1}


def test_the_table_has_the_same_types_for_fasta_and_for_windows(step: Step) -> None:
    step.run(fasta=">NA\nACGT\n>12\nACGT\n>it's\"one\nACGT\n")
    of_fasta = step.rows()
    assert of_fasta["id"].tolist() == ["NA", "12", "it's\"one"]
    assert of_fasta["chrom"].tolist() == ["", "", ""]
    step.run(bed="1\t8\t9\n", genome=GENOME.replace(">chr", ">"), length=6)
    assert step.rows()["chrom"].tolist() == ["1"]
    for rows in (of_fasta, step.rows()):
        assert list(rows.columns) == list(SEQUENCES.columns)
        types = rows.dtypes.astype(str)
        assert types[["key", "start", "end", "length", "gc", "n_count", "kept"]].tolist() == [
            *("int64", "Int64", "Int64", "int64", "float64", "Int64", "bool")
        ]


def test_a_wrong_store_is_refused(step: Step) -> None:
    for content in (b"", b"no HDF5 at all"):
        with pytest.raises(InputError, match="is not a file of sequences"):
            read_sequences(step.write("store.h5", content))
    with h5py.File(step.folder / "other.h5", "w") as file:
        file.attrs["format"] = "genolift-references"
    with pytest.raises(InputError, match="its format is not genolift-sequences version 1"):
        read_sequences(step.folder / "other.h5")
    step.run(fasta=FASTA)
    with h5py.File(step.store, "r+") as file:
        del file["key"]
        file["key"] = np.array([0, 1])
    with pytest.raises(InputError, match="key, id, codes, places and digests do not match"):
        read_sequences(step.store)
    step.run(fasta=FASTA)
    with h5py.File(step.store, "r+") as file:
        file["codes"][0, 0] = 5
    with pytest.raises(InputError, match=r"codes are not uint8 \(sequence, position\), 0 to 4"):
        read_sequences(step.store)


@pytest.mark.parametrize("factor", ["Reb1", "Abf1", "Rap1", "Mcm1"])
def test_yeast_windows_are_the_genomes_bases(step: Step, shared: Path, factor: str) -> None:
    genome, bed = shared / "yeast" / "sacCer_R64.fa.gz", shared / "yeast" / f"{factor}_peaks.bed"
    with gzip.open(genome, "rt") as file:
        chromosomes = {record.id: str(record.seq) for record in SeqIO.parse(file, "fasta")}
    step.run(bed=bed, genome=genome, length=400)
    peaks = [line.split("\t") for line in bed.read_text().splitlines()]
    expected = [chromosomes[peak[0]][int(peak[1]) - 200 : int(peak[1]) + 200] for peak in peaks]
    assert step.letters() == expected
    assert step.rows()["id"].tolist() == [peak[3] for peak in peaks]


@pytest.mark.parametrize("name", ["ctcf_macs_peaks", "ctcf_sites", "h1_dnase_peaks"])
def test_human_windows_are_the_genomes_bases_around_the_summit(step: Step, shared: Path, name: str) -> None:
    genome, bed = shared / "human" / "chr22_20M.fa.gz", shared / "human" / f"{name}.bed"
    with gzip.open(genome, "rt") as file:
        chromosome = str(SeqIO.read(file, "fasta").seq)
    step.run(bed=bed, genome=genome, length=1000)
    middles = []
    for line in bed.read_text().splitlines():
        _, start, end, peak_name = line.split("\t")[:4]
        named, _, summit = peak_name.partition("=")
        middles.append(int(summit) if named == "summit" else (int(start) + int(end)) // 2)
    assert step.letters() == [chromosome[middle - 500 : middle + 500] for middle in middles]


def contents(path: Path) -> dict[str, Any]:
    """Every dataset of an HDF5 file, as its dtype and bytes, and every attribute."""
    with h5py.File(path) as file:
        return {
            **{name: (str(data.dtype), data.shape, data[()].tobytes()) for name, data in file.items()},
            **dict(file.attrs),
        }


@pytest.mark.parametrize("source", ["fasta", "windows"])
@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 12),
    dropped=st.sets(st.integers(0, 9), max_size=9),
    lengths=st.lists(st.integers(1, 9), min_size=10, max_size=10),
)
def test_blocks_of_any_size_give_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, source: str, rows: int, dropped: set[int], lengths: list[int]
) -> None:
    step = Step(tmp_path_factory.mktemp("blocks"))
    if source == "fasta":
        letters = ["NNNNN" if number in dropped else "ACGTA" for number in range(10)]
        ids = ["x" * length + str(number) for number, length in enumerate(lengths)]
        arguments: dict[str, Any] = {
            "fasta": "".join(f">{name}\n{text}\n" for name, text in zip(ids, letters, strict=True))
        }
    else:
        starts = [0 if number in dropped else 5 + lengths[number] for number in range(10)]
        bed = "".join(f"chr{1 + start % 2}\t{start}\t{start + 2}\n" for start in starts)
        arguments = {"bed": bed, "genome": GENOME.replace("N", "A"), "length": 6}
    step.run(**arguments)
    table, store = step.table.read_bytes(), contents(step.store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genolift.steps.encode._BLOCK_BYTES", rows * (5 if source == "fasta" else 6))
        step.run(**arguments)
    assert step.table.read_bytes() == table
    assert contents(step.store) == store
    assert read_sequences(step.store).key.tolist() == step.rows().query("kept")["key"].tolist()


@pytest.mark.parametrize("piped", ["fasta", "bed", "genome"])
def test_a_pipe_is_read_as_a_file_is(step: Step, piped: str) -> None:
    files = {"fasta": FASTA} if piped == "fasta" else {"bed": "chr1\t8\t9\nchr1\t2\t3\n", "genome": GENOME}
    step.run(**files, length=10 if piped == "fasta" else 6, missing_chromosomes="drop")
    table = step.table.read_bytes()
    reading, writing = os.pipe()
    os.write(writing, files[piped].encode())
    os.close(writing)
    step.run(
        **{**files, piped: Path(f"/dev/fd/{reading}")},
        length=10 if piped == "fasta" else 6,
        missing_chromosomes="drop",
    )
    os.close(reading)
    assert step.table.read_bytes() == table


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(step: Step) -> None:
    fasta = step.write("in.fa", "".join(f">s{number}\n{'ACGTA' * 80}\n" for number in range(300)))
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); "
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "from genolift.cli.main import main; import sys; main(sys.argv[1:])"
    )
    files = ["--table", str(step.table), "--out", str(step.store)]
    command = [sys.executable, "-c", limited, "encode", "--fasta", str(fasta), *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "sequences.h5: cannot be written (file too large)" in done.stderr
    assert list(step.out.iterdir()) == []


BLACKLIST = "chr1\t12\t14\tHigh Signal Region\nchr1\t10\t13\tLow Mappability\nchr1\t20\t900\t.\n"


@pytest.mark.parametrize("packed", [False, True])
def test_windows_that_overlap_the_blacklist_are_dropped_and_counted(
    step: Step, packed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bed = "".join(f"chr1\t{start + 2}\t{start + 4}\n" for start in (3, 4, 6, 13, 14, 15))  # windows' starts
    content = gzip.compress(BLACKLIST.encode()) if packed else BLACKLIST
    blacklist = step.write("black.bed", content)
    with caplog.at_level(logging.INFO, "genolift"):
        summary = step.run(bed=bed, genome=GENOME, length=6, blacklist=blacklist)
    joined = "overlaps chr1:10-14 of the blacklist"
    reasons = ["", "", joined, joined, "", "overlaps chr1:20-900 of the blacklist"]
    assert step.rows()["reason"].tolist() == reasons, "those that only touch an interval are kept"
    assert step.letters() == [CHR1[3:9], CHR1[4:10], CHR1[14:20]]
    assert summary.dropped == {"in the blacklist": 3}
    assert "3 of 6 records dropped: 3 in the blacklist" in caplog.text
    with h5py.File(step.store) as file:
        assert json.loads(file.attrs["provenance"])["encode"]["blacklist"] == str(blacklist)
    found = trial_sequences(
        source_of(
            bed=step.folder / "in.bed", genome=step.folder / "genome.fa", length=6, blacklist=blacklist
        ),
        3,
    )
    assert found.key.tolist() == [0, 1, 4]


def test_chromosomes_of_the_blacklist_that_the_genome_lacks_are_told_once(
    step: Step, caplog: pytest.LogCaptureFixture
) -> None:
    blacklist = step.write("black.bed", "1\t8\t9\nchr1\t2\t3\n1\t10\t11\nchrUn\t1\t2\n")
    step.run(bed="chr1\t8\t9\n", genome=GENOME, length=6, blacklist=blacklist)
    [told] = [record.getMessage() for record in caplog.records]
    assert "black.bed: 2 of the blacklist's 3 chromosomes are not in the genome" in told
    assert told.endswith("genome.fa: 1, chrUn; the genome calls '1' 'chr1'")


@pytest.mark.parametrize("content", ["", "# none\n", gzip.compress(b"")])
def test_an_empty_blacklist_is_told(
    step: Step, content: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    blacklist = step.write("black.bed", content)
    step.run(bed="chr1\t8\t9\n", genome=GENOME, length=6, blacklist=blacklist)
    assert "black.bed: the blacklist has no intervals, so that it drops no window" in caplog.text


@given(
    intervals=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)), max_size=6),
    window=st.tuples(st.integers(-5, 30), st.integers(1, 9)),
)
def test_a_window_overlaps_what_it_has_a_base_in_common_with(
    tmp_path_factory: pytest.TempPathFactory, intervals: list[tuple[int, int]], window: tuple[int, int]
) -> None:
    path = tmp_path_factory.mktemp("blacklist") / "black.bed"
    path.write_text("".join(f"c\t{start}\t{start + size}\n" for start, size in intervals))
    covered = {base for start, size in intervals for base in range(start, start + size)}
    start, end = window[0], window[0] + window[1]
    over = Blacklist(path).over("c", start, end)
    assert (over is not None) == bool(covered & set(range(start, end)))
    if over is not None:
        assert set(range(*over)) <= covered
        assert over[0] < end
        assert over[1] > start


def test_windows_over_an_end_are_padded_with_n_where_asked(step: Step) -> None:
    bed = (
        "chr1\t1\t2\tstart\t0\t-\nchr1\t28\t29\tend\t0\t+\nchr1\t15\t16\tin\t0\t+\nchr1\t99\t100\tfar\t0\t+\n"
    )
    keys = {"bed": bed, "genome": GENOME, "length": 8, "use_strand": True, "pad": True}
    summary = step.run(**keys, max_n_fraction=0.4)
    stored = read_sequences(step.store)
    assert stored.id == ["start", "end", "in"]
    turned = "".join({"A": "T", "C": "G", "G": "C", "T": "A"}[base] for base in CHR1[4::-1])
    assert step.letters() == [f"{turned}NNN", f"{CHR1[24:]}NN", CHR1[11:19]]
    assert stored.places is not None
    assert stored.places.start.tolist() == [-3, 24, 11]
    rows = step.rows()
    assert rows[["start", "end", "length", "n_count"]].to_numpy(object).tolist()[:2] == [
        [-3, 5, 8, 3],
        [24, 32, 8, 2],
    ]
    assert summary.dropped == {"over a chromosome's end": 1}, "no base of it is on the chromosome"
    assert rows["reason"][3] == "the window 95-103 runs over the end of chr1, which has 30 bases"
    assert step.run(**keys, max_n_fraction=0.3).dropped == {"too many N": 1, "over a chromosome's end": 1}
    assert step.rows()["reason"][0] == "37.5% of its letters are N, more than 30.0%"


def test_a_window_longer_than_its_chromosome_is_padded_on_both_sides(step: Step) -> None:
    step.run(bed="chr1\t15\t16\n", genome=GENOME, length=40, pad=True, max_n_fraction=0.5)
    assert step.letters() == [f"NNNNN{CHR1}NNNNN"]
    found = trial_sequences(
        source_of(
            bed=step.folder / "in.bed",
            genome=step.folder / "genome.fa",
            length=40,
            pad=True,
            max_n_fraction=0.5,
        )
    )
    assert decode_letters(found.codes[0]) == f"NNNNN{CHR1}NNNNN"


def tiled(**tile: Any) -> dict[str, Any]:
    return {"genome": GENOME, "regions": {"tile": tile}}


@pytest.mark.parametrize("indexed", [False, True])
def test_windows_tile_the_genome_in_its_order(step: Step, indexed: bool) -> None:
    if indexed:
        Faidx(str(step.write("genome.fa", GENOME))).close()
    summary = step.run(**tiled(width=8), max_n_fraction=0.3)
    rows = step.rows()
    ids = ["chr1:0-8", "chr1:8-16", "chr1:16-24", "chr2:0-8", "chr2:8-16", "chr2:16-24"]
    assert rows["id"].tolist() == ids
    assert rows["start"].tolist() == [0, 8, 16] * 2
    assert rows["end"].tolist() == [8, 16, 24] * 2
    assert rows["reason"].tolist()[4:] == ["", "75.0% of its letters are N, more than 30.0%"]
    assert summary.dropped == {"too many N": 1}
    assert step.letters() == [CHR1[:8], CHR1[8:16], CHR1[16:24], CHR2[:8], CHR2[8:16]]
    stored = read_sequences(step.store)
    assert stored.key.tolist() == [0, 1, 2, 3, 4]
    assert stored.chromosomes == {"chr1": 30, "chr2": 30}
    tile = {"width": 8, "chromosomes": ["chr2"]}
    found = trial_sequences(source_of(genome=step.folder / "genome.fa", regions={"tile": tile}))
    assert [decode_letters(codes) for codes in found.codes] == [CHR2[:8]], "the others have an N"


def test_the_first_windows_that_tile_a_genome_are_found_without_reading_on(step: Step) -> None:
    genome = f">a\n{'N' * 40_000}{CHR1}\n>b\nno letters of DNA: !!\n"
    source = source_of(genome=step.write("genome.fa", genome), regions={"tile": {"width": 10}})
    found = trial_sequences(source)
    assert found.id == ["a:40000-40010", "a:40010-40020"]
    assert [decode_letters(codes) for codes in found.codes] == [CHR1[:10], CHR1[10:20]]


def test_tiles_may_overlap_or_leave_gaps_on_the_chromosomes_that_are_named(step: Step) -> None:
    step.run(**tiled(width=10, stride=7, chromosomes=["chr1"]))
    assert step.rows()["start"].tolist() == [0, 7, 14]
    step.run(**tiled(width=5, stride=20, chromosomes=["chr1"]))
    assert step.letters() == [CHR1[:5], CHR1[20:25]]
    assert read_sequences(step.store).chromosomes == {"chr1": 30, "chr2": 30}
    with h5py.File(step.store) as file:
        made = json.loads(file.attrs["provenance"])["encode"]
    assert made["regions"] == {"tile": {"width": 5, "stride": 20, "chromosomes": ["chr1"]}}


def test_the_last_tile_is_partial_where_windows_are_padded_and_left_out_otherwise(step: Step) -> None:
    step.run(**tiled(width=8, chromosomes=["chr1"]), pad=True, max_n_fraction=0.3)
    assert step.letters()[-1] == f"{CHR1[24:]}NN"
    assert step.rows()["id"].tolist()[-1] == "chr1:24-32"
    step.run(**tiled(width=40, chromosomes=["chr1"]), pad=True, max_n_fraction=0.3)
    assert step.letters() == [CHR1 + "N" * 10]


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 30), st.booleans())
def test_tiles_are_those_that_counting_finds(width: int, stride: int, size: int, pad: bool) -> None:
    tiles = Tiles(width, stride, pad=pad)
    before = tiles.on("a", 2 * width).size
    keys = tiles.on("b", size)
    starts = [start for start in range(0, size, stride) if start + width <= size]
    further = len(starts) * stride
    if pad and further < size and (starts[-1] + width if starts else 0) < size:
        starts.append(further)
    assert [(tiles[key].chrom, tiles[key].start) for key in keys.tolist()] == [("b", at) for at in starts]
    assert keys.tolist() == list(range(before, before + len(starts)))
    if pad and stride <= width:
        assert {base for at in starts for base in range(at, at + width)} >= set(range(size))


def test_tiles_in_the_blacklist_are_dropped_and_those_of_a_pipe_are_those_of_a_file(step: Step) -> None:
    keys = {"blacklist": step.write("black.bed", "chr1\t10\t12\n"), "max_n_fraction": 1}
    step.run(**tiled(width=8), **keys)
    table = step.table.read_bytes()
    assert step.rows()["reason"].tolist()[1] == "overlaps chr1:10-12 of the blacklist"
    reading, writing = os.pipe()
    os.write(writing, GENOME.encode())
    os.close(writing)
    step.run(**tiled(width=8) | {"genome": Path(f"/dev/fd/{reading}")}, **keys)
    os.close(reading)
    assert step.table.read_bytes() == table
