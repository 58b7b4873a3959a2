"""How fast the checkers are. Prints a table: what, size, time, goal. ``python benchmarks/checkers.py [--quick]``

Each figure is the best of a few runs in one process on one core; memory is the highest of the process so far. The time of
making the histories is not counted. Porcupine's figures, where stated, are of the same kinds of history on two cores.
"""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from harness.checkers.agreement import disagreements
from harness.checkers.formats.export import write_edn, write_native
from harness.checkers.formats.files import read_history
from harness.checkers.linearizability.check import check
from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op
from harness.checkers.linearizability.models import CasRegister
from harness.checkers.linearizability.witness import check_witness
from harness.checkers.linearizability.zones import CAS, READ, WRITE, Columns, check_columns
from harness.checkers.online import OnlineOracles
from harness.record import Command, Operation, RowWriter, read_rows


def best(action: Callable[[], Any], runs: int = 3) -> float:
    """Seconds of the fastest of a few runs."""
    times = []
    for _ in range(runs):
        began = time.process_time()
        action()
        times.append(time.process_time() - began)
    return min(times)


def columns(operations: int, keys: int, clients: int, *, cas: bool = False, seed: int = 1) -> Columns:
    """A legal history: mean operation time = mean think time, so about half of the clients are in flight."""
    return with_log(operations, keys, clients, cas=cas, seed=seed)[0]


def with_log(
    operations: int, keys: int, clients: int, *, cas: bool = False, seed: int = 1
) -> tuple[Columns, NDArray[np.int64]]:
    """The same, and the place of each operation in the log it came from."""
    rng = np.random.default_rng(seed)
    each = operations // clients
    gaps = rng.exponential(1000.0, (clients, 2 * each)).cumsum(axis=1).astype(np.int64) * 64
    call, ret = gaps[:, 0::2].ravel(), gaps[:, 1::2].ravel()
    count = len(call)
    point = call + (rng.random(count) * (ret - call)).astype(np.int64)
    key = rng.integers(0, keys, count)
    kind = np.where(rng.random(count) < 0.5, WRITE, READ).astype(np.int8)
    if cas:
        kind[(kind == WRITE) & (rng.random(count) < 0.5)] = CAS
    order = np.lexsort((point, key))
    producing = kind[order] != READ
    produced = np.cumsum(producing)
    cluster_of_write = keys - 1 + produced
    starts = np.concatenate(([True], key[order][1:] != key[order][:-1]))
    latest = np.where(producing, cluster_of_write, -1)
    # The value in place just before each operation: the latest write of its key, else the key's first value.
    base = np.where(starts, np.arange(count), 0)
    base = np.maximum.accumulate(base)
    at = np.maximum.accumulate(np.where(producing, np.arange(count), -1))
    before_at = np.concatenate(([-1], at[:-1]))
    before = np.where(before_at >= base, latest[before_at], key[order])
    cluster = np.empty(count, np.int64)
    source = np.full(count, -1, np.int64)
    cluster[order] = np.where(producing, cluster_of_write, before)
    source[order] = np.where(kind[order] == CAS, before, -1)
    key_of = np.concatenate((np.arange(keys), key[order][producing]))
    initial = np.zeros(len(key_of), np.bool_)
    initial[:keys] = True
    place = np.empty(count, np.int64)
    place[np.argsort(point, kind="stable")] = np.arange(count)
    return Columns(kind, cluster, source, call, ret, key_of, initial), place


def operations(source: Columns) -> list[Op]:
    """The same as operations of a register."""
    order = np.argsort(source.call)
    names = {READ: "read", WRITE: "write", CAS: "cas"}
    found = []
    for index, at in enumerate(order.tolist()):
        kind, value = int(source.kind[at]), int(source.cluster[at])
        key = int(source.key_of[value])
        value_or_none = None if source.initial[value] else value
        asked: Any
        result: Any
        if kind == READ:
            asked, result = None, value_or_none
        elif kind == WRITE:
            asked, result = value, None
        else:
            origin = int(source.source[at])
            asked, result = (None if source.initial[origin] else origin, value), (True, None)
        found.append(Op(index, 0, names[kind], key, asked, result, int(source.call[at]), int(source.ret[at])))
    return found


def parallel_writes(count: int) -> list[Op]:
    """Writes all in flight at once, then two reads one after the other: 2, then 1, then 2 again is illegal."""
    ops = [Op(i, i, "write", "k", i, None, i, 1000 + i) for i in range(count)]
    return ops + [
        Op(count + n, 99, "read", "k", None, value, 2000 + 2 * n, 2001 + 2 * n) for n, value in enumerate((1, 2))
    ]


def pending_sets(count: int) -> list[Op]:
    ops = [Op(0, 0, "write", "k", 1, None, 0, 1), Op(1, 0, "write", "k", 2, None, 2, 3)]
    ops += [Op(2 + i, 2 + i, "cas", "k", (2, 10 + i), UNKNOWN, 4 + i, NEVER) for i in range(count)]
    return [*ops, Op(2 + count, 0, "read", "k", None, 1, 500, 501)]


def ambiguous(seed: int, length: int, clients: int = 5, values: int = 5, crash: float = 0.05) -> list[Op]:
    """A legal history of a compare-and-set register over few values, with clients that crash in the middle."""
    draw = random.Random(seed)
    busy: dict[int, list[Any]] = {}
    process = {client: client for client in range(clients)}
    ops: list[Op] = []
    state: Any = None
    clock = 0
    fresh = clients
    while len(ops) < length or busy:
        clock += 1
        client = draw.randrange(clients)
        if client not in busy:
            if len(ops) >= length:
                if not busy:
                    break
                client = draw.choice(list(busy))
            else:
                f = draw.choice(["read", "write", "cas"])
                asked = {
                    "read": None,
                    "write": draw.randrange(values),
                    "cas": (draw.randrange(values), draw.randrange(values)),
                }
                op = Op(len(ops), process[client], f, "k", asked[f], UNKNOWN, clock, NEVER)
                ops.append(op)
                busy[client] = [op, False]
                continue
        op, done = busy[client]
        if not done:
            if op.f == "read":
                op.result = state
            elif op.f == "write":
                op.result, state = None, op.value
            else:
                fits = state == op.value[0]
                op.result, state = (fits, UNKNOWN), op.value[1] if fits else state
            busy[client][1] = True
            continue
        del busy[client]
        if draw.random() < crash:
            op.result = UNKNOWN
            process[client] = fresh
            fresh += 1
        else:
            op.ret = clock
    return ops


def zones_rows(table: Table, size: int) -> None:
    for keys in (1, 100):
        history = columns(size, keys, 10)
        assert check_columns(history).finding is None
        seconds = best(partial(check_columns, history))
        row(table, f"zones, reads and writes, {keys} keys, 10 clients", size, seconds, "0.3 s")
    history = columns(size, 1, 20, cas=True)
    assert check_columns(history).finding is None
    row(table, "zones with compare-and-set, 1 key, 20 clients", size, best(lambda: check_columns(history)), "2 s")


def row(table: Table, what: str, size: int, seconds: float, goal: str) -> None:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    rate = size / seconds
    table.add_row(what, f"{size:,}", f"{seconds * 1e3:,.2f} ms", f"{rate:,.0f}/s", goal, f"{memory:.2f} GB")


def hard_rows(table: Table) -> None:
    for what, ops, goal in (
        ("300 operations by 50 clients on one key", operations(columns(300, 1, 50)), "5 ms"),
        ("22 parallel writes, then two reads", parallel_writes(22), "5 ms"),
        ("24 pending compare-and-sets, then a stale read", pending_sets(24), "5 ms"),
    ):
        for engine in ("auto", "search") if len(ops) < 300 else ("auto",):
            history = History(ops)
            row(
                table,
                f"{what} ({engine})",
                len(ops),
                best(partial(check, history, CasRegister(), engine=engine)),
                goal,
            )


def search_rows(table: Table, size: int) -> None:
    for keys, goal in ((1, "36,000/s"), (100, "300,000/s")):
        ops = operations(columns(size, keys, 10))
        assert check(History(ops), CasRegister(), engine="search").legal
        row(
            table,
            f"search, {keys} keys, 10 clients",
            len(ops),
            best(partial(check, History(ops), CasRegister(), engine="search"), 2),
            goal,
        )
    histories = [ambiguous(seed, 100 + seed) for seed in range(100)]
    total = sum(len(ops) for ops in histories)
    row(
        table,
        "100 ambiguous histories over five values, crashed clients",
        total,
        best(lambda: [check(History(ops), CasRegister()) for ops in histories], 2),
        "0.4 s",
    )


def witness_rows(table: Table, size: int) -> None:
    for keys in (1, 100):
        history, place = with_log(size, keys, 10)
        assert check_witness(history, place) is None
        row(table, f"witness, {keys} keys", size, best(partial(check_witness, history, place)), "0.2 s")


def record_rows(table: Table, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.rows"
        writer = RowWriter(path)
        rows: list[Operation] = []
        for i in range(size):
            rows.append(Operation("invoke", i * 1000, i % 16, i, "write", f"k{i % 5}", f"v{i}", i * 1000))
            rows.append(Operation("ok", i * 1000 + 500, i % 16, i, "write", f"k{i % 5}", f"v{i}"))
            if len(rows) >= 1000 or i == size - 1:
                writer.write(rows)
                rows.clear()
        writer.close()
        row(table, "read a stored history", size, best(partial(read_rows, path, Operation)), "1 s")


def import_rows(table: Table, size: int) -> None:
    history = [
        Operation(type_, i * 1000 + at, i % 10, i, "write", "k", i)  # type: ignore[arg-type]
        for i in range(size)
        for at, type_ in enumerate(("invoke", "ok"))
    ]
    with tempfile.TemporaryDirectory() as folder:
        lines, edn = Path(folder) / "h.jsonl", Path(folder) / "h.edn"
        write_native(lines, history)
        write_edn(edn, history, keyed=False)
        row(table, "import native JSON lines", size, best(partial(read_history, lines), 2), "")
        text = edn.read_text().replace(', :key "k"', "")
        edn.write_text(text)
        row(table, "import EDN", size, best(partial(read_history, edn), 2), "100,000/s")


def agreement_rows(table: Table, slots: int) -> None:
    slot = np.tile(np.arange(slots, dtype=np.int64), 5)
    value = slot.copy()
    row(table, "agreement, 5 learners", 5 * slots, best(lambda: disagreements(slot, value)), "0.2 s")


def online_rows(table: Table, slots: int) -> None:
    events: list[tuple[Any, ...]] = [(0, 0, 0, "prepare", (1, 0), 1)]
    events += [(agent, 0, 0, "promised", (1, 0)) for agent in range(5)]
    events.append((0, 0, 0, "leader", (1, 0), 1))
    for slot in range(1, slots + 1):
        value = (Command(1, slot, 1, "write", "k", str(slot)),)
        events.append((0, 0, slot, "propose", (1, 0), slot, value))
        events += [(agent, 0, slot, "accepted", (1, 0), slot, value) for agent in range(5)]
        events += [(agent, 0, slot, "chosen", (1, 0), slot, value) for agent in range(5)]
        events += [(agent, 0, slot, "applied", None, slot, value, [7, []]) for agent in range(5)]

    def feed() -> None:
        oracles = OnlineOracles(frozenset(range(5)), 3)
        for event in events:
            oracles.observe(*event)
        assert not oracles.violations

    row(table, "online invariants (events)", len(events), best(feed), "2,000,000/s")


@click.command()
@click.option("--quick", is_flag=True, help="Smaller sizes: a few seconds in all.")
@click.option("--huge", is_flag=True, help="Also 10,000,000 operations (about 3 GB).")
def main(quick: bool, huge: bool) -> None:
    """Time every checker and print a table."""
    scale = 10 if quick else 1
    table = Table(title="Checkers")
    for name in ("what", "operations", "time", "rate", "goal", "memory so far"):
        table.add_column(name, justify="left" if name == "what" else "right")
    hard_rows(table)
    zones_rows(table, 1_000_000 // scale)
    search_rows(table, 20_000 // scale)
    agreement_rows(table, 1_000_000 // scale)
    online_rows(table, 20_000 // scale)
    witness_rows(table, 1_000_000 // scale)
    record_rows(table, 1_000_000 // scale)
    import_rows(table, 100_000 // scale)
    if huge:
        zones_rows(table, 10_000_000)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
