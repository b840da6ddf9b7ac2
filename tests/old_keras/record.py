"""Records what an old Keras writes and computes: run it with that Keras, on Theano (see README.md).

It prints JSON with a record for each model: the attributes of the file that Keras saved, its layers' weights
by name and shape, and the model's outputs. The values of weights and inputs come from `values`, so that the
records are small text, from which `tests/old_files.py` writes the same files again. The models are in
models_0.py to models_2.py.
"""

# It must run on Python 3.7 with Keras 0.3, 1.2 and 2.3, so it uses only what all of these have.
import importlib
import json
import sys

import h5py
import keras
import numpy as np
import theano.ifelse  # noqa: F401  (Keras 1 uses it without an import)

MAJOR = int(keras.__version__.split(".")[0])
sys.setrecursionlimit(20000)


def values(shape, number, name=""):
    """Return the made-up values of the ``number``-th array of a file; positive if it is a variance."""
    size = int(np.prod(shape)) if len(shape) else 1
    found = 0.5 * np.sin(np.arange(size) * 1.7 + number).reshape(shape)
    if "running_std" in name or "variance" in name:
        found = 1 + found
    return found.astype("float32")


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def _is_number(value):
    return not isinstance(value, (str, bytes))


def _attributes(group):
    return {key: int(v) if _is_number(v) else _text(v) for key, v in group.attrs.items() if np.ndim(v) == 0}


def _fill(path):
    """Fill a saved file with made-up values; return its layers, [[name, [[weight, shape], ...]], ...]."""
    layers, number = [], 0
    with h5py.File(path, "r+") as file:
        group = file.get("model_weights", file)
        if "layer_names" in group.attrs:
            names = [_text(name) for name in group.attrs["layer_names"]]
        else:
            names = [f"layer_{each}" for each in range(group.attrs["nb_layers"])]
        for name in names:
            if "layer_names" in group.attrs:
                weights = [_text(weight) for weight in group[name].attrs["weight_names"]]
            else:
                weights = [f"param_{each}" for each in range(group[name].attrs["nb_params"])]
            listed = []
            for weight in weights:
                shape = group[name][weight].shape
                said = weight if "layer_names" in group.attrs else VARIANCES.get((name, weight), "")
                value = values(shape, number, said)
                if len(shape):
                    group[name][weight][...] = value
                else:
                    group[name][weight][()] = value
                listed.append([weight, list(shape), *([said] if said != weight and said else [])])
                number += 1
            layers.append([name, listed])
    return layers


VARIANCES = {}


def record(name, model, inputs=None, backend=None, replaced=None, **said):
    """Print a model's record.

    Parameters
    ----------
    inputs
        The shape of each input, with two rows.
    backend
        The backend to write into the file, by which Keras 2 flips kernels; else Theano.
    replaced
        Texts to replace in the recorded architecture, for classes that only other backends have.
    """
    path = "record.h5"
    VARIANCES.clear()
    if MAJOR == 0:
        for number, layer in enumerate(model.layers):
            if type(layer).__name__ == "BatchNormalization":
                VARIANCES[f"layer_{number}", "param_3"] = "running_std"
        model.save_weights(path, overwrite=True)
        architecture = model.to_json()
    else:
        model.save(path, overwrite=True)
        architecture = None
    layers = _fill(path)
    if backend is not None:
        with h5py.File(path, "r+") as file:
            for group in (file, file["model_weights"]):
                group.attrs["backend"] = backend.encode()
    model.load_weights(path)
    with h5py.File(path, "r") as file:
        attributes = {k: v for k, v in _attributes(file).items() if k != "training_config"}
        of_weights = _attributes(file["model_weights"]) if "model_weights" in file else {}
    if architecture is None:
        architecture = attributes.pop("model_config")
    for old, new in (replaced or {}).items():
        architecture = architecture.replace(old, new)
    inputs = inputs or [(2, *model.input_shape[1:])]
    given = [values(shape, 1000 + number) for number, shape in enumerate(inputs)]
    outputs = model.predict(given if len(given) > 1 else given[0])
    outputs = outputs if isinstance(outputs, list) else [outputs]
    RECORDS[name] = {
        "architecture": json.loads(architecture),
        "attributes": attributes,
        "attributes_of_weights": of_weights,
        "layers": layers,
        "inputs": [list(shape) for shape in inputs],
        "outputs": [np.round(output.astype("float64"), 7).tolist() for output in outputs],
        **said,
    }
    print(name, [output.shape for output in outputs], file=sys.stderr)


RECORDS = {}


if __name__ == "__main__":
    importlib.import_module(f"models_{MAJOR}").record_all(record)
    json.dump(RECORDS, sys.stdout)
