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
from genolift.settings.several_targets import TARGETS
from genolift.settings.workflow import whole_of

INDEX, REPORT, LOGS = "index.html", "report.html", "logs"
"""The list, and the report and the folder of the logs in the folder of an analysis or a target."""
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
    results: Path, folders: Sequence[str] = (), failures: Mapping[str, Failure] | None = None
) -> list[Entry]:
    """Return the analyses that have a folder in ``results``, and further ones; of several targets each.

    An analysis is done if its report was made from the files that are there now, whatever the dates.

    Parameters
    ----------
    folders
        The folders of further ones, ``NAME`` or ``NAME/targets/SLUG``; of their analyses no others are there.
    failures
        Of what failed in the run that just ended, by such folders. For others a log is asked that ends with
        an error.

    Raises
    ------
    InputError
        If ``results`` is no folder.
    """
    if not results.is_dir():
        raise InputError("is not a folder", where=str(results), remedy="give the folder that a config names")
    asked = {whole_of(folder)[0] for folder in folders}
    there = [each.name for each in results.iterdir() if each.name not in asked]
    places = [place for name in there for place in _places(results, name)]
    found = [_entry(results, place, failures or {}) for place in sorted({*places, *folders})]
    return sorted(found, key=lambda entry: _ORDER.index(entry.state))


def _has_run(folder: Path) -> bool:
    """Whether a folder is an analysis's or a target's: it has logs, in a run of the workflow, or a report."""
    return not folder.name.startswith(".") and any((folder / name).exists() for name in (LOGS, REPORT))


def _places(results: Path, name: str) -> list[str]:
    """Return the folders of an analysis's targets, and its own if it has none or has a report itself; none of
    a folder that is no analysis's.
    """
    whole = results / name
    targets = [each for each in (whole / TARGETS).glob("*") if _has_run(each)]
    own = [whole] if _has_run(whole) and not (targets and not (whole / REPORT).exists()) else []
    return [each.relative_to(results).as_posix() for each in [*own, *targets]]


def _entry(results: Path, place: str, failures: Mapping[str, Failure]) -> Entry:
    name, slug = whole_of(place)
    folders = dict.fromkeys((results / place, results / name))
    told = failures.get(place) or failures.get(name)
    shown = None if told else _of_report(results / place)
    if shown is not None:
        return Entry(name, DONE, slug, f"{place}/{REPORT}", shown)
    logs = sorted(
        (log for folder in folders for log in (folder / LOGS).glob("*.log")),
        key=lambda log: -log.stat().st_mtime,
    )
    told = told or next((Failure(str(log), line) for log in logs if (line := ended_with(log))), None)
    return Entry(name, FAILED if told else UNFINISHED if logs else WAITING, slug, failure=told)


def _of_report(folder: Path) -> Shown | None:
    """Return what a report says of itself; None if there is none that belongs to the folder's files."""
    told = read_record(folder / REPORT)
    return None if told is None or told.made_from != made_from(folder) else told.shown


def in_words(found: Sequence[Entry]) -> str:
    """Return how many analyses are in which state: ``2 of 4 are done, 1 failed and 1 is not finished.``"""
    number = Counter(entry.state for entry in found)
    one, all_of_them = (
        ("target", "targets") if any(entry.target for entry in found) else ("analysis", "analyses")
    )
    if len(found) == 1:
        return f"The {one} {'' if number[FAILED] else 'is '}{found[0].state}."
    if number[DONE] == len(found):
        return f"{len(found)} {all_of_them} are done." if found else "There is no analysis."
    is_or_are = {state: "is" if number[state] == 1 else "are" for state in number}
    said = [f"{number[DONE] or 'None'} of {len(found)} {all_of_them} {is_or_are.get(DONE, 'is')} {DONE}"]
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
