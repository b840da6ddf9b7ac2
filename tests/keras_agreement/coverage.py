"""The layers of Keras that no case covers, with the reasons; every other layer must be in some case."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from keras_agreement.cases import CASES

_OF_DATA = "prepare text, numbers or images for a model, and take no one-hot DNA"
_OF_IMAGES = "change images at random in training, or change their colours"
_OF_CODE = "contain code of another framework or of the user, which is not run"
_A_BASE = "base classes for the user's own, which compute nothing"
_OF_THREE = "take three dimensions besides the channels, which a sequence does not have"

LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(
        (
            *("AbstractRNNCell", "InputSpec", "Layer", "Wrapper"),
            *("DenseFeatures", "Pipeline"),
        ),
        _A_BASE,
    ),
    **dict.fromkeys(
        (
            *("CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup"),
            *("StringLookup", "TextVectorization", "MaxNumBoundingBoxes"),
            *("MelSpectrogram", "STFTSpectrogram", "CenterCrop", "Resizing"),
        ),
        _OF_DATA,
    ),
    **dict.fromkeys(
        (
            *("AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "CutMix", "MixUp"),
            *("Equalization", "RandAugment", "RandomBrightness", "RandomColorDegeneration"),
            *("RandomColorJitter", "RandomContrast", "RandomCrop", "RandomElasticTransform"),
            *("RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHeight"),
            *("RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation"),
            *("RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth"),
            *("RandomZoom", "Solarization"),
        ),
        _OF_IMAGES,
    ),
    **dict.fromkeys(("FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"), _OF_CODE),
    **dict.fromkeys(
        (
            *("AdaptiveAveragePooling3D", "AdaptiveMaxPooling3D", "AveragePooling3D", "Conv3D"),
            *("Conv3DTranspose", "ConvLSTM3D", "Cropping3D", "GlobalAveragePooling3D"),
            *("GlobalMaxPooling3D", "MaxPooling3D", "SpatialDropout3D", "UpSampling3D", "ZeroPadding3D"),
        ),
        _OF_THREE,
    ),
}
"""Keys are names of classes."""
_NO_ACTIVATIONS = ("deserialize", "get", "serialize", "threshold")
"""Activations that a layer cannot be given by name: the last needs two numbers."""


def check_coverage(generation: int, layers: Mapping[str, Any], activations: Mapping[str, Any]) -> list[str]:
    """Return the layers and activations of Keras's modules that are in no case and have no reason."""
    here = [case for case in CASES if generation in case.generations]
    held = {case.layer for case in here}
    classes = {
        each for name, each in layers.items() if name in held | set(LEFT_OUT) and inspect.isclass(each)
    }
    missing = [
        name
        for name, each in layers.items()
        if inspect.isclass(each) and not name.startswith("_") and each not in classes
    ]
    applied = {case.settings for case in here if case.layer == "Activation"}
    return missing + [
        f"activations.{name}"
        for name, each in activations.items()
        if inspect.isfunction(each)
        and not name.startswith("_")
        and name not in _NO_ACTIVATIONS
        and f"activation={name!r}" not in applied
    ]
