"""From a finished run directory to results.json and reports: what `torture run` does at the end, and `torture check` again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.record import RecordedRun
from harness.results import EXIT_CODES, RANK, CheckResult, Results, Verdict, write_results
from harness.store import read_environment
from harness.verdict import assemble
from nemesis.plan import load_plan

HARNESS = -1
"""Fault index of rows that tell of the harness itself."""


def judge_run(directory: Path, warnings: list[str] | None = None, errors: Sequence[str] = ()) -> Results:
    """Judge the run from its directory alone, and write results.json there.

    With ``warnings``, results that cannot be written (a full disk, a read-only one) are told there instead of raised: the
    verdict stands all the same. ``errors``: faults of the harness that its caller knows of; a full disk keeps them out of the
    record.
    """
    plan = load_plan(directory / "plan.json")
    environment = read_environment(directory)
    rows = [row for row in RecordedRun(directory).faults() if row.fault == HARNESS]
    world = str(environment.get("world", "free"))
    plan_path = shlex.quote(str(directory / "plan.json"))
    reproduce = f"torture run --plan {plan_path}" if world == "free" else f"torture replay --world {world} {plan_path}"
    results = assemble(
        directory,
        plan,
        world=world,
        interrupted=any(row.kind == "interrupted" for row in rows),
        reproduce=reproduce,
        environment=environment,
    )
    recorded = [str(row.evidence.get("error")) for row in rows if row.kind == "error"]
    results = with_harness_errors(results, list(dict.fromkeys([*recorded, *errors])))
    try:
        write_results(directory, results)
    except OSError as error:
        if warnings is None:
            raise
        again = f"torture check {shlex.quote(str(directory))}"
        warnings.append(f"results.json could not be written: {error.strerror}; make room there, then: {again}")
    return results


def with_harness_errors(results: Results, errors: list[str]) -> Results:
    """A harness that broke cannot say PASS: ERROR, unless a violation was found all the same."""
    if not errors:
        return results
    check = CheckResult(
        "harness",
        Verdict.ERROR,
        "; ".join(errors),
        about="The harness itself did what the plan says.",
        stats={"errors": errors},
    )
    results = msgspec.structs.replace(results, checks=(*results.checks, check))
    if RANK[results.verdict] >= RANK[Verdict.ERROR]:
        return results
    return msgspec.structs.replace(
        results,
        verdict=Verdict.ERROR,
        exit_code=EXIT_CODES[Verdict.ERROR],
        sentence=f"The harness broke: {errors[0]}",
    )


def render(directory: Path, baseline: Path | None = None) -> list[str]:
    """Write the reports of a judged run, compared with the run ``baseline`` if given; returns warnings.

    What cannot be drawn never changes the verdict.
    """
    try:
        from reports.render import render_run

        return list(render_run(directory, baseline).warnings)
    except Exception as error:
        return [f"the report could not be written: {type(error).__name__}: {error}"]


def render_campaign(directory: Path, failures: list[Path]) -> list[str]:
    """Write the page of a campaign and the reports of the failures that it kept; returns warnings."""
    warnings = []
    for failure in failures:
        if (failure / "results.json").is_file():
            warnings += render(failure)
    try:
        from reports.campaign import write_campaign_page

        write_campaign_page(directory)
    except Exception as error:
        warnings.append(f"{directory / 'report.html'} could not be written: {type(error).__name__}: {error}")
    return warnings


def index_store(store: Path) -> list[str]:
    """Write the page that lists the store's runs; returns warnings."""
    try:
        from reports.index import write_index

        write_index(store)
    except Exception as error:
        return [f"{store / 'index.html'} could not be written: {type(error).__name__}: {error}"]
    return []
