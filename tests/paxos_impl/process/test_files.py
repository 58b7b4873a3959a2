"""The file port on a real directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from paxos_impl.log import Log, PromiseRecord
from paxos_impl.process.files import RealFiles, read_disk_record
from paxos_impl.process.panel import PANEL_BYTES, Panel, Word


@pytest.fixture
def panel() -> Panel:
    return Panel(memoryview(bytearray(PANEL_BYTES)))


@pytest.fixture
def files(tmp_path: Path, panel: Panel) -> Iterator[RealFiles]:
    made = RealFiles(tmp_path / "agent", panel)
    yield made
    made.close()


def durable(files: RealFiles, name: str) -> int:
    record = read_disk_record(files.panel)
    return record.durable[(files.directory / name).stat().st_ino]


def test_files_are_made_appended_read_and_listed(files: RealFiles) -> None:
    files.create("log-1")
    files.append("log-1", b"abc")
    files.append("log-1", b"def")
    files.create("log-0")
    assert files.names() == ["log-0", "log-1"]
    assert files.read("log-1") == b"abcdef"
    files.truncate("log-1", 2)
    files.append("log-1", b"x")
    assert files.read("log-1") == b"abx"
    files.remove("log-0")
    assert files.names() == ["log-1"]


def test_what_is_durable_is_published_after_each_sync_and_not_before(files: RealFiles) -> None:
    files.create("log")
    files.append("log", b"abc")
    assert durable(files, "log") == 0
    files.sync("log")
    assert durable(files, "log") == 3
    files.append("log", b"def")
    assert durable(files, "log") == 3
    files.truncate("log", 1)
    assert durable(files, "log") == 1


def test_what_is_durable_survives_the_process_whichever_file_was_synced_last(files: RealFiles, panel: Panel) -> None:
    for name in ("a", "b"):
        files.create(name)
    for name, size in (("a", 1), ("b", 2), ("b", 3), ("a", 4), ("a", 5)):
        files.append(name, b"x" * (size - len(files.read(name))))
        files.sync(name)
    assert (durable(files, "a"), durable(files, "b")) == (5, 3)
    files.truncate("a", 2)
    assert (durable(files, "a"), durable(files, "b")) == (2, 3)
    again = RealFiles(files.directory, panel)
    again.append("b", b"y")
    again.sync("b")
    assert (durable(again, "a"), durable(again, "b")) == (2, 4)
    again.close()


def test_changes_of_names_are_pending_until_the_directory_is_synced(files: RealFiles) -> None:
    files.create("a")
    files.rename("a", "b")
    files.create("c")
    files.remove("c")
    pending = read_disk_record(files.panel).pending
    assert [(change.what, change.name, change.new) for change in pending] == [
        ("create", "a", ""),
        ("rename", "a", "b"),
        ("create", "c", ""),
        ("remove", "c", ""),
    ]
    files.sync_directory()
    assert read_disk_record(files.panel).pending == []
    assert list(files.limbo.iterdir()) == []


def test_a_renamed_file_keeps_its_durable_bytes_and_is_appended_to(files: RealFiles) -> None:
    files.create("a.tmp")
    files.append("a.tmp", b"abc")
    files.sync("a.tmp")
    files.create("a")
    files.rename("a.tmp", "a")
    files.append("a", b"d")
    assert files.read("a") == b"abcd"
    assert durable(files, "a") == 3


def test_create_empties_an_old_file(files: RealFiles) -> None:
    files.create("a")
    files.append("a", b"old")
    files.sync("a")
    files.create("a")
    assert files.read("a") == b""
    assert durable(files, "a") == 0


def test_the_next_incarnation_takes_up_the_files_and_what_is_known_of_them(
    files: RealFiles, tmp_path: Path, panel: Panel
) -> None:
    files.create("log")
    files.append("log", b"abc")
    files.sync("log")
    files.append("log", b"def")
    files.remove("log")
    files.create("log2")
    again = RealFiles(tmp_path / "agent", panel)
    again.append("log2", b"x")
    assert again.read("log2") == b"x"
    again.create("log")
    again.remove("log")
    assert len(read_disk_record(panel).pending) == 5
    assert sorted(path.name for path in again.limbo.iterdir()) == ["1", "2"]


def test_a_full_disk_leaves_half_of_the_bytes(files: RealFiles, panel: Panel) -> None:
    files.create("log")
    panel.words[Word.DISK_FULL] = 1
    with pytest.raises(OSError, match="no space"):
        files.append("log", b"abcdef")
    with pytest.raises(OSError, match="no space"):
        files.create("other")
    assert files.read("log") == b"abc"
    assert panel.words[Word.APPENDS_REFUSED] == 2
    panel.words[Word.DISK_FULL] = 0
    files.append("log", b"!")
    assert files.read("log") == b"abc!"


def test_a_refused_append_stays_refused_though_the_disk_is_freed_meanwhile(
    files: RealFiles, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the rest would follow half of itself, and the log would be damaged where it counts as durable."""
    files.create("log")
    panel.words[Word.DISK_FULL] = 1
    write = os.write

    def freed_while_writing(fd: int, data: bytes) -> int:
        panel.words[Word.DISK_FULL] = 0
        return write(fd, data)

    monkeypatch.setattr(os, "write", freed_while_writing)
    with pytest.raises(OSError, match="no space"):
        files.append("log", b"abcdef")
    assert files.read("log") == b"abc"


def test_a_failing_sync_loses_what_it_covered_once(files: RealFiles, panel: Panel) -> None:
    files.create("log")
    files.append("log", b"abc")
    files.sync("log")
    files.append("log", b"def")
    panel.words[Word.FAIL_SYNCS] = 1
    with pytest.raises(OSError, match="input/output"):
        files.sync("log")
    assert files.read("log") == b"abc"
    assert panel.words[Word.SYNCS_FAILED] == 1
    files.sync("log")


def test_slow_syncs_are_counted(files: RealFiles, panel: Panel) -> None:
    files.create("log")
    panel.words[Word.SLOW_SYNC_NS] = 1_000_000
    files.sync("log")
    assert panel.words[Word.SYNCS_SLOWED] == 1


def test_somebody_may_watch_the_moment_between_append_and_sync(tmp_path: Path, panel: Panel) -> None:
    seen: list[int] = []
    files = RealFiles(tmp_path / "agent", panel, lambda: seen.append(panel.words[Word.SYNCS]))
    files.create("log")
    files.append("log", b"abc")
    files.sync("log")
    assert seen == [0]


def test_the_log_works_on_it(files: RealFiles, tmp_path: Path, panel: Panel) -> None:
    log = Log(files)
    log.recover()
    log.append(PromiseRecord((3, 1)))
    log.flush()
    log.begin_sync()
    log.end_sync()
    assert log.durable == log.end > 0
    _, records = Log(RealFiles(tmp_path / "agent", panel)).recover()
    assert records == [PromiseRecord((3, 1))]
