"""The write-ahead log: what comes back after a kill, a power cut at any step, a torn tail, a damaged byte, a failed write.

The records here are rounds 1, 2, 3, …, and a checkpoint of round n stands for all rounds up to n: so what was recovered
is right if it is a gapless run that ends at or behind what was durable.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.worlds.simulated.disk import UNSYNCED_MODES, SimulatedDisk
from paxos_impl.log import (
    EMPTY_CHECKPOINT,
    HEAD_BYTES,
    Checkpoint,
    ChosenRecord,
    Log,
    LogCorrupted,
    PromiseRecord,
    RoundRecord,
    StorageFault,
    VoteRecord,
)
from paxos_impl.messages import NO_BALLOT, NO_OP, Command

VALUE = (Command(1 << 42, 3, 5, "write", "key", "value", None), Command(1 << 42, 4, 5, "cas", "key", "a", "b"))
RECORDS = [RoundRecord(7), PromiseRecord((3, 1)), VoteRecord((3, 1), 9, VALUE, 8), ChosenRecord(4, NO_OP)]


def opened(disk: SimulatedDisk) -> Log:
    log = Log(disk)
    log.recover()
    return log


def sync(log: Log, disk: SimulatedDisk) -> int | None:
    """One group commit, from begin to end; one more for records that had to wait for the sync of a cut."""
    log.flush()
    log.begin_sync()
    disk.end_sync()
    slot = log.end_sync()
    return sync(log, disk) if log.pending else slot


def test_what_was_cut_never_follows_what_is_written_over_it() -> None:
    """A cut that was not synced may be undone by a power cut, though what was appended after it came to the disk. The old
    record behind it is good at its place, but what it relies on is gone."""
    disk = SimulatedDisk()
    log = opened(disk)
    log.append(RoundRecord(1))
    sync(log, disk)
    log.append(RoundRecord(2))
    log.append(RoundRecord(3))
    log.flush()
    file = disk.files["log-00000000"]
    file.data[-2 * HEAD_BYTES] ^= 1  # in record 2
    before = bytes(file.data)
    log = opened(disk)
    log.append(RoundRecord(9))
    log.flush()
    file.data += before[len(file.data) :]
    _, records = Log(disk).recover()
    assert RoundRecord(3) not in records


def test_nor_does_what_a_life_cut_that_was_killed_before_its_first_sync() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    log.append(RoundRecord(1))
    sync(log, disk)
    log.append(RoundRecord(2))
    log.append(RoundRecord(3))
    log.flush()
    file = disk.files["log-00000000"]
    file.data[-2 * HEAD_BYTES] ^= 1  # in record 2
    file.durable = len(file.data)
    opened(disk)
    disk.process_died()
    log = opened(disk)  # finds nothing to cut
    log.append(RoundRecord(9))
    log.flush()
    disk.power_cut("torn", lambda: 0.999)
    _, records = Log(disk).recover()
    assert RoundRecord(3) not in records


def test_a_log_goes_on_once_its_cut_is_synced() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    log.append(RoundRecord(1))
    sync(log, disk)
    disk.append("log-00000000", b"torn")
    log = opened(disk)
    assert log.checkpointing  # and no checkpoint begins before
    log.append(RoundRecord(2))
    sync(log, disk)
    assert not log.checkpointing
    sync(log, disk)
    assert log.durable == log.end
    assert Log(disk).recover()[1] == [RoundRecord(1), RoundRecord(2)]


def checkpoint_of(number: int) -> Checkpoint:
    return Checkpoint(number, b"state", NO_BALLOT, number, number, (), (), number, 0)


def rounds(recovered: tuple[Checkpoint, list[Any]]) -> tuple[int, int]:
    """(round of the checkpoint, last round); fails if what follows the checkpoint has a gap or a repetition."""
    checkpoint, records = recovered
    numbers = [record.round for record in records]
    assert numbers == list(range(checkpoint.round + 1, checkpoint.round + 1 + len(numbers)))
    return checkpoint.round, checkpoint.round + len(numbers)


# -- round trips ------------------------------------------------------------------------------------------------------


def test_what_was_appended_comes_back() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    for record in RECORDS:
        log.append(record)
    sync(log, disk)
    disk.power_cut("lost", lambda: 0.0)
    assert Log(disk).recover() == (EMPTY_CHECKPOINT, RECORDS)


def test_only_what_was_synced_survives_a_power_cut_and_all_that_was_flushed_a_kill() -> None:
    for power_lost, survivors in ((True, 1), (False, 2)):
        disk = SimulatedDisk()
        log = opened(disk)
        log.append(RoundRecord(1))
        sync(log, disk)
        log.append(RoundRecord(2))
        log.flush()
        log.append(RoundRecord(3))
        if power_lost:
            disk.power_cut("lost", lambda: 0.0)
        assert rounds(Log(disk).recover()) == (0, survivors)


def test_what_was_appended_while_a_sync_ran_is_not_durable_when_it_ends() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    log.append(RoundRecord(1))
    log.flush()
    end = log.end
    log.begin_sync()
    log.append(RoundRecord(2))
    log.flush()
    disk.end_sync()
    log.end_sync()
    assert log.durable == end < log.end
    assert log.wants_sync
    disk.power_cut("lost", lambda: 0.0)
    assert rounds(Log(disk).recover()) == (0, 1)


def test_what_recovery_reads_is_not_durable_before_a_sync() -> None:
    """It may have stood in the page cache only, and so may the names of the files."""
    disk = SimulatedDisk()
    log = opened(disk)
    assert log.durable < log.end + 1 and log.wants_sync
    log.append(RoundRecord(1))
    log.flush()
    again = opened(disk)
    assert again.durable < again.end and again.wants_sync
    sync(again, disk)
    assert again.durable == again.end
    third = opened(disk)
    assert third.durable < third.end
    disk.power_cut("lost", lambda: 0.0)
    assert rounds(Log(disk).recover()) == (0, 1)


def test_offsets_go_on_over_restarts_and_segments() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    for number in range(1, 4):
        log.append(RoundRecord(number))
    sync(log, disk)
    log.start_checkpoint(checkpoint_of(3))
    log.append(RoundRecord(4))
    for _ in range(3):
        sync(log, disk)
    end = log.end
    again = opened(disk)
    assert again.end == end
    assert again.checkpoint.offset == end - (HEAD_BYTES + 3)


# -- torn tail or corruption ------------------------------------------------------------------------------------------


def written(groups: list[int]) -> tuple[SimulatedDisk, list[int], list[int]]:
    """A log of rounds, synced after each group: (disk, offsets of records and end, durable offset each bears)."""
    disk = SimulatedDisk()
    log = opened(disk)
    offsets, known = [], []
    number = 0
    for group in groups:
        for _ in range(group):
            number += 1
            offsets.append(log.end)
            known.append(max(log.durable, 0))
            log.append(RoundRecord(number))
        sync(log, disk)
    return disk, [*offsets, log.end], known


@given(groups=st.lists(st.integers(1, 4), min_size=1, max_size=6), data=st.data())
def test_a_log_that_ends_anywhere_is_a_torn_tail_or_corruption(groups: list[int], data: st.DataObject) -> None:
    """Cut at any byte: the records before it come back, or, if one of them tells that more was durable, nothing does."""
    disk, offsets, known = written(groups)
    file = disk.files["log-00000000"]
    at = data.draw(st.integers(0, len(file.data)), label="cut at")
    del file.data[at:]
    whole = sum(1 for end in offsets[1:] if end <= at)
    if max(known[:whole], default=0) > offsets[whole]:
        with pytest.raises(LogCorrupted):
            Log(disk).recover()
        return
    assert rounds(Log(disk).recover()) == (0, whole)
    assert len(disk.files["log-00000000"].data) == offsets[whole]


@given(
    groups=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    data=st.data(),
    bits=st.integers(1, 255),
)
def test_a_damaged_byte_is_a_torn_tail_or_corruption(groups: list[int], data: st.DataObject, bits: int) -> None:
    """Damage below an offset that another record tells durable stops the agent; above all such offsets it is cut, whatever
    follows."""
    disk, offsets, known = written(groups)
    file = disk.files["log-00000000"]
    at = data.draw(st.integers(0, len(file.data) - 1), label="damage at")
    file.data[at] ^= bits
    damaged = sum(1 for end in offsets[1:] if end <= at)
    told = max((offset for number, offset in enumerate(known) if number != damaged), default=0)
    if offsets[damaged] < told:
        with pytest.raises(LogCorrupted, match=f"damaged at byte {offsets[damaged]}, below offset {told}"):
            Log(disk).recover()
    else:
        assert rounds(Log(disk).recover()) == (0, damaged)


@given(st.binary(max_size=200), st.integers(1, 5))
def test_garbage_behind_the_last_record_is_cut(garbage: bytes, count: int) -> None:
    disk, _, _ = written([count])
    disk.files["log-00000000"].data += garbage
    log = Log(disk)
    assert rounds(log.recover()) == (0, count)
    log.append(RoundRecord(count + 1))
    sync(log, disk)
    disk.power_cut("lost", lambda: 0.0)
    assert rounds(Log(disk).recover()) == (0, count + 1)


def test_a_record_in_the_wrong_place_is_not_taken_for_a_good_one() -> None:
    """A stale block with a valid checksum: its own offset gives it away."""
    disk, offsets, _ = written([3])
    file = disk.files["log-00000000"]
    file.data[offsets[2] :] = file.data[offsets[1] : offsets[2]]
    assert rounds(Log(disk).recover()) == (0, 2)


def test_a_missing_segment_is_corruption() -> None:
    disk, _, _ = written([2])
    log = opened(disk)
    sync(log, disk)
    log.start_checkpoint(checkpoint_of(2))
    log.append(RoundRecord(3))
    log.flush()
    del disk.files["log-00000000"]
    with pytest.raises(LogCorrupted, match="log-00000000 is missing although log-00000001 exists"):
        Log(disk).recover()


@given(st.data())
def test_a_damaged_checkpoint_is_corruption(data: st.DataObject) -> None:
    disk, _, _ = written([2])
    log = opened(disk)
    sync(log, disk)
    log.start_checkpoint(checkpoint_of(2))
    for _ in range(3):
        sync(log, disk)
    file = disk.files["checkpoint-00000001"]
    file.data[data.draw(st.integers(0, len(file.data) - 1))] ^= 1
    with pytest.raises(LogCorrupted, match="checkpoint-00000001 is damaged"):
        Log(disk).recover()


def test_a_tail_torn_in_the_old_segment_takes_the_new_one_with_it() -> None:
    """The new segment's records follow bytes that never became durable."""
    disk, _, _ = written([2])
    log = opened(disk)
    sync(log, disk)
    log.append(RoundRecord(3))
    log.start_checkpoint(checkpoint_of(3))
    log.append(RoundRecord(4))
    log.flush()
    del disk.files["log-00000000"].data[-1:]
    again = Log(disk)
    assert rounds(again.recover()) == (0, 2)
    assert disk.names() == ["log-00000000"]
    again.append(RoundRecord(3))
    sync(again, disk)
    assert rounds(Log(disk).recover()) == (0, 3)


# -- a crash at every step --------------------------------------------------------------------------------------------


class Stop(Exception):
    """The process dies here."""


class Stopping:
    """The file port of a process that dies when it is about to do its ``steps``-th file operation."""

    def __init__(self, disk: SimulatedDisk, steps: int) -> None:
        self._disk = disk
        self.steps = steps

    def __getattr__(self, name: str) -> Callable[..., Any]:
        act = getattr(self._disk, name)
        if name in ("names", "read"):
            return act  # type: ignore[no-any-return]

        def counted(*args: Any) -> Any:
            if self.steps == 0:
                raise Stop
            self.steps -= 1
            return act(*args)

        return counted


def life(disk: SimulatedDisk, steps: int, seen: dict[str, int], make_log: type[Log] = Log) -> bool:
    """Recover, append and take checkpoints until the process dies; True if it came to the end alive.

    ``seen``: the last round that was durable, and the last that was appended, in any life.
    """
    files: Any = Stopping(disk, steps)
    log = make_log(files)
    offsets: dict[int, int] = {}

    def synced() -> None:
        log.flush()
        log.begin_sync()
        if files.steps == 0:
            raise Stop
        files.steps -= 1
        disk.end_sync()
        log.end_sync()
        durable = [number for number, end in offsets.items() if end <= log.durable]
        seen["durable"] = max([seen["durable"], *durable])

    try:
        first, last = rounds(log.recover())
        assert first <= seen["durable"] <= last <= seen["appended"]
        if log.durable >= log.end:
            seen["durable"] = last
        for number in range(last + 1, last + 9):
            seen["appended"] = max(seen["appended"], number)
            log.append(RoundRecord(number))
            offsets[number] = log.end
            if number % 4 == 2 and not log.checkpointing:
                log.start_checkpoint(checkpoint_of(number))
            synced()
    except Stop:
        return False
    return True


def crash_points() -> Iterator[int]:
    steps = 0
    while not life(SimulatedDisk(), steps, {"durable": 0, "appended": 0}):
        yield steps
        steps += 1


STEPS = list(crash_points())


def test_there_are_enough_steps() -> None:
    assert len(STEPS) > 40


def crash_everywhere(first: str, second: str, make_log: type[Log] = Log) -> None:
    """A crash at any step, a second one at some steps of the life after it, and a whole life after that.

    ``first``, ``second``: how they crash: a mode of a power cut, or "killed".
    """
    draws = (0.0, 0.34, 0.67, 0.999) if {"torn", "garbled"} & {first, second} else (0.0,)
    for steps in STEPS:
        for again in (0, 1, 2, 3, 5, 8, 1000):
            for draw in draws:
                disk = SimulatedDisk()
                seen = {"durable": 0, "appended": 0}
                for limit, mode in ((steps, first), (again, second), (1000, second)):
                    life(disk, limit, seen, make_log)
                    disk.process_died()
                    if mode != "killed":
                        disk.power_cut(mode, lambda draw=draw: draw)
                before, last = rounds(make_log(disk).recover())
                assert before <= seen["durable"] <= last <= seen["appended"]


@pytest.mark.parametrize(
    ("first", "second"),
    [*((mode, mode) for mode in (*UNSYNCED_MODES, "killed")), ("killed", "lost"), ("killed", "garbled")],
)
def test_a_crash_at_any_step_loses_nothing_durable_and_invents_nothing(first: str, second: str) -> None:
    crash_everywhere(first, second)


class NameBeforeContent(Log):
    def checkpoint_order(self) -> list[str]:
        return ["rename", "sync_content", "sync_name", "cut"]


class CutFirst(Log):
    def checkpoint_order(self) -> list[str]:
        return ["cut", "sync_content", "rename", "sync_name"]


class ReadIsDurable(Log):
    def durable_after_recovery(self, known: int, end: int) -> int:
        return end


class SyncCoversAll(Log):
    def end_of_sync(self) -> int:
        return self.end + 1000


@pytest.mark.parametrize("wrong", [NameBeforeContent, CutFirst, ReadIsDurable, SyncCoversAll])
def test_the_crashes_above_see_a_wrong_order(wrong: type[Log]) -> None:
    with pytest.raises((AssertionError, LogCorrupted, OSError, KeyError)):
        crash_everywhere("killed", "lost", wrong)


def test_old_segments_go_when_a_checkpoint_is_durable() -> None:
    disk = SimulatedDisk()
    life(disk, 1000, {"durable": 0, "appended": 0})
    assert len([name for name in disk.names() if name.startswith("log")]) <= 2
    assert len([name for name in disk.names() if name.startswith("checkpoint")]) == 1


def test_the_end_of_a_checkpoint_is_told_with_its_slot() -> None:
    disk, _, _ = written([2])
    log = opened(disk)
    sync(log, disk)
    log.start_checkpoint(checkpoint_of(2))
    told = [sync(log, disk) for _ in range(2)]
    assert told == [None, 2]
    assert not log.checkpointing and not log.wants_sync


# -- a disk that fails ------------------------------------------------------------------------------------------------


def test_a_failed_append_stops_the_agent_and_the_rest_is_readable() -> None:
    disk, _, _ = written([2])
    log = opened(disk)
    sync(log, disk)
    disk.full = True
    log.append(RoundRecord(3))
    with pytest.raises(StorageFault, match=r"cannot append to log-00000000: .*; free space"):
        log.flush()
    disk.full = False
    assert rounds(Log(disk).recover()) == (0, 2)


def test_a_failed_sync_is_never_retried() -> None:
    """Its bytes count as lost: what was durable stays so, nothing more, and the agent has to stop."""
    disk, offsets, _ = written([2])
    log = opened(disk)
    sync(log, disk)
    log.append(RoundRecord(3))
    log.flush()
    log.begin_sync()
    disk.fail_next_sync = True
    with pytest.raises(OSError, match="injected") as failed:
        disk.end_sync()
    with pytest.raises(StorageFault, match=r"sync failed: .*counts as lost"):
        log.on_failed_sync(failed.value)
    assert log.durable == offsets[-1]
    assert rounds(Log(disk).recover()) == (0, 2)


def test_a_sync_that_fails_at_once_stops_the_agent_too() -> None:
    disk, offsets, _ = written([2])
    log = opened(disk)
    sync(log, disk)
    log.append(RoundRecord(3))
    log.flush()

    def broken(name: str) -> None:
        raise OSError(errno.EIO, "input/output error")

    disk.sync = broken  # type: ignore[method-assign]
    with pytest.raises(StorageFault, match="sync failed"):
        log.begin_sync()
    assert log.durable == offsets[-1] and not log.syncing


class FullFor:
    """A disk on which the named kind of file cannot be created or written."""

    def __init__(self, disk: SimulatedDisk, kind: str, what: str) -> None:
        self.disk, self.kind, self.what = disk, kind, what

    def __getattr__(self, name: str) -> Any:
        return getattr(self.disk, name)

    def create(self, name: str) -> None:
        self._fail("create", name)
        self.disk.create(name)

    def append(self, name: str, data: bytes) -> None:
        self._fail("append", name)
        self.disk.append(name, data)

    def _fail(self, what: str, name: str) -> None:
        if what == self.what and name.startswith(self.kind):
            raise OSError(errno.ENOSPC, "no space left on device")


@pytest.mark.parametrize(
    ("kind", "what"), [("log-00000001", "create"), ("checkpoint", "create"), ("checkpoint", "append")]
)
def test_a_checkpoint_that_cannot_be_written_is_given_up_and_nothing_is_lost(kind: str, what: str) -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    log.append(RoundRecord(1))
    log.append(RoundRecord(2))
    sync(log, disk)
    log.files = FullFor(disk, kind, what)
    log.start_checkpoint(checkpoint_of(2))
    assert not log.checkpointing
    log.append(RoundRecord(3))
    sync(log, disk)
    disk.power_cut("lost", lambda: 0.0)
    assert rounds(Log(disk).recover()) == (0, 3)


def test_a_later_checkpoint_succeeds_when_there_is_room_again() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    log.append(RoundRecord(1))
    log.files = FullFor(disk, "checkpoint", "append")
    log.start_checkpoint(checkpoint_of(1))
    log.files = disk
    log.append(RoundRecord(2))
    log.start_checkpoint(checkpoint_of(2))
    while log.wants_sync:
        sync(log, disk)
    disk.power_cut("lost", lambda: 0.0)
    assert rounds(Log(disk).recover()) == (2, 2)
    assert [name for name in disk.names() if name.endswith(".tmp")] == []
