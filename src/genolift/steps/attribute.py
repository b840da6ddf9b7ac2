"""The attribute step: a model explained on stored sequences, in pieces that are kept if it is stopped.

Every piece of the work, `PIECE_ROWS` sequences, is written beside the output when it is done. A run that was
killed finds the pieces of the same work and computes the rest.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.data.extra_inputs import ExtraInputs
from genolift.data.stored_sequences import check_length, open_sequences
from genolift.data.stored_tensors import first_two
from genolift.errors import InputError
from genolift.explain.attribution import Explainer
from genolift.files.output_paths import check_outputs
from genolift.files.whole import whole_folder
from genolift.inspection.handing_on import HandOver
from genolift.inspection.model_check import Rows, check_target, checked_model
from genolift.models import input_length, load_model
from genolift.references.of_sequences import Compared, MadeReferences, StoredReferences
from genolift.references.store import open_references
from genolift.results.agreement import Agreement
from genolift.results.convergence import relative_error
from genolift.results.provenance import Provenance
from genolift.results.store import Block, Head, write_contributions
from genolift.settings.folder_names import check_model_name
from genolift.settings.model import ONE_MODEL
from genolift.settings.sections import References, Settings
from genolift.steps.blocks import Pieces, prepared_ahead, written_behind
from genolift.steps.work import Prepared, Work, bytes_of_piece

_LOG = logging.getLogger("genolift")
_KIND = "attribute"


@dataclass(frozen=True)
class AttributeSummary:
    """What `attribute` did: sequences, pairs, targets, rows taken over from a run that was stopped, the
    largest relative convergence error, and seconds.
    """

    n_sequences: int
    n_pairs: int
    n_targets: int
    n_resumed: int
    largest_error: float
    seconds: float
    device: str

    def __str__(self) -> str:
        resumed = f", {self.n_resumed} of them from an earlier run" if self.n_resumed else ""
        targets = f", {self.n_targets} targets" if self.n_targets > 1 else ""
        return (
            f"{self.n_sequences} sequences{resumed} ({self.n_pairs} pairs{targets}) on {self.device} in "
            f"{self.seconds:.1f} s, largest relative convergence error {self.largest_error:.1e}"
        )


def attribute(
    settings: Settings,
    *,
    sequences: Path,
    references: Path | None,
    out: Path,
    shard: tuple[int, int] = (0, 1),
    model_name: str = ONE_MODEL,
    captures: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AttributeSummary:
    """Write the contributions of a shard of the sequences.

    Parameters
    ----------
    settings
        The model, what it is given beside the bases, what is explained (targets and rule), and the sections
        ``references`` and ``attribution``. The tolerance is the largest relative convergence error that a
        pair may have under the rules that compare with references; the others promise no sum.
    sequences, references
        ``sequences.h5`` and ``references.h5``; without the latter references are made as the settings say.
    out
        The shard's file, of the layout of contributions.h5; of several targets a folder with a file for each,
        ``SLUG.h5`` (`genolift.settings.several_targets`).
    shard
        (i, k): the i-th of k nearly equal runs of rows, i from 0.
    model_name
        What to call the model, where several are run.
    captures
        The folder in which the check handed models on. One that is there as it is now, and was captured by
        the same versions of genolift and torch, is not loaded, checked and captured again.
    progress
        Called with the numbers of pairs done and to do.

    Raises
    ------
    InputError
        If files do not belong together, the model does not take the sequences or give its author's outputs,
        one pair does not fit the memory, an output is NaN, a pair misses the tolerance, or ``out``
        may not be written (see `check_outputs`), cannot be, or is being written by another process.
    """
    started = time.monotonic()
    check_model_name(model_name, "model_name")
    if references is not None and settings.references != References():
        what = "a file of references is given, and how to make them"
        remedy = "leave --references out, or --kind, --number, --seed and --frequencies"
        raise InputError(what, where=str(references), remedy=remedy)
    files = [] if settings.by_slug() else [out]
    folders = [] if files else [(out, _KIND)]
    check_outputs(files, folders=folders, inputs=[sequences, references, *settings.files])
    with _opened(settings, model_name, (sequences, references), shard, captures) as work:
        with closing(Pieces(out, work.fingerprint, len(settings.every_target))) as pieces:
            _LOG.debug("pieces of the work are kept in %s", pieces.folder)
            largest, resumed = _compute(work, pieces, progress)
            seconds = time.monotonic() - started
            _finish(work, pieces, out, {"seconds": round(seconds, 3), "shard": f"{shard[0]}/{shard[1]}"})
        n, device = len(work.rows), str(work.explainer.device)
        pairs, targets = n * work.compared.number, len(settings.every_target)
        return AttributeSummary(n, pairs, targets, resumed, largest, seconds, device)


@contextmanager
def _opened(
    settings: Settings,
    model_name: str,
    files: tuple[Path, Path | None],
    shard: tuple[int, int],
    captures: Path | None,
) -> Iterator[Work]:
    """Open what is read, check that it belongs together and suits the model, and capture the model."""
    (sequences, references), asked = files, settings.attribution
    with ExitStack() as opened:
        kept = opened.enter_context(open_sequences(sequences))
        rows = _rows_of_shard(kept.n, shard)
        stored = kept.rows(rows)
        compared: Compared
        if references is None:
            compared = MadeReferences(settings.references, stored)
        else:
            file = opened.enter_context(open_references(references))
            compared = StoredReferences(file, references, stored, first=rows.start, n=kept.n)
        shown = stored if rows else kept.rows(range(1))  # a shard may be empty
        inputs = ExtraInputs(settings.extras, shown)
        how = {
            **settings.explained_together,
            **{"device": asked.device, "precision": asked.precision, "memory": asked.memory},
            "besides": bytes_of_piece(compared, inputs, len(rows), len(settings.every_target)),
        }

        def fits(length: int | None) -> None:
            check_length(stored, length, sequences, model_name)

        explainer, agreement = _captured(settings, first_two(shown, inputs), captures, how, fits)
        yield Work(settings, model_name, stored, rows.start, compared, inputs, explainer, agreement)


def _captured(
    settings: Settings,
    rows: Rows,
    captures: Path | None,
    how: dict[str, Any],
    fits: Callable[[int | None], None],
) -> tuple[Explainer, Agreement | None]:
    """Return the model, captured, and how far it is from its author's outputs, where they are given.

    ``fits`` is called with its input's length, if it says one, before it is run.
    """
    spec, (onehot, beside, _) = settings.the_model, rows
    taken = None if captures is None else HandOver(captures, spec, (onehot, *beside), how).taken()
    if taken is not None:
        explainer, found = taken
        fits(spec.input_length or found.input_length)
        check_target(explainer, onehot, beside)
        agreement = None if found.agreement is None else Agreement(**found.agreement)
        return explainer, agreement
    model = load_model(spec)
    fits(input_length(model, spec))
    checked = checked_model(model, spec, settings.extras, rows, **how)
    return checked.explainer, checked.agreement


def _compute(work: Work, pieces: Pieces, progress: Callable[[int, int], None] | None) -> tuple[float, int]:
    """Finish all pieces; return the largest relative convergence error, and the rows already there."""
    largest, resumed, done = 0.0, 0, 0

    def advance(pairs: int) -> None:
        nonlocal done
        done += pairs
        if progress is not None:
            progress(done, len(work.rows) * work.compared.number)

    def prepare(rows: range) -> list[Block] | Prepared:
        blocks = pieces.read(rows)
        if blocks is None:
            return work.prepared(rows)
        work.compared.passed_over(rows)
        return blocks

    ahead = closing(prepared_ahead(work.pieces, prepare))
    with written_behind(pieces) as write, ahead as prepared:
        for rows, before in prepared:
            if isinstance(before, Prepared):
                blocks = work.computed(rows, before, advance)
                write(rows, blocks)
            else:
                blocks = before
                resumed += len(rows)
                advance(len(rows) * work.compared.number)
            for target, block in zip(work.settings.every_target, blocks, strict=True):
                if work.explainer.plan.sums_up:
                    called = f", target {target}" if len(blocks) > 1 else ""
                    _check_tolerance(block, work.settings.attribution.tolerance, called)
                largest = max(largest, float(_error(block).max()))
    work.compared.tell()
    return largest, resumed


def _finish(work: Work, pieces: Pieces, out: Path, more: Mapping[str, Any]) -> None:
    """Write the finished pieces as one file, or one for each target, whose provenance says ``more`` too, and
    remove them.
    """
    agreement = {} if work.agreement is None else {"model_agreement": asdict(work.agreement)}
    tolerance = {"tolerance": work.settings.attribution.tolerance}
    sizes = len(work.rows), work.compared.length, work.compared.number

    def write(file: Path, number: int) -> None:
        made = Provenance(work.provenance[number] | agreement | tolerance | dict(more))
        head = Head(*sizes, made, work.stored.chromosomes)
        write_contributions(file, head, pieces.blocks(work.pieces, number))

    several = work.settings.by_slug()
    if several:
        with whole_folder(out, _KIND) as folder:
            for number, slug in enumerate(several):
                write(folder / f"{slug}.h5", number)
    else:
        write(out, 0)
    pieces.remove()


def _check_tolerance(block: Block, tolerance: float, target: str) -> None:
    error = _error(block)
    if error.max() <= tolerance:
        return
    row, reference = np.unravel_index(int(error.argmax()), error.shape)
    raise InputError(
        f"contributions miss the output difference by {error[row, reference]:.2g} of it with reference "
        f"{reference}, over the tolerance of {tolerance:g}",
        where=f"sequence {block['genolift/id'][row]} (key {block['genolift/key'][row]}){target}",
        remedy="use precision: float64, or raise attribution.tolerance",
    )


def _error(block: Block) -> NDArray[Any]:
    return relative_error(
        block["genolift/output"], block["genolift/reference_output"], block["genolift/convergence_error"]
    )


def _rows_of_shard(n: int, shard: tuple[int, int]) -> range:
    i, k = shard
    if k < 1 or not 0 <= i < k:
        raise InputError(f"is {i}/{k}", where="shard", remedy="give i/k with i from 0 to k - 1")
    return range(n * i // k, n * (i + 1) // k)
