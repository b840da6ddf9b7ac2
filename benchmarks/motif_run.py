"""TF-MoDISco on a file of contributions, in the Python that runs this: `motifs.py` starts it.

    PYTHON motif_run.py DATA.npz SETTINGS OUT.npz

It imports nothing of genolift, so that a Python with another TF-MoDISco can run it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

_COMMAND: dict[str, Any] = {
    "sliding_window_size": 20,
    "flank_size": 5,
    "trim_to_window_size": 30,
    "initial_flank_to_add": 10,
    "target_seqlet_fdr": 0.05,
    "n_leiden_runs": 2,
    "max_seqlets_per_metacluster": 2000,
}
"""What `modisco motifs -n 2000` passes, in 2.5.2 and in 3.0.0; 2,000 is its README's example."""

SETTINGS: dict[str, dict[str, Any]] = {
    "published": _COMMAND,
    "genolift": _COMMAND
    | {
        "trim_to_window_size": 20,
        "initial_flank_to_add": 5,
        "min_metacluster_size": 0,
        "max_seqlets_per_metacluster": 20_000,
    },
    "function": {},
}
"""By name: the command's, genolift's defaults, and the defaults of `TFMoDISco` itself."""


def main() -> None:
    data, settings, out = sys.argv[1:]
    from modiscolite.tfmodisco import TFMoDISco

    with np.load(data) as file:
        onehot, hypothetical = (
            np.ascontiguousarray(file[name].transpose(0, 2, 1), dtype=np.float32)
            for name in ("onehot", "hypothetical")
        )
    with np.errstate(all="ignore"):
        found = TFMoDISco(onehot, hypothetical, **SETTINGS[settings])
    saved: dict[str, Any] = {}
    for sign, patterns in zip(("pos", "neg"), found, strict=True):
        for number, pattern in enumerate(patterns or []):
            saved[f"{sign}_{number}_cwm"] = np.asarray(pattern.contrib_scores).T
            saved[f"{sign}_{number}_seqlets"] = np.array(
                [(each.example_idx, each.start, each.end, each.is_revcomp) for each in pattern.seqlets]
            )
    np.savez(out, **saved)


if __name__ == "__main__":
    main()
