"""JUnit XML for build servers: a test suite a run, a test case a check.

A violation is a ``failure``; a check that broke, and a check without enough evidence, is an ``error``: both must be seen,
and only ``failure`` says that the tested system is wrong.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from harness.results import CheckResult, Verdict, worst
from reports.model import RunModel
from reports.wording import shown

VIOLATIONS_AT_MOST = 20


def junit_xml(model: RunModel) -> str:
    """The run as JUnit XML. A run without results is one case that could not be run."""
    results = model.results
    name = f"{shown(model.name, 80)}.seed-{model.seed if model.seed is not None else 'unknown'}"
    seconds = f"{model.duration_ns / 1e9:.3f}"
    cases = [_case(check, name) for check in results.checks] if results else []
    if not cases or (results and results.verdict is not worst([check.verdict for check in results.checks])):
        cases.append(_whole_run(model, name))
    bad = sum(case.find("failure") is not None for case in cases)
    broken = sum(case.find("error") is not None for case in cases)
    root = ET.Element("testsuites", tests=str(len(cases)), failures=str(bad), errors=str(broken), time=seconds)
    suite = ET.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(bad),
        errors=str(broken),
        skipped="0",
        time=seconds,
    )
    properties = ET.SubElement(suite, "properties")
    if results:
        facts = {
            "verdict": str(results.verdict),
            "exit_code": results.exit_code,
            "seed": results.seed,
            "world": results.world,
            "deployment": results.deployment,
            "reproduce": results.reproduce,
        }
        for key, value in facts.items():
            ET.SubElement(properties, "property", name=key, value=shown(value, 500))
    suite.extend(cases)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(check: CheckResult, suite: str) -> ET.Element:
    case = ET.Element("testcase", name=shown(check.name, 120), classname=suite, time="0")
    if check.verdict is Verdict.FAIL:
        first = check.violations[0] if check.violations else None
        failure = ET.SubElement(
            case,
            "failure",
            type=shown(first.rule if first else check.name, 120),
            message=shown(first.sentence if first else check.summary, 500),
        )
        failure.text = _text(check)
    elif check.verdict is not Verdict.PASS:
        ET.SubElement(case, "error", type=str(check.verdict), message=shown(check.summary, 500)).text = _text(check)
    return case


def _text(check: CheckResult) -> str:
    lines = [shown(check.summary, 500)]
    for violation in check.violations[:VIOLATIONS_AT_MOST]:
        lines.append(f"{shown(violation.rule, 120)}: {shown(violation.sentence, 500)}")
        lines += [f"  because {shown(reason, 300)}" for reason in violation.because[:12]]
    left_out = len(check.violations) - VIOLATIONS_AT_MOST
    if left_out > 0:
        lines.append(f"and {left_out:,} more, in results.json")
    return "\n".join(lines)


def _whole_run(model: RunModel, suite: str) -> ET.Element:
    """A case for the verdict itself, where no check carries it: an interrupted run, or one without results."""
    case = ET.Element("testcase", name="run", classname=suite, time="0")
    results = model.results
    if results is None:
        ET.SubElement(case, "error", type="NONE", message="results.json is missing or damaged: the run was not judged")
    elif results.verdict is Verdict.FAIL:
        ET.SubElement(case, "failure", type="FAIL", message=shown(results.sentence, 500))
    elif results.verdict is not Verdict.PASS:
        ET.SubElement(case, "error", type=str(results.verdict), message=shown(results.sentence, 500))
    return case
