"""Several models on the same sequences and references: their mean and how far they are apart. Runs no model.

The mean over models explains the mean of their outputs: contributions, outputs and references' outputs are
averaged alike, so that the contributions of the mean add up as each model's do. The standard deviation over
models is that of a sample: of k models, with k - 1 below the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from genolift.errors import InputError
from genolift.results.shards import Head
from genolift.results.store import Block, Contributions, open_contributions, write_contributions
from genolift.settings.model import ONE_MODEL, check_model_name

_BLOCK_BASES = 2**20
"""Bases of a block of sequences, which as sums in float64 take 0.1 GB, however many models there are."""
_AVERAGED = (
    "shap/seq",
    "projected_shap/seq",
    "genolift/output",
    "genolift/reference_output",
    "genolift/convergence_error",
    "genolift/standard_error",
)


_SHARED = (
    *("raw/seq", "genolift/key", "genolift/id"),
    *("genolift/sequence_digest", "genolift/reference_digest"),
)
"""What every model has alike: they are run on sequences and references of the same digests."""


def by_model(heads: Sequence[Head]) -> dict[str, list[Head]]:
    """Return each model's shards by its name, models in the order of their names.

    Raises
    ------
    InputError
        If a name is none for a folder.
    """
    models: dict[str, list[Head]] = {}
    for head in heads:
        name = str(head.provenance.get("model_name", ONE_MODEL))
        check_model_name(name, head.path)
        models.setdefault(name, []).append(head)
    return dict(sorted(models.items()))


def check_models_agree(models: Mapping[str, Sequence[Head]]) -> None:
    """Check that models differ in nothing but what they are.

    Raises
    ------
    InputError
        If two were run on other sequences or references or with other settings, or are the same model.
    """
    for (name, (head, *_)), (other, (its_head, *_)) in combinations(models.items(), 2):
        said, its_said = _settings(head.provenance), _settings(its_head.provenance)
        for key in sorted(said.keys() | its_said.keys()):
            if said.get(key) != its_said.get(key):
                raise InputError(
                    f"the model {other} was run with {key} {its_said.get(key)}, {name} with {said.get(key)}",
                    where=its_head.path,
                    remedy="attribute every model with the same settings, sequences.h5 and references.h5",
                )
        if _identity(head.provenance) == _identity(its_head.provenance):
            raise InputError(
                f"the models {name} and {other} are the same", where=its_head.path, remedy="give each once"
            )


def write_mean(files: Mapping[str, Path], out: Path) -> None:
    """Write the mean over models, and their standard deviation, from each model's contributions.h5.

    Two numbers of the mean cannot be had from the models' own, and the mean of those is written, which by the
    triangle inequality is an upper bound: the convergence error, whose sign is not kept, and the standard
    error over references, since models that are compared with the same references err together.
    """
    with ExitStack() as stack:
        models = {name: stack.enter_context(open_contributions(path)) for name, path in files.items()}
        one = next(iter(models.values()))
        rows = max(1, min(256, _BLOCK_BASES // max(1, one.length)))
        starts = range(0, one.n, rows)
        write_contributions(
            out,
            (_mean_of_block(list(models.values()), slice(start, start + rows)) for start in starts),
            n=one.n,
            length=one.length,
            r=one.r,
            provenance=_provenance(models),
            chromosomes=one.chromosomes,
            models=tuple(models),
        )


def _mean_of_block(models: Sequence[Contributions], rows: slice) -> Block:
    one = models[0]
    block: dict[str, Any] = {name: one[name][rows] for name in _SHARED}
    mean: dict[str, Any] = dict.fromkeys(_AVERAGED, 0.0)
    center: Any = 0.0
    squares: Any = 0.0
    for number, model in enumerate(models, start=1):  # Welford's update, which loses no digits
        for name in _AVERAGED:
            values = model[name][rows].astype(np.float64)
            mean[name] = mean[name] + (values - mean[name]) / number
            if name == "projected_shap/seq":
                per_base = values.sum(1)
        before = per_base - center
        center = center + before / number
        squares = squares + before * (per_base - center)
    outputs = np.stack([model["genolift/output"][rows] for model in models], axis=1)
    spread = np.sqrt(squares / (len(models) - 1))
    return block | mean | {"genolift/model_sd": spread, "genolift/model_output": outputs}


def _provenance(models: Mapping[str, Contributions]) -> dict[str, Any]:
    """Return what all models share, and ``models``: what each of them is, with its file's digest."""
    told = [model.provenance for model in models.values()]
    return {
        **_settings(told[0]),
        "seconds": round(sum(model.get("seconds", 0) for model in told), 3),
        "shards": sum(model.get("shards", 1) for model in told),
        "models": [
            {key: value for key, value in model.provenance.items() if _is_own(key)}
            | {"seconds": model.provenance.get("seconds"), "contributions_digest": model.digest}
            for model in models.values()
        ],
    }


def _is_own(key: str) -> bool:
    """Whether something that is recorded of a run is of its model, which another model has otherwise."""
    return key.startswith("model") or key == "stepped_over"


def _settings(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is recorded of a run but for its model, its shards and its time."""
    apart = ("seconds", "shard", "shards")
    return {key: value for key, value in provenance.items() if not _is_own(key) and key not in apart}


def _identity(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells a model from another, however its files and itself are called."""
    names = ("model", "model_name", "model_weights", "model_custom_layers", "model_expect", "model_agreement")
    return {key: value for key, value in provenance.items() if _is_own(key) and key not in names}
