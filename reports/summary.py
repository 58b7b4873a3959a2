"""The verdict in Markdown, for pull requests and step summaries, and as GitHub annotations.

Foreign text cannot mark anything up: sentences are escaped, values stand in code spans, mentions are cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.results import CheckResult, Verdict, Violation
from reports.model import RunModel
from reports.page import headline, reproduce
from reports.palette import VERDICT_SIGNS, VERDICT_WORDS
from reports.spacetime import run_time
from reports.tables import evidence_text
from reports.wording import count, instant, shown, span

BYTES_AT_MOST = 60_000
VIOLATIONS_AT_MOST = 10
FAULTS_AT_MOST = 60
ANNOTATIONS_AT_MOST = 10
"""GitHub shows ten errors a step."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+.!|<>~&$-])")
_BACKTICKS = re.compile(r"`+")


def markdown(model: RunModel) -> str:
    """The summary, at most ``BYTES_AT_MOST`` bytes; what does not fit is left out and said."""
    kept: list[str] = []
    used = 0
    for block in _blocks(model):
        size = len(block.encode()) + 2
        if used + size > BYTES_AT_MOST - 200:
            kept.append("*Shortened: the rest is in report.html.*")
            break
        kept.append(block)
        used += size
    return "\n\n".join(kept) + "\n"


def github_annotations(model: RunModel) -> str:
    """GitHub workflow commands: an error for each violation, a warning for missing evidence; empty for a pass."""
    results = model.results
    if results is None:
        return _command("error", "not judged", "results.json is missing or damaged: the run was not judged")
    lines = []
    for check in results.checks:
        if check.verdict is Verdict.FAIL:
            found = check.violations or (Violation(check.name, check.summary),)
            lines += [_command("error", violation.rule, violation.sentence) for violation in found]
        elif check.verdict is not Verdict.PASS:
            lines.append(_command("error" if check.verdict is Verdict.ERROR else "warning", check.name, check.summary))
    if not lines and results.verdict is not Verdict.PASS:
        lines.append(_command("warning", str(results.verdict), results.sentence))
    if len(lines) > ANNOTATIONS_AT_MOST:
        more = len(lines) - ANNOTATIONS_AT_MOST + 1
        lines = [*lines[: ANNOTATIONS_AT_MOST - 1], _command("notice", "more", f"{more} more, in results.json")]
    return "".join(lines)


def _command(level: str, title: str, message: str) -> str:
    name = _escaped_data(shown(f"torture: {title}", 120)).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{_escaped_data(shown(message, 600))}\n"


def _escaped_data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _blocks(model: RunModel) -> Iterator[str]:
    results = model.results
    verdict = str(model.verdict or "NONE")
    yield f"## {VERDICT_SIGNS[verdict]} {VERDICT_WORDS[verdict]}: {text(model.name, 60)}, seed {model.seed}"
    yield text(results.sentence if results else "results.json is missing or damaged: the run was not judged.", 600)
    if results and results.interrupted:
        yield "**Interrupted:** the run did not end by itself."
    if results and results.mutant:
        yield f"Planted bug {code(results.mutant, 60)}: a violation is expected."
    facts = reproduce(model)
    yield f"Reproduce: {code(facts['command'], 600)}"
    yield table(("", "", ""), [(name, f"**{value}**", about) for name, value, about in headline(model)])
    if results:
        for check in results.checks:
            yield from _check(model, check)
    if model.faults:
        yield f"### Faults ({sum(fault.landed for fault in model.faults)} of {len(model.faults)} landed)"
        rows = [
            (
                str(fault.index),
                code(fault.kind, 20),
                code(" ".join(fault.targets), 60),
                instant(fault.begin_ns),
                "yes" if fault.landed else "**no**",
                "not healed" if fault.end_ns is None else span(fault.first_ok_after_heal_ns),
                code(evidence_text(fault.evidence, 100), 110),
            )
            for fault in model.faults[:FAULTS_AT_MOST]
        ]
        yield table(("#", "kind", "targets", "begin", "landed", "recovery", "evidence"), rows)
        if len(model.faults) > FAULTS_AT_MOST:
            yield f"{FAULTS_AT_MOST} of {count(len(model.faults), 'fault')}."
    if model.warnings:
        yield "### Warnings\n\n" + "\n".join(f"- {text(warning, 300)}" for warning in model.warnings[:20])


def _check(model: RunModel, check: CheckResult) -> Iterator[str]:
    sign = VERDICT_SIGNS[str(check.verdict)]
    yield f"- {sign} **{text(check.name, 60)}** {check.verdict}: {text(check.summary, 400)}"
    for violation in check.violations[:VIOLATIONS_AT_MOST]:
        lines = [f"  - {code(violation.rule, 80)} {text(violation.sentence, 500)}"]
        if violation.time_ns:
            lines.append(f"    - at {instant(run_time(model, violation.time_ns))}")
        lines += [f"    - value {code(value, 120)}" for value in violation.values[:6]]
        lines += [f"    - {text(reason, 300)}" for reason in violation.because[:8]]
        yield "\n".join(lines)
    if len(check.violations) > VIOLATIONS_AT_MOST:
        yield f"  - and {len(check.violations) - VIOLATIONS_AT_MOST:,} more"


def text(value: object, limit: int) -> str:
    """Foreign text as plain words in Markdown."""
    return _SPECIAL.sub(r"\\\1", shown(value, limit)).replace("@", "@<!-- -->")


def code(value: object, limit: int) -> str:
    """Foreign text as a code span, also inside a table."""
    words = shown(value, limit).replace("|", "\\|") or " "
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(words)), default=0) + 1)
    pad = " " if words[0] in "` " or words[-1] in "` " else ""
    return f"{fence}{pad}{words}{pad}{fence}"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
