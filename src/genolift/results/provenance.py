"""What made a file of contributions: written by attribute, merged by aggregate, read by the report."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from genolift import __version__
from genolift.settings.model import ONE_MODEL

_OF_A_SHARD = ("seconds", "shard", "shards")
_MEASURED = (*_OF_A_SHARD, "model_agreement")
"""Keys that differ between shards of one run: the agreement may be rounded differently on another machine."""
_NAMES = (
    "model",
    "model_name",
    "model_weights",
    "model_custom_layers",
    "model_tracks",
    "model_expect",
    "model_agreement",
)
"""Keys of a model that say nothing about what it computes."""


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of genolift, of Python, and of the packages that a step's results depend on."""
    others = {package: version(package) for package in packages}
    return {"genolift": __version__, "python": platform.python_version(), **others}


class Provenance(dict[str, Any]):
    """What contributions were computed from and how, by the keys that docs/architecture.md lists."""

    @property
    def model_name(self) -> str:
        """What the model is called."""
        return str(self.get("model_name", ONE_MODEL))

    @property
    def models(self) -> dict[str, Provenance]:
        """Each model's own provenance by name, of means over several models; else empty."""
        return {str(model.get("model_name")): Provenance(model) for model in self.get("models", ())}

    @property
    def model(self) -> Provenance:
        """What describes the model, and so may differ between models."""
        return self._only(lambda key: key.startswith("model") or key == "stepped_over")

    @property
    def settings(self) -> Provenance:
        """What several models share: all but the model, the shards and the time."""
        model = self.model
        return self._only(lambda key: key not in model and key not in _OF_A_SHARD)

    @property
    def identity(self) -> Provenance:
        """What distinguishes a model from others, whatever it and its files are called."""
        return self.model._only(lambda key: key not in _NAMES)

    @property
    def run(self) -> Provenance:
        """What the shards of one run share."""
        return self._only(lambda key: key not in _MEASURED)

    def _only(self, wanted: Callable[[str], bool]) -> Provenance:
        return Provenance({key: value for key, value in self.items() if wanted(key)})

    def difference(self, other: Provenance) -> tuple[str, Any, Any] | None:
        """Return the first key whose values differ, and both values; of mappings, their first such entry."""
        for name in sorted(self.keys() | other.keys()):
            one, its = self.get(name), other.get(name)
            if one != its:
                if not (isinstance(one, Mapping) and isinstance(its, Mapping)):
                    return name, one, its
                key = min(key for key in one.keys() | its.keys() if one.get(key) != its.get(key))
                return f"{name} {key}", one.get(key, "none"), its.get(key, "none")
        return None

    def joined(self, given: Mapping[str, Any], **steps: Mapping[str, Any]) -> dict[str, Any]:
        """Return one flat mapping of this and what other ``steps`` recorded, whose keys begin with the step.

        What a step repeats of this one is left out; what is ``given`` is added last, and preferred.
        """
        joined = flat(self)
        for step, recorded in steps.items():
            for key, value in flat(recorded).items():
                bare = key.removeprefix(f"{step}_")
                if joined.get(bare) != value:
                    joined.setdefault(f"{step}_{bare}", value)
        return joined | flat(given)

    @classmethod
    def of_shards(cls, shards: Sequence[Provenance]) -> Provenance:
        """Return that of the shards of one run together."""
        merged = cls(shards[0] | {"seconds": _seconds(shards), "shards": len(shards)})
        merged.pop("shard", None)  # absent if a merged file is given as the only shard
        agreements = [shard["model_agreement"] for shard in shards if "model_agreement" in shard]
        if agreements:
            merged["model_agreement"] = max(agreements, key=lambda agreement: agreement["error"])
        return merged

    @classmethod
    def of_models(cls, models: Sequence[Provenance], digests: Sequence[str]) -> Provenance:
        """Return that of the mean over models, whose files of contributions have these digests."""
        own = [
            model.model | {"seconds": model.get("seconds"), "contributions_digest": digest}
            for model, digest in zip(models, digests, strict=True)
        ]
        shards = sum(model.get("shards", 1) for model in models)
        return cls(models[0].settings | {"seconds": _seconds(models), "shards": shards, "models": own})


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings; a leaf's key joins the keys on the way to it by underscores."""
    leaves: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        leaves |= flat(value, f"{name}_") if isinstance(value, Mapping) else {name: value}
    return leaves


def _seconds(parts: Sequence[Provenance]) -> float:
    return round(sum(part.get("seconds", 0) for part in parts), 3)
