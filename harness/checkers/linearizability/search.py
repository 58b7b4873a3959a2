"""Search: just-in-time linearization (Lowe 2017), for any sequential model.

A *configuration* is a possible state of the object, the operations in flight that have taken effect in it already, and
the pending operations it has used up. Events are taken in order; an operation has to take effect by the time it returns:
at each return the configurations in which it has not are continued by other operations in flight until it has. If none
is left, the history is not linearizable, and that event shows it.

Prunings, each of which keeps an answer if there is one
1. *Eager queries*: an operation in flight that changes nothing and fits the state takes effect at once.
2. *Hidden writes*: a write in flight may always be put right before the next write, or where its value is in place
   already: nobody sees it there. So a configuration remembers which writes in flight *may hide* (another write took
   effect since their call, or the state was what they write): they need not take effect visibly by their return.
3. *Demand*: a write (or a pending operation) takes effect visibly only at its own return, or if that lets another operation
   in flight take effect, or if it leaves the state as it is and lets another write hide in front of it. Whoever needs it
   later can have it later; of several writes in a row only the last one counts.
4. *Dominance*: of configurations with the same state and the same operations done, only those are kept that used up a
   minimal set of pending operations and may hide a maximal set of writes; what the others can do, they can.
5. *Twins*: pending operations that ask the same are interchangeable; only the first unused one is tried.
6. *Memory*: states are numbered, and each (state, question and answer) is stepped once.
7. *Hopeless*: a state from which the model knows that an operation in flight can never fit is dropped, and so is one that
   the model knows no legal order of the whole history to pass through (a set that contains not all that was read before).
8. Operations in flight have bits that are used again after their return, so sets stay as small as the concurrency.
9. *Depth first, in broad steps*: of many configurations the ``WIDTH`` that used up least go ahead; the others, also those
   that could still be continued to a return, wait and come back only if those fail. What was tried at an event is
   remembered, so nothing is tried twice.
10. *Windows*: before much is gone back to, it is tried whether no order is left from a completed write on, whatever came
   before it. That takes little where a violation is local, as most are, and tells it by what is near.

The budget bounds steps and configurations; beyond it the answer is "unknown", never a guess.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.checkers.linearizability.history import NEVER, UNKNOWN, Op
from harness.checkers.linearizability.sequential import Illegal, Model
from harness.checkers.linearizability.windows import ending_at

DEFAULT_STEPS = 20_000_000
DEFAULT_CONFIGURATIONS = 1_000_000
WIDTH = 32
WINDOW_STEPS = 100_000
"""After so many steps of going back, windows are tried; then again after twice as many."""
FORGET_STATES = 10_000
"""When nothing is in flight, more states than these are forgotten: a list that grows would fill the memory."""


class SearchResult(msgspec.Struct):
    """What the search found. ``legal`` is None if the budget was spent."""

    legal: bool | None
    steps: int
    most_configurations: int
    op: Op | None = None
    """Illegal: the operation whose return no configuration survived. Unknown: where the budget was spent."""
    states: tuple[Any, ...] = ()
    """Illegal: the states that were possible just before (at most ten)."""
    reasons: tuple[str, ...] = ()
    """Illegal: why the operation cannot take effect in them."""
    in_flight: tuple[Op, ...] = ()
    """Illegal: what else was in flight then."""
    used_pending: int = 0
    """Pending operations that had to be assumed in some configuration before."""


class _Budget(Exception):
    pass


Extras = tuple[int, int]
"""(pending operations used up, writes in flight that may hide), as bits"""
Configs = dict[tuple[int, int], list[Extras]]
"""(state, operations in flight that are done) -> the extras that no other ones there dominate"""
Path = tuple[int, int, int, int]
"""(state, done, used up, may hide)"""
_Structure = tuple[dict[int, int], list[int], list[int], list[int], int, list[int], int, dict[int, list[int]], int]
"""See ``_Search.structure``."""


def _used_up(path: Path) -> int:
    return path[2].bit_count()


class _Waiting(msgspec.Struct, gc=False):
    """Configurations to come back to."""

    at: int
    """Before this event."""
    structure: _Structure
    """What was in flight then."""
    paths: list[Path]
    seen: Configs | None = None
    """At a return: all paths found on the way to it so far; the waiting ones are among them."""
    size: int = 0
    """How many configurations this keeps in memory."""


class _Search:
    def __init__(self, ops: list[Op], model: Model, steps: int, configurations: int) -> None:
        self.model = model
        self.steps_left = steps
        self.steps_total = steps
        self.most = configurations
        self.peak = 1
        self.tried: dict[int, Configs] = {}
        """Event -> configurations that were gone on with after it, while others wait."""
        self.waiting: list[_Waiting] = []
        self.stored = 0
        """Configurations remembered as tried or waiting."""
        self.structure_before: _Structure
        """When ``ret`` leaves paths to be continued: what was in flight before it."""
        self.state_id: dict[Any, int] = {}
        self.states: list[Any] = []
        self.class_id: dict[Any, int] = {}
        self.class_op: list[Op] = []
        self.step_of: list[dict[int, int]] = []
        """Class -> state -> next state, -1 if illegal."""
        self.hopeless_of: list[dict[int, bool]] = []
        self.dead = model.dead_ends(ops)
        self.checks_hope = type(model).hopeless is not Model.hopeless
        self.ops = ops
        self.op_class = [-1] * len(ops)
        """Known from the call on."""
        self.bit_of: dict[int, int] = {}
        """Operation in flight -> its bit."""
        self.queries: list[int] = []
        """In flight, by what they are; ``writes`` overwrite."""
        self.writes: list[int] = []
        self.others: list[int] = []
        self.write_bits = 0
        self.free_bits: list[int] = []
        self.next_bit = 0
        self.pending: dict[int, list[int]] = {}
        """Class -> bits (in the used-up set) of its pending operations, in the order they were called."""
        self.pending_count = 0
        self.first_unknown = model.init is UNKNOWN
        """Then a query may tell the first state, and so it changes what is known of it."""
        self.configs: Configs = {(self._state(model.init), 0): [(0, 0)]}

    def structure(self) -> _Structure:
        """What is in flight and pending now."""
        return (
            dict(self.bit_of),
            list(self.queries),
            list(self.writes),
            list(self.others),
            self.write_bits,
            list(self.free_bits),
            self.next_bit,
            {kind: list(bits) for kind, bits in self.pending.items()},
            self.pending_count,
        )

    def restore(self, structure: _Structure) -> None:
        """Go back to what was in flight and pending then; the structure may be used again."""
        bit_of, queries, writes, others, self.write_bits, free_bits, self.next_bit, pending, self.pending_count = (
            structure
        )
        self.bit_of, self.queries, self.writes, self.others = dict(bit_of), list(queries), list(writes), list(others)
        self.free_bits = list(free_bits)
        self.pending = {kind: list(bits) for kind, bits in pending.items()}

    def only_new(self, at: int) -> bool:
        """Leave out the configurations that were tried at this event, or are dominated by those; whether any is left."""
        tried = self.tried.setdefault(at, {})
        fresh: Configs = {}
        for config, extras in self.configs.items():
            new = [one for one in extras if _add(tried, config, *one)]
            if new:
                fresh[config] = new
                self.stored += len(new)
        self.configs = fresh
        if self.stored > self.most:
            self._make_room()
        return bool(fresh)

    def _make_room(self) -> None:
        """Forget what was tried longest ago, which costs at most time; what waits must be kept."""
        while self.stored > self.most // 2 and self.tried:
            oldest = next(iter(self.tried))
            self.stored -= sum(map(len, self.tried.pop(oldest).values()))
        if self.stored > self.most:
            raise _Budget

    def wait(self, at: int, structure: _Structure, paths: list[Path], seen: Configs | None = None) -> None:
        """Come back to these paths if the others fail."""
        size = len(paths) + len(seen or ())
        self.waiting.append(_Waiting(at, structure, paths, seen, size))
        self.stored += size
        if self.stored > self.most:
            self._make_room()

    def come_back(self) -> tuple[int, Configs | None]:
        """Take up the paths that wait last; the event to go on from, and what was seen on the way there."""
        back = self.waiting[-1]
        self.restore(back.structure)
        self.take(back.paths[:WIDTH])
        back.paths = back.paths[WIDTH:]
        if not back.paths:
            self.waiting.pop()
            self.stored -= back.size
            if not self.waiting:
                self.tried.clear()
                self.stored = 0
        return back.at, back.seen

    def keep_best(self) -> list[Path]:
        """If there are many configurations, keep those that used up least, and return the others, the best first."""
        if len(self.configs) <= WIDTH and sum(map(len, self.configs.values())) <= WIDTH:
            return []
        paths = [(*config, *one) for config, extras in self.configs.items() for one in extras]
        paths.sort(key=_used_up)
        self.take(paths[:WIDTH])
        return paths[WIDTH:]

    def take(self, paths: list[Path]) -> None:
        """Go on with these configurations."""
        self.configs = {}
        for state, done, used, hiding in paths:
            self.configs.setdefault((state, done), []).append((used, hiding))

    def _class(self, op: Op) -> int:
        identity = (op.f, op.value, op.result)
        known = self.class_id.get(identity)
        if known is None:
            known = self.class_id[identity] = len(self.class_op)
            self.class_op.append(op)
            self.step_of.append({})
            self.hopeless_of.append({})
        return known

    def _state(self, state: Any) -> int:
        known = self.state_id.get(state)
        if known is None:
            known = self.state_id[state] = len(self.states)
            self.states.append(state)
        return known

    def _step(self, kind: int, state: int) -> int:
        table = self.step_of[kind]
        after = table.get(state)
        if after is None:
            self.steps_left -= 1  # what the model refuses is work too
            result = self.model.step(self.states[state], self.class_op[kind])
            if isinstance(result, Illegal) or (self.dead is not None and self.dead(result)):
                after = table[state] = -1
            else:
                after = table[state] = self._state(result)
        return after

    def _no_hope(self, position: int, state: int) -> bool:
        kind = self.op_class[position]
        known = self.hopeless_of[kind].get(state)
        if known is None:
            known = self.model.hopeless(self.states[state], self.ops[position])
            self.hopeless_of[kind][state] = known
        return known

    def _hopeless(self, state: int, done: int) -> bool:
        return any(not done & bit and self._no_hope(position, state) for position, bit in self.bit_of.items())

    def alone(self, position: int) -> bool:
        """``call`` and ``ret`` of an operation between which nothing happens, while nothing else is in flight or pending.

        Whether a configuration is left; if not, nothing has changed.
        """
        op = self.ops[position]
        if len(self.states) > FORGET_STATES:
            self._forget_states()
        kept: Configs = {}
        for state, _ in self.configs:
            after = self.model.step(self.states[state], op)
            if not isinstance(after, Illegal) and (self.dead is None or not self.dead(after)):
                kept[self._state(after), 0] = [(0, 0)]
        if kept:
            self.configs = kept
        return bool(kept)

    def _forget_states(self) -> None:
        """Number the states anew; for when nothing but the configurations refers to them."""
        left = [self.states[state] for state, _ in self.configs]
        self.state_id, self.states = {}, []
        self.step_of = [{} for _ in self.step_of]
        self.hopeless_of = [{} for _ in self.hopeless_of]
        self.configs = {(self._state(state), 0): [(0, 0)] for state in left}

    def call(self, position: int) -> None:
        op = self.ops[position]
        query = self.model.is_query(op)
        if op.pending:
            if not query:
                kind = self.op_class[position] = self._class(op)
                self.pending.setdefault(kind, []).append(1 << self.pending_count)
                self.pending_count += 1
            return
        kind = self.op_class[position] = self._class(op)
        if self.free_bits:
            bit = self.free_bits.pop()
        else:
            bit = 1 << self.next_bit
            self.next_bit += 1
        self.bit_of[position] = bit
        if query:
            self.queries.append(position)
            self._answer_now(kind, bit)
        elif op.f in self.model.overwrites:
            self.writes.append(position)
            self.write_bits |= bit
            self._hide_now(kind, bit)
        else:
            self.others.append(position)
        if self.checks_hope:
            self._drop_hopeless(position, bit)

    def _answer_now(self, kind: int, bit: int) -> None:
        """A new query is done in every configuration whose state it fits."""
        changed: Configs = {}
        for (state, done), extras in self.configs.items():
            if self._step(kind, state) == state:
                done |= bit
            changed[state, done] = extras
        self.configs = changed

    def _hide_now(self, kind: int, bit: int) -> None:
        """A new write may hide in every configuration that holds its value."""
        for config, extras in self.configs.items():
            if self._step(kind, config[0]) == config[0]:
                self.configs[config] = [(used, hiding | bit) for used, hiding in extras]

    def _drop_hopeless(self, position: int, bit: int) -> None:
        kept = {
            config: extras
            for config, extras in self.configs.items()
            if config[1] & bit or not self._no_hope(position, config[0])
        }
        if kept:  # if nothing is left, the return of the operation will tell
            self.configs = kept

    def ret(self, position: int, seen: Configs, *, resumed: bool) -> tuple[bool, list[Path]]:
        """Whether a configuration is left, and paths to the return that wait to be continued.

        ``seen`` collects what was found on the way; ``resumed``: the configurations are such paths, and in it already.
        """
        self.steps_left -= 1
        if self.steps_left < 0:
            raise _Budget
        if len(self.bit_of) == 1 and not self.pending:
            return self._ret_alone(position), []
        bit = self.bit_of[position]
        kept: Configs = {}
        todo: list[Path] = []
        for (state, done), extras in self.configs.items():
            if done & bit:
                config = (state, done & ~bit)
                if config in kept:
                    for used, hiding in extras:
                        _add(kept, config, used, hiding & ~bit)
                else:
                    kept[config] = [(used, hiding & ~bit) for used, hiding in extras]
            else:
                todo.extend((state, done, used, hiding) for used, hiding in extras)
        if not resumed:
            todo = [path for path in todo if _add(seen, path[:2], path[2], path[3])]
        later = self._continue(todo, bit, kept, seen) if todo else []
        if not kept:
            return False, []
        if later:
            self.structure_before = self.structure()
        self._landed(position, bit, kept)
        return True, later

    def _ret_alone(self, position: int) -> bool:
        """``ret`` of an operation that nothing else can go along with."""
        bit = self.bit_of[position]
        kind = self.op_class[position]
        kept: Configs = {}
        for (state, done), extras in self.configs.items():
            if not done & bit and any(hiding & bit for _, hiding in extras):
                kept[state, 0] = [(0, 0)]
            after = state if done & bit else self._step(kind, state)
            if after >= 0:
                kept[after, 0] = [(0, 0)]
        if kept:
            self._landed(position, bit, kept)
        return bool(kept)

    def _landed(self, position: int, bit: int, kept: Configs) -> None:
        self.configs = kept
        del self.bit_of[position]
        for group in (self.queries, self.writes, self.others):
            if position in group:
                group.remove(position)
        self.write_bits &= ~bit
        self.free_bits.append(bit)
        if len(kept) > self.peak:
            self.peak = len(kept)

    def _continue(self, fresh: list[Path], target: int, kept: Configs, seen: Configs) -> list[Path]:
        """Let others take effect until the operation of ``target`` has; each path stops there.

        Returns the paths that were not continued because enough others arrived.
        """
        step = self._step
        queries = [(self.bit_of[position], self.op_class[position]) for position in self.queries]
        others = [(self.bit_of[position], self.op_class[position]) for position in self.others]
        if self.first_unknown:
            others += queries
        first = fresh[0][0]
        writes = [(self.bit_of[at], step(self.op_class[at], first)) for at in self.writes]
        same: dict[int, int] = {}
        """State -> writes in flight that would leave it as it is."""
        for bit, after in writes:
            same[after] = same.get(after, 0) | bit
        pending = [(kind, bits, self.class_op[kind].f in self.model.overwrites) for kind, bits in self.pending.items()]
        chained = [kind for kind, _, overwrites in pending if not overwrites]
        wanted: dict[int, tuple[int, int]] = {}
        """State -> (operations in flight that fit it, queries among them)."""
        writing = self.write_bits
        while fresh:
            if len(kept) >= WIDTH:
                return fresh
            following: list[Path] = []
            for state, done, used, hiding in fresh:
                if hiding & target:
                    _add(kept, (state, done), used, hiding & ~target)
                moves: list[Path] = []
                for bit, kind in others:
                    if not done & bit:
                        after = step(kind, state)
                        if after >= 0:
                            moves.append((after, done | bit, used, hiding))
                for bit, after in writes:
                    if not done & bit:
                        if after == state and bit != target:
                            if not writing & ~(done | hiding | bit):
                                continue
                        elif bit != target:
                            fits = wanted.get(after)
                            if fits is None:
                                fits = wanted[after] = self._fits(after, queries, others, chained)
                            if not (fits[0] & ~done or fits[1] < 0):
                                continue
                        moves.append((after, done | bit, used, (hiding | writing) & ~(done | bit)))
                for kind, bits, overwrites in pending:
                    after = step(kind, state)
                    if after < 0:
                        continue
                    if after == state:
                        if not (overwrites and writing & ~(done | hiding)):
                            continue
                    else:
                        fits = wanted.get(after)
                        if fits is None:
                            fits = wanted[after] = self._fits(after, queries, others, chained)
                        if not (fits[0] & ~done or fits[1] < 0):
                            continue
                    for bit in bits:
                        if not used & bit:
                            now_hiding = (hiding | writing) & ~done if overwrites else hiding
                            moves.append((after, done, used | bit, now_hiding))
                            break
                self.steps_left -= len(moves) + 1
                if self.steps_left < 0:
                    raise _Budget
                for after, now, taken, now_hiding in moves:
                    if after in same:
                        now_hiding |= same[after] & ~now
                    if queries and after != state:
                        fits = wanted.get(after)
                        if fits is None:
                            fits = wanted[after] = self._fits(after, queries, others, chained)
                        now |= fits[1] if fits[1] >= 0 else ~fits[1]
                    if now & target:
                        if not (self.checks_hope and self._hopeless(after, now)):
                            _add(kept, (after, now & ~target), taken, now_hiding & ~target)
                    elif _add(seen, (after, now), taken, now_hiding) and not (
                        self.checks_hope and self._hopeless(after, now)
                    ):
                        following.append((after, now, taken, now_hiding))
            if self.stored + len(seen) + len(kept) > self.most:
                raise _Budget
            fresh = following
        return []

    def _fits(
        self, state: int, queries: list[tuple[int, int]], others: list[tuple[int, int]], chained: list[int]
    ) -> tuple[int, int]:
        """(operations in flight that can take effect in the state, the queries among them that do so at once).

        The second is inverted if a pending operation could go on from the state.
        """
        answered = 0
        for bit, kind in queries:
            if self._step(kind, state) == state:
                answered |= bit
        fitting = answered
        for bit, kind in others:
            if self._step(kind, state) >= 0:
                fitting |= bit
        goes_on = any(self._step(kind, state) not in (-1, state) for kind in chained)
        return fitting, ~answered if goes_on else answered


def _add(configs: Configs, config: tuple[int, int], used: int, hiding: int) -> bool:
    """Add to those that nothing dominates; False if one there is as good: less used up, more that may hide."""
    known = configs.get(config)
    if known is None:
        configs[config] = [(used, hiding)]
        return True
    for other_used, other_hiding in known:
        if other_used & used == other_used and other_hiding & hiding == hiding:
            return False
    known[:] = [other for other in known if not (used & other[0] == used and hiding & other[1] == other[1])]
    known.append((used, hiding))
    return True


def _by_window(
    ops: list[Op], model: Model, time: int, steps: int, configurations: int
) -> tuple[SearchResult | None, int]:
    """The violation in a part of the operations that ends at a time, if one is found; and the steps that this took."""
    left = steps
    for part in ending_at(time, ops, model):
        if len(part) == len(ops):
            break
        found = search(part, model, steps=left, configurations=configurations, windows=False)
        left -= found.steps
        if found.legal is False:
            originals = {op.index: op for op in ops}
            assert found.op is not None
            found.op = originals[found.op.index]
            found.in_flight = tuple(originals[op.index] for op in found.in_flight)
            return found, steps - left
        if found.legal is None or left <= 0:
            break
    return None, steps - left


def search(
    ops: list[Op],
    model: Model,
    *,
    steps: int = DEFAULT_STEPS,
    configurations: int = DEFAULT_CONFIGURATIONS,
    windows: bool = True,
) -> SearchResult:
    """Is there an order of ``ops`` (of one object) that the model allows and real time permits?"""
    events = [(op.call, 0, position) for position, op in enumerate(ops)]
    events += [(op.ret, 1, position) for position, op in enumerate(ops) if op.ret < NEVER]
    events.sort()
    run = _Search(ops, model, steps, configurations)
    waiting = run.waiting
    farthest = -1
    dead_end: tuple[_Structure, Configs] | None = None
    at = 0
    resumed: Configs | None = None
    last = len(events) - 1
    tried_at, try_below, patience = -1, steps, WINDOW_STEPS
    try:
        while at <= last:
            _, is_return, position = events[at]
            if not is_return:
                if not run.bit_of and at < last and events[at + 1][2] == position and not run.pending and not waiting:
                    farthest, dead_end = -1, None
                    if run.alone(position):
                        at += 2
                        continue
                run.call(position)
                at += 1
                continue
            before = run.configs
            seen = {} if resumed is None else resumed
            left, later = run.ret(position, seen, resumed=resumed is not None)
            resumed = None
            if later:
                later.sort(key=_used_up)
                run.wait(at, run.structure_before, later, seen)
            if left and (not waiting or run.only_new(at)):
                at += 1
                rest = run.keep_best()
                if rest:
                    run.wait(at, run.structure(), rest)
                continue
            if not left and at > farthest:
                farthest, dead_end = at, (run.structure(), before)
                try_below = run.steps_left - patience
            if not waiting:
                assert dead_end is not None
                run.restore(dead_end[0])
                return _illegal(run, events[farthest][2], dead_end[1])
            if windows and run.steps_left < try_below and farthest > tried_at:
                tried_at = farthest
                found, taken = _by_window(
                    ops, model, events[farthest][0], min(patience, run.steps_left), configurations
                )
                run.steps_left -= taken
                if found is not None:
                    found.steps = steps - run.steps_left
                    found.most_configurations = max(found.most_configurations, run.peak)
                    return found
                patience *= 2
            at, resumed = run.come_back()
    except _Budget:
        op = ops[events[min(at, last)][2]]
        return SearchResult(None, steps, run.peak, op)
    return SearchResult(True, run.steps_total - run.steps_left, run.peak)


def _illegal(run: _Search, position: int, before: Configs) -> SearchResult:
    op = run.ops[position]
    states: list[Any] = []
    reasons: list[str] = []
    for state, _ in before:
        value = run.states[state]
        if value in states:
            continue
        states.append(value)
        answer = run.model.step(value, op)
        reasons.append(answer.why if isinstance(answer, Illegal) else "another operation in flight cannot fit then")
        if len(states) == 10:
            break
    others = tuple(run.ops[other] for other in run.bit_of if other != position)
    return SearchResult(
        False,
        run.steps_total - run.steps_left,
        run.peak,
        op,
        tuple(states),
        tuple(reasons),
        others,
        max((used.bit_count() for extras in before.values() for used, _ in extras), default=0),
    )
