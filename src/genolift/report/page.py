"""The page: what the sections say, put into the template."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from genolift.motifs.tomtom import NAMED_QVALUE
from genolift.report import words
from genolift.report.citations import jaspar_citation, jaspar_release
from genolift.report.images import Logos
from genolift.report.model_section import FOLDER, inspected_views
from genolift.report.models_section import models_view
from genolift.report.motif_section import MotifView, motif_views, seqlets_view
from genolift.report.provenance import fact_groups, model_in_words, references_in_words, rule_in_words
from genolift.report.quality import checks
from genolift.report.results import Results
from genolift.report.sequence_section import top_sequences

_FOLDER = Path(__file__).parent
_MOST_DROPPED = 20
FILES = {
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
"""What the page names and links of an analysis, and is made from."""
_OF_MODELS = ("models", "contributions_sd.bw")  # of an earlier run where there is one model


def render(results: Results, *, title: str, out: Path) -> str:
    """Return the page of an analysis as HTML; where ``out`` lies beside the files it links to them."""
    told = results.provenance
    logos = Logos(results.folder / "logos", results.logos)
    motifs = motif_views(results, logos)
    linked = Path(out).resolve().parent == results.folder.resolve()
    database = str(told.get("motifs_database") or "")
    shown = {
        "title": title,
        "date": date.today(),
        "summary": _summary(results, motifs),
        "groups": fact_groups(told),
        "records": _records(results),
        "checks": checks(results.scored, results.n_references, told),
        "models": models_view(results),
        "inspected": inspected_views(results),
        "motifs": motifs,
        "named_qvalue": NAMED_QVALUE,
        "note": results.note,
        "seqlets": None if motifs else seqlets_view(results),
        "top": top_sequences(results, logos),
        "files": _files(results, linked=linked),
        "linked": linked,
        "provenance": told,
        "rule": rule_in_words(told),
        "motif_database": database,
        "jaspar": jaspar_release(database),
        "jaspar_citation": jaspar_citation(jaspar_release(database) or ""),
        "references": references_in_words(told, results.n_references),
        "style": _asset("page.css"),
        "script": _asset("page.js"),
        "style_hash": _hash("page.css"),
        "script_hash": _hash("page.js"),
    }
    return _environment().get_template("page.html").render(shown)


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
    for name, sentence in FILES.items():
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
