"""Liveness: after the final heal, within ``plan.settle_ns``, every client gets answers and all learners catch up.

* *Progress*: each client that asked for anything after the heal got at least one answer within the bound. (That its session
  had expired tells nothing of that; whether it may have expired is judged by ``sessions``.) Logical clients
  that share an address and change their process number cannot be told apart in the history; there the run's own count
  of clients that progressed (note ``settled``) decides.
* *Convergence*: every learner's last incarnation covers all slots chosen before the heal, and all acknowledged ones.
* *Settled leadership* (only in virtual time, where no process is late by chance): some election timeouts after the heal
  nobody takes over from a leader any more, and no client waits in vain. There, too, a slot that nobody holds was never
  decided: a *gap*; and logs have been cut, as the snapshots taken allow.

When the power of all nodes is cut at the end, the bound for convergence counts from their restart. Learners whose log was
corrupted by a fault of the plan may refuse to start, and are not waited for.

Rules
-----
* liveness/no-progress: after the heal every client gets an answer within the time stated.
* liveness/not-converged, liveness/down: every agent comes back, and every learner reaches what the others have.
* liveness/unsettled: in virtual time, nobody takes over from a leader long after the heal.
* liveness/given-up: in virtual time, no operation waits in vain long after the heal, however well others are served.
* liveness/gap: in virtual time, every slot is decided that stands before a decided one.
* liveness/log-not-cut: in virtual time, logs are cut as the snapshots allow.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.checkers.case import Call, Case, conclude
from harness.checkers.durability import final_positions
from harness.checkers.model import KNOWN
from harness.checkers.roster import client_of
from harness.record import Operation, client_name
from harness.results import CheckResult, Verdict, Violation

NAME = "liveness"
SETTLED_TIMEOUTS = 10
"""Election timeouts after the heal within which the leadership must have settled."""
TIMED_OUT = "timeout"
"""How a history says that a client got no answer in its time."""
EXPIRED = "session expired"
"""How it says that the cluster answered, but no longer knew the session."""
SLOTS_ON_THE_WAY = 100
"""Slots that may be applied while a snapshot makes its way to the disk."""
_KEEPS_THE_LOG = frozenset({"corrupt", "disk_full", "sync_error"})
"""Faults after which a snapshot may have to wait for the next one."""
ABOUT = "Within the stated time after the heal every client makes progress and all learners converge."


def check(case: Case) -> CheckResult:
    healed = case.healed_ns
    if healed is None:
        return CheckResult(NAME, Verdict.INCONCLUSIVE, "the record does not tell when all was healed", about=ABOUT)
    bound = case.plan.settle_ns
    asked = _asked_after(case, healed)
    timeouts = [row for row in case.operations if row.type == "info" and row.error == TIMED_OUT]
    violations = [
        *_no_progress(case, asked, timeouts, healed, bound),
        *_not_settled(case, healed, bound),
        *_not_converged(case, healed),
        *(
            (
                *_gap(case),
                *_given_up(case, timeouts, healed),
                *_unsettled(case, healed),
                *_apart(case, healed),
                *_not_cut(case, healed),
            )
            if case.deterministic
            else ()
        ),
    ]
    stats = {
        "healed_ns": healed,
        "bound_ns": bound,
        "clients_told_apart": len(asked),
        "first_answer_ns": _first_answers(asked, healed),
    }
    if not asked and not violations:
        return CheckResult(NAME, Verdict.INCONCLUSIVE, "no client asked for anything after the heal", (), stats, ABOUT)
    summary = f"every client made progress and all learners converged within {bound / 1e9:g} s of the heal"
    return conclude(NAME, ABOUT, case, ("decided", "history", "end"), violations, summary, stats)


def _gap(case: Case) -> Iterable[Violation]:
    """A slot below a decided one that nobody holds: in a record that is whole, it was never decided."""
    if case.holes:
        slot, highest = case.holes[0], max(case.log)
        yield Violation(
            "liveness/gap",
            f"slot {slot} was never decided, though slot {highest} was: nothing behind it can be applied",
            case.log[highest].time_ns,
            slot=slot,
        )


def _unsettled(case: Case, healed: int) -> list[Violation]:
    """Leaders that come although all was healed long ago: somebody deposes a healthy one."""
    leaders = sorted(
        (row.time_ns, name) for (name, _), rows in case.trace.items() for row in rows if row.kind == "leader"
    )
    settled = healed + SETTLED_TIMEOUTS * case.plan.timing.election_timeout_ns
    # Not at the very end of it: there what was left broken comes back, with what it knew when it broke.
    late = [(time_ns, name) for time_ns, name in leaders if settled < time_ns < healed + case.plan.settle_ns]
    if not late:
        return []
    return [
        Violation(
            "liveness/unsettled",
            f"{late[0][1]} took over {(late[0][0] - healed) / 1e9:.3f} s after the heal, "
            f"{SETTLED_TIMEOUTS} election timeouts after which the leadership must have settled",
            late[0][0],
            agents=tuple(name for _, name in late[:6]),
            details={"leaders": len(late)},
        )
    ]


def _given_up(case: Case, timeouts: list[Operation], healed: int) -> list[Violation]:
    """An operation that ran into its timeout although leadership had time to settle before that: its client waited in vain, be
    it ever so well served otherwise. (One that was refused until then was told so.)"""
    settled = healed + SETTLED_TIMEOUTS * case.plan.timing.election_timeout_ns
    ended = {(row.process, row.seq): row.time_ns for row in timeouts if row.time_ns > settled}
    if not ended:
        return []
    late = healed + case.plan.settle_ns
    vain = [one for one in case.calls if (one.process, one.seq) in ended and one.f in KNOWN and one.call_ns <= late]
    return [
        Violation(
            "liveness/given-up",
            f"{call.name} got no answer and was given up {(ended[call.process, call.seq] - healed) / 1e9:.3f} s after the heal",
            ended[call.process, call.seq],
            key=call.key,
            operations=(call.as_dict(),),
        )
        for call in vain
    ]


def _asked_after(case: Case, healed: int) -> dict[int, list[Call]]:
    asked: dict[int, list[Call]] = {}
    asked_by: dict[int, list[Call]] = {}  # the same lists, by process
    for call in case.calls:
        if call.call_ns >= healed and call.f in KNOWN:
            process = call.process
            if process not in asked_by:
                asked_by[process] = asked.setdefault(case.places.get(process, client_of(process)), [])
            asked_by[process].append(call)
    return asked


def _first_answers(asked: dict[int, list[Call]], healed: int) -> dict[str, int | None]:
    """Client -> time from the heal to its first answer; None if there was none."""
    return {
        str(client): min((c.ret_ns - healed for c in calls if c.type == "ok" and c.ret_ns is not None), default=None)
        for client, calls in sorted(asked.items())
    }


def _no_progress(
    case: Case, asked: dict[int, list[Call]], timeouts: list[Operation], healed: int, bound: int
) -> Iterable[Violation]:
    no_sign = _given_up_early(case, timeouts, healed, bound) | _expired(case)
    for _, calls in sorted(asked.items()):
        if any(call.type == "ok" and call.ret_ns is not None and call.ret_ns <= healed + bound for call in calls):
            continue
        if case.ended_ns < healed + bound and any(call.type == "info" and call.ret_ns is None for call in calls[-1:]):
            continue  # the run ended before its time was up
        if all(_too_late(case, call, healed + bound) or (call.process, call.seq) in no_sign for call in calls):
            continue
        yield Violation(
            rule="liveness/no-progress",
            sentence=(
                f"{_who(calls, bool(case.places))} asked {len(calls)} times after the heal and got no answer within "
                f"{bound / 1e9:g} s"
            ),
            time_ns=healed + bound,
            operations=tuple(call.as_dict() for call in calls[:3]),
        )


def _too_late(case: Case, call: Call, deadline: int) -> bool:
    """Asked so late that its client would still wait for the answer."""
    return call.call_ns > deadline - min(case.plan.timing.operation_timeout_ns, 2 * case.plan.settle_ns // 5)


def _given_up_early(case: Case, timeouts: list[Operation], healed: int, bound: int) -> set[tuple[int, int]]:
    """(process, seq) of what was given up while the leadership still settled: in virtual time, where the load is small, its
    client may not ask again, and what it asked tells nothing."""
    settled = healed + min(SETTLED_TIMEOUTS * case.plan.timing.election_timeout_ns, bound // 2)
    if not case.deterministic:
        return set()
    return {(row.process, row.seq) for row in timeouts if row.time_ns < settled}


def _expired(case: Case) -> set[tuple[int, int]]:
    """(process, seq) of what met an expired session. Who changed its session after a lost answer left one behind, and that may
    push out another client's."""
    return {(row.process, row.seq) for row in case.operations if row.type == "info" and row.error == EXPIRED}


def _who(calls: list[Call], told_apart: bool) -> str:
    """The client by its names in the history, or all the clients of a process if they cannot be told apart."""
    names = list(dict.fromkeys(client_name(call.process) for call in calls))
    if len(names) == 1:
        return f"client {names[0]}"
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    if told_apart:
        return f"client {names[0]}, later {', '.join(names[1:4])}{more},"
    return f"clients {', '.join(names[:4])}{more}"


def _not_settled(case: Case, healed: int, bound: int) -> Iterable[Violation]:
    """The run waited for every logical client and some did not progress."""
    for event in case.faults:
        if event.fault == -1 and event.kind == "settled" and event.evidence.get("every_client_progressed") is False:
            yield Violation(
                rule="liveness/no-progress",
                sentence=f"not every client got an answer within {bound / 1e9:g} s of the heal",
                time_ns=event.time_ns,
                details={"waited_ns": event.time_ns - healed, **event.evidence},
            )


def _left_broken(case: Case, healed: int) -> set[str]:
    """Agents that a fault still kept from others after the heal. A link has two ends, and either may have lagged; but who was
    cut off from many is alone in that."""
    peers = {index: str(fault.params.get("peer", "")) for index, fault in enumerate(case.plan.faults)}
    left: set[str] = set()
    for row in case.faults:
        if row.fault >= 0 and row.time_ns > healed:
            peer = peers.get(row.fault, "")
            left.update({peer} if peer and len(row.targets) > 1 else {peer, *row.targets})
    return left - {""}


def _apart(case: Case, healed: int) -> Iterable[Violation]:
    """Learners that lagged behind when the load had ended, before the final power cut made them begin anew."""
    corrupted = {name for row in case.faults if row.kind == "corrupt" for name in row.targets}
    excused = corrupted | _left_broken(case, healed)
    positions = {name: slot for name, slot in case.positions_before_cut.items() if name not in excused}
    furthest = max(positions.values(), default=0)
    for name, slot in positions.items():
        if slot < furthest:
            yield Violation(
                rule="liveness/not-converged",
                sentence=f"after the load had ended learner {name} stayed at slot {slot}, others reached {furthest}",
                time_ns=healed + case.plan.settle_ns,
                slot=furthest,
                agents=(name,),
                details={"positions": positions},
            )


def _not_cut(case: Case, healed: int) -> Iterable[Violation]:
    """Logs that only grow, though snapshots should let them be cut. The last snapshots may be on their way to the disk, also
    after a late catch-up; classic acceptors keep what a majority of the learners may still lack (one that is left broken may
    have it, and cannot say so)."""
    limits, roster = case.plan.limits, case.roster
    if not limits.snapshot_every or not case.positions_before_cut:
        return
    excused = {name for row in case.faults if row.kind in _KEEPS_THE_LOG for name in row.targets}
    excused |= _left_broken(case, healed)
    slack = 2 * (limits.keep_slots + 2 * limits.snapshot_every) + SLOTS_ON_THE_WAY
    floors = case.floors_before_cut
    for name, slot in case.positions_before_cut.items():
        if name not in excused and slot - floors.get(name, 0) > slack:
            yield _grows(case, name, floors.get(name, 0), slot)
    told = {name: 0 if name in excused else floors.get(name, 0) for name in roster.learner_names}
    held = sorted(told.values(), reverse=True)
    stable = held[len(held) // 2]
    for agent in sorted(roster.voters):
        name = roster.names[agent]
        if name not in roster.learner_names and name not in excused and stable - floors.get(name, 0) > slack:
            yield _grows(case, name, floors.get(name, 0), stable)


def _grows(case: Case, name: str, floor: int, slot: int) -> Violation:
    return Violation(
        rule="liveness/log-not-cut",
        sentence=f"{name} still keeps all values above slot {floor}, though a snapshot every {case.plan.limits.snapshot_every} "
        f"slots should have let it cut its log not far below slot {slot}",
        time_ns=case.ended_ns,
        slot=floor,
        agents=(name,),
    )


def _highest_acknowledged(case: Case) -> int:
    """The highest slot that was the first to execute an operation which was answered; 0: none."""
    for entry in reversed(case.executions):
        call = entry.call
        if call is not None and call.type == "ok" and case.execution_of[call.index] is entry:
            return entry.slot
    return 0


def _not_converged(case: Case, healed: int) -> Iterable[Violation]:
    chosen_before = next((slot for slot in reversed(case.log) if case.log[slot].time_ns <= healed), 0)
    target = max(chosen_before, _highest_acknowledged(case))
    excused = {name for event in case.faults if event.kind == "corrupt" for name in event.targets}
    positions = final_positions(case)
    for name in case.roster.learner_names:
        position = positions.get(name, 0)
        if position < target and name not in excused:
            yield Violation(
                rule="liveness/not-converged",
                sentence=(
                    f"learner {name} ended at slot {position}, slot {target} was chosen before the heal or acknowledged"
                ),
                time_ns=case.ended_ns,
                slot=target,
                agents=(name,),
                details={"positions": positions},
            )
