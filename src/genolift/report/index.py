"""The page that lists all analyses of a results folder: how far each is, what it found, its report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genolift.errors import InputError
from genolift.report.record import Shown, made_from, read_record
from genolift.results.step_logs import ended_with

INDEX, REPORT = "index.html", "report.html"
DONE, FAILED, UNFINISHED, WAITING = "done", "failed", "not finished", "not run yet"
_ORDER = (FAILED, UNFINISHED, WAITING, DONE)
_MARK = b'<meta name="generator" content="genolift">'


@dataclass(frozen=True)
class Failure:
    """What went wrong in a step: its log, and the line that says it."""

    log: str
    line: str


@dataclass(frozen=True)
class Entry:
    """An analysis, or one of its targets, in the list.

    Attributes
    ----------
    name
        Of the analysis, which is its folder's.
    target
        The folder's name of one of several targets, else empty.
    state
        `DONE`, `FAILED`, `UNFINISHED` or `WAITING`.
    report
        The path of its report from the results folder, empty if it has none.
    shown
        What the report says of itself for this list, None without one.
    failure
        What went wrong, if anything did.
    """

    name: str
    state: str
    target: str = ""
    report: str = ""
    shown: Shown | None = None
    failure: Failure | None = None


def entries(
    results: Path, analyses: Sequence[str] = (), failures: Mapping[str, Failure] | None = None
) -> list[Entry]:
    """Return the analyses that have a folder in ``results``, and further ones by name.

    An analysis is done if its report was made from the files that are there now, whatever the dates.

    Parameters
    ----------
    failures
        Of analyses that failed in the run that just ended, by name. For others a log is asked that ends with
        an error.

    Raises
    ------
    InputError
        If ``results`` is no folder.
    """
    if not results.is_dir():
        raise InputError("is not a folder", where=str(results), remedy="give the folder that a config names")
    there = [folder.name for folder in results.iterdir() if _is_analysis(folder)]
    found = []
    for name in sorted({*there, *analyses}):
        found += _entries(results, name, (failures or {}).get(name))
    return sorted(found, key=lambda entry: _ORDER.index(entry.state))


def _is_analysis(folder: Path) -> bool:
    """Whether a folder is an analysis's: every one has logs, in a run of the workflow, or a report."""
    return not folder.name.startswith(".") and any((folder / name).exists() for name in ("logs", REPORT))


def _entries(results: Path, name: str, failure: Failure | None) -> list[Entry]:
    folder = results / name
    targets = sorted(page.parent for page in folder.glob(f"targets/*/{REPORT}"))
    made = [_of_report(results, name, each, failure) for each in targets or [folder]]
    if all(entry is not None for entry in made):
        return [entry for entry in made if entry is not None]
    logs = sorted((folder / "logs").glob("*.log"), key=lambda log: -log.stat().st_mtime)
    told = failure or next((Failure(str(log), line) for log in logs if (line := ended_with(log))), None)
    state = FAILED if told else UNFINISHED if logs else WAITING
    return [entry or Entry(name, state, failure=told) for entry in made]


def _of_report(results: Path, name: str, folder: Path, failure: Failure | None) -> Entry | None:
    """Return the entry of a folder whose report belongs to its files; None if it has none."""
    told = read_record(folder / REPORT)
    if told is None or failure is not None or told.made_from != made_from(folder):
        return None
    place = folder.relative_to(results).as_posix()
    target = folder.name if folder.name != name else ""
    return Entry(name, DONE, target, f"{place}/{REPORT}", told.shown)


def in_words(found: Sequence[Entry]) -> str:
    """Return how many analyses are in which state: ``2 of 4 are done, 1 failed and 1 is not finished.``"""
    number = Counter(entry.state for entry in found)
    if len(found) == 1:
        return f"The analysis {'' if number[FAILED] else 'is '}{found[0].state}."
    if number[DONE] == len(found):
        return f"{len(found)} analyses are done." if found else "There is no analysis."
    is_or_are = {state: "is" if number[state] == 1 else "are" for state in number}
    said = [f"{number[DONE] or 'None'} of {len(found)} analyses {is_or_are.get(DONE, 'is')} {DONE}"]
    said += [f"{number[FAILED]} {FAILED}"] * bool(number[FAILED])
    for state in (UNFINISHED, WAITING):
        said += [f"{number[state]} {is_or_are[state]} {state}"] if number[state] else []
    return f"{', '.join(said)}."


def render(results: Path, found: Sequence[Entry]) -> str:
    """Return the page, whose links are relative to ``results``, where it is to be."""
    from genolift.report.template import allowed, asset, filled  # a dry run needs no templates

    style = asset("page.css", "index.css")
    rows = [{"entry": entry, "links": _links(entry), "log": _link(results, entry.failure)} for entry in found]
    title = results.resolve().name
    return filled(
        "index.html", title=title, summary=in_words(found), rows=rows, style=style, style_hash=allowed(style)
    )


def _links(entry: Entry) -> dict[str, Any]:
    """Return the addresses of an entry's report and of the motifs in it."""
    report = quote(entry.report)
    folder = report.removesuffix(REPORT)
    motifs = [
        {"shown": motif, "picture": f"{folder}{quote(motif.logo)}" if motif.logo else ""}
        for motif in (entry.shown.motifs if entry.shown else [])
    ]
    return {"report": report, "motifs": motifs}


def _link(results: Path, failure: Failure | None) -> str:
    """Return the address of a log that is in the results folder."""
    if failure is None or not Path(failure.log).is_relative_to(results):
        return ""
    return quote(Path(failure.log).relative_to(results).as_posix())


def check_index(path: Path) -> None:
    """Raise `InputError` if there is a page that we did not write, which would be replaced."""
    try:
        with path.open("rb") as file:
            ours = _MARK in file.read(2**16)
    except FileNotFoundError:
        return
    except OSError:
        ours = False
    if not ours:
        remedy = "move it elsewhere, or choose another folder for the results"
        raise InputError("is not a list of analyses, and would be replaced", where=str(path), remedy=remedy)
