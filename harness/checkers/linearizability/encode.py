"""From operations to the columns of the zone engine, and which keys it cannot take.

A register key is taken as it is. A list key (append, read) becomes a chain: the values of an append-only list are its
lengths, an append is a compare-and-set from one length to the next, and a read of n values reads length n. Where an
append stands is told by its answer or by a list that was read; places that nobody tells are filled by pending appends,
the earliest called first (they have no deadline but their call, so that is the best choice).

A text (read, write, append) whose values can be told apart is a chain too: a text is what the last operation on it made of
it, an append leads there from the text before, and what stood before it is told by any read that contains its value. An
append that nobody saw must stand behind all that was seen, in front of a write or at the end: like a write that nobody read.

What the zones cannot take, and why, goes to the search: values produced twice, a failed compare-and-set that does not
tell what it found, appends to registers, lists longer than the store keeps.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from typing import Any

import msgspec
import numpy as np

from harness.checkers.linearizability.history import UNKNOWN, Op, by_key
from harness.checkers.linearizability.registers import is_list, tombstone
from harness.checkers.linearizability.zones import CAS, NEVER, READ, WRITE, Columns, ambiguous
from harness.checkers.model import LIST_BOUND


class Direct(msgspec.Struct):
    """A violation seen while encoding: no order of any kind can explain it."""

    rule: str
    key: Any
    ops: tuple[Op, ...]
    detail: str


class Encoded(msgspec.Struct, eq=False):
    columns: Columns
    ops: list[Op]
    """Position in the columns -> operation."""
    keys: list[Any]
    """Key number -> key."""
    values: list[Any]
    """Cluster -> its value (a length, for lists)."""
    unsuitable: dict[Any, str]
    """Keys left to the search, and why."""
    findings: list[Direct]
    settled: set[Any]
    """Keys whose first value was not known beforehand, but must be one that was seen and nobody produced."""


class _Unsuitable(Exception):
    pass


class _Broken(Exception):
    def __init__(self, rule: str, detail: str, *ops: Op) -> None:
        super().__init__(detail)
        self.finding = Direct(rule, ops[0].key, ops, detail)


class _Encoder:
    def __init__(self, init: Any, lists: bool, texts: bool, list_bound: int) -> None:
        self.init = init
        self.texts = texts
        self.lists = lists
        self.list_bound = list_bound
        self.rows: list[tuple[int, int, int, int, int]] = []
        self.ops: list[Op] = []
        self.keys: list[Any] = []
        self.key_of: list[int] = []
        self.initial: list[bool] = []
        self.values: list[Any] = []
        self.settled: set[Any] = set()

    def cluster(self, known: dict[Any, int], value: Any, *, initial: bool = False) -> int:
        number = known.get(value)
        if number is None:
            number = known[value] = len(self.key_of)
            self.key_of.append(len(self.keys) - 1)
            self.initial.append(initial)
            self.values.append(value)
        return number

    def add(self, key: Any, ops: list[Op]) -> None:
        """Take a key in, whole; raises _Unsuitable or _Broken and takes nothing."""
        rows, clusters = len(self.rows), len(self.key_of)
        self.keys.append(key)
        try:
            if self.texts:
                self.add_text(ops)
            elif self.lists or any(op.f == "append" for op in ops):
                self.add_list(ops)
            else:
                self.add_register(ops)
        except (_Unsuitable, _Broken):
            self.keys.pop()
            del self.rows[rows:], self.ops[rows:]
            del self.key_of[clusters:], self.initial[clusters:], self.values[clusters:]
            raise

    def add_register(self, ops: list[Op]) -> None:
        known: dict[Any, int] = {}
        cluster, rows = self.cluster, self.rows
        if self.init is not UNKNOWN:
            cluster(known, self.init, initial=True)
        for op in ops:
            f, value = op.f, op.value
            if f == "read":
                if op.result is UNKNOWN:
                    continue
                result = None if op.result == () else op.result  # an empty list, where nothing was appended
                row = (READ, cluster(known, result), -1, op.call, op.ret)
            elif f == "write":
                row = (WRITE, cluster(known, value), -1, op.call, op.ret)
            elif f == "delete":
                row = (WRITE, cluster(known, tombstone(value)), -1, op.call, op.ret)
            elif f == "cas":
                row = self.compare_and_set(known, op)
            else:
                raise _Unsuitable(f"zones know no function {f!r}")
            rows.append(row)
            self.ops.append(op)
        if self.init is UNKNOWN:
            self.guess_initial(ops, known)

    def compare_and_set(self, known: dict[Any, int], op: Op) -> tuple[int, int, int, int, int]:
        expected, new = op.value
        if op.result is UNKNOWN or op.result[0]:
            return CAS, self.cluster(known, new), self.cluster(known, expected), op.call, op.ret
        found = op.result[1]
        if found is UNKNOWN:
            raise _Unsuitable("a failed compare-and-set does not tell what it found")
        if found == expected:
            raise _Broken("failed-on-a-match", "it failed although it found what it expected", op)
        return READ, self.cluster(known, found), -1, op.call, op.ret

    def guess_initial(self, ops: list[Op], known: dict[Any, int]) -> None:
        """Where the first value is not known, it is the one value seen that nobody produced."""
        produced = {tombstone(op.value) if op.f == "delete" else op.value for op in ops if op.f in ("write", "delete")}
        produced |= {op.value[1] for op in ops if op.f == "cas" and (op.result is UNKNOWN or op.result[0])}
        seen = sorted((op for op in ops if not op.pending), key=lambda op: op.ret)
        for op in seen:
            value = op.result if op.f == "read" else op.value[0] if op.f == "cas" and op.result[0] else UNKNOWN
            if op.f == "cas" and not op.result[0]:
                value = op.result[1]
            if value is not UNKNOWN and value not in produced:
                self.initial[known[value]] = True
                self.settled.add(self.keys[-1])
                return

    def add_list(self, ops: list[Op]) -> None:
        reads: list[tuple[Op, tuple[Any, ...]]] = []
        appends: dict[Any, Op] = {}
        for op in ops:
            if op.f == "append":
                if op.value in appends:
                    raise _Unsuitable("a value is appended twice")
                appends[op.value] = op
            elif op.f == "read":
                if op.result is UNKNOWN:
                    continue
                content = () if op.result is None else op.result
                if not is_list(content):
                    raise _Unsuitable("a key is used as a register and as a list")
                reads.append((op, content))
            else:
                raise _Unsuitable("a key is used as a register and as a list")
        if self.init not in (None, ()):
            raise _Unsuitable("a list that does not begin empty")
        if len(appends) > self.list_bound:
            raise _Unsuitable(f"a list may have grown beyond the {self.list_bound} values that are kept")
        place = self.places(reads, appends)
        known: dict[Any, int] = {}
        self.cluster(known, 0, initial=True)
        for op, content in reads:
            self.rows.append((READ, self.cluster(known, len(content)), -1, op.call, op.ret))
            self.ops.append(op)
        for value, at in place.items():
            op = appends[value]
            self.rows.append((CAS, self.cluster(known, at), self.cluster(known, at - 1), op.call, op.ret))
            self.ops.append(op)

    def add_text(self, ops: list[Op]) -> None:
        if self.init != "":
            raise _Unsuitable("a text that does not begin empty")
        pieces: dict[str, Op] = {}
        for op in ops:
            if op.f != "read":
                if not isinstance(op.value, str) or not op.value or op.value in pieces:
                    raise _Unsuitable("a text is added twice, or empty")
                pieces[op.value] = op
        ordered = sorted(pieces)
        if any(longer.startswith(piece) for piece, longer in itertools.pairwise(ordered)):
            raise _Unsuitable("of the texts that are added, one begins with another")
        lengths = sorted({len(piece) for piece in pieces})
        before: dict[str, str] = {}
        known: dict[Any, int] = {}
        self.cluster(known, "", initial=True)
        last_of: dict[str, str] = {"": ""}
        for op in ops:
            if op.f != "read" or op.result is UNKNOWN:
                continue
            text = op.result or ""
            if text not in last_of:
                last_of[text] = follow(op, text, pieces, lengths, before)
            self.rows.append((READ, self.cluster(known, last_of[text]), -1, op.call, op.ret))
            self.ops.append(op)
        for piece, op in pieces.items():
            if op.f == "append" and piece in before:
                row = (CAS, self.cluster(known, piece), self.cluster(known, before[piece]), op.call, op.ret)
            else:
                row = (WRITE, self.cluster(known, piece), -1, op.call, op.ret)
            self.rows.append(row)
            self.ops.append(op)

    def places(self, reads: list[tuple[Op, tuple[Any, ...]]], appends: dict[Any, Op]) -> dict[Any, int]:
        """Value -> its place in the list (from 1)."""
        longest_read, longest = max(reads, key=lambda read: len(read[1]), default=(None, ()))
        for op, content in reads:
            if content != longest[: len(content)]:
                assert longest_read is not None
                raise _Broken("forked-lists", "neither list is the beginning of the other", op, longest_read)
        place: dict[Any, int] = {}
        for at, value in enumerate(longest, 1):
            assert longest_read is not None
            if value not in appends:
                raise _Broken("phantom-read", f"nobody appended {value!r}", longest_read)
            if value in place:
                raise _Broken("appended-twice", f"{value!r} stands in the list twice", appends[value], longest_read)
            place[value] = at
        taken = {at: value for value, at in place.items()}
        floating: list[Op] = []
        for value, op in appends.items():
            if op.result in (UNKNOWN, None):
                if value not in place:
                    if not op.pending:
                        raise _Unsuitable("an append does not tell the length and nobody read its value")
                    floating.append(op)
                continue
            if place.get(value, op.result) != op.result:
                assert longest_read is not None
                raise _Broken("append-place", f"it stands at place {place[value]}", op, longest_read)
            if taken.setdefault(op.result, value) != value:
                raise _Broken("append-place", "another value stands at that place", op, appends[taken[op.result]])
            place[value] = op.result
        floating.sort(key=lambda op: op.call, reverse=True)
        for at in range(1, max(taken, default=0)):
            if at not in taken:
                if not floating:
                    raise _Broken("missing-append", f"nothing can stand at place {at}", appends[taken[max(taken)]])
                place[floating.pop().value] = at
        return place


def follow(read: Op, text: str, pieces: dict[str, Op], lengths: list[int], before: dict[str, str]) -> str:
    """The last of the values that a text is made of; ``before`` learns what stands in front of each that was appended."""
    last = ""
    at = 0
    while at < len(text):
        piece = next((text[at : at + length] for length in lengths if text[at : at + length] in pieces), None)
        if piece is None:
            raise _Broken(
                "phantom-read", f"nobody wrote or appended what it holds from {text[at : at + 40]!r} on", read
            )
        op = pieces[piece]
        if op.f == "append":
            if before.setdefault(piece, last) != last:
                detail = f"{piece!r}, appended once, stands behind {last!r} here and behind {before[piece]!r} elsewhere"
                raise _Broken("forked-lists", detail, read, op)
        elif at:
            raise _Broken(
                "forked-lists", f"{piece!r} was not appended but written, and yet {last!r} is in front", read, op
            )
        last = piece
        at += len(piece)
    return last


def encode(
    ops: Iterable[Op],
    init: Any,
    *,
    lists: bool = False,
    texts: bool = False,
    list_bound: int = LIST_BOUND,
    doubtful: Collection[Any] = (),
) -> Encoded:
    """Columns of all keys that the zones can judge.

    ``init``: the first value of every key; UNKNOWN: any, one a key. ``lists``: every key is a list, else those that are
    appended to; ``texts``: every key is a text. ``doubtful``: keys to leave out, since their first value may be one that
    was written later too.
    """
    encoder = _Encoder(init, lists, texts, list_bound)
    unsuitable: dict[Any, str] = {}
    findings: list[Direct] = []
    for key, part in by_key(ops).items():
        if key in doubtful:
            unsuitable[key] = "its first value may be one that was written later too"
            continue
        try:
            encoder.add(key, part)
        except _Unsuitable as reason:
            unsuitable[key] = str(reason)
        except _Broken as broken:
            findings.append(broken.finding)
    columns = _columns(encoder)
    twice = ambiguous(columns)
    if len(twice):
        unsuitable |= {encoder.keys[number]: "a value was produced more than once" for number in twice.tolist()}
        columns, kept = _without(columns, twice)
        encoder.ops = [encoder.ops[at] for at in kept.tolist()]
    return Encoded(columns, encoder.ops, encoder.keys, encoder.values, unsuitable, findings, encoder.settled)


def _columns(encoder: _Encoder) -> Columns:
    table = np.array(encoder.rows, dtype=np.int64).reshape(-1, 5)
    base = int(table[:, 3].min()) if len(table) else 0
    ret = table[:, 4].copy()
    ret[ret < NEVER] -= base
    return Columns(
        kind=table[:, 0].astype(np.int8),
        cluster=table[:, 1].copy(),
        source=table[:, 2].copy(),
        call=table[:, 3] - base,
        ret=ret,
        key_of=np.array(encoder.key_of, dtype=np.int64),
        initial=np.array(encoder.initial, dtype=np.bool_),
    )


def _without(columns: Columns, keys: np.typing.NDArray[np.int64]) -> tuple[Columns, np.typing.NDArray[np.int64]]:
    """The columns without the operations of those keys, and the positions that are left."""
    kept = np.flatnonzero(~np.isin(columns.key_of[columns.cluster], keys))
    return (
        Columns(
            columns.kind[kept],
            columns.cluster[kept],
            columns.source[kept],
            columns.call[kept],
            columns.ret[kept],
            columns.key_of,
            columns.initial,
        ),
        kept,
    )
