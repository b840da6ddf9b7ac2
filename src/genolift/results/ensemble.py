"""Several models on the same sequences and references: their mean and standard deviation. Runs no model.

The mean over models explains the mean of their outputs: contributions, outputs and references' outputs are
all averaged, so that the contributions of the mean add up as each model's do. The standard deviation is that
of a sample, with k - 1 in the denominator for k models.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from genolift.errors import InputError
from genolift.results.provenance import Provenance
from genolift.results.shards import Shard
from genolift.results.store import LAYOUT, Block, Contributions, Head, open_contributions
from genolift.settings.folder_names import check_model_name

_SHARED = (
    *("raw/seq", "genolift/key", "genolift/id"),
    *("genolift/sequence_digest", "genolift/reference_digest"),
)
"""What all models share: they are run on sequences and references with the same digests."""
_AVERAGED = tuple(name for name in LAYOUT if name not in _SHARED)


def by_model(heads: Sequence[Shard]) -> dict[str, list[Shard]]:
    """Return each model's shards by model name, sorted by name.

    Raises
    ------
    InputError
        If a model's name cannot be a folder's name.
    """
    models: dict[str, list[Shard]] = {}
    for head in heads:
        name = head.provenance.model_name
        check_model_name(name, head.path)
        models.setdefault(name, []).append(head)
    return dict(sorted(models.items()))


def check_models_agree(models: Mapping[str, Sequence[Shard]]) -> None:
    """Check that the runs of several models differ in nothing but the model.

    Raises
    ------
    InputError
        If two were run on different sequences or references or with different settings, or are the same.
    """
    for (name, (head, *_)), (other, (its_head, *_)) in combinations(models.items(), 2):
        one, its = head.provenance, its_head.provenance
        difference = one.settings.difference(its.settings)
        if difference is not None:
            key, said, its_said = difference
            raise InputError(
                f"the model {other} was run with {key} {its_said}, {name} with {said}",
                where=its_head.path,
                remedy="attribute every model with the same settings, sequences.h5 and references.h5",
            )
        if one.identity == its.identity:
            raise InputError(
                f"the models {name} and {other} are the same", where=its_head.path, remedy="give each once"
            )


@contextmanager
def mean_of(files: Mapping[str, Path], again: str | None = None) -> Iterator[tuple[Head, Iterator[Block]]]:
    """Yield the head and the rows of the mean and standard deviation over models, from the contributions.h5
    of each; ``again`` is what else to do where one is damaged.

    Two errors of the mean cannot be computed from the models' own: the convergence error, whose sign is not
    stored, and the standard error over references, since models that share references err together. The mean
    of the models' errors is written instead, which by the triangle inequality is an upper bound.
    """
    with ExitStack() as stack:
        models = {name: stack.enter_context(open_contributions(path, again)) for name, path in files.items()}
        one = next(iter(models.values()))
        made = Provenance.of_models(
            [model.provenance for model in models.values()], [model.digest for model in models.values()]
        )
        head = replace(one.head, provenance=made, models=tuple(models))
        yield head, (_mean_of_block(head, list(models.values()), rows) for rows in one.slices(len(models)))


def _mean_of_block(head: Head, models: Sequence[Contributions], rows: slice) -> Block:
    one = models[0]
    block: dict[str, Any] = {name: one[name][rows] for name in _SHARED}
    mean: dict[str, Any] = dict.fromkeys(_AVERAGED, 0.0)
    center: Any = 0.0
    squares: Any = 0.0
    for number, model in enumerate(models, start=1):  # Welford's update, which is numerically stable
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
    block |= mean | {"genolift/model_sd": spread, "genolift/model_output": outputs}
    return {name: block[name].astype(head.layout[name].dtype, copy=False) for name in head.layout}
