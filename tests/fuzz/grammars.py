"""Grammars of the text formats: what people write, what tools write, and what is almost right."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy, composite

_ALL = tuple(HealthCheck)


def drawn(strategy: SearchStrategy[bytes], number: int, count: int) -> list[bytes]:
    """Return about ``count`` texts, always the same for one ``number``."""
    texts: list[bytes] = []

    @seed(number)
    @settings(
        max_examples=count, database=None, phases=[Phase.generate], deadline=None, suppress_health_check=_ALL
    )
    @given(strategy)
    def keep(text: bytes) -> None:
        texts.append(text)

    keep()
    return texts


def _often(usual: SearchStrategy[Any], *others: Any) -> SearchStrategy[Any]:
    """Return a usual value mostly, and sometimes one of ``others``."""
    return st.integers(0, 19).flatmap(lambda roll: st.sampled_from(others) if roll == 7 else usual)


_WORD = st.text("abcXYZ019_.:|-/", min_size=1, max_size=8)
_ODD_WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=0, max_size=6)
_NAME = _often(_WORD, "", ".", "chr1", "\x1b[31mred", "é", "a b", "peak 1", "\u2028", "NA", "x" * 400)
_LINE_END = _often(st.just("\n"), "\r\n", "\r", "\n\n", "\n \n")
_ENCODED = _often(st.just("utf-8"), "utf-8-sig", "utf-16", "latin-1", "utf-32")


@composite
def _text(draw: st.DrawFn, lines: SearchStrategy[list[str]]) -> bytes:
    """Return lines with any of the usual line ends, in any of the usual encodings."""
    end = draw(_LINE_END)
    text = end.join(draw(lines)) + draw(_often(st.just(end), "", end + end, "\x1a"))
    return text.encode(draw(_ENCODED), "replace")


@composite
def _fasta_lines(draw: st.DrawFn) -> list[str]:
    letters = draw(
        _often(st.just("ACGT"), "ACGTN", "acgtACGTn", "ACGU", "ACGTRYSWKMBDHV", "ACGT-", "ACGT *x", "ACDEF")
    )
    lines = [*draw(_often(st.just([]), [""], ["; comment"], ["ACGT"], ["# header"]))]
    for number in range(draw(_often(st.integers(1, 6), 0))):
        name = f"{draw(_NAME)}{draw(_often(st.just(number), ''))}"
        before, after = (
            draw(_often(st.just(""), " ", ">", "	")),
            draw(_often(st.just(""), " words", "	")),
        )
        lines.append(f">{before}{name}{after}")
        wrapped = draw(st.lists(st.text(letters, max_size=30), max_size=4))
        lines += wrapped
    return lines


FASTA = _text(_fasta_lines())

_COORDINATE = _often(
    st.integers(0, 400).map(str),
    *(
        "-1",
        "0",
        "1e3",
        "1.0",
        "+7",
        "007",
        "",
        ".",
        "NA",
        "x",
        "1,000",
        "9223372036854775808",
        "9" * 30,
        "١",
        " 5",
    ),
)
_SCORE = _often(st.integers(0, 1000).map(str), ".", "0.5", "-1", "nan", "x", "")
_STRAND = _often(st.sampled_from("+-."), "", "*", "1", "+ ", "forward")
_FLOAT = _often(st.floats(0, 100).map(lambda value: f"{value:.5g}"), "-1", ".", "NA", "inf", "1e-400", "x")
_BED_HEADERS = (
    *(
        "track name=peaks",
        "browser position chr1:1-100",
        "#chrom start end",
        "# words",
        "chrom\tstart\tend",
        "",
    ),
    *(
        "chr\tstart\tend\tlength\tabs_summit",
        "trackx",
        "##gff-version 3",
        "##fileformat=VCFv4.2",
        "Geneid\tChr\tStart",
    ),
)


@composite
def _bed_lines(draw: st.DrawFn, narrow: bool) -> list[str]:
    columns = draw(_often(st.just(10), 11, 12, 20, 9)) if narrow else draw(st.integers(3, 7))
    if draw(st.integers(0, 9)) == 0:
        return draw(_table_lines())
    between = draw(_often(st.just("\t"), " ", "  ", ",", "\t "))
    lines = [draw(st.sampled_from(_BED_HEADERS)) for _ in range(draw(_often(st.just(0), 1, 2)))]
    for _ in range(draw(_often(st.integers(1, 6), 0))):
        start, size = draw(st.integers(0, 300)), draw(st.integers(1, 60))
        ends = (
            [str(start), str(start + size)]
            if draw(st.integers(0, 9))
            else [draw(_COORDINATE), draw(_COORDINATE)]
        )
        name = draw(_often(_NAME, f"summit={start}", "summit=x", "summit=", f"summit={start + size}"))
        row = [
            draw(_often(st.sampled_from(["chr1", "chr2", "1", "MT"]), "", "#chr1", "track", "chr 1")),
            *ends,
            name,
        ]
        row += [draw(_SCORE), draw(_STRAND), draw(_FLOAT), draw(_FLOAT), draw(_FLOAT)]
        row.append(
            draw(
                _often(st.integers(0, size - 1).map(str), "-1", ".", f"{size}", "1.0", "0.5", "NA", "abc", "")
            )
        )
        row += [
            draw(_ODD_WORD) if draw(st.integers(0, 9)) == 0 else str(draw(st.integers(0, 99)))
            for _ in range(10)
        ]
        lines.append(between.join(row[: draw(_often(st.just(columns), 2, 3, 10, columns + 1))]))
    return lines


_PLACE, _NAMED = "{chrom}\t{start}\t{end}", "{name}\t{chrom}\t{start}\t{end}\t{strand}"
_TABLE_HEADERS = {
    "chr\tstart\tend\tlength\tabs_summit\tpileup\tname": _PLACE + "\t{size}\t{start}\t1.5\t{name}",
    "chr\tstart\tend\tlength\tpileup\tname": _PLACE + "\t{size}\t1.5\t{name}",
    "seqnames\tstart\tend\twidth\tstrand\tname": _PLACE + "\t{size}\t*\t{name}",
    "#PeakID (cmd=x)\tchr\tstart\tend\tstrand": _NAMED,
    "GeneID\tChr\tStart\tEnd\tStrand": _NAMED,
    "": _NAMED,
    "##gff-version 3": "{chrom}\tx\tpeak\t{start}\t{end}\t.\t{strand}\t.\tID={name}",
    "#bin\tchrom\tchromStart\tchromEnd\tname": "585\t" + _PLACE + "\t{name}",
}
"""Tables that are not BED, by their header, with a row of each."""


@composite
def _table_lines(draw: st.DrawFn) -> list[str]:
    header = draw(st.sampled_from(sorted(_TABLE_HEADERS)))
    lines = [*draw(st.sampled_from([[], ["# words", ""]])), *([header] if header else [])]
    for _ in range(draw(st.integers(1, 5))):
        start, size = draw(st.integers(1, 300)), draw(st.integers(1, 60))
        values = {
            "chrom": draw(st.sampled_from(["chr1", "2"])),
            "start": start,
            "end": start + size,
            "size": size + 1,
        }
        row = _TABLE_HEADERS[header].format(**values, name=draw(_NAME), strand=draw(_STRAND))
        lines.append(row.rpartition("\t")[0] if draw(st.integers(0, 19)) == 0 else row)
    return lines


BED, NARROW_PEAK = _text(_bed_lines(narrow=False)), _text(_bed_lines(narrow=True))

_MEME_HEADERS = (
    "MEME version 4",
    "MEME version 5.5.5",
    "MEME Version 4",
    "MEME version",
    "MEME",
    "meme version 4",
    "",
)


@composite
def _meme_lines(draw: st.DrawFn) -> list[str]:
    lines = draw(_often(st.just([]), ["*" * 20, "STREME - words", "*" * 20], ["# words"], [""]))
    lines = [*lines, draw(_often(st.just("MEME version 4"), *_MEME_HEADERS)), ""]
    lines += draw(
        _often(
            st.just(["ALPHABET= ACGT", ""]),
            [],
            ["ALPHABET= ACGU"],
            ['ALPHABET "DNA" DNA-LIKE', 'A "Adenine" CC0000 ~ T "Thymine" 008000', "C ~ G", "END ALPHABET"],
            ["ALPHABET= ACDEFGHIKLMNPQRSTVWY"],
            ["ALPHABET= TGCA"],
        )
    )
    lines += draw(st.sampled_from([[], ["strands: + -", ""], ["strands: +"]]))
    lines += draw(st.sampled_from([[], ["Background letter frequencies", "A 0.3 C 0.2 G 0.2 T 0.3", ""]]))
    for number in range(draw(_often(st.integers(1, 4), 0))):
        lines += _motif(draw, number)
    return lines


def _motif(draw: st.DrawFn, number: int) -> list[str]:
    name = f"{draw(_NAME)}{draw(_often(st.just(number), ''))}"
    lines = [f"MOTIF {name}{draw(_often(st.sampled_from(['', ' alt', ' a b']), ' é'))}", ""]
    width = draw(st.integers(1, 6))
    told = draw(_often(st.just(width), width + 1, max(0, width - 1), 0, -1, 10**20, "x", ""))
    nsites = draw(_often(st.just(20), 0, -1, "1e3", "x"))
    heading = f"letter-probability matrix: alength= 4 w= {told} nsites= {nsites} E= 0"
    lines.append(
        draw(
            _often(
                st.just(heading), "letter-probability matrix:", "letter-probability matrix: alength=4 w=3", ""
            )
        )
    )
    for _ in range(width):
        counts = draw(st.lists(st.integers(0, 20), min_size=4, max_size=4).filter(any))
        row = [f"{count / sum(counts):.6f}" for count in counts]
        if draw(st.integers(0, 29)) == 0:
            row[0] = draw(st.sampled_from(["nan", "-0.5", "x", "", "1e400", "5", "0,5", "inf"]))
        lines.append(draw(_often(st.just(" "), "  ", "\t")).join(row))
    if draw(st.integers(0, 4)) == 0:
        lines += ["", "URL http://example.org"]
    return [*lines, ""]


MEME = _text(_meme_lines())

_SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 3000),
    st.floats(-2, 2),
    _WORD,
    st.sampled_from(
        ["1e-3", "yes", "0x10", "010", "1_000", "12:30:00", "2020-01-01", "~", ".inf", "null", "no", "é"]
    ),
)
_TREE = st.recursive(
    _SCALAR,
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(_WORD | st.integers(0, 9), inside, max_size=3)
    ),
    max_leaves=8,
)
_VALUES: dict[str, SearchStrategy[Any]] = {
    "target": _often(st.sampled_from([0, 1, "GATA1", "0", -1]), 1.5, [0], True),
    "rule": _often(st.sampled_from(["genomics-default", "rescale", "revealcancel"]), "x", 1, True),
    "keep_final_activation": _often(st.booleans(), "no", "off", 0, 1),
    "sequences": _often(
        st.sampled_from(
            [
                {"fasta": "seqs.fa"},
                {"fasta": "seqs.fa", "length": 30, "max_n_fraction": 0},
                {"bed": "peaks.bed", "genome": "seqs.fa", "length": 30, "center": "midpoint"},
                {"bed": "peaks.bed", "genome": "seqs.fa", "length": 30, "use_strand": True},
            ]
        ),
        *(
            {"bed": "peaks.bed"},
            {"fasta": "absent.fa"},
            {"fasta": "seqs.fa", "length": "30"},
            {"fasta": None},
        ),
    ),
    "references": _often(
        st.sampled_from(
            [
                {"kind": "dinucleotide_shuffle", "number": 5},
                {"kind": "zeros"},
                {"seed": 3},
                {"kind": "uniform_shuffle"},
            ]
        ),
        *(
            {"number": 0},
            {"seed": 1.0},
            {"number": "5"},
            {"kind": "base_frequencies", "frequencies": [0.25] * 4},
        ),
    ),
    "attribution": _often(
        st.sampled_from([{"shards": 2}, {"batch_size": "auto"}, {"tolerance": "1e-3"}, {"memory": "2G"}]),
        *({"shards": 10**9}, {"tolerance": "x"}, {"device": "cuda"}, {"batch_size": 10**30}),
    ),
    "motifs": _often(
        st.sampled_from(
            [{"max_seqlets": 100, "window": 30}, {"database": "jaspar:fungi"}, {"preset": "published"}]
        ),
        *({"seed": -1}, {"database": "jaspar:x"}, {"window": 0}),
    ),
    "logos": _often(st.sampled_from([{"number": 3}, None, {}]), {"number": 2.0}, {"number": True}),
    "report": _often(
        st.sampled_from([{"title": "A title: with colon"}, {"title": None}]), {"title": ""}, {"title": 5}
    ),
}


@composite
def _config(draw: st.DrawFn) -> dict[Any, Any]:
    def section(all_of_it: bool) -> dict[str, Any]:
        chosen = {
            key: draw(values)
            for key, values in _VALUES.items()
            if draw(st.integers(0, 3)) == 0 or (all_of_it and key == "sequences")
        }
        if draw(st.integers(0, 14)) == 0:
            chosen[draw(_WORD)] = draw(_TREE)
        if chosen and draw(st.integers(0, 14)) == 0:
            chosen[draw(st.sampled_from(sorted(chosen)))] = draw(_TREE)
        return chosen

    letters = st.text("abcXYZ019_.-", max_size=8).map(lambda text: f"A{text}")
    name = _often(letters, "x" * 300, 5, "a/b", "..", "CON", "é")
    names = draw(st.lists(name, min_size=1, max_size=2, unique_by=str))
    model = draw(
        _often(
            st.just({"path": "model.pt", "class": "model.py:Small"}), {"path": "absent.pt"}, "model.pt", None
        )
    )
    config: dict[Any, Any] = {"analyses": {name: {"model": model, **section(True)} for name in names}}
    if draw(st.booleans()):
        config["defaults"] = section(False)
    if draw(st.integers(0, 3)) == 0:
        config["results"] = draw(_often(st.just("results/x"), 5, "", None, "/"))
    return config


@composite
def _yaml_text(draw: st.DrawFn, values: SearchStrategy[Any]) -> bytes:
    text = yaml.safe_dump(
        draw(values),
        default_flow_style=draw(st.sampled_from([False, None, True])),
        allow_unicode=draw(st.booleans()),
        indent=draw(st.integers(2, 5)),
        width=draw(st.sampled_from([20, 80, 1000])),
        explicit_start=draw(st.booleans()),
        sort_keys=False,
    )
    before = draw(_often(st.just(""), "# words\n", "%YAML 1.1\n---\n", "\n\n", "&a ", "--- !!map\n", "\t"))
    after = draw(
        _often(
            st.just(""), "...\n", "--- {}\n", "defaults: {}\n", "x: *x\n", "y: &y [*y]\n", f"z: {'[' * 3000}"
        )
    )
    return (before + text + after).encode(draw(_ENCODED), "replace")


_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)
_ODD_YAML = (
    *(
        _BOMB,
        "a: &a {b: *a}\n",
        "? [1, 2]\n: x\n",
        "? {a: 1}\n: x\n",
        "a: " + "9" * 5000,
        "a: 0x" + "f" * 5000,
    ),
    *(
        "{" * 3000,
        "- " * 3000,
        "a: !!python/object/apply:os.system [true]",
        "a: !!binary \xff",
        "a: !!set {x, y}",
    ),
    *(
        "<<: {a: 1}\na: 2\n",
        "<<: [x]\n",
        "a: 1\na: 2\n",
        "'a': 1\na: 2\n",
        "1: x\n'1': y\n",
        "a: !!int x",
        "a: !!float x",
    ),
    *(
        "a: !!timestamp x",
        "a: 2020-13-45",
        "a: 99:99:99",
        "a: \0",
        "\0",
        "a: \x1b",
        "a: 'x\n",
        "a: |9\n x\n",
        "@",
        "`",
        "a: %",
    ),
    *(
        "a: !!pairs [x]",
        "a: !!omap [x]",
        "? \n",
        ": \n",
        "!!str : x",
        "a: !<tag:yaml.org,2002:int> '5'",
        "a: 0b12",
        "a: 08",
    ),
)

YAML = st.one_of(
    _yaml_text(st.dictionaries(_WORD | st.integers(0, 99), _TREE, max_size=5)),
    _yaml_text(_config()),
    st.sampled_from(_ODD_YAML).map(lambda text: text.encode("utf-8", "replace")),
)
CONFIG = _yaml_text(_config())
