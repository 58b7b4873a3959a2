"""Colours and shapes. Told apart with every common colour vision, and never the only cue: a shape, hatch or word helps.

Never red against green. Hues after Okabe and Ito, "Color Universal Design" (2008), darkened where they carry text.
"""

from __future__ import annotations

OUTCOME_COLOURS = {"ok": "#0072b2", "info": "#e08a00", "fail": "#a23b84"}
OUTCOME_MARKERS = {"ok": "o", "info": "^", "fail": "x"}
DEVICE_COLOURS = {
    "process": "#475569",
    "link": "#3a8fc4",
    "disk": "#a9793a",
    "clock": "#8566b8",
    "other": "#8a8a8a",
}
VERDICT_COLOURS = {
    "PASS": "#0b6aa8",
    "FAIL": "#b93c0b",
    "INCONCLUSIVE": "#8a6100",
    "ERROR": "#7e3f98",
    "NONE": "#5b6472",
}
VERDICT_SIGNS = {"PASS": "✓", "FAIL": "✕", "INCONCLUSIVE": "?", "ERROR": "!", "NONE": "–"}
VERDICT_WORDS = {
    "PASS": "Passed",
    "FAIL": "Violation found",
    "INCONCLUSIVE": "Inconclusive",
    "ERROR": "The harness broke",
    "NONE": "Not judged",
}
QUANTILE_COLOURS = {0.5: "#0072b2", 0.95: "#e08a00", 0.99: "#a23b84"}
INK = "#1f2937"
QUIET = "#6b7280"
LETTER_COLOURS = ("#0072b2", "#b93c0b", "#7e3f98", "#6b6100")
GRID = "#e5e7eb"
OUTAGE = "#b93c0b"
