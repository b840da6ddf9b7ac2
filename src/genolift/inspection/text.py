"""An inspection as text for a terminal."""

from collections.abc import Iterable
from dataclasses import asdict

from genolift.engine.plan import as_text as table_as_text
from genolift.inspection.described import Inspection
from genolift.inspection.weights import WeightsFile
from genolift.inspection.words import facts, facts_of_weights, field_in_words

_COLUMNS = ["layer", "operation", "kind", "rule", "why", "line"]
_MOST_LAYERS = 60


def as_text(inspection: Inspection) -> str:
    """Return all that was found about a model as text: what it is, its operations and its plan."""
    planned = inspection.planned
    sections = [_facts(facts(inspection.as_json()))]
    if inspection.operations:
        rows = [
            {"number": str(number), "operation": operation, "kind": kind, "rule": rule, "line": ""}
            for kind, rule, operation, number in inspection.operations
        ]
        told = table_as_text(rows, ["number", "operation", "kind", "rule"])
        sections.append(f"Operations, except mere moves of values\n{_indented(told)}")
    if planned.rows:
        title = f"Plan, of the rule {inspection.rule}" if not planned.refused else "Operations in order"
        sections.append(f"{title}\n{_indented(table_as_text(planned.rows, _COLUMNS))}")
    if planned.refused:
        sections.append(refused_as_text(inspection))
    return "\n\n".join(sections)


def refused_as_text(inspection: Inspection) -> str:
    """Return the operations without a known rule, one per line."""
    return "Refused\n" + _indented("\n".join(inspection.planned.refused))


def in_a_line(inspection: Inspection) -> str:
    """Return what a model is, in one line."""
    field = None if inspection.field is None else asdict(inspection.field)
    return (
        f"{inspection.taken.kind}, {inspection.weights.parameters:,} parameters, receptive field "
        f"{field_in_words(field)}"
    )


def weights_as_text(file: WeightsFile) -> str:
    """Return what is known from a file of weights without a model."""
    rows = [
        {"key": layer.key, "shape": str(layer.shape), "likely": layer.guess, "line": "", "operation": ""}
        for layer in file.layers[:_MOST_LAYERS]
    ]
    more = len(file.layers) - len(rows)
    found = [("model", f"weights without a model, in {file.tensors} tensors")]
    found += facts_of_weights(asdict(file.weights))
    if file.channels:
        found.append(("input", f"one-hot of {file.channels} channels, likely as {file.axes}"))
    if file.outputs:
        found.append(("output", f"likely {file.outputs}"))
    told = table_as_text(rows, ["key", "shape", "likely"]) + (f"\n... and {more} more" if more else "")
    return f"{_facts(found)}\n\nTensors\n{_indented(told)}"


def _facts(found: Iterable[tuple[str, str]]) -> str:
    told = list(found)
    width = max(len(label) for label, _ in told)
    return "\n".join(f"{label.ljust(width)}  {value}" for label, value in told)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.splitlines())
