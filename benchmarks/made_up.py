"""Files of made-up contributions, as the steps before ``genolift motifs`` write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.files.whole import sha256
from genolift.results.provenance import Provenance
from genolift.results.store import Block, Head, write_contributions


def rows(
    onehot: NDArray[np.int8], hypothetical: NDArray[np.float32], keys: NDArray[np.int64], ids: list[str]
) -> Block:
    """Return rows of contributions.h5: one-hot sequences and hypothetical contributions, two references."""
    n, _, length = onehot.shape
    zeros = np.zeros((n, 2), np.float32)
    return {
        "raw/seq": onehot,
        "shap/seq": hypothetical,
        "projected_shap/seq": onehot * hypothetical,
        "genolift/key": keys,
        "genolift/id": np.array(ids, object),
        "genolift/output": zeros[:, 0],
        "genolift/reference_output": zeros,
        "genolift/convergence_error": zeros,
        "genolift/standard_error": np.zeros((n, length), np.float32),
        "genolift/sequence_digest": np.zeros((n, 16), np.uint8),
        "genolift/reference_digest": np.zeros((n, 16), np.uint8),
    }


def write_files(
    folder: Path, onehot: NDArray[np.int8], hypothetical: NDArray[np.float32], table: pd.DataFrame
) -> dict[str, Path]:
    """Write contributions.h5 and sequences.tsv, and return their paths.

    ``table`` has the columns ``key id chrom start end strand`` of sequences.tsv, and ``kept`` and ``reason``
    if not all are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    n, _, length = onehot.shape
    files = {"contributions": folder / "contributions.h5", "sequences": folder / "sequences.tsv"}
    given = {"kept": "true", "reason": ""} | {
        name: table[name] for name in ("kept", "reason") if name in table
    }
    columns = table[["key", "id", "chrom", "start", "end", "strand"]]
    columns.assign(length=length, gc=0.5, n_count=0, **given).to_csv(
        files["sequences"], sep="\t", index=False
    )
    kept = table[table["kept"] == "true"] if "kept" in table else table
    told = Provenance(sequences_table_sha256=sha256(files["sequences"]))
    block = rows(onehot, hypothetical, kept["key"].to_numpy(), kept["id"].tolist())
    write_contributions(files["contributions"], Head(n, length, 2, told, {}), iter([block]))
    return files
