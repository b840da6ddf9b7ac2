"""The page: what the sections say, put into the template and written."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from genolift.files.output_paths import check_outputs
from genolift.files.whole import whole_file
from genolift.motifs.tomtom import NAMED_QVALUE
from genolift.report import words
from genolift.report.citations import jaspar_citation, jaspar_release
from genolift.report.images import Logos
from genolift.report.model_section import FOLDER, inspected_views
from genolift.report.models_section import models_view
from genolift.report.motif_section import MotifView, motif_views, seqlets_view
from genolift.report.provenance import fact_groups, model_in_words, references_in_words, rule_in_words
from genolift.report.quality import checks
from genolift.report.results import Results, read_results
from genolift.report.sequence_section import top_sequences

_FOLDER = Path(__file__).parent
_MOST_DROPPED = 20
_FILES = {
    "sequences.tsv": "Every record of the input: coordinates, GC, N, kept or dropped and why.",
    "references.h5": "The references that each sequence was compared with.",
    "contributions.h5": "Contributions and hypothetical contributions of every base, outputs and errors; "
    "TF-MoDISco, Fi-NeMo and ChromBPNet’s tools read it as it is.",
    "per_sequence.tsv": "A row for each sequence: output, contribution sum, convergence, strongest base.",
    "per_base.parquet": "A row for each base of each sequence.",
    "contributions.bw": "Contributions along the genome, for a genome browser.",
    "models": "Each model’s own contributions.h5.",
    "contributions_sd.bw": "The standard deviation over models along the genome.",
    FOLDER: "What each model is: inputs, outputs, operations and rules, as JSON.",
    "motifs.h5": "TF-MoDISco’s own result.",
    "motifs.tsv": "A row for each motif: counts, consensus, matches.",
    "motif_matrices.tsv": "Each motif’s PPM, CWM and hypothetical CWM.",
    "motifs.meme": "The PPMs in MEME format.",
    "motifs_cwm.meme": "The CWMs laid out as in MEME format.",
    "seqlets.tsv": "A row for each seqlet: place, contribution, motif.",
    "hits.bed.gz": "Occurrences of the motifs, by Fi-NeMo.",
    "logos": "All logos as PNG and SVG, with index.tsv.",
}
_OF_MODELS = ("models", "contributions_sd.bw")  # of an earlier run where there is one model


@dataclass(frozen=True)
class ReportSummary:
    """What `write_report` put into the page; ``n_bytes`` is the page's size."""

    n_sequences: int
    n_motifs: int
    n_top_sequences: int
    n_bytes: int


def write_report(
    *,
    results: Path,
    out: Path,
    title: str,
    provenance: Mapping[str, Any] | None = None,
) -> ReportSummary:
    """Write one HTML page that shows an analysis and asks for nothing outside itself.

    Parameters
    ----------
    results
        The analysis folder, with the files of docs/architecture.md up to ``logos/``.
    out
        The page to write.
    title
        The page's heading.
    provenance
        What to tell of the run beside what the files tell of themselves; it wins where both do.

    Raises
    ------
    InputError
        If a file is missing, damaged or of another run, or ``out`` may not be written (see `check_outputs`).
    """
    check_outputs([out], inputs=_inputs(Path(results)))
    read = read_results(Path(results), provenance)
    logos = Logos(read.folder / "logos", read.logos)
    motifs = motif_views(read, logos)
    top = top_sequences(read, logos)
    linked = Path(out).resolve().parent == read.folder.resolve()
    database = str(read.provenance.get("motifs_database") or "")
    page = (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            date=date.today(),
            summary=_summary(read, motifs),
            groups=fact_groups(read.provenance),
            records=_records(read),
            checks=checks(read.scored, read.n_references, read.provenance),
            models=models_view(read),
            inspected=inspected_views(read),
            motifs=motifs,
            named_qvalue=NAMED_QVALUE,
            note=read.note,
            seqlets=None if motifs else seqlets_view(read),
            top=top,
            files=_files(read, linked=linked),
            linked=linked,
            provenance=read.provenance,
            rule=rule_in_words(read.provenance),
            motif_database=database,
            jaspar=jaspar_release(database),
            jaspar_citation=jaspar_citation(jaspar_release(database) or ""),
            references=references_in_words(read.provenance, read.n_references),
            style=_asset("page.css"),
            script=_asset("page.js"),
            style_hash=_hash("page.css"),
            script_hash=_hash("page.js"),
        )
    )
    with whole_file(out) as beside:
        beside.write_text(page, encoding="utf-8")
    return ReportSummary(len(read.scored), len(motifs), len(top), len(page.encode()))


def _inputs(results: Path) -> Iterator[Path]:
    """Yield what the page is made from, as far as it is there."""
    for name in _FILES:
        path = results / name
        yield from path.rglob("*") if path.is_dir() else [path]


def _environment() -> Environment:
    # Ids come from users' FASTA headers: everything is escaped that is not our own Markup.
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": words.figure, "whole": words.whole, "count": words.count}
    return environment


def _asset(name: str) -> Markup:
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))


def _hash(name: str) -> str:
    """Return what a content security policy calls an inline style or script by."""
    return base64.b64encode(hashlib.sha256(str(_asset(name)).encode()).digest()).decode("ascii")


def _summary(results: Results, motifs: Sequence[MotifView]) -> str:
    """Return what was done and found, in two sentences."""
    provenance = results.provenance
    model, rule, target = model_in_words(provenance), provenance.get("rule"), provenance.get("target")
    told = f" by {model}" if model else ""
    aimed = f" (target {target})" if target not in (None, "") else ""
    ruled = f" with the rule {rule}" if rule else ""
    done = (
        f"{words.count(len(results.scored), 'sequence')} of {words.whole(results.length)} bp, as read{told}"
        f"{aimed}, {'was' if len(results.scored) == 1 else 'were'} explained by DeepLIFT{ruled}, each "
        f"against {references_in_words(provenance, results.n_references)}."
    )
    if not motifs:
        return f"{done} TF-MoDISco found no motif."
    names = list(dict.fromkeys(motif.name for motif in motifs if motif.known))
    unnamed = sum(not motif.known for motif in motifs)
    called = f": {words.listed([*names, *([f'{unnamed} without a known match'] if unnamed else [])])}"
    return f"{done} TF-MoDISco found {words.count(len(motifs), 'motif')}{called}."


def _records(results: Results) -> dict[str, Any]:
    """Return counts of records read, kept and dropped; why, in kinds; and the first dropped ones."""
    table = results.sequences
    dropped = table[~table["kept"]]
    # "has 199 bases, not 200" is one kind with "has 12 bases, not 200": apart from the numbers.
    kinds = Counter(re.sub(r"\d[\d.,]*", "…", reason) for reason in dropped["reason"])
    one = dict(
        zip(
            (re.sub(r"\d[\d.,]*", "…", reason) for reason in dropped["reason"]),
            dropped["reason"],
            strict=True,
        )
    )
    first = [
        (row["id"], words.place(row["chrom"], row["start"], row["end"]), row["reason"])
        for row in dropped.head(_MOST_DROPPED).to_dict("records")
    ]
    return {
        "read": len(table),
        "kept": int(table["kept"].sum()),
        "dropped": len(dropped),
        "kinds": [(one[kind] if number == 1 else kind, number) for kind, number in kinds.most_common()],
        "first": first,
        "gc": float(table.loc[table["kept"], "gc"].mean()),
    }


def _files(results: Results, *, linked: bool) -> list[dict[str, Any]]:
    """Return the output files that are there; ``href`` only where the page stands beside them."""
    found = []
    for name, sentence in _FILES.items():
        path = results.folder / name
        if path.exists() and (results.models or name not in _OF_MODELS):
            size = (
                sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
                if path.is_dir()
                else None
            )
            n_bytes = path.stat().st_size if size is None else size
            shown = f"{name}/" if path.is_dir() else name
            href = shown if linked else ""
            found.append({"name": shown, "href": href, "sentence": sentence, "size": words.size(n_bytes)})
    return found
