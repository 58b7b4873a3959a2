"""What the regression gate found, for readers: a table for the terminal, Markdown, JUnit XML."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from reports.gate import DECISION_WORDS, Comparison, Finding, GateResult
from reports.palette import VERDICT_SIGNS
from reports.summary import code, table, text
from reports.wording import count, shown

DECISION_SIGNS = {"same": "✓", "better": "✓", "worse": "✕", "unknown": "?"}
BROKEN_AT_MOST = 20


def lines(result: GateResult) -> Iterator[str]:
    """For a terminal, below the verdict."""
    yield f"  {count(result.schedules, 'schedule')} judged by all oracles, {len(result.broken)} broke a rule"
    for broken in result.broken[:BROKEN_AT_MOST]:
        yield f"  {DECISION_SIGNS['worse']} {broken.what}: {broken.rule}: {shown(broken.sentence, 300)}"
        if broken.run_directory:
            yield f"      torture replay {broken.run_directory}"
    for unknown in result.unknown:
        yield f"  {DECISION_SIGNS['unknown']} {unknown}"
    for comparison in result.comparisons:
        yield f"  {title(comparison)}"
        for one in comparison.findings:
            yield (
                f"    {DECISION_SIGNS[one.decision]} {one.metric:32} {one.base:>12} → {one.head:>12}  "
                f"{DECISION_WORDS[one.decision]}: {one.sentence}"
            )
        for note in comparison.notes:
            yield f"    {note}"


def title(comparison: Comparison) -> str:
    return f"{comparison.kind}, {'hard' if comparison.hard else 'advisory'}"


def markdown(result: GateResult) -> str:
    """A summary for a pull request."""
    return "\n\n".join(_blocks(result)) + "\n"


def _blocks(result: GateResult) -> Iterator[str]:
    yield f"## {VERDICT_SIGNS[result.verdict]} {text(result.head, 60)} against {text(result.base, 60)}"
    yield text(result.sentence, 600)
    yield f"{count(result.schedules, 'simulated schedule')} judged by all oracles, {len(result.broken)} broke a rule."
    for broken in result.broken[:BROKEN_AT_MOST]:
        again = f", again: {code(f'torture replay {broken.run_directory}', 300)}" if broken.run_directory else ""
        yield f"- {code(broken.rule, 80)} {text(broken.what, 80)}: {text(broken.sentence, 400)}{again}"
    for unknown in result.unknown:
        yield f"- {VERDICT_SIGNS['INCONCLUSIVE']} {text(unknown, 400)}"
    for comparison in result.comparisons:
        yield f"### {text(title(comparison), 80)}"
        rows = [
            (
                DECISION_SIGNS[one.decision],
                text(one.metric, 60),
                text(one.base, 30),
                text(one.head, 30),
                text(DECISION_WORDS[one.decision], 30),
                text(one.sentence, 200),
            )
            for one in comparison.findings
        ]
        yield table(("", "metric", "base", "head", "decision", "change and interval"), rows)
        if comparison.notes:
            yield "\n".join(f"- {text(note, 300)}" for note in comparison.notes)


def junit_xml(result: GateResult) -> str:
    """One case for safety and one for each metric; an advisory loss is told, but passes."""
    cases = [_safety(result)]
    cases += [_case(comparison, one) for comparison in result.comparisons for one in comparison.findings]
    cases += [_unknown(number, why) for number, why in enumerate(result.unknown, 1)]
    bad = sum(case.find("failure") is not None for case in cases)
    odd = sum(case.find("error") is not None for case in cases)
    root = ET.Element("testsuites", tests=str(len(cases)), failures=str(bad), errors=str(odd))
    suite = ET.SubElement(
        root, "testsuite", name="torture gate", tests=str(len(cases)), failures=str(bad), errors=str(odd), skipped="0"
    )
    suite.extend(cases)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _safety(result: GateResult) -> ET.Element:
    case = ET.Element("testcase", classname="gate.safety", name="no rule is broken")
    if result.broken:
        first = result.broken[0]
        failure = ET.SubElement(case, "failure", type=shown(first.rule, 120), message=shown(first.sentence, 500))
        failure.text = "\n".join(
            f"{shown(one.what, 80)}: {shown(one.rule, 120)}: {shown(one.sentence, 400)}"
            for one in result.broken[:BROKEN_AT_MOST]
        )
    elif result.interrupted:
        ET.SubElement(case, "error", type="interrupted", message=result.sentence)
    return case


def _case(comparison: Comparison, one: Finding) -> ET.Element:
    case = ET.Element("testcase", classname=f"gate.{comparison.kind.replace(' ', '-')}", name=one.metric)
    words = f"{one.base} to {one.head}: {DECISION_WORDS[one.decision]}: {one.sentence}"
    if one.decision == "worse" and comparison.hard:
        ET.SubElement(case, "failure", type="regression", message=shown(words, 500))
    elif one.decision == "unknown" and comparison.hard:
        ET.SubElement(case, "error", type="cannot tell", message=shown(words, 500))
    else:
        ET.SubElement(case, "system-out").text = shown(words, 500)
    return case


def _unknown(number: int, why: str) -> ET.Element:
    case = ET.Element("testcase", classname="gate", name=f"comparison {number}")
    ET.SubElement(case, "error", type="cannot tell", message=shown(why, 500))
    return case
