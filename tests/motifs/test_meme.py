"""MEME's motif format, as its programs and people write it."""

from __future__ import annotations

import gzip
from pathlib import Path

import meme_files
import numpy as np
import pytest

from genolift.errors import InputError
from genolift.motifs.meme import read_meme, write_meme

HEAD = "MEME version 4\n\nALPHABET= ACGT\n\n"
MATRIX = "letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0\n 0.25 0.25 0.5 0.0\n1 0 0 0\n"


Rows = meme_files.Rows


def saved(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def check_motifs(path: Path, *expected: tuple[str, str, Rows]) -> None:
    found = read_meme(path).motifs
    assert [(motif.accession, motif.name) for motif in found] == [one[:2] for one in expected]
    for motif, (_, _, rows) in zip(found, expected, strict=True):
        assert motif.ppm.shape == (4, len(rows))
        np.testing.assert_allclose(motif.ppm.T, rows, atol=2e-6)


CRP, LEX, GATA = meme_files.CRP, meme_files.LEX, meme_files.GATA
WRITTEN = {
    "meme.txt": (meme_files.meme_txt(), [("TGTGA", "MEME-1", CRP), ("TAC", "MEME-2", LEX)]),
    "meme.txt of MEME 3": (meme_files.meme_3_txt(), [("1", "MEME-1", CRP), ("100", "MEME-100", LEX)]),
    "streme.txt": (meme_files.streme_txt(), [("1-TGTGA", "STREME-1", CRP), ("2-RGAT", "STREME-2", GATA)]),
    "dreme.txt": (meme_files.dreme_txt(), [("RGAT", "DREME-1", GATA)]),
    "a query of Tomtom's": (
        meme_files.tomtom_query(),
        [("crp", "alternative", CRP), ("lexA", "lexA", LEX)],
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_the_meme_suite_writes_is_read_motif_by_motif(tmp_path: Path, name: str) -> None:
    text, expected = WRITTEN[name]
    check_motifs(saved(tmp_path / "motifs.txt", text), *expected)


@pytest.mark.parametrize(
    "alphabet",
    [
        "ALPHABET= ACGT\n",
        "ALPHABET= ACGU\n",
        'ALPHABET "DNA"\n',
        "ALPHABET RNA\n",
        meme_files.DNA_BLOCK,
        meme_files.RNA_BLOCK,
        meme_files.DNA_BLOCK.replace("\nEND ALPHABET", f"\n{meme_files.STARS}"),  # as STREME ends it
        "",
    ],
)
def test_dna_and_rna_are_read_however_the_alphabet_is_given(tmp_path: Path, alphabet: str) -> None:
    query = saved(tmp_path / "query.meme", meme_files.tomtom_query(alphabet))
    check_motifs(query, ("crp", "alternative", CRP), ("lexA", "lexA", LEX))
    streme = saved(tmp_path / "streme.txt", meme_files.streme_txt(alphabet))
    check_motifs(streme, ("1-TGTGA", "STREME-1", CRP), ("2-RGAT", "STREME-2", GATA))


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_meme_file_is_read_from_any_editor_and_packed(
    tmp_path: Path, ends: str, encoding: str, packed: bool
) -> None:
    content = meme_files.streme_txt().replace("\n", ends).encode(encoding)
    path = tmp_path / "streme.txt"
    path.write_bytes(gzip.compress(content) if packed else content)
    check_motifs(path, ("1-TGTGA", "STREME-1", CRP), ("2-RGAT", "STREME-2", GATA))


def test_a_matrix_may_have_blank_lines_where_its_width_is_said(tmp_path: Path) -> None:
    text = meme_files.tomtom_query().replace("w= 5", "w=5").replace(" \n 0.058824", " \n\n 0.058824")
    check_motifs(saved(tmp_path / "a.meme", text), ("crp", "alternative", CRP), ("lexA", "lexA", LEX))


def test_an_alphabet_of_more_letters_is_refused(tmp_path: Path) -> None:
    modified = meme_files.DNA_BLOCK.replace(
        'N "Any', 'm "5-Methylcytosine" A0008A ~ 1 "Guanine" 008A8A\nN "Any'
    )
    with pytest.raises(InputError, match="line 3: the alphabet is 'ATCGm1', not ACGT or ACGU"):
        read_meme(saved(tmp_path / "a.meme", meme_files.tomtom_query(modified)))


def test_the_papers_meme_file_is_read(shared: Path) -> None:
    database = read_meme(shared / "paper/motifs.meme")
    assert [motif.accession for motif in database.motifs][:2] == ["TAL1_known1", "GATA_disc1"]
    assert database.motifs[0].ppm.shape == (4, 16)
    np.testing.assert_allclose(database.motifs[0].ppm[:, 5], [0.00025, 0.99925, 0.00025, 0.00025], atol=1e-6)


def test_meme_files_in_every_allowed_layout_are_read(tmp_path: Path) -> None:
    path = tmp_path / "loose.meme"
    head = HEAD.replace("ALPHABET= ACGT", 'ALPHABET "DNA"') + "strands: + -\r\n\n"
    one = "MOTIF one first\nlog-odds matrix: alength= 4 w= 1\n -3 2 2 1\n" + MATRIX + "URL http://x\n"
    two = "MOTIF two\n\n" + MATRIX.replace(" w= 2", "")
    path.write_text("\n" + head + one + two)
    first, second = read_meme(path).motifs
    assert (first.accession, first.name) == ("one", "first")
    assert (second.accession, second.name) == ("two", "two")
    np.testing.assert_allclose(first.ppm, [[0.25, 1], [0.25, 0], [0.5, 0], [0, 0]])
    np.testing.assert_array_equal(first.ppm, second.ppm)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: is not a MEME file"),
        (">fasta\nACGT\n", "line 1: is not a MEME file"),
        ("MOTIF a\n" + MATRIX + HEAD, "line 1: is not a MEME file: there is no line 'MEME version 4' before"),
        (HEAD, "holds no motif"),
        (
            HEAD.replace("ACGT", "ACDEFGHIKLMNPQRSTVWY"),
            "line 3: the alphabet is 'ACDEFGHIKLMNPQRSTVWY', not ACGT or ACGU",
        ),
        (HEAD + MATRIX, "line 5: a matrix before the first MOTIF line"),
        (HEAD + "MOTIF\n" + MATRIX, "line 5: a MOTIF line without a name"),
        (HEAD + "MOTIF a\nMOTIF b\n" + MATRIX, "line 5: motif a has no letter-probability matrix"),
        (HEAD + "MOTIF a\n", "line 5: motif a has no letter-probability matrix"),
        (HEAD + "MOTIF a\n" + MATRIX.replace("w= 2", "w= 3"), "line 6: the matrix has 2 rows, not w= 3"),
        (HEAD + "MOTIF a\n" + MATRIX.replace("1 0 0 0", "1 0 0"), "line 8: a row of 3 numbers"),
        (
            HEAD + "MOTIF a\n" + MATRIX.replace("1 0 0 0", "1 0 0 O"),
            "line 8: not a row of numbers: '1 0 0 O'",
        ),
        (
            HEAD + "MOTIF a\n" + MATRIX.replace("1 0 0 0", "7 0 2 9"),
            "line 8: probabilities that add up to 18, not 1: '7 0 2 9'",
        ),
        (HEAD + "MOTIF a\n" + MATRIX.replace("1 0 0 0", "1.5 0 0 -0.5"), "line 8: a probability below 0"),
        (HEAD + "MOTIF a\n" + MATRIX.replace("1 0 0 0", "1,0 0 0 0"), "line 8: not a row of numbers: '1,0 0"),
        (HEAD + "MOTIF a\n" + MATRIX.replace("w= 2", "w= 1"), "line 8: the matrix has more rows than w= 1"),
        (HEAD + "MOTIF a\n" + MATRIX + "\n1 0 0 0\n", "line 10: the matrix has more rows than w= 2"),
        (HEAD + "MOTIF a\n" + MATRIX + "0.4\n1 0 0 0\n", "line 9: the matrix has more rows than w= 2"),
        (
            HEAD + "MOTIF a\n" + MATRIX.replace("E= 0", "w= 1 E= 0"),
            "line 6: a heading with a repeated field",
        ),
        (HEAD.replace("ACGT", "TGCA") + "MOTIF a\n" + MATRIX, "line 3: the alphabet is 'TGCA', not ACGT"),
        (
            HEAD + "MOTIF a\n" + MATRIX.replace("w= 2", "") + "\n0 0 0 1\n",
            "line 10: a row of numbers after the matrix",
        ),
        (
            HEAD + "MOTIF a\n" + MATRIX.replace("w= 2", "w= two"),
            "line 6: 'w= two' is not a number of 0 or more",
        ),
        (HEAD + "MOTIF a\n" + MATRIX.replace("w= 2", "w= 0"), "line 6: w= 0 is not a number of positions"),
        (HEAD + "MOTIF a\n" + MATRIX.replace("= 20", "= many"), "line 6: 'nsites= many' is not a number"),
        (HEAD + "MOTIF a\n" + MATRIX.replace("E= 0", "E= -"), "line 6: 'E= -' is not a number"),
        (HEAD + "MOTIF a\n" + MATRIX.replace("alength= 4", "alength= 20"), "line 6: alength= 20, where DNA"),
        (
            HEAD + "MOTIF a\nlog-odds matrix: alength= 4 w= 2\n -3 2 2 1\n -9 1 4 2\n",
            "line 5: motif a has no letter-probability matrix",
        ),
    ],
)
def test_a_damaged_meme_file_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "motifs.meme"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_meme(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_binary_file_is_no_meme_file(tmp_path: Path) -> None:
    path = tmp_path / "motifs.meme"
    path.write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(InputError, match="is an HDF5 file"):
        read_meme(path)


def test_a_written_meme_file_reads_back(tmp_path: Path) -> None:
    ppm = np.array([[0.1, 0.7], [0.2, 0.1], [0.3, 0.1], [0.4, 0.1]])
    write_meme(tmp_path / "out.meme", [("pos_patterns.pattern_0", "GATA1", ppm, 41)])
    (motif,) = read_meme(tmp_path / "out.meme").motifs
    assert (motif.accession, motif.name) == ("pos_patterns.pattern_0", "GATA1")
    np.testing.assert_allclose(motif.ppm, ppm, atol=1e-6)
    assert "nsites= 41" in (tmp_path / "out.meme").read_text()
