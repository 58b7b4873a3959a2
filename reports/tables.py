"""The tables of the page: faults with their recovery, what the test covered, environment, files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.results import FaultResult, Results
from nemesis.faults import KINDS
from reports.model import OUTCOMES, RunModel
from reports.wording import count, joined, shown, span

FAULTS_AT_MOST = 200
FILES_AT_MOST = 200
KEYS_AT_MOST = 60
PURPOSES = {
    "plan.json": "what this run does, as data: it reproduces the run",
    "env.json": "the machine and the versions",
    "results.json": "verdict, checks, faults and figures; every report is made from it",
    "report.html": "this page",
    "timeline.png": "faults, latency, throughput and availability over time",
    "latency.png": "latency quantiles over time, and the distribution",
    "spacetime.png": "the steps that led to the violation, one lane a process",
    "availability.png": "successes, outages and recovery after each fault",
    "junit.xml": "the checks as test cases, for build servers",
    "summary.md": "the verdict in Markdown, for pull requests",
    "shrink.json": "from which plan this one was shrunk, and how",
    "shrunk.json": "the smallest plan that still breaks the rule",
    "test_shrunk.py": "a pytest test that fails as long as the bug is there",
    "annotations.txt": "violations as annotations, for build servers",
}
FOLDERS = {
    "history": "what clients asked and were answered",
    "faults": "when each fault began and ended, with evidence",
    "decided": "what each learner learned and applied: complete",
    "trace": "the other steps of each agent: bounded",
    "logs": "what each process printed",
    "data": "the write-ahead logs of the agents",
    "shrunk": "the shrunk plan, run and recorded, with a report of its own",
}


@dataclass(frozen=True)
class FaultRow:
    fault: FaultResult
    evidence: str
    silence: str
    """The longest time without a success that touches the fault."""
    recovered: str
    """yes, never, or not healed"""


def fault_rows(model: RunModel) -> list[FaultRow]:
    """One row a fault, in the order of the plan; at most ``FAULTS_AT_MOST``, those that did not land or recover first."""
    faults = sorted(
        model.faults, key=lambda fault: (fault.landed and fault.first_ok_after_heal_ns is not None, fault.index)
    )
    table = model.operations
    done = np.sort(table.loc[table["outcome"] == "ok", "end_ns"].to_numpy(np.int64))
    edges = np.concatenate(([0], done, [model.duration_ns]))
    rows = []
    for fault in sorted(faults[:FAULTS_AT_MOST], key=lambda fault: fault.index):
        never = fault.first_ok_after_heal_ns is None
        rows.append(
            FaultRow(
                fault=fault,
                evidence=evidence_text(fault.evidence),
                silence=_silence(edges, fault, model.duration_ns),
                recovered="not healed" if fault.end_ns is None else "never" if never else "yes",
            )
        )
    return rows


def evidence_text(evidence: dict[str, Any], limit: int = 400) -> str:
    """``dropped 412, restarted p0``; nested evidence stands in brackets."""
    parts = []
    for name, value in evidence.items():
        if isinstance(value, dict):
            text = f"({evidence_text(value, limit)})"
        elif isinstance(value, list) and all(isinstance(item, str | int) for item in value):
            text = joined([shown(item, 24) for item in value[:8]]) + (" …" if len(value) > 8 else "")
        elif isinstance(value, int) and not isinstance(value, bool):
            text = span(value) if name.endswith("_ns") else f"{value:,}"
        else:
            text = shown(value, 100)
        parts.append(f"{shown(name, 40).replace('_', ' ')} {text}")
    return shown(", ".join(parts), limit) if parts else "none"


def _silence(edges: Any, fault: FaultResult, duration_ns: int) -> str:
    """Longest gap between successes that overlaps the fault."""
    if fault.begin_ns is None:
        return "—"
    end = duration_ns if fault.end_ns is None else fault.end_ns
    low = max(0, int(np.searchsorted(edges, fault.begin_ns, side="right")) - 1)
    high = min(len(edges) - 1, int(np.searchsorted(edges, end, side="left")))
    gaps = np.diff(edges[low : high + 1])
    return span(int(gaps.max())) if len(gaps) else "—"


@dataclass(frozen=True)
class Coverage:
    """What the test itself covered."""

    functions: tuple[tuple[str, tuple[int, ...]], ...]
    """(function, operations by outcome in the order of OUTCOMES)"""
    inside: int
    """Operations that succeeded while a fault was in force."""
    planned: int
    landed: int
    agents: tuple[str, ...]
    cells: tuple[tuple[str, tuple[int, ...]], ...]
    """(kind of fault, how often it landed on each agent)"""
    empty: tuple[str, ...]
    """Kinds used here, with the agents that they never hit."""
    unused: tuple[str, ...]
    """Kinds of the vocabulary that this run did not use."""
    checks: tuple[tuple[str, str, str, str], ...]
    """(name, verdict, summary, what it verifies)"""
    counts: tuple[tuple[str, str], ...]
    situations: tuple[str, ...]
    """What came up of the situations that a campaign counts, as far as the record shows it."""


def coverage(model: RunModel) -> Coverage:
    table = model.operations
    by_function = table.groupby(["f", "outcome"], observed=False).size().unstack(fill_value=0) if len(table) else None
    functions = (
        tuple(
            (shown(name, 24), tuple(int(row[outcome]) for outcome in OUTCOMES)) for name, row in by_function.iterrows()
        )
        if by_function is not None
        else ()
    )
    landed = [fault for fault in model.faults if fault.landed]
    kinds = list(dict.fromkeys(fault.kind for fault in model.faults))
    cells = tuple(
        (kind, tuple(sum(fault.kind == kind and name in fault.targets for fault in landed) for name in model.agents))
        for kind in kinds
    )
    empty = tuple(
        f"{shown(kind, 24)} never hit {joined([name for name, hits in zip(model.agents, row, strict=True) if not hits], 'or')}"
        for kind, row in cells
        if not all(row)
    )
    results = model.results
    return Coverage(
        functions=functions,
        inside=_inside(model, landed),
        planned=len(model.faults),
        landed=len(landed),
        agents=model.agents,
        cells=cells,
        empty=empty,
        unused=tuple(kind for kind in KINDS if kind not in kinds),
        checks=tuple(
            (shown(check.name, 60), str(check.verdict), shown(check.summary, 400), shown(check.about, 400))
            for check in (results.checks if results else ())
        ),
        counts=tuple(_counts(results.counts))[:KEYS_AT_MOST] if results else (),
        situations=tuple(_situations(results)) if results else (),
    )


def _situations(results: Results) -> Iterator[str]:
    for check in results.checks:
        found = check.stats.get("situations")
        if isinstance(found, (list, tuple)):
            yield from (shown(str(name), 40) for name in found[:KEYS_AT_MOST])


def _inside(model: RunModel, landed: list[FaultResult]) -> int:
    """Successes that ended while some fault was in force; each counts once."""
    table = model.operations
    done = table.loc[table["outcome"] == "ok", "end_ns"].to_numpy(np.int64)
    inside = np.zeros(len(done), dtype=np.bool_)
    for fault in landed:
        if fault.begin_ns is not None:
            inside |= (done >= fault.begin_ns) & (done <= (model.duration_ns if fault.end_ns is None else fault.end_ns))
    return int(inside.sum())


_IN_THE_TABLE = ("by_type", "by_f", "operations")
"""Counts that the table of operations shows better."""
_COUNT_WORDS = {
    "clients": "clients",
    "slots": "slots decided",
    "commands": "commands chosen",
    "no_ops": "no-ops chosen",
    "executed": "commands executed",
    "leaders": "leaderships won",
    "torn_files": "torn files of the record",
    "shed": "operations shed",
}


def _counts(counts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = _flat({name: value for name, value in counts.items() if name not in _IN_THE_TABLE and value != {}})
    return [(_COUNT_WORDS.get(name, name.replace(".", ": ").replace("_", " ")), value) for name, value in rows]


def environment_rows(model: RunModel) -> list[tuple[str, str]]:
    return list(_flat(model.environment))[:KEYS_AT_MOST]


def _flat(data: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested names joined by dots; values in a line."""
    rows: list[tuple[str, str]] = []
    for name, value in data.items():
        label = f"{prefix}{shown(name, 40)}"
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{label}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            rows.append((label, f"{value:,}"))
        else:
            rows.append((label, shown(value if isinstance(value, str) else json.dumps(value, default=repr), 200)))
    return rows


def file_rows(model: RunModel) -> list[tuple[str, str, str]]:
    """(path, size, what it is for) of everything in the run directory; agents' data are one row a folder."""
    purposes = PURPOSES | (dict(model.results.files) if model.results else {})
    rows = []
    for path in sorted(model.directory.iterdir()):
        name = path.name
        if path.is_dir():
            inside = [item for item in path.rglob("*") if item.is_file()]
            size = sum(item.stat().st_size for item in inside)
            rows.append(
                (f"{name}/", f"{count(len(inside), 'file')}, {_size(size)}", purposes.get(name, FOLDERS.get(name, "")))
            )
        elif not name.endswith(".tmp"):
            size = 0 if name in OWN_OUTPUT else path.stat().st_size
            rows.append((name, _size(size) if size else "", purposes.get(name, "")))
    missing = [name for name in ("report.html",) if not any(row[0] == name for row in rows)]
    rows += [(name, "", purposes[name]) for name in missing]
    return rows[:FILES_AT_MOST]


OWN_OUTPUT = frozenset({"report.html", "index.html"})
"""Written after the table is made: their sizes would make a second rendering differ from the first."""


def _size(number: int) -> str:
    for unit, name in ((1 << 20, "MB"), (1 << 10, "kB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return count(number, "byte")
