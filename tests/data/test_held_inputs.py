"""Extra inputs and channels: the right row for each sequence, and each mistake in one line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyBigWig
import pytest
from refusals import refused_by
from run_steps import source_of

from genolift.data.extra_inputs import ExtraInputs, example_of, extras_provenance
from genolift.data.number_table import read_number_table
from genolift.data.stored_sequences import Places, Sequences, read_sequences
from genolift.settings.extra_inputs import Extras, as_given
from genolift.steps.encode import encode

LENGTH = 6
LENGTHS = {"chr1": 30, "chr2": 20}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stored(*ids: str, places: Places | None = None) -> Sequences:
    codes = np.zeros((len(ids), LENGTH), np.uint8)
    return Sequences(np.arange(len(ids)), list(ids), codes, LENGTHS if places else {}, places)


def write_track(path: str, lengths: dict[str, int] = LENGTHS, gap: int = 9, plus: float = 0) -> None:
    """Write a bigWig of 100 x chromosome + position + ``plus``, without one base, ``gap``, of each."""
    with pyBigWig.open(path, "w") as track:
        track.addHeader(list(lengths.items()))
        for chrom, length in lengths.items():
            at = [i for i in range(length) if i != gap]
            values = [100.0 * int(chrom.removeprefix("chr")) + i + plus for i in at]
            track.addEntries([chrom] * len(at), at, ends=[i + 1 for i in at], values=values)


def held(inputs: list[Any] = [], channels: list[Any] = []) -> Extras:  # noqa: B006
    return Extras.of(inputs, channels, "")


# Tables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["tsv", "csv", "spaces", "crlf", "gzip", "blank", "bom", "other order"])
def test_every_layout_of_a_table_gives_the_same_numbers(layout: str) -> None:
    text = "id\ta\tb\ns1\t1\t-2.5\ns2\t1e-3\t4\n"
    content = {
        "csv": text.replace("\t", ","),
        "spaces": text.replace("\t", ", "),
        "crlf": text.replace("\n", "\r\n"),
        "blank": text.replace("s2", "\ns2"),
        "bom": "\ufeff" + text,
        "other order": "a\tid\tb\n1\ts1\t-2.5\n1e-3\ts2\t4\n",
    }.get(layout, text)
    raw = content.encode()
    Path("t.tsv").write_bytes(gzip.compress(raw) if layout == "gzip" else raw)
    table = read_number_table("t.tsv")
    assert (table.columns, table.row_of) == (("a", "b"), {"s1": 0, "s2": 1})
    np.testing.assert_array_equal(table.values, np.array([[1, -2.5], [1e-3, 4]], np.float32))
    np.testing.assert_array_equal(read_number_table("t.tsv", columns=["b"]).values[:, 0], [-2.5, 4])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "t.tsv: is empty; give a table with a column 'id'"),
        ("\n", "t.tsv: is empty"),
        ("id\ta\n", "t.tsv: has a header but no rows; give a row for each sequence"),
        ("name\ta\ns1\t1\n", "t.tsv: has no column 'id', but name, a; name the column of the sequences' ids"),
        ("id\ns1\n", "t.tsv: has no column besides 'id'; give columns of numbers"),
        ("id\ta\ta\ns1\t1\t2\n", "t.tsv: the column 'a' occurs twice"),
        ("id\ta\ns1\t1\ns2\t2\ns1\t3\n", "t.tsv:4: the id 's1' occurs twice, in line 2 and here; give every"),
        ("id\ta\tb\ns1\t1\n", "t.tsv:2: has 2 columns, the header 3; give every row a value in each column"),
        ("id\ta\tb\ns1\t1\t2\t3\n", "t.tsv:2: has 4 columns, the header 3"),
        ("id\ta\tb\ns1\t1\tx\n", "t.tsv:2: the value in column 'b' of 's1' is 'x'; write a number there"),
        ("id\ta\tb\ns1\t1\t\n", "t.tsv:2: the value in column 'b' of 's1' is missing; write a number there"),
        ("id\ta\tb\ns1\tNaN\t1\n", "t.tsv:2: the value in column 'a' of 's1' is missing"),
        ("id\ta\tb\ns1\t1\tinf\n", "t.tsv:2: the value in column 'b' of 's1' is 'inf'"),
        ("id\ta\tb\ns1\t1\t1e99\n", "t.tsv:2: the value in column 'b' of 's1' is '1e99'"),
        ("\x00\x01", "t.tsv: is a binary file, not text"),
    ],
)
def test_a_mistake_in_a_table_is_said_with_its_line(text: str, said: str) -> None:
    Path("t.tsv").write_text(text)
    assert refused_by(lambda: read_number_table("t.tsv")).startswith(said)


def test_a_column_that_is_not_there_is_named_with_the_nearest() -> None:
    Path("t.tsv").write_text("id\tlibrary_1\tcount\ns1\t1\t2\n")
    message = refused_by(lambda: read_number_table("t.tsv", columns=["count", "libary_1"]))
    assert message == "t.tsv: has no column 'libary_1' of numbers; did you mean 'library_1'?"
    assert "it has library_1, count" in refused_by(lambda: read_number_table("t.tsv", columns=["xyz"]))
    assert "has no column 'id' of numbers" in refused_by(lambda: read_number_table("t.tsv", columns=["id"]))


def test_of_rows_that_no_sequence_has_only_the_id_is_looked_at() -> None:
    Path("t.tsv").write_text("id\ta\nother\tNA\ns1\t1\n")
    assert read_number_table("t.tsv", ids={"s1"}).values.tolist() == [[1]]


# Further arguments -----------------------------------------------------------------------------------------


def test_a_sequence_has_its_own_row_whatever_the_table_s_order() -> None:
    Path("t.tsv").write_text("id\ta\tb\n" + "".join(f"s{i}\t{i}\t{-i}\n" for i in (4, 2, 0, 3, 1)))
    spec = held([{"table": "t.tsv"}, {"values": [0, 1, 0, 2], "shape": [2, 2]}])
    inputs = ExtraInputs(spec, stored("s1", "s4", "s3", "s1"))
    table, same = inputs.of(range(1, 4))
    assert table.tolist() == [[4, -4], [3, -3], [1, -1]]
    assert same.tolist() == [[[0, 1], [0, 2]]] * 3
    assert (table.dtype, same.dtype, inputs.row_bytes) == (np.float32, np.float32, 6 * 4)
    assert [each.tolist() for each in example_of(spec, LENGTH)] == [[[4, -4]], [[[0, 1], [0, 2]]]]


def test_records_that_encoding_drops_do_not_shift_the_rows(folder: Path) -> None:
    (folder / "in.fa").write_text(">a\nACGTAC\n>b\nNNNNNN\n>c\nACG\n>d\nTTTTTT\n")
    encode(source_of(fasta=folder / "in.fa", length=6), table=folder / "t", store=folder / "s.h5")
    Path("t.tsv").write_text("id\tx\na\t1\nb\t2\nc\t3\nd\t4\n")
    (rows,) = ExtraInputs(held([{"table": "t.tsv"}]), read_sequences(folder / "s.h5")).of(range(2))
    assert rows.tolist() == [[1], [4]]


def test_a_sequence_without_a_row_is_named_and_counted() -> None:
    Path("t.tsv").write_text("id\ta\ns1\t1\n")
    message = refused_by(lambda: ExtraInputs(held([{"table": "t.tsv"}]), stored("s1", "s2", "s3")))
    assert message == (
        "t.tsv: has no row for 2 of 3 sequences, 's2' first; "
        "give a row for every id of sequences.tsv that is kept"
    )


@pytest.mark.parametrize(
    ("inputs", "channels", "said"),
    [
        (
            [{}],
            [],
            "extra_inputs[0]: there are no values; give one of 'table', 'values' and 'bigwig'",
        ),
        (
            [{"values": [1]}, {"values": [1], "table": "t.tsv"}],
            [],
            "extra_inputs[1]: 'table' and 'values' are given; give one of",
        ),
        ([{"values": 0}], [], "extra_inputs[0]: one number is given without 'shape'; give 'shape' too, or a"),
        (
            [{"values": 0, "shape": [10**5, 10**5]}],
            [],
            "extra_inputs[0]: the shape [100000, 100000] has more than 100,000,000 values; give the shape of",
        ),
        ([{"values": [0], "width": 3}], [], "extra_inputs[0]: 'width' is given without 'bigwig'; leave"),
        ([{"table": "t.tsv", "missing": 1}], [], "extra_inputs[0]: 'missing' is given without 'bigwig'"),
        ([{"values": [0], "stranded": False}], [], "extra_inputs[0]: 'stranded' is given without 'bigwig'"),
        (
            [{"bigwig": "t.bw", "shape": [1, 6]}],
            [],
            "extra_inputs[0]: 'shape' is given with 'bigwig'; leave 'shape' out: it is the number of bigWigs",
        ),
        ([{"bigwig": []}], [], "extra_inputs[0].bigwig: is empty; give bigWigs"),
        ([{"bigwig": ["t.bw", "none.bw"]}], [], "extra_inputs[0].bigwig[1]: none.bw: no such file"),
        ([{"bigwig": "none.bw"}], [], "extra_inputs[0].bigwig: none.bw: no such file"),
        ([{"values": [1], "columns": ["a"]}], [], "extra_inputs[0]: 'columns' is given without 'table'"),
        ([{"table": "none.tsv"}], [], "extra_inputs[0].table: none.tsv: no such file"),
        (
            [{"values": [1, 2], "shape": [3]}],
            [],
            "extra_inputs[0]: 2 values do not fill the shape [3]; give 3",
        ),
        ([], [{}], "extra_channels[0]: neither 'bigwig' nor 'table' is given; give a number, 'bigwig' or"),
        ([], [0, {"bigwig": "t.bw", "table": "t.tsv"}], "extra_channels[1]: both are given"),
        ([], [{"table": "t.tsv", "missing": 1}], "extra_channels[0]: 'missing' is given without 'bigwig'"),
        ([], [{"bigwig": "none.bw"}], "extra_channels[0].bigwig: none.bw: no such file"),
    ],
)
def test_a_mistake_in_a_spec_is_said_with_its_item(inputs: list[Any], channels: list[Any], said: str) -> None:
    for name in ("t.tsv", "t.bw"):
        Path(name).touch()
    assert refused_by(lambda: held(inputs, channels)).startswith(said)


def test_columns_that_do_not_fill_the_shape_are_said() -> None:
    Path("t.tsv").write_text("id\ta\tb\ns1\t1\t2\n")
    message = refused_by(lambda: ExtraInputs(held([{"table": "t.tsv", "shape": [3, 1]}]), stored("s1")))
    assert message.startswith("t.tsv: 2 values do not fill the shape [3, 1]; give 3 values")


# Channels --------------------------------------------------------------------------------------------------


def test_channels_are_stacked_in_order_and_a_track_follows_the_strand() -> None:
    write_track("t.bw")
    places = Places(["chr2", "chr1", "chr1"], np.array([0, 5, 6]), ["+", "-", "+"])
    channels = [0.5, {"bigwig": "t.bw"}, {"bigwig": "t.bw", "missing": -1}]
    inputs = ExtraInputs(held(channels=channels), stored("a", "b", "c", places=places))
    (values,) = inputs.of(range(3))
    assert values.shape == (3, 3, LENGTH)
    assert (values[:, 0] == 0.5).all()
    assert values[0, 1].tolist() == [200, 201, 202, 203, 204, 205]
    assert values[1, 1].tolist() == [110, 0, 108, 107, 106, 105]
    assert values[2, 2].tolist() == [106, 107, 108, -1, 110, 111]
    np.testing.assert_array_equal(inputs.of(range(1, 2))[0], values[1:2])
    assert example_of(held(channels=channels), 3)[0].tolist() == [[[0.5] * 3, [0] * 3, [-1] * 3]]


def test_a_channel_of_a_table_has_a_column_for_each_position() -> None:
    header = "id," + ",".join(f"p{i}" for i in range(LENGTH))
    Path("t.csv").write_text(f"{header}\nb,6,5,4,3,2,1\na,1,2,3,4,5,6\n")
    spec = held([{"values": [7]}], [{"table": "t.csv"}])
    channel, value = ExtraInputs(spec, stored("a", "b")).of(range(2))
    assert channel.tolist() == [[[1, 2, 3, 4, 5, 6]], [[6, 5, 4, 3, 2, 1]]]
    assert value.tolist() == [[7], [7]]
    Path("t.csv").write_text("id,a\na,1\nb,1\n")
    said = "t.csv: has 1 column beside 'id', the sequences have 6 positions; give a column for each position"
    assert refused_by(lambda: ExtraInputs(spec, stored("a", "b"))) == said
    assert refused_by(lambda: example_of(spec, 6)) == said


def test_a_track_of_another_genome_is_refused() -> None:
    windows = stored("a", places=Places(["chr2"], np.array([0]), ["+"]))

    def message(spec: Extras, sequences: Sequences = windows) -> str:
        return refused_by(lambda: ExtraInputs(spec, sequences))

    spec = held(channels=[{"bigwig": __file__}])
    assert message(spec).endswith("is not a bigWig; give a .bw file; bedGraphToBigWig makes one")
    Path("cut.bw").write_bytes(b"\x26\xfc\x8f\x88")
    assert message(held(channels=[{"bigwig": "cut.bw"}])).startswith("cut.bw: is a damaged bigWig")
    write_track("t.bw", {"chr1": 30})
    spec = held(channels=[{"bigwig": "t.bw"}])
    assert message(spec) == (
        "t.bw: has no chromosome 'chr2', but chr1; give a bigWig with chr2, or leave its windows out"
    )
    assert message(spec, stored("a")).startswith(
        "t.bw: the sequences are not windows on a genome, so they have no coordinates in a bigWig; take "
    )
    write_track("t.bw", {"2": 20, "1": 30})
    assert "but 2, 1; it calls it '2': use the same names in both" in message(spec)
    write_track("t.bw", {"chr2": 25})
    assert message(spec) == (
        "t.bw: chr2 has 25 bases, but 20 in the genome; give a bigWig of the same assembly"
    )


# Tracks as further arguments -------------------------------------------------------------------------------


def test_two_tracks_are_reversed_and_swapped_for_a_window_on_the_minus_strand() -> None:
    write_track("plus.bw")
    write_track("minus.bw", gap=-1, plus=1000)
    places = Places(["chr1", "chr1"], np.array([5, 5]), ["+", "-"])
    windows = stored("a", "b", places=places)
    both = {"bigwig": ["plus.bw", "minus.bw"], "missing": -1}
    swapped, kept = ExtraInputs(held([both, {**both, "stranded": False}]), windows).of(range(2))
    plus, minus = [105, 106, 107, 108, -1, 110], [1105, 1106, 1107, 1108, 1109, 1110]
    assert swapped.tolist() == [[plus, minus], [minus[::-1], plus[::-1]]]
    assert kept.tolist() == [[plus, minus], [plus[::-1], minus[::-1]]]
    three = {"bigwig": ["plus.bw", "minus.bw", "plus.bw"]}
    assert ExtraInputs(held([three]), windows).of(range(1, 2))[0][0, 1].tolist() == minus[::-1]
    assert [each.tolist() for each in example_of(held([both]), 2)] == [[[[-1, -1], [-1, -1]]]]


@pytest.mark.parametrize(
    ("width", "plus", "minus"),
    [
        (2, [107, 108], [108, 107]),
        (3, [106, 107, 108], [109, 108, 107]),
        (8, [104, 105, 106, 107, 108, 109, 110, 111], [111, 110, 109, 108, 107, 106, 105, 104]),
        (9, [*range(103, 112)], [*range(112, 103, -1)]),
    ],
)
def test_a_track_is_centred_on_its_window_as_the_sequence_is_read(
    width: int, plus: list[float], minus: list[float]
) -> None:
    write_track("t.bw", gap=-1)
    windows = stored("a", "b", places=Places(["chr1", "chr1"], np.array([5, 5]), ["+", "-"]))
    (values,) = ExtraInputs(held([{"bigwig": "t.bw", "width": width}]), windows).of(range(2))
    assert values.tolist() == [[plus], [minus]]
    assert example_of(held([{"bigwig": "t.bw", "width": width}]), 6)[0].shape == (1, 1, width)


def test_bases_over_a_chromosome_s_end_are_missing() -> None:
    write_track("t.bw", gap=-1)
    windows = stored(
        "a", "b", "c", places=Places(["chr2", "chr2", "chr1"], np.array([-3, 17, 40]), ["+"] * 3)
    )
    spec = held([{"bigwig": "t.bw", "missing": -1}], [{"bigwig": "t.bw", "missing": 7}])
    channels, values = ExtraInputs(spec, windows).of(range(3))
    assert values[:, 0].tolist() == [[-1, -1, -1, 200, 201, 202], [217, 218, 219, -1, -1, -1], [-1] * 6]
    assert channels[0, 0].tolist() == [7, 7, 7, 200, 201, 202]


def test_a_further_argument_s_tracks_are_of_the_same_genome() -> None:
    write_track("t.bw")
    write_track("other.bw", {"chr2": 25})
    spec = held([{"bigwig": ["t.bw", "other.bw"]}])
    windows = stored("a", places=Places(["chr2"], np.array([0]), ["+"]))
    assert refused_by(lambda: ExtraInputs(spec, windows)).startswith(
        "other.bw: chr2 has 25 bases, but 20 in the genome; give a bigWig of the same assembly"
    )
    assert "have no coordinates in a bigWig" in refused_by(lambda: ExtraInputs(spec, stored("a")))


def test_one_number_fills_the_shape() -> None:
    spec = held([{"values": 0.5, "shape": [2, 200]}])
    (values,) = ExtraInputs(spec, stored("a", "b", "c")).of(range(1, 3))
    assert (values.shape, values.dtype, set(values.ravel())) == ((2, 2, 200), np.float32, {0.5})
    assert as_given(spec.inputs[0]) == {"values": 0.5, "shape": [2, 200]}


# What is recorded ------------------------------------------------------------------------------------------


def test_a_spec_is_told_as_it_was_given_with_the_digest_of_each_file() -> None:
    Path("t.tsv").write_text("id\ta\ns1\t1\n")
    write_track("t.bw")
    both = {"bigwig": ["t.bw", "t.bw"], "missing": 0.0, "width": 4, "stranded": False}
    inputs = [{"table": "t.tsv", "columns": ["a"]}, {"values": [1.0, 2.0], "shape": [2, 1]}, both]
    channels = [0.0, {"bigwig": "t.bw", "missing": 0.5}, {"table": "t.tsv"}]
    spec = held(inputs, channels)
    assert [as_given(item) for item in spec.inputs] == inputs
    assert [as_given(item) for item in spec.channels] == channels
    assert spec.files == ("t.tsv", "t.bw")
    told = extras_provenance(spec)
    assert told["extra_inputs"][0] == {**inputs[0], "sha256": told["extra_channels"][2]["sha256"]}
    assert (told["extra_inputs"][1], told["extra_channels"][0]) == (inputs[1], 0.0)
    assert len(told["extra_channels"][1]["sha256"]) == 64
    assert told["extra_inputs"][2] == {**both, "sha256": [told["extra_channels"][1]["sha256"]] * 2}
