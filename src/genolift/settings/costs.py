"""What each step asks for, in memory and time, and what an analysis takes of disk: tables of terms, by which
the workflow, the check and the docs go.

``python -m genolift.settings.costs`` prints docs/costs.md.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

Terms = Mapping[str, float]
"""A sum: what each quantity of a `Size` is multiplied by; the quantity ``1`` is one."""


@dataclass(frozen=True)
class Size:
    """How large an analysis is, as far as it is known."""

    windows: float = 0
    length: int = 0
    """Bases of a window."""
    references: int = 1
    """For each window."""
    models: int = 1
    targets: int = 1
    seqlets: int = 0
    """The most that motifs are made of, of each sign."""
    megabases: float = 0
    """Millions of bases in the genome, or in the FASTA of sequences."""

    minutes: float = 60
    """Of attribution in one job, as the check timed it."""

    @property
    def quantities(self) -> dict[str, float]:
        """What costs are proportional to, by name."""
        return {
            "1": 1,
            "windows": self.windows,
            "bases": self.windows * self.length,
            "reference bases": self.windows * self.length * self.references,
            "model windows": self.windows * self.models,
            "model bases": self.windows * self.length * self.models,
            "seqlets": min(3 * self.windows, 2 * self.seqlets),
            "seqlet bases": min(self.windows, 2 * self.seqlets) * self.length,
            "megabases": self.megabases,
            "trial minutes": self.minutes,
            "bases of a window": self.length,
        }


@dataclass(frozen=True)
class Cost:
    """Of one step: megabytes that a job asks for, and minutes; both times the number of the attempt."""

    megabytes: Terms
    minutes: Terms

    def mem_mb(self, size: Size, attempt: int = 1) -> int:
        """Return the megabytes that a job asks for."""
        return math.ceil(attempt * _sum(self.megabytes, size))

    def runtime(self, size: Size, attempt: int = 1) -> int:
        """Return the minutes that a job asks for."""
        return math.ceil(attempt * _sum(self.minutes, size))


COSTS: Mapping[str, Cost] = {
    "check": Cost({"1": 8000}, {"1": 60}),
    "encode": Cost(
        {"1": 800, "windows": 3e-4, "megabases": 0.2}, {"1": 20, "windows": 1e-5, "megabases": 0.005}
    ),
    "reference": Cost({"1": 800, "windows": 3e-4}, {"1": 20, "windows": 1e-5, "reference bases": 1e-8}),
    "sequences": Cost({"1": 500}, {"1": 20}),
    "references": Cost({"1": 500}, {"1": 20}),
    "attribute": Cost({"1": 8000, "windows": 3e-4}, {"1": 60, "trial minutes": 3}),
    "aggregate": Cost({"1": 800, "windows": 4e-4}, {"1": 20, "windows": 2e-5, "model bases": 1e-7}),
    "per_base": Cost({"1": 800, "windows": 5e-4}, {"1": 20, "bases": 1e-7}),
    "compile": Cost({"1": 2000}, {"1": 60}),
    "motifs": Cost(
        {"1": 1500, "windows": 1e-3, "seqlet bases": 1e-4}, {"1": 60, "windows": 6e-4, "seqlets": 5e-3}
    ),
    "logos": Cost({"1": 800, "windows": 5e-4}, {"1": 20, "windows": 2e-5}),
    "report": Cost({"1": 800, "windows": 5e-4}, {"1": 20, "windows": 1e-5}),
    "index": Cost({"1": 800}, {"1": 20}),
}
"""Every step of the workflow, by its rule's name."""


_ONCE = ("sequences.tsv", "references.h5")
"""Files of all targets."""
_SMALL = ("megabases", "trial minutes")
"""Quantities that are not counted in millions."""
DISK: Mapping[str, Terms] = {
    "sequences.tsv": {"windows": 300, "bases": 0.4},
    "references.h5": {"windows": 50, "reference bases": 0.42},
    "contributions.h5": {"windows": 400, "bases": 25.5},
    "attribution": {"model windows": 300, "model bases": 25.5},
    "models": {"model windows": 300, "model bases": 25.5},
    "contributions.bw": {"bases": 10},
    "contributions_sd.bw": {"bases": 10},
    "per_base.parquet": {"bases": 37},
    "motifs.h5": {"windows": 350, "seqlets": 1600},
    "report.html": {"1": 1e6, "windows": 100, "bases of a window": 9000, "seqlets": 1500},
}
"""Bytes of an analysis's files, at most, each with those that are written with it: the table of sequences
with the store, tracks with what they are made from, contributions with their table, motifs with seqlets
and hits, the report with the logos. The shards in ``attribution`` are gone in the end.
"""


def disk(final: Collection[str], size: Size) -> float:
    """Return the bytes that an analysis takes at one time, at most.

    Parameters
    ----------
    final
        The names of the files that the workflow makes of it, or of each of its targets.
    size
        How large it is.
    """
    names = [*final, *(["attribution"] if "contributions.h5" in final else [])]
    return sum(
        bytes_of(name, size) * (1 if name in _ONCE else size.targets) for name in DISK if name in names
    )


def bytes_of(file: str, size: Size) -> float:
    """Return the bytes that a file of `DISK` takes at most."""
    return _sum(DISK[file], size)


def _sum(terms: Terms, size: Size) -> float:
    quantities = size.quantities
    return sum(factor * quantities[name] for name, factor in terms.items())


def as_markdown() -> str:
    """Return docs/costs.md."""
    steps = ["| step | `mem_mb` | `runtime`, minutes |", "|---|---|---|"]
    for step, cost in COSTS.items():
        steps.append(f"| {step} | {_in_words(cost.megabytes)} | {_in_words(cost.minutes)} |")
    files = ["| file | bytes |", "|---|---|"]
    files += [f"| `{file}` | {_in_words(terms, unit=1)} |" for file, terms in DISK.items()]
    text = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    return text.replace("STEPS\n", "\n".join([*steps, ""])).replace("FILES\n", "\n".join([*files, ""]))


def _in_words(terms: Terms, unit: int = 10**6) -> str:
    return " + ".join(_term(name, factor, unit) for name, factor in terms.items())


def _term(quantity: str, factor: float, unit: int) -> str:
    if quantity == "1":
        return f"{factor:,.0f}"
    many, one = f"million {quantity}", quantity.replace("bases of", "base of").removesuffix("s")
    is_one = unit == 1 or quantity in _SMALL
    return f"{factor:,g} per {one}" if is_one else f"{unit * factor:,g} per {many}"


if __name__ == "__main__":
    print(as_markdown(), end="")
