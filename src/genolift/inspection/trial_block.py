"""How long a model takes to be explained, timed on a few pairs of sequences and references."""

import time

import torch

from genolift.data.stored_tensors import random_onehot
from genolift.explain.explainer import Explainer
from genolift.inspection.model_check import Rows

_SECONDS = 3.0
"""What the block is to take; a pair of a large model takes longer."""
_MOST_PAIRS = 64


def seconds_a_pair(explainer: Explainer, rows: Rows, references: int) -> float:
    """Return the seconds of one pair by the threads there are, with as many references for each sequence.

    They are of CPU time, so that other work on the machine does not count.

    Parameters
    ----------
    explainer
        The model, captured.
    rows
        Two sequences.
    references
        For each sequence. They are random here.
    """
    onehot, beside, _ = rows
    length = onehot.shape[2]

    def timed(number: int, of_each: int) -> float:
        turns = [row % len(onehot) for row in range(number)]
        compared = random_onehot(number * of_each, length).to(onehot.dtype)
        started = time.process_time()
        explainer.explain_each(
            onehot[turns],
            compared.reshape(number, of_each, 4, length),
            extra_inputs=tuple(values[turns] for values in beside),
        )
        pairs = number * of_each
        return (time.process_time() - started) / pairs / min(pairs, torch.get_num_threads())

    first = timed(1, 1)  # which also prepares what the other pairs find ready
    pairs = min(_MOST_PAIRS, int(_SECONDS / first))
    if pairs < 2:
        return first
    of_each = min(references, pairs)
    return min(first, timed(pairs // of_each, of_each))
