"""The rows of ``seqlets.tsv``: each site once, in a motif or in none.

TF-MoDISco is given a seqlet for each site, and uses some of them. These it shifts to where their motif is,
and so over sites that it does not use, and cuts or widens them.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.motifs.discovery import Discovered, Motif
from genolift.motifs.known import Matrix
from genolift.motifs.seqlets import SEQLET
from genolift.motifs.sites import Records
from genolift.motifs.windows import Block, Windows

Row = dict[str, Any]


@dataclass(frozen=True)
class SeqletRows:
    """Seqlets as dictionaries, strongest first: the window's ``row``, ``start`` and ``end`` there, 0-based
    half-open, ``strand``, ``contribution``, the summed ones of its bases, ``motif``, ``site``, and the number
    of ``windows`` that show it.

    Attributes
    ----------
    of_motifs
        As TF-MoDISco trimmed and oriented them, motif by motif.
    loose
        Those of no motif, as first placed.
    shown
        The seqlets of every window as they were placed, `SEQLET`, with the ``site`` of these rows.
    """

    of_motifs: list[Row]
    loose: list[Row]
    shown: Records


def seqlet_rows(found: Discovered, windows: Windows) -> SeqletRows:
    """Return the seqlets of motifs, and those that no motif has: each site once, numbered by place.

    A seqlet of a motif comes from that which was placed nearest to it in its window, each from another. What
    it now covers by more than half, of any window, is of its site.
    """
    placed = np.concatenate([*found.seqlets.strongest.values(), np.empty(0, SEQLET)])
    of_motifs = [
        row
        for motif in found.motifs
        for row in _strongest_first(_of_motif(each, motif) for each in motif.seqlets)
    ]
    # By the number of each placed site, the row that it is in.
    rows = dict(_origins(placed, found.method.seqlet_width, of_motifs))
    covering = _Covering(of_motifs, windows)
    letters, loose = Letters(found.used), []
    for row, start, site in placed[["row", "start", "site"]].tolist():
        if site not in rows:
            end = start + found.method.seqlet_width
            alone = {"motif": "", "row": row, "start": start, "end": end, "strand": "."}
            rows[site] = covering.over(alone) or alone
            if rows[site] is alone:
                alone["contribution"] = float(letters.of(alone)[1].sum(dtype=np.float64))
                loose.append(alone)
    loose = _strongest_first(loose)
    _number(of_motifs + loose, windows)
    shown = np.concatenate([placed, *found.seqlets.elsewhere.values()])
    shown["site"] = [rows[site]["site"] for site in shown["site"].tolist()]
    _count_windows(of_motifs + loose, shown)
    return SeqletRows(of_motifs, loose, shown)


class Letters:
    """The bases of seqlets and what they contribute."""

    def __init__(self, used: Block) -> None:
        self._used = used
        self._at = {row: at for at, row in enumerate(used.rows.tolist())}

    def of(self, row: Mapping[str, Any]) -> tuple[Matrix, Matrix]:
        """Return a seqlet's one-hot sequence and its contributions, (base, position)."""
        part = (self._at[row["row"]], slice(None), slice(row["start"], row["end"]))
        onehot = self._used.onehot[part].astype(np.float32)
        return onehot, onehot * self._used.hypothetical[part]


def _of_motif(seqlet: Any, motif: Motif) -> Row:
    return {
        **{"motif": motif.name, "row": int(seqlet.example_idx)},
        **{"start": int(seqlet.start), "end": int(seqlet.end)},
        "strand": "-" if seqlet.is_revcomp else "+",
        "contribution": float(np.sum(seqlet.contrib_scores, dtype=np.float64)),
    }


def _strongest_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-abs(row["contribution"]), row["row"], row["start"]))


def _origins(placed: Records, width: int, of_motifs: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    """Yield the site that each motif's seqlet was placed at, with the seqlet: in each window the nearest two
    first.
    """
    of_row: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row, start, site in placed[["row", "start", "site"]].tolist():
        of_row[row].append((2 * start + width, site))
    pairs = sorted(
        (abs(twice - row["start"] - row["end"]), at, site)
        for at, row in enumerate(of_motifs)
        for twice, site in of_row[row["row"]]
    )
    given, taken = set(), set()
    for _, at, site in pairs:
        if at not in given and site not in taken:
            given.add(at)
            taken.add(site)
            yield site, of_motifs[at]


class _Covering:
    """Finds the motif's seqlet that shares the most of a stretch, in whatever window."""

    def __init__(self, rows: Sequence[Row], windows: Windows) -> None:
        self._windows = windows
        start, end = _places(rows, windows)
        order = np.lexsort((end, start))
        self._rows = [rows[at] for at in order.tolist()]
        self._start, self._end = start[order].tolist(), end[order].tolist()
        self._longest = int((end - start).max(initial=0))

    def over(self, row: Row) -> Row | None:
        """Return that which shares more than half of the shorter of the two, or None."""
        (start,), (end,) = (ends.tolist() for ends in _places([row], self._windows))
        most, found = 0, None
        for at in range(bisect_left(self._start, start - self._longest), bisect_left(self._start, end)):
            shared = min(end, self._end[at]) - max(start, self._start[at])
            shorter = min(end - start, self._end[at] - self._start[at])
            if 2 * shared > shorter and shared > most:
                most, found = shared, self._rows[at]
        return found


def _places(rows: Sequence[Row], windows: Windows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where seqlets are in the coordinates that all windows share."""
    row, start, end = (np.array([each[name] for each in rows], np.int64) for name in ("row", "start", "end"))
    return windows.shared(row, start, end)


def _number(rows: Sequence[Row], windows: Windows) -> None:
    """Give each row its ``site``, a number by its place."""
    start, end = _places(rows, windows)
    rank = windows.rank[np.array([row["row"] for row in rows], np.int64)]
    for site, at in enumerate(np.lexsort((rank, end, start)).tolist()):
        rows[at]["site"] = site


def _count_windows(rows: Sequence[Row], shown: Records) -> None:
    """Give each row the number of ``windows`` that show its site."""
    seen = np.unique(shown[["site", "row"]])
    counts = np.bincount(seen["site"], minlength=len(rows))
    for row in rows:
        row["windows"] = max(1, int(counts[row["site"]]))
