"""Power cuts on real files: what was synced survives, what was not is treated as asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.worlds.real.power import cut_power, flip_byte
from nemesis.draws import stream
from paxos_impl.process.files import RealFiles, read_disk_record
from paxos_impl.process.panel import PANEL_BYTES, Panel


@pytest.fixture
def panel() -> Panel:
    return Panel(memoryview(bytearray(PANEL_BYTES)))


@pytest.fixture
def files(tmp_path: Path, panel: Panel) -> Iterator[RealFiles]:
    made = RealFiles(tmp_path / "agent", panel)
    yield made
    made.close()


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if not path.name.startswith(".")}


def test_unsynced_bytes_are_lost_and_synced_ones_are_not(files: RealFiles, panel: Panel) -> None:
    files.create("log")
    files.sync_directory()
    files.append("log", b"synced")
    files.sync("log")
    files.append("log", b"not synced")
    evidence = cut_power(files.directory, panel, "lost", stream("x"))
    assert content(files.directory) == {"log": b"synced"}
    assert evidence == {"unsynced_bytes": 10, "lost_bytes": 10, "garbled_bytes": 0, "lost_names": 0}


def test_kept_keeps_everything(files: RealFiles, panel: Panel) -> None:
    files.create("log")
    files.append("log", b"abc")
    assert cut_power(files.directory, panel, "kept", stream("x"))["unsynced_bytes"] == 3
    assert content(files.directory) == {"log": b"abc"}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("mode", ["torn", "garbled"])
def test_torn_keeps_a_prefix_and_garbled_adds_noise_behind_what_was_synced(
    files: RealFiles, panel: Panel, mode: str, seed: int
) -> None:
    files.create("log")
    files.sync_directory()
    files.append("log", b"A" * 50)
    files.sync("log")
    files.append("log", b"B" * 50)
    evidence = cut_power(files.directory, panel, mode, stream(str(seed)))
    left = content(files.directory)["log"]
    assert left[:50] == b"A" * 50
    if mode == "torn":
        assert left[50:] == b"B" * (len(left) - 50)
        assert evidence["lost_bytes"] == 100 - len(left)
    else:
        assert evidence["garbled_bytes"] == 50


def test_what_is_left_is_what_survives_the_next_cut_too(files: RealFiles, panel: Panel) -> None:
    files.create("log")
    files.append("log", b"abc")
    cut_power(files.directory, panel, "kept", stream("x"))
    again = RealFiles(files.directory, panel)
    again.append("log", b"def")
    cut_power(files.directory, panel, "lost", stream("x"))
    assert content(files.directory) == {"log": b"abc"}


def _create(files: RealFiles) -> None:
    files.create("new")


def _create_over(files: RealFiles) -> None:
    files.create("old")
    files.append("old", b"other")
    files.sync("old")


def _rename(files: RealFiles) -> None:
    files.rename("old", "renamed")


def _rename_over(files: RealFiles) -> None:
    files.rename("other", "old")


def _remove(files: RealFiles) -> None:
    files.remove("old")


def _replace_as_a_checkpoint_does(files: RealFiles) -> None:
    files.create("tmp")
    files.append("tmp", b"checkpoint")
    files.sync("tmp")
    files.rename("tmp", "checkpoint")
    files.remove("old")


CHANGES = [_create, _create_over, _rename, _rename_over, _remove, _replace_as_a_checkpoint_does]


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_names_are_undone_unless_the_directory_was_synced(
    files: RealFiles, panel: Panel, change: Callable[[RealFiles], None]
) -> None:
    for name in ("old", "other"):
        files.create(name)
        files.append(name, name.encode())
        files.sync(name)
    files.sync_directory()
    before = content(files.directory)
    change(files)
    cut_power(files.directory, panel, "lost", stream("x"))
    assert content(files.directory) == before

    again = RealFiles(files.directory, panel)
    change(again)
    again.sync_directory()
    after = content(files.directory)
    assert after != before
    cut_power(files.directory, panel, "lost", stream("x"))
    assert content(files.directory) == after


def test_an_agent_killed_before_it_made_the_change_it_published_loses_nothing(files: RealFiles, panel: Panel) -> None:
    files.create("old")
    files.append("old", b"old")
    files.sync("old")
    files.sync_directory()
    for what, name, new in (("create", "never", ""), ("rename", "old", "never"), ("remove", "old", "")):
        files._change(what, name, new, in_the_way="nobody")
        cut_power(files.directory, panel, "lost", stream("x"))
        assert content(files.directory) == {"old": b"old"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["append", "sync", "create", "rename", "remove", "sync_directory"]), st.integers(0, 2)
        )
    ),
    st.sampled_from(["lost", "torn", "garbled", "scattered", "kept"]),
    st.integers(0, 1000),
)
def test_whatever_was_done_synced_bytes_under_synced_names_survive(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], mode: str, seed: int
) -> None:
    panel = Panel(memoryview(bytearray(PANEL_BYTES)))
    files = RealFiles(tmp_path_factory.mktemp("agent"), panel)
    safe: dict[str, bytes] = {}
    """Contents whose bytes and name were synced and not touched since."""
    synced: dict[str, bytes] = {}
    for step, which in steps:
        name, other = f"f{which}", f"f{(which + 1) % 3}"
        if step == "create":
            files.create(name)
            synced[name] = b""
            safe.pop(name, None)
        elif name not in files.names():
            continue
        elif step == "append":
            files.append(name, f"{len(files.read(name))},".encode())
        elif step == "sync":
            files.sync(name)
            synced[name] = files.read(name)
            if name in safe:
                safe[name] = synced[name]
        elif step == "rename":
            files.rename(name, other)
            synced[other] = synced.pop(name)
            safe.pop(name, None)
            safe.pop(other, None)
        elif step == "remove":
            files.remove(name)
            del synced[name]
            safe.pop(name, None)
        else:
            files.sync_directory()
            safe = dict(synced)
    files.close()
    cut_power(files.directory, panel, mode, stream(str(seed)))
    left = content(files.directory)
    for name, data in safe.items():
        assert left[name][: len(data)] == data
    assert read_disk_record(panel).pending == []


def test_a_flipped_byte_is_one_that_was_synced(files: RealFiles, panel: Panel) -> None:
    assert flip_byte(files.directory, panel, stream("x")) == {"nothing_to_damage": True}
    files.create("log")
    files.append("log", b"\x00" * 10)
    files.sync("log")
    files.append("log", b"\x00" * 90)
    evidence = flip_byte(files.directory, panel, stream("x"))
    data = content(files.directory)["log"]
    assert evidence == {"file": "log", "byte": next(at for at, byte in enumerate(data) if byte)}
    assert evidence["byte"] < 10
    assert data.count(0) == 99


def test_scattered_sectors_are_there_or_read_as_zeros(files: RealFiles, panel: Panel) -> None:
    files.create("log")
    files.sync_directory()
    files.append("log", b"A" * 100)
    files.sync("log")
    files.append("log", b"B" * 1436)
    cut_power(files.directory, panel, "scattered", stream("2"))
    left = content(files.directory)["log"]
    assert left[:100] == b"A" * 100
    for start, end in ((100, 512), (512, 1024), (1024, 1536)):
        assert left[start:end] in (b"", bytes(end - start), b"B" * (end - start))
