"""The forms in which Keras writes a model, and the files of each."""

from __future__ import annotations

FORMS: dict[int, dict[str, tuple[str, ...]]] = {
    2: {
        ".h5": ("model.h5",),
        ".keras": ("model.keras",),
        "to_json + .h5": ("model.json", "weights.h5"),
        "to_json + .weights.h5": ("model.json", "model.weights.h5"),
    },
    3: {
        ".keras": ("model.keras",),
        ".h5": ("model.h5",),
        "to_json + .weights.h5": ("model.json", "model.weights.h5"),
    },
}
"""By Keras's generation: a whole model is one file, an architecture has a separate weights file."""


def generation_of(version: str) -> int:
    """Return 2 or 3 for a version such as "2.15.0"."""
    return int(version.partition(".")[0])


def spec_of(folder: str, files: tuple[str, ...]) -> dict[str, str]:
    """Return the config's ``model`` section for the files of a form."""
    paths = [f"{folder}/{name}" for name in files]
    return dict(zip(("path", "weights"), paths, strict=False))
