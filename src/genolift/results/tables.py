"""Tables of contributions: per sequence and per base."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genolift.data.alphabet import BASES, codes_of_onehot
from genolift.data.window_places import KeptRows
from genolift.files.tables import Table
from genolift.files.whole import whole_file
from genolift.results.convergence import relative_error
from genolift.results.store import Block, Contributions

_LETTERS = np.array([*BASES, "N"])
PER_SEQUENCE = Table(
    "per_sequence.tsv",
    "aggregate",
    "key:int64 id chrom start:Int64 end:Int64 strand output:float64 reference_output_mean:float64 "
    "reference_output_sd:float64 contribution_sum:float64 convergence_error_max:float64 "
    "convergence_error_relative_max:float64 standard_error_mean:float64 peak_position:int64 peak_base "
    "peak_contribution:float64",
    float_format="%.7g",
)
PER_SEQUENCE_OF_MODELS = replace(PER_SEQUENCE, layout=f"{PER_SEQUENCE.layout} output_sd:float64")
"""With several models; a column ``output_NAME`` for each of them follows."""


def per_sequence(block: Block, places: pd.DataFrame, models: Sequence[str] = ()) -> pd.DataFrame:
    """Return a row for each of some sequences.

    Parameters
    ----------
    block
        Their rows of contributions.h5.
    places
        The same rows of ``sequences.tsv``: ``key id chrom start end strand``; 0-based half-open.
    models
        The names of the models whose mean it is, if there are several.

    Returns
    -------
    DataFrame
        ``key id chrom start end strand``; ``output`` of the model, ``reference_output_mean`` and ``_sd`` over
        references; ``contribution_sum``; the largest ``convergence_error_max`` over references and
        ``convergence_error_relative_max``; ``standard_error_mean`` over positions; ``peak_position``
        (0-based in the sequence), ``peak_base`` and ``peak_contribution`` of the base with the largest
        absolute contribution. With several models, ``output_sd`` over them (sample standard deviation) and
        ``output_NAME`` of each.
    """
    scores = block["projected_shap/seq"].sum(1)
    peak = np.abs(scores).argmax(1)
    rows = np.arange(len(scores))
    reference_output, error = block["genolift/reference_output"], block["genolift/convergence_error"]
    many = reference_output.shape[1] > 1
    relative = relative_error(block["genolift/output"], reference_output, error)
    scored = pd.DataFrame(
        {
            "key": block["genolift/key"],
            "output": block["genolift/output"],
            "reference_output_mean": reference_output.mean(1),
            "reference_output_sd": reference_output.std(1, ddof=1) if many else np.nan,
            "contribution_sum": scores.sum(1, dtype=np.float64),
            "convergence_error_max": error.max(1),
            "convergence_error_relative_max": relative.max(1),
            "standard_error_mean": block["genolift/standard_error"].mean(1),
            "peak_position": peak,
            "peak_base": _LETTERS[codes_of_onehot(block["raw/seq"][rows, :, peak][:, :, None])][:, 0],
            "peak_contribution": scores[rows, peak],
        }
        | _of_models(block, models)
    )
    return places.merge(scored, on="key", how="inner", validate="one_to_one")


def _of_models(block: Block, models: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the additional columns for several models."""
    if not models:
        return {}
    output = block["genolift/model_output"]
    columns = {f"output_{name}": output[:, model] for model, name in enumerate(models)}
    return {"output_sd": output.std(1, ddof=1, dtype=np.float64)} | columns


def _schema(several: bool) -> pa.Schema:
    """Return the columns of ``per_base.parquet``, with one more for several models."""
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
    sequences from FASTA, and where a window was padded; ``base`` and the hypothetical bases are those of the
    sequence's own strand;
    ``model_sd`` is the standard deviation over models, if there are several. The file's metadata holds the
    digest of the contributions.

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
            writer.write_table(_per_base_rows(block, rows, contributions.chromosomes, schema))


def _per_base_rows(
    block: Block, places: pd.DataFrame, chromosomes: Mapping[str, int], schema: pa.Schema
) -> pa.Table:
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
    chrom = pa.array(places["chrom"].where(places["chrom"] != "", None), pa.string()).dictionary_encode()
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
