"""Runs the authors' TensorFlow package on the paper's model, under Python 3.7 and without genolift.

original_deeplift.py starts it in an interpreter with tensorflow 1.15.5, keras 2.3.1 and deeplift 0.6.13.

    PYTHON authors_deeplift.py MODEL.json WEIGHTS.h5 INPUTS.npz SCORES.npz

INPUTS.npz has ``x`` (pair, position, base), ``references`` of the same shape, ``task`` and ``batch``. For
each line of its input, a rule of `MODES`, it computes all pairs and answers ``seconds RULE NUMBER``. When the
input ends it writes the contributions by every rule that was asked for, (pair, position, base), and exits.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

MODES = {"rescale": "Rescale", "revealcancel": "RevealCancel", "genomics-default": "DeepLIFT_GenomicsDefault"}


def compiled(model_json: str, weights: str, rule: str) -> Any:
    """Return the authors' function for contributions to the logit, by the given rule."""
    from deeplift.conversion import kerasapi_conversion
    from deeplift.layers import NonlinearMxtsMode

    model = kerasapi_conversion.convert_model_from_saved_files(
        h5_file=weights,
        json_file=model_json,
        nonlinear_mxts_mode=getattr(NonlinearMxtsMode, MODES[rule]),
        verbose=False,
    )
    return model.get_target_contribs_func(find_scores_layer_idx=0, target_layer_idx=-2)


def main() -> None:
    model_json, weights, inputs, out = sys.argv[1:]
    with np.load(inputs) as held:
        x, references = held["x"].astype(np.float32), held["references"].astype(np.float32)
        task, batch = int(held["task"]), int(held["batch"])
    functions: dict[str, Any] = {}  # annotations of locals are not evaluated, so 3.7 takes them
    scores: dict[str, Any] = {}
    print("ready", flush=True)
    for line in sys.stdin:
        rule = line.strip()
        if rule not in functions:
            functions[rule] = compiled(model_json, weights, rule)
        start = time.perf_counter()
        scores[rule] = np.array(
            functions[rule](
                task_idx=task,
                input_data_list=[x],
                input_references_list=[references],
                batch_size=batch,
                progress_update=None,
            )
        )
        print(f"seconds {rule} {time.perf_counter() - start}", flush=True)
    np.savez(out, **scores)


if __name__ == "__main__":
    main()
