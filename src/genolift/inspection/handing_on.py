"""What the check captured, handed on to attribute and to the checks of other analyses of the same model."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from genolift.engine.devices import chosen_device
from genolift.explain.captured import Captured, CaptureKey
from genolift.explain.explainer import Explainer
from genolift.explain.fingerprint import Fingerprint, fingerprint
from genolift.explain.handed_on import HandedOn, hand_on, handed_on, key_of, loaded_code
from genolift.models import Model, input_length, model_provenance
from genolift.results.agreement import Agreement
from genolift.settings.model import ModelSpec
from genolift.targets.outputs import as_json, outputs_from_json
from genolift.targets.resolving import Resolution
from genolift.targets.targets import Target, target_in_words, task_names

_LOG = logging.getLogger("genolift")
_PLACES = ("model", "model_weights", "model_custom_layers", "model_tracks")
"""Keys of a model's provenance that say where its files are, not what is in them."""


class HandOver:
    """A folder of captured models, shared by the analyses of a results folder, and what is asked of it.

    Parameters
    ----------
    folder
        Where the files are.
    spec
        The model.
    inputs
        Two rows or more of each of its inputs.
    how
        The other arguments of `Explainer`, with ``target``, one or a tuple, ``rule`` and
        ``keep_final_activation``.
    """

    def __init__(
        self, folder: Path, spec: ModelSpec, inputs: tuple[Tensor, ...], how: Mapping[str, Any]
    ) -> None:
        self.folder, self.inputs, self.how = folder, inputs, dict(how)
        given = self.how.pop("target")
        self._targets: tuple[Target, ...] = given if isinstance(given, tuple) else (given,)
        self._events = CaptureKey.events_of(inputs)
        told = {name: value for name, value in model_provenance(spec).items() if name not in _PLACES}
        self._identity = told, [[*shape, str(dtype)] for shape, dtype in self._events]

    def _key(self, targets: Sequence[Target] | None) -> str:
        """Return a file's name: columns of a model's one output share a graph, and so have one file."""
        told = None if targets is None else list(map(str, targets))
        return key_of(*self._identity, self.how["keep_final_activation"], told)

    def taken(self, loaded: Model | None = None) -> tuple[Explainer, HandedOn] | None:
        """Return the model as it was captured, if it was; None also for float64, which the check is not in.

        Where it is ``loaded``, it must be in the same state: its code may read files that nothing tells of.
        """
        how = dict(self.how)
        device, keep = chosen_device(how.pop("device", None)), how.pop("keep_final_activation")
        if how.get("precision") == "float64":
            return None
        try:
            for of_targets in (None, self._targets):
                found = handed_on(self.folder, self._key(of_targets), device)
                if found is None or (loaded is not None and found.state != self._state(loaded)):
                    continue
                named = SimpleNamespace(tasks=list(found.tasks))
                read_off = Resolution(named, self._targets, outputs_from_json(found.outputs)).read_off
                if read_off.is_whole is (of_targets is None):
                    break
            else:
                return None
            key = CaptureKey(self._events, (), None, keep, device)
            captured = Captured(
                key,
                Fingerprint({}, whole=False),
                found.graph,
                read_off,
                tuple(map(target_in_words, self._targets)),
                found.stepped_over,
            )
            return Explainer.of(captured, self.inputs, how.pop("rule"), **how), found
        except Exception as error:  # a mistake, which is said when it is captured again, or a foreign file
            _LOG.info("a captured model cannot be used (%s): it is captured again", error)
            return None

    def _state(self, model: Model) -> str:
        """Return what tells the state of a loaded model: another each time if not all of it can be seen."""
        return fingerprint(model).digest() or secrets.token_hex()

    def key(self, explainer: Explainer) -> str:
        """Return the name of a model's file."""
        return self._key(None if explainer.read_off.is_whole else self._targets)

    def is_there(self, explainer: Explainer) -> bool:
        """Whether a model's file is there, whatever is in it."""
        return (self.folder / f"{self.key(explainer)}.safetensors").is_file()

    def give(self, model: Model, spec: ModelSpec, explainer: Explainer, agreement: Agreement | None) -> None:
        """Hand on a model that was checked, as far as it can be."""
        tasks, state = tuple(task_names(model)), self._state(model)
        own_length = input_length(model, spec.model_copy(update={"input_length": None}))
        told = None if agreement is None else asdict(agreement)
        outputs = as_json(explainer.read_off.outputs)
        graph, stepped_over = explainer.graph, explainer.stepped_over_of_tensors
        found = HandedOn(graph, stepped_over, tasks, outputs, own_length, told, state, loaded_code())
        hand_on(self.folder, self.key(explainer), found)
