"""The report cites what was used."""

from __future__ import annotations

import pyjaspar
import yaml
from places import ROOT

from genolift.report.provenance import jaspar_citation, jaspar_release


def test_the_jaspar_release_that_is_read_is_the_one_cited() -> None:
    release = jaspar_release(f"{pyjaspar.JASPAR_LATEST_RELEASE} CORE vertebrates")
    assert release is not None
    cited = jaspar_citation(release)
    assert cited is not None, f"no article is known of {pyjaspar.JASPAR_LATEST_RELEASE}"
    assert cited["title"].startswith(f"JASPAR {release}: ")
    references = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    (reference,) = (each for each in references if "JASPAR" in each["title"])
    assert (reference["title"], reference["doi"]) == (cited["title"], cited["doi"])
    assert (reference["year"], str(reference["volume"])) == (cited["year"], cited["volume"])


def test_a_file_of_ones_own_is_no_release_whatever_it_is_called() -> None:
    assert jaspar_release("motifs/JASPAR2024_CORE_vertebrates.meme") is None
    assert jaspar_release("JASPAR2024 CORE.meme") is None
    assert jaspar_citation("1999") is None
