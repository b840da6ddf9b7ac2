"""The table of bases, per_base.parquet: a row for each base of each kept sequence, or of some of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from genolift.data.alphabet import BASES, codes_of_onehot
from genolift.data.window_places import KeptRows
from genolift.files.whole import whole_file
from genolift.results.store import Block, Contributions

MOST_BASES = 10_000_000
"""Bases of all sequences up to which the table is written unasked: 0.3 GB. It repeats contributions.h5."""
_LETTERS = np.array([*BASES, "N"])


def _schema(several: bool) -> pa.Schema:
    """Return the columns, with one more for several models."""
    return pa.schema(
        [
            ("key", pa.int64()),
            ("position", pa.int32()),
            ("chrom", pa.dictionary(pa.int32(), pa.string())),
            ("genome_position", pa.int64()),
            ("base", pa.dictionary(pa.int8(), pa.string())),
            ("contribution", pa.float32()),
            ("standard_error", pa.float32()),
            *([("model_sd", pa.float32())] if several else []),
            *((f"hypothetical_{base}", pa.float32()) for base in BASES),
        ]
    )


def write_per_base(path: Path, contributions: Contributions, sequences: Path) -> None:
    """Write ``per_base.parquet``, a row for each base of each kept sequence, sorted by key and position.

    ``position`` is 0-based in the sequence, ``genome_position`` 0-based on the chromosome and empty for
    sequences from FASTA and where a window was padded; ``base`` and the hypothetical bases are those of the
    sequence's own strand; ``model_sd`` is the standard deviation over models, if there are several. The
    file's metadata holds the digest of the contributions.

    Parameters
    ----------
    path
        The table.
    contributions
        An open contributions.h5.
    sequences
        ``sequences.tsv``.
    """
    kept = KeptRows(sequences)
    told = {"genolift": json.dumps({"made_from": {"contributions.h5": contributions.digest}})}
    schema = _schema(several=bool(contributions.models)).with_metadata(told)
    with whole_file(path) as beside, pq.ParquetWriter(beside, schema, compression="zstd") as writer:
        for block in contributions.blocks():
            rows = kept.next(len(block["genolift/key"]))
            writer.write_table(_rows(block, rows, contributions.chromosomes, schema))


def base_rows(contributions: Contributions, row: int, places: pd.DataFrame) -> pd.DataFrame:
    """Return the table of one row of contributions.h5, from its row of ``sequences.tsv``."""
    block = {name: contributions[name][row : row + 1] for name in contributions.layout}
    schema = _schema(several=bool(contributions.models))
    whole = {pa.int64(): pd.Int64Dtype()}  # a genome_position that is empty would make all of them float
    return _rows(block, places, contributions.chromosomes, schema).to_pandas(types_mapper=whole.get)


def _rows(block: Block, places: pd.DataFrame, chromosomes: Mapping[str, int], schema: pa.Schema) -> pa.Table:
    n, _, length = block["raw/seq"].shape
    position = np.tile(np.arange(length, dtype=np.int32), n)
    start, known = places["start"].to_numpy(np.int64, na_value=0), places["start"].notna().to_numpy()
    genome = np.where(
        (places["strand"] == "-").to_numpy()[:, None],
        start[:, None] + length - 1 - np.arange(length),
        start[:, None] + np.arange(length),
    )
    size = np.array([chromosomes.get(name, 0) for name in places["chrom"]])
    on_chromosome = known[:, None] & (genome >= 0) & (genome < size[:, None])
    named = places["chrom"].where(places["chrom"] != "", None)
    chrom = pa.array(named.to_numpy(object), pa.string(), from_pandas=True).dictionary_encode()
    repeated = pa.DictionaryArray.from_arrays(
        chrom.indices.take(pa.array(np.repeat(np.arange(n), length))), chrom.dictionary
    )
    codes = codes_of_onehot(block["raw/seq"]).ravel().astype(np.int8)
    columns: list[Any] = [
        pa.array(np.repeat(block["genolift/key"], length)),
        pa.array(position),
        repeated,
        pa.array(genome.ravel(), mask=~on_chromosome.ravel()),
        pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(_LETTERS.tolist())),
        pa.array(block["projected_shap/seq"].sum(1).ravel()),
        pa.array(block["genolift/standard_error"].ravel()),
        *([pa.array(block["genolift/model_sd"].ravel())] if "genolift/model_sd" in block else []),
        *(pa.array(block["shap/seq"][:, base].ravel()) for base in range(4)),
    ]
    return pa.table(columns, schema=schema)


def remove_per_base(path: Path) -> None:
    """Remove the table of an earlier run, which would be of other contributions; any other file stays."""
    try:
        is_ours = b"genolift" in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return
    if is_ours:
        path.unlink()
