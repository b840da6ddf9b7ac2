"""Several models side by side: what each is, and how far they agree."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.errors import InputError
from genolift.report import words
from genolift.report.results import Results
from genolift.results.convergence import relative_error
from genolift.results.store import Contributions, open_contributions

_SHORT = 12  # characters of a SHA-256 in the table


def models_view(results: Results) -> dict[str, Any] | None:
    """Return several models side by side, ``models``, and how far they agree in a sentence, ``reading``; None
    if there is one model.

    A model has its ``name``, ``file``, ``sha256`` (shortened) and ``class_name``, the mean ``output`` over
    sequences, the largest relative convergence ``error``, and the correlation with each model, ``alike``, as
    text.

    Raises
    ------
    InputError
        If a model's file is missing, damaged, or of another run.
    """
    if not results.head.models:
        return None
    told = results.head.provenance.models
    paths = {name: results.folder / "models" / name / "contributions.h5" for name in results.head.models}
    with ExitStack() as stack:
        files = {name: stack.enter_context(open_contributions(path)) for name, path in paths.items()}
        for name, file in files.items():
            _check_run(file, paths[name], told.get(name, {}))
        read = list(files.values())
        blocks = zip(*(_block(read, rows) for rows in read[0].slices(len(read))), strict=True)
        output, error, alike = (np.concatenate(part, axis=-1) for part in blocks)
    alike = _medians(alike)
    views = [
        {
            "name": name,
            "file": PurePosixPath(str(told[name].get("model", ""))).name,
            "sha256": str(told[name].get("model_sha256") or "")[:_SHORT],
            "class_name": str(told[name].get("model_class") or ""),
            "output": output[number].mean(),
            "error": error[number].max(),
            "alike": ["" if other == number else words.figure(r) for other, r in enumerate(alike[number])],
        }
        for number, name in enumerate(results.head.models)
    ]
    reading = f"{_agreement(results.head.models, alike)} {_spread(results)}".strip()
    return {"models": views, "reading": reading}


def _check_run(file: Contributions, path: Path, told: Mapping[str, Any]) -> None:
    if file.digest != told.get("contributions_digest"):
        raise InputError(
            "belongs to another run than contributions.h5",
            where=str(path),
            remedy="run genolift aggregate again",
        )


def _block(files: Sequence[Contributions], rows: slice) -> tuple[NDArray[np.float64], ...]:
    """Return of some sequences each model's output and largest relative error, (model, sequence), and the
    Pearson correlation of models' per-base contributions, (model, model, sequence).
    """
    scores = np.stack([file["projected_shap/seq"][rows].sum(1, dtype=np.float64) for file in files])
    centred = scores - scores.mean(2, keepdims=True)
    products = np.einsum("isp,jsp->ijs", centred, centred)
    norms = np.sqrt(np.einsum("iis->is", products))
    scale = norms[:, None] * norms
    alike = np.divide(products, scale, out=np.full_like(products, np.nan), where=scale > 0)
    output, error = [], []
    for file in files:
        names = ("genolift/output", "genolift/reference_output", "genolift/convergence_error")
        one, reference, missed = (file[name][rows].astype(np.float64) for name in names)
        output.append(one)
        error.append(relative_error(one, reference, missed).max(1))
    return np.stack(output), np.stack(error), alike


def _medians(alike: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median over sequences, (model, model); NaN where no sequence has a correlation."""
    some = np.asarray(np.isfinite(alike).any(-1))
    return np.where(some, np.nanmedian(np.where(some[..., None], alike, 0.0), axis=-1), np.nan)


def _agreement(names: Sequence[str], alike: NDArray[np.float64]) -> str:
    pairs = {pair: float(alike[pair]) for pair in combinations(range(len(names)), 2)}
    known = {pair: value for pair, value in pairs.items() if np.isfinite(value)}
    if not known:
        return ""
    least, most = min(known, key=lambda pair: known[pair]), max(known.values())
    of = " and ".join(names[model] for model in least)
    low = words.figure(known[least])
    if len(names) == 2:
        return f"The contributions of {of} correlate by {low}."
    return (
        f"The contributions of two models correlate by {low} to {words.figure(most)}; least alike are {of}."
    )


def _spread(results: Results) -> str:
    """Say how large the models' standard deviation is at the base that contributes most."""
    position = results.scored["peak_position"].to_numpy(dtype=int)
    peak = np.abs(results.scored["peak_contribution"].to_numpy())
    with open_contributions(results.folder / "contributions.h5") as file:
        spread = np.concatenate(
            [
                file["genolift/model_sd"][rows][np.arange(len(position[rows])), position[rows]]
                for rows in file.slices()
            ]
        )
    if not (peak > 0).any():
        return ""
    middle = float(np.median(spread[peak > 0] / peak[peak > 0]))
    return (
        "At the base that contributes most, the standard deviation over models is "
        f"{words.percent(middle)} of the contribution, in the median sequence."
    )
