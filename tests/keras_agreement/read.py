"""``python -m keras_agreement.read FOLDER...``, with genolift's Python: compare what `write` wrote."""

from __future__ import annotations

import argparse
import fnmatch
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from keras_agreement.case import Case
from keras_agreement.cases import CASES
from keras_agreement.forms import FORMS
from keras_agreement.reading import LARGEST_LOSS, Read, loaded, loss_of, read


@dataclass(frozen=True)
class Row:
    """The outcome of a case in one form."""

    case: str
    keras: str
    tensorflow: str
    """Versions of the packages that wrote it."""
    generation: int
    form: str
    read: Read
    loss: float | None = None
    """By how much the sum of contributions is off, if it was explained."""

    @property
    def wrong(self) -> bool:
        """Whether outputs differ from the author's, or there were neither outputs nor a refusal."""
        return not (self.read.right or self.read.refused or self.read.unwritten)


def main() -> int:
    """Read what the command line names; return 1 if an output is wrong or a fault occurs."""
    parser = argparse.ArgumentParser(prog="python -m keras_agreement.read", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="what keras_agreement.write wrote")
    parser.add_argument("--only", default="*", help="cases of such names, as 'Conv1D*'")
    parser.add_argument("--explain", type=int, default=0, metavar="N", help="every N-th case (none)")
    parser.add_argument("--out", type=Path, help="the rows, a line of JSON each")
    parser.add_argument("--all", action="store_true", help="print right rows too")
    options = parser.parse_args()
    logging.getLogger("genolift").setLevel(logging.ERROR)
    chosen = [case for case in CASES if fnmatch.fnmatchcase(case.name, options.only)]
    rows = []
    for folder in options.folders:
        for row in rows_of(folder, chosen, options.explain):
            rows.append(row)
            if options.all or not row.read.right or (row.loss or 0) > LARGEST_LOSS:
                print(shown(row), flush=True)
    if options.out is not None:
        options.out.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    wrong = [row for row in rows if row.wrong]
    refused = [row for row in rows if row.read.refused]
    unwritten = [row for row in rows if row.read.unwritten]
    counts = f"{len(wrong)} wrong, {len(refused)} refused, {len(unwritten)} not written by Keras"
    print(f"{len(rows)} files: {counts}")
    return 1 if wrong or not rows else 0


def rows_of(folder: Path, cases: list[Case], explain: int) -> Iterator[Row]:
    """Read every case in a folder, in every form."""
    here = [case for case in cases if (folder / case.slug / "written.json").exists()]
    for number, case in enumerate(here):
        said = json.loads((folder / case.slug / "written.json").read_text())
        of_case = {key: said[key] for key in ("case", "keras", "tensorflow", "generation")}
        explained = False
        for form, files in FORMS[said["generation"]].items():
            if said["forms"][form] != "written":
                yield Row(**of_case, form=form, read=Read(unwritten=said["forms"][form]))
                continue
            found, loss = read(folder / case.slug, files), None
            if explain and number % explain == 0 and found.right and not explained:
                model, inputs, _ = loaded(folder / case.slug, files)
                try:
                    loss, explained = loss_of(model, inputs), True
                except Exception as error:  # list it: a model that is read must be explained too
                    print(f"{case.name}: not explained ({type(error).__name__}: {error})"[:400], flush=True)
            yield Row(**of_case, form=form, read=found, loss=loss)


def rows_in(path: Path) -> list[Row]:
    """Return the rows written to a file."""
    return [
        Row(**{**row, "read": Read(**row["read"])}) for row in map(json.loads, path.read_text().splitlines())
    ]


def shown(row: Row) -> str:
    """Return a row in one line."""
    if row.read.error is not None:
        found = f"error {row.read.error:.1e}"
    else:
        outcome = next(name for name in ("refused", "fault", "unwritten") if getattr(row.read, name))
        found = f"{outcome}: {getattr(row.read, outcome)}"
    loss = "" if row.loss is None else f", sum misses {row.loss:.1e}"
    return f"{row.case} [Keras {row.generation}, {row.form}]: {found}{loss}"


if __name__ == "__main__":
    sys.exit(main())
