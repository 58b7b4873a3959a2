"""Synthetic run directories: what the harness would have recorded, made from a story.

``make_run`` writes a whole run directory through the real writers (``RowWriter``, ``write_results``). Stories:
``pass``, ``agreement`` (two learners hold different values in slot 17), ``linearizability`` (a stale read),
``inconclusive`` (a fault that did not land), ``interrupted``, ``error``, ``hostile`` (values meant to break out of a
page).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.record import AgentEvent, Command, FaultEvent, Operation, RowWriter
from harness.results import (
    EXIT_CODES,
    EXIT_INTERRUPTED,
    SCHEMA_VERSION,
    CheckResult,
    FaultResult,
    Results,
    Verdict,
    Violation,
    write_results,
)

STARTED_NS = 5_000_000_000_000
FIRST_CLIENT = 1000 << 32
MS = 1_000_000
SECOND = 1_000_000_000
AGENTS = ("p0", "p1", "a0", "a1", "a2", "l0", "l1")
LEARNERS = ("l0", "l1")
STORIES = ("pass", "agreement", "linearizability", "inconclusive", "interrupted", "error", "hostile")
HOSTILE = (
    "</script><script>document.title='broken out'</script>",
    "<img src=x onerror=\"document.title='broken out'\">",
    "\x00\x07\x1b[31m\x7f\u0085",
    "\u202eright to left\u2066",
    "']]><!-- | `code` **bold** @everyone {{ 7*7 }} {% raw %} $x^2$",
    "ü漢字🦀" + "\u0300" * 30,
    "long " * 20_000,
    "",
)
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """``make_run(story, operations=600, seed=7)`` -> a run directory below ``tmp_path``."""

    def make(story: str = "pass", operations: int = 600, seed: int = 7) -> Path:
        return write_run(tmp_path / "store" / "torture" / f"20260101T000000Z-{story}-{seed}", story, operations, seed)

    return make


def write_run(directory: Path, story: str, operations: int, seed: int) -> Path:
    if story not in STORIES:
        raise ValueError(f"no story {story!r}; there are {', '.join(STORIES)}")
    return _Story(directory, story, operations, seed).write()


def planned_faults(duration: int) -> list[tuple[str, int, int, tuple[str, ...], dict[str, Any], str]]:
    """(kind, begin, end, targets, evidence, sentence) spread over the run."""
    unit = duration // 100
    return [
        ("kill", 10 * unit, 16 * unit, ("p0",), {"dead": ["p0"], "restarted": ["p0"]}, "kill p0, restart after 6 %"),
        ("partition", 28 * unit, 37 * unit, ("a0", "a1"), {"dropped": 412}, "partition (majority) a0 and a1"),
        ("delay", 33 * unit, 44 * unit, ("a2",), {"delayed": 1_204}, "delay messages of a2 by 20 ms"),
        ("pause", 55 * unit, 61 * unit, ("l0",), {"stopped": ["l0"]}, "stop l0"),
        ("drop", 70 * unit, 80 * unit, ("p1", "a1"), {"dropped": 977}, "lose 30% of the messages of p1 and a1"),
    ]


class _Story:
    def __init__(self, directory: Path, story: str, operations: int, seed: int) -> None:
        self.directory = directory
        self.story = story
        self.random = random.Random(seed)
        self.seed = seed
        self.operations = operations
        self.duration = max(4 * SECOND, operations * MS)
        self.faults = planned_faults(self.duration)
        self.history: list[Operation] = []
        self.commands: list[Command] = []

    def write(self) -> Path:
        self.directory.mkdir(parents=True)
        self._history()
        self._agents()
        self._faults()
        self._small_files()
        write_results(self.directory, self._results())
        return self.directory

    def _rows(self, name: str, rows: list[Any]) -> None:
        writer = RowWriter(self.directory / name)
        for begin in range(0, len(rows), 256):
            writer.write(rows[begin : begin + 256])
        writer.close()

    def _blocked_until(self, at: int) -> int:
        """When the operation sent at that time can go on: kills and the majority partition stop the service a while."""
        for kind, begin, end, *_ in self.faults:
            if kind in ("kill", "partition") and begin <= at < (begin + end) // 2:
                return (begin + end) // 2
        return at

    def _history(self) -> None:
        draw = self.random
        values: dict[str, str] = {}
        spacing = self.duration / max(1, self.operations)
        for number in range(self.operations):
            intended = int(number * spacing)
            sent = intended + draw.randrange(50_000, 400_000)
            free = self._blocked_until(sent)
            wait = free - sent
            end = free + int(draw.lognormvariate(1.0, 0.45) * MS)
            outcome, error = "ok", None
            if wait > 500 * MS or draw.random() < 0.002:
                outcome, error, end = "info", "timeout after 500 ms", sent + 500 * MS
            elif wait and draw.random() < 0.3:
                outcome, error, end = "fail", "not leader", sent + draw.randrange(2 * MS, 20 * MS)
            f = draw.choice(("read", "read", "write", "write", "cas", "append", "delete"))
            key, value = f"k{draw.randrange(5)}", f"v{number}"
            if self.story == "hostile":
                key, value = draw.choice(HOSTILE)[:200], draw.choice(HOSTILE)
            process, seq = FIRST_CLIENT | (number % 8 + 8 * (number // 4000) + 1), number
            asked = {"read": None, "cas": [values.get(key, ""), value]}.get(f, value)
            got = values.get(key) if f == "read" else asked
            common = {"process": process, "seq": seq, "f": f, "key": key}
            self.history.append(
                Operation("invoke", STARTED_NS + sent, value=asked, intended_ns=STARTED_NS + intended, **common)
            )
            if self.story == "interrupted" and number >= self.operations - 4:
                continue
            self.history.append(
                Operation(
                    outcome,  # type: ignore[arg-type]
                    STARTED_NS + end,
                    value=got if outcome == "ok" else asked,
                    node=1 if outcome == "ok" else -1,
                    applied=True if f == "cas" and outcome == "ok" else None,
                    error=error,
                    **common,
                )
            )
            if outcome == "ok":
                self.commands.append(
                    Command(process, seq, process, f, key, asked if f != "cas" else value, values.get(key))
                )
                if f in ("write", "cas"):
                    values[key] = value
        if self.story == "linearizability":
            self._stale_read()
        half = len(self.history) // 2
        self._rows("history/clients-0.rows", self.history[:half])
        self._rows("history/clients-1.rows", self.history[half:])

    def _stale_read(self) -> None:
        """Client 900 writes new over old, client 901 reads new, then client 902 reads old."""
        at = STARTED_NS + self.duration * 3 // 4
        story = [
            (900, 0, "write", "old", 0, 4 * MS),
            (900, 1, "write", "new", 10 * MS, 14 * MS),
            (901, 0, "read", "new", 16 * MS, 19 * MS),
            (902, 0, "read", "old", 21 * MS, 26 * MS),
        ]
        for client, seq, f, value, begin, end in story:
            process = FIRST_CLIENT | client
            asked = None if f == "read" else value
            self.history.append(Operation("invoke", at + begin, process, seq, f, "k9", asked, intended_ns=at + begin))
            self.history.append(Operation("ok", at + end, process, seq, f, "k9", value, node=2))

    def _faults(self) -> None:
        rows = []
        for index, (kind, begin, end, targets, evidence, _) in enumerate(self.faults):
            if self.story == "inconclusive" and kind == "pause":
                evidence = {"unsupported": "this machine cannot stop processes"}
            rows.append(FaultEvent(STARTED_NS + begin, "begin", index, kind, targets, {}))
            rows.append(FaultEvent(STARTED_NS + end, "end", index, kind, targets, evidence))
        rows.append(FaultEvent(STARTED_NS + self.duration, "note", -1, "heal", AGENTS, {"healed": True}))
        self._rows("faults/nemesis.rows", rows)

    def _agents(self) -> None:
        batches = [tuple(self.commands[at : at + 2]) for at in range(0, len(self.commands), 2)]
        chosen: dict[str, list[AgentEvent]] = {name: [] for name in LEARNERS}
        traces: dict[tuple[str, int], list[AgentEvent]] = {(name, 1): [] for name in AGENTS[:5]}
        begin_kill, end_kill = self.faults[0][1], self.faults[0][2]
        traces["p0", 2] = [AgentEvent(STARTED_NS + end_kill, "started", extra={"role": "proposer"})]
        self._election(traces, "p0", (1, 0), 2 * MS, 1)
        slot_of_change = max(2, len(batches) // 8)
        for slot, batch in enumerate(batches, start=1):
            at = STARTED_NS + 5 * MS + (slot - 1) * (self.duration - 20 * MS) // len(batches)
            ballot = (1, 0) if at < STARTED_NS + begin_kill else (2, 1)
            if slot == slot_of_change and self.story != "agreement":
                self._election(traces, "p1", (2, 1), begin_kill + 20 * MS, slot)
            leader = ("p0", 1) if ballot == (1, 0) else ("p1", 1)
            if self.story == "agreement" and slot == 17:
                self._two_values(traces, chosen, at, batch, batches[slot])
                continue
            traces[leader].append(AgentEvent(at, "propose", ballot, slot, batch))
            for number, name in enumerate(("a0", "a1", "a2")):
                traces[name, 1].append(AgentEvent(at + (number + 1) * 100_000, "accepted", ballot, slot, batch))
            for number, name in enumerate(LEARNERS):
                if name == "l1" and slot % 97 == 5:
                    continue
                chosen[name].append(AgentEvent(at + (number + 5) * 100_000, "chosen", ballot, slot, batch))
                chosen[name].append(AgentEvent(at + (number + 5) * 100_000 + 500, "applied", None, slot))
        for (name, incarnation), rows in traces.items():
            rows.sort(key=lambda row: row.time_ns)
            self._rows(f"trace/{name}.{incarnation}.rows", rows)
        for name, rows in chosen.items():
            rows.insert(0, AgentEvent(STARTED_NS, "started", extra={"role": "learner", "commit": 0}))
            self._rows(f"decided/{name}.1.rows", rows)

    def _election(
        self, traces: dict[tuple[str, int], list[AgentEvent]], name: str, ballot: tuple[int, int], at: int, slot: int
    ) -> None:
        at += STARTED_NS
        traces[name, 1].append(AgentEvent(at, "prepare", ballot, slot))
        for number, acceptor in enumerate(("a0", "a1", "a2")):
            traces[acceptor, 1].append(AgentEvent(at + (number + 1) * 200_000, "promised", ballot))
        traces[name, 1].append(AgentEvent(at + 900_000, "leader", ballot, slot))

    def _two_values(
        self,
        traces: dict[tuple[str, int], list[AgentEvent]],
        chosen: dict[str, list[AgentEvent]],
        at: int,
        first: tuple[Command, ...],
        second: tuple[Command, ...],
    ) -> None:
        """a0 and a1 vote at 1.0; a power cut makes a1 forget; p1 leads at 2.1 through a1 and a2 and hears of no vote."""
        cut, back = at + 700_000, at + 1_100_000
        evidence = {"dead": ["a1"], "lost_bytes": 812, "restarted": ["a1"]}
        self.faults.append(("power", cut - STARTED_NS, back - STARTED_NS, ("a1",), evidence, "cut the power of a1"))
        reborn = traces["a1", 2] = [AgentEvent(back, "started", extra={"role": "acceptor"})]
        reborn.append(AgentEvent(back + 1_000, "recovered", None, extra=[]))
        traces["p0", 1].append(AgentEvent(at, "propose", (1, 0), 17, first))
        traces["a0", 1].append(AgentEvent(at + 200_000, "accepted", (1, 0), 17, first))
        traces["a1", 1].append(AgentEvent(at + 300_000, "accepted", (1, 0), 17, first))
        chosen["l0"].append(AgentEvent(at + 600_000, "chosen", (1, 0), 17, first))
        self._message(traces, "Accept", "p0", "a2", at, at + 500_000, "lost")
        self._message(traces, "Accept", "p0", "a0", at, at + 190_000, "delivered")
        self._message(traces, "Accepted", "a0", "l0", at + 210_000, at + 550_000, "delivered")
        other = {"name": "Accept", "source": "p0", "target": "a0", "sent_ns": at, "fate": "delivered"}
        traces["network", 0].append(AgentEvent(at + 200_000, "message", (1, 0), 99, extra=other))
        later = at + 1_200_000
        traces["p1", 1].append(AgentEvent(later, "prepare", (2, 1), 17))
        reborn.append(AgentEvent(later + 200_000, "promised", (2, 1)))
        traces["a2", 1].append(AgentEvent(later + 250_000, "promised", (2, 1)))
        traces["p1", 1].append(AgentEvent(later + 500_000, "leader", (2, 1), 17))
        traces["p1", 1].append(AgentEvent(later + 600_000, "propose", (2, 1), 17, second))
        reborn.append(AgentEvent(later + 800_000, "accepted", (2, 1), 17, second))
        traces["a2", 1].append(AgentEvent(later + 900_000, "accepted", (2, 1), 17, second))
        chosen["l1"].append(AgentEvent(later + 1_300_000, "chosen", (2, 1), 17, second))
        self.violated_at = later + 1_300_000 - STARTED_NS

    def _message(
        self,
        traces: dict[tuple[str, int], list[AgentEvent]],
        name: str,
        source: str,
        target: str,
        sent: int,
        arrived: int,
        fate: str,
    ) -> None:
        extra = {"name": name, "source": source, "target": target, "sent_ns": sent, "fate": fate}
        traces.setdefault(("network", 0), []).append(AgentEvent(arrived, "message", (1, 0), 17, extra=extra))

    def _small_files(self) -> None:
        plan = {
            "version": 1,
            "name": "torture",
            "seed": self.seed,
            "strategy": "swarm",
            "duration_ns": self.duration,
            "cluster": {"deployment": "classic"},
            "faults": [
                {"kind": kind, "target": "agent:" + ",".join(targets), "at_ns": begin, "duration_ns": end - begin}
                for kind, begin, end, targets, *_ in self.faults
            ],
        }
        (self.directory / "plan.json").write_bytes(msgspec.json.format(msgspec.json.encode(plan)))
        (self.directory / "env.json").write_bytes(msgspec.json.encode(environment()))
        (self.directory / "logs").mkdir()
        (self.directory / "logs" / "p0.1.log").write_text("started\n")

    def _results(self) -> Results:
        faults = tuple(self._fault_result(index) for index in range(len(self.faults)))
        verdict, sentence, checks = self._judgement()
        interrupted = self.story == "interrupted"
        return Results(
            schema_version=SCHEMA_VERSION,
            name="torture",
            verdict=verdict,
            exit_code=EXIT_INTERRUPTED if interrupted else EXIT_CODES[verdict],
            sentence=sentence,
            interrupted=interrupted,
            seed=self.seed,
            world="free",
            deployment="classic",
            mutant="A01" if self.story == "agreement" else None,
            started_ns=STARTED_NS,
            duration_ns=self.duration,
            healed_ns=self.duration,
            reproduce=f"torture run --plan store/torture/{self.directory.name}/plan.json",
            checks=checks,
            faults=faults,
            counts={"shed": 0, "decided_slots": len(self.commands) // 2, "incarnations": {"p0": 2, "p1": 1}},
            metrics={},
            environment=environment(),
            files={"plan.json": "everything this run did, as data; it reproduces the run"},
        )

    def _fault_result(self, index: int) -> FaultResult:
        kind, begin, end, targets, evidence, sentence = self.faults[index]
        landed = not (self.story == "inconclusive" and kind == "pause")
        if not landed:
            evidence = {"unsupported": "this machine cannot stop processes"}
        done = sorted(row.time_ns - STARTED_NS for row in self.history if row.type == "ok")
        unknown = [row.time_ns - STARTED_NS for row in self.history if row.type == "info"]
        return FaultResult(
            index=index,
            kind=kind,
            targets=targets,
            describe=sentence,
            begin_ns=begin,
            end_ns=end,
            evidence=evidence,
            landed=landed,
            operations_ok_inside=sum(begin <= time <= end for time in done),
            operations_unknown_inside=sum(begin <= time <= end for time in unknown),
            first_ok_after_begin_ns=next((time - begin for time in done if time >= begin), None),
            first_ok_after_heal_ns=None if kind == "drop" else next((time - end for time in done if time >= end), None),
        )

    def _judgement(self) -> tuple[Verdict, str, tuple[CheckResult, ...]]:
        agreement = CheckResult(
            "agreement",
            Verdict.PASS,
            "all learners agree on every slot",
            stats={"situations": ["late leader", "catch-up"]},
            about="one value a slot, over all learners",
        )
        history = CheckResult(
            "linearizable",
            Verdict.PASS,
            "the client history is linearizable",
            about="operations seem to happen at once",
        )
        if self.story == "agreement":
            sentence = "In slot 17 learner l0 learned v32 but learner l1 learned v34."
            values = (HOSTILE[0], HOSTILE[2])
            violation = Violation(
                rule="agreement/two-values",
                sentence=sentence,
                time_ns=self.violated_at,
                slot=17,
                agents=("l0", "l1"),
                values=values,
                because=("l0 counted votes of a0 and a1 at ballot 1.0", "l1 counted votes of a1 and a2 at ballot 2.1"),
            )
            broken = CheckResult(
                "agreement", Verdict.FAIL, "1 slot has two values", (violation,), about=agreement.about
            )
            return Verdict.FAIL, sentence, (broken, history)
        if self.story == "linearizability":
            return self._linearizability(agreement)
        if self.story == "hostile":
            sentence = f"A read of {HOSTILE[0]} returned {HOSTILE[4]}."
            violation = Violation(
                "linearizable/hostile", sentence, time_ns=SECOND, key=HOSTILE[1], values=HOSTILE, because=HOSTILE[:5]
            )
            broken = CheckResult("linearizable", Verdict.FAIL, HOSTILE[2] + HOSTILE[0], (violation,))
            return Verdict.FAIL, sentence, (agreement, broken)
        if self.story == "inconclusive":
            missing = CheckResult(
                "faults", Verdict.INCONCLUSIVE, "fault 3 (pause of l0) did not land: unsupported here"
            )
            return Verdict.INCONCLUSIVE, "No violation, but 1 of 5 faults did not land.", (agreement, history, missing)
        if self.story == "interrupted":
            missing = CheckResult("record", Verdict.INCONCLUSIVE, "interrupted: 4 operations have no completion")
            return Verdict.INCONCLUSIVE, "Interrupted before the end; nothing wrong until then.", (agreement, missing)
        if self.story == "error":
            broken = CheckResult("linearizable", Verdict.ERROR, "ZeroDivisionError in the checker", about=history.about)
            return Verdict.ERROR, "The harness broke: ZeroDivisionError in the checker.", (agreement, broken)
        return (
            Verdict.PASS,
            f"Every property held for {self.operations:,} operations under 5 faults.",
            (agreement, history),
        )

    def _linearizability(self, agreement: CheckResult) -> tuple[Verdict, str, tuple[CheckResult, ...]]:
        forcing = [row for row in self.history if row.process >= FIRST_CLIENT | 900 and row.type == "ok"][1:]
        sentence = "Key k9: a read returned old after another client had already read new."
        violation = Violation(
            rule="linearizable/stale-read",
            sentence=sentence,
            time_ns=forcing[-1].time_ns - STARTED_NS,
            key="k9",
            operations=tuple(msgspec.to_builtins(_named(row)) for row in forcing),
            because=(
                "the write of new ended before the read of new began",
                "the read of new ended (… 19 ms) before the read of old began (… 21 ms)",
                "so old must have been written again after new, but it was written only once",
            ),
        )
        broken = CheckResult("linearizable", Verdict.FAIL, "1 key is not linearizable", (violation,))
        return Verdict.FAIL, sentence, (agreement, broken)


def _named(row: Operation) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def environment() -> dict[str, Any]:
    return {"python": "3.11.7", "platform": "Linux x86_64", "cpus": 2, "version": "0.1.0", "commit": "1a2b3c4"}


@pytest.fixture
def make_campaign() -> Callable[..., Path]:
    """``make_campaign(directory, failures=True, cells=None)`` -> the directory of a campaign."""
    return write_campaign


CAMPAIGN_ROW = {"events": 1000, "commands": 20, "deployment": "collapsed", "faults": 4, "violated_ns": 0, "digest": "d"}


def write_campaign(directory: Path, *, failures: bool = True, cells: dict[str, int] | None = None) -> Path:
    """Three schedules of two strategies; with ``failures`` the second one breaks a rule."""
    directory.mkdir(parents=True)
    rows: list[dict[str, Any]] = [
        CAMPAIGN_ROW | {"strategy": "aimed", "seed": 1, "rule": "", "sentence": ""},
        CAMPAIGN_ROW
        | {
            "strategy": "aimed",
            "seed": 2,
            "rule": "vote/lost" if failures else "",
            "sentence": HOSTILE[0] + HOSTILE[3],
        },
        CAMPAIGN_ROW | {"strategy": "calm", "seed": 3, "rule": "", "sentence": ""},
    ]
    (directory / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept = directory / "failure-vote-lost-2"
    clusters = [{"rule": "vote/lost", "count": 1, "first": rows[1], "directory": f"/somewhere/else/{kept.name}"}]
    if failures:
        kept.mkdir()
        (kept / "report.html").write_text("")
    told = {
        "runs": 3,
        "events": 3000,
        "commands": 60,
        "failures": int(failures),
        "reruns": 1,
        "wall_s": 2.0,
        "interrupted": False,
        "clusters": clusters if failures else [],
        "strategies": {"aimed": 2, "calm": 1},
        "directory": str(directory),
        "cells": {"kill leader": 3, "kill one": 1, "drop leader": 2} if cells is None else cells,
        "situations": {"late leader": 0, "catch-up": 3, "same round": 1},
    }
    (directory / "campaign.json").write_text(json.dumps(told))
    return directory
