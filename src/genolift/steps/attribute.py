"""The attribute step: a model run over a store of sequences, in pieces, to go on where it stopped.

Joins models, references and the engine with the files. Prints nothing.

Every piece of the work, `PIECE_ROWS` sequences, is written beside the output when it is done. A run that was
killed finds the pieces of the same work and computes the rest.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genolift.data.alphabet import onehot_of_codes
from genolift.data.extra_inputs import HeldInputs, held_provenance
from genolift.data.stored_sequences import Sequences, check_length, read_sequences
from genolift.data.stored_tensors import as_tensors, first_two
from genolift.engine.run.footprint import result_bytes
from genolift.errors import InputError
from genolift.explain.attribution import Explainer
from genolift.explain.explainer import chosen_device
from genolift.explain.result import Attribution
from genolift.files.output_paths import check_outputs
from genolift.inspection.model_check import check_model, check_target
from genolift.models import ModelSpec, input_length, load_model, model_provenance
from genolift.models.expected import check_expected
from genolift.references.store import References, check_references, open_references
from genolift.results.convergence import relative_error
from genolift.results.provenance import versions
from genolift.results.store import Block, write_contributions
from genolift.settings.extra_inputs import HeldSpec
from genolift.settings.model import ONE_MODEL, check_model_name
from genolift.steps.blocks import Pieces, WritesBehind, prepared_ahead

_LOG = logging.getLogger("genolift")
PIECE_ROWS = 64
_PIECE_LENGTH = 8192
"""Of longer sequences, whose results and references take gigabytes, a piece has as many bases, not rows."""


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


def attribute(
    *,
    sequences: Path,
    references: Path,
    model: ModelSpec,
    out: Path,
    held: HeldSpec = HeldSpec(),  # noqa: B008 - it is frozen
    target: int | str = 0,
    keep_final_activation: bool = False,
    rule: str = "genomics-default",
    tolerance: float = 1e-3,
    batch_size: int | None = None,
    memory: int | None = None,
    device: str | None = None,
    precision: str = "float32",
    shard: tuple[int, int] = (0, 1),
    model_name: str = ONE_MODEL,
    progress: Callable[[int, int], None] | None = None,
) -> AttributeSummary:
    """Write the contributions of a shard of the sequences.

    Parameters
    ----------
    sequences, references
        ``sequences.h5`` and ``references.h5``.
    model
        What to explain.
    out
        The shard's file, of the layout of contributions.h5.
    held
        What the model is given beside the bases, the same in a sequence and its references.
    target, keep_final_activation, rule, batch_size, device, precision
        As in `genolift.deeplift`.
    tolerance
        The largest relative convergence error of a pair that is let pass, by the rules that compare with
        references; the others promise no sum.
    memory
        Bytes that the process stays under, of the host and of the device.
    shard
        (i, k): the i-th of k nearly equal runs of rows, i from 0.
    model_name
        What the model is called where several are run, by which `aggregate` tells their shards apart.
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
    check_outputs([out], inputs=[sequences, references, *model.files, *held.files])
    stored = read_sequences(sequences)
    rows = _rows_of_shard(len(stored.key), shard)
    with open_references(references) as compared, ExitStack() as held_open:
        check_references(stored, compared, references)
        loaded = load_model(model)
        check_length(stored, input_length(loaded, model), sequences, model_name)
        inputs = HeldInputs(held, stored)
        two, beside, names = first_two(stored, inputs)
        check_model(loaded, two, beside, names, chosen_device(device))
        agreement = check_expected(loaded, model, held)
        explainer = Explainer(
            loaded,
            two,
            rule=rule,
            target=target,
            keep_final_activation=keep_final_activation,
            extra_inputs=beside,
            device=device,
            precision=precision,
            memory=memory,
            besides=_bytes_of_piece(compared, inputs, rows),
        )
        check_target(explainer, two, beside)
        provenance = {
            **versions("torch"),
            "model_name": model_name,
            **model_provenance(model),
            **held_provenance(held),
            "target": target,
            "keep_final_activation": keep_final_activation,
            "stepped_over": explainer.stepped_over,
            "rule": rule,
            "sums_up": explainer.plan.uses_reference,
            "sequences_digest": stored.digest,
            "sequences_table_sha256": stored.table_sha256,
            "references_digest": compared.digest,
            "reference_kind": compared.kind,
            "reference_number": compared.number,
            "reference_seed": compared.seed,
            "device": str(explainer.device),
            "precision": precision,
        }
        pieces = held_open.enter_context(Pieces(out, _fingerprint(provenance, rows)))
        _LOG.debug("pieces of the work are kept in %s", pieces.folder)
        divided = _divided(rows, stored.codes.shape[1])
        run = _Run(explainer, stored, inputs, compared, pieces, batch_size, memory)
        total = len(rows) * compared.number
        largest, resumed, done = 0.0, 0, 0
        ahead = closing(prepared_ahead(divided, run.prepared))
        with WritesBehind(pieces) as behind, ahead as prepared:
            for piece, before in prepared:
                if isinstance(before, _Compared):
                    block = run.computed(piece, before, partial(_advance, progress, done, total))
                    behind.write(piece, block)
                else:
                    block = before
                    resumed += len(piece)
                if explainer.plan.uses_reference:
                    _check_tolerance(block, tolerance)
                largest = max(largest, float(_error(block).max()))
                done += len(piece) * compared.number
                if progress is not None:
                    progress(done, total)
        seconds = time.monotonic() - started
        write_contributions(
            out,
            pieces.blocks(divided),
            n=len(rows),
            length=stored.codes.shape[1],
            r=compared.number,
            provenance={
                **provenance,
                **({} if agreement is None else {"model_agreement": asdict(agreement)}),
                "tolerance": tolerance,
                "seconds": round(seconds, 3),
                "shard": f"{shard[0]}/{shard[1]}",
            },
            chromosomes=stored.chromosomes,
        )
        pieces.remove()
    return AttributeSummary(len(rows), total, resumed, largest, seconds, str(explainer.device))


@dataclass(frozen=True)
class _Compared:
    """What a piece is computed from: uint8 (n, 4, position), what is held, and its references, as `Explainer`
    takes them.
    """

    onehot: NDArray[np.uint8]
    held: tuple[torch.Tensor, ...]
    references: torch.Tensor


class _Run:
    """The work of one call, a piece at a time."""

    def __init__(
        self,
        explainer: Explainer,
        stored: Sequences,
        inputs: HeldInputs,
        compared: References,
        pieces: Pieces,
        batch_size: int | None,
        memory: int | None,
    ) -> None:
        self.explainer, self.stored, self.inputs = explainer, stored, inputs
        self.compared, self.pieces = compared, pieces
        self.batch_size, self.memory = batch_size, memory
        self.shared = torch.from_numpy(compared.shared_onehot()) if compared.shared else None

    def prepared(self, rows: range) -> dict[str, NDArray[Any]] | _Compared:
        """Return the block of some sequences where it is finished, else what to compute it from."""
        block = self.pieces.read(rows)
        if block is not None:
            return block
        onehot = onehot_of_codes(self.stored.codes[rows.start : rows.stop])
        held = as_tensors(self.inputs.of(rows))
        if self.shared is not None:
            return _Compared(onehot, held, self.shared)
        codes = self.compared.codes(rows.start, rows.stop)
        return _Compared(onehot, held, torch.from_numpy(onehot_of_codes(codes)))

    def computed(
        self, rows: range, compared: _Compared, progress: Callable[[int], Any]
    ) -> dict[str, NDArray[Any]]:
        """Return the block of some sequences."""
        done = 0

        def advance(pairs: int) -> None:
            nonlocal done
            done += pairs
            progress(done)

        result = self.explainer.explain(
            torch.from_numpy(compared.onehot).float(),
            compared.references,
            extra_inputs=compared.held,
            batch_size=self.batch_size,
            memory=self.memory,
            progress=advance,
            names=[f"{self.stored.id[row]} (key {self.stored.key[row]})" for row in rows],
            besides=_bytes_besides(len(rows), self.compared, self.inputs),
        )
        return self._block(rows, compared.onehot, result)

    def _block(self, rows: range, onehot: NDArray[np.uint8], result: Attribution) -> dict[str, NDArray[Any]]:
        assert result.hypothetical is not None
        hypothetical = result.hypothetical.numpy()
        return {
            "raw/seq": onehot.astype(np.int8),
            "shap/seq": hypothetical.astype(np.float32),
            "projected_shap/seq": (hypothetical * onehot).astype(np.float32),
            "genolift/key": self.stored.key[rows.start : rows.stop],
            "genolift/id": np.array(self.stored.id[rows.start : rows.stop], dtype=np.str_),
            "genolift/output": result.output.numpy(),
            "genolift/reference_output": result.reference_output.numpy(),
            "genolift/convergence_error": result.convergence_error.numpy(),
            "genolift/standard_error": result.standard_error.numpy(),
            "genolift/sequence_digest": self.stored.digests[rows.start : rows.stop],
            "genolift/reference_digest": self.compared.reference_digest[rows.start : rows.stop],
        }


def _bytes_besides(n: int, compared: References, inputs: HeldInputs) -> int:
    """Return the bytes that a piece of n sequences takes but for its results.

    There are its references and the next ones, as codes and as uint8 one-hot, what is held of it and of the
    next, and three blocks: one that is made, one that waits and one that is written.
    """
    positions = n * compared.length
    references = (16 * compared.length if compared.shared else 2 * 5 * positions) * compared.number
    return references + 2 * n * inputs.row_bytes + 3 * 12 * 4 * positions


def _bytes_of_piece(compared: References, inputs: HeldInputs, rows: range) -> int:
    n = max((len(piece) for piece in _divided(rows, compared.length)), default=0)
    return result_bytes(n, compared.number, 4 * compared.length) + _bytes_besides(n, compared, inputs)


def _divided(rows: range, length: int) -> list[range]:
    """Return the pieces of the work: fewer rows where they are long, whatever memory there is."""
    step = max(1, min(PIECE_ROWS, PIECE_ROWS * _PIECE_LENGTH // max(1, length)))
    return [range(start, min(start + step, rows.stop)) for start in range(rows.start, rows.stop, step)]


def _advance(progress: Callable[[int, int], None] | None, before: int, total: int, pairs: int) -> None:
    if progress is not None:
        progress(before + pairs, total)


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


def _fingerprint(provenance: Mapping[str, Any], rows: range) -> str:
    """Return what tells one work from another: all that its numbers depend on, so not the tolerance, nor what
    the model is compared with.
    """
    provenance = {key: value for key, value in provenance.items() if key != "model_expect"}
    return hashlib.sha256(
        json.dumps([provenance, rows.start, rows.stop], sort_keys=True).encode()
    ).hexdigest()


def _rows_of_shard(n: int, shard: tuple[int, int]) -> range:
    i, k = shard
    if k < 1 or not 0 <= i < k:
        raise InputError(f"{i}/{k} is no shard", where="shard", remedy="give i/k with i from 0 to k - 1")
    return range(n * i // k, n * (i + 1) // k)
