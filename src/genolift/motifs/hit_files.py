"""The files of hits: sites on the genome as BED, and the hits of every window as Fi-NeMo writes them."""

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.motifs.hits import SoughtMotifs
from genolift.motifs.sites import Records
from genolift.motifs.windows import Windows

HIT_FILE = [
    *("chrom", "start", "end", "name", "score", "strand"),
    *("motif", "similarity", "coefficient", "importance", "windows", "key"),
]
"""The columns of ``hits.bed.gz``; ``hits_by_window.bed.gz`` has all but ``windows``."""
FINEMO_FILE = [
    *("chr", "start", "end", "start_untrimmed", "end_untrimmed", "motif_name"),
    *("hit_coefficient", "hit_coefficient_global", "hit_similarity", "hit_correlation"),
    *("hit_importance", "hit_importance_sq", "strand", "peak_name", "peak_id"),
]
"""The columns of ``hits_by_window.tsv.gz``: those of ``hits.tsv`` of Fi-NeMo 0.41."""
_AT_A_TIME = 20_000


@dataclass(frozen=True)
class HitFiles:
    """Writes hits of ``sought`` motifs in ``windows``; ``called`` has each motif's name and TF-MoDISco's."""

    windows: Windows
    sought: SoughtMotifs
    called: Sequence[tuple[str, str]]

    def write_sites(self, path: Path, hits: Records) -> None:
        """Write ``hits.bed.gz``, BGZF (SAM specification, section 4.1), sorted by chromosome, start and end.

        The first six columns are BED's, the others in `HIT_FILE`; the score is the similarity times 1000,
        ``coefficient`` and ``importance`` are Fi-NeMo's ``hit_coefficient_global`` and ``hit_importance``.
        For sequences from FASTA the chromosome is the id.
        """
        from Bio import bgzf

        order = self._by_place(hits)
        with bgzf.BgzfWriter(str(path), "wb") as file:
            for first in range(0, len(order), _AT_A_TIME):
                file.write(_lines(self._bed(hits[order[first : first + _AT_A_TIME]])[HIT_FILE]))

    @contextmanager
    def by_window(self, bed: Path, table: Path) -> Iterator[Callable[[Records], None]]:
        """Write ``hits_by_window.bed.gz`` and ``.tsv.gz``, by a function of the next windows' hits.

        The first is as `write_sites` writes it, but in the order of the windows. The second has Fi-NeMo's own
        columns (its documentation, "Output files"), by which its tools read it: ``motif_name`` is
        TF-MoDISco's name, ``peak_id`` the sequence's row in ``contributions.h5``, and coordinates are 0-based
        half-open.
        """
        from Bio import bgzf

        by_window = [name for name in HIT_FILE if name != "windows"]
        with (
            bgzf.BgzfWriter(str(bed), "wb") as places,
            table.open("wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as rows,
        ):
            rows.write(("\t".join(FINEMO_FILE) + "\n").encode())

            def write(hits: Records) -> None:
                places.write(_lines(self._bed(hits)[by_window]))
                rows.write(_lines(self._of_finemo(hits)))

            yield write

    def _bed(self, hits: Records) -> pd.DataFrame:
        """Return hits in the columns of `HIT_FILE`, in another order."""
        return self._located(hits).assign(
            name=[self.called[motif][0] for motif in hits["motif"]],
            score=np.round(1000 * hits["similarity"].astype(float)).astype(int),
            motif=[self.called[motif][1] for motif in hits["motif"]],
            similarity=_texts(hits["similarity"]),
            coefficient=_texts(hits["coefficient_global"]),
            importance=_texts(hits["importance"]),
            windows=hits["windows"],
            key=self.windows.store.key[hits["row"]],
        )

    def _of_finemo(self, hits: Records) -> pd.DataFrame:
        """Return hits in the columns of `FINEMO_FILE`."""
        whole = self._located(hits, whole=True)
        table = self._located(hits).rename(columns={"chrom": "chr"})
        table = table.assign(
            start_untrimmed=whole["start"],
            end_untrimmed=whole["end"],
            motif_name=[self.called[motif][1] for motif in hits["motif"]],
            hit_coefficient=_texts(hits["coefficient"]),
            hit_coefficient_global=_texts(hits["coefficient_global"]),
            hit_similarity=_texts(hits["similarity"]),
            hit_correlation=_texts(hits["similarity"]),
            hit_importance=_texts(hits["importance"]),
            hit_importance_sq=_texts(hits["importance_sq"]),
            peak_name=self.windows.names(hits["row"]),
            peak_id=hits["row"],
        )
        return table[FINEMO_FILE]

    def _by_place(self, hits: Records) -> NDArray[np.int64]:
        """Return the order of ``hits.bed.gz``: by chromosome, place, strand, motif and window."""
        order = np.empty(len(hits), [("start", np.int64), ("end", np.int64), ("reverse", np.bool_)])
        for first in range(0, len(hits), _AT_A_TIME):
            part = slice(first, first + _AT_A_TIME)
            located = self._located(hits[part])
            order["start"][part], order["end"][part] = located["start"], located["end"]
            order["reverse"][part] = located["strand"] == "-"
        row = hits["row"]
        last_to_first = (row, hits["motif"], order["reverse"], order["end"], order["start"])
        return np.lexsort((*last_to_first, self.windows.reference_order[row]))

    def _located(self, hits: Records, *, whole: bool = False) -> pd.DataFrame:
        """Return where hits are, or the whole CWMs, with the ends that are trimmed; see `Windows.located`."""
        start, width = hits["start"].astype(np.int64), self.sought.widths[hits["motif"]]
        if whole:
            start, width = self.sought.untrimmed(hits), np.full(len(hits), self.sought.width)
        strand = np.where(hits["reverse"], "-", "+")
        return self.windows.located(hits["row"], start, start + width, strand)


def _texts(values: NDArray[np.float32]) -> list[str]:
    return [f"{value:.5g}" for value in values.tolist()]


def _lines(table: pd.DataFrame) -> bytes:
    lines = ("\t".join(map(str, line)) + "\n" for line in table.itertuples(index=False, name=None))
    return "".join(lines).encode()
