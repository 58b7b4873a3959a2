"""Host: runs one agent in an operating-system process. The loop that turns frames into events and effects into frames.

Rules
* Events come in batches: everything at hand is handled before the log is written and synced once for all of it.
* What may leave before the sync (a leader's Accepts, above all) leaves before it; the rest after. What nobody waits for is
  done when all has left.
* What the agent traced is with the kernel before the messages of that batch leave: whoever hears of a step can read it.
* A storage fault or a violation ends the process, with an exit code of its own and its text in the record.
* Nobody outlives the overseer: the kernel kills the process when its parent dies, and the end of the mailbox ends it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from paxos_impl.agent import Agent, Config, ProtocolViolation
from paxos_impl.learner import Learner
from paxos_impl.log import StorageFault
from paxos_impl.messages import Accept, Accepted, AnyMessage, Ballot, Prepare, Promise, Value
from paxos_impl.node import Node
from paxos_impl.parts import CORRECT, Parts
from paxos_impl.process.files import RealFiles
from paxos_impl.process.mailbox import Mailbox, decode_control, decode_frame, is_order
from paxos_impl.process.panel import WATCH_BITS, Panel, Word
from paxos_impl.replica import Replica

FRAMES_AT_ONCE = 64
LONGEST_HOLD_S = 5.0
"""An agent that waits at a watched moment and is forgotten goes on after this."""

EXIT_STOPPED = 0
EXIT_CRASHED = 1
EXIT_STORAGE = 10
EXIT_VIOLATION = 11
EXIT_RECORD = 12
EXIT_MEANINGS = {
    EXIT_STOPPED: "stopped in good order",
    EXIT_CRASHED: "crashed; its log has the traceback",
    EXIT_STORAGE: "stopped by a storage fault",
    EXIT_VIOLATION: "saw that safety is broken and stopped",
    EXIT_RECORD: "could not write its record; free space where the runs are stored",
}

_SENT_KINDS: dict[type, str] = {
    Prepare: "sent_prepare",
    Promise: "sent_promise",
    Accept: "sent_accept",
    Accepted: "sent_accepted",
}
_TOLD_KINDS = frozenset({"chosen", "applied", "installed", "leader"})
"""What the panel tells of."""
_SENT_BITS = sum(WATCH_BITS[kind] for kind in _SENT_KINDS.values())
_PR_SET_PDEATHSIG = 1


class Recorder(Protocol):
    """Where traced events go. ``time_ns`` is CLOCK_MONOTONIC, whatever the agent's clock says."""

    def trace(
        self, time_ns: int, kind: str, ballot: Ballot | None, slot: int, value: Value | None, extra: Any, /
    ) -> None: ...

    def flush(self) -> None:
        """Hand everything traced so far to the kernel. May raise OSError."""


class RecordLost(Exception):
    """What the agent did cannot be recorded, so it must not go on."""


def die_with_parent(parent: int) -> None:
    """The first thing a child does: be killed, also when stopped, as soon as the thread that started it is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(EXIT_CRASHED)


def say(text: str) -> None:
    """Print into the process's log. On a full disk that fails too; the exit code tells enough then."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


class Host:
    """One incarnation of one agent."""

    def __init__(
        self,
        config: Config,
        mailbox: Mailbox,
        directory: Path,
        panel: Panel,
        recorder: Recorder,
        draw: Callable[[], float],
        parts: Parts = CORRECT,
    ) -> None:
        self.mailbox = mailbox
        self.panel = panel
        self.recorder = recorder
        self._words = panel.words
        self.files = RealFiles(directory, panel, on_append=self._on_append)
        self.node = Node(config, mailbox.incarnation, self.files, draw, self._trace, parts)

    def run(self) -> int:
        """Until told to stop or the network is gone; returns the exit code."""
        try:
            self._start()
            self._loop()
            self._stop()
        except EOFError:
            return EXIT_STOPPED
        except StorageFault as error:
            return self._give_up(EXIT_STORAGE, error)
        except ProtocolViolation as error:
            return self._give_up(EXIT_VIOLATION, error)
        except RecordLost as error:
            say(str(error))
            return EXIT_RECORD
        except Exception as error:
            return self._give_up(EXIT_CRASHED, error)
        finally:
            self.files.close()
        return EXIT_STOPPED

    # -- the loop -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        for word in (Word.LED_NS, Word.APPLIED, Word.CHOSEN):
            self._words[word] = 0
        self.node.start(self.panel.now_ns())
        self._flush_record()
        self.mailbox.report("ready", self.mailbox.incarnation, os.getpid())

    def _loop(self) -> None:
        """Returns when told to stop."""
        node, mailbox, now_ns = self.node, self.mailbox, self.panel.now_ns
        receive, receive_all, gate = node.receive, mailbox.receive_all, node.gate
        now, deadline = now_ns(), node.deadline_ns()
        while True:
            frames = receive_all(FRAMES_AT_ONCE, self._timeout_ms(now, deadline))
            now = now_ns()
            if not frames or (deadline is not None and deadline <= now):
                node.wake(now)
            for frame in frames:
                if is_order(frame):
                    if decode_control(frame)[0] == "stop":
                        return
                    continue
                source, incarnation, messages = decode_frame(frame)
                for message in messages:
                    receive(source, incarnation, message, now)
            node.flush()
            if gate.outbox:
                self._send(node.take_outbox())
            node.settle()
            if gate.outbox:
                self._send(node.take_outbox())
            if node.wants_sync:
                node.begin_sync()
                if self._words[Word.WATCHED]:
                    self._hold("synced", 0)
                now = now_ns()
                node.end_sync(now)
                if gate.outbox:
                    self._send(node.take_outbox())
            node.rest()
            node.settle()
            self._flush_record()
            deadline = node.deadline_ns()

    def _timeout_ms(self, now_ns: int, deadline_ns: int | None) -> float | None:
        """How long to wait for the next frame. ``now_ns``: the reading of the clock taken last."""
        if self.node.wants_sync:
            return 0
        if deadline_ns is None:
            return None
        return max(0.0, self.panel.real_ns(deadline_ns - now_ns) / 1e6)

    def _send(self, outbox: list[tuple[int, AnyMessage]]) -> None:
        self._flush_record()
        watched = self._words[Word.WATCHED] & _SENT_BITS
        if watched:
            sent = 0
            for place, (_, message) in enumerate(outbox):
                kind = _SENT_KINDS.get(type(message))
                if kind is not None and WATCH_BITS[kind] & watched:
                    self.mailbox.send_all(outbox[sent:place])
                    sent = place
                    self._hold(kind, getattr(message, "slot", 0))
            outbox = outbox[sent:]
        self.mailbox.send_all(outbox)

    # -- record -------------------------------------------------------------------------------------------------------

    def _trace(
        self, kind: str, ballot: Ballot | None = None, slot: int = 0, value: Value | None = None, extra: Any = None, /
    ) -> None:
        now_ns = time.monotonic_ns()
        self.recorder.trace(now_ns, kind, ballot, slot, value, extra)
        words = self._words
        if kind in _TOLD_KINDS:
            if kind == "leader":
                words[Word.LED_NS] = now_ns
            elif kind != "chosen":
                words[Word.APPLIED] = slot
            elif slot > words[Word.CHOSEN]:
                words[Word.CHOSEN] = slot
        if words[Word.WATCHED]:
            self._hold(kind, slot)

    def _flush_record(self) -> None:
        try:
            self.recorder.flush()
        except OSError as error:
            raise RecordLost(f"the record cannot be written: {error}; free space where the runs are stored") from error

    # -- watched moments ----------------------------------------------------------------------------------------------

    def _on_append(self) -> None:
        if self._words[Word.WATCHED]:
            self._hold("appended", 0)

    def _hold(self, kind: str, slot: int) -> None:
        """If the overseer watches for this moment: tell it, and wait until it says go (it may kill or stop us meanwhile)."""
        words, bit = self._words, WATCH_BITS.get(kind, 0)
        if not words[Word.WATCHED] & bit:
            return
        words[Word.REPORTS] = number = words[Word.REPORTS] + 1
        self._flush_record()
        self.mailbox.report("event", kind, slot, number)
        until = time.monotonic() + LONGEST_HOLD_S
        while words[Word.GO] < number and words[Word.WATCHED] & bit and time.monotonic() < until:
            time.sleep(0.0002)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        learner = learner_of(self.node.agent)
        extra: dict[str, Any] = {}
        if learner is not None:
            extra = {"commit": learner.applied, "state_digest": learner.state_digest()}
        self._trace("stopped", None, extra.get("commit", 0), None, extra)
        self._flush_record()

    def _give_up(self, code: int, error: Exception) -> int:
        name = type(error).__name__
        if code == EXIT_CRASHED:
            say(traceback.format_exc())
        else:
            say(f"{name}: {error}")
        try:
            self.recorder.trace(time.monotonic_ns(), "stopped", None, 0, None, {"type": name, "error": str(error)})
            self.recorder.flush()
        except OSError as lost:
            say(f"and its record cannot be written: {lost}")
            return EXIT_RECORD
        return code


def learner_of(agent: Agent) -> Learner | None:
    """The learner that lives in an agent's process."""
    if isinstance(agent, Replica):
        return agent.learner
    return agent if isinstance(agent, Learner) else None
