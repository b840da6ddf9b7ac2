"""Records what Keras computes for the real models in shared/ (see README.md).

Keras 2.3.1 reads all but the oldest, which Keras 0.3.3 reads. Lambdas are rewritten here by hand from the
bytecode; the files' own code is not run.
"""

import json
import sys
from pathlib import Path

import h5py
import keras
import keras.backend as K
import numpy as np

SHARED = sys.argv[1]
ROWS = 3


def bases(length):
    """Return one-hot sequences, (row, position, base), from a generator that is the same everywhere."""
    state, found = 7, []
    for _ in range(ROWS * length):
        state = (1103515245 * state + 12345) % 2**31
        found.append((state >> 16) & 3)
    return np.eye(4, dtype="float32")[np.array(found).reshape(ROWS, length)]


def recorded(name, model, inputs):
    outputs = model.predict(inputs)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    print(name, [output.shape for output in outputs], file=sys.stderr)
    return [np.round(output.astype("float64"), 8).tolist() for output in outputs]


def keras_0():
    from keras.models import model_from_json

    model = model_from_json(Path(SHARED, "keras", "multi_layer_dragonn.arch.json").read_text())
    model.load_weights(SHARED + "/keras/multi_layer_dragonn.weights.h5")
    x = bases(1000).transpose(0, 2, 1)[:, None]
    return {"multi_layer_dragonn": recorded("dragonn", model, x)}


def keras_2():
    from keras.layers import Conv1D, Lambda
    from keras.models import load_model, model_from_config

    class ConvDNA(Conv1D):
        def __init__(self, seq_length=None, **kwargs):
            super().__init__(**kwargs)

    ConvDNA.__name__ = "Conv1D"  # Keras uses this to know which kernels to flip for Theano

    class FrameSliceLayer(keras.layers.Layer):
        def call(self, x):
            return [x[:, frame::3] for frame in range(3)]

        def compute_output_shape(self, shape):
            return [(shape[0], None, shape[2])] * 3

    found = {}
    for name, length in [("Donor", 18), ("Intron3", 40), ("Acceptor", 53), ("framepool_fixed_size", 50)]:
        own = {"ConvDNA": ConvDNA, "FrameSliceLayer": FrameSliceLayer}
        model = load_model(SHARED + "/keras/" + name + ".h5", own, compile=False)
        found[name] = recorded(name, model, bases(length))
    path = SHARED + "/keras/aparent2.h5"
    with h5py.File(path, "r") as file:
        text = file.attrs["model_config"]
    architecture = json.loads(text.decode() if isinstance(text, bytes) else text)
    functions = {
        "relu": K.relu,
        "add": lambda x: x[0] + x[1],
        "aparent_expand_lib": lambda x: K.tile(K.expand_dims(K.expand_dims(x, 1), 2), (1, 1, 206, 1)),
        "aparent_extend_tensor": lambda x: K.concatenate([x, K.zeros((ROWS, 1, 1, 1))], axis=2),
        "lambda_57": lambda x: K.softmax(x[:, 0, :, 0], axis=-1),
        "lambda_58": lambda x: K.expand_dims(K.sum(x[:, 80:110], axis=-1), axis=-1),
    }
    shapes = {
        "aparent_expand_lib": (1, 206, 13),
        "aparent_extend_tensor": (1, 206, 1),
        "lambda_57": (206,),
        "lambda_58": (1,),
    }

    class ByHand(Lambda):
        def __init__(self, name=None, **kwargs):
            usual = "relu" if name.startswith("lambda_") else "add"
            super().__init__(functions.get(name, functions[usual]), name=name)
            self.usual = usual

        def compute_output_shape(self, shape):
            first = shape if self.usual == "relu" or not isinstance(shape, list) else shape[0]
            return (first[0], *shapes.get(self.name, first[1:]))

        @classmethod
        def from_config(cls, config, custom_objects=None):
            return cls(name=config["name"])

    for layer in architecture["config"]["layers"]:
        if layer["class_name"] == "Lambda":
            layer["class_name"] = "ByHand"
    model = model_from_config(architecture, {"ByHand": ByHand})
    model.load_weights(path)
    library = np.eye(13, dtype="float32")[[4, 0, 11]]
    found["aparent2"] = recorded("aparent2", model, [bases(205)[:, None], library])
    return found


if __name__ == "__main__":
    json.dump((keras_0 if keras.__version__[0] == "0" else keras_2)(), sys.stdout)
