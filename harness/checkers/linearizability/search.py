"""Search: just-in-time linearization (Lowe 2017), for any sequential model.

A *configuration* is a possible state of the object, the operations in flight that have taken effect in it already, and
the pending operations it has used up. Events are taken in order; an operation has to take effect by the time it returns:
at each return the configurations in which it has not are continued by other operations in flight until it has. If none
is left, the history is not linearizable, and that event shows it.

Prunings, each of which keeps an answer if there is one
1. *Eager reads*: a query in flight that fits the state takes effect at once; it changes nothing and only gets it done.
2. *Dominance*: of configurations with the same state and the same operations in flight done, only those that used up a
   minimal set of pending operations are kept; what the others can do, they can.
3. *Twins*: pending operations that ask the same are interchangeable; only the first unused one is tried. A pending
   operation that does not change the state is not tried at all: it may as well never happen.
4. *Memory*: states are numbered, and each (state, question and answer) is stepped once.
5. *Hopeless*: a state from which the model knows that an operation in flight can never fit is dropped.
6. Operations in flight have bits that are used again after their return, so sets stay as small as the concurrency.

The budget bounds steps and configurations; beyond it the answer is "unknown", never a guess.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.checkers.linearizability.history import UNKNOWN, Op
from harness.checkers.linearizability.models import Illegal, Model

DEFAULT_STEPS = 20_000_000
DEFAULT_CONFIGURATIONS = 1_000_000


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


class _Search:
    def __init__(self, ops: list[Op], model: Model, steps: int, configurations: int) -> None:
        self.model = model
        self.steps_left = steps
        self.steps_total = steps
        self.most = configurations
        self.peak = 0
        self.state_id: dict[Any, int] = {}
        self.states: list[Any] = []
        self.class_id: dict[Any, int] = {}
        self.class_op: list[Op] = []
        self.step_of: list[dict[int, int]] = []
        """Class -> state -> next state, -1 if illegal."""
        self.hopeless_of: list[dict[int, bool]] = []
        self.checks_hope = type(model).hopeless is not Model.hopeless
        self.op_class = [self._class(op) for op in ops]
        self.is_query = [op.f in model.queries for op in ops]
        self.ops = ops
        self.bit_of: dict[int, int] = {}
        """Operation in flight -> its bit; queries and others apart."""
        self.flying: list[int] = []
        self.queries: list[int] = []
        self.free_bits: list[int] = []
        self.next_bit = 0
        self.pending_classes: dict[int, list[int]] = {}
        """Class -> bits (in the used-up set) of its pending operations, in the order they were called."""
        self.pending_count = 0
        self.first_unknown = model.init is UNKNOWN
        """Then a query may tell the first state, and so it changes what is known of it."""
        start = self._state(model.init)
        self.configs: dict[tuple[int, int], list[int]] = {(start, 0): [0]}
        """(state, operations in flight done) -> minimal sets of used-up pending operations."""

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
            result = self.model.step(self.states[state], self.class_op[kind])
            after = table[state] = -1 if isinstance(result, Illegal) else self._state(result)
        return after

    def _hopeless(self, state: int, done: int) -> bool:
        for position in self.flying:
            if not done & self.bit_of[position] and self._no_hope(position, state):
                return True
        return any(not done & self.bit_of[position] and self._no_hope(position, state) for position in self.queries)

    def _no_hope(self, position: int, state: int) -> bool:
        kind = self.op_class[position]
        table = self.hopeless_of[kind]
        known = table.get(state)
        if known is None:
            known = table[state] = self.model.hopeless(self.states[state], self.ops[position])
        return known

    def _with_queries(self, state: int, done: int) -> int:
        """Eager reads: the queries in flight that fit the state are done."""
        for position in self.queries:
            bit = self.bit_of[position]
            if not done & bit and self._step(self.op_class[position], state) == state:
                done |= bit
        return done

    def call(self, position: int) -> None:
        if self.ops[position].pending:
            if not self.is_query[position]:
                bit = 1 << self.pending_count
                self.pending_count += 1
                self.pending_classes.setdefault(self.op_class[position], []).append(bit)
            return
        if self.free_bits:
            bit = self.free_bits.pop()
        else:
            bit = 1 << self.next_bit
            self.next_bit += 1
        self.bit_of[position] = bit
        if not self.is_query[position]:
            self.flying.append(position)
            if self.checks_hope:
                self._drop_hopeless(position)
            return
        self.queries.append(position)
        kind = self.op_class[position]
        changed: dict[tuple[int, int], list[int]] = {}
        for (state, done), used in self.configs.items():
            if self._step(kind, state) == state:
                changed[state, done | bit] = used
            else:
                changed[state, done] = used
        self.configs = changed
        if self.checks_hope:
            self._drop_hopeless(position)

    def _drop_hopeless(self, position: int) -> None:
        bit = self.bit_of[position]
        kept = {
            config: used
            for config, used in self.configs.items()
            if config[1] & bit or not self._no_hope(position, config[0])
        }
        if kept:  # the return of the operation will tell
            self.configs = kept

    def ret(self, position: int) -> bool:
        """Whether a configuration is left."""
        bit = self.bit_of[position]
        kept: dict[tuple[int, int], list[int]] = {}
        todo: list[tuple[int, int, int]] = []
        for (state, done), used_sets in self.configs.items():
            if done & bit:
                _keep(kept, (state, done & ~bit), used_sets)
            else:
                todo.extend((state, done, used) for used in used_sets)
        if todo:
            self._continue(todo, bit, kept)
        if not kept:
            return False
        self.configs = kept
        del self.bit_of[position]
        (self.queries if self.is_query[position] else self.flying).remove(position)
        self.free_bits.append(bit)
        self.peak = max(self.peak, len(kept))
        return True

    def _continue(self, todo: list[tuple[int, int, int]], target: int, kept: dict[tuple[int, int], list[int]]) -> None:
        """Let others take effect until the operation of ``target`` has; each path stops there."""
        seen: dict[tuple[int, int], list[int]] = {}
        movers = self.flying + self.queries if self.first_unknown else self.flying
        flying = [(self.bit_of[position], self.op_class[position]) for position in movers]
        pending = [(kind, self.step_of[kind], bits) for kind, bits in self.pending_classes.items()]
        fresh: list[tuple[int, int, int]] = []
        for state, done, used in todo:
            if _add(seen, (state, done), used):
                fresh.append((state, done, used))
        while fresh:
            following: list[tuple[int, int, int]] = []
            for state, done, used in fresh:
                moves: list[tuple[int, int, int]] = []
                for bit, kind in flying:
                    if not done & bit:
                        after = self.step_of[kind].get(state)
                        if after is None:
                            after = self._step(kind, state)
                        if after >= 0:
                            moves.append((after, done | bit, used))
                for kind, table, bits in pending:
                    after = table.get(state)
                    if after is None:
                        after = self._step(kind, state)
                    if after >= 0 and after != state:
                        for bit in bits:
                            if not used & bit:
                                moves.append((after, done, used | bit))
                                break
                self.steps_left -= len(moves) + 1
                if self.steps_left < 0:
                    raise _Budget
                for after, now, taken in moves:
                    if self.queries and after != state:
                        now = self._with_queries(after, now)
                    if now & target:
                        if not (self.checks_hope and self._hopeless(after, now)):
                            _add(kept, (after, now & ~target), taken)
                    elif _add(seen, (after, now), taken) and not (self.checks_hope and self._hopeless(after, now)):
                        following.append((after, now, taken))
            if len(seen) + len(kept) > self.most:
                raise _Budget
            fresh = following


def _add(sets: dict[tuple[int, int], list[int]], config: tuple[int, int], used: int) -> bool:
    """Add to the antichain of minimal used-up sets; False if one there is as small already."""
    known = sets.get(config)
    if known is None:
        sets[config] = [used]
        return True
    for other in known:
        if other & used == other:
            return False
    if used:
        known[:] = [other for other in known if other & used != used]
    else:
        known.clear()
    known.append(used)
    return True


def _keep(sets: dict[tuple[int, int], list[int]], config: tuple[int, int], used_sets: list[int]) -> None:
    if config in sets:
        for used in used_sets:
            _add(sets, config, used)
    else:
        sets[config] = list(used_sets)


def search(
    ops: list[Op],
    model: Model,
    *,
    steps: int = DEFAULT_STEPS,
    configurations: int = DEFAULT_CONFIGURATIONS,
) -> SearchResult:
    """Is there an order of ``ops`` (of one object) that the model allows and real time permits?"""
    events: list[tuple[int, int, int]] = []
    for position, op in enumerate(ops):
        events.append((op.call, 0, position))
        if not op.pending:
            events.append((op.ret, 1, position))
    events.sort()
    run = _Search(ops, model, steps, configurations)
    for _, is_return, position in events:
        if not is_return:
            run.call(position)
            continue
        before = run.configs
        try:
            left = run.ret(position)
        except _Budget:
            return SearchResult(None, steps, max(run.peak, len(before)), ops[position])
        if not left:
            return _illegal(run, position, before)
    return SearchResult(True, run.steps_total - run.steps_left, run.peak)


def _illegal(run: _Search, position: int, before: dict[tuple[int, int], list[int]]) -> SearchResult:
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
    others = tuple(run.ops[other] for other in (*run.flying, *run.queries) if other != position)
    return SearchResult(
        False,
        run.steps_total - run.steps_left,
        run.peak,
        op,
        tuple(states),
        tuple(reasons),
        others,
        max((used.bit_count() for sets in before.values() for used in sets), default=0),
    )
