"""Where motifs occur in windows (Fi-NeMo), each site once.

The one place that calls finemo.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.motifs.method import Method
from genolift.motifs.numba_code import kept_by_numba
from genolift.motifs.sites import Extent, Records, each_site_once
from genolift.motifs.windows import Block, Windows

_LOG = logging.getLogger("genolift")
# Each window is fitted separately. On a CPU few at a time are fastest (512 windows of 400 bp, 12 motifs, CPU
# time: 8.2 s by 16, 8.7 by 32, 11.7 by 128); on a GPU Fi-NeMo's own 2,000.
_WINDOWS_AT_A_TIME = {"cpu": 16, "cuda": 2000}
_BETWEEN = {"cpu": 256, "cuda": 2**20}
"""Windows that are fitted before freed memory is given back. On a CPU Fi-NeMo's values, of a megabyte or two
each, spread over more and more of what TF-MoDISco has freed: with 2,621 windows of 400 bp at a time, and 25
motifs, the process took 1.7 GB.
"""
HIT = np.dtype(
    [
        *(("row", np.int32), ("motif", np.int16), ("start", np.int32), ("reverse", np.bool_)),
        *(("similarity", np.float32), ("coefficient", np.float32), ("coefficient_global", np.float32)),
        *(("importance", np.float32), ("importance_sq", np.float32), ("windows", np.int32)),
    ]
)
"""A hit: its window's ``row``; the number of the ``motif``; where the trimmed motif starts in the window,
0-based; whether it reads in ``reverse`` there; Fi-NeMo's figures, all but the similarity, 0 to 1, and the
``coefficient`` in the units of the contributions; and the number of ``windows`` that show the site.
"""


@dataclass(frozen=True)
class SoughtMotifs:
    """Motifs to look for: ``cwms``, each float (base, position), all of one width; and ``trims``, each one's
    start and end in its CWM, 0-based half-open.
    """

    cwms: Sequence[NDArray[np.floating]]
    trims: Sequence[tuple[int, int]]

    @property
    def width(self) -> int:
        """The number of bases of a whole CWM."""
        return self.cwms[0].shape[1]

    @property
    def widths(self) -> NDArray[np.int64]:
        """The number of bases of each trimmed motif, int64 (motif,)."""
        return np.array([end - start for start, end in self.trims], np.int64)

    def untrimmed(self, hits: Records) -> NDArray[np.int64]:
        """Return where the whole CWM of each hit starts in the window, int64 (hit,)."""
        trims = np.array(self.trims, np.int64)[hits["motif"]]
        return hits["start"] - np.where(hits["reverse"], self.width - trims[:, 1], trims[:, 0])


def unique_hits(
    sought: SoughtMotifs,
    windows: Windows,
    method: Method,
    *,
    on_hits: Callable[[Records], None],
    progress: Callable[[int, int], None],
) -> Iterator[Records]:
    """Yield the occurrences of motifs in all windows, each site once, `HIT`, some at a time.

    Where windows overlap, two hits of one motif are one if they overlap by more than half: that in the window
    in which it lies most central. Hits over the end of a chromosome, in a window that was padded, are left
    out. Fi-NeMo runs on the GPU if there is one.

    Parameters
    ----------
    on_hits
        Gets the hits of one block of windows after another, those of every window, before any are yielded.
    """
    from genolift.engine.torch_internals import give_back_freed_memory  # here, since it imports torch

    def found() -> Iterator[Records]:
        unfitted = 0
        for block in windows.blocks() if len(sought.cwms) else ():
            for piece in block.pieces(_BETWEEN[_device()]):
                give_back_freed_memory()
                hits, failed = call_hits(sought, piece, method)
                unfitted += failed
                start = hits["start"].astype(np.int64)
                hits = hits[windows.on_bases(hits["row"], start, start + sought.widths[hits["motif"]])]
                on_hits(hits)
                yield hits
                progress(int(piece.rows[-1]) + 1, len(windows))
            del block, piece, hits  # before the next are read
        if unfitted:
            _LOG.warning("Fi-NeMo's fit did not converge for %d of %d windows", unfitted, len(windows))

    def extent(hits: Records) -> Extent:
        start = hits["start"].astype(np.int64)
        end = start + sought.widths[hits["motif"]]
        return Extent(hits["motif"], start, end, hits["coefficient_global"])

    for hits, _ in each_site_once(found(), windows, extent):
        yield hits[hits["windows"] > 0]


def call_hits(sought: SoughtMotifs, block: Block, method: Method) -> tuple[Records, int]:
    """Return the occurrences of motifs in some windows, and the number of windows whose fit did not converge.

    A window's contributions are fitted as a sparse sum of the motifs' trimmed CWMs in both orientations
    (finemo's ``hitcaller``), made sparse by ``method.hit_lambda``; the contributions of a hit have at least
    the cosine similarity ``method.hit_similarity`` with the CWM. A palindromic motif is found on both strands
    at the same place: if hits of one motif on different strands overlap by more than half, only the one with
    the larger coefficient is kept, the forward one if they are equal.

    Returns
    -------
    hits
        `HIT` for each, sorted by row, start, motif and strand.
    unfitted
        The number of windows.
    """
    both, masks = _both_orientations(sought)
    found, unfitted = _fit(both, masks, block, method)
    motif, reverse = np.divmod(found["motif_id"].astype(np.int64), 2)
    # Trimmed bases may not extend beyond an end: the whole CWM is placed within the window.
    trims = np.array(sought.trims, np.int64)[motif]
    within = np.where(reverse == 1, both.shape[2] - trims[:, 1], trims[:, 0])
    scale = found["global_scale"]
    hits = np.empty(len(motif), HIT)
    columns = {
        "row": block.rows[found["peak_id"].astype(np.int64)],
        "motif": motif,
        "start": found["hit_start"].astype(np.int64) + within,
        "reverse": reverse == 1,
        "similarity": np.clip(found["hit_similarity"], 0.0, 1.0),
        "coefficient": found["hit_coefficient"],
        "coefficient_global": found["hit_coefficient"] * scale**2,
        "importance": found["hit_importance"] * scale,
        "importance_sq": found["hit_importance_sq"] * scale**2,
        "windows": 1,
    }
    for name, values in columns.items():
        hits[name] = values
    hits = hits[np.lexsort((hits["reverse"], hits["motif"], hits["start"], hits["row"]))]
    return _one_strand_each(hits, sought.widths), unfitted


def _both_orientations(sought: SoughtMotifs) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return CWMs with unit norm, each followed by its reverse complement, and masks of trimmed bases."""
    matrices, masks = [], []
    for cwm, (start, end) in zip(sought.cwms, sought.trims, strict=True):
        unit = np.asarray(cwm, np.float32) / np.sqrt(np.square(cwm).sum())
        mask = np.zeros(unit.shape[1], np.int8)
        mask[start:end] = 1
        matrices += [unit, unit[::-1, ::-1]]
        masks += [mask, mask[::-1]]
    return np.stack(matrices), np.stack(masks)


def _fit(
    cwms: NDArray[np.float32], masks: NDArray[np.int8], block: Block, method: Method
) -> tuple[dict[str, NDArray[Any]], int]:
    """Call Fi-NeMo and return its table of hits that are similar enough, as arrays, with the ``global_scale``
    by which the window of each was divided, and the number of windows that it did not converge for.
    """
    import torch
    from finemo import hitcaller

    device = torch.device(_device())
    with warnings.catch_warnings(record=True) as caught, kept_by_numba():
        warnings.simplefilter("always")
        table, fits = hitcaller.fit_contribs(
            cwms,
            block.hypothetical,
            block.onehot,
            masks,
            use_hypothetical=False,
            lambdas=np.full(len(cwms), method.hit_lambda, np.float32),
            max_steps=method.hit_steps,
            post_filter=False,  # its filter asks for a similarity of lambda
            batch_size=min(_WINDOWS_AT_A_TIME[device.type], len(block.rows)),
            device=device,
        )
    unfitted = sum(str(one.message).startswith(("Region ", "Optimizer failed")) for one in caught)
    similar = table["hit_similarity"].to_numpy() >= np.float32(method.hit_similarity)
    found = {name: table[name].to_numpy()[similar] for name in table.columns}
    scale = np.empty(len(block.rows), np.float32)
    scale[fits["peak_id"].to_numpy()] = fits["global_scale"].to_numpy()
    return found | {"global_scale": scale[found["peak_id"]]}, unfitted


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _one_strand_each(hits: Records, widths: NDArray[np.int64]) -> Records:
    drop = np.zeros(len(hits), bool)
    end = (hits["start"] + widths[hits["motif"]]).tolist()
    row, motif, start = (hits[name].tolist() for name in ("row", "motif", "start"))
    reverse, coefficient = hits["reverse"].tolist(), hits["coefficient"].tolist()
    last: dict[tuple[int, int, bool], int] = {}
    for at in range(len(hits)):
        other = last.get((row[at], motif[at], not reverse[at]))
        last[row[at], motif[at], reverse[at]] = at
        if other is None or drop[other] or 2 * (end[other] - start[at]) <= end[at] - start[at]:
            continue
        forward, backward = (other, at) if reverse[at] else (at, other)
        drop[backward if coefficient[forward] >= coefficient[backward] else forward] = True
    return hits[~drop]
