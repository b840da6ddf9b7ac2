"""Translates layer configs of Keras 0.3, 1 and 2 into those of Keras 3.

Names and defaults are those in the documentation of the Keras releases. If a default has changed and an old
config omits the setting, the old default is filled in.
"""

from collections.abc import Mapping
from typing import Any

HARD_SIGMOID = "hard_sigmoid before Keras 3"
ACTIVATIONS_BEFORE_3 = frozenset(
    (
        *("elu", "exponential", "gelu", "hard_sigmoid", HARD_SIGMOID, "leaky_relu", "linear", "mish", "relu"),
        *("relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh"),
    )
)
"""The activations of Keras 1 and 2, and of tf.nn; any other name is a user's function."""
RENORMALIZED = "BatchNormalization with renorm"
OVER_AXES = "BatchNormalization over several axes"
_CLASSES = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "CuDNNGRU": "GRU",
    "CuDNNLSTM": "LSTM",
    "SyncBatchNormalization": "BatchNormalization",
    "TimeDistributedDense": "Dense",
    # From the package concise, whose layers are Keras's with a check of the alphabet.
    "ConvDNA": "Conv1D",
    "ConvRNA": "Conv1D",
    "ConvSequence": "Conv1D",
}
_MERGES = {
    "sum": "Add",
    "concat": "Concatenate",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
}
_KEYS = {
    "border_mode": "padding",
    "subsample": "strides",
    "subsample_length": "strides",
    "stride": "strides",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "pool_length": "pool_size",
    "atrous_rate": "dilation_rate",
    "output_dim": "units",
    "bias": "use_bias",
    "p": "rate",
    "sigma": "stddev",
    "inner_activation": "recurrent_activation",
    "theta": "threshold",
    "concat_axis": "axis",
}
_KEYS_OF: dict[str, dict[str, str]] = {
    "Embedding": {"output_dim": "output_dim"},
    "UpSampling1D": {"length": "size"},
    "LeakyReLU": {"alpha": "negative_slope"},
    "Reshape": {"dims": "target_shape"},
    "Permute": {"dims": "dims"},
}
_UNSAID: dict[str, dict[str, Any]] = {  # what old configs omit, and Keras 3 has another default for
    "GRU": {"reset_after": False},
    "LeakyReLU": {"negative_slope": 0.3},
}
_DATA_FORMATS = {"th": "channels_first", "tf": "channels_last", "default": None}
_OF_ONE_GROUP = (
    "Conv1DTranspose",
    "Conv2DTranspose",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
)
"""Layers for which Keras 2 writes a setting ``groups`` that can only be 1."""
_RECURRENT = ("LSTM", "GRU", "SimpleRNN")


def modern(class_name: str, config: Mapping[str, Any], major: int) -> tuple[str, dict[str, Any]]:
    """Return a layer's class and config in the terms of Keras 3.

    Parameters
    ----------
    class_name, config
        As written by Keras of the version ``major``.
    """
    if major >= 3:
        return class_name, dict(config)
    if class_name == "Merge":
        mode = config.get("mode", "sum")
        axis = {"axis": config.get("concat_axis", -1)} if mode == "concat" else {}
        return _MERGES.get(mode, class_name), {"name": config.get("name"), **axis}
    new_class = _CLASSES.get(class_name, class_name)
    renamed = {**_KEYS, **_KEYS_OF.get(new_class, {})}
    made: dict[str, Any] = {**_UNSAID.get(new_class, {})}
    for key, value in config.items():
        made[renamed.get(key, key)] = value
    if "nb_row" in made:
        made["kernel_size"] = [made.pop("nb_row"), made.pop("nb_col")]
    if "dim_ordering" in made:
        made["data_format"] = _DATA_FORMATS.get(made.pop("dim_ordering"))
    if class_name == "CuDNNGRU":
        made["reset_after"] = True
    if new_class in _OF_ONE_GROUP and made.get("groups") == 1:
        del made["groups"]
    if new_class == "BatchNormalization":
        new_class = _old_batch_norm(made)
    if new_class in _RECURRENT:
        _old_recurrent(class_name, made)
    for key in ("activation", "recurrent_activation"):
        if made.get(key) == "hard_sigmoid":
            made[key] = HARD_SIGMOID
    return new_class, made


def of_one_cell(class_name: str, config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return an RNN around the cell of an LSTM, GRU or SimpleRNN as that layer, and others unchanged."""
    cell = config.get("cell")
    if class_name != "RNN" or not isinstance(cell, Mapping) or not isinstance(cell.get("config"), Mapping):
        return class_name, config
    kind = str(cell.get("class_name")).removesuffix("Cell")
    known = cell.get("module") in (None, "keras.layers") and cell.get("registered_name") in (
        None,
        f"{kind}Cell",
    )
    if kind not in _RECURRENT or not known:
        return class_name, config
    return kind, {**cell["config"], **{key: value for key, value in config.items() if key != "cell"}}


def _old_batch_norm(made: dict[str, Any]) -> str:
    """Remove the settings of Keras 2 that only concern training, and return the class."""
    if isinstance(made.get("axis"), list) and len(made["axis"]) == 1:
        (made["axis"],) = made["axis"]  # TensorFlow's Keras writes a single axis as a list
    if made.get("virtual_batch_size") and isinstance(made.get("axis"), int) and made["axis"] > 0:
        made["axis"] -= 1  # Keras 2 counts one more axis, that of the virtual batches
    for key in ("fused", "renorm_clipping"):
        made.pop(key, None)
    renormalized = made.pop("renorm", False)
    if isinstance(made.get("axis"), list):
        return OVER_AXES
    return RENORMALIZED if renormalized else "BatchNormalization"


def _old_recurrent(class_name: str, made: dict[str, Any]) -> None:
    if not class_name.startswith("CuDNN"):
        made.setdefault("recurrent_activation", "hard_sigmoid")
    if class_name == "SimpleRNN":
        made.pop("recurrent_activation", None)
