"""Refuses, by name, layers that are called with training=True and then compute something different.

A saved model may contain such calls. A batch norm then uses the mean and variance of the batch, and dropout
drops values at random, so that a row's output depends on the other rows or on chance.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from genolift.errors import InputError
from genolift.models.keras.arguments import TENSORFLOW
from genolift.models.keras.each_position import EachPosition
from genolift.models.keras.graph import Call, LayerConfig
from genolift.models.keras.layers import UserFunction
from genolift.models.keras.net import KerasNet

_BATCH_NORMS = ("BatchNormalization", "SyncBatchNormalization")
_RATES = ("rate", "p", "dropout", "recurrent_dropout", "dropout_W", "dropout_U", "stddev", "sigma")
_FUNCTIONS = ("Lambda", *TENSORFLOW)
_WRAPPED = ("layer", "backward_layer", "cell")
_OF_THE_BATCH = (
    "where it uses the mean and variance of the batch, so that a row's output depends on the other rows"
)
_BY_CHANCE = "where it draws random numbers, so that a row's output depends on chance"


def check_evaluation(net: KerasNet, where: str, *, frozen_evaluates: bool) -> None:
    """Raise `InputError` if a layer is called with training=True and then computes something different.

    Parameters
    ----------
    frozen_evaluates
        Whether a frozen batch norm ignores training=True, as in TensorFlow 2 and Keras 3.
    """
    for layer, place, why in _in_training(net, where, False, frozen_evaluates):
        raise InputError(
            f"the {layer.class_name} is called with training=True, {why}",
            where=place,
            remedy="to explain the model as it is in evaluation, set model.arguments: {training: false}",
        )


def _in_training(
    net: KerasNet, where: str, training: bool, frozen_evaluates: bool
) -> Iterator[tuple[LayerConfig, str, str]]:
    """Yield the layers that training=True changes, where they are, and what they then do."""
    for call in net.graph.calls:
        layer, made = net.graph.layers[call.layer], net.layers[call.layer]
        made = made.inside if isinstance(made, EachPosition) else made
        place = f"{where}, layer {call.layer}"
        said = call.kwargs.get("training")
        asked = training if said is None else said not in (False, 0)
        if isinstance(made, KerasNet):
            yield from _in_training(made, place, asked, frozen_evaluates)
        elif asked:
            why = (
                _unsaid(layer, made, call)
                if isinstance(made, UserFunction)
                else _difference(layer.class_name, layer.config, frozen_evaluates)
            )
            if why is not None:
                yield layer, place, why


def _unsaid(layer: LayerConfig, made: UserFunction, call: Call) -> str | None:
    """Return what a user's function called with training=True lacks: it must take ``training`` itself."""
    told = "training" in made.takes and "training" in call.kwargs
    if told or layer.class_name in _FUNCTIONS:
        return None
    return "but the function that replaces it has no parameter training"


def _difference(class_name: str, config: Mapping[str, Any], frozen_evaluates: bool) -> str | None:
    """Return what a layer does in training but not in evaluation, or None if there is no difference."""
    if class_name in _BATCH_NORMS:
        frozen = config.get("trainable") is False
        return None if frozen and frozen_evaluates else _OF_THE_BATCH
    if class_name == "SpectralNormalization":
        return "where it changes its own weights"
    if class_name.startswith("Random") or any(config.get(key) for key in _RATES):
        return _BY_CHANCE
    listed = config.get("layers")
    inside = [config.get(key) for key in _WRAPPED] + (listed if isinstance(listed, list) else [])
    found = (
        _difference(str(each.get("class_name")), each["config"], frozen_evaluates)
        for each in inside
        if isinstance(each, Mapping) and isinstance(each.get("config"), Mapping)
    )
    return next((why for why in found if why is not None), None)
