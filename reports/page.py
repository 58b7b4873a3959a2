"""report.html: one offline file for three readers, a developer, an engineer and a student, served by order from the top.

Rules
-----
* Nothing is fetched: the content-security policy allows only this page's own script and style, by their hashes.
* Everything from outside is escaped by the templates, after ``wording.shown`` has made it one harmless line.
* Without JavaScript the static pictures stand where the interactive timeline would be.
* A part that cannot be made becomes a warning on the page; the verdict stays what ``results.json`` says.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.results import SHRINK_FACTS, SHRUNK_RUN, FaultResult, Results, Violation
from reports import wording
from reports.agreement import leaders, slots
from reports.baseline import compare_runs
from reports.model import OUTCOME_MEANING, OUTCOME_WORDS, OUTCOMES, RunModel, load
from reports.operations import OperationDiagram, operation_diagram
from reports.palette import VERDICT_SIGNS, VERDICT_WORDS
from reports.spacetime import Diagram, diagram, run_time
from reports.statistics import censored_quantile
from reports.tables import coverage, environment_rows, fault_rows, file_rows
from reports.timeline import sample, timeline_data

HERE = Path(__file__).parent
RULES_AT_MOST = 10
OTHERS_AT_MOST = 8
DIAGRAMS_AT_MOST = 3
Part = TypeVar("Part")


@dataclass(frozen=True)
class Finding:
    """A violation, ready to be shown."""

    check: str
    violation: Violation
    when: str
    during: tuple[str, ...]
    diagram: Diagram | None
    operations: OperationDiagram | None
    before: str = ""
    """The last fault that ended before it, if none was in force."""
    others: tuple[Violation, ...] = ()
    """More violations of the same rule, told by their sentences alone."""
    others_left_out: int = 0
    same_slot: str = ""
    """The rule whose diagram, above, is of the same slot; there is no other one then."""


def report_html(
    model: RunModel, pictures: Sequence[Path], warnings: Sequence[str], baseline: RunModel | None = None
) -> str:
    """The whole page. ``pictures``: PNGs to embed; ``warnings``: what went wrong while drawing them; ``baseline``: a run to
    compare with."""
    said = [*model.warnings, *warnings]

    def part(name: str, make: Callable[[], Part]) -> Part | None:
        try:
            return make()
        except Exception as error:
            said.append(
                f"The part “{name}” could not be made ({type(error).__name__}: {wording.shown(str(error), 200)})."
            )
            return None

    chosen = part("timeline", lambda: sample(model))
    data = part("timeline", lambda: None if chosen is None else timeline_data(model, chosen))
    findings, more = _findings(model, part)
    shrunk = part("shrunk plan", lambda: _shrunk_run(model))
    of_shrunk = _findings(shrunk, part, rules=1)[0] if shrunk else []
    results = model.results
    context = {
        "model": model,
        "results": results,
        "verdict": str(model.verdict or "NONE"),
        "findings": findings,
        "shrunk": shrunk,
        "shrunk_findings": of_shrunk,
        "findings_left_out": more,
        "headline": part("key figures", lambda: headline(model)) or [],
        "sample": chosen,
        "timeline": bool(data) and not model.operations.empty,
        "outcome_counts": _outcome_counts(model),
        "pictures": [
            (path.stem, _data_uri("image/png", path.read_bytes())) for path in pictures if path.name != "spacetime.png"
        ],
        "faults": part("faults", lambda: fault_rows(model)) or [],
        "slots": part("agreement", lambda: slots(model)),
        "leaders": part("leaders", lambda: leaders(model)),
        "coverage": part("coverage", lambda: coverage(model)),
        "comparison": part("baseline", lambda: None if baseline is None else compare_runs(model, baseline)),
        "environment": environment_rows(model),
        "files": file_rows(model),
        "reproduce": reproduce(model),
        "warnings": said,
    }
    return render("report.html.j2", context, scripts=("uPlot.iife.min.js", "report.js"), data=data)


def render(template: str, context: dict[str, Any], *, scripts: Sequence[str], data: Any = None) -> str:
    """A page from a template: style, scripts and data inside, and a policy that allows nothing else."""
    style = "\n".join(asset(name) for name in ("uPlot.min.css", "report.css"))
    script = "\n".join(asset(name) for name in scripts)
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            {
                **context,
                "policy": policy,
                "style": style,
                "script": script,
                "licence": asset("uPlot.LICENSE") if "uPlot.iife.min.js" in scripts else "",
                "data": None if data is None else json_for_page(data),
            }
        )
    )


def json_for_page(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def asset(name: str) -> str:
    return (HERE / "assets" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        shown=wording.shown,
        span=wording.span,
        instant=wording.instant,
        count=wording.count,
        share=wording.share,
        joined=wording.joined,
        href=quote,
    )
    made.globals.update(
        verdict_signs=VERDICT_SIGNS,
        verdict_words=VERDICT_WORDS,
        outcome_words=OUTCOME_WORDS,
        outcome_meaning=OUTCOME_MEANING,
        outcomes=OUTCOMES,
    )
    return made


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def violations(results: Results) -> Iterable[tuple[str, Violation]]:
    """(check, violation) in the order of the checks."""
    return ((check.name, violation) for check in results.checks for violation in check.violations)


def _shrunk_run(model: RunModel) -> RunModel | None:
    """The recorded run of the plan that this one was shrunk to, if it was."""
    directory = model.directory / SHRUNK_RUN
    if not (directory / SHRINK_FACTS).is_file():
        return None
    found = load(directory)
    return found if found.shrink and found.results else None


def _findings(
    model: RunModel, part: Callable[[str, Callable[[], Any]], Any], rules: int = RULES_AT_MOST
) -> tuple[list[Finding], int]:
    """One finding a rule, the one that was shrunk first, and how many rules are left out."""
    groups: dict[tuple[str, str], list[Violation]] = {}
    for check, violation in violations(model.results) if model.results else ():
        groups.setdefault((check, violation.rule), []).append(violation)
    made = []
    wanted = model.shrink.rule if model.shrink else ""
    ordered = sorted(groups.items(), key=lambda item: item[0][1] != wanted)
    drawn_slots: dict[int, str] = {}
    for place, ((check, _), group) in enumerate(ordered[:rules]):
        violation, *others = group
        drawn = place < DIAGRAMS_AT_MOST
        same_slot = "" if violation.slot is None else drawn_slots.get(violation.slot, "")
        picture = part("space-time diagram", partial(diagram, model, violation)) if drawn and not same_slot else None
        if picture is not None and violation.slot is not None:
            drawn_slots[violation.slot] = violation.rule
        when = run_time(model, violation.time_ns)
        during = tuple(fault_name(fault) for fault in active_faults(model, when)) if violation.time_ns else ()
        made.append(
            Finding(
                check=check,
                violation=violation,
                when=wording.instant(when) if violation.time_ns else "",
                during=during,
                before=_fault_before(model, when) if violation.time_ns and not during else "",
                diagram=picture,
                operations=part("operations", partial(operation_diagram, model, violation)) if drawn else None,
                others=tuple(others[:OTHERS_AT_MOST]),
                others_left_out=max(0, len(others) - OTHERS_AT_MOST),
                same_slot=same_slot,
            )
        )
    return made, len(groups) - len(made)


def _fault_before(model: RunModel, time_ns: int) -> str:
    """``kill of r0, over for 158 ms``: the fault that ended last before that time; empty if none did."""
    over = [
        (fault.end_ns, fault)
        for fault in (*model.faults, *model.final_faults)
        if fault.landed and fault.end_ns is not None and fault.end_ns < time_ns
    ]
    if not over:
        return ""
    end, fault = max(over, key=lambda pair: pair[0])
    return f"{fault_name(fault)}, over for {wording.span(time_ns - end)}"


def active_faults(model: RunModel, time_ns: int) -> list[FaultResult]:
    """Faults that were in force at that time of the run."""
    return [
        fault
        for fault in (*model.faults, *model.final_faults)
        if fault.landed
        and fault.begin_ns is not None
        and fault.begin_ns <= time_ns <= (model.duration_ns if fault.end_ns is None else fault.end_ns)
    ]


def fault_name(fault: FaultResult) -> str:
    """Kind and targets: ``delay of a0``."""
    return f"{fault.kind} of {wording.joined(fault.targets[:8])}" if fault.targets else fault.kind


def headline(model: RunModel) -> list[tuple[str, str, str]]:
    """The key figures: (name, value, what it says)."""
    table = model.operations
    ok = table["outcome"] == "ok"
    latency = table.loc[ok, "latency_ns"]
    available = model.availability
    heals = [fault.first_ok_after_heal_ns for fault in model.faults if fault.landed and fault.end_ns is not None]
    recovery = censored_quantile(heals, 0.5)
    landed = sum(fault.landed for fault in model.faults)
    down = sum(end - begin for begin, end in available.outages)
    return [
        ("operations", wording.count(len(table)), f"{wording.share(ok.mean() if len(table) else None)} succeeded"),
        (
            "latency p50",
            wording.span(float(latency.quantile(0.5))) if len(latency) else "—",
            f"p99 {wording.span(float(latency.quantile(0.99)))}" if len(latency) else "no success",
        ),
        (
            "available",
            wording.share(available.share),
            f"of windows of {wording.span(available.width_ns)} in which operations waited; {wording.span(down)} of outage",
        ),
        (
            "faults landed",
            f"{landed} of {len(model.faults)}",
            "took effect, with evidence" if model.faults else "none planned",
        ),
        (
            "recovery p50",
            "—" if recovery is None else wording.span(recovery),
            "first success after a heal" if heals else "no fault was healed",
        ),
    ]


def _outcome_counts(model: RunModel) -> dict[str, int]:
    counted = model.operations["outcome"].value_counts()
    return {outcome: int(counted.get(outcome, 0)) for outcome in OUTCOMES}


def reproduce(model: RunModel) -> dict[str, str]:
    """The command, and what it stands on."""
    faults = model.plan.get("faults")
    return {
        "command": model.results.reproduce if model.results else f"torture check {model.directory}",
        "version": wording.shown(model.environment.get("version", "not recorded"), 60),
        "commit": wording.shown(model.environment["commit"], 60) if model.environment.get("commit") else "",
        "strategy": wording.shown(model.plan.get("strategy") or "not recorded", 60),
        "faults": wording.count(len(faults), "fault") if isinstance(faults, list) else "no plan on record",
        "mutant": wording.shown(model.results.mutant, 80) if model.results and model.results.mutant else "",
    }
