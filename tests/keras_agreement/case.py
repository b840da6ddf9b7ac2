"""A case: code of a small model that both Keras 2.15 and 3 can run, under the name "layer, settings"."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LENGTH = 24
"""Length of the models' DNA."""
DNA = (LENGTH, 4)
BOTH = (2, 3)
KERAS_2, KERAS_3 = (2,), (3,)
Make = Callable[[Any], Any]
"""A function that makes a layer or a model with the module ``keras``."""


@dataclass(frozen=True)
class Case:
    """A model that takes one-hot DNA as its input "dna", and perhaps others."""

    layer: str
    settings: str
    build: Make
    generations: tuple[int, ...] = BOTH
    further: Mapping[str, tuple[int, ...] | int] | None = None
    """The other inputs: for real numbers the shape without the rows; for integer codes, how many of them."""

    @property
    def name(self) -> str:
        """Layer and settings; unique among the cases."""
        return f"{self.layer}, {self.settings}" if self.settings else self.layer

    @property
    def slug(self) -> str:
        """The name as a file name; a number distinguishes names whose signs a file name cannot have."""
        plain = re.sub(r"[^A-Za-z0-9.]+", "-", self.name)[:60].strip("-")
        return f"{plain}-{zlib.crc32(self.name.encode()) & 0xFFFF:04x}"


_CASES: dict[str, Case] = {}


def add(case: Case) -> None:
    """Add a case.

    Raises
    ------
    ValueError
        If there already is one of its name.
    """
    if case.slug in _CASES:
        raise ValueError(f"two cases are named {case.name}")
    _CASES[case.slug] = case


def added() -> list[Case]:
    """Return all cases, in the order in which they were added."""
    return list(_CASES.values())


def layer(
    class_name: str,
    *,
    generations: tuple[int, ...] = BOTH,
    shape: tuple[int, ...] = DNA,
    before: Make | None = None,
    **settings: Any,
) -> None:
    """Add a model with one layer of ``keras.layers``, made with these settings."""
    made(
        class_name,
        ", ".join(f"{key}={value!r}" for key, value in settings.items()),
        lambda keras: getattr(keras.layers, class_name)(**settings),
        generations=generations,
        shape=shape,
        before=before,
    )


def made(
    class_name: str,
    settings: str,
    make: Make,
    *,
    generations: tuple[int, ...] = BOTH,
    shape: tuple[int, ...] = DNA,
    before: Make | None = None,
) -> None:
    """Add a model with one layer made by ``make``, after the one made by ``before`` if that is given."""

    def build(keras: Any) -> Any:
        dna = x = keras.layers.Input(shape, name="dna")
        if before is not None:
            x = before(keras)(x)
        return keras.Model(dna, make(keras)(x))

    where = "" if shape == DNA else f"input {shape}"
    add(Case(class_name, ", ".join(each for each in (settings, where) if each), build, generations))


def model(
    layer: str,
    settings: str = "",
    *,
    generations: tuple[int, ...] = BOTH,
    further: Mapping[str, tuple[int, ...] | int] | None = None,
) -> Callable[[Make], Make]:
    """Add the model that a function makes with ``keras``."""

    def with_function(build: Make) -> Make:
        add(Case(layer, settings, build, generations, further))
        return build

    return with_function
