"""How motifs are found, named and located: every number that TF-MoDISco, Tomtom and Fi-NeMo are given."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from genolift.settings.motifs import PRESETS, PUBLISHED, Motifs

_PREFIX = "motifs_"


@dataclass(frozen=True)
class Method:
    """The numbers in use, each called as its key of the config's section ``motifs``, which says what it is.

    Attributes
    ----------
    preset
        Where those have their values from that the user did not give.
    window
        Bases in the middle of each sequence; None for all. At most as many are taken as there are.
    """

    preset: str
    window: int | None
    seqlet_fdr: float
    seqlet_core: int
    seqlet_flank: int
    max_seqlets: int
    min_metacluster: int
    neighbors: int
    leiden_runs: int
    min_seqlets: int
    trim_width: int
    initial_flank: int
    final_flank: int
    trim_fraction: float
    hit_lambda: float
    hit_similarity: float
    hit_steps: int
    matches: int
    name_qvalue: float

    @property
    def seqlet_width(self) -> int:
        """Bases of a seqlet, its core and both flanks."""
        return self.seqlet_core + 2 * self.seqlet_flank

    @property
    def motif_width(self) -> int:
        """Bases of a motif's matrices, before weak ends are trimmed."""
        return self.trim_width + 2 * (self.initial_flank + self.final_flank)

    def enough(self, seqlets: int) -> bool:
        """Return whether motifs can be looked for among so many seqlets of one sign."""
        return seqlets >= max(2, self.min_seqlets) and seqlets > self.min_metacluster

    def width(self, length: int) -> int:
        """Return how many bases in the middle of sequences of ``length`` bases are looked at."""
        return length if self.window is None else min(self.window, length)

    @property
    def provenance(self) -> dict[str, Any]:
        """The numbers by name, such as ``motifs_neighbors``, for the files' provenance."""
        return {f"{_PREFIX}{name}": value for name, value in asdict(self).items()}


def method_of(settings: Motifs) -> Method:
    """Return the method that the config's section ``motifs`` asks for."""
    return Method(preset=settings.preset, **settings.used)


@dataclass(frozen=True)
class Setting:
    """A setting that a result was made with: its ``value``, and ``tools``, the tools' own."""

    name: str
    value: Any
    tools: Any


def settings_told(provenance: Mapping[str, Any]) -> list[Setting]:
    """Return the settings that a provenance tells of; none if it is of before they were told."""
    tools = PRESETS[PUBLISHED] | {"hit_similarity": PRESETS[PUBLISHED]["hit_lambda"]}
    told = {field.name: provenance.get(f"{_PREFIX}{field.name}") for field in fields(Method)}
    if told.pop("preset") is None:
        return []
    return [Setting(name, value, tools[name]) for name, value in told.items()]
