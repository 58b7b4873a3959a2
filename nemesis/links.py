"""Link faults: which directed links a fault touches, and what becomes of a message there.

The simulated network and the switchboard of real processes ask the same ``Links`` for the fate of each message.

Rules
-----
* A link is directed: (source id, target id). All clients together are one end, ``CLIENTS``; a link from an agent to
  itself is never faulted.
* The fate is decided when a message is sent. What is on its way when a partition begins arrives; what was delayed or
  queued when a fault ends still arrives late, so a heal is complete only when the longest delay has passed.
* Rules that meet on a link act in the order of ``STAGES``: cut, lose, copy, delay, hold back, throttle.
* Random draws come from one stream per link and fault, so that taking a fault out of a plan leaves the draws of all
  others as they were. A cut and a throttle draw nothing.
* A message that another rule took away first does not meet the rules behind it: they did nothing to it, and say who did.
* An untouched link costs one dictionary look-up: ``links.by_link.get((source, target))`` is None. The dictionary is the
  same object for ever, so a caller may keep its ``get``.

Not injected: damaged messages (a frame arrives whole or not at all), and loss inside a host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import ALL_CLIENTS, Parameter
from nemesis.port import AgentView, Evidence, LinkRule
from nemesis.targets import majority_size, minority_size, voters

CLIENTS = -1
"""Stands for every client as one end of a link."""
Link = tuple[int, int]
UNTOUCHED = (0,)
LOST: tuple[int, ...] = ()
EFFECTS = ("dropped", "delayed", "duplicated", "reordered", "throttled")
"""Counts in the evidence of a link fault that show what it did; none of them: it touched no message."""


class Tally:
    """What the rules of one fault did, in messages, over all its links."""

    __slots__ = ("affected", "delayed", "dropped", "duplicated", "links", "met", "reordered", "taken", "throttled")

    def __init__(self) -> None:
        self.links = 0
        self.met = 0
        """Messages that met the fault: crossed one of its links while it was on, and no other fault had taken them."""
        self.taken: dict[int, int] = {}
        """Other fault -> messages that it took before they met this one."""
        self.affected = 0
        """Messages it did something to."""
        self.dropped = 0
        self.delayed = 0
        self.duplicated = 0
        self.reordered = 0
        self.throttled = 0

    def evidence(self, kind: str) -> Evidence:
        """Counts that are not zero, and always the one that shows an effect of ``kind``; if it touched no message, why."""
        shown: Evidence = {"links": self.links, "messages": self.met}
        for name in EFFECTS:
            count: int = getattr(self, name)
            if count or name == _RULES[kind].shows:
                shown[name] = count
        if self.taken:
            shown |= {"taken_first": sum(self.taken.values()), "taken_by": sorted(self.taken)}
        if not self.affected:
            shown["untouched"] = self._why_untouched(kind)
        return shown

    def _why_untouched(self, kind: str) -> str:
        by = sorted(self.taken)
        takers = f"fault{'s' if len(by) > 1 else ''} {' and '.join(map(str, by))}"
        if self.met:
            spared = _RULES[kind].spares.format(count=self.met)
            return f"{spared}; {takers} had taken {sum(self.taken.values())} more" if by else spared
        return f"0 messages met it: {takers} had taken them" if by else "no message was sent on its links"


class _Rule:
    """One fault on one directed link. ``apply`` maps the extra delays of a message's copies to new ones."""

    shows: ClassVar[str]
    """The count of ``Tally`` that shows its effect."""
    spares: ClassVar[str] = "chance spared all messages that met it: {count}"
    """Why messages met it and none was touched."""

    def __init__(self, rule: LinkRule, tally: Tally, key: str) -> None:
        self.fault = rule.fault
        self.stage = STAGES.index(rule.kind)
        self.tally = tally
        self.limit = int(rule.params.get("limit", 0))
        self.configure(rule.params, key)

    def configure(self, params: dict[str, Parameter], key: str) -> None:
        """Take the parameters (complete, as ``faults.fault_params`` gives them) and the key of a random stream."""

    def spent(self) -> bool:
        """Whether the fault has touched as many messages as it may."""
        return 0 < self.limit <= self.tally.affected

    def apply(self, copies: list[int], now_ns: int) -> list[int]:
        raise NotImplementedError


class _Cut(_Rule):
    shows = "dropped"

    def apply(self, copies: list[int], now_ns: int) -> list[int]:
        self.tally.met += 1
        self.tally.affected += 1
        self.tally.dropped += 1
        return []


class _Drop(_Rule):
    shows = "dropped"

    def configure(self, params: dict[str, Parameter], key: str) -> None:
        self.probability = float(params["probability"])
        self.draw = stream(key)

    def apply(self, copies: list[int], now_ns: int) -> list[int]:
        self.tally.met += 1
        if self.spent() or self.draw() >= self.probability:
            return copies
        self.tally.affected += 1
        self.tally.dropped += 1
        return []


class _Duplicate(_Rule):
    shows = "duplicated"

    def configure(self, params: dict[str, Parameter], key: str) -> None:
        self.probability = float(params["probability"])
        self.jitter_ns = int(params["jitter_ns"])
        self.draw = stream(key)

    def apply(self, copies: list[int], now_ns: int) -> list[int]:
        self.tally.met += 1
        if self.spent() or self.draw() >= self.probability:
            return copies
        self.tally.affected += 1
        self.tally.duplicated += 1
        return [*copies, copies[0] + int(self.draw() * self.jitter_ns)]


class _Delay(_Rule):
    shows = "delayed"

    def configure(self, params: dict[str, Parameter], key: str) -> None:
        self.delay_ns = int(params["delay_ns"])
        self.jitter_ns = int(params["jitter_ns"])
        self.draw = stream(key)

    def apply(self, copies: list[int], now_ns: int) -> list[int]:
        self.tally.met += 1
        if self.spent():
            return copies
        self.tally.affected += 1
        self.tally.delayed += 1
        return [extra + self.delay_ns + int(self.draw() * self.jitter_ns) for extra in copies]


class _Reorder(_Rule):
    shows = "reordered"

    def configure(self, params: dict[str, Parameter], key: str) -> None:
        self.probability = float(params["probability"])
        self.jitter_ns = int(params["jitter_ns"])
        self.draw = stream(key)

    def apply(self, copies: list[int], now_ns: int) -> list[int]:
        self.tally.met += 1
        if self.spent() or self.draw() >= self.probability:
            return copies
        self.tally.affected += 1
        self.tally.reordered += 1
        return [extra + 1 + int(self.draw() * self.jitter_ns) for extra in copies]


class _Throttle(_Rule):
    shows = "throttled"
    spares = "its links were never full: {count} messages met it"

    def configure(self, params: dict[str, Parameter], key: str) -> None:
        self.interval_ns = max(1, int(1_000_000_000 / float(params["per_second"])))
        self.queue_ns = int(params["queue_ns"])
        self.free_ns = 0
        """When the link can carry the next message."""

    def apply(self, copies: list[int], now_ns: int) -> list[int]:
        self.tally.met += 1
        passed: list[int] = []
        for extra in copies:
            wait_ns = max(0, self.free_ns - now_ns)
            if wait_ns > self.queue_ns:
                continue
            self.free_ns = now_ns + wait_ns + self.interval_ns
            passed.append(extra + wait_ns)
            if wait_ns:
                self.tally.throttled += 1
        if not passed:
            self.tally.dropped += 1
        if passed != copies:
            self.tally.affected += 1
        return passed


_RULES: dict[str, type[_Rule]] = {
    "partition": _Cut,
    "drop": _Drop,
    "duplicate": _Duplicate,
    "delay": _Delay,
    "reorder": _Reorder,
    "throttle": _Throttle,
}
STAGES = tuple(_RULES)


class Links:
    """The link faults in force in one world. ``seed`` is the plan's."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.by_link: dict[Link, tuple[_Rule, ...]] = {}
        """The rules on each faulted link, in the order they act; empty when no link fault is on."""
        self._tallies: dict[int, tuple[str, Tally, set[Link]]] = {}

    def add(self, rules: Sequence[LinkRule]) -> Evidence:
        """Put rules in force; says on how many links. Parameters must be complete (``faults.fault_params``)."""
        for rule in rules:
            _, tally, links = self._tallies.setdefault(rule.fault, (rule.kind, Tally(), set()))
            link = (rule.source, rule.target)
            key = f"{self.seed}/link/{rule.source}>{rule.target}/{rule.stream}"
            made = _RULES[rule.kind](rule, tally, key)
            links.add(link)
            tally.links = len(links)
            self.by_link[link] = tuple(sorted((*self.by_link.get(link, ()), made), key=lambda one: one.stage))
        if not rules:
            return {"links": 0, "untouched": "it found no link"}
        return {"links": len({(rule.source, rule.target) for rule in rules})}

    def remove(self, fault: int) -> Evidence:
        """Take away the rules of that fault and say what they did; {} if it has none (any more)."""
        if fault not in self._tallies:
            return {}
        kind, tally, links = self._tallies.pop(fault)
        for link in links:
            left = tuple(rule for rule in self.by_link.get(link, ()) if rule.fault != fault)
            if left:
                self.by_link[link] = left
            else:
                self.by_link.pop(link, None)
        return tally.evidence(kind)

    def fate(self, source: int, target: int, now_ns: int) -> tuple[int, ...]:
        """Extra delay in ns of each copy of a message sent now: ``(0,)`` untouched, ``()`` lost."""
        rules = self.by_link.get((source, target))
        if rules is None:
            return UNTOUCHED
        copies = [0]
        taker = -1
        for rule in rules:
            if copies:
                copies = rule.apply(copies, now_ns)
                taker = rule.fault
            else:
                rule.tally.taken[taker] = rule.tally.taken.get(taker, 0) + 1
        return tuple(copies)


def link_rules(
    fault: int,
    kind: str,
    params: dict[str, Parameter],
    agents: Sequence[AgentView],
    targets: Sequence[int],
    *,
    leader: int | None,
    draw: Draw,
    clients: bool,
    stream_key: str,
) -> tuple[list[LinkRule], list[list[int]]]:
    """The rules of one link fault that begins now, and the groups a partition makes ([] for other kinds).

    ``clients``: links between agents and clients are touched too. ``draw`` is the fault's own stream.
    """
    groups: list[list[int]] = []
    if kind == "partition" and params["shape"] == "holes":
        links = holes(agents, float(params["share"]), draw)
    elif kind == "partition":
        links, groups = partition(
            str(params["shape"]),
            str(params["direction"]),
            agents,
            targets,
            leader=leader,
            draw=draw,
            clients=clients,
        )
    else:
        links = touched(agents, targets, way=str(params["way"]), peer=str(params["peer"]), clients=clients)
    return [LinkRule(fault, kind, source, target, params, stream_key) for source, target in links], groups


def touched(agents: Sequence[AgentView], targets: Sequence[int], *, way: str, peer: str, clients: bool) -> list[Link]:
    """Links of the targets: ``way`` in, out or both; ``peer``: only those with that agent, or with clients (empty: all)."""
    others = [view.id for view in agents if not peer or view.name == peer]
    if clients and peer in ("", ALL_CLIENTS):
        others.append(CLIENTS)
    links: dict[Link, None] = {}
    for one in targets:
        for other in others:
            if other == one:
                continue
            if way in ("both", "out"):
                links[one, other] = None
            if way in ("both", "in"):
                links[other, one] = None
    return list(links)


def holes(agents: Sequence[AgentView], share: float, draw: Draw) -> list[Link]:
    """Directed links between agents, each with probability ``share``: who hears whom is a graph of no shape."""
    ids = sorted(view.id for view in agents)
    return [(source, target) for source in ids for target in ids if draw() < share and source != target]


def partition(
    shape: str,
    direction: str,
    agents: Sequence[AgentView],
    targets: Sequence[int],
    *,
    leader: int | None,
    draw: Draw,
    clients: bool,
) -> tuple[list[Link], list[list[int]]]:
    """The directed links that a partition cuts, and the groups it makes.

    ``isolate`` and ``one_way`` set the targets, as a group, apart from all others; if the targets are all agents, each
    is alone. The other shapes part the *voters*; each agent that does not vote stands beside a random voter and hears
    what that one hears. The leader is never the bridge: all talk to it and hardly any to each other, so nothing would be
    cut. Clients are cut off from a group only by ``isolate`` and ``one_way`` (the other shapes have no
    side on which clients would be).
    """
    ids = sorted(view.id for view in agents)
    if shape in ("isolate", "one_way"):
        inside = sorted(set(targets))
        alone = inside == ids
        outside = ids if alone else [one for one in ids if one not in inside]
        if clients:
            outside = [*outside, CLIENTS]
        pairs = [(far, near) for near in inside for far in outside if far != near]
        if shape == "one_way" and direction == "deaf":
            return pairs, [inside]
        outward = [(near, far) for far, near in pairs]
        if shape == "one_way":
            return outward, [inside]
        return list(dict.fromkeys(pairs + outward)), [[one] for one in ids] if alone else [inside]
    ring = sample(draw, sorted(view.id for view in voters(agents)), len(agents))
    if shape == "bridge" and ring[:1] == [leader]:
        ring.append(ring.pop(0))
    beside: dict[int, list[int]] = {one: [one] for one in ring}
    for one in ids:
        if one not in beside and ring:
            places = ring[1:] if one == leader and shape == "bridge" else ring
            beside[choice(draw, places or ring)].append(one)
    hears, groups = _heard(shape, ring, draw)
    links = [
        (source, target)
        for near in ring
        for far in ring
        if far != near and far not in hears[near]
        for target in beside[near]
        for source in beside[far]
    ]
    return links, [sorted(one for voter in group for one in beside[voter]) for group in groups]


def _heard(shape: str, ring: list[int], draw: Draw) -> tuple[dict[int, set[int]], list[list[int]]]:
    """Whom each voter hears, and the groups. ``ring``: the voters in random order."""
    count = len(ring)
    if shape == "ring":
        # Everyone hears a majority, no two the same one: the next ones and the previous ones on a circle.
        size = majority_size(count)
        before = (size - 1) // 2
        return {
            one: {ring[(place - before + step) % count] for step in range(size)} for place, one in enumerate(ring)
        }, [list(ring)]
    bridge = ring[:1] if shape == "bridge" else []
    rest = ring[len(bridge) :]
    if shape == "majority":
        size = between(draw, 1, max(1, minority_size(count)))
    else:
        size = len(rest) // 2 if draw() < 0.5 else (len(rest) + 1) // 2
    groups = [group for group in (rest[:size], rest[size:]) if group]
    hears: dict[int, set[int]] = {one: set(ring) for one in bridge}
    for group in groups:
        for one in group:
            hears[one] = {*group, *bridge}
    return hears, [[*group, *bridge] for group in groups]
