"""The report in a browser: nothing overflows, there are no errors, and nothing is requested."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import Chromium
from made_up_results import make_results, tell, write_records

from genolift.files.whole import sha256
from genolift.steps.report import write_report

pytestmark = pytest.mark.browser

STICKS_OUT = "document.documentElement.scrollWidth - window.innerWidth"
LONG_ID = "an_id_without_any_place_to_break_it_" * 8


@pytest.fixture(scope="module", params=["motifs", "no_motifs"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    with_motifs = request.param == "motifs"
    results = make_results(folder / "results", windows=with_motifs, motifs=with_motifs)
    for name in ("sequences.tsv", "per_sequence.tsv"):
        path = results / name
        path.write_text(path.read_text().replace("\tpeak_7\t", f"\t{LONG_ID}\t"))
    tell(results / "contributions.h5", sequences_table_sha256=sha256(results / "sequences.tsv"))
    write_records(results)
    out = results / "report.html"
    write_report(results=results, out=out, title="CTCF peaks of HeLa", provenance={"command": "x" * 400})
    return out


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_is_quiet(chromium: Chromium, page: Path, width: int) -> None:
    seen = chromium.show(page.as_uri(), width=width)
    assert chromium.evaluate("window.innerWidth") == width
    assert chromium.evaluate(STICKS_OUT) <= 0
    chromium.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert chromium.evaluate(STICKS_OUT) <= 0
    assert LONG_ID in chromium.evaluate("document.body.textContent")
    assert seen.complaints == []
    assert seen.requests == []
    assert chromium.evaluate("Array.from(document.images).every(image => image.naturalWidth > 0)")


def test_on_a_narrow_screen_the_strongest_stretch_of_a_sequence_is_shown_first(
    chromium: Chromium, page: Path
) -> None:
    chromium.show(page.as_uri(), width=390)
    scrolled = "Array.from(document.querySelectorAll('.logo.wide .box'), box => box.scrollLeft)"
    positions = chromium.evaluate(scrolled)
    assert len(positions) == 2
    assert all(position > 100 for position in positions)


def test_a_page_that_does_not_fit_or_asks_or_fails_is_noticed(chromium: Chromium, tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.html"
    faulty.write_text(
        "<meta name=viewport content='width=device-width'><div style='width:2000px'>wide</div>"
        "<img src='absent.png'><script>throw new Error('no')</script>"
    )
    seen = chromium.show(faulty.as_uri(), width=1280)
    assert chromium.evaluate(STICKS_OUT) > 0
    assert any("Error: no" in complaint for complaint in seen.complaints)
    assert [Path(url).name for url in seen.requests] == ["absent.png"]


def test_motifs_are_sorted_by_a_click_on_a_heading(chromium: Chromium, page: Path) -> None:
    chromium.show(page.as_uri(), width=1280)
    names = "Array.from(document.querySelectorAll('.sortable tbody th'), cell => cell.textContent)"
    before = chromium.evaluate(names)
    if not before:
        assert page.parent.parent.name.startswith("no_motifs")
        return
    assert before == ["GATA1", "TAL1"]
    chromium.evaluate("document.querySelectorAll('.sortable thead button')[6].click()")
    assert chromium.evaluate(names) == ["TAL1", "GATA1"]
    heading = "document.querySelectorAll('.sortable thead th')[6].getAttribute('aria-sort')"
    assert chromium.evaluate(heading) == "ascending"


CONTRAST = """
(() => {
  const numbers = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = colour => numbers(colour).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const worst = {};
  for (const element of document.querySelectorAll("body *:not(script)")) {
    if (!Array.from(element.childNodes).some(node => node.nodeType === 3 && node.data.trim())) continue;
    const style = getComputedStyle(element);
    const ink = light(element instanceof SVGElement ? style.fill : style.color);
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) worst[element.tagName + "." + element.getAttribute("class")] = ratio;
  }
  return worst;
})()
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast_enough_to_read(chromium: Chromium, page: Path, dark: bool) -> None:
    chromium.show(page.as_uri(), width=1280, dark=dark)
    assert chromium.evaluate(CONTRAST) == {}
