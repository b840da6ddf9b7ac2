"""Databases of known motifs: JASPAR and the user's own.

The one place that reads JASPAR (through pyjaspar).
"""

import difflib
from pathlib import Path

import numpy as np

from genolift.errors import InputError
from genolift.motifs.known import Database, KnownMotif, frequencies
from genolift.motifs.meme import read_meme
from genolift.settings.database import JASPAR, jaspar_group


def read_database(name: str) -> Database:
    """Return the motifs of ``jaspar:GROUP``, a taxonomic group of JASPAR CORE, or of a MEME file.

    Raises
    ------
    InputError
        If there is no such group or file, or the file is not a MEME file of DNA or RNA motifs.
    """
    group = jaspar_group(name)
    return read_meme(Path(name), where="motif database") if group is None else read_jaspar(group)


def read_jaspar(group: str) -> Database:
    """Return the latest version of every motif of JASPAR CORE in a taxonomic group, by accession.

    The newest release that the installed pyjaspar holds is read; nothing is downloaded.

    Raises
    ------
    InputError
        If JASPAR has no such group; the message lists its groups.
    """
    from pyjaspar import jaspardb

    jaspar = jaspardb()
    # Two queries take 0.1 s for vertebrates; jaspardb.fetch_motifs asks a dozen for each motif: 3 s.
    try:
        motifs = jaspar.conn.execute(_JASPAR_MOTIFS, (group,)).fetchall()
        counts: dict[int, dict[str, list[float]]] = {}
        for motif, base, value in jaspar.conn.execute(_JASPAR_MATRICES, (group,)):
            counts.setdefault(motif, {letter: [] for letter in "ACGT"})[base].append(float(value))
        groups = [row[0] for row in jaspar.conn.execute(_JASPAR_GROUPS)]
    finally:
        jaspar.conn.close()
    if not motifs:
        near = difflib.get_close_matches(group, groups, n=1)
        meant = f"did you mean {JASPAR}:{near[0]}? " if near else ""
        raise InputError(
            f"JASPAR has no taxonomic group {group!r}",
            where=f"motif database {JASPAR}:{group}",
            remedy=f"{meant}its groups are {', '.join(groups)}",
        )
    return Database(
        f"{jaspar.release} CORE {group}",
        tuple(
            KnownMotif(accession, name, frequencies(np.array([counts[motif][base] for base in "ACGT"])))
            for motif, accession, name in motifs
        ),
    )


_JASPAR_CORE = """from MATRIX m join MATRIX_ANNOTATION a on a.ID = m.ID
where m.COLLECTION = 'CORE' and a.TAG = 'tax_group' and a.VAL = ?
and (m.BASE_ID, m.VERSION) in (select BASE_ID, max(VERSION) from MATRIX group by BASE_ID)"""
_JASPAR_MOTIFS = (
    f"select distinct m.ID, m.BASE_ID || '.' || m.VERSION, m.NAME {_JASPAR_CORE} order by m.BASE_ID"
)
_JASPAR_MATRICES = f"""select ID, row, val from MATRIX_DATA where ID in (select m.ID {_JASPAR_CORE})
order by ID, row, col"""
_JASPAR_GROUPS = """select distinct a.VAL from MATRIX m join MATRIX_ANNOTATION a on a.ID = m.ID
where m.COLLECTION = 'CORE' and a.TAG = 'tax_group' order by a.VAL"""
