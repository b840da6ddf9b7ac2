"""What each step asks for, in memory and time: one model, as a table of terms, for the workflow and its docs.

``python -m genolift.settings.costs`` prints docs/costs.md.
"""

import math
from collections.abc import Mapping
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
    seqlets: int = 0
    """The most that motifs are made of, of each sign."""
    megabases: float = 0
    """Millions of bases in the genome, or in the FASTA of sequences."""

    @property
    def quantities(self) -> dict[str, float]:
        """What costs are proportional to, by name."""
        return {
            "1": 1,
            "windows": self.windows,
            "bases": self.windows * self.length,
            "reference bases": self.windows * self.length * self.references,
            "model bases": self.windows * self.length * self.models,
            "seqlet bases": min(self.windows, 2 * self.seqlets) * self.length,
            "seqlets": min(self.windows, 2 * self.seqlets),
            "megabases": self.megabases,
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
        {"1": 1500, "windows": 3e-4, "megabases": 0.2}, {"1": 20, "windows": 1e-5, "megabases": 0.01}
    ),
    "reference": Cost({"1": 1500, "windows": 3e-4}, {"1": 20, "windows": 1e-5, "reference bases": 1e-8}),
    "attribute": Cost({"1": 8000, "windows": 3e-4}, {"1": 240}),
    "aggregate": Cost({"1": 1000, "windows": 1.5e-3}, {"1": 20, "windows": 2e-5, "model bases": 1e-7}),
    "per_base": Cost({"1": 1500, "windows": 3e-4}, {"1": 20, "bases": 1e-7}),
    "compile": Cost({"1": 2000}, {"1": 60}),
    "motifs": Cost(
        {"1": 2000, "windows": 4e-4, "seqlet bases": 1.4e-4}, {"1": 60, "windows": 5e-4, "seqlets": 5e-3}
    ),
    "logos": Cost({"1": 1500, "windows": 4e-4}, {"1": 20, "windows": 1e-5}),
    "report": Cost({"1": 2000, "windows": 4e-4}, {"1": 20, "windows": 1e-5}),
    "index": Cost({"1": 1500}, {"1": 20}),
}
"""Every step of the workflow, by its rule's name."""


def _sum(terms: Terms, size: Size) -> float:
    quantities = size.quantities
    return sum(factor * quantities[name] for name, factor in terms.items())


def as_markdown() -> str:
    """Return docs/costs.md."""
    lines = [Path(__file__).with_suffix(".md").read_text(encoding="utf-8")]
    lines += ["| step | `mem_mb` | `runtime`, minutes |", "|---|---|---|"]
    for step, cost in COSTS.items():
        lines.append(f"| {step} | {_in_words(cost.megabytes)} | {_in_words(cost.minutes)} |")
    return "\n".join([*lines, ""])


def _in_words(terms: Terms) -> str:
    return " + ".join(_term(name, factor) for name, factor in terms.items())


def _term(quantity: str, factor: float) -> str:
    if quantity == "1":
        return f"{factor:,.0f}"
    if quantity == "megabases":
        return f"{factor:g} per megabase"
    return f"{1e6 * factor:,.6g} per million {quantity}"


if __name__ == "__main__":
    print(as_markdown(), end="")
