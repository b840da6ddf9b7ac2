"""``python -m keras_agreement.freeze FOLDER CASE...``: copy written cases to where tests read them."""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from keras_agreement.cases import CASES
from keras_agreement.forms import FORMS

FROZEN = Path(__file__).parent / "frozen"
_TIME = (1980, 1, 1, 0, 0, 0)


def main() -> int:
    """Freeze the cases given on the command line."""
    parser = argparse.ArgumentParser(prog="python -m keras_agreement.freeze", description=__doc__)
    parser.add_argument("folder", type=Path, help="what keras_agreement.write wrote")
    parser.add_argument("cases", nargs="+", help='their names, "layer, settings"')
    parser.add_argument("--form", action="append", help="a form (the generation's first; more by repeating)")
    options = parser.parse_args()
    slugs = {case.name: case.slug for case in CASES}
    for name in options.cases:
        folder = options.folder / slugs.get(name, "of no case")
        if not (folder / "written.json").exists():
            print(f"no case {name!r} is in {options.folder}", file=sys.stderr)
            return 1
        said = json.loads((folder / "written.json").read_text())
        written = [form for form, outcome in said["forms"].items() if outcome == "written"]
        path = FROZEN / f"{slugs[name]}.keras{said['generation']}.zip"
        _freeze(folder, path, {**said, "forms": options.form or written[:1]})
        print(f"{path.name} ({path.stat().st_size} bytes)")
    return 0


def _freeze(folder: Path, path: Path, case: dict[str, Any]) -> None:
    files = {file for form in case["forms"] for file in FORMS[case["generation"]][form]}
    FROZEN.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(zipfile.ZipInfo("case.json", _TIME), json.dumps(case, indent=1))
        for file in sorted(files | {"values.npz"}):
            entry = zipfile.ZipInfo(file, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (folder / file).read_bytes())


if __name__ == "__main__":
    sys.exit(main())
