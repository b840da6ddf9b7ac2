"""What the report says of the records of the input."""

from __future__ import annotations

from pathlib import Path

import pytest

from genolift.data.stored_sequences import SEQUENCES
from genolift.errors import InputError
from genolift.report.input_records import read_records


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("key\tid\n0\ta\n", "it has no column 'chrom'"),
        ("", "is not the sequences.tsv"),
        ("\t".join(SEQUENCES.columns) + "\n0\ta\t\t\t\t.\t4\t0.5\t0\tyes\t\n", "neither true nor false"),
        ("\t".join(SEQUENCES.columns) + "\nx\ta\t\t\t\t.\t4\t0.5\t0\ttrue\t\n", "is not the sequences.tsv"),
        (
            "\t".join(SEQUENCES.columns) + "\n" + "0\ta\t\t\t\t.\t4\t0.5\t0\ttrue\t\n" * 2,
            "a key occurs twice",
        ),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "table.tsv"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_records(path)
    assert str(caught.value).startswith(f"{path}: is not the sequences.tsv that genolift encode writes (")
    assert words in str(caught.value)


def test_records_are_counted_and_reasons_are_joined_apart_from_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "sequences.tsv"
    reasons = [f"has {number} bases, not 200" for number in range(25)]
    lines = [
        "0\ta\tchr1\t0\t200\t+\t200\t0.25\t0\ttrue\t",
        "1\tb\tchr1\t9\t209\t+\t200\t0.75\t0\ttrue\t",
        "2\tc\tchr2\t5\t205\t-\t200\t0.1\t90\tfalse\thas 90 N of 200 bases",
        *(f"{3 + n}\td{n}\t\t\t\t.\t{n}\t0.9\t0\tfalse\t{reason}" for n, reason in enumerate(reasons)),
    ]
    path.write_text("\n".join(["\t".join(SEQUENCES.columns), *lines, ""]))
    found = read_records(path)
    assert (found.read, found.kept, found.dropped, found.gc) == (28, 2, 26, 0.5)
    assert found.kinds == [("has … bases, not …", 25), ("has 90 N of 200 bases", 1)]
    assert found.first[:2] == [("c", "chr2:6-205", "has 90 N of 200 bases"), ("d0", "", reasons[0])]
    assert len(found.first) == 20
