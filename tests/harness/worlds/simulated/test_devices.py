"""The devices of the simulated world, one by one: loop, clock, disk, network."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.worlds.simulated.clock import SimulatedClock
from harness.worlds.simulated.disk import SYNCS_TO_SETTLE, UNSYNCED_MODES, SimulatedDisk
from harness.worlds.simulated.loop import EventLoop
from harness.worlds.simulated.network import SimulatedNetwork
from nemesis.plan import Network, Plan
from paxos_impl.messages import CatchUp

MILLISECOND = 1_000_000


# -- loop -------------------------------------------------------------------------------------------------------------


def test_events_happen_in_order_of_time_and_then_of_scheduling() -> None:
    loop, seen = EventLoop(), []
    for name, at_ns in (("c", 20), ("a", 10), ("b", 10), ("late", 31)):
        loop.at(at_ns, lambda n, _b, _c: seen.append((loop.now_ns, n)), name)
    loop.run_until(30)
    assert seen == [(10, "a"), (10, "b"), (20, "c")]
    assert loop.now_ns == 30


def test_an_event_may_schedule_another_at_the_same_time() -> None:
    loop, seen = EventLoop(), []
    loop.at(5, lambda _a, _b, _c: loop.at(5, lambda n, _b, _c: seen.append(n), "second"))
    loop.run_until(5)
    assert seen == ["second"]


# -- clock ------------------------------------------------------------------------------------------------------------


def test_a_clock_without_faults_shows_the_runs_time() -> None:
    clock = SimulatedClock()
    assert clock.read_ns(123) == 123 and clock.when_ns(123) == 123


@given(
    changes=st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(-(10**9), 10**9), st.sampled_from([0.5, 0.999, 1.0, 1.5])),
        max_size=5,
    ),
    ahead=st.integers(0, 10**9),
)
def test_a_deadline_has_come_when_the_clock_shows_it(changes: list[tuple[int, int, float]], ahead: int) -> None:
    clock, now_ns = SimulatedClock(), 0
    for later, jump_ns, rate in changes:
        now_ns += later
        clock.set(now_ns, jump_ns=jump_ns, rate=rate)
    reading = clock.read_ns(now_ns) + ahead
    at_ns = clock.when_ns(reading)
    assert clock.read_ns(at_ns) >= reading
    assert at_ns >= now_ns
    assert clock.read_ns(max(at_ns - 4, now_ns)) <= reading


# -- disk -------------------------------------------------------------------------------------------------------------


def end_sync(disk: SimulatedDisk, *names: str, directory: bool = True) -> None:
    for name in names:
        disk.sync(name)
    if directory:
        disk.sync_directory()
    disk.end_sync()


def half_synced(names_synced: bool = True) -> SimulatedDisk:
    """A file with ten synced and ten unsynced bytes."""
    disk = SimulatedDisk()
    disk.create("f")
    disk.append("f", b"0123456789")
    end_sync(disk, "f", directory=names_synced)
    disk.append("f", b"abcdefghij")
    return disk


@given(steps=st.lists(st.tuples(st.sampled_from("capstrRmdx"), st.integers(0, 40)), max_size=30))
def test_what_a_power_cut_would_leave_is_what_it_leaves(steps: list[tuple[str, int]]) -> None:
    disk = SimulatedDisk()
    for what, number in steps:
        names = disk.names()
        name = names[number % len(names)] if names else ""
        match what:
            case "c" if f"f{number}" not in names:
                disk.create(f"f{number}")
            case "a" | "p" if names:
                disk.append(name, bytes([number]) * number)
            case "s" if names:
                disk.sync(name)
                disk.end_sync()
            case "t" if names:
                disk.truncate(name, number % (len(disk.files[name].data) + 1))
            case "r" if names:
                disk.rename(name, f"f{number}")
            case "m" if names:
                disk.remove(name)
            case "d":
                disk.sync_directory()
                disk.end_sync()
    left = disk.after_power_cut()
    before = {name: disk.read(name) for name in disk.names()}
    left_files = {name: left.read(name) for name in left.names()}
    assert {name: disk.read(name) for name in disk.names()} == before
    disk.power_cut("lost", lambda: 0.0)
    assert left_files == {name: disk.read(name) for name in disk.names()}


@pytest.mark.parametrize("mode", UNSYNCED_MODES)
@given(share=st.floats(0, 0.999))
def test_synced_bytes_survive_every_power_cut(mode: str, share: float) -> None:
    disk = half_synced()
    counts = disk.power_cut(mode, lambda: share)
    data = disk.read("f")
    assert data.startswith(b"0123456789") and counts["unsynced_bytes"] == 10
    if mode == "lost":
        assert data == b"0123456789"
    elif mode == "kept":
        assert data == b"0123456789abcdefghij"
    elif mode == "torn":
        assert b"0123456789abcdefghij".startswith(data)
    elif mode == "scattered":
        assert data in (b"0123456789", b"0123456789abcdefghij")
    else:
        assert counts["garbled_bytes"] > 0 and data != b"0123456789abcdefghij"[: len(data)]
    assert disk.files["f"].durable == len(data)


@given(share=st.floats(0, 0.999), mode=st.sampled_from(UNSYNCED_MODES))
def test_changes_of_names_survive_in_order(share: float, mode: str) -> None:
    """Never a later one without an earlier one."""
    disk = SimulatedDisk()
    disk.create("a")
    disk.append("a", b"old")
    end_sync(disk, "a")
    disk.create("b")
    disk.append("b", b"new")
    end_sync(disk, "b", directory=False)
    disk.rename("b", "a")
    disk.create("c")
    disk.remove("c")
    disk.power_cut(mode, lambda: share)
    found = {name: disk.read(name) for name in disk.names()}
    assert found in ({"a": b"old"}, {"a": b"old", "b": b"new"}, {"a": b"new"}, {"a": b"new", "c": b""})


def test_a_sync_covers_what_was_appended_before_it_began() -> None:
    disk = half_synced()
    disk.sync("f")
    disk.append("f", b"late")
    disk.end_sync()
    disk.power_cut("lost", lambda: 0.0)
    assert disk.read("f") == b"0123456789abcdefghij"


def test_a_kill_leaves_the_page_cache_and_ends_no_sync() -> None:
    disk = half_synced()
    disk.sync("f")
    disk.process_died()
    assert disk.read("f") == b"0123456789abcdefghij"
    disk.end_sync()
    disk.power_cut("lost", lambda: 0.0)
    assert disk.read("f") == b"0123456789"


def test_a_name_that_was_not_synced_goes_with_the_power() -> None:
    disk = half_synced(names_synced=False)
    assert disk.power_cut("lost", lambda: 0.0)["lost_names"] == 1
    assert disk.names() == []


@pytest.mark.parametrize(
    ("mode", "left"), [("lost", b"oldbytes"), ("torn", b"oldNEWes"), ("kept", b"oldNEW")], ids=lambda value: str(value)
)
def test_a_truncation_that_was_not_synced_may_be_undone(mode: str, left: bytes) -> None:
    disk = SimulatedDisk()
    disk.create("a")
    disk.append("a", b"oldbytes")
    end_sync(disk, "a")
    disk.truncate("a", 3)
    disk.append("a", b"NEW")
    disk.power_cut(mode, lambda: 0.999)
    assert disk.read("a") == left


def test_a_truncation_that_was_synced_is_for_good() -> None:
    disk = SimulatedDisk()
    disk.create("a")
    disk.append("a", b"oldbytes")
    end_sync(disk, "a")
    disk.truncate("a", 3)
    end_sync(disk, "a")
    disk.power_cut("lost", lambda: 0.0)
    assert disk.read("a") == b"old"


def test_a_full_disk_takes_half_of_an_append() -> None:
    disk = half_synced()
    disk.full = True
    with pytest.raises(OSError, match="no space left"):
        disk.append("f", b"1234")
    assert disk.read("f").endswith(b"j12")
    with pytest.raises(OSError, match="no space left"):
        disk.create("g")


def test_a_failed_sync_loses_its_bytes_and_only_the_next_one_fails() -> None:
    disk = half_synced()
    disk.sync("f")
    disk.fail_next_sync = True
    with pytest.raises(OSError, match="input/output error"):
        disk.end_sync()
    assert disk.read("f") == b"0123456789"
    disk.append("f", b"x")
    end_sync(disk, "f")
    disk.power_cut("lost", lambda: 0.0)
    assert disk.read("f") == b"0123456789x"


@given(st.floats(0, 0.999))
def test_corruption_flips_one_bit_of_old_synced_data(share: float) -> None:
    """Old: later syncs have added to the file. Damage to the newest bytes cannot be told from a torn tail."""
    disk = half_synced()
    assert disk.corrupt(lambda: share) == {}
    for _ in range(SYNCS_TO_SETTLE):
        disk.append("f", b"..")
        end_sync(disk, "f")
    before = disk.read("f")
    evidence = disk.corrupt(lambda: share)
    assert evidence["file"] == "f" and int(evidence["byte"]) < 20
    differ = [a ^ b for a, b in zip(disk.read("f"), before, strict=True)]
    assert sum(bits.bit_count() for bits in differ) == 1 and differ[int(evidence["byte"])]


def test_an_append_is_told_before_anything_else_happens() -> None:
    disk, seen = half_synced(), []
    disk.on_append = lambda: seen.append(disk.read("f")[-3:])
    disk.append("f", b"END")
    assert seen == [b"END"]


# -- network ----------------------------------------------------------------------------------------------------------


class Listener:
    """A network whose arrivals are noted: (time, source, slot asked for)."""

    def __init__(self, seed: int = 1, jitter_ns: int = MILLISECOND) -> None:
        self.loop = EventLoop()
        self.arrived: list[tuple[int, int, int]] = []
        plan = Plan(seed=seed, network=Network(latency_ns=MILLISECOND, jitter_ns=jitter_ns))
        self.network = SimulatedNetwork(plan, self.loop, self._arrive)

    def _arrive(self, target: int, sender: tuple[int, int], message: Any) -> None:
        self.arrived.append((self.loop.now_ns, sender[0], message.slot))


def test_messages_take_latency_and_jitter_and_none_is_lost_or_doubled() -> None:
    listener = Listener()
    for number in range(200):
        listener.network.send((0, 1), 1, CatchUp(number))
    listener.loop.run_until(10 * MILLISECOND)
    assert sorted(slot for _, _, slot in listener.arrived) == list(range(200))
    assert all(MILLISECOND <= at_ns < 2 * MILLISECOND for at_ns, _, _ in listener.arrived)
    assert [slot for _, _, slot in listener.arrived] != list(range(200))
    assert listener.network.decisions == 200


def test_each_link_draws_from_a_stream_of_its_own() -> None:
    """What other links carry does not change when a message arrives."""

    def times(noise: int) -> list[int]:
        listener = Listener()
        for number in range(20):
            for _ in range(noise):
                listener.network.send((2, 1), 1, CatchUp(0))
            listener.network.send((0, 1), 1, CatchUp(number))
        listener.loop.run_until(10 * MILLISECOND)
        return [at_ns for at_ns, source, _ in listener.arrived if source == 0]

    assert times(0) == times(3)


def test_other_seeds_give_other_latencies() -> None:
    def times(seed: int) -> list[int]:
        listener = Listener(seed)
        for number in range(5):
            listener.network.send((0, 1), 1, CatchUp(number))
        listener.loop.run_until(10 * MILLISECOND)
        return [at_ns for at_ns, _, _ in listener.arrived]

    assert times(1) == times(1) != times(2)


def test_without_jitter_messages_keep_their_order() -> None:
    listener = Listener(jitter_ns=0)
    for number in range(50):
        listener.network.send((0, 1), 1, CatchUp(number))
    listener.loop.run_until(10 * MILLISECOND)
    assert [slot for _, _, slot in listener.arrived] == list(range(50))


def scattered(disk: SimulatedDisk) -> set[bytes]:
    """What may be left of the file after a power cut that scatters its unsynced writes."""
    left = set()
    for seed in range(400):
        copied = copy.deepcopy(disk)
        copied.power_cut("scattered", Random(seed).random)
        left.add(copied.read("f"))
    return left


def test_of_unsynced_writes_any_may_be_left_whole() -> None:
    disk = half_synced()
    disk.append("f", b"ABC")
    whole, zeros = b"0123456789abcdefghijABC", bytes(10)
    assert scattered(disk) == {whole[:10], whole[:20], whole[:10] + zeros + b"ABC", whole}


def test_or_single_sectors() -> None:
    disk = half_synced()
    disk.append("f", b"x" * 1000)
    left = scattered(disk)
    assert any(data[512:1020] == b"x" * 508 and data[10:512] == bytes(502) for data in left), "only the second sector"
    assert all(data.startswith(b"0123456789") for data in left)


def test_a_truncation_may_be_lost_though_what_was_written_after_it_is_left() -> None:
    disk = SimulatedDisk()
    disk.create("f")
    disk.append("f", b"0123456789")
    end_sync(disk, "f")
    disk.truncate("f", 3)
    disk.append("f", b"abc")
    left = scattered(disk)
    assert {b"0123456789", b"012abc6789", b"012", b"012abc"} <= left
    assert left <= {b"0123456789", b"012abc6789", b"012abc" + bytes(4), b"012", b"012abc"}, (
        "a sector has zeros behind its end"
    )
