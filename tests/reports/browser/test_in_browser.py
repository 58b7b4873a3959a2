"""What a reader sees, in headless Chromium: the verdict, no error, no request, steps, linked zoom, 400 px, dark, no script."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.kill_matrix_page import write_page
from harness.matrix_record import read_recorded
from reports.campaign import write_campaign_page
from reports.index import write_index
from reports.render import render_run

pytestmark = pytest.mark.slow
MakeRun = Callable[..., Path]
RECORDED = Path(__file__).parent.parent.parent.parent / "docs" / "kill-matrix.json"
WORDS = {
    "pass": "Passed",
    "agreement": "Violation found",
    "linearizability": "Violation found",
    "inconclusive": "Inconclusive",
    "interrupted": "Inconclusive",
    "error": "The harness broke",
    "hostile": "Violation found",
}
SMALL_TEXT = """[...document.querySelectorAll("main *")]
  .filter(e => e.children.length === 0 && e.textContent.trim() && e.getClientRects().length && !e.closest("svg"))
  .filter(e => parseFloat(getComputedStyle(e).fontSize) < 11).length"""
OUTSIDE = """[...document.querySelectorAll("main *")].filter(e => !e.closest(".scroll, .uplot") && e.getClientRects().length
  && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + "." + e.className)"""
PALE = """(() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = parse(c).map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b; };
  const ground = e => { while (e) { const c = getComputedStyle(e).backgroundColor; const p = parse(c);
    if (p.length < 4 || p[3] === 1) return c; e = e.parentElement; } return "rgb(255, 255, 255)"; };
  return [...document.querySelectorAll("h1, h2, h3, p, dd, dt, td, th, li, a, button, code")]
    .filter(e => e.getClientRects().length && e.textContent.trim() && !ground(e).includes("color("))
    .map(e => { const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
      return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.tagName + " " + e.textContent.trim().slice(0, 30)]; })
    .filter(([ratio]) => ratio < 4.5);
})()"""


def _open(browser: Any, run: Path, **options: Any) -> Path:
    assert not [warning for warning in render_run(run).warnings if "could not" in warning]
    report = run / "report.html"
    browser.open(report, **options)
    return report


def _own_requests(browser: Any, report: Path) -> list[str]:
    return [url for url in browser.requests if not url.startswith("data:") and url != report.resolve().as_uri()]


@pytest.mark.parametrize("story", WORDS)
def test_the_verdict_is_seen_nothing_fails_and_nothing_is_fetched(browser: Any, make_run: MakeRun, story: str) -> None:
    report = _open(browser, make_run(story, operations=400))
    assert browser.run("document.querySelector('#verdict').getBoundingClientRect().bottom") < 300
    assert browser.run("document.querySelector('#verdict').innerText") == WORDS[story]
    assert browser.problems == []
    assert _own_requests(browser, report) == []
    assert "broken out" not in browser.run("document.title")
    assert browser.run("document.querySelector('#panels').dataset.panels") == "5"


def test_steps_move_by_button_and_by_key(browser: Any, make_run: MakeRun) -> None:
    _open(browser, make_run("agreement", operations=200))
    state = "[document.querySelector('.spacetime').dataset.at, document.querySelector('.stepper output').textContent]"
    assert browser.run(state)[0] == "0"
    browser.run("document.querySelector('[data-go=\"1\"]').focus(); document.querySelector('[data-go=\"1\"]').click()")
    at, sentence = browser.run(state)
    assert at == "1" and "p0 begins phase 1" in sentence
    browser.press("ArrowRight")
    at, sentence = browser.run(state)
    assert at == "2" and "a0 promises ballot 1.0" in sentence
    assert browser.run("document.querySelectorAll('.step.now').length") == 1
    browser.press("End")
    assert "This breaks agreement" in browser.run(state)[1]
    browser.press("Home")
    assert browser.run(state)[0] == "1"
    browser.press("Escape")
    assert browser.run(state)[0] == "0" and browser.run("document.querySelectorAll('.step.later').length") == 0


def test_a_step_comes_into_view_on_a_narrow_screen(browser: Any, make_run: MakeRun) -> None:
    _open(browser, make_run("agreement", operations=200), width=400)
    for _ in range(40):
        browser.run("document.querySelector('[data-go=\"1\"]').click()")
    mark, frame = browser.run(
        "['.step.now .mark', '.spacetime .scroll'].map(s => document.querySelector(s).getBoundingClientRect().right)"
    )
    assert 0 < mark < frame
    assert browser.run("document.documentElement.scrollWidth") == 400


def test_zoom_links_the_panels(browser: Any, make_run: MakeRun) -> None:
    _open(browser, make_run("pass", operations=400))
    ranges = """new Promise(done => setTimeout(() => done([...new Set(
      [...document.querySelectorAll("[data-panel]")].map(panel => panel.dataset.range))]), 100))"""
    browser.run("document.querySelector('[data-zoom=in]').click()")
    (only,) = browser.run(ranges)
    low, high = map(float, only.split())
    assert 0.9 < low < 1.2 and 2.9 < high < 3.2
    browser.run("panels.focus()")
    browser.press("0")
    (only,) = browser.run(ranges)
    low, high = map(float, only.split())
    assert low == 0 and high > 3.9


def test_hovering_reads_values(browser: Any, make_run: MakeRun) -> None:
    _open(browser, make_run("pass", operations=400))
    box = browser.run(
        "(b => [b.x, b.y, b.width, b.height])(document.querySelector('[data-panel=points] .u-over').getBoundingClientRect())"
    )
    x, y = box[0] + box[2] * 0.12, box[1] + box[3] / 2
    browser.run(f"scrollTo(0, {y - 300})")
    for step in range(2):
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + step, y=300)
    words = browser.run(
        "new Promise(done => setTimeout(() => done(document.querySelector('#readout').textContent), 80))"
    )
    assert "kill p0" in words and "p50" in words


def test_hovering_an_operation_names_its_client(browser: Any, make_run: MakeRun) -> None:
    _open(browser, make_run("pass", operations=40))
    browser.run("document.querySelector('[data-panel=points]').scrollIntoView({ block: 'center' })")
    x, y, wide, high = browser.run(
        "(b => [b.x, b.y, b.width, b.height])(document.querySelector('[data-panel=points] .u-over').getBoundingClientRect())"
    )
    for part in range(4, 40):
        for row in range(2, 20):
            browser.call(
                "Input.dispatchMouseEvent", type="mouseMoved", x=x + wide * part / 80, y=y + high * (0.3 + row / 30)
            )
            words = browser.run("document.querySelector('#readout').textContent")
            if "operation" in words:
                assert re.search(r"\(client [1-8], operation \d+\)", words)
                return
    raise AssertionError("no operation was found under the pointer")


def test_values_are_read_without_a_mouse(browser: Any, make_run: MakeRun) -> None:
    _open(browser, make_run("pass", operations=400))
    browser.run("panels.focus()")
    readout = "[document.querySelector('#readout').textContent, document.querySelector('#readout').ariaLive]"
    seen = []
    for _ in range(3):
        browser.press("ArrowRight", shift=True)
        words, live = browser.run(readout)
        assert "p50" in words and live == "polite"
        seen.append(float(words.split()[1]))
    assert 1.9 < seen[0] < seen[1] < seen[2] < 2.4
    browser.press("ArrowLeft", shift=True)
    assert float(browser.run(readout)[0].split()[1]) == seen[1]
    ranges = "[...document.querySelectorAll('[data-panel]')].map(panel => panel.dataset.range)"
    assert all(float(one.split()[0]) == 0 for one in browser.run(ranges)), "the panels stay where they are"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("story", ["agreement", "linearizability", "inconclusive", "hostile"])
def test_a_narrow_screen_is_legible(browser: Any, make_run: MakeRun, story: str, dark: bool) -> None:
    _open(browser, make_run(story, operations=400), width=400, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") == 400
    assert browser.run(OUTSIDE) == []
    assert browser.run(SMALL_TEXT) == 0
    assert browser.run(PALE) == []


def test_without_script_the_static_pictures_stand_there(browser: Any, make_run: MakeRun) -> None:
    _open(browser, make_run("agreement", operations=200), scripted=False)
    words = " ".join(browser.call("DOMSnapshot.captureSnapshot", computedStyles=[])["strings"])
    assert "This breaks agreement" in words and "Violation found" in words
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    for selector, visible in (("#static img", True), (".told li", True), ("#live", False), ("#copy", False)):
        node = browser.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        try:
            shown = bool(browser.call("DOM.getBoxModel", nodeId=node))
        except RuntimeError:
            shown = False
        assert shown == visible, selector


def test_a_hundred_thousand_operations(browser: Any, make_run: MakeRun) -> None:
    report = _open(browser, make_run("pass", operations=100_000))
    assert report.stat().st_size <= 1_500_000
    text = browser.run("document.querySelector('#timeline').innerText")
    assert "of 100,000 operations: all that did not succeed and all slower than" in text
    assert browser.problems == []


def test_the_index_filters(browser: Any, make_run: MakeRun) -> None:
    runs = [make_run(story, operations=40) for story in ("pass", "agreement", "hostile")]
    store = runs[0].parent.parent
    browser.open(write_index(store))
    shown = "[...document.querySelectorAll('#runs tbody tr')].filter(r => r.getClientRects().length).length"
    assert browser.run(shown) == 3
    browser.run("words.value = 'slot 17'; words.dispatchEvent(new Event('input'))")
    assert browser.run(shown) == 1
    browser.run("words.value = ''; document.querySelector('#verdict-filter').value = 'FAIL';"
                "document.querySelector('#verdict-filter').dispatchEvent(new Event('change'))")  # fmt: skip
    assert browser.run(shown) == 2
    assert browser.problems == []


@pytest.mark.parametrize("dark", [False, True])
def test_the_pages_of_campaigns_and_of_the_matrix_are_closed_and_legible(
    browser: Any, make_campaign: MakeRun, tmp_path: Path, dark: bool
) -> None:
    campaign = write_campaign_page(make_campaign(tmp_path / "store" / "campaign" / "20260101T000000-1"))
    matrix = write_page(read_recorded(RECORDED).rows, tmp_path / "kill-matrix.html")
    for page in (campaign, matrix):
        browser.open(page, width=400, dark=dark)
        assert browser.problems == [] and _own_requests(browser, page) == []
        assert browser.run("document.documentElement.scrollWidth") == 400
        assert (browser.run(OUTSIDE), browser.run(SMALL_TEXT), browser.run(PALE)) == ([], 0, [])
    browser.run("words.value = 'A02'; words.dispatchEvent(new Event('input'))")
    assert browser.run("[...document.querySelectorAll('#runs tbody tr')].filter(r => !r.hidden).length") >= 1
    assert "A02" in browser.run("[...document.querySelectorAll('#runs tbody tr')].find(r => !r.hidden).innerText")


def test_a_baseline_stands_beside_the_run(browser: Any, make_run: MakeRun) -> None:
    run, base = make_run("pass", operations=200), make_run("pass", operations=100, seed=8)
    render_run(run, base)
    browser.open(run / "report.html", width=400)
    assert "They ran different plans" in browser.run("document.querySelector('#baseline').innerText")
    assert (browser.run("document.documentElement.scrollWidth"), browser.problems) == (400, [])


def test_paper_shows_the_pictures_and_every_step(browser: Any, make_run: MakeRun) -> None:
    _open(browser, make_run("agreement", operations=200))
    browser.run("document.querySelector('[data-go=\"1\"]').click()")
    browser.call("Emulation.setEmulatedMedia", media="print")
    shown = "(s => [...document.querySelectorAll(s)].filter(e => e.getClientRects().length).length)"
    assert browser.run(f"{shown}('#static img')") == 3
    assert browser.run(f"{shown}('button, nav, .stepper, #live')") == 0
    assert browser.run("[...document.querySelectorAll('.step.later')].every(e => getComputedStyle(e).opacity === '1')")
    sign = "getComputedStyle(document.querySelector('.verdict .sign'))"
    assert browser.run(f"{sign}.printColorAdjust") == "exact", "white on nothing could not be read"
    browser.call("Emulation.setEmulatedMedia", media="")
    browser.run(
        "document.querySelector('details').open = false; window.unfolded = -1; addEventListener('beforeprint',"
        " () => { unfolded = document.querySelectorAll('details:not([open])').length; })"
    )
    browser.call("Page.printToPDF")
    assert browser.run("[unfolded, document.querySelectorAll('details:not([open])').length]") == [0, 1]


def test_the_evidence_of_a_fault_is_read_without_scrolling_on_a_narrow_screen(browser: Any, make_run: MakeRun) -> None:
    _open(browser, make_run("pass", operations=200), width=400)
    outside = """[...document.querySelectorAll(".evidence div")].filter(e => e.getBoundingClientRect().right
      > e.closest(".scroll").getBoundingClientRect().right + 1).length"""
    assert browser.run(outside) == 0
