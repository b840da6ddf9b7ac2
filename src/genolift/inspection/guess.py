"""The config that would explain a model, as far as it can be guessed: `guess.template.yaml`, filled in."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import write_text
from genolift.inspection.data import Data
from genolift.inspection.described import Inspection
from genolift.inspection.weights import WeightsFile
from genolift.inspection.words import SHORTEST, length_in_words
from genolift.settings.database import GROUPS
from genolift.settings.extra_inputs import as_given
from genolift.settings.model import BASES_FIRST, ModelSpec
from genolift.settings.motifs import Motifs

_PLAIN = re.compile(r"[A-Za-z_./~][A-Za-z0-9_./~-]*")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"}


def guess(inspection: Inspection, data: Data = Data()) -> str:  # noqa: B008 - it is frozen
    """Return a config for a model that can be run, as YAML with comments.

    For what neither the model nor the user's ``data`` say there is a comment that asks for it.
    """
    taken = inspection.taken
    length, spec = taken.layout.length, taken.spec
    fixed = length.largest is not None
    given = [f"- {json.dumps(as_given(item))}" for item in inspection.extras.inputs]
    others = [each for each in taken.inputs if each.axes is None]
    least = f", {length.smallest} bases or more" if length.smallest > SHORTEST else ""
    return _filled_in(
        spec,
        data,
        axes=None if spec.axes == BASES_FIRST or taken.kind == "Keras model" else spec.axes,
        axes_from=" # found by trial" if taken.kind.startswith("PyTorch") else "",
        input_length=length.bases if fixed and length.found in ("trial", "typical") else None,
        length_in_words=length_in_words(asdict(length)),
        extra_inputs=given or [line for each in others for line in _placeholder(each.name, each.shape)],
        extra_channels=[as_given(item) for item in inspection.extras.channels],
        target=inspection.proposed,
        choices=_choices(inspection),
        bases=f"{length.bases} bases each" if fixed else f"all of one length{least}",
        least=None if fixed or spec.input_length else length.smallest,
    )


def guess_of_weights(file: WeightsFile, spec: ModelSpec, data: Data = Data()) -> str:  # noqa: B008
    """Return a config for a file of weights, with a class to fill in."""
    axes, outputs = spec.axes or file.axes, file.outputs or 1
    several = f"0 to {outputs - 1}, if its last layer is the output"
    return _filled_in(
        spec,
        data,
        weights=file,
        axes=None if axes == BASES_FIRST else axes,
        axes_from=" # as the first convolution's shape says",
        target=0,
        choices=several if outputs > 1 else "the only one, likely",
        bases="all of the model's input length",
        least=None if spec.input_length else SHORTEST,
    )


def _filled_in(spec: ModelSpec, data: Data, **found: Any) -> str:
    """Return the template with what was found.

    ``bases`` says how long sequences must be; ``least`` is the smallest number of bases that the model takes,
    None if the config says their number.
    """
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"yaml": _scalar, "json": lambda value: json.dumps(value, default=_plain)}
    database = Motifs().database
    groups = ", ".join(group for group in GROUPS if group not in database)
    name = _name(spec.path)
    template = environment.get_template("guess.template.yaml")
    return template.render(found, spec=spec, data=data, name=name, database=database, groups=groups)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def write_guess(text: str, out: Path) -> None:
    """Write a config as a new file.

    Raises
    ------
    InputError
        If the file exists, since it may be a user's own work, or ``out`` may not be written (see
        `check_outputs`).
    """
    check_outputs([out], inputs=[])
    if out.exists():
        raise InputError("is there already", where=str(out), remedy="name a new file, or remove it")
    write_text(out, text)


def _placeholder(name: str, shape: Sequence[int | None]) -> list[str]:
    """Return zeros of an input's shape, for the user to replace by values or files."""
    item = {"values": 0, "shape": [1 if size is None else size for size in shape] or [1]}
    files = "{bigwig: [plus.bw, minus.bw]}" if len(shape) == 2 else "{table: FILE}, a row for each sequence"
    return [f"# {name}: 0 everywhere; in its place put values, or {files}", f"- {json.dumps(item)}"]


def _choices(inspection: Inspection) -> str:
    others = [
        *inspection.heads,
        *(each.others for each in inspection.outputs if not each.others.startswith("none")),
    ]
    if others == ["0"]:
        return "the only one"
    return f"choose one of {'; '.join(others)}" if others else "check it"


def _name(path: str) -> str:
    """Return a name for an analysis, from a file's name."""
    stem = Path(path).name.partition(".")[0]
    kept = re.sub(r"[^A-Za-z0-9_-]", "_", stem).lstrip("_-") or "mine"
    return _scalar(kept)


def _scalar(value: object) -> str:
    """Return a value as YAML: text in quotes if it could be read as something else."""
    text = str(value)
    if isinstance(value, str) and (not _PLAIN.fullmatch(text) or text.lower() in _WORDS_OF_YAML):
        return json.dumps(text, ensure_ascii=False)
    return text
