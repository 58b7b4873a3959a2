"""The simulated network: when, how often and whether a message arrives.

Injects: a latency with jitter on every link (which alone reorders messages), and the link faults of ``nemesis.links``: loss,
duplicates, delay, reordering, one-way cuts, throttle. Delivers what was under way when a partition begins, and messages of
dead incarnations: agents must cope.
Does not inject: damaged messages, loss without a fault, a limit on what is under way.

Draws: one stream per directed link, so that taking a fault away leaves the other links as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappush
from random import Random

from harness.worlds.simulated.loop import Act, EventLoop
from nemesis.links import CLIENTS, Links
from nemesis.plan import Plan
from paxos_impl.messages import FIRST_CLIENT_ADDRESS, AnyMessage

Sender = tuple[int, int]
"""An address and the incarnation there."""


class SimulatedNetwork:
    """``deliver(target, sender, message)`` is called when a message arrives."""

    def __init__(self, plan: Plan, loop: EventLoop, deliver: Act) -> None:
        self.loop = loop
        self.deliver = deliver
        self.links = Links(plan.seed)
        self._rules_of = self.links.by_link
        self.decisions = 0
        """Messages whose fate was decided."""
        self.on_message: Callable[[int, int, AnyMessage, Sequence[int]], None] | None = None
        """Told (source, target, message, arrival times) of every message, if somebody records them; no time: lost."""
        self._latency_ns = plan.network.latency_ns
        self._jitter_ns = plan.network.jitter_ns
        self._seed = plan.seed
        self._draws: dict[int, dict[int, Callable[[], float]]] = {}
        """Source -> target -> the stream of that link."""

    def quiet_at_ns(self) -> int:
        """When the last message that is under way now arrives. A heal is complete only then: what a fault held back still
        comes."""
        return max((entry[0] for entry in self.loop.queue if entry[2] == self.deliver), default=self.loop.now_ns)

    def send(self, sender: Sender, target: int, message: AnyMessage) -> None:
        self.decisions += 1
        source = sender[0]
        try:
            draw = self._draws[source][target]
        except KeyError:
            draw = self._new_stream(source, target)
        loop = self.loop
        arrives_ns = loop.now_ns + self._latency_ns + int(draw() * self._jitter_ns)
        rules_of = self._rules_of
        if rules_of:
            link = (source, target)
            if source >= FIRST_CLIENT_ADDRESS:
                link = (CLIENTS, target)
            elif target >= FIRST_CLIENT_ADDRESS:
                link = (source, CLIENTS)
            if link in rules_of:
                fate = self.links.fate(link[0], link[1], loop.now_ns)
                self._arrive([arrives_ns + extra_ns for extra_ns in fate], sender, target, message)
                return
        if self.on_message is None:
            # ``loop.at``, without the call: most of what a run queues are messages.
            heappush(loop.queue, (arrives_ns, next(loop.sequence), self.deliver, target, sender, message))
        else:
            self._arrive([arrives_ns], sender, target, message)

    def _new_stream(self, source: int, target: int) -> Callable[[], float]:
        draw = Random(f"{self._seed}/latency/{source}>{target}").random
        self._draws.setdefault(source, {})[target] = draw
        return draw

    def _arrive(self, arrivals: list[int], sender: Sender, target: int, message: AnyMessage) -> None:
        """One copy at each of these times."""
        for at_ns in arrivals:
            self.loop.at(at_ns, self.deliver, target, sender, message)
        if self.on_message is not None:
            self.on_message(sender[0], target, message, arrivals)
