"""The page: the template, filled with what the sections say."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from genolift.report import words
from genolift.report.images import Logos
from genolift.report.model_section import inspected_views
from genolift.report.models_section import models_view
from genolift.report.motif_section import method_view, motif_views, seqlets_view
from genolift.report.provenance import (
    fact_groups,
    jaspar_citation,
    jaspar_release,
    model_in_words,
    references_in_words,
    rule_in_words,
)
from genolift.report.quality import checks, convergence_in_short
from genolift.report.record import Shown, ShownMotif, record
from genolift.report.results import Results
from genolift.report.sequence_section import top_sequences
from genolift.report.template import allowed, asset, filled
from genolift.report.texts import texts
from genolift.settings.motifs import OWN, PRESETS
from genolift.settings.several_targets import for_all_targets

_LISTED_MOTIFS = 8
_OF_MODELS = ("models", "contributions_sd.bw")  # left by an earlier run if there is one model


def render(results: Results, *, title: str, out: Path) -> str:
    """Return the page of an analysis as HTML, with links to the files if ``out`` is next to them."""
    told = results.provenance
    logos = Logos(results.folder / "logos", results.logos)
    motifs = motif_views(results, logos)
    linked = Path(out).resolve().parent == results.folder.resolve()
    database = str(told.get("motifs_database") or "")
    style, script = asset("page.css"), asset("page.js")
    shown: dict[str, Any] = {
        "title": title,
        "date": date.today(),
        "summary": _summary(results, motifs),
        "groups": fact_groups(told),
        "records": results.records,
        "checks": checks(results.scored, results.head.r, told),
        "models": models_view(results),
        "inspected": inspected_views(results),
        "motifs": motifs,
        "named_qvalue": told.get("motifs_name_qvalue", PRESETS[OWN]["name_qvalue"]),
        "method": method_view(told),
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
        "references": references_in_words(told, results.head.r),
        "style": style,
        "script": script,
        "style_hash": allowed(style),
        "script_hash": allowed(script),
        "record": record(results.folder, _for_a_list(results, title, motifs)),
    }
    return filled("page.html", **shown)


def _for_a_list(results: Results, title: str, motifs: Sequence[Mapping[str, Any]]) -> Shown:
    """Return what a list of analyses shows of this one: `genolift.report.index`."""
    first = [
        ShownMotif(
            **{key: motif[key] for key in ("name", "sign", "anchor")},
            logo=motif["logos"][0].file if motif["logos"] else "",
        )
        for motif in motifs[:_LISTED_MOTIFS]
    ]
    return Shown(
        title=title,
        target=str(results.provenance.get("target", "")),
        sequences=len(results.scored),
        quality=convergence_in_short(results.scored, results.provenance),
        motifs=first,
        number_of_motifs=len(motifs),
    )


def _summary(results: Results, motifs: Sequence[Mapping[str, Any]]) -> str:
    """Return what was done and found, in two sentences."""
    provenance = results.provenance
    model, rule, target = model_in_words(provenance), provenance.get("rule"), provenance.get("target")
    told = f" by {model}" if model else ""
    name = provenance.get("target_name") or target
    aimed = f" (target {target}{f', {name}' if name != target else ''})" if target not in (None, "") else ""
    ruled = f" with the rule {rule}" if rule else ""
    done = (
        f"{words.count(len(results.scored), 'sequence')} of {words.whole(results.head.length)} bp, as read"
        f"{told}{aimed}, {'was' if len(results.scored) == 1 else 'were'} explained by DeepLIFT{ruled}, each "
        f"against {references_in_words(provenance, results.head.r)}."
    )
    if not motifs:
        return f"{done} TF-MoDISco found no motif."
    names = list(dict.fromkeys(motif["name"] for motif in motifs if motif["known"]))
    unnamed = sum(not motif["known"] for motif in motifs)
    called = f": {words.listed([*names, *([f'{unnamed} without a known match'] if unnamed else [])])}"
    return f"{done} TF-MoDISco found {words.count(len(motifs), 'motif')}{called}."


def _files(results: Results, *, linked: bool) -> list[dict[str, Any]]:
    """Return the output files that exist; ``href`` is empty unless the page is next to them."""
    found = []
    for name, sentence in texts("files").items():
        path = for_all_targets(results.folder, name)
        if path.exists() and (results.head.models or name not in _OF_MODELS):
            shown = f"{name}/" if path.is_dir() else name
            href = path.relative_to(results.folder).as_posix() + "/" * path.is_dir() if linked else ""
            files = [file for file in (path, *path.rglob("*")) if file.is_file()]
            size = words.size(sum(file.stat().st_size for file in files))
            found.append({"name": shown, "href": href, "sentence": sentence, "size": size})
    return found
