"""Plans: reading, refusing with a reason, scaling, naming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from nemesis.describe import describe, human_ns
from nemesis.faults import KINDS, Fault
from nemesis.plan import (
    MILLISECOND,
    Cluster,
    Plan,
    PlanError,
    Plant,
    Timing,
    decode_plan,
    encode_plan,
    fault_key,
    load_plan,
    members,
    scaled,
    validate,
)

MS = MILLISECOND


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    plan = Plan(
        seed=7,
        cluster=Cluster(deployment="classic"),
        faults=(
            Fault("kill", "agent:a0,l1", at_ns=5 * MS, duration_ns=-1),
            Fault("drop", "role:proposer", trigger="2nd acceptor promised", duration_ns=MS, params={"limit": 1}),
        ),
        mutant=Plant("A01"),
    )
    path = tmp_path / "plan.json"
    path.write_bytes(encode_plan(plan))
    assert load_plan(path) == plan


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"faults": [{"kind": "pauze", "at_ns": 0}]}, r"faults\[0\]\.kind: .* 'pauze' \(did you mean 'pause'"),
        ({"faults": [{"kind": "kill", "at_ns": -5}]}, r"faults\[0\]\.at_ns: must not be negative: -5"),
        ({"faults": [{"kind": "kill", "at_ns": 10**12}]}, "is not before the end of the plan"),
        ({"faults": [{"kind": "kill"}]}, r"faults\[0\]: has neither at_ns nor trigger"),
        ({"faults": [{"kind": "kill", "at_ns": 1, "trigger": "leader"}]}, "has both at_ns and trigger"),
        ({"faults": [{"kind": "kill", "at_ns": "soon"}]}, r"faults\[0\]\.at_ns: expected int \| null, got str"),
        ({"faults": [{"kind": "kill", "at": 3}]}, r"faults\[0\]: unknown field 'at'; allowed: kind, target, at_ns"),
        ({"faults": [{"kind": "kill", "at_ns": 0, "duration_ns": -2}]}, r"\.duration_ns: must be at least 0"),
        ({"faults": [{"kind": "delay", "at_ns": 0}]}, "a delay of no length does nothing"),
        ({"faults": [{"kind": "kill", "at_ns": 0, "target": "leadr"}]}, r"faults\[0\]\.target.*did you mean 'leader'"),
        ({"faults": [{"kind": "kill", "at_ns": 0, "target": "agent:r0,r9"}]}, "no agent is named 'r9'.*: r0, r1, r2"),
        ({"faults": [{"kind": "kill", "at_ns": 0, "target": "role:voter"}]}, "unknown role 'voter'"),
        ({"faults": [{"kind": "kill", "at_ns": 0, "target": "it"}]}, "use a trigger"),
        ({"faults": [{"kind": "kill", "trigger": "2nd promissed"}]}, r"faults\[0\]\.trigger.*did you mean 'promised'"),
        ({"faults": [{"kind": "kill", "trigger": "agent r7 leader"}]}, r"faults\[0\]\.trigger: no agent is named 'r7'"),
        (
            {"faults": [{"kind": "drop", "at_ns": 0, "duration_ns": 1, "params": {"probabilty": 0.5}}]},
            r"faults\[0\]\.params: drop has no parameter 'probabilty' \(did you mean 'probability'",
        ),
        (
            {"faults": [{"kind": "drop", "at_ns": 0, "duration_ns": 1, "params": {"probability": 1.5}}]},
            r"faults\[0\]\.params\.probability: must be at most 1, not 1.5",
        ),
        (
            {"faults": [{"kind": "delay", "at_ns": 0, "duration_ns": 1, "params": {"delay_ns": 0.5}}]},
            r"params\.delay_ns: expected a whole number, got 0.5",
        ),
        (
            {"faults": [{"kind": "power", "at_ns": 0, "params": {"unsynced": "tornn"}}]},
            r"params\.unsynced: unknown value 'tornn' \(did you mean 'torn'",
        ),
        (
            {"faults": [{"kind": "drop", "at_ns": 0, "duration_ns": 1, "params": {"peer": "x"}}]},
            r"params\.peer: no agent is named 'x'",
        ),
        (
            {"faults": [{"kind": "drop", "at_ns": 0, "duration_ns": 1, "params": {"peer": "clients"}}]},
            r"faults\[0\]\.params\.peer: .* set client_links_faulty to true",
        ),
        ({"faults": [{"kind": "kill", "at_ns": 0, "after_ns": 5}]}, r"faults\[0\]\.after_ns: counts from a trigger"),
        ({"faults": [{"kind": "kill", "trigger": "leader", "after_ns": -5}]}, r"after_ns: must not be negative"),
        ({"cluster": {"nodes": 0}}, "cluster.nodes: must be positive"),
        ({"cluster": {"deployment": "mixed"}}, "cluster.deployment: unknown value 'mixed'; allowed: collapsed, classic"),
        ({"cluster": {"deployment": "clasic"}}, r"unknown value 'clasic' \(did you mean 'classic'\?\)"),
        ({"heal": "al"}, r"heal: unknown value 'al' \(did you mean 'all'\?\); allowed: all, majority"),
        ({"disk": {"kind": "ram"}}, r"disk.kind: unknown value 'ram'; allowed: disk, memory"),
        ({"name": "../elsewhere"}, "name: '../elsewhere' cannot name a directory"),
        ({"name": ""}, "name: '' cannot name a directory"),
        ({"duration_ns": 10**23}, "duration_ns: must be at most 604800000000000"),
        ({"timing": {"scale": 1e308}}, "timing.scale: must be at most 10000"),
        ({"workload": {"clients": 10**7}}, "workload.clients: must be at most 10000"),
        ({"workload": {"mix": {"reed": 1.0}}}, r"workload\.mix: unknown function 'reed' \(did you mean 'read'"),
        ({"workload": {"mix": {"read": 0.0}}}, "asks for nothing"),
        ({"workload": {"clints": 3}}, r"workload: unknown field 'clints' \(did you mean 'clients'"),
        ({"timing": {"heartbeat_ns": 200_000_000}}, "timing.heartbeat_ns: .* less than election_timeout_ns"),
        ({"version": 2}, "version: this is version 2"),
        ({"durations_ns": 5}, r"top level: unknown field 'durations_ns' \(did you mean 'duration_ns'"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_place_and_what_is_allowed(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        decode_plan(msgspec.json.encode(change), "bad.json")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        decode_plan(b'{"faults": [{"kind": "kil", "at_ns": -1, "target": "x"}], "duration_ns": 0}', "bad.json")
    assert len(caught.value.problems) == 4
    assert str(caught.value).startswith("bad.json is not a plan that can be run:\n")


def test_text_that_is_no_json_is_shown_by_line_and_column() -> None:
    with pytest.raises(PlanError, match="line 2, column 3: not JSON"):
        decode_plan(b"{\n  oops: 1}")
    with pytest.raises(PlanError, match="not JSON"):
        decode_plan(b"")
    with pytest.raises(PlanError, match="top level: expected object, got array"):
        decode_plan(b"[]")


def test_a_written_plan_holds_its_defaults_so_that_it_outlives_them() -> None:
    written = msgspec.json.decode(encode_plan(Plan()))
    assert written["version"] == 1
    assert written["timing"]["election_timeout_ns"] == Timing().election_timeout_ns
    assert written["workload"]["mix"] == Plan().workload.mix


def test_an_empty_object_is_a_plan_without_faults() -> None:
    assert decode_plan(b"{}") == Plan()


def test_agents_are_named_by_their_roles() -> None:
    assert members(Cluster(nodes=2)) == [("r0", "replica"), ("r1", "replica")]
    classic = members(Cluster(deployment="classic", proposers=1, acceptors=1, learners=1))
    assert classic == [("p0", "proposer"), ("a0", "acceptor"), ("l0", "learner")]


def test_scaling_stretches_all_times_and_the_rates() -> None:
    plan = Plan(
        timing=Timing(scale=5.0),
        faults=(
            Fault("delay", at_ns=10 * MS, duration_ns=20 * MS, params={"delay_ns": 3 * MS}),
            Fault("kill", trigger="leader", duration_ns=-1),
            Fault("throttle", at_ns=0, duration_ns=MS, params={"per_second": 100}),
            Fault("slow_sync", at_ns=0, duration_ns=MS, params={"delay_ns": 9_000_000_000}),
        ),
    )
    slow = scaled(plan, 5.0)
    validate(slow)
    assert slow.timing.scale == 1.0
    assert slow.timing.election_timeout_ns == 5 * plan.timing.election_timeout_ns
    assert slow.duration_ns == 5 * plan.duration_ns
    assert slow.workload.rate == plan.workload.rate / 5
    assert slow.faults[0] == Fault(
        "delay", at_ns=50 * MS, duration_ns=100 * MS, params={"delay_ns": 15 * MS, "jitter_ns": 25 * MS}
    )
    assert slow.faults[1] == plan.faults[1]
    assert slow.faults[2].params == {"per_second": 20, "queue_ns": 1000 * MS}
    assert slow.faults[3].params == {"delay_ns": 10_000_000_000}, "stays within its bounds"
    with pytest.raises(ValueError, match="positive"):
        scaled(plan, 0)


def test_keys_of_faults_do_not_depend_on_other_faults() -> None:
    kill, twin, pause = Fault("kill", "one", at_ns=1), Fault("kill", "all", at_ns=1), Fault("pause", trigger="leader")
    plan = Plan(faults=(kill, twin, pause, msgspec.structs.replace(pause, after_ns=5)))
    assert [fault_key(plan, index) for index in range(4)] == ["kill@1", "kill@1#1", "pause@leader", "pause@leader+5"]
    assert fault_key(Plan(faults=(pause,)), 0) == "pause@leader"


@pytest.mark.parametrize(
    ("fault", "targets", "sentence"),
    [
        (Fault("pause", at_ns=120 * MS, duration_ns=250 * MS), ["r1"], "#3 at 120 ms: stop r1 for 250 ms"),
        (Fault("kill", "minority", at_ns=0, duration_ns=-1), [], "#3 at 0 s: kill a minority until the end"),
        (
            Fault("kill", "it", trigger="2nd leader"),
            [],
            "#3 when 2nd leader: kill the agent that did it (undone at once)",
        ),
        (Fault("kill", "it", trigger="leader", after_ns=5 * MS, duration_ns=-1), ["r1"],
         "#3 5 ms after leader: kill r1 until the end"),
        (
            Fault("drop", "agent:r0,r2", at_ns=MS, duration_ns=MS, params={"probability": 0.5, "way": "out"}),
            [],
            "#3 at 1 ms: lose 50% of the messages of r0, r2 for 1 ms [way out]",
        ),
        (
            Fault("partition", at_ns=1_500 * MS, duration_ns=MS, params={"shape": "ring"}),
            ["r1"],
            "#3 at 1.5 s: partition (ring) for 1 ms",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_described_in_one_sentence(fault: Fault, targets: list[str], sentence: str) -> None:
    assert describe(fault, 3, targets) == sentence


def test_every_kind_has_a_sentence_that_fits_its_parameters() -> None:
    for name in KINDS:
        assert "{" not in describe(Fault(name, "role:acceptor", at_ns=0, duration_ns=MS), 0)


def test_times_are_told_in_the_unit_that_fits() -> None:
    assert [human_ns(time) for time in (0, 7, 1_500, 120_000_000, 1_234_567_890, -2_000_000)] == [
        "0 s", "7 ns", "1.5 µs", "120 ms", "1.235 s", "-2 ms"
    ]  # fmt: skip
