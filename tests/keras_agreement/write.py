"""``python -m keras_agreement.write FOLDER``, with Keras's own Python: write each case in each form."""

from __future__ import annotations

import argparse
import fnmatch
import gc
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import keras
import numpy as np
import tensorflow as tf

from keras_agreement.case import LENGTH, Case
from keras_agreement.cases import CASES
from keras_agreement.coverage import check_coverage
from keras_agreement.data import inputs_of, randomise
from keras_agreement.forms import FORMS, generation_of

GENERATION = generation_of(keras.__version__)


def main() -> int:
    """Write the cases given on the command line; return 1 if a layer of Keras is in no case."""
    parser = argparse.ArgumentParser(prog="python -m keras_agreement.write", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="*", help="cases of such names, as 'Conv1D*'")
    parser.add_argument("--new", action="store_true", help="only cases that the folder does not hold yet")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="the K-th of N parts, for N processes")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    tf.config.threading.set_intra_op_parallelism_threads(1)  # the models are small
    tf.config.threading.set_inter_op_parallelism_threads(1)
    part, parts = map(int, options.part.split("/"))
    here = [case for case in CASES if GENERATION in case.generations]
    chosen = [case for case in here[part - 1 :: parts] if fnmatch.fnmatchcase(case.name, options.only)]
    said = {"keras": keras.__version__, "tensorflow": tf.__version__, "generation": GENERATION}
    gc.freeze()  # Keras collects garbage before each model, through everything that TensorFlow holds
    for case in chosen:
        path = options.folder / case.slug / "written.json"
        if options.new and path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        keras.backend.clear_session()
        tf.random.set_seed(1)
        forms = _written(case, path.parent)
        path.write_text(json.dumps({"case": case.name, **said, "forms": forms}, indent=1) + "\n")
        for form, outcome in forms.items():
            if outcome != "written":
                print(f"{case.name} [{form}]: {outcome}", flush=True)
    print(f"Keras {keras.__version__} wrote {len(chosen)} models into {options.folder}")
    missing = check_coverage(GENERATION, vars(keras.layers), vars(keras.activations))
    if missing and options.only == "*":
        print(f"in no case, and with no reason: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing and options.only == "*" else 0


def _written(case: Case, folder: Path) -> dict[str, str]:
    """Write a case's files; return the outcome for each form: "written", or why not."""
    try:
        model = case.build(keras)
        randomise(model, case.name)
        given = inputs_of(case)
        outputs = _outputs(model, given)
    except Exception as error:  # whatever Keras raises for a case that it cannot run
        return dict.fromkeys(FORMS[GENERATION], _reason(error))
    numbered = {f"y{number}": value for number, value in enumerate(outputs)}
    np.savez_compressed(folder / "values.npz", names=np.array(list(given)), **given, **numbered)
    outcomes = {}
    for form, files in FORMS[GENERATION].items():
        try:
            _save(model, [folder / name for name in files])
            outcomes[form] = "written"
        except Exception as error:
            outcomes[form] = _reason(error)
    return outcomes


def _outputs(model: Any, given: dict[str, Any]) -> list[Any]:
    """Return a model's predictions."""
    names = getattr(model, "input_names", None) or [tensor.name for tensor in model.inputs]
    inputs = []
    for name, tensor in zip(names, model.inputs, strict=True):
        shape = tuple(tensor.shape[1:])
        value = given[name] if name in given else given["dna"]  # a Sequential names its input itself
        if shape[0] == len("ACGT") and shape[-1] != len("ACGT"):  # channels first
            value = np.swapaxes(value, 1, 2)
        inputs.append(value.reshape(len(value), *(size or LENGTH for size in shape)))
    if isinstance(getattr(model, "input", None), dict):
        inputs = dict(zip(names, inputs, strict=True))
    elif len(inputs) == 1:
        (inputs,) = inputs
    try:
        outputs = model(inputs, training=False)
    except Exception:  # some layouts are supported on a CPU only in a TensorFlow graph
        outputs = model.predict(inputs, verbose=0)
    if isinstance(outputs, dict):  # in the model's own order, which flatten does not preserve
        outputs = [outputs[key] for key in model.output]
    return [np.asarray(each) for each in tf.nest.flatten(outputs)]


def _save(model: Any, paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    if len(paths) == 1:
        model.save(paths[0])
    else:
        paths[0].write_text(model.to_json())
        model.save_weights(str(paths[1]))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


if __name__ == "__main__":
    sys.exit(main())
