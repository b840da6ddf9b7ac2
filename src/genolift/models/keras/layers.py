"""Makes each Keras layer from its settings, without importing any class by a path given in the file.

Lambda and custom layers become the user's torch functions; layers that Keras 3 lacks come from `absent`.
"""

import inspect
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import torch
from numpy.typing import NDArray
from torch import nn

from genolift.engine.rules.activations import HARD_SIGMOID_BEFORE_KERAS_3
from genolift.errors import InputError
from genolift.models.keras.absent import ABSENT
from genolift.models.keras.arguments import TENSORFLOW
from genolift.models.keras.custom import OF_CELLS, CustomLayers, function_name
from genolift.models.keras.graph import LARGEST_SIZE, Call, LayerConfig
from genolift.models.keras.legacy import ACTIVATIONS_BEFORE_3, HARD_SIGMOID, modern, of_one_cell
from genolift.models.keras.operators import DTYPES, Cast, Operation, tensorflow_function, with_calls
from genolift.models.keras.tensorflow_functions import part_of

_LOG = logging.getLogger("genolift")
_HOLD_CODE = ("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", *OF_CELLS)
# Keras's preprocessing layers may read files that their settings name, or make layers from them.
_PREPARING = "keras.src.layers.preprocessing."
_HARMLESS = ("Rescaling", "Normalization")
# A setting that Keras's own class has always written since Keras 2, unlike a user's class of the same name.
_ALWAYS_WRITTEN = {
    "AdditiveAttention": "use_scale",
    "Attention": "use_scale",
    "BatchNormalization": "epsilon",
    "ELU": "alpha",
    "GroupNormalization": "epsilon",
    "LayerNormalization": "epsilon",
    "Masking": "mask_value",
    "RMSNormalization": "epsilon",
    "ReLU": "max_value",
    "Softmax": "axis",
    "UnitNormalization": "axis",
}
_WRAPPERS = ("TimeDistributed", "Bidirectional", "SpectralNormalization")
_WRAPPED = ("layer", "backward_layer")
_ACTIVATION = ("activation", "recurrent_activation")
_NO_FUNCTIONS = ("deserialize", "serialize", "get")
_OPERATIONS = ("numpy", "nn", "core", "math", "linalg")
# Keras 3 writes a class's own name in .h5, and the name of keras.layers in other forms.
_BY_OWN_NAME = {each.__name__: each for each in vars(keras.layers).values() if inspect.isclass(each)}
# Settings that concern training, or that the weights imply anyway, but not what a layer computes.
_FREE_OF_MEANING = frozenset(
    {
        "arguments",
        "batch_input_shape",
        "beta_init",
        "build_config",
        "cache_enabled",
        "consume_less",
        "custom_name",
        "dropout_U",
        "dropout_W",
        "forget_bias_init",
        "gamma_init",
        "implementation",
        "init",
        "inner_init",
        "key_shape",
        "input_dim",
        "input_dtype",
        "input_length",
        "input_shape",
        "momentum",
        "noise_shape",
        "optional",
        "pos_effect",
        "quantization_config",
        "query_shape",
        "ragged",
        "registered_name",
        "renorm_momentum",
        "seed",
        "seq_length",
        "shared_object_id",
        "sparse",
        "unit_forget_bias",
        "value_shape",
        "virtual_batch_size",
        "weights",
        "zero_output_for_mask",
    }
)
_ENDINGS_FREE_OF_MEANING = ("_initializer", "_regularizer", "_constraint")


class UserFunction(nn.Module):
    """A torch function that replaces a layer, with the weights that the file has for the layer."""

    def __init__(self, function: Callable[..., Any], config: Mapping[str, Any]) -> None:
        super().__init__()
        self.function, self.config = function, dict(config)
        self.buffer_of: dict[str, str] = {}
        try:
            parameters = set(inspect.signature(function).parameters)
        except ValueError:  # from a function that is not written in Python
            parameters = set()
        self.takes = parameters
        self.asked = parameters & {"weights", "config"}

    def take(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Take weights by name, such as "kernel"."""
        for number, (name, value) in enumerate(weights.items()):
            self.register_buffer(f"weight_{number}", torch.as_tensor(value))
            self.buffer_of[name] = f"weight_{number}"

    def forward(self, inputs: Any, **call: Any) -> Any:
        """Return the function's value; ``inputs`` are as Keras gives them, a list if there are several.

        The function gets those keyword arguments of the call for which it has a parameter.
        """
        further = {key: value for key, value in call.items() if key in self.takes}
        if "config" in self.asked:
            further["config"] = self.config
        if "weights" in self.asked:
            further["weights"] = {name: getattr(self, buffer) for name, buffer in self.buffer_of.items()}
        return self.function(inputs, **further)


def make_layer(
    layer: LayerConfig, custom: CustomLayers, major: int, where: str, calls: Sequence[Call] = ()
) -> nn.Module | None:
    """Return a layer of Keras 3 or a torch function that replaces it; None if the user must supply one.

    Parameters
    ----------
    major
        Major version of the Keras that wrote the config.
    where
        The place to name in error messages.
    calls
        The layer's calls, which hold the arguments of a TensorFlow function.

    Raises
    ------
    InputError
        If the layer has settings that Keras 3 does not know.
    """
    # the name of a registered class includes its package, as in "Custom>FrameSlice"
    classes = (layer.class_name, layer.class_name.rpartition(">")[2])
    names = [name for name in (layer.name, function_name(layer.config), *classes) if name]
    place = f"{where}, layer {layer.name}"
    if layer.class_name in TENSORFLOW:
        made = tensorflow_function(layer, calls, place)
        if made is not None and custom.of(*names) is None:
            return made
    own = custom.listed_as(*names)
    class_name, config = modern(*of_one_cell(layer.class_name, layer.config), major)
    # Keras 3 may write an operation, such as a sum, as a layer, but without the "trainable" of most layers
    operation = major >= 3 and "trainable" not in layer.config
    if operation and class_name == "GetItem":
        return Operation(part_of)
    if operation and class_name == "Cast" and config.get("dtype") in DTYPES:
        return Cast(config["dtype"])
    always = None if operation or major < 2 else _ALWAYS_WRITTEN.get(class_name)
    keras_class = None
    if own is None and (always is None or always in config):
        keras_class = _class_written(class_name, layer.module, operation)
    if keras_class is not None and (own := custom.defined(*names)) is not None:
        keras_class = None
        _LOG.warning(
            "%s: Keras has this layer, but the function of the same name in model.custom_layers replaces it; "
            "rename the function if it is not meant to",
            place,
        )
    if keras_class is None:
        own = own if own is not None else custom.of(*names)
        if own is None:
            custom.lack(with_calls(layer, calls) if layer.class_name in TENSORFLOW else layer)
            return None
        if callable(own):
            return UserFunction(own, config)
        class_name, config = modern(own, layer.config, major)
        keras_class = _class_named(own, class_name, place)
    settings = _settings(keras_class, config, custom, major, place)
    if settings is None:
        custom.lack(layer)
        return None
    return _instance(keras_class, class_name, settings, place)


def _instance(keras_class: Any, class_name: str, settings: Mapping[str, Any], where: str) -> nn.Module:
    try:
        made = (_both_ways if keras_class is keras.layers.Bidirectional else keras_class)(**settings)
        return made if isinstance(made, nn.Module) else Operation(made)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Keras {keras.__version__} rejects the settings of {class_name} ({error})".replace("\n", " "),
            where=where,
            remedy="supply the layer as a torch function, by model.custom_layers",
        ) from error


def _class_written(class_name: str, module: str | None, operation: bool) -> Any:
    """Return Keras's class for a layer as named in the file; an operation's class first if it may be one."""
    found = _class_of(class_name, module, is_operation=True) if operation else None
    return _class_of(class_name, module) if found is None else found


def _class_named(given: Any, class_name: str, where: str) -> Any:
    """Return the Keras class that the user names for a custom layer."""
    if (found := _class_of(class_name, None)) is None:
        raise InputError(
            f"Keras {keras.__version__} has no layer {given!r} to replace it",
            where=where,
            remedy="name one of keras.layers, or give a torch function, in model.custom_layers",
        )
    return found


def _class_of(class_name: str, module: str | None, *, is_operation: bool = False) -> Any:
    """Return Keras's own class of a name; None if it has none, or only one that runs code from the file.

    ``module`` is the module that Keras 3 names for the class; a class from another package is not Keras's.
    For an operation the class is one of keras.ops.
    """
    if class_name in _HOLD_CODE or not (module is None or module == "keras" or module.startswith("keras.")):
        return None
    if class_name in ABSENT and not is_operation:
        return ABSENT[class_name]
    operations = [getattr(keras.src.ops, name) for name in _OPERATIONS]
    for place in operations if is_operation else [keras.layers]:
        found = getattr(place, class_name, _BY_OWN_NAME.get(class_name) if place is keras.layers else None)
        if not (inspect.isclass(found) and issubclass(found, (keras.layers.Layer, keras.Operation))):
            continue
        if class_name in _HARMLESS or not found.__module__.startswith(_PREPARING):
            return found
    return None


def _settings(
    keras_class: Any, config: Mapping[str, Any], custom: CustomLayers, major: int, where: str
) -> dict[str, Any] | None:
    """Return the keyword arguments for a class; None if the user must supply a function among them."""
    known = _parameters(keras_class)
    settings: dict[str, Any] = {}
    for key, value in config.items():
        if key == "name":
            # Keras 3 allows no "/" in names, as TensorFlow's scopes have it, and torch no dot
            settings[key] = re.sub(r"[/.]", "_", str(value))
        elif key in _WRAPPED and keras_class.__name__ in _WRAPPERS:
            if value is None:
                continue
            inner = LayerConfig(
                value["config"].get("name") or key, value["class_name"], value["config"], value.get("module")
            )
            made = make_layer(inner, custom, major, where)
            if not isinstance(made, keras.layers.Layer):
                return None
            settings[key] = made
        elif key in _ACTIVATION and key in known and value is not None:
            activation = _activation(value, custom, major, where)
            if activation is None:
                return None
            settings[key] = activation
        elif key.endswith("_initializer") and key in known:
            settings[key] = "zeros"
        elif (
            key.endswith(_ENDINGS_FREE_OF_MEANING)
            or key in ("dtype", "synchronized", "trainable")
            or (key in _FREE_OF_MEANING and key not in known)
        ):
            continue
        elif key in known:
            settings[key] = _plain(value)
            if isinstance(value, int) and value > LARGEST_SIZE:
                raise ValueError(f"{key} is over {LARGEST_SIZE}")
            if settings[key] is None and value is not None:
                return None
        elif value not in (None, False, 0, [], {}):
            raise InputError(
                f"{keras_class.__name__} has no setting {key} ({value!r}) in Keras {keras.__version__}",
                where=where,
                remedy="supply the layer as a torch function, by model.custom_layers",
            )
    return settings


def _both_ways(layer: Any, backward_layer: Any = None, **settings: Any) -> Any:
    """Return a Bidirectional layer whose copies of ``layer`` keep its activations, including functions.

    Keras copies a layer through its config, where a function of ours would become a path to import.
    """
    cell = getattr(layer, "cell", None)
    own = backward_layer is None
    activations = {key: getattr(cell, key) for key in _ACTIVATION if hasattr(cell, key)}
    for key in activations:
        setattr(cell, key, keras.activations.linear)
    if own and getattr(layer, "go_backwards", False):  # Keras 2 reverses it for the other direction
        turned = {"go_backwards": False, "name": f"backward_{layer.name}"}
        backward_layer = type(layer).from_config({**layer.get_config(), **turned})
    made = keras.layers.Bidirectional(layer, backward_layer=backward_layer, **settings)
    for each in (made.forward_layer, *([made.backward_layer] if own else [])):
        for key, activation in activations.items():
            setattr(each.cell, key, activation)
    return made


def _plain(value: Any) -> Any:
    """Return a setting as numbers, strings and tuples; None if it describes an object."""
    if isinstance(value, list):
        made = tuple(_plain(each) for each in value)
        return (
            None
            if any(new is None and old is not None for new, old in zip(made, value, strict=True))
            else made
        )
    return None if isinstance(value, Mapping) else value


def _parameters(keras_class: Any) -> set[str]:
    """Return the names of a class's keyword arguments, including those that it passes to its bases."""
    names: set[str] = set()
    for base in keras_class.__mro__:
        if base in (keras.layers.Layer, keras.Operation, nn.Module, object):
            break
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters
            names |= set(parameters)
            if "kwargs" not in parameters:
                break
    return (names | {"name"}) - {"self", "args", "kwargs"}


def _activation(value: Any, custom: CustomLayers, major: int, where: str) -> Any:
    """Return an activation, as one of Keras's names or as a function; None if the user must supply it."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):  # a layer, such as ReLU
        name = str(value["config"].get("name") or value.get("class_name"))
        layer = LayerConfig(name, str(value.get("class_name")), value["config"], value.get("module"))
        return make_layer(layer, custom, major, where)
    written = value
    if isinstance(value, Mapping):
        value = value.get("config") if isinstance(value.get("config"), str) else value.get("class_name")
    name = str(value)
    own = custom.of(name, name.rpartition(">")[2])  # without the package of a registered one
    if own is not None:
        return own
    if value == HARD_SIGMOID:
        return HARD_SIGMOID_BEFORE_KERAS_3.value
    # Keras writes its own functions as names and any other as a mapping, even one with a name of its own
    others = isinstance(written, Mapping) and name != "swish"
    others = others or (major < 3 and name not in ACTIVATIONS_BEFORE_3)
    known = inspect.isfunction(getattr(keras.activations, name, None)) and name not in _NO_FUNCTIONS
    if known and not others:
        return name
    custom.lack_activation(name.rpartition(">")[2])
    return None
