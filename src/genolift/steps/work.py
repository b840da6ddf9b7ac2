"""What the attribute step computes: a captured model, a shard's sequences, and blocks of contributions."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genolift.data.alphabet import onehot_of_codes
from genolift.data.extra_inputs import ExtraInputs, extras_provenance
from genolift.data.stored_sequences import Sequences
from genolift.data.stored_tensors import as_tensors
from genolift.engine.run.footprint import result_bytes
from genolift.explain.attribution import Attribution, Explainer
from genolift.models import model_provenance
from genolift.references.of_sequences import Compared
from genolift.results.agreement import Agreement
from genolift.results.provenance import versions
from genolift.results.store import Block
from genolift.settings.sections import Settings

PIECE_ROWS = 64
_PIECE_LENGTH = 8192
"""Bases up to which a piece has `PIECE_ROWS` sequences; of longer ones, which take gigabytes, fewer."""


@dataclass(frozen=True)
class Prepared:
    """What a piece is computed from: uint8 (n, 4, position), extra inputs, and references, as `Explainer`
    takes them.
    """

    onehot: NDArray[np.uint8]
    extras: tuple[torch.Tensor, ...]
    references: torch.Tensor
    digests: NDArray[np.uint8]
    """Of each sequence with its references, uint8 (n, 16)."""


@dataclass(frozen=True)
class Work:
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
    def provenance(self) -> list[dict[str, Any]]:
        """What the results of each target depend on, by the keys of the provenance in contributions.h5."""
        of_each = (self.settings.every_target, self.explainer.read_off.names, self.explainer.stepped_over)
        return [
            self._shared_provenance | {"target": target, "target_name": name, "stepped_over": stepped_over}
            for target, name, stepped_over in zip(*of_each, strict=True)
        ]

    @cached_property
    def _shared_provenance(self) -> dict[str, Any]:
        settings, stored, compared = self.settings, self.stored, self.compared
        return {
            **versions("torch"),
            "model_name": self.model_name,
            **model_provenance(settings.the_model),
            **extras_provenance(settings.extras),
            **settings.explained,
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
        told = [dict(each, model_expect=None) for each in self.provenance]
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

    def prepared(self, rows: range) -> Prepared:
        """Return what to compute some sequences from."""
        onehot, extras = onehot_of_codes(self.stored.codes[rows.start : rows.stop]), self.inputs.of(rows)
        codes, digests = self.compared.of(rows)
        references = self.shared if codes is None else torch.from_numpy(onehot_of_codes(codes))
        assert references is not None
        return Prepared(onehot, as_tensors(extras), references, digests)

    def computed(self, rows: range, prepared: Prepared, advance: Callable[[int], None]) -> list[Block]:
        """Return the block of some sequences for each target; ``advance`` is called with the number of pairs
        just done.
        """
        results = self.explainer.explain_each(
            torch.from_numpy(prepared.onehot).float(),
            prepared.references,
            extra_inputs=prepared.extras,
            batch_size=self.settings.attribution.batch,
            memory=self.settings.attribution.memory,
            progress=advance,
            names=self.stored.names(rows),
            besides=_bytes_besides(len(rows), self.compared, self.inputs, len(self.settings.every_target)),
        )
        return [self._block(rows, prepared, result) for (result,) in results]

    def _block(self, rows: range, prepared: Prepared, result: Attribution) -> Block:
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


def _bytes_besides(n: int, compared: Compared, inputs: ExtraInputs, targets: int) -> int:
    """Return the bytes that a piece of n sequences takes besides its results.

    They are its references and the next piece's, as codes and as uint8 one-hot, the extra inputs of both, and
    of each target three blocks: one being computed, one waiting and one being written.
    """
    positions = n * compared.length
    references = (2 * 5 * positions if compared.shared is None else 16 * compared.length) * compared.number
    return references + 2 * n * inputs.row_bytes + 3 * 12 * 4 * positions * targets


def bytes_of_piece(compared: Compared, inputs: ExtraInputs, n_sequences: int, targets: int) -> int:
    """Return the bytes that the largest piece of so many sequences takes, with its results."""
    n = max((len(piece) for piece in _divided(range(n_sequences), compared.length)), default=0)
    results = targets * result_bytes(n, compared.number, 4 * compared.length)
    return results + _bytes_besides(n, compared, inputs, targets)


def _divided(rows: range, length: int) -> list[range]:
    """Return the rows of each piece: fewer if they are long, however much memory there is."""
    step = max(1, min(PIECE_ROWS, PIECE_ROWS * _PIECE_LENGTH // max(1, length)))
    return [range(start, min(start + step, rows.stop)) for start in range(rows.start, rows.stop, step)]
