"""What numba compiles of the tools that find motifs, compiled before it is needed.

A function is compiled when it is first called, and what was compiled is kept on disk, for an installation and
a kind of processor. So all are called on a few made-up sequences, which takes a minute the first time.
"""

import sys
from pathlib import Path

import numpy as np

from genolift.motifs.discovery import as_motifs, patterns_of_sign, tracks_of
from genolift.motifs.hits import SoughtMotifs, call_hits
from genolift.motifs.known import Database, KnownMotif
from genolift.motifs.method import method_of
from genolift.motifs.numba_code import cache_compiled_code, load_tools, numba_threads
from genolift.motifs.seqlets import SEQLET
from genolift.motifs.tomtom import closest_motifs
from genolift.motifs.windows import Block
from genolift.settings.motifs import Motifs

_TOOLS = ("modiscolite", "memelite", "finemo")
_WINDOWS, _LENGTH, _SITE = 60, 60, slice(24, 36)
_KNOWN = 30
_KEPT = "*.nb[ic]"
"""numba's files: for each function an index, and its code."""


def compile_tools() -> None:
    """Run TF-MoDISco, Tomtom and Fi-NeMo on made-up sequences that share a site."""
    load_tools()
    cache_compiled_code()
    random, method = np.random.default_rng(0), method_of(Motifs())
    codes = random.integers(0, 4, (_WINDOWS, _LENGTH))
    codes[:, _SITE] = random.integers(0, 4, _SITE.stop - _SITE.start)
    onehot = np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1)
    hypothetical = random.normal(0, 0.05, onehot.shape)
    hypothetical[:, :, _SITE] += onehot[:, :, _SITE]
    block = Block(np.arange(_WINDOWS), onehot, hypothetical.astype(np.float32))
    seqlets = np.zeros(_WINDOWS, SEQLET)
    seqlets["row"], seqlets["start"] = block.rows, (_LENGTH - method.seqlet_width) // 2
    with numba_threads(1):
        tracks = tracks_of(block, block.rows)
        patterns = patterns_of_sign(seqlets, block.rows.astype(np.int32), tracks, "pos", method)
    motifs = list(as_motifs({"pos": patterns}, method.trim_fraction))
    known = [
        KnownMotif(str(number), str(number), random.dirichlet([1] * 4, 10).T) for number in range(_KNOWN)
    ]
    closest_motifs([motif.trimmed("ppm") for motif in motifs], Database("made up", tuple(known)), n=1)
    cwms, trims = [motif.matrices["cwm"] for motif in motifs], [motif.trim for motif in motifs]
    call_hits(SoughtMotifs(cwms, trims), block, method)


def kept_files() -> dict[str, int]:
    """Return numba's files of what is compiled of the tools, once they were run, with their sizes."""
    from numba.core.dispatcher import Dispatcher

    modules = [module for name, module in sys.modules.items() if name.split(".")[0] in _TOOLS]
    functions = [each for module in modules for each in vars(module).values() if isinstance(each, Dispatcher)]
    folders = {Path(each.stats.cache_path) for each in functions if each.stats.cache_path}
    found = sorted(file for folder in folders for file in folder.glob(_KEPT))
    return {str(file): file.stat().st_size for file in found}
