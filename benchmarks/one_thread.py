"""One thread for every library, and a report of single-threaded timings as a Markdown table and JSON.

Import it before numpy and torch: it sets the number of threads.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_variable] = "1"


def report(
    out: Path | None, title: str, header: list[str], rows: list[list[str]], facts: dict[str, Any]
) -> None:
    """Print a Markdown table and ``facts``; with ``out``, write them to out.md and out.json."""
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", *(f"{name}: {value}" for name, value in facts.items())]
    text = "\n".join([f"## {title}", "", *lines, ""])
    print(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".md").write_text(text)
        table = [dict(zip(header, row, strict=True)) for row in rows]
        out.with_suffix(".json").write_text(json.dumps({"title": title, "rows": table, **facts}, indent=1))
