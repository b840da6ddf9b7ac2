"""TF-MoDISco: from contributions to seqlets and motifs.

The one place, with `seqlets` and `modisco`, that calls the package ``modisco-lite``. Its arrays are
(position, base); ours are (base, position).
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from genolift.errors import InputError
from genolift.motifs.known import Matrix
from genolift.motifs.method import Method
from genolift.motifs.numba_code import cache_compiled_code, kept_by_numba, numba_threads
from genolift.motifs.seqlets import SIGNS, FoundSeqlets
from genolift.motifs.sites import Extent, Records, stretches, unique_sites
from genolift.motifs.windows import Block, Windows

_LOG = logging.getLogger("genolift")
_SIGN_WORDS = {"pos": "which raise the output", "neg": "which lower it"}


@dataclass(frozen=True)
class Motif:
    """A motif: TF-MoDISco's ``name``, matrices (base, position) by kind, and the trimmed range.

    ``seqlets`` are TF-MoDISco's: ``example_idx`` is the window's row, and ``start``, ``end``, ``is_revcomp``.
    """

    name: str
    matrices: Mapping[str, Matrix]
    trim: tuple[int, int]
    seqlets: Sequence[Any]

    def trimmed(self, kind: str) -> Matrix:
        """Return its trimmed matrix of a kind: ``ppm``, ``cwm`` or ``hcwm``."""
        return self.matrices[kind][:, slice(*self.trim)]

    @property
    def strength(self) -> float:
        """The absolute contribution of all its seqlets, within the trimmed motif."""
        return float(np.abs(self.trimmed("cwm")).sum()) * len(self.seqlets)


@dataclass(frozen=True)
class Discovered:
    """What TF-MoDISco found.

    Attributes
    ----------
    seqlets
        The seqlets that were placed.
    used
        The windows that have any of the strongest of them.
    patterns
        TF-MoDISco's, by sign.
    method
        How it was asked to look.
    """

    seqlets: FoundSeqlets
    used: Block
    patterns: Mapping[str, list[Any]]
    method: Method

    @property
    def motifs(self) -> list[Motif]:
        """The patterns as motifs, strongest first."""
        return sorted(as_motifs(self.patterns, self.method.trim_fraction), key=lambda motif: -motif.strength)


def discover(seqlets: FoundSeqlets, windows: Windows, method: Method, *, threads: int) -> Discovered:
    """Return the patterns of seqlets of these windows.

    With too few seqlets for a pattern, or none, there are no patterns. Results depend neither on ``threads``
    nor on the order of the windows.

    Raises
    ------
    InputError
        If no seqlet of a motif has room for ``method.final_flank_to_add``.
    """
    cache_compiled_code()
    rows = np.unique(np.concatenate([each["row"] for each in seqlets.strongest.values()])).astype(np.int64)
    used = windows.read(rows)
    with numba_threads(threads):
        patterns = _patterns(seqlets.strongest, used, windows, method)
    return Discovered(seqlets, used, patterns, method)


def _patterns(
    strongest: Mapping[str, Records], used: Block, windows: Windows, method: Method
) -> dict[str, list[Any]]:
    """Return TF-MoDISco's patterns by sign, with seqlets of different sites that know their window's row."""
    if not len(used.rows):
        return {sign: [] for sign in SIGNS}
    # In an order that does not depend on that of the rows, since sums are rounded in order.
    order = np.argsort(windows.rank[used.rows])
    rows = used.rows[order]
    tracks = tracks_of(used, order)
    at = np.empty(len(windows), np.int32)
    at[rows] = np.arange(len(rows))
    patterns: dict[str, list[Any]] = {}
    for sign, seqlets in strongest.items():
        if not method.enough(len(seqlets)):
            patterns[sign] = []
            continue
        _LOG.info("looking for motifs among %d seqlets, %s", len(seqlets), _SIGN_WORDS[sign])
        found = patterns_of_sign(seqlets, at, tracks, sign, method)
        patterns[sign] = _of_different_sites(found, rows, tracks, windows, method)
        for pattern in patterns[sign]:
            for seqlet in pattern.seqlets:
                seqlet.example_idx = int(rows[seqlet.example_idx])
    return patterns


def tracks_of(used: Block, order: NDArray[np.int64]) -> Any:
    """Return TF-MoDISco's tracks, float32 (window, position, base), which its fast kernels ask for."""
    from modiscolite import core

    onehot = np.ascontiguousarray(used.onehot[order].transpose(0, 2, 1), np.float32)
    hypothetical = np.ascontiguousarray(used.hypothetical[order].transpose(0, 2, 1), np.float32)
    return core.TrackSet(
        one_hot=onehot, contrib_scores=onehot * hypothetical, hypothetical_contribs=hypothetical
    )


def patterns_of_sign(
    seqlets: Records, at: NDArray[np.int32], tracks: Any, sign: str, method: Method
) -> list[Any]:
    """Return TF-MoDISco's patterns for seqlets of one sign, largest first.

    ``at`` says for each row of the seqlets which of the ``tracks`` it is.
    """
    from modiscolite import core, tfmodisco

    width = method.seqlet_width
    placed = [
        core.Seqlet(example_idx=int(at[row]), start=start, end=start + width, is_revcomp=False)
        for row, start in zip(seqlets["row"].tolist(), seqlets["start"].tolist(), strict=True)
    ]
    try:
        # With few seqlets correlations between their neighbours are undefined; they are then set aside.
        with np.errstate(all="ignore"), kept_by_numba():
            return (
                tfmodisco.seqlets_to_patterns(
                    seqlets=tracks.create_seqlets(placed),
                    track_set=tracks,
                    track_signs=SIGNS[sign],
                    trim_to_window_size=method.trim_to_window_size,
                    initial_flank_to_add=method.initial_flank_to_add,
                    final_flank_to_add=method.final_flank_to_add,
                    nearest_neighbors_to_compute=method.nearest_neighbors_to_compute,
                    n_leiden_runs=method.n_leiden_runs,
                    final_min_cluster_size=method.final_min_cluster_size,
                )
                or []
            )
    except ValueError as error:
        # The clustering's error if that has set all seqlets aside; any other ValueError is a bug.
        if not str(error).startswith("need at least one array to concatenate"):
            raise
        return []
    except AttributeError as error:
        # It goes on with a pattern of which no seqlet had room for the bases that are added in the end.
        if not method.final_flank_to_add:
            raise
        raise InputError(
            f"a motif has no seqlet with {method.final_flank_to_add} more bases on either side in its window",
            where="motifs.final_flank_to_add",
            remedy="give less",
        ) from error


def _of_different_sites(
    patterns: list[Any], rows: NDArray[np.int64], tracks: Any, windows: Windows, method: Method
) -> list[Any]:
    """Return the patterns without seqlets that TF-MoDISco has shifted onto the site of another window's.

    Both the whole seqlets are compared and what their patterns are trimmed to. Patterns with too few seqlets
    left are dropped.
    """
    from modiscolite import core

    every = [(number, seqlet) for number, pattern in enumerate(patterns) for seqlet in pattern.seqlets]
    if not every:
        return []
    trims = [trim(np.asarray(pattern.contrib_scores).T, method.trim_fraction) for pattern in patterns]
    row = rows[[seqlet.example_idx for _, seqlet in every]]
    strength = np.array([abs(float(seqlet.contrib_scores.sum())) for _, seqlet in every])
    kept = np.ones(len(row), bool)
    for ends in (
        [_inner(seqlet, trims[number]) for number, seqlet in every],
        [(seqlet.start, seqlet.end) for _, seqlet in every],
    ):
        start, end = np.array(ends, np.int64)[kept].T
        extent = Extent(np.zeros(len(start), np.int8), start, end, strength[kept])
        stands, _ = unique_sites(stretches(windows, row[kept], extent))
        kept[kept] = stands == np.arange(len(stands))
    different, first = [], 0
    for pattern in patterns:
        mine = kept[first : first + len(pattern.seqlets)]
        first += len(pattern.seqlets)
        if mine.all():
            different.append(pattern)
        elif mine.sum() >= method.final_min_cluster_size:
            left = [seqlet for seqlet, stays in zip(pattern.seqlets, mine, strict=True) if stays]
            again = core.SeqletSet(left, track_set=tracks)
            again._set_subclusters(np.asarray(pattern.subclusters)[mine], track_set=tracks)
            different.append(again)
    return different


def _inner(seqlet: Any, trimmed: tuple[int, int]) -> tuple[int, int]:
    """Return where the trimmed motif starts and ends in a seqlet's window."""
    first, last = trimmed
    if seqlet.is_revcomp:
        return seqlet.end - last, seqlet.end - first
    return seqlet.start + first, seqlet.start + last


def trim(cwm: Matrix, fraction: float) -> tuple[int, int]:
    """Return start and end, 0-based half-open, of a CWM, (base, position), without its weak ends.

    A position is weak if its absolute contribution is below ``fraction`` of the largest, as in TF-MoDISco's
    report. A CWM of zeros is not trimmed.
    """
    sizes = np.abs(cwm).sum(0)
    kept = np.flatnonzero(sizes >= fraction * sizes.max())
    return int(kept[0]), int(kept[-1]) + 1


def as_motifs(patterns: Mapping[str, Sequence[Any]], trim_fraction: float) -> Iterator[Motif]:
    """Yield TF-MoDISco's patterns, given by sign, as motifs."""
    for sign, found in patterns.items():
        for number, pattern in enumerate(found):
            counts = np.asarray(pattern.sequence, np.float64).T
            matrices = {
                "ppm": counts / np.maximum(counts.sum(0, keepdims=True), 1e-9),
                "cwm": np.asarray(pattern.contrib_scores, np.float64).T,
                "hcwm": np.asarray(pattern.hypothetical_contribs, np.float64).T,
            }
            kept = trim(matrices["cwm"], trim_fraction)
            yield Motif(f"{sign}_patterns.pattern_{number}", matrices, kept, pattern.seqlets)


def save_patterns(
    path: Path, found: Discovered, *, width: int, note: str, provenance: Mapping[str, Any]
) -> None:
    """Write ``motifs.h5`` in TF-MoDISco's own layout, and our two attributes next to ``window_size``."""
    from modiscolite import io

    # In memory first: on a full disk the HDF5 library crashes the interpreter (see `hdf5_writing`).
    buffer = BytesIO()
    io.save_hdf5(buffer, found.patterns["pos"] or None, found.patterns["neg"] or None, width)
    with h5py.File(buffer, "a") as file:
        file.attrs["note"] = note
        file.attrs["provenance"] = json.dumps(provenance, sort_keys=True)
    path.write_bytes(buffer.getvalue())
