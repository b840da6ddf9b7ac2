"""The attribute step: a model explained on stored sequences, in pieces that are kept if it is stopped.

Every piece of the work, `PIECE_ROWS` sequences, is written beside the output when it is done. A run that was
killed finds the pieces of the same work and computes the rest.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genolift.data.alphabet import onehot_of_codes
from genolift.data.extra_inputs import ExtraInputs, extras_provenance
from genolift.data.stored_sequences import Sequences, check_length, open_sequences
from genolift.data.stored_tensors import as_tensors, first_two
from genolift.engine.run.footprint import result_bytes
from genolift.errors import InputError
from genolift.explain.attribution import Explainer
from genolift.files.output_paths import check_outputs
from genolift.inspection.handing_on import HandOver
from genolift.inspection.model_check import Rows, check_target, checked_model
from genolift.models import input_length, load_model, model_provenance
from genolift.references.of_sequences import Compared, MadeReferences, StoredReferences
from genolift.references.store import open_references
from genolift.results.agreement import Agreement
from genolift.results.convergence import relative_error
from genolift.results.provenance import Provenance, versions
from genolift.results.store import Block, Head, write_contributions
from genolift.settings.folder_names import check_model_name
from genolift.settings.model import ONE_MODEL
from genolift.settings.sections import References, Settings
from genolift.steps.blocks import Pieces, prepared_ahead, written_behind

_LOG = logging.getLogger("genolift")
PIECE_ROWS = 64
_PIECE_LENGTH = 8192
"""Bases up to which a piece has `PIECE_ROWS` sequences; of longer ones, which take gigabytes, fewer."""


@dataclass(frozen=True)
class AttributeSummary:
    """What `attribute` did: sequences, pairs, rows taken over from a run that was stopped, the largest
    relative convergence error, and seconds.
    """

    n_sequences: int
    n_pairs: int
    n_resumed: int
    largest_error: float
    seconds: float
    device: str

    def __str__(self) -> str:
        resumed = f", {self.n_resumed} of them from an earlier run" if self.n_resumed else ""
        return (
            f"{self.n_sequences} sequences{resumed} ({self.n_pairs} pairs) on {self.device} in "
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
        The model, what it is given beside the bases, what is explained (target and rule), and the sections
        ``references`` and ``attribution``. The tolerance is the largest relative convergence error that a
        pair may have under the rules that compare with references; the others promise no sum.
    sequences, references
        ``sequences.h5`` and ``references.h5``; without the latter references are made as the settings say.
    out
        The shard's file, of the layout of contributions.h5.
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
    check_outputs([out], inputs=[sequences, references, *settings.files])
    with _opened(settings, model_name, (sequences, references), shard, captures) as work:
        with closing(Pieces(out, work.fingerprint)) as pieces:
            _LOG.debug("pieces of the work are kept in %s", pieces.folder)
            largest, resumed = _compute(work, pieces, progress)
            seconds = time.monotonic() - started
            _finish(work, pieces, out, {"seconds": round(seconds, 3), "shard": f"{shard[0]}/{shard[1]}"})
        n, device = len(work.rows), str(work.explainer.device)
        return AttributeSummary(n, n * work.compared.number, resumed, largest, seconds, device)


@dataclass(frozen=True)
class _Prepared:
    """What a piece is computed from: uint8 (n, 4, position), extra inputs, and references, as `Explainer`
    takes them.
    """

    onehot: NDArray[np.uint8]
    extras: tuple[torch.Tensor, ...]
    references: torch.Tensor
    digests: NDArray[np.uint8]
    """Of each sequence with its references, uint8 (n, 16)."""


@dataclass(frozen=True)
class _Work:
    """A model that has been checked and captured, and the sequences of its shard, whose codes are read in
    pieces; ``first`` is the first one's row among all sequences.
    """

    settings: Settings
    model_name: str
    stored: Sequences
    first: int
    compared: Compared
    inputs: ExtraInputs
    explainer: Explainer
    agreement: Agreement | None
    """How far the model is from its author's outputs, where they are given."""

    @property
    def rows(self) -> range:
        """The rows of the shard's sequences among themselves."""
        return range(len(self.stored.key))

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What its results depend on, by the keys of the provenance in contributions.h5."""
        settings, stored, compared = self.settings, self.stored, self.compared
        return {
            **versions("torch"),
            "model_name": self.model_name,
            **model_provenance(settings.the_model),
            **extras_provenance(settings.extras),
            **settings.explained,
            "target_name": self.explainer.read_off.names[0],
            "stepped_over": self.explainer.stepped_over,
            "sums_up": self.explainer.plan.sums_up,
            "sequences_digest": stored.digest,
            "sequences_table_sha256": stored.table_sha256,
            "references_digest": compared.digest,
            "references_stored": compared.stored,
            "reference_kind": compared.kind,
            "reference_number": compared.number,
            "reference_seed": compared.seed,
            "device": str(self.explainer.device),
            "precision": settings.attribution.precision,
        }

    @property
    def fingerprint(self) -> str:
        """What distinguishes this work from another; the tolerance and the author's outputs do not."""
        told = {key: value for key, value in self.provenance.items() if key != "model_expect"}
        text = json.dumps([told, self.first, self.first + len(self.rows)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def pieces(self) -> list[range]:
        """The rows of each piece of the work."""
        return _divided(self.rows, self.compared.length)

    @cached_property
    def shared(self) -> torch.Tensor | None:
        """The references that all sequences share; None if each has its own."""
        return None if self.compared.shared is None else torch.from_numpy(self.compared.shared)

    def prepared(self, rows: range) -> _Prepared:
        """Return what to compute some sequences from."""
        onehot, extras = onehot_of_codes(self.stored.codes[rows.start : rows.stop]), self.inputs.of(rows)
        codes, digests = self.compared.of(rows)
        references = self.shared if codes is None else torch.from_numpy(onehot_of_codes(codes))
        assert references is not None
        return _Prepared(onehot, as_tensors(extras), references, digests)

    def computed(self, rows: range, prepared: _Prepared, advance: Callable[[int], None]) -> Block:
        """Return the block of some sequences; ``advance`` is called with the number of pairs just done."""
        result = self.explainer.explain(
            torch.from_numpy(prepared.onehot).float(),
            prepared.references,
            extra_inputs=prepared.extras,
            batch_size=self.settings.attribution.batch,
            memory=self.settings.attribution.memory,
            progress=advance,
            names=self.stored.names(rows),
            besides=_bytes_besides(len(rows), self.compared, self.inputs),
        )
        assert result.hypothetical is not None
        hypothetical, within = result.hypothetical.numpy(), slice(rows.start, rows.stop)
        return {
            "raw/seq": prepared.onehot.astype(np.int8),
            "shap/seq": hypothetical.astype(np.float32),
            "projected_shap/seq": (hypothetical * prepared.onehot).astype(np.float32),
            "genolift/key": self.stored.key[within],
            "genolift/id": np.array(self.stored.id[within], dtype=np.str_),
            "genolift/output": result.output.numpy(),
            "genolift/reference_output": result.reference_output.numpy(),
            "genolift/convergence_error": result.convergence_error.numpy(),
            "genolift/standard_error": result.standard_error.numpy(),
            "genolift/sequence_digest": self.stored.digests[within],
            "genolift/reference_digest": prepared.digests,
        }


@contextmanager
def _opened(
    settings: Settings,
    model_name: str,
    files: tuple[Path, Path | None],
    shard: tuple[int, int],
    captures: Path | None,
) -> Iterator[_Work]:
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
            **settings.explained,
            **{"device": asked.device, "precision": asked.precision, "memory": asked.memory},
            "besides": _bytes_of_piece(compared, inputs, len(rows)),
        }

        def fits(length: int | None) -> None:
            check_length(stored, length, sequences, model_name)

        explainer, agreement = _captured(settings, first_two(shown, inputs), captures, how, fits)
        yield _Work(settings, model_name, stored, rows.start, compared, inputs, explainer, agreement)


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


def _compute(work: _Work, pieces: Pieces, progress: Callable[[int, int], None] | None) -> tuple[float, int]:
    """Finish all pieces; return the largest relative convergence error, and the rows already there."""
    largest, resumed, done = 0.0, 0, 0

    def advance(pairs: int) -> None:
        nonlocal done
        done += pairs
        if progress is not None:
            progress(done, len(work.rows) * work.compared.number)

    def prepare(rows: range) -> Block | _Prepared:
        block = pieces.read(rows)
        if block is None:
            return work.prepared(rows)
        work.compared.passed_over(rows)
        return block

    ahead = closing(prepared_ahead(work.pieces, prepare))
    with written_behind(pieces) as write, ahead as prepared:
        for rows, before in prepared:
            if isinstance(before, _Prepared):
                block = work.computed(rows, before, advance)
                write(rows, block)
            else:
                block = before
                resumed += len(rows)
                advance(len(rows) * work.compared.number)
            if work.explainer.plan.sums_up:
                _check_tolerance(block, work.settings.attribution.tolerance)
            largest = max(largest, float(_error(block).max()))
    work.compared.tell()
    return largest, resumed


def _finish(work: _Work, pieces: Pieces, out: Path, more: Mapping[str, Any]) -> None:
    """Write the finished pieces as one file, whose provenance says ``more`` too, and remove them."""
    agreement = {} if work.agreement is None else {"model_agreement": asdict(work.agreement)}
    tolerance = {"tolerance": work.settings.attribution.tolerance}
    made = Provenance(work.provenance | agreement | tolerance | dict(more))
    head = Head(len(work.rows), work.compared.length, work.compared.number, made, work.stored.chromosomes)
    write_contributions(out, head, pieces.blocks(work.pieces))
    pieces.remove()


def _bytes_besides(n: int, compared: Compared, inputs: ExtraInputs) -> int:
    """Return the bytes that a piece of n sequences takes besides its results.

    They are its references and the next piece's, as codes and as uint8 one-hot, the extra inputs of both, and
    three blocks: one being computed, one waiting and one being written.
    """
    positions = n * compared.length
    references = (2 * 5 * positions if compared.shared is None else 16 * compared.length) * compared.number
    return references + 2 * n * inputs.row_bytes + 3 * 12 * 4 * positions


def _bytes_of_piece(compared: Compared, inputs: ExtraInputs, n_sequences: int) -> int:
    n = max((len(piece) for piece in _divided(range(n_sequences), compared.length)), default=0)
    return result_bytes(n, compared.number, 4 * compared.length) + _bytes_besides(n, compared, inputs)


def _divided(rows: range, length: int) -> list[range]:
    """Return the rows of each piece: fewer if they are long, however much memory there is."""
    step = max(1, min(PIECE_ROWS, PIECE_ROWS * _PIECE_LENGTH // max(1, length)))
    return [range(start, min(start + step, rows.stop)) for start in range(rows.start, rows.stop, step)]


def _check_tolerance(block: Block, tolerance: float) -> None:
    error = _error(block)
    if error.max() <= tolerance:
        return
    row, reference = np.unravel_index(int(error.argmax()), error.shape)
    raise InputError(
        f"contributions miss the output difference by {error[row, reference]:.2g} of it with reference "
        f"{reference}, over the tolerance of {tolerance:g}",
        where=f"sequence {block['genolift/id'][row]} (key {block['genolift/key'][row]})",
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
