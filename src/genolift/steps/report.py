"""The report step: one page that shows an analysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genolift.files.output_paths import check_outputs
from genolift.files.whole import whole_file
from genolift.report.page import FILES, render
from genolift.report.results import read_results


@dataclass(frozen=True)
class ReportSummary:
    """What `write_report` put into the page; ``n_bytes`` is the page's size."""

    n_sequences: int
    n_motifs: int
    n_top_sequences: int
    n_bytes: int


def write_report(
    *, results: Path, out: Path, title: str, provenance: Mapping[str, Any] | None = None
) -> ReportSummary:
    """Write one HTML page that shows an analysis and asks for nothing outside itself.

    Parameters
    ----------
    results
        The analysis folder, with the files of docs/architecture.md up to ``logos/``.
    out
        The page to write.
    title
        The page's heading.
    provenance
        What to tell of the run beside what the files tell of themselves; it wins where both do.

    Raises
    ------
    InputError
        If a file is missing, damaged or of another run, or ``out`` may not be written (see `check_outputs`).
    """
    check_outputs([out], inputs=_inputs(Path(results)))
    read = read_results(Path(results), provenance)
    page = render(read, title=title, out=out)
    with whole_file(out) as beside:
        beside.write_text(page, encoding="utf-8")
    n_top = read.logos.loc[read.logos["kind"] == "sequence", "name"].nunique()
    return ReportSummary(len(read.scored), len(read.motifs), n_top, len(page.encode()))


def _inputs(results: Path) -> Iterator[Path]:
    """Yield what the page is made from, as far as it is there."""
    for name in FILES:
        path = results / name
        yield from path.rglob("*") if path.is_dir() else [path]
