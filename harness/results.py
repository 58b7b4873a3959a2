"""results.json: the one truth that every report renders.

Verdicts are ordered by rank: FAIL outranks ERROR outranks INCONCLUSIVE outranks PASS.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError

SCHEMA_VERSION = 1


class Verdict(StrEnum):
    PASS = "PASS"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"
    FAIL = "FAIL"


RANK = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.ERROR: 2, Verdict.FAIL: 3}
EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3, Verdict.ERROR: 70}
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def worst(verdicts: list[Verdict]) -> Verdict:
    return max(verdicts, key=RANK.__getitem__, default=Verdict.PASS)


class Violation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One broken rule, with what a reader needs to believe it."""

    rule: str
    """Short stable name: oracle/rule, for instance ``agreement/two-values``. Clusters and shrinking go by it."""
    sentence: str
    """One sentence in plain words: which property, which slot or key, who, when."""
    time_ns: int = 0
    slot: int | None = None
    key: str | None = None
    agents: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    operations: tuple[dict[str, Any], ...] = ()
    """At most six operations that force the violation (fields of record.Operation)."""
    because: tuple[str, ...] = ()
    """Why each comes before the other, edge by edge, in prose."""
    details: dict[str, Any] = {}


class CheckResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one checker says."""

    name: str
    verdict: Verdict
    summary: str
    violations: tuple[Violation, ...] = ()
    stats: dict[str, Any] = {}
    about: str = ""
    """One sentence: the property this checker verifies."""


class FaultResult(msgspec.Struct, frozen=True):
    """One fault as it really happened."""

    index: int
    kind: str
    targets: tuple[str, ...]
    describe: str
    begin_ns: int | None
    end_ns: int | None
    evidence: dict[str, Any]
    landed: bool
    operations_ok_inside: int
    operations_unknown_inside: int
    first_ok_after_begin_ns: int | None
    """Time from the begin to the first success; None = none before the end of the run."""
    first_ok_after_heal_ns: int | None


class Results(msgspec.Struct, frozen=True):
    """All that is known of a run. Times are ns since ``started_ns`` of the same clock as the record."""

    schema_version: int
    name: str
    verdict: Verdict
    exit_code: int
    sentence: str
    """The verdict in one sentence."""
    interrupted: bool
    seed: int
    world: str
    """simulated, lockstep or free"""
    deployment: str
    mutant: str | None
    started_ns: int
    """First instant of the run, on the record's clock; subtract it to get times of the run."""
    duration_ns: int
    healed_ns: int | None
    """When the final heal was done."""
    reproduce: str
    """The command that runs this plan again."""
    checks: tuple[CheckResult, ...]
    faults: tuple[FaultResult, ...]
    counts: dict[str, Any]
    """operations by type and by f, shed load, agents' incarnations, decided slots, …"""
    metrics: dict[str, Any]
    """latency quantiles (ns), throughput (1/s), availability (share of windows with a success), recovery times (ns)"""
    environment: dict[str, Any]
    files: dict[str, str]
    """file of the run directory -> what it is for"""


SHRUNK_RUN = "shrunk"
"""The run directory of the shrunk plan, below that of the run that it came from."""
SHRINK_FACTS = "shrink.json"


class ShrinkFacts(msgspec.Struct, frozen=True):
    """``shrink.json`` in the run directory of a shrunk plan: how it came about."""

    rule: str
    faults_before: int
    faults_after: int
    replays: int
    minimal: bool
    """No fault can be left out any more."""
    sentences: tuple[str, ...]
    """One for each fault that is left."""


def write_results(directory: Path, results: Results) -> None:
    """Atomic: a reader sees the old results or the new ones."""
    target = directory / "results.json"
    scratch = directory / "results.json.tmp"
    try:
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2))
        scratch.replace(target)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def read_results(directory: Path) -> Results:
    """Raises UserError if the file is not what ``write_results`` writes."""
    path = directory / "results.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Results)
    except msgspec.DecodeError as error:
        raise UserError(
            f"{path} is damaged, or of another version ({error}); `torture check {directory}` writes it anew"
        ) from error
