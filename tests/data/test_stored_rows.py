"""Of sequences.h5 some rows are read alone, and what is read is what was written."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from refusals import refused_by
from run_steps import Study, study

from genolift.data.stored_sequences import Sequences, open_sequences, read_sequences
from genolift.files import hdf5
from genolift.files.hdf5 import Format
from genolift.files.hdf5_writing import whole_hdf5


@pytest.fixture
def made(tmp_path: Path) -> Study:
    return study(tmp_path, windows=True)


def rows_of(path: Path, rows: range) -> Sequences:
    """Read some rows with their codes."""
    with open_sequences(path) as stored:
        read = stored.rows(rows)
        assert read.codes.shape == (len(rows), stored.length)
        read.codes[:]
    return read


def test_rows_are_those_of_the_whole_file(made: Study) -> None:
    path = made.folder / "sequences.h5"
    every = read_sequences(path)
    assert every.places is not None
    with open_sequences(path) as stored:
        assert (stored.n, stored.length, stored.digest) == (20, 60, every.digest)
        some = stored.rows(range(5, 12))
        np.testing.assert_array_equal(some.key, every.key[5:12])
        np.testing.assert_array_equal(some.codes[:], every.codes[5:12])
        np.testing.assert_array_equal(some.codes[2:4], every.codes[7:9])
        np.testing.assert_array_equal(some.digests, every.digests[5:12])
        assert some.places is not None
        assert (some.id, some.places.chrom) == (every.id[5:12], every.places.chrom[5:12])
        assert some.places.strand == every.places.strand[5:12]
        np.testing.assert_array_equal(some.places.start, every.places.start[5:12])
        assert stored.rows(range(20, 20)).codes[:].shape == (0, 60)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("codes", 3, "the sequence peak7 is not the one that was written"),
        ("key", 99, "the sequence peak7 is not the one that was written"),
        ("id", b"peak6", "the sequence peak6 is not the one that was written"),
        ("start", 1, "the place of row 7 is not the one that was written"),
        ("chrom", b"chr", "the place of row 7 is not the one that was written"),
        ("strand", b".", "the place of row 7 is not the one that was written"),
    ],
)
def test_a_changed_row_is_refused_where_it_is_read_and_nowhere_else(
    made: Study, name: str, value: object, said: str
) -> None:
    path = made.folder / "sequences.h5"
    with h5py.File(path, "r+") as file:
        if name == "codes":
            file[name][7, 30] = (file[name][7, 30] + 1) % 4
        else:
            file[name][7] = value
    assert said in refused_by(lambda: rows_of(path, range(5, 12)))
    assert rows_of(path, range(8, 20)).id[0] == "peak8"
    assert said in refused_by(lambda: read_sequences(path))


@pytest.mark.parametrize("name", ["sequence_digest", "place_digest"])
def test_a_changed_digest_is_refused_whichever_rows_are_read(made: Study, name: str) -> None:
    path = made.folder / "sequences.h5"
    with h5py.File(path, "r+") as file:
        file[name][7, 0] ^= 1
    assert "its digest does not match" in refused_by(lambda: rows_of(path, range(2)))


def test_a_shard_reads_its_own_rows_alone(made: Study) -> None:
    with h5py.File(made.folder / "sequences.h5", "r+") as file:
        file["codes"][15] = 0
    made.attribute("first.h5", shard=(0, 2))
    said = "the sequence peak15 is not the one that was written"
    assert said in refused_by(lambda: made.attribute("second.h5", shard=(1, 2)))


def test_a_shard_of_no_sequences_is_written(made: Study) -> None:
    assert made.attribute("none.h5", shard=(0, 30)).n_sequences == 0


def test_a_file_of_ours_is_not_searched_for_heaps_of_texts(
    made: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.attribute()
    searched: list[object] = []
    monkeypatch.setattr(hdf5, "check_heaps", searched.append)
    for name in ("sequences.h5", "references.h5", "shard.h5"):
        with h5py.File(made.folder / name) as file:
            assert b"GCOL" not in (made.folder / name).read_bytes()
            assert file.attrs["format"].startswith(b"genolift-")
    made.attribute()
    assert searched == []


def test_a_text_that_hdf5_has_no_room_for_is_read_back(tmp_path: Path) -> None:
    form = Format("made-up", "long texts", "make it again", ("short", "long"))
    told = form.attributes(short="höchst", long="x" * 100_000)
    with whole_hdf5(tmp_path / "long.h5") as file:
        file.attrs.update(told)
        file.attrs["digest"] = form.digest(told).hex()
    with h5py.File(tmp_path / "long.h5") as file:
        form.check(file)
        assert [hdf5.as_text(file.attrs[name]) for name in ("short", "long")] == ["höchst", "x" * 100_000]
        form.digest(file.attrs).check(file.attrs["digest"])
