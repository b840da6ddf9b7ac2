"""A table of analyses: what its cells mean, and each mistake in it as one line with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from refusals import refused_by

from genolift.settings.config import Config, check_config_file, resolve_config

SMALLEST = "analysis\tmodel.path\tsequences.fasta\nmine\tweights.pt2\tsequences.fa\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the files that the tables name."""
    for name in ("weights.pt2", "model.py", "sequences.fa", "peaks.bed", "peaks #2.bed", "genome.fa"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def resolve(table: str | bytes, **config: Any) -> Config:
    """Return the config whose analyses are those of a table."""
    written = table.encode() if isinstance(table, str) else table
    Path("analyses.tsv").write_bytes(written)
    return resolve_config({"analyses": "analyses.tsv"} | config, "my.yaml")


def with_columns(**columns: str) -> str:
    """Return the smallest table with more columns of its one row; ``__`` stands for a dot."""
    head, row, _ = SMALLEST.split("\n")
    names = "".join(f"\t{name.replace('__', '.')}" for name in columns)
    return f"{head}{names}\n{row}" + "".join(f"\t{cell}" for cell in columns.values()) + "\n"


def message_of(table: str | bytes, **config: Any) -> str:
    return refused_by(lambda: resolve(table, **config))


def test_a_row_is_an_analysis_and_its_cells_are_its_keys() -> None:
    table = with_columns(
        target="1", references__number="3", motifs__target_seqlet_fdr="0.1", logos__number=""
    )
    in_yaml = {
        "model": {"path": "weights.pt2"},
        "sequences": {"fasta": "sequences.fa"},
        "target": 1,
        "references": {"number": 3},
        "motifs": {"target_seqlet_fdr": 0.1},
    }
    assert resolve(table) == resolve_config({"analyses": {"mine": in_yaml}}, "my.yaml")


def test_cells_mean_what_they_mean_in_yaml() -> None:
    table = with_columns(
        target='"1"',
        keep_final_activation="true",
        extra_channels="[0, 0.5]",
        extra_inputs="[{values: [0, 1]}]",
        attribution__tolerance="1e-4",
        model__arguments="{width: 3, names: [a, b]}",
        **{"model__class": "model.py:Model", "report__title": "null"},
    )
    mine = resolve(table).analyses["mine"]
    assert (mine.target, mine.keep_final_activation, mine.extra_channels) == ("1", True, (0, 0.5))
    assert mine.extra_inputs[0].values == (0, 1)
    assert mine.attribution.tolerance == 1e-4
    assert mine.models["model"].arguments == {"width": 3, "names": ["a", "b"]}
    assert mine.report.title is None


def test_columns_may_go_to_models_by_name_and_to_arguments() -> None:
    table = (
        "analysis\tmodels.a.path\tmodels.b.path\tmodel.class\tmodels.a.arguments.width\tmodels.a.arguments.x"
        "\tsequences.fasta\nmine\tweights.pt2\tmodel.py\tmodel.py:Model\t3\tyes\tsequences.fa\n"
    )
    models = resolve(table).analyses["mine"].models
    assert (models["a"].arguments, models["b"].path) == ({"width": 3, "x": True}, "model.py")


def test_a_sign_that_begins_a_comment_in_yaml_is_part_of_a_name() -> None:
    table = "analysis\tmodel.path\tsequences.bed\tsequences.genome\na\tweights.pt2\tpeaks #2.bed\tgenome.fa\n"
    assert resolve(table).analyses["a"].sequences.bed == "peaks #2.bed"


def test_an_empty_cell_leaves_the_default_and_a_filled_one_goes_over_it() -> None:
    table = "analysis\tsequences.fasta\ttarget\na\tsequences.fa\t\nb\tsequences.fa\t2\n"
    defaults = {"model": {"path": "weights.pt2"}, "target": 5, "references": {"number": 7}}
    analyses = resolve(table, defaults=defaults).analyses
    assert {name: each.target for name, each in analyses.items()} == {"a": 5, "b": 2}
    assert {each.references.number for each in analyses.values()} == {7}


def test_names_are_taken_as_they_are_written() -> None:
    rows = "".join(
        f"{name}\tweights.pt2\tsequences.fa\n" for name in ("2024", "no", "1e5", '"quoted"', "a.b")
    )
    assert [*resolve(SMALLEST + rows).analyses] == ["mine", "2024", "no", "1e5", "quoted", "a.b"]


@pytest.mark.parametrize(
    "written",
    [
        "\ufeff" + SMALLEST,
        SMALLEST.replace("\n", "\r\n"),
        SMALLEST.replace("\n", "\t\t\n"),
        "# made by a script\n" + SMALLEST.replace("\n", "\n\n# half of it\n"),
        SMALLEST.replace("\tsequences.fasta\n", '\t"sequences.fasta"\n').replace("analysis", '"analysis"'),
        SMALLEST.replace("weights.pt2", ' "weights.pt2" '),
        SMALLEST.rstrip("\n"),
    ],
    ids=["mark", "CRLF", "tabs at the end", "comments", "quoted names", "quoted cell", "no last line end"],
)
def test_tables_as_spreadsheets_and_people_write_them_are_read(written: str) -> None:
    assert resolve(written) == resolve(SMALLEST)


def test_what_a_row_lacks_at_its_end_is_empty() -> None:
    assert resolve(with_columns(target="1") + "two\tweights.pt2\tsequences.fa\n").analyses["two"].target == 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            SMALLEST.replace("model.path", "model.pth"),
            "analyses.tsv:1, column model.pth: unknown key; did you mean 'model.path'?",
        ),
        (
            SMALLEST.replace("sequences.fasta", "fasta"),
            "analyses.tsv:1, column fasta: unknown key; did you mean 'references.fasta'?",
        ),
        (
            SMALLEST.replace("model.path", "xyzzy"),
            "column xyzzy: unknown key; columns are keys such as model.path: see config/README.md",
        ),
        (
            with_columns(sequences="{}"),
            "analyses.tsv:1, column sequences: is a section of which another column",
        ),
        (with_columns(target="1").replace("target", "model.path"), "column model.path: is there twice"),
        (
            SMALLEST.replace("\t", ","),
            "analyses.tsv:1: is separated by something else than tabs; save the table as text with tabs",
        ),
        (SMALLEST.replace("\t", ";"), "analyses.tsv:1: is separated by something else than tabs"),
        (
            "#" + SMALLEST,
            "analyses.tsv:2: there is no column 'analysis' among mine, weights.pt2, sequences.fa",
        ),
        (
            SMALLEST + SMALLEST.split("\n")[1],
            'analyses.tsv:3: the analysis "mine" is in line 2 too; give each',
        ),
        (SMALLEST.replace("mine\t", "\t"), "analyses.tsv:2, column analysis: is empty; name the analysis"),
        (SMALLEST.replace("mine\t", "a b\t"), "analyses.tsv:2, column analysis: 'a b' is not a name for an"),
        (
            SMALLEST + SMALLEST.split("\n")[1].replace("mine", "MINE"),
            "analyses.tsv: 'mine' and 'MINE' differ in upper and lower",
        ),
        (SMALLEST.split("\n")[0], "analyses.tsv: has no analyses; write a line for each analysis below"),
        ("", "analyses.tsv:1: there is no column 'analysis'; the first line"),
        (
            SMALLEST.rstrip("\n") + "\tmore\n",
            'analyses.tsv:2: "more" is in column 4, which has no name; check',
        ),
        (with_columns(target="[0"), 'analyses.tsv:2, column target: "[0" is not valid YAML: '),
        (
            with_columns(sequences__length="many"),
            'analyses.tsv:2, column sequences.length: "many" is text; give',
        ),
        (
            with_columns(rule="recale"),
            'analyses.tsv:2, column rule: "recale" is not a choice; did you mean \'re',
        ),
        (
            SMALLEST.replace("sequences.fa\n", "none.fa\n"),
            "analyses.tsv:2, column sequences.fasta: none.fa: no such file; check the path",
        ),
        (
            with_columns(extra_inputs="[{values: [a]}]"),
            "analyses.tsv:2, column extra_inputs[0].values[0]: ",
        ),
        (
            SMALLEST.replace("sequences.fasta", "sequences.bed"),
            "analyses.tsv:2: sequences: 'bed' is given without",
        ),
        (
            "analysis\tmodel.path\nmine\tweights.pt2\n",
            "analyses.tsv:2: the key 'sequences' is missing",
        ),
        (
            SMALLEST.encode().replace(b"mine", b"m\xefne"),
            "analyses: analyses.tsv:2: the byte 0xef is not UTF-8",
        ),
        (SMALLEST.encode("utf-16"), "analyses: analyses.tsv: is UTF-16; save it as UTF-8"),
        (b"PK\x03\x04", "analyses: analyses.tsv: is a zip archive (as Excel's .xlsx is); unpack it, or save"),
    ],
)
def test_a_mistake_in_a_table_is_one_line_with_its_place(table: str | bytes, message: str) -> None:
    assert message in message_of(table)


def test_a_mistake_is_laid_to_the_config_where_it_is_there() -> None:
    assert message_of(SMALLEST, defaults={"target": True}).startswith("my.yaml: defaults.target: true is")
    told = refused_by(lambda: resolve_config({"analyses": "none.tsv"}, "my.yaml"))
    assert told.startswith("my.yaml: analyses: none.tsv: no such file")


def test_check_config_reads_the_table_too() -> None:
    Path("analyses.tsv").write_text(SMALLEST + "two\tweights.pt2\tsequences.fa\n")
    Path("my.yaml").write_text("analyses: analyses.tsv\n")
    assert [line.split(":")[0] for line in check_config_file(Path("my.yaml"))] == ["mine", "two"]
