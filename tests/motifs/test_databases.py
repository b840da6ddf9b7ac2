"""Databases of known motifs: JASPAR, and how to name one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genolift.errors import InputError
from genolift.motifs.databases import read_database
from genolift.motifs.known import Database
from genolift.motifs.meme import read_meme


@pytest.fixture(scope="module")
def vertebrates() -> Database:
    return read_database("jaspar:vertebrates")


def test_jaspar_is_its_newest_release_with_each_motif_once(vertebrates: Database, shared: Path) -> None:
    assert vertebrates.source == "JASPAR2026 CORE vertebrates"
    from_file = {
        motif.accession: motif for motif in read_meme(shared / "human/jaspar_vertebrates.meme").motifs
    }
    assert len(vertebrates.motifs) == len(from_file)
    for motif in vertebrates.motifs:
        assert motif.name == from_file[motif.accession].name
        np.testing.assert_allclose(motif.ppm, from_file[motif.accession].ppm, atol=2e-6)


@pytest.mark.parametrize("name", ["jaspar:fungi", "JASPAR:Fungi"])
def test_other_groups_of_jaspar_are_read_too_in_any_case(name: str, shared: Path) -> None:
    fungi = {motif.accession for motif in read_database(name).motifs}
    assert fungi == {motif.accession for motif in read_meme(shared / "yeast/jaspar_fungi.meme").motifs}


def test_an_unknown_group_is_refused_with_the_nearest_right_one() -> None:
    with pytest.raises(
        InputError, match=r"no taxonomic group 'vertebrate'; did you mean jaspar:vertebrates\?"
    ):
        read_database("jaspar:vertebrate")
    with pytest.raises(InputError, match=r"its groups are .*fungi.*plants.*vertebrates"):
        read_database("jaspar")


def test_a_missing_database_is_named() -> None:
    with pytest.raises(InputError, match=r"motif database: nowhere\.meme: no such file"):
        read_database("nowhere.meme")
