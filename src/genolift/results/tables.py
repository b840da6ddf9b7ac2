"""The table of sequences, per_sequence.tsv."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.data.alphabet import BASES, codes_of_onehot
from genolift.files.tables import Table
from genolift.results.convergence import relative_error
from genolift.results.one_run import check_keys
from genolift.results.store import Block

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


def read_some(
    table: Table,
    path: Path,
    keys: NDArray[np.int64],
    of: str,
    *,
    columns: Sequence[str] = (),
    rows: Collection[str],
    shown: Sequence[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return some columns of ``per_sequence.tsv``, and some of its rows; it is read a block at a time.

    Parameters
    ----------
    table, path
        What the file is, and the file.
    keys, of
        int64 (sequence,), the keys that it has to have, and of what they are.
    columns
        Those of numbers that are returned of all rows.
    rows, shown
        The rows, by their keys as text, and the columns that are returned of them; by default all.

    Raises
    ------
    InputError
        If it is no such file, or is of other sequences.
    """
    whole = {name: np.empty(len(keys), table.columns[name]) for name in ("key", *columns)}
    of_rows = [*(shown or table.columns)]
    chosen, n = [], 0
    for block in table.blocks(path, [*dict.fromkeys([*whole, *of_rows])]):
        part = slice(n, n + len(block))
        for name, values in whole.items() if part.stop <= len(keys) else ():
            values[part] = block[name]
        chosen.append(block.loc[block["key"].astype(str).isin(rows), of_rows])
        n = part.stop
    found = whole.pop("key")
    check_keys(found if n == len(keys) else np.empty(n), keys, path, of)
    return pd.DataFrame(whole, copy=False), pd.concat(chosen, ignore_index=True)
