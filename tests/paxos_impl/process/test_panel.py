"""The panel: what an agent's process and its overseer share."""

from __future__ import annotations

import time

import pytest

from paxos_impl.process.panel import PANEL_BYTES, WATCH_BITS, Panel, Word

SECOND = 1_000_000_000


@pytest.fixture
def panel() -> Panel:
    return Panel(memoryview(bytearray(PANEL_BYTES)))


def test_an_untouched_clock_is_the_machines_own(panel: Panel) -> None:
    before = time.monotonic_ns()
    now = panel.now_ns()
    assert before <= now <= time.monotonic_ns()
    assert panel.real_ns(SECOND) == SECOND


def test_a_clock_jumps_and_jumps_back(panel: Panel) -> None:
    panel.set_clock(jump_ns=-5 * SECOND, rate=1.0)
    assert panel.now_ns() < time.monotonic_ns() - 4 * SECOND
    panel.set_clock(jump_ns=5 * SECOND, rate=1.0)
    assert abs(panel.now_ns() - time.monotonic_ns()) < SECOND


def test_a_fast_clock_gains_time_and_keeps_it(panel: Panel) -> None:
    panel.set_clock(jump_ns=0, rate=1000.0)
    assert panel.real_ns(SECOND) == SECOND // 1000
    began = time.monotonic_ns()
    while time.monotonic_ns() < began + 2_000_000:
        pass
    panel.set_clock(jump_ns=0, rate=1.0)
    assert panel.now_ns() - time.monotonic_ns() > SECOND


def test_a_clock_that_is_being_set_is_not_read_half(panel: Panel) -> None:
    """A reader waits for the writer: the version is odd while the words change."""
    panel.set_clock(jump_ns=SECOND, rate=1.0)
    assert panel.words[Word.CLOCK_VERSION] == 2


def test_the_record_of_the_disk_is_replaced_whole(panel: Panel) -> None:
    assert panel.disk() == b""
    panel.publish_disk(b"first" * 100)
    panel.publish_disk(b"second")
    assert panel.disk() == b"second"
    side = panel.words[Word.DISK_RECORD]
    panel.publish_disk(b"third")
    panel.words[Word.DISK_RECORD] = side  # as if killed before the last step
    assert panel.disk() == b"second"


def test_a_record_that_does_not_fit_is_refused(panel: Panel) -> None:
    with pytest.raises(ValueError, match="room"):
        panel.publish_disk(bytes(PANEL_BYTES))


def test_words_lie_apart_and_so_do_the_watched_moments() -> None:
    places = [place for name, place in vars(Word).items() if name.isupper()]
    assert len(set(places)) == len(places) > 10
    assert max(places) * 8 < 512
    assert sum(WATCH_BITS.values()) == 2 ** len(WATCH_BITS) - 1
