"""What ``targets: all`` stands for: the columns of the model's output, which its table of tracks or the model
itself tells, before the workflow knows which files it makes.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from genolift import __version__
from genolift.cli.handed import handed
from genolift.data.track_names import read_track_names
from genolift.errors import InputError
from genolift.files import whole
from genolift.settings.sections import Analysis
from genolift.settings.several_targets import ALL, all_targets

_ONE_AXIS = 1


def with_all_targets(analyses: Mapping[str, Analysis], results: str, where: str) -> dict[str, Analysis]:
    """Return analyses with a list in the place of ``all``; errors name the config, ``where``.

    A model without a table of tracks is run once for it, by `genolift inspect`, and what that wrote is kept
    in the folder ``.targets`` of the results, under the digest of the model's files and settings.

    Raises
    ------
    InputError
        If the model cannot be inspected or gives more than one output, or one with several axes; or as
        `all_targets`.
    """
    return {
        name: _listed(each, Path(results), f"{where}: analyses.{name}.targets")
        if isinstance(each.targets, str)
        else each
        for name, each in analyses.items()
    }


def _listed(analysis: Analysis, results: Path, where: str) -> Analysis:
    try:
        if analysis.tracks is not None:
            names = read_track_names(analysis.tracks)
            found = all_targets(str(analysis.targets), names, len(names))
        else:
            found = _of_model(analysis, results)
    except InputError as error:
        raise InputError(error.what, where=error.where or where, remedy=error.remedy) from error
    return analysis.model_copy(update={"targets": tuple(found)})


def _of_model(analysis: Analysis, results: Path) -> list[int | str]:
    told = _inspected(analysis, results)
    outputs = told["outputs"]
    if len(outputs) != 1 or len(outputs[0]["shape"]) != _ONE_AXIS:
        shapes = ", ".join(f"{each['name'] or 'output'} {each['shape']}" for each in outputs)
        what = f"'{ALL}' are the columns of one output, and the model gives {shapes}"
        raise InputError(what, remedy="list the targets: genolift inspect shows them")
    (number,) = outputs[0]["shape"]
    return all_targets(str(analysis.targets), told["tasks"], number, told["heads"])


def _inspected(analysis: Analysis, results: Path) -> dict[str, list]:
    """Return what `genolift inspect` says of the first model."""
    name, spec = next(iter(analysis.models.items()))
    settings, _ = handed(analysis.model_copy(update={"targets": None}), "inspect", name)
    asked = [__version__, settings, *(whole.sha256(file) for file in spec.files)]
    out = results / ".targets" / f"{sha256(json.dumps(asked).encode()).hexdigest()[:40]}.json"
    found = _told(out)
    if found is None:
        command = [sys.executable, "-m", "genolift", "inspect", "--settings", settings, "--out", str(out)]
        done = subprocess.run([*command, "--quiet"], capture_output=True, text=True)
        found = _told(out)
        if found is None:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1].removeprefix("genolift: error: ")
            raise InputError(
                f"the model cannot be inspected: {said}", remedy="list the targets, or mend that"
            )
    return found


def _told(file: Path) -> dict[str, list] | None:
    """Return what an inspection's file says; None if there is none, or it is damaged."""
    with suppress(OSError, ValueError):
        found: dict[str, list] = json.loads(file.read_text(encoding="utf-8"))
        return found
    return None
