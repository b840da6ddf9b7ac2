"""The table of the names of a model's tracks."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from refusals import refused_by

from genolift.data.track_names import read_track_names

BASENJI = "index\tgenome\tidentifier\tfile\tstrand_pair\tdescription\n"


def names(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "targets.txt").write_text(text)
    return read_track_names(tmp_path / "targets.txt")


def test_names_stand_in_the_order_of_the_output(tmp_path: Path) -> None:
    rows = '1\t0\tENCFF2\tb.bw\t0\tCAGE:"liver", minus\n0\t0\tENCFF1\ta.bw\t1\tCAGE:liver\n'
    assert names(tmp_path, BASENJI + rows) == ["ENCFF1", "ENCFF2"]
    assert names(tmp_path, BASENJI.replace("index", "") + rows) == ["ENCFF1", "ENCFF2"]
    assert names(tmp_path, "identifier\n GATA1 rep-2 \n\nGATA1\n") == ["GATA1 rep-2", "GATA1"]
    assert names(tmp_path, "\ufeffidentifier\tx\r\nA\t1\r\nA\t2\r\n") == ["A", "A"]


def test_it_may_be_compressed(tmp_path: Path) -> None:
    (tmp_path / "targets.txt.gz").write_bytes(gzip.compress(b"identifier\na\nb\n"))
    assert read_track_names(tmp_path / "targets.txt.gz") == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "targets.txt: is empty; give a table with a column 'identifier'"),
        ("identifier\n", "has a header but no rows; give a row for each track"),
        (
            "index,identifier\n0,a\n",
            "has no column 'identifier', but index,identifier; separate its columns by tabs",
        ),
        ("index\tname\n0\ta\n", "has no column 'identifier', but index, name; separate its columns by tabs"),
        ("index\tidentifier\n0\ta\n2\tb\n", "its 2 rows do not have each index from 0 to 1 once"),
        (
            "index\tidentifier\n1\ta\n2\tb\n",
            "its 2 rows do not have each index from 0 to 1 once; count from 0",
        ),
        ("index\tidentifier\n0\ta\n0\tb\n", "its 2 rows do not have each index from 0 to 1 once"),
        ("index\tidentifier\nx\ta\n", "targets.txt:2: 'x' is not an index; write a number from 0"),
        ("index\tidentifier\n0\t\n", "targets.txt:2: has no name; write one in the column 'identifier'"),
        ("index\tidentifier\n0\ta\tb\n", "targets.txt:2: has 3 columns, the header 2"),
    ],
)
def test_what_is_no_such_table_is_told(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused_by(lambda: names(tmp_path, text))
