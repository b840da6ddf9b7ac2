"""The papers to cite for what a run used, where that depends on the run. Reads nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Citation:
    """An article."""

    authors: str
    title: str
    journal: str
    volume: str
    pages: str
    year: int
    doi: str


_JASPAR = {
    "2026": Citation(
        "Ovek Baydar D, Rauluseviciute I, Aronsen DR, et al.",
        "JASPAR 2026: expansion of transcription factor binding profiles and integration of deep learning "
        "models",
        "Nucleic Acids Research",
        "54",
        "D184\N{EN DASH}D193",
        2026,
        "10.1093/nar/gkaf1209",
    ),
    "2024": Citation(
        "Rauluseviciute I, Riudavets-Puig R, Blanc-Mathieu R, et al.",
        "JASPAR 2024: 20th anniversary of the open-access database of transcription factor binding profiles",
        "Nucleic Acids Research",
        "52",
        "D174\N{EN DASH}D182",
        2024,
        "10.1093/nar/gkad1059",
    ),
}


def jaspar_release(source: str) -> str | None:
    """Return the year of the JASPAR release that a database's ``source`` names; None for a user's file."""
    found = re.match(r"JASPAR(\d{4}) CORE ", source)
    return found[1] if found else None


def jaspar_citation(release: str) -> Citation | None:
    """Return the article of a JASPAR release, given its year; None for one that is newer than this table."""
    return _JASPAR.get(release)
