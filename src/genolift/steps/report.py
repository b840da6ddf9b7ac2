"""The report step: one page that shows an analysis."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genolift.files.output_paths import check_outputs
from genolift.files.whole import write_text
from genolift.report.page import render
from genolift.report.results import read_results
from genolift.report.texts import texts
from genolift.settings.several_targets import for_all_targets, slug_of


@dataclass(frozen=True)
class ReportSummary:
    """What `write_report` put into the page, and the page's size in bytes."""

    n_sequences: int
    n_motifs: int
    n_top_sequences: int
    n_bytes: int

    def __str__(self) -> str:
        return f"a page of {self.n_sequences} sequences and {self.n_motifs} motifs"


def write_report(
    *, results: Path, out: Path, title: str, provenance: Mapping[str, Any] | None = None
) -> ReportSummary:
    """Write one HTML page that shows an analysis and loads nothing from elsewhere.

    Parameters
    ----------
    results
        The analysis folder, with the files of docs/architecture.md up to ``logos/``.
    out
        The page to write.
    title
        The page's heading.
    provenance
        What to say about the run, in addition to what the files say; preferred where both say something.

    Raises
    ------
    InputError
        If a file is missing, damaged or of another run, or ``out`` may not be written (see `check_outputs`).
    """
    check_outputs([out], inputs=_inputs(Path(results)))
    read = read_results(Path(results), provenance)
    page = render(read, title=title, out=out)
    write_text(out, page)
    n_top = read.logos.loc[read.logos["kind"] == "sequence", "name"].nunique()
    return ReportSummary(len(read.scored), len(read.motifs), n_top, len(page.encode()))


def title_of(folder: Path, given: str | None = None) -> str:
    """Return the title of a page: what is given, else the analysis's name; with the name of one of several
    targets.
    """
    whole, slug = folder.absolute(), slug_of(folder)
    return f"{given or whole.parents[1].name}, {slug}" if slug else given or whole.name


def _inputs(results: Path) -> Iterator[Path]:
    """Yield the existing files that the page is made from."""
    for name in texts("files"):
        path = for_all_targets(results, name)
        yield from path.rglob("*") if path.is_dir() else [path]
