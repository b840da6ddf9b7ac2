"""Files from different runs, and changed files, are refused by the step that would combine them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from made_up_results import make_results, rewrite, write_table
from refusals import refused_by
from run_steps import LENGTH, Study, make_references, source_of, study

from genolift.data.stored_sequences import read_sequences
from genolift.errors import InputError
from genolift.files.digests import row_digests, sequence_digests
from genolift.files.hdf5 import as_text
from genolift.references.store import open_references
from genolift.results.one_run import check_folder
from genolift.results.shards import read_shards
from genolift.results.store import LAYOUT, open_contributions
from genolift.settings.motifs import Motifs
from genolift.settings.sections import References
from genolift.steps import work as step
from genolift.steps.blocks import Pieces
from genolift.steps.encode import encode
from genolift.steps.motifs import find_motifs
from genolift.steps.report import write_report


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = study(tmp_path_factory.mktemp("study"), n=8, r=3)
    made.attribute("a.h5", shard=(0, 2))
    made.attribute("b.h5", shard=(1, 2))
    made.aggregate("a.h5", "b.h5")
    return made


@pytest.fixture
def own(done: Study, tmp_path: Path) -> Study:
    """A copy of the study that a test may damage."""
    return Study(Path(shutil.copytree(done.folder, tmp_path / "own")))


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two analyses as shown in a report, identical except for the sequences' coordinates."""
    folder = tmp_path_factory.mktemp("runs")
    return make_results(folder / "one"), make_results(folder / "other", windows=False)


def encode_again(made: Study, change: Callable[[list[str]], None]) -> None:
    """Edit the FASTA and encode it again, with the same ids."""
    lines = (made.folder / "sequences.fa").read_text().splitlines()
    change(lines)
    (made.folder / "sequences.fa").write_text("\n".join(lines) + "\n")
    source = source_of(fasta=made.folder / "sequences.fa", length=LENGTH)
    encode(source, table=made.folder / "sequences.tsv", store=made.folder / "sequences.h5")


def turn_letters(lines: list[str]) -> None:
    """Reverse one sequence: it has the same letters, and so do its shuffles."""
    lines[5] = lines[5][::-1]


def test_sequences_that_were_edited_after_the_shuffles_are_refused(own: Study) -> None:
    encode_again(own, turn_letters)
    message = refused_by(own.attribute)
    assert message.endswith(
        "references.h5: was made for other sequences; make it again with genolift reference"
    )
    sequences, references = own.folder / "sequences.h5", own.folder / "references.h5"
    make_references(sequences, references, "dinucleotide_shuffle", number=3)
    own.attribute()


def test_a_table_that_was_edited_or_is_of_another_encode_is_refused(own: Study) -> None:
    path = own.folder / "sequences.tsv"
    whole = path.read_text()
    path.write_text(whole.replace("\t0.", "\t1.", 1))
    message = refused_by(lambda: own.aggregate("a.h5", "b.h5"))
    assert "sequences.tsv: is not the table that was written with the sequences of" in message
    assert message.endswith("give the table of that run, or run all steps again from genolift encode on")
    encode_again(own, lambda lines: lines.__setitem__(5, "A" * LENGTH))
    assert "is not the table that was written with" in refused_by(lambda: own.aggregate("a.h5", "b.h5"))
    path.write_text(whole)
    own.aggregate("a.h5", "b.h5")


def test_shards_on_other_references_are_refused(done: Study, own: Study) -> None:
    other = {"kind": "dinucleotide_shuffle", "number": 3, "seed": 1}
    make_references(own.folder / "sequences.h5", own.folder / "references.h5", **other)
    own.attribute("b.h5", shard=(1, 2), model=done.model)
    message = refused_by(lambda: own.aggregate("a.h5", "b.h5"))
    assert "was made with reference_seed 1" in message
    assert message.endswith("remove the shards and attribute again")


def zeros(block: dict[str, Any], told: dict[str, Any]) -> None:
    for name in ("shap/seq", "projected_shap/seq"):
        block[name][1] = 0


def swapped(block: dict[str, Any], told: dict[str, Any]) -> None:
    for name in ("shap/seq", "projected_shap/seq", "raw/seq"):
        block[name][[0, 1]] = block[name][[1, 0]]


def nan(block: dict[str, Any], told: dict[str, Any]) -> None:
    block["shap/seq"][2, 1, 7] = np.nan


def error(block: dict[str, Any], told: dict[str, Any]) -> None:
    block["genolift/convergence_error"] += np.float32(1e9)


def scaled(block: dict[str, Any], told: dict[str, Any]) -> None:
    block["projected_shap/seq"] *= np.float32(1.01)


def moved(block: dict[str, Any], told: dict[str, Any]) -> None:
    block["genolift/output"] += np.float32(0.1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (zeros, "its contributions do not sum to its output less the references' mean output"),
        (swapped, "its contributions do not sum to its output less the references' mean output"),
        (nan, "shap/seq is not finite"),
        (error, "its convergence error is over 0.001"),
        (scaled, "projected_shap/seq is not shap/seq at its bases"),
        (moved, "its contributions do not sum to its output less the references' mean output"),
    ],
)
def test_a_well_formed_shard_that_is_wrong_is_refused(
    done: Study, own: Study, change: Callable[[dict[str, Any], dict[str, Any]], None], said: str
) -> None:
    """Even if its digests are right, as a faulty program would have written it."""
    rewrite(own.folder / "a.h5", change)
    message = refused_by(lambda: own.aggregate("a.h5", "b.h5"))
    assert said in message
    assert f"{own.folder}/a.h5, sequence s" in message
    assert message.endswith("remove the file and run genolift attribute again")
    own.attribute("a.h5", shard=(0, 2), model=done.model)
    own.aggregate("a.h5", "b.h5")


def test_sums_are_checked_where_references_are_shared_and_a_base_is_n(tmp_path: Path) -> None:
    made = study(tmp_path, n=3, r=2)
    encode_again(made, lambda lines: lines.__setitem__(1, f"NN{lines[1][2:]}"))
    for kind in ("base_frequencies", "zeros", "uniform_shuffle"):
        make_references(tmp_path / "sequences.h5", tmp_path / "references.h5", kind)
        made.attribute()
        made.aggregate()


@pytest.mark.parametrize("name", [*LAYOUT])
def test_a_row_that_was_edited_in_place_is_refused(own: Study, name: str) -> None:
    with h5py.File(own.folder / "contributions.h5", "r+") as file:
        values = file[name][:]
        values[[2, 3]] = values[[3, 2]]
        file[name][:] = values
    with pytest.raises(InputError) as refusal, open_contributions(own.folder / "contributions.h5") as file:
        file[name][:]
    assert f"{name} was changed in row 2 after it was written" in str(refusal.value)


def test_rows_before_an_edited_one_are_read(own: Study) -> None:
    """A block is checked by itself, so that nobody has to read all of a large file first."""
    with h5py.File(own.folder / "references.h5", "r+") as file:
        file["codes"][6, 0, 0] = (file["codes"][6, 0, 0] + 1) % 4
    with open_references(own.folder / "references.h5") as references:
        assert references.codes(0, 6).shape == (6, 3, LENGTH)
        assert "the references of key 6 are not those" in refused_by(lambda: references.codes(5, 8))


def test_digests_depend_on_the_sequence_alone_and_go_along(done: Study, tmp_path: Path) -> None:
    stored = read_sequences(done.folder / "sequences.h5")
    with (
        open_contributions(done.folder / "contributions.h5") as file,
        h5py.File(done.folder / "references.h5") as references,
    ):
        np.testing.assert_array_equal(file["genolift/sequence_digest"][:], stored.digests)
        np.testing.assert_array_equal(references["sequence_digest"][:], stored.digests)
        np.testing.assert_array_equal(file["genolift/reference_digest"][:], references["reference_digest"][:])
        assert file.provenance["references_digest"] == as_text(references.attrs["digest"])
    alone = sequence_digests(stored.key[3:4], stored.id[3:4], stored.codes[3:4])
    np.testing.assert_array_equal(alone[0], stored.digests[3])
    assert len(np.unique(stored.digests, axis=0)) == len(stored.key)
    made = study(tmp_path, n=8, r=3)
    for i in range(3):
        made.attribute(f"{i}.h5", shard=(i, 3))
    with open_contributions(made.aggregate("0.h5", "1.h5", "2.h5")) as file:
        np.testing.assert_array_equal(file["genolift/sequence_digest"][:], stored.digests)


def test_digests_are_of_the_bytes_that_the_documentation_says() -> None:
    from hashlib import blake2b

    codes = np.array([[0, 1, 2, 4]], np.uint8)
    found = sequence_digests(np.array([7]), ["é"], codes)[0].tobytes()
    said = (7).to_bytes(8, "little") + (2).to_bytes(8, "little") + "é".encode() + bytes([0, 1, 2, 4])
    assert found == blake2b(said, digest_size=16).digest()
    turned = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    assert (
        row_digests(turned)[1].tobytes()
        == blake2b(np.array([3, 4, 5], "<f4").tobytes(), digest_size=16).digest()
    )
    assert row_digests(np.empty((2, 0))).shape == (2, 16)
    assert row_digests(np.empty((0, 3))).shape == (0, 16)


def test_a_piece_of_other_rows_or_another_work_is_computed_again(
    done: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_contributions(done.folder / "contributions.h5") as file:
        block = next(file.blocks())
    pieces = Pieces(tmp_path / "shard.h5", "work")
    pieces.write(range(0, 8), [block])
    assert pieces.read(range(0, 8)) is not None
    first = tmp_path / "shard.h5.pieces" / "000000000-000000008.npz"
    first.rename(first.with_name("000000008-000000016.npz"))
    assert pieces.read(range(8, 16)) is None
    assert "is damaged (it is not what was written)" in caplog.text
    pieces.write(range(0, 8), [block])
    pieces.work = "another"
    assert pieces.read(range(0, 8)) is None


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("references.h5",),
            "references.h5: is not what .*contributions.h5 was computed with; run genolift attr",
        ),
        (("sequences.tsv",), "sequences.tsv: is not the table that was written with the sequences of"),
        (("contributions.h5",), "sequences.tsv: is not the table"),
        (("per_sequence.tsv",), "per_sequence.tsv: is not the file that genolift aggregate wrote with"),
        (
            ("per_sequence.tsv", "aggregate.json"),
            "aggregate.json: genolift aggregate was run on another contr",
        ),
        (
            ("per_base.parquet",),
            "per_base.parquet: belongs to another run than contributions.h5; run genolift aggr",
        ),
        (
            ("motifs.h5",),
            "motifs.h5: is not the file that genolift motifs wrote with motifs.json; run genoli",
        ),
        (("seqlets.tsv",), "seqlets.tsv: is not the file that genolift motifs wrote with motifs.json"),
        (("hits.bed.gz",), "hits.bed.gz: is not the file that genolift motifs wrote with motifs.json"),
        (
            ("hits.bed.gz", "motifs.json"),
            "motifs.json: genolift motifs was run on another contributions.h5 than",
        ),
        (
            ("logos/logos.json",),
            "logos.json: genolift logos was run on another contributions.h5 than the present one",
        ),
    ],
)
def test_a_report_of_two_runs_is_refused(
    done: Study, made_up: tuple[Path, Path], tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    one, other = made_up
    folder = Path(shutil.copytree(one, tmp_path / "own"))
    for name in names:
        data = ((done.folder if name == "references.h5" else other) / name).read_bytes()
        (folder / name).write_bytes(data + b"#" if name in ("motifs.h5",) else data)
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        write_report(results=folder, out=tmp_path / "report.html", title="Peaks")
    assert not (tmp_path / "report.html").exists()


def test_references_that_were_made_again_need_no_file_and_one_that_is_left_is_of_them(tmp_path: Path) -> None:
    own = study(tmp_path, n=8)
    own.attribute(references=None, compared=References(number=3))
    own.aggregate()

    def said() -> str:
        with open_contributions(tmp_path / "contributions.h5") as file:
            return refused_by(lambda: check_folder(tmp_path, file))

    file = tmp_path / "references.h5"
    assert "motifs.json: is missing" in said()  # the next thing that is looked at
    make_references(tmp_path / "sequences.h5", file, "dinucleotide_shuffle", number=3, seed=1)
    assert said().startswith(f"{file}: is not what {tmp_path}/contributions.h5 was computed with; remove it")
    file.unlink()
    assert "motifs.json: is missing" in said()


@pytest.mark.parametrize(("name", "again"), [("aggregate.json", "aggregate"), ("motifs.json", "motifs")])
def test_a_step_s_record_that_is_missing_or_damaged_is_said(
    made_up: tuple[Path, Path], tmp_path: Path, name: str, again: str
) -> None:
    folder = Path(shutil.copytree(made_up[0], tmp_path / "own"))
    for content in ('{"format": "x"}', "[" * 100_000, "[]", None):
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_text(content)
        with pytest.raises(InputError, match=rf"{name}: .*; run genolift {again} again"):
            write_report(results=folder, out=tmp_path / "report.html", title="Peaks")


def test_motifs_of_an_edited_table_are_refused(made_up: tuple[Path, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made_up[0], tmp_path / "own"))
    table = pd.read_csv(folder / "sequences.tsv", sep="\t", dtype=str, keep_default_na=False)
    write_table(folder / "sequences.tsv", table.assign(strand="+"))
    files = {"contributions": folder / "contributions.h5", "sequences": folder / "sequences.tsv"}
    message = refused_by(lambda: find_motifs(Motifs(database="jaspar:fungi"), **files, out=tmp_path / "out"))
    assert "sequences.tsv: is not the table that was written with the sequences of" in message


def test_tables_say_what_they_were_made_from(done: Study) -> None:
    with open_contributions(done.folder / "contributions.h5") as file:
        told = pq.read_schema(done.folder / "per_base.parquet").metadata[b"genolift"].decode()
        assert told == f'{{"made_from": {{"contributions.h5": "{file.digest}"}}}}'
    assert list(pd.read_parquet(done.folder / "per_base.parquet")["key"].unique()) == list(range(8))
    assert len({head.provenance["sequences_digest"] for head in read_shards([done.folder / "a.h5"])}) == 1
    assert step.PIECE_ROWS > 8
