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
    target_seqlet_fdr: float
    sliding_window_size: int
    flank_size: int
    max_seqlets: int
    min_metacluster_size: int
    nearest_neighbors_to_compute: int
    n_leiden_runs: int
    final_min_cluster_size: int
    trim_to_window_size: int
    initial_flank_to_add: int
    final_flank_to_add: int
    trim_fraction: float
    hit_lambda: float
    hit_similarity: float
    hit_steps: int
    matches: int
    name_qvalue: float

    @property
    def seqlet_width(self) -> int:
        """Bases of a seqlet, its core and both flanks."""
        return self.sliding_window_size + 2 * self.flank_size

    @property
    def motif_width(self) -> int:
        """Bases of a motif's matrices, before weak ends are trimmed."""
        return self.trim_to_window_size + 2 * (self.initial_flank_to_add + self.final_flank_to_add)

    def enough(self, seqlets: int) -> bool:
        """Return whether motifs can be looked for among so many seqlets of one sign."""
        return seqlets >= max(2, self.final_min_cluster_size) and seqlets > self.min_metacluster_size

    def width(self, length: int) -> int:
        """Return how many bases in the middle of sequences of ``length`` bases are looked at."""
        return length if self.window is None else min(self.window, length)

    def told(self, *names: str) -> str:
        """Return settings with their values, as a sentence has them in brackets."""
        return ", ".join(f"motifs.{name} {getattr(self, name)}" for name in names)

    @property
    def provenance(self) -> dict[str, Any]:
        """The numbers by name, such as ``motifs_nearest_neighbors_to_compute``, for the files' provenance."""
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
