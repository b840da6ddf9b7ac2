"""The index step: one page that lists all analyses of a results folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from genolift.files.output_paths import check_outputs
from genolift.files.whole import write_text
from genolift.report.index import INDEX, Entry, Failure, check_index, entries, render


def write_index(
    results: Path, folders: Sequence[str] = (), failures: Mapping[str, Failure] | None = None
) -> list[Entry]:
    """Write ``index.html`` into a results folder and return what it lists.

    Parameters
    ----------
    folders, failures
        As `genolift.report.index.entries` takes them.

    Raises
    ------
    InputError
        If there is no such folder, it has no analyses, or its ``index.html`` is not ours.
    """
    found = entries(results, folders, failures)
    out = results / INDEX
    check_outputs([out], inputs=[])
    check_index(out)
    write_text(out, render(results, found))
    return found
