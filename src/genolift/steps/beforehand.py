"""What an analysis will take of disk and time, told before it starts; without enough disk it does not."""

import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from genolift.errors import InputError
from genolift.explain.handed_on import MOST_BYTES
from genolift.files.whole import write_json
from genolift.inspection.model_check import Checked, Rows
from genolift.inspection.trial_block import seconds_a_pair
from genolift.report import words
from genolift.results.per_base import MOST_BASES
from genolift.settings.costs import Size, disk
from genolift.settings.sections import Settings

_LOG = logging.getLogger("genolift")


@dataclass(frozen=True)
class Beforehand:
    """What an analysis takes: windows, those that are dropped too, their bases, references for each, bytes
    of disk at most, and seconds of attribution by so many threads.
    """

    windows: int
    length: int
    references: int
    disk: int
    seconds: float
    threads: int

    def __str__(self) -> str:
        by = "one thread" if self.threads == 1 else f"{self.threads} threads"
        of_disk = f"{words.size(self.disk)} of disk at most"
        return f"{self.windows:,} windows: {of_disk}, about {in_time(self.seconds)} of attribution by {by}"


def beforehand(
    settings: Settings,
    pairs: tuple[int, int],
    rows: Rows,
    checked: Mapping[str, Checked],
    final: Iterable[str],
) -> Beforehand:
    """Return what an analysis will take, having timed each model.

    Parameters
    ----------
    settings
        The models, and what of them is explained.
    pairs
        How many windows there are, and references for each.
    rows
        Two of the windows.
    checked
        The models, by name.
    final
        The names of the files that the workflow makes of it in the end.
    """
    (windows, references), length = pairs, rows[0].shape[2]
    targets, seqlets = len(settings.every_target), settings.motifs.used["max_seqlets"]
    size = Size(windows, length, references, len(checked), targets, seqlets)
    names = {*final, *(["per_base.parquet"] if windows * length <= MOST_BASES else [])}
    seconds = sum(seconds_a_pair(each.explainer, rows, references) for each in checked.values())
    copies = sum(_bytes_of(spec.files) for spec in settings.models.values())
    needed = round(disk(names, size)) + copies
    return Beforehand(
        windows, length, references, needed, windows * references * seconds, torch.get_num_threads()
    )


def tell(costs: Beforehand, out: Path) -> None:
    """Log what an analysis takes, and write it to a file in its folder, JSON.

    Raises
    ------
    InputError
        If there is less room on its disk, and no contributions are there yet.
    """
    folder = out.absolute().parent
    _LOG.info("%s", costs)
    held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    there = next(each for each in (folder, *folder.parents) if each.exists())
    needed, free = costs.disk - held, shutil.disk_usage(there).free
    if needed > free:
        what = f"the analysis takes up to {words.size(needed)} more of disk, and {words.size(free)} are free"
        if not any(folder.rglob("contributions.h5")):
            missing = words.size(needed - free)
            remedy = f"free {missing} there, or name a folder on a larger disk as 'results' in the config"
            raise InputError(what, where=str(there), remedy=remedy)
        _LOG.warning("%s: %s, if it is computed again", there, what)
    write_json(out, asdict(costs))


def in_time(seconds: float) -> str:
    """Return a time in words, such as 40 min."""
    for unit, size, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 48)):
        if seconds < most * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:,.0f} days"


def _bytes_of(files: Iterable[str]) -> int:
    paths = [Path(file) for file in files]
    every = sum(path.stat().st_size for path in paths if path.is_file())
    return min(every, MOST_BYTES)
